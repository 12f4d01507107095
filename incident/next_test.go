package incident_test

import (
	"testing"
	"time"

	"sitrep/incident"
)

// TestTheNextUpdateAsThingsStand: the promise while it can be kept, and else the next try,
// after any quiet time.
func TestTheNextUpdateAsThingsStand(t *testing.T) {
	const support = "email:support@example.org"
	min := func(m float64) time.Time { return t0.Add(time.Duration(m * float64(time.Minute))) }
	never := time.Time{}
	tests := map[string]struct {
		policy func(*incident.Policy)
		before func(*world) // support is down from the beginning, and it is P3
		now    time.Time
		held   time.Time // support is
		by     time.Time
		late   time.Time
	}{
		"an opening under way":                              {now: min(0.2), by: min(8*60 + 1)},
		"an opening that is tried again within its promise": {now: min(0.2), held: min(0.5), by: min(1)},
		"an opening that is tried again after it":           {now: min(0.9), held: min(1.5), by: min(3)},
		"an opening that is late, and waits for its turn":   {now: min(5.5), by: min(7), late: min(1)},
		"an opening that is late, and tried again":          {now: min(5.5), held: min(9), by: min(10), late: min(1)},
		"a wait that is over":                               {now: min(5.5), held: min(5), by: min(7), late: min(1)},
		"an opening that is tried again after a quiet time": {policy: func(p *incident.Policy) { p.Groups[1].Quiet = []incident.Quiet{quiet(13, 16)} }, now: min(59), held: min(61), by: min(241), late: min(1)},
		"an update within its promise":                      {before: told, now: min(480.5), by: min(481)},
		"an update that is refused within its promise":      {before: told, now: min(480.2), held: min(480.5), by: min(481)},
		"an update that is refused beyond its promise":      {before: told, now: min(480.2), held: min(490), by: min(491)},
		"an update that is late":                            {before: told, now: min(500), held: min(520), by: min(521), late: min(481)},
		"an update before which nothing is tried":           {before: told, now: min(470), held: min(530), by: min(531)},
		"an update that is long after the wait":             {before: told, now: min(100), held: min(130), by: min(481)},
		"the end, under way":                                {before: ended, now: min(10.1), by: never},
		"the end, refused for now":                          {before: ended, now: min(10.1), held: min(10.3), by: min(11)},
		"the end, refused for long":                         {before: ended, now: min(12), held: min(30), by: min(31), late: min(11)},
		"a farewell, refused for now":                       {before: lowered, now: min(2.5), held: min(30), by: min(31), late: min(2)},
		"news to the reader that is refused, and not late":  {before: written, now: min(1.1), held: min(1.5), by: min(2)},
		"news to the reader that is refused, and late":      {before: written, now: min(5), held: min(6), by: min(7), late: min(2)},
		"what nobody asked of Tries counts as promised":     {before: told, now: never, by: min(481)},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, policy())
			w.p.RemindBefore = 0
			w.p.Management = nil
			if c.policy != nil {
				c.policy(w.p)
			}
			w.down[support] = true
			w.open("P3")
			if c.before != nil {
				c.before(w)
			}
			w.tick()
			if !c.now.IsZero() {
				w.s.Tries = &incident.Tries{Now: c.now, RetryAt: map[string]time.Time{}}
				if !c.held.IsZero() {
					w.s.Tries.RetryAt[support] = c.held
				}
			}
			by, late := w.s.NextUpdate(w.p)
			if !by.Equal(c.by) || !late.Equal(c.late) {
				t.Errorf("by %v, late since %v; want %v, %v", by.Sub(t0), late.Sub(t0), c.by.Sub(t0), c.late.Sub(t0))
			}
			if at := w.s.NextUpdateAt(w.p); !at.Equal(by) {
				t.Errorf("NextUpdateAt is %v", at)
			}
		})
	}
}

// told tells the opening.
func told(w *world) {
	w.down = map[string]bool{}
	w.tick()
	w.down["email:support@example.org"] = true
}

func ended(w *world) {
	told(w)
	w.end("a")
	w.now = t0.Add(10 * time.Minute)
	w.tick()
}

func written(w *world) {
	told(w)
	w.now = t0.Add(time.Minute)
	w.must(w.s.Incident.WriteUpdate(w.stamp("ada"), w.p, "We know.", []incident.Audience{incident.AudienceStakeholders}))
}

func lowered(w *world) {
	told(w)
	w.now = t0.Add(time.Minute)
	p4 := incident.Priority{Name: "P4", Rank: 3}
	w.p.Priorities = append(w.p.Priorities, p4)
	w.must(w.s.Incident.ChangePriority(w.stamp("ada"), w.p, p4, "it is nothing"))
}
