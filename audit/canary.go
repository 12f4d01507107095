package audit

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/wording"
)

// CanaryFigures say how the canary fared. A run counts when its mail was due.
type CanaryFigures struct {
	Arrived int `json:"arrived"`
	Failed  int `json:"failed"`
	// Took is from the post to the hand-over of the mail.
	Took          Spread          `json:"took"`
	LastArrivedAt time.Time       `json:"last_arrived_at,omitzero"`
	Failures      []CanaryFailure `json:"failures"` // in order
}

// A CanaryFailure is a time in which one run after the other failed.
type CanaryFailure struct {
	Since time.Time            `json:"since"` // the first was posted
	Until time.Time            `json:"until,omitzero"`
	Runs  int                  `json:"runs"`
	Stage incident.CanaryStage `json:"stage,omitempty"` // of the first that is on record
}

// What says what was missing.
func (f *CanaryFailure) What() string { return wording.CanaryMissing(f.Stage) }

// canary reads from the records of messages how the canary fared, and from the store whether
// the latest run failed.
func (m *measuring) canary(ctx context.Context) error {
	out := &m.rep.Canary
	failures := map[time.Time]CanaryFailure{}
	note := func(n *incident.CanaryNews) {
		if n.FailingSince.IsZero() {
			return
		}
		since := n.FailingSince.UTC()
		f := failures[since]
		f.Since, f.Runs = since, max(f.Runs, n.InARow)
		if !n.FailedAt.IsZero() {
			f.Stage = cmp.Or(f.Stage, n.Stage)
		}
		if !n.ArrivedAt.IsZero() {
			f.Until = n.ArrivedAt
		}
		failures[since] = f
	}
	for q := (storage.DeliveryQuery{Kind: incident.KindCanary, From: m.rep.From, To: m.rep.To, OldestFirst: true, Limit: 1000}); ; {
		var next string
		page, err := read(ctx, m.Store, func(r storage.Snapshot) (page []incident.Delivery, err error) {
			page, next, err = r.Deliveries(ctx, q)
			return page, err
		})
		if err != nil {
			return err
		}
		for i := range page {
			d := &page[i]
			for k := range d.Covers {
				n := d.Covers[k].Canary
				if n == nil {
					continue
				}
				note(n)
				if d.State == incident.DeliveryDelivered && !n.ArrivedAt.IsZero() && tellsArrival(&d.Covers[k]) {
					out.Arrived++
					out.Took.add(n.ArrivedAt.Sub(n.PostedAt))
					out.LastArrivedAt = later(out.LastArrivedAt, n.ArrivedAt)
				}
			}
		}
		if q.Cursor = next; next == "" {
			break
		}
	}
	p, err := read(ctx, m.Store, func(r storage.Snapshot) (incident.Pulse, error) {
		return storage.PulseOf(ctx, r, incident.CanaryPulse)
	})
	if err != nil {
		return err
	}
	if p.Run != nil && !p.AwaySince.IsZero() && p.AwaySince.Before(m.rep.To) && !m.now.Before(p.AwaySince) {
		note(&incident.CanaryNews{FailingSince: p.AwaySince, InARow: p.Run.InARow, FailedAt: p.Run.FailedAt, Stage: p.Run.Stage})
	}
	out.Failures = append(out.Failures, slices.SortedFunc(maps.Values(failures), func(a, b CanaryFailure) int { return a.Since.Compare(b.Since) })...)
	for _, f := range out.Failures {
		out.Failed += f.Runs
	}
	return nil
}

// tellsArrival reports whether a message was itself the end of a run, and does not only tell
// that one arrived.
func tellsArrival(c *incident.Cover) bool {
	return slices.ContainsFunc(c.Owed, func(o incident.Owed) bool { return o.Reason == incident.DueCanary })
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// A Drilled is the latest drill of a team and a use case.
type Drilled struct {
	Team     string    `json:"team"`
	SLO      string    `json:"slo,omitempty"`
	UseCase  string    `json:"use_case"`
	Incident string    `json:"incident"`
	At       time.Time `json:"at"`
}

// drill notes an incident that opened until the end of the time span, if it was a drill.
func (m *measuring) drill(in *incident.Incident) {
	if !in.Drill {
		return
	}
	team := cmp.Or(in.Team, NoTeam)
	key := [2]string{team, cmp.Or(in.SLO, "\x00"+in.UseCase)}
	if have, ok := m.drilled[key]; !ok || have.At.Before(in.OpenedAt) {
		m.drilled[key] = Drilled{team, in.SLO, in.UseCase, in.ID(), in.OpenedAt}
	}
}

func compareDrilled(a, b Drilled) int {
	return cmp.Or(cmp.Compare(a.Team, b.Team), cmp.Compare(a.UseCase, b.UseCase), cmp.Compare(a.SLO, b.SLO))
}
