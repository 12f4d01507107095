package router_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
)

// TestWhatMayHaveArrivedKeepsItsBytes: once an attempt may have been taken, its id never
// stands for other bytes, not even after a repeat that surely failed.
func TestWhatMayHaveArrivedKeepsItsBytes(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		n := 0
		w.mail.set(func(to string, _ router.Envelope) error {
			if to != "cto" {
				return nil
			}
			switch n++; n {
			case 1:
				return fmt.Errorf("the answer never came: %w", errTaken)
			case 2, 3:
				return errDown
			}
			return nil
		})
		w.post(alert("p1", "a"))
		for i := range 5 {
			time.Sleep(10 * time.Second)
			w.post(alert("p1", fmt.Sprint("b", i))) // so that it would read otherwise
		}
		time.Sleep(5 * time.Minute)
		var ids, bodies []string
		for _, try := range w.mail.takeTries() {
			if try.to == "cto" {
				ids, bodies = append(ids, try.id), append(bodies, try.body)
			}
		}
		if len(ids) != 4 || len(slices.Compact(ids)) != 1 || len(slices.Compact(bodies)) != 1 {
			t.Errorf("attempts %q %q", ids, bodies)
		}
	})
}

// TestEachReaderHasAnOffsetOfItsOwn: what one was told another was not, so that each
// hears of all that happened, once.
func TestEachReaderHasAnOffsetOfItsOwn(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		changes := map[string][]int64{}
		hear := func(want ...string) {
			t.Helper()
			for _, m := range w.expect(want...) {
				for _, e := range m.First().Changes {
					changes[m.to] = append(changes[m.to], e.Sequence)
				}
			}
		}
		prioritize := func(rank int) {
			t.Helper()
			w.must(w.do(1, func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
				return in.ChangePriority(s, p, p.Priorities[rank], "as we know more")
			}))
			time.Sleep(time.Minute)
		}
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		hear("cto opened", "support opened", "oncall opened")
		w.mail.set(down("support"))
		prioritize(1)
		hear("cto priority", "oncall priority")
		prioritize(0)
		hear("cto priority", "oncall priority")
		w.mail.set(down("cto"))
		time.Sleep(20 * time.Minute)
		hear("support priority")
		prioritize(1)
		hear("support priority", "oncall priority")
		w.mail.set(nil)
		time.Sleep(20 * time.Minute)
		hear("cto priority")
		var all []int64
		for _, e := range w.log(1) {
			if e.Type == incident.EventOpened || e.Type == incident.EventPriorityChanged {
				all = append(all, e.Sequence)
			}
		}
		for _, to := range []string{"cto", "support", "oncall"} {
			if len(all) != 4 || !slices.Equal(changes[to], all) {
				t.Errorf("%s was told of %v, want %v", to, changes[to], all)
			}
		}
	})
}

// TestEachReaderIsToldInItsOwnZone: whatever the message is, its times are in the zone of
// the group, and those of the team's in that of the configuration.
func TestEachReaderIsToldInItsOwnZone(t *testing.T) {
	zone := func(name string) *time.Location {
		l, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	p := withWatchdog()
	p.DigestAbove = 1
	want := map[string]string{"cto": "Asia/Tokyo", "support": "America/New_York", "oncall": "Europe/Berlin", "sre": "Asia/Kolkata"}
	for i := range p.Groups {
		g := &p.Groups[i]
		for to, name := range want {
			if g.Recipients[0].ID == incidenttest.Mail(to).ID {
				g.Location = zone(name)
			}
		}
	}
	bubbleEvery(t, 10*time.Second, p, func(t *testing.T, w *world) {
		kinds := map[string]bool{}
		look := func() {
			t.Helper()
			for _, m := range w.mail.take() {
				kinds[m.to+" "+string(m.Kind)] = true
				if m.Location.String() != want[m.to] {
					t.Errorf("%s %s: times in %v, want %s", m.to, m.Kind, m.Location, want[m.to])
				}
			}
		}
		w.post(watchdog())
		w.post(alert("p1", "a"), alert("p2", "b"), alert("p3", "c"))
		time.Sleep(time.Minute)
		w.must(w.do(1, func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
			return in.ChangePriority(s, p, p.Priorities[1], "not so bad")
		}))
		time.Sleep(5 * time.Hour)
		look()
		for _, k := range []string{
			"cto opened", "cto priority", "cto update", "support opened", "support digest", "support update", "oncall opened", "oncall digest", "sre watchdog",
		} {
			if !kinds[k] {
				t.Errorf("no %s; there were %v", k, kinds)
			}
		}
	})
}
