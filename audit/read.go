package audit

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// How much is read from one snapshot. While one is held, what has changed since cannot be cleaned
// up, so each is held for a little, and never while something is written or waited for.
const (
	// heldMost is for how many things at most, such as incidents with what belongs to them.
	heldMost = 100
	// heldBytes and heldFor are after how much, and how long, it is not held for another thing.
	heldBytes = 4 << 20
	heldFor   = 2 * time.Second

	// What is read of one thing at a time.
	incidentsPage  = heldMost
	deliveriesPage = heldMost
	eventsPage     = 1000
)

// lostFor is how long it is tried to read again what could not be read.
const lostFor = 30 * time.Second

// read returns what fn reads of one snapshot. A store that is away for a moment is waited for, and fn
// may run more than once, so it only reads.
func read[T any](ctx context.Context, s storage.Store, fn func(storage.Snapshot) (T, error)) (v T, err error) {
	pause := 100 * time.Millisecond
	for began := time.Now(); ; pause *= 2 {
		err = s.Read(ctx, func(r storage.Snapshot) (err error) {
			v, err = fn(r)
			return err
		})
		if !errors.Is(err, storage.ErrUnavailable) || time.Since(began)+pause > lostFor {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, err
		case <-time.After(pause):
		}
	}
}

// each calls use with what readOne reads of each key, in order. Of some at a time that is read from
// one snapshot, which is over when use is called. ReadOne returns about how many bytes that are.
func each[K, T any](ctx context.Context, s storage.Store, keys []K, readOne func(storage.Snapshot, K) (T, int, error), use func(K, T) error) error {
	for len(keys) > 0 {
		some, err := read(ctx, s, func(r storage.Snapshot) (some []T, err error) {
			began, size := time.Now(), 0
			for _, k := range keys[:min(len(keys), heldMost)] {
				one, n, err := readOne(r, k)
				if err != nil {
					return nil, err
				}
				some = append(some, one)
				if size += n; size > heldBytes || time.Since(began) > heldFor {
					break
				}
			}
			return some, nil
		})
		if err != nil {
			return err
		}
		for i := range some {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := use(keys[i], some[i]); err != nil {
				return err
			}
		}
		keys = keys[len(some):]
	}
	return nil
}

// hashesOf returns the stored hashes of the log, for proofs.
func hashesOf(ctx context.Context, s storage.Store) ledger.Hashes {
	return ledger.HashesFunc(func(numbers []int64) ([]ledger.Hash, error) {
		return read(ctx, s, func(r storage.Snapshot) ([]ledger.Hash, error) { return r.ReadHashes(ctx, numbers) })
	})
}

// A past is a store as it was when its log had so many leaves: what was recorded since is left out,
// so that what is read of it in many snapshots fits together. Names may be forgotten and messages
// deleted meanwhile, and what is no record, such as who is owed what, is as it is when it is read.
type past struct {
	storage.Store
	size int64
	at   time.Time // about when that was
	// unplaced says that nobody gives the latest records their places in the log, so that those
	// without one are from before.
	unplaced bool
}

// placedWithin is how long records are waited for that have no place in the log yet.
const placedWithin = 5 * time.Second

// pastOf returns a store as it is now, and the head of its log. All that is there has its place in
// the log then, if there is somebody who gives it one.
func pastOf(ctx context.Context, s storage.Store, now time.Time) (p past, head storage.LogHead, err error) {
	look := func(r storage.Snapshot) (storage.LogHead, error) { return r.LogHead(ctx) }
	if head, err = read(ctx, s, look); err != nil {
		return p, head, err
	}
	whole := head.Size + head.Waiting
	for began := time.Now(); head.Size < whole && time.Since(began) < placedWithin; {
		select {
		case <-ctx.Done():
			return p, head, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if head, err = read(ctx, s, look); err != nil {
			return p, head, err
		}
	}
	return past{s, head.Size, now, head.Size < whole}, head, nil
}

// has reports whether a record was there.
func (p *past) has(r *storage.Record) bool { return r.Index < p.size && (r.Index >= 0 || p.unplaced) }

// incidents returns incidents, as they are in r, as they were; those that were not there are left out.
func (p *past) incidents(ctx context.Context, r storage.Snapshot, all []incident.Incident) ([]incident.Incident, error) {
	before := make(map[int64]int64, len(all))
	for i := range all {
		before[all[i].Number] = all[i].Sequence - 1
	}
	latest, err := r.RecordsSince(ctx, before, 1)
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, in := range all {
		if last := latest[in.Number]; len(last) > 0 && !p.has(&last[0]) {
			events, err := p.events(ctx, r, in.Number)
			if err != nil {
				return nil, err
			}
			if in, err = foldOf(events); err != nil {
				return nil, err
			}
		}
		if in.Number != 0 {
			kept = append(kept, in)
		}
	}
	return kept, nil
}

// incidentsOf returns an incident; none if it was not there.
func (p *past) incidentsOf(ctx context.Context, number int64) ([]incident.Incident, error) {
	return read(ctx, p.Store, func(r storage.Snapshot) ([]incident.Incident, error) {
		in, err := storage.IncidentOf(ctx, r, number)
		if errors.Is(err, incident.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return p.incidents(ctx, r, []incident.Incident{in})
	})
}

// foldOf returns what events make of an incident; none if there are none.
func foldOf(events []incident.Event) (fold incident.Incident, err error) {
	for _, e := range events {
		if err := apply(&fold, e); err != nil {
			return fold, impossible(e, err)
		}
	}
	return fold, nil
}

// eachIncident calls fn for each incident, the latest first, some at a time.
func (p *past) eachIncident(ctx context.Context, fn func([]incident.Incident) error) error {
	for q := (storage.IncidentQuery{Limit: incidentsPage}); ; {
		var next string
		page, err := read(ctx, p.Store, func(r storage.Snapshot) (page []incident.Incident, err error) {
			if page, next, err = r.Incidents(ctx, q); err != nil {
				return nil, err
			}
			return p.incidents(ctx, r, page)
		})
		if err != nil {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		if q.Cursor = next; next == "" {
			return nil
		}
	}
}

// events returns all events of an incident, in order.
func (p *past) events(ctx context.Context, r storage.Snapshot, number int64) ([]incident.Event, error) {
	var all []incident.Event
	for after := int64(0); ; {
		records, err := storage.EventRecords(ctx, r, number, after, eventsPage)
		if err != nil {
			return nil, err
		}
		for i := range records {
			if !p.has(&records[i]) {
				return all, nil
			}
			e, err := storage.DecodeEvent(records[i])
			if err != nil {
				return nil, err
			}
			all, after = append(all, e), e.Sequence
		}
		if len(records) < eventsPage {
			return all, nil
		}
	}
}

// deliveries returns all deliveries that cover an incident, in brief, in the order in which they were
// finished; those that are pending are last.
func (p *past) deliveries(ctx context.Context, r storage.Snapshot, number int64) ([]incident.Delivery, error) {
	var all []incident.Delivery
	for q := (storage.DeliveryQuery{Incident: number, Brief: true, Limit: 1000}); ; {
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
	for i := range all {
		d := &all[i]
		if !d.FinishedAt.After(p.at) {
			continue
		}
		records, err := p.outcomes(ctx, r, d.ID)
		if err != nil {
			return nil, err
		}
		if len(records) == 0 {
			d.State, d.SentAt, d.FinishedAt = incident.DeliveryPending, time.Time{}, time.Time{}
			d.Error, d.Why, d.Cause = "", "", incident.Cause{}
			if d.CreatedAt.After(p.at) {
				d.Attempts = 0
			}
		}
	}
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

// outcomes returns the records of a delivery.
func (p *past) outcomes(ctx context.Context, r storage.Snapshot, id string) ([]storage.Record, error) {
	records, err := storage.DeliveryRecords(ctx, r, id)
	return slices.DeleteFunc(records, func(r storage.Record) bool { return !p.has(&r) }), err
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
