package audit

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// read returns what fn reads of one snapshot.
func read[T any](ctx context.Context, s storage.Store, fn func(storage.Snapshot) (T, error)) (v T, err error) {
	err = s.Read(ctx, func(r storage.Snapshot) (err error) {
		v, err = fn(r)
		return err
	})
	return v, err
}

// eachIncident calls fn for each incident, the latest first.
func eachIncident(ctx context.Context, r storage.Snapshot, fn func(*incident.Incident) error) error {
	for q := (storage.IncidentQuery{Limit: incidentsPage}); ; {
		page, next, err := r.Incidents(ctx, q)
		if err != nil {
			return err
		}
		for i := range page {
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
		if q.Cursor = next; next == "" {
			return nil
		}
	}
}

// eventsOf returns all events of an incident, in order.
func eventsOf(ctx context.Context, r storage.Snapshot, number int64) ([]incident.Event, error) {
	var all []incident.Event
	for after := int64(0); ; {
		page, err := storage.EventsOf(ctx, r, number, after, eventsPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < eventsPage {
			return all, nil
		}
		after = page[len(page)-1].Sequence
	}
}

// deliveriesOf returns all deliveries that cover an incident, in the order in which
// they were finished; those that are pending are last.
func deliveriesOf(ctx context.Context, r storage.Snapshot, number int64) ([]incident.Delivery, error) {
	var all []incident.Delivery
	for q := (storage.DeliveryQuery{Incident: number, Limit: 1000}); ; {
		page, next, err := r.Deliveries(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if q.Cursor = next; next == "" {
			break
		}
	}
	slices.Reverse(all)
	pending := func(d *incident.Delivery) int {
		if d.State == incident.DeliveryPending {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b incident.Delivery) int {
		return cmp.Or(pending(&a)-pending(&b), a.FinishedAt.Compare(b.FinishedAt), a.CreatedAt.Compare(b.CreatedAt))
	})
	return all, nil
}

// coverOf returns what a delivery tells of an incident, nil if nothing.
func coverOf(d *incident.Delivery, number int64) *incident.Cover {
	for i := range d.Covers {
		if d.Covers[i].Incident == number {
			return &d.Covers[i]
		}
	}
	return nil
}

// within reports whether t is in the span from from to to, without to. Zero times set
// no bound.
func within(t, from, to time.Time) bool {
	return (from.IsZero() || !t.Before(from)) && (to.IsZero() || t.Before(to))
}

// over returns when an incident was over: resolved, or closed without that by
// merging; zero while it is open.
func over(in *incident.Incident) time.Time {
	if in.State == incident.StateOpen {
		return time.Time{}
	}
	return cmp.Or(in.ResolvedAt, in.ClosedAt)
}
