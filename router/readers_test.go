package router_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router/routertest"
)

// TestWhatMayHaveArrivedKeepsItsBytes: once an attempt may have been taken, its id never
// stands for other bytes, not even after a repeat that surely failed.
func TestWhatMayHaveArrivedKeepsItsBytes(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		n := 0
		w.Behave(func(m *routertest.Mail) error {
			if m.To != "cto" {
				return nil
			}
			switch n++; n {
			case 1:
				return fmt.Errorf("the answer never came: %w", routertest.ErrTaken)
			case 2, 3:
				return errLater
			}
			return nil
		})
		w.Fire("p1", "a")
		for i := range 5 {
			w.Pass(10 * time.Second)
			w.Fire("p1", fmt.Sprint("b", i)) // so that it would read otherwise
		}
		w.Pass(5 * time.Minute)
		w.ExpectAttempts(4, "cto")
	})
}

// TestEachReaderHasAnOffsetOfItsOwn: what one was told another was not, so that each
// hears of all that happened, once.
func TestEachReaderHasAnOffsetOfItsOwn(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		changes := map[string][]int64{}
		hear := func(want ...string) {
			t.Helper()
			for _, m := range w.Expect(want...) {
				for _, e := range m.First().Changes {
					changes[m.To] = append(changes[m.To], e.Sequence)
				}
			}
		}
		prioritize := func(to string) {
			t.Helper()
			w.Do(1, command.Priority{Priority: to, Reason: "as we know more"})
			w.Pass(time.Minute)
		}
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		hear("cto opened", "support opened", "oncall opened")
		w.Behave(routertest.Refuse(errLater, "support"))
		prioritize("P2")
		hear("cto priority", "oncall priority")
		prioritize("P1")
		hear("cto priority", "oncall priority")
		w.Behave(routertest.Refuse(errLater, "cto"))
		w.Pass(20 * time.Minute)
		hear("support priority")
		prioritize("P2")
		hear("support priority", "oncall priority")
		w.Behave(nil)
		w.Pass(20 * time.Minute)
		hear("cto priority")
		var all []int64
		for _, e := range w.Events(1) {
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

// TestEachReaderIsToldInItsOwnZoneAndLanguage: whatever the message is, its times are in the
// zone of the group and it is in its language, and those of the team's are in the zone of the
// configuration and in English.
func TestEachReaderIsToldInItsOwnZoneAndLanguage(t *testing.T) {
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
	languages := map[string]string{"cto": "de", "sre": "de", "support": "en"}
	for i := range p.Groups {
		g := &p.Groups[i]
		for to, name := range want {
			if g.Recipients[0].ID == incidenttest.Mail(to).ID {
				g.Location, g.Language = zone(name), languages[to]
			}
		}
	}
	bubbleEvery(t, 10*time.Second, p, func(t *testing.T, w *world) {
		kinds := map[string]bool{}
		look := func() {
			t.Helper()
			for _, m := range w.Mails() {
				kinds[m.To+" "+string(m.Kind)] = true
				if m.Location.String() != want[m.To] {
					t.Errorf("%s %s: times in %v, want %s", m.To, m.Kind, m.Location, want[m.To])
				}
				if m.Language != languages[m.To] {
					t.Errorf("%s %s: in %q, want %q", m.To, m.Kind, m.Language, languages[m.To])
				}
			}
		}
		w.Post(routertest.Watchdog())
		w.Post(w.Alert("p1", "a"), w.Alert("p2", "b"), w.Alert("p3", "c"))
		w.Pass(time.Minute)
		w.Do(1, command.Priority{Priority: "P2", Reason: "not so bad"})
		w.Pass(5 * time.Hour)
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
