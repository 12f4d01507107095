package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// verifyIncidents checks the events of each incident, and its state.
func (v *verifier) verifyIncidents(ctx context.Context) error {
	latest := int64(0) // its number: there is no gap
	for cursor := ""; ; {
		var next string
		page, err := read(ctx, v.store, func(r storage.Snapshot) (numbers []int64, err error) {
			var page []incident.Incident
			page, next, err = r.Incidents(ctx, storage.IncidentQuery{Limit: incidentsPage, Cursor: cursor})
			for i := range page {
				numbers = append(numbers, page[i].Number)
			}
			return numbers, err
		})
		if err != nil {
			return v.damage("incidents", err)
		}
		for len(page) > 0 {
			latest = max(latest, page[0])
			v.progress.tell("incidents", latest-page[0], latest)
			n, err := count(ctx, v, func(r storage.Snapshot) (int, error) { return v.incidents(ctx, r, page) })
			if err != nil {
				return v.damage("incidents", err)
			}
			page = page[n:]
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

// count returns what fn returns, which counts and finds what it reads of one snapshot. What could not
// be read to its end is read, and counted, again.
func count[T any](ctx context.Context, v *verifier, fn func(storage.Snapshot) (T, error)) (T, error) {
	before := v.tally
	defer func() {
		for _, c := range v.covering {
			for _, number := range c.incidents {
				v.covered[number]++
				if c.pending {
					v.pending[number] = append(v.pending[number], c.id)
				}
			}
		}
		v.covering = nil
	}()
	return read(ctx, v.store, func(r storage.Snapshot) (T, error) {
		v.tally = before
		return fn(r)
	})
}

// incidents checks some, and returns how many: of which one snapshot is held long enough.
func (v *verifier) incidents(ctx context.Context, r storage.Snapshot, numbers []int64) (int, error) {
	began := time.Now()
	all, err := r.IncidentsByNumber(ctx, numbers)
	if err != nil {
		return 0, err
	}
	for i, number := range numbers {
		if i > 0 && time.Since(began) > heldFor {
			return i, nil
		}
		if all[number] == nil {
			err = v.find(incident.ID(number), "it is not found by its number")
		} else {
			err = v.damage(incident.ID(number), v.incident(ctx, r, all[number]))
		}
		if err != nil {
			return 0, err
		}
	}
	return len(numbers), nil
}

// incident checks one. Its events are found wanting once, at the first that is.
func (v *verifier) incident(ctx context.Context, r storage.Snapshot, in *incident.Incident) error {
	v.out.Incidents++
	var fold incident.Incident
	early := "" // the first event without its names
	for {
		records, err := storage.EventRecords(ctx, r, in.Number, fold.Sequence, eventsPage)
		if err != nil {
			return err
		}
		first := fold.Sequence + 1
		place := func(i int) string { return fmt.Sprintf("event %s/%d", in.ID(), first+int64(i)) }
		for i := range records {
			e, err := storage.DecodeEvent(records[i])
			if err != nil {
				return v.find(place(i), "%v", err)
			}
			if e.Incident != in.Number || e.Sequence != fold.Sequence+1 {
				return v.find(place(i), "missing; in its place is event %s/%d", incident.ID(e.Incident), e.Sequence)
			}
			if err := apply(&fold, e); err != nil {
				return v.find(place(i), "it cannot have happened: %v", err)
			}
			if early == "" && records[i].Forgotten() {
				early = place(i)
			}
			v.out.Events++
		}
		if err := v.inLog(ctx, r, ledger.Event, records, place); err != nil {
			return err
		}
		if len(records) < eventsPage {
			break
		}
	}
	if fold.Sequence != in.Sequence {
		return v.find(in.ID(), "its state is that after event %d, and its latest event is %d", in.Sequence, fold.Sequence)
	}
	if early != "" && fold.State != incident.StateClosed {
		if err := v.find(early, "%s", forgottenEarly); err != nil {
			return err
		}
	}
	if in.ChangedAt.IsZero() {
		fold.ChangedAt = in.ChangedAt // a store that was not brought up yet has none
	}
	wrong, err := differences(&fold, in)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return v.find(in.ID(), "its state is not what its events make of it: %s", strings.Join(wrong, ", "))
	}
	return nil
}

// forgottenEarly is found where names are missing before their time.
const forgottenEarly = "its names and addresses are gone, and an incident that it is about is not closed"

// apply is Apply for events that may lack what their type needs.
func apply(in *incident.Incident, e incident.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it lacks what a %s needs", e.Type)
		}
	}()
	return in.Apply(e)
}

// impossible is the error of an event that cannot be applied.
func impossible(e incident.Event, err error) error {
	return fmt.Errorf("%s/%d: %w: %w", incident.ID(e.Incident), e.Sequence, err, storage.ErrDamaged)
}

// differences returns the names of the fields in which the state differs from what the
// events make of it. That of a closed incident may have forgotten the people in them.
func differences(fold, in *incident.Incident) ([]string, error) {
	wrong, err := differ(fold, in)
	if err != nil || len(wrong) == 0 || in.State != incident.StateClosed {
		return wrong, err
	}
	fold.Forget()
	if forgotten, err := differ(fold, in); err != nil || len(forgotten) < len(wrong) {
		return forgotten, err
	}
	return wrong, nil
}

// differ returns the names of the fields in which two values of a type differ.
func differ(a, b any) ([]string, error) {
	var fields [2]map[string]json.RawMessage
	for i, v := range []any{a, b} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &fields[i]); err != nil {
			return nil, err
		}
	}
	var wrong []string
	for name, value := range fields[0] {
		if !bytes.Equal(value, fields[1][name]) {
			wrong = append(wrong, name)
		}
	}
	for name := range fields[1] {
		if _, ok := fields[0][name]; !ok {
			wrong = append(wrong, name)
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}

// verifyDeliveries checks the records of each delivery, what it says and its message.
func (v *verifier) verifyDeliveries(ctx context.Context) error {
	for q := (storage.DeliveryQuery{Limit: deliveriesPage}); ; {
		v.progress.tell("deliveries", int64(v.out.Deliveries), v.logged[ledger.Delivery])
		next, err := count(ctx, v, func(r storage.Snapshot) (string, error) {
			page, next, err := r.Deliveries(ctx, q)
			for i := range page {
				if err := v.damage(fmt.Sprintf("delivery %q", page[i].ID), v.delivery(ctx, r, &page[i])); err != nil {
					return "", err
				}
			}
			return next, err
		})
		if err != nil {
			return v.damage("deliveries", err)
		}
		if q.Cursor = next; next == "" {
			return nil
		}
	}
}

func (v *verifier) delivery(ctx context.Context, r storage.Snapshot, d *incident.Delivery) error {
	v.out.Deliveries++
	place := fmt.Sprintf("delivery %q", d.ID)
	found, err := storage.DeliveryOf(ctx, r, d.ID)
	if errors.Is(err, incident.ErrNotFound) || err == nil && found.ID != d.ID {
		return v.find(place, "it is not found by its id")
	}
	if err != nil {
		return err
	}
	v.covering = append(v.covering, covering{d.ID, d.State == incident.DeliveryPending, d.Incidents()})
	records, err := storage.DeliveryRecords(ctx, r, d.ID)
	if err != nil {
		return err
	}
	if err := v.inLog(ctx, r, ledger.Delivery, records, func(int) string { return place }); err != nil {
		return err
	}
	if len(records) == 0 {
		if d.State != incident.DeliveryPending {
			return v.find(place, "it is %s, and no record says so", d.State)
		}
		return nil
	}
	var recorded incident.Delivery
	var hash string
	for i := range records {
		if recorded, hash, err = storage.DecodeDelivery(records[i]); err != nil {
			return v.find(place, "%v", err)
		}
		if recorded.ID != d.ID {
			return v.find(place, "its record is that of delivery %q", recorded.ID)
		}
	}
	if recorded.Address == incident.Forgotten {
		over, err := closed(ctx, r, &recorded)
		if err != nil {
			return err
		}
		if !over {
			return v.find(place, "%s", forgottenEarly)
		}
	}
	wrong, err := deviations(recorded, *d)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return v.find(place, "it is not what its record says: %s", strings.Join(wrong, ", "))
	}
	message, err := r.Message(ctx, d.ID)
	if errors.Is(err, incident.ErrNotFound) {
		return v.messageGone(ctx, r, place, &recorded, hash)
	}
	if err != nil {
		return err
	}
	v.out.Messages++
	if sum := sha256.Sum256(message); hash != hex.EncodeToString(sum[:]) {
		return v.find(place, "its message is not the one that was sent")
	}
	return nil
}

// messageGone checks that a message, of which the hash is on record, was not deleted
// before its time.
func (v *verifier) messageGone(ctx context.Context, r storage.Snapshot, place string, d *incident.Delivery, hash string) error {
	if hash == "" {
		return nil // none was made
	}
	over, err := closed(ctx, r, d)
	if err != nil {
		return err
	}
	if !over {
		return v.find(place, "its message is gone, and an incident that it is about is not closed")
	}
	v.out.MessagesGone++
	return nil
}

// closed reports whether all incidents that a delivery is about are closed. One that is
// not there is found elsewhere.
func closed(ctx context.Context, r storage.Snapshot, d *incident.Delivery) (bool, error) {
	all, err := r.IncidentsByNumber(ctx, d.Incidents())
	for _, in := range all {
		if in.State != incident.StateClosed {
			return false, nil
		}
	}
	return err == nil, err
}

// deviations returns in what a delivery deviates from its record.
func deviations(recorded, d incident.Delivery) ([]string, error) {
	d.Replan = false // of one that is pending alone
	d.Covers = slices.Clone(d.Covers)
	for i := range min(len(recorded.Covers), len(d.Covers)) {
		if recorded.Covers[i].Reader == 0 {
			d.Covers[i].Reader = 0 // numbered since
		}
	}
	return differ(recorded, d)
}

// verifyIndex checks that each incident leads to all deliveries about it. Those that
// came since they were counted do not matter.
func (v *verifier) verifyIndex(ctx context.Context) error {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(v.covered)), incidentsPage) {
		_, err := count(ctx, v, func(r storage.Snapshot) (bool, error) {
			for _, number := range some {
				if err := v.indexOf(ctx, r, number); err != nil {
					return false, v.damage(incident.ID(number), err)
				}
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) indexOf(ctx context.Context, r storage.Snapshot, number int64) error {
	n := 0
	for q := (storage.DeliveryQuery{Incident: number, Brief: true, Limit: 1000}); ; {
		page, next, err := r.Deliveries(ctx, q)
		if err != nil {
			return err
		}
		for i := range page {
			if page[i].Incident == number || coverOf(&page[i], number) != nil {
				n++
			}
		}
		if q.Cursor = next; next == "" {
			break
		}
	}
	for _, id := range v.pending[number] {
		if n >= v.covered[number] {
			break
		}
		// While it is tried it may be made anew, about less.
		d, err := storage.DeliveryOf(ctx, r, id)
		if err != nil {
			return err
		}
		if !slices.Contains(d.Incidents(), number) {
			n++
		}
	}
	if n < v.covered[number] {
		return v.find(incident.ID(number), "%d deliveries are about it, and it leads to %d", v.covered[number], n)
	}
	return nil
}

// verifyConfigs checks that each configuration that was in force is there, and that its
// forms are those that the log names.
func (v *verifier) verifyConfigs(ctx context.Context) error {
	if err := v.verifyLoadings(ctx); err != nil {
		return err
	}
	for _, hash := range slices.Sorted(maps.Keys(v.configs)) {
		if _, err := count(ctx, v, func(r storage.Snapshot) (bool, error) { return true, v.config(ctx, r, hash) }); err != nil {
			return err
		}
	}
	return nil
}

// config checks the forms of a configuration.
func (v *verifier) config(ctx context.Context, r storage.Snapshot, hash string) error {
	public := v.configs[hash]
	place := fmt.Sprintf("config %q", hash)
	whole, err := v.form(ctx, r, place, hash, "the one")
	if err != nil {
		return err
	}
	form := false
	if public != "" {
		if form, err = v.form(ctx, r, place, public, "the public form of the one"); err != nil {
			return err
		}
	}
	inForce := hash == v.latest
	if inForce && !whole { // unless another followed since, and only the public form is kept
		latest, err := r.Generation(ctx)
		if err != nil {
			return v.damage(place, err)
		}
		inForce = latest.Hash == hash
	}
	switch {
	case !whole && (inForce || !form):
		return v.find(place, "it was in force, and is not there")
	case public != "" && !form:
		return v.find(place, "its public form is not there")
	}
	return nil
}

// form checks one form of a configuration, and reports whether it is there.
func (v *verifier) form(ctx context.Context, r storage.Snapshot, place, hash, which string) (there bool, err error) {
	c, err := r.Config(ctx, hash)
	switch {
	case errors.Is(err, incident.ErrNotFound):
		return false, nil
	case err != nil:
		return true, v.damage(place, err)
	}
	v.out.Configs++
	if sum := sha256.Sum256(c.Body); hash != hex.EncodeToString(sum[:]) {
		return true, v.find(place, "it is not %s that was in force", which)
	}
	return true, nil
}

// verifyLoadings checks that the loadings are those of the log, each once and in order.
func (v *verifier) verifyLoadings(ctx context.Context) error {
	_, err := count(ctx, v, func(r storage.Snapshot) (bool, error) {
		records, err := storage.LoadingRecords(ctx, r) // the latest first
		if err != nil {
			return false, v.damage("configs", err)
		}
		place := func(i int) string { return describe(storage.Leaf{Kind: ledger.Config, Record: records[i]}) }
		if err := v.inLog(ctx, r, ledger.Config, records, place); err != nil {
			return false, err
		}
		for i := range records[min(1, len(records)):] {
			later, earlier := records[i].Index, records[i+1].Index
			if later >= 0 && earlier >= later {
				return false, v.find(place(i+1), "it stands before the one of leaf %d, and is that of leaf %d", later, earlier)
			}
		}
		return true, nil
	})
	return err
}
