package storagetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

var transactionRules = []rule{
	{"what a write stored is read", func(f *fixture) {
		f.write(func(tx storage.Tx) error { return tx.PutAlive(f.Context(), storage.Replica{Owner: "a", SeenAt: f.now}) })
		f.read(func(r storage.Snapshot) error {
			at, err := r.Alive(f.Context())
			f.equal("alive", at, f.now)
			return err
		})
	}},
	{"nothing of a write that fails is stored", func(f *fixture) {
		broken := errors.New("broken")
		err := f.store.Write(f.Context(), func(tx storage.Tx) error {
			if err := tx.PutAlive(f.Context(), storage.Replica{Owner: "a", SeenAt: f.now}); err != nil {
				return err
			}
			return broken
		})
		f.fails("write", err, broken)
		f.read(func(r storage.Snapshot) error {
			at, err := r.Alive(f.Context())
			f.equal("alive", at, time.Time{})
			return err
		})
	}},
	{"a write sees what it wrote", func(f *fixture) {
		f.write(func(tx storage.Tx) error {
			if err := tx.PutIncidents(f.Context(), []*incident.Incident{f.newIncident(1)}); err != nil {
				return err
			}
			if err := tx.PutBreaches(f.Context(), []*incident.Breach{f.newBreach("a", 1)}); err != nil {
				return err
			}
			in, err := storage.IncidentOf(f.Context(), tx, 1)
			f.equal("incident", in, *f.newIncident(1))
			if err != nil {
				return err
			}
			latest, err := tx.LatestOf(f.Context(), []string{"slo-1"})
			f.equal("latest", latest, map[string]int64{"slo-1": 1})
			if err != nil {
				return err
			}
			b, err := storage.LatestBreach(f.Context(), tx, "a")
			f.equal("breach", b, f.newBreach("a", 1))
			return err
		})
	}},
	{"the error of a read is passed on", func(f *fixture) {
		broken := errors.New("broken")
		f.fails("read", f.store.Read(f.Context(), func(storage.Snapshot) error { return broken }), broken)
	}},
	{"nothing is written for a client that has left", func(f *fixture) {
		err := f.store.Write(cancelled(), func(tx storage.Tx) error { return tx.PutAlive(f.Context(), storage.Replica{Owner: "a", SeenAt: f.now}) })
		f.fails("write", err, context.Canceled)

		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		err = f.store.Write(ctx, func(tx storage.Tx) error {
			if err := tx.PutAlive(ctx, storage.Replica{Owner: "a", SeenAt: f.now}); err != nil {
				return err
			}
			cancel()
			return nil
		})
		f.fails("write", err, context.Canceled)
		f.read(func(r storage.Snapshot) error {
			at, err := r.Alive(f.Context())
			f.equal("alive", at, time.Time{})
			return err
		})
	}},
	{"a read with a client that has left fails", func(f *fixture) {
		f.fails("read", f.store.Read(cancelled(), func(storage.Snapshot) error { return nil }), context.Canceled)
	}},
	{"of many writes at a time those that fail are left out and the others are stored", func(f *fixture) {
		const writers = 64
		broken := errors.New("broken")
		f.each(writers, func(i int, s storage.Store) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			err := s.Write(ctx, func(tx storage.Tx) error {
				if i%7 == 3 {
					return broken // before it wrote
				}
				if err := tx.PutBreaches(ctx, []*incident.Breach{f.newBreach(fmt.Sprint(i), 1)}); err != nil {
					return err
				}
				switch i % 7 {
				case 4:
					return broken // after it wrote
				case 5:
					cancel()
				}
				return nil
			})
			want := map[int]error{3: broken, 4: broken, 5: context.Canceled}[i%7]
			if !errors.Is(err, want) {
				f.Errorf("write %d: %v, want %v", i, err, want)
			}
		})
		f.read(func(r storage.Snapshot) error {
			for i := range writers {
				b, err := storage.LatestBreach(f.Context(), r, fmt.Sprint(i))
				if lost := i%7 >= 3 && i%7 <= 5; err != nil || lost != (b == nil) {
					f.Errorf("breach %d: %v, %v", i, b, err)
				}
			}
			return nil
		})
	}},
	{"writes of one thing follow on one another", func(f *fixture) {
		f.put(f.newIncident(1))
		f.writeEach(20, func(_ int, tx storage.Tx) error {
			in, err := storage.IncidentOf(f.Context(), tx, 1)
			if err != nil {
				return err
			}
			in.Sequence++
			return tx.PutIncidents(f.Context(), []*incident.Incident{&in})
		})
		f.read(func(r storage.Snapshot) error {
			in, err := storage.IncidentOf(f.Context(), r, 1)
			f.equal("sequence", in.Sequence, int64(21))
			return err
		})
	}},
	{"of two writers one opens the incident of a key", func(f *fixture) {
		f.writeEach(20, func(_ int, tx storage.Tx) error {
			latest, err := tx.LatestOf(f.Context(), []string{"one"})
			if err != nil || len(latest) != 0 {
				return err
			}
			n, err := tx.NextNumber(f.Context())
			if err != nil {
				return err
			}
			in := f.newIncident(n)
			in.Key = "one"
			return tx.PutIncidents(f.Context(), []*incident.Incident{in})
		})
		f.read(func(r storage.Snapshot) error {
			page, _, err := r.Incidents(f.Context(), storage.IncidentQuery{Limit: 10})
			f.equal("incidents", len(page), 1)
			return err
		})
	}},
	{"a reader keeps its snapshot", func(f *fixture) {
		f.put(f.newIncident(1))
		f.read(func(r storage.Snapshot) error {
			if _, err := storage.IncidentOf(f.Context(), r, 1); err != nil { // the snapshot is taken by now
				return err
			}
			changed := f.newIncident(1)
			changed.Sequence = 9
			f.put(changed)
			in, err := storage.IncidentOf(f.Context(), r, 1)
			f.equal("sequence", in.Sequence, int64(1))
			return err
		})
	}},
	{"a panic reaches who wrote, and the store goes on", func(f *fixture) {
		func() {
			defer func() {
				if recover() == nil {
					f.Error("no panic")
				}
			}()
			_ = f.store.Write(f.Context(), func(tx storage.Tx) error {
				if err := tx.PutAlive(f.Context(), storage.Replica{Owner: "a", SeenAt: f.now}); err != nil {
					return err
				}
				panic("of the function")
			})
		}()
		f.read(func(r storage.Snapshot) error {
			at, err := r.Alive(f.Context())
			f.equal("alive", at, time.Time{})
			return err
		})
		f.write(func(tx storage.Tx) error { return tx.PutAlive(f.Context(), storage.Replica{Owner: "a", SeenAt: f.now}) })
	}},
	{"the engine says what it is", func(f *fixture) {
		info, err := f.store.Info(f.Context())
		if err != nil || info.Engine == "" || info.Version < 1 || info.Path == "" || !info.Slow.IsZero() {
			f.Errorf("info %+v, error %v", info, err)
		}
	}},
	{"after closing a write surely was not stored", func(f *fixture) {
		if err := f.store.Close(); err != nil {
			f.Fatal(err)
		}
		err := f.store.Write(f.Context(), func(tx storage.Tx) error { return tx.PutAlive(f.Context(), storage.Replica{Owner: "a", SeenAt: f.now}) })
		f.fails("write", err, storage.ErrUnavailable)
		if err := f.store.Read(f.Context(), func(storage.Snapshot) error { return nil }); err == nil {
			f.Error("read: no error")
		}
		if err := f.store.Close(); err != nil {
			f.Errorf("close again: %v", err)
		}
	}},
}
