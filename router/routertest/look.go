package routertest

import (
	"slices"

	"sitrep/incident"
	"sitrep/storage"
)

// Store is the store while it is open.
func (w *World) Store() storage.Store { return w.store }

// Repository is that of the pages and the API.
func (w *World) Repository() *storage.Repository { return w.repo }

// Read reads the store.
func (w *World) Read(fn func(storage.Snapshot) error) {
	w.t.Helper()
	if err := w.store.Read(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// Write writes to the store, past all rules.
func (w *World) Write(fn func(storage.Tx) error) {
	w.t.Helper()
	if err := w.store.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// Situation returns an incident with its readers.
func (w *World) Situation(number int64) (s *incident.Situation) {
	w.t.Helper()
	w.Read(func(r storage.Snapshot) (err error) {
		s, err = storage.Situation(w.t.Context(), r, number)
		return err
	})
	return s
}

// Events returns the events of an incident of those types, or all if none is named.
func (w *World) Events(number int64, types ...incident.EventType) (events []incident.Event) {
	w.t.Helper()
	w.Read(func(r storage.Snapshot) (err error) {
		events, err = storage.EventsOf(w.t.Context(), r, number, 0, 100_000)
		return err
	})
	return slices.DeleteFunc(events, func(e incident.Event) bool { return len(types) > 0 && !slices.Contains(types, e.Type) })
}

// Deliveries returns all deliveries, the last first.
func (w *World) Deliveries() (all []incident.Delivery) {
	w.t.Helper()
	w.Read(func(r storage.Snapshot) error {
		for cursor := ""; ; {
			page, next, err := r.Deliveries(w.t.Context(), storage.DeliveryQuery{Limit: 1000, Cursor: cursor})
			if err != nil {
				return err
			}
			all = append(all, page...)
			if cursor = next; cursor == "" {
				return nil
			}
		}
	})
	return all
}

// BreachState returns the state of the latest breach of a fingerprint, empty if there is none. Any
// goroutine may call it.
func (w *World) BreachState(fingerprint string) (state incident.BreachState) {
	w.t.Helper()
	w.Read(func(r storage.Snapshot) error {
		b, err := storage.LatestBreach(w.t.Context(), r, fingerprint)
		if b != nil {
			state = b.State
		}
		return err
	})
	return state
}
