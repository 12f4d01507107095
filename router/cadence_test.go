package router_test

import (
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router/routertest"
)

func TestTenDaysOfUpdatesDoNotDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		p.Asks, p.UnknownAfter = true, 5*time.Hour
		w := newWorld(t, routertest.Options{Policy: p, Poll: 10 * time.Minute, Begin: time.Date(2026, 6, 16, 10, 0, 7, 345e6, time.UTC)})
		w.Answer(incident.VerdictListed)
		w.Behave(routertest.Stall(300 * time.Millisecond))
		w.Start()
		start := w.Now()
		w.Post(w.Alert("p1", "a"), w.Alert("p2", "b"), w.Alert("p3", "c"))
		w.Pass(10*24*time.Hour + time.Minute)

		type reader struct {
			to       string
			incident int64
		}
		got := map[reader][]routertest.Mail{}
		for _, m := range w.Mails() {
			for i := range m.Items {
				k := reader{m.To, m.Items[i].Incident.Number}
				got[k] = append(got[k], m)
			}
		}
		for number, every := range map[int64]time.Duration{1: 2 * time.Hour, 2: 4 * time.Hour, 3: 8 * time.Hour} {
			for _, to := range []string{"cto", "support"} {
				if to == "cto" && number == 3 {
					continue
				}
				mails := got[reader{to, number}]
				if want := int(240*time.Hour/every) + 1; len(mails) != want {
					t.Errorf("%s got %d messages about INC-%d, want %d", to, len(mails), number, want)
				}
				for i, m := range mails {
					due := start.Add(time.Duration(i) * every)
					if late := m.Taken.Sub(due); late < 0 || late > time.Second {
						t.Errorf("%s: message %d about INC-%d came %v after it was due", to, i, number, late)
					}
					next := due.Add(every + time.Minute).Truncate(time.Minute).Add(time.Minute)
					if by := m.First().NextBy; !by.Equal(next) {
						t.Errorf("%s: message %d about INC-%d promises %v, want %v", to, i, number, by, next)
					}
				}
			}
			if n := len(got[reader{"oncall", number}]); n != 1 {
				t.Errorf("on call got %d messages about INC-%d", n, number)
			}
		}
		if n := len(got[reader{"cto", 3}]); n != 0 {
			t.Errorf("management got %d messages about a P3", n)
		}
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliveryDelivered || d.SentAt.After(d.Promised) || d.Deferred {
				t.Errorf("delivery %+v", d)
			}
		}
		if w.Situation(1).Incident.Breaches.Unknown != 0 || w.Asked() == 0 {
			t.Errorf("asked %d times, %+v", w.Asked(), w.Situation(1).Incident.Breaches)
		}
	})
}

func TestTheNightsWhenTheClockChanges(t *testing.T) {
	tests := map[string]struct {
		evening time.Time // 23:00 in Berlin
		morning time.Time // 07:00 in Berlin
	}{
		"back in autumn":    {time.Date(2026, 10, 24, 21, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 6, 0, 0, 0, time.UTC)},
		"forward in spring": {time.Date(2027, 3, 27, 22, 0, 0, 0, time.UTC), time.Date(2027, 3, 28, 5, 0, 0, 0, time.UTC)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := policy()
				p.Groups[1].Quiet = []incident.Quiet{incidenttest.Quiet(22*60, 24*60, "P1"), incidenttest.Quiet(0, 7*60, "P1")}
				w := newWorld(t, routertest.Options{Policy: p, Poll: time.Minute, Begin: test.evening})
				w.Start()
				w.Post(w.Alert("p1", "a"), w.Alert("p3", "b"))
				w.Until(test.morning.Add(-time.Second))
				var p1 int
				for _, m := range w.Mails() {
					if m.First().Incident.Number == 2 {
						if m.To != "oncall" {
							t.Errorf("%s got %s of the P3 in the night", m.To, m.Kind)
						}
						continue
					}
					if m.To != "support" {
						continue
					}
					due := test.evening.Add(time.Duration(p1) * 2 * time.Hour)
					if late := m.Taken.Sub(due); late < 0 || late > time.Second {
						t.Errorf("update %d came %v after it was due", p1, late)
					}
					// What the reader reads on the clock is that time, on the right side of the change.
					by := m.First().NextBy.In(m.Location)
					if want := due.Add(2*time.Hour + time.Minute); !by.Equal(want) || by.Location().String() != "Europe/Berlin" {
						t.Errorf("update %d promises %v, want %v", p1, by, want.In(m.Location))
					}
					p1++
				}
				if want := int(test.morning.Sub(test.evening)/(2*time.Hour)) + 1; p1 != want {
					t.Errorf("%d messages of the P1 in the night, want %d", p1, want)
				}
				w.Pass(2 * time.Second)
				mails := w.Expect("support opened")
				if late := mails[0].Taken.Sub(test.morning); late < 0 || late > time.Second {
					t.Errorf("what was held came %v after the quiet time", late)
				}
				for _, d := range w.Deliveries() {
					if d.Incident == 2 && d.Audience == incident.AudienceStakeholders && (!d.Deferred || !d.DueAt.Equal(test.morning)) {
						t.Errorf("delivery %+v", d)
					}
				}
			})
		})
	}
}
