package e2e_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/e2e/rig"
)

// TestKilledThirtyTimes kills sitrep in the middle of posting and sending. Every
// alert that was answered 2xx is there, each reader is told, and one kill costs a
// reader at most one mail twice, the same one.
func TestKilledThirtyTimes(t *testing.T) {
	t.Parallel()
	const kills, perPost = 30, 3
	w := newWorld(t, settings{resolveAfter: "1h"})
	w.Kill()
	// A team for each kill, so that each has somebody who is being told.
	readers := map[string]int{chief: kills * perPost, support: kills * perPost}
	for kill := range kills {
		var b strings.Builder
		fmt.Fprintf(&b, "team: team-%d\non_call: {email: [team-%d@example.org]}\nstakeholders: [support]\nslos:\n", kill, kill)
		for i := range perPost {
			n := kill*perPost + i
			fmt.Fprintf(&b, "  - {id: slo-%d, use_case: Use case %d is broken, sli: availability, priority: P1}\n", n, n)
		}
		check(t, w.Write(fmt.Sprintf("slos/team-%d.yml", kill), b.String()))
		readers[fmt.Sprintf("team-%d@example.org", kill)] = perPost
	}
	// Slow enough that kills fall between the mail that was taken and its record.
	w.mail.Delay(50 * time.Millisecond)
	check(t, w.Start())

	start := time.Now().Truncate(time.Microsecond)
	random := rand.New(rand.NewPCG(1, 2))
	var posting sync.WaitGroup
	for kill := range kills {
		var alerts []payloadAlert
		for i := range perPost {
			n := kill*perPost + i
			alerts = append(alerts, firing(fmt.Sprintf("slo-%d", n), fmt.Sprintf("f%d", n), start))
		}
		// As Alertmanager does, post until it is taken.
		taken := make(chan struct{})
		posting.Go(func() {
			defer close(taken)
			if !rig.Poll(2*time.Minute, func() bool { _, err := w.Alerts(body(alerts...)); return err == nil }) {
				t.Errorf("alerts %d were never taken", kill)
			}
		})
		if kill%3 > 0 {
			<-taken
		}
		<-time.After(time.Duration(random.IntN(100)) * time.Millisecond)
		w.Kill()
		check(t, w.Start())
	}
	posting.Wait()

	got := w.incidents()
	for i := range kills * perPost {
		if in := got[fmt.Sprintf("slo-%d", i)]; in.Breaches.Firing != 1 || in.Breaches.Total != 1 {
			t.Errorf("alert %d was taken, and there is %+v", i, in)
		}
	}
	w.eventually("each reader is told of each incident", func() bool {
		for to, incidents := range readers {
			told := map[string]bool{}
			for _, m := range w.mail.To(to) {
				told[m.Incident()] = true
			}
			if len(told) < incidents {
				return false
			}
		}
		return true
	})
	repeats := 0
	for to := range readers {
		first := map[string]rig.Mail{}
		twice := 0
		for _, m := range w.mail.To(to) {
			if m.Kind() != "opened" {
				t.Errorf("%s got %s about %s", to, m.Kind(), m.Incident())
			}
			before, again := first[m.Incident()]
			if !again {
				first[m.Incident()] = m
				continue
			}
			twice++
			if m.ID() != before.ID() || !bytes.Equal(m.Raw, before.Raw) {
				t.Errorf("%s got two different mails about %s:\n%s\n%s", to, m.Incident(), before.Raw, m.Raw)
			}
		}
		repeats += twice
		if twice > kills {
			t.Errorf("%s got %d mails twice by %d kills", to, twice, kills)
		}
	}
	t.Logf("%d mails, %d of them a second time", len(w.mail.Mails()), repeats)
}
