package storagetest

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// newEvents returns events 1 to n of an incident, of many types.
func (f *fixture) newEvents(number int64, n int) []incident.Event {
	kinds := []incident.Event{
		{Type: incident.EventOpened, Actor: incident.ActorAlertmanager, Data: incident.Data{Opening: &incident.Opening{Key: "k", UseCase: "<it> & \"that\"", Priority: incident.Priority{Name: "P1"}}}},
		{Type: incident.EventBreachStarted, Actor: incident.ActorAlertmanager, Data: incident.Data{Fingerprint: "a\"\n\u2028", StartsAt: f.now, Priority: "P1"}},
		{Type: incident.EventPhaseChanged, Actor: "ada", Reason: "needs a provider", Data: incident.Data{From: "investigation", To: "escalation", EscalatedTo: "bob"}},
		{Type: incident.EventUpdateMissed, Actor: incident.ActorScheduler, Data: incident.Data{DueAt: f.now, Missed: 2, Audience: incident.AudienceManagement, Cause: incident.Cause{Kind: incident.CauseDown, From: f.ago(2), To: f.ago(1)}}},
		{Type: incident.EventUpdateWritten, Actor: "Ünal <u@example.org>", Data: incident.Data{Message: "we look", Audiences: []incident.Audience{incident.AudienceStakeholders}}},
		{Type: incident.EventNoteWritten, Actor: "grace@example.org", Reason: "db-7 is full,\nand \"db-8\" soon"},
	}
	events := make([]incident.Event, n)
	for i := range events {
		e := kinds[i%len(kinds)]
		e.Incident, e.Sequence, e.Time, e.Config = number, int64(i+1), f.now.Add(time.Duration(i)*time.Second), "c0ffee"
		events[i] = e
	}
	return events
}

var eventRules = []rule{
	{"events are read as they were appended, in pages", func(f *fixture) {
		events := f.newEvents(1, 12)
		f.write(func(tx storage.Tx) error { return tx.AppendEvents(f.Context(), events[:5]) })
		f.write(func(tx storage.Tx) error {
			return tx.AppendEvents(f.Context(), append(f.newEvents(2, 3), events[5:]...))
		})
		f.read(func(r storage.Snapshot) error {
			got, err := storage.EventsOf(f.Context(), r, 1, 0, 100)
			if err != nil {
				return err
			}
			f.equal("all", got, events)
			got, err = storage.EventsOf(f.Context(), r, 1, 4, 3)
			if err != nil {
				return err
			}
			f.equal("page", got, events[4:7])
			for _, after := range []int64{12, 100} {
				if got, err = storage.EventsOf(f.Context(), r, 1, after, 3); err != nil {
					return err
				}
				f.equal("after the end", len(got), 0)
			}
			got, err = storage.EventsOf(f.Context(), r, 3, 0, 3)
			f.equal("of none", len(got), 0)
			return err
		})
	}},
	{"events of several incidents are read in one set, each from a sequence on", func(f *fixture) {
		f.write(func(tx storage.Tx) error {
			return tx.AppendEvents(f.Context(), slices.Concat(f.newEvents(1, 12), f.newEvents(2, 3), f.newEvents(3, 2), f.newEvents(4, 1)))
		})
		want := map[int64][]incident.Event{1: f.newEvents(1, 12)[4:9], 2: f.newEvents(2, 3), 4: f.newEvents(4, 1)}
		after := map[int64]int64{1: 4, 2: 0, 3: 2, 4: -1, 5: 0}
		f.read(func(r storage.Snapshot) error {
			got, err := storage.EventsSince(f.Context(), r, after, 5)
			if err != nil {
				return err
			}
			f.equal("events", got, want)
			got, err = storage.EventsSince(f.Context(), r, nil, 5)
			f.equal("of none", len(got), 0)
			return err
		})
		f.write(func(tx storage.Tx) error {
			if err := tx.AppendEvents(f.Context(), f.newEvents(3, 3)[2:]); err != nil {
				return err
			}
			got, err := storage.EventsSince(f.Context(), tx, map[int64]int64{3: 2}, 5)
			f.equal("events that the write appended", got, map[int64][]incident.Event{3: f.newEvents(3, 3)[2:]})
			return err
		})
		f.read(func(r storage.Snapshot) error {
			if _, err := r.RecordsSince(f.Context(), after, 0); !errors.Is(err, incident.ErrInvalid) {
				f.Errorf("a limit of 0: %v", err)
			}
			return nil
		})
	}},
	{"a write reads the events that it appended", func(f *fixture) {
		f.write(func(tx storage.Tx) error {
			if err := tx.AppendEvents(f.Context(), f.newEvents(1, 2)); err != nil {
				return err
			}
			got, err := storage.EventsOf(f.Context(), tx, 1, 0, 10)
			f.equal("events", got, f.newEvents(1, 2))
			return err
		})
	}},
	{"sequences follow on", func(f *fixture) {
		events := f.newEvents(1, 5)
		f.write(func(tx storage.Tx) error { return tx.AppendEvents(f.Context(), events[:2]) })
		for name, bad := range map[string][]incident.Event{
			"gap": events[3:], "again": events[1:2], "twice": {events[2], events[2]}, "late": {f.newEvents(2, 2)[1]},
		} {
			if err := f.store.Write(f.Context(), func(tx storage.Tx) error { return tx.AppendEvents(f.Context(), bad) }); err == nil {
				f.Errorf("%s: no error", name)
			}
		}
		f.read(func(r storage.Snapshot) error {
			got, err := storage.EventsOf(f.Context(), r, 1, 0, 100)
			f.equal("events", got, events[:2])
			return err
		})
	}},
	{"a leaf stays as it is and names no person", func(f *fixture) {
		f.write(func(tx storage.Tx) error { return tx.AppendEvents(f.Context(), f.newEvents(1, 6)) })
		var first []storage.Record
		f.read(func(r storage.Snapshot) (err error) {
			first, err = storage.EventRecords(f.Context(), r, 1, 0, 100)
			return err
		})
		f.write(func(tx storage.Tx) error { return tx.PutIncidents(f.Context(), []*incident.Incident{f.newIncident(1)}) })
		f.read(func(r storage.Snapshot) error {
			again, err := storage.EventRecords(f.Context(), r, 1, 0, 100)
			if err != nil {
				return err
			}
			f.equal("records", placeless(again), placeless(first))
			part, err := storage.EventRecords(f.Context(), r, 1, 2, 1)
			f.equal("page", placeless(part), placeless(first)[2:3])
			return err
		})
		f.equal("records", len(first), 6)
		for i, r := range first {
			for _, name := range []string{"ada", "bob", "u@example.org", "grace"} {
				if bytes.Contains(hashes.ReplaceAll(r.Leaf, nil), []byte(name)) {
					f.Errorf("leaf %d names %q: %s", i, name, r.Leaf)
				}
			}
			e, err := storage.DecodeEvent(r)
			if err != nil {
				f.Errorf("leaf %d: %v", i, err)
			}
			f.equal("decoded", e, f.newEvents(1, 6)[i])
		}
	}},
}

// hashes are what stands for names; they may have the letters of one.
var hashes = regexp.MustCompile("sha256:[0-9a-f]{64}")

// placeless returns records without their index, which they may get later.
func placeless(records []storage.Record) []storage.Record {
	list := slices.Clone(records)
	for i := range list {
		list[i].Index = -1
	}
	return list
}
