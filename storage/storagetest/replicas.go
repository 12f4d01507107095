package storagetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// replica returns one with all fields set, that was seen at that time.
func (f *fixture) replica(owner, instance string, seen time.Time) storage.Replica {
	return storage.Replica{
		Owner: owner, Instance: instance, Version: "1.2.3", StartedAt: f.ago(30), Config: "c0ffee", ConfigSince: f.ago(20),
		Skew: -1500 * time.Microsecond, Uncertainty: 300 * time.Microsecond, SeenAt: seen,
	}
}

func (f *fixture) lives(s storage.Store, r storage.Replica) {
	f.Helper()
	if err := s.Write(f.Context(), func(tx storage.Tx) error { return tx.PutAlive(f.Context(), r) }); err != nil {
		f.Errorf("put %+v: %v", r, err)
	}
}

// known are the owners of those that are known, and when somebody was last alive.
func (f *fixture) known() (owners string, alive time.Time) {
	f.Helper()
	f.read(func(r storage.Snapshot) error {
		all, err := r.Replicas(f.Context())
		if err != nil {
			return err
		}
		var list []string
		for i := range all {
			list = append(list, all[i].Owner)
		}
		owners = strings.Join(list, " ")
		alive, err = r.Alive(f.Context())
		return err
	})
	return owners, alive
}

var replicaRules = []rule{
	{"the clock is one for all, and goes on", func(f *fixture) {
		var last time.Time
		for i := range 20 {
			at, err := []storage.Store{f.store, f.other}[i%2].Clock(f.Context())
			if err != nil {
				f.Fatal(err)
			}
			if at.Before(last) || at.IsZero() {
				f.Errorf("%v after %v", at, last)
			}
			f.equal("time", at, at.UTC().Truncate(time.Microsecond))
			last = at
		}
	}},
	{"replicas are known by what each said last", func(f *fixture) {
		owners, alive := f.known()
		f.equal("at first", owners, "")
		f.equal("at first", alive, time.Time{})
		f.lives(f.store, f.replica("x", "b:9098", f.ago(3)))
		f.lives(f.other, f.replica("y", "a:9098", f.ago(2)))
		f.lives(f.other, f.replica("w", "b:9098", f.ago(1)))
		last := f.replica("x", "b:9098", f.now)
		last.Config, last.Skew, last.Version = "decade", 20*time.Second, ""
		f.lives(f.store, last)
		f.read(func(r storage.Snapshot) error {
			all, err := r.Replicas(f.Context())
			f.equal("replicas", all, []storage.Replica{f.replica("y", "a:9098", f.ago(2)), f.replica("w", "b:9098", f.ago(1)), last})
			return err
		})
		_, alive = f.known()
		f.equal("alive", alive, f.now)
	}},
	{"a replica that was not seen for a day is forgotten", func(f *fixture) {
		f.lives(f.store, f.replica("old", "a", f.now.Add(-storage.ReplicasKept-time.Microsecond)))
		f.lives(f.store, f.replica("kept", "b", f.now.Add(-storage.ReplicasKept)))
		f.lives(f.other, f.replica("new", "c", f.now))
		owners, _ := f.known()
		f.equal("known", owners, "kept new")
	}},
	{"somebody was alive when it was said last, also after the clock was set back", func(f *fixture) {
		f.lives(f.store, f.replica("a", "a", f.now))
		f.lives(f.other, f.replica("b", "b", f.ago(60)))
		owners, alive := f.known()
		f.equal("known", owners, "a b")
		f.equal("alive", alive, f.ago(60))
	}},
	{"of many that come back at once one finds out since when nobody ran", func(f *fixture) {
		f.lives(f.store, f.replica("before", "a", f.ago(60)))
		var found atomic.Int64
		f.each(16, func(i int, s storage.Store) {
			first := false
			err := s.Write(f.Context(), func(tx storage.Tx) error {
				last, err := tx.Alive(f.Context())
				if err != nil {
					return err
				}
				first = last.Before(f.ago(30))
				return tx.PutAlive(f.Context(), f.replica(fmt.Sprint(i), "a", f.now))
			})
			if err != nil {
				f.Errorf("write: %v", err)
			}
			if first {
				found.Add(1)
			}
		})
		f.equal("found", found.Load(), int64(1))
	}},
	{"a replica has an owner", func(f *fixture) {
		for _, owner := range []string{"", strings.Repeat("x", 201)} {
			err := f.store.Write(f.Context(), func(tx storage.Tx) error { return tx.PutAlive(f.Context(), f.replica(owner, "a", f.now)) })
			f.fails("put", err, incident.ErrInvalid)
		}
		f.lives(f.store, f.replica(strings.Repeat("x", 200), strings.Repeat("host", 100), f.now))
	}},
	{"what a write that fails says of a replica is not known", func(f *fixture) {
		broken := errors.New("broken")
		err := f.store.Write(f.Context(), func(tx storage.Tx) error {
			return errors.Join(tx.PutAlive(f.Context(), f.replica("a", "a", f.now)), broken)
		})
		f.fails("write", err, broken)
		owners, alive := f.known()
		f.equal("known", owners, "")
		f.equal("alive", alive, time.Time{})
	}},
}

func (f *fixture) count(s storage.Store, at time.Time, failed map[string]int, succeeded ...string) {
	f.Helper()
	err := s.Write(f.Context(), func(tx storage.Tx) error { return tx.CountLogins(f.Context(), failed, succeeded, at) })
	if err != nil {
		f.Errorf("count: %v", err)
	}
}

func (f *fixture) failures(who ...string) (all map[string]storage.LoginFailures) {
	f.Helper()
	f.read(func(r storage.Snapshot) (err error) {
		all, err = r.LoginFailures(f.Context(), who, f.now)
		return err
	})
	return all
}

var loginRules = []rule{
	{"failed log-ins are counted, whoever saw them", func(f *fixture) {
		f.equal("at first", f.failures("a", "b"), map[string]storage.LoginFailures{})
		f.count(f.store, f.ago(2), map[string]int{"a": 1, "b": 3})
		f.count(f.other, f.ago(1), map[string]int{"a": 2})
		f.equal("failures", f.failures("b", "a", "none", "a"), map[string]storage.LoginFailures{"a": {Count: 3, LastAt: f.ago(1)}, "b": {Count: 3, LastAt: f.ago(2)}})
		f.equal("of nobody", f.failures(), map[string]storage.LoginFailures{})
		f.count(f.other, f.now, nil)
		f.count(f.other, f.now, map[string]int{"b": 1}, "a", "none")
		f.equal("after a success", f.failures("a", "b"), map[string]storage.LoginFailures{"b": {Count: 4, LastAt: f.now}})
	}},
	{"of many that count at once each counts", func(f *fixture) {
		f.writeEach(16, func(i int, tx storage.Tx) error {
			return tx.CountLogins(f.Context(), map[string]int{"a": 1, "b": 2, fmt.Sprint("c", i): 1}, []string{fmt.Sprint("d", i)}, f.now)
		})
		f.equal("failures", f.failures("a", "b", "c7"), map[string]storage.LoginFailures{"a": {Count: 16, LastAt: f.now}, "b": {Count: 32, LastAt: f.now}, "c7": {Count: 1, LastAt: f.now}})
	}},
	{"of many that look before they count one sees each count", func(f *fixture) {
		var seen [16]atomic.Int64
		f.writeEach(len(seen), func(i int, tx storage.Tx) error {
			who := []string{"b", "a"}
			all, err := tx.LoginFailures(f.Context(), who, f.now)
			if err != nil {
				return err
			}
			if err := tx.CountLogins(f.Context(), map[string]int{"a": 1, "b": 1}, nil, f.now); err != nil {
				return err
			}
			f.equal("both", all["a"], all["b"])
			seen[i].Store(int64(all["a"].Count))
			return nil
		})
		counts := map[int64]bool{}
		for i := range seen {
			counts[seen[i].Load()] = true
		}
		f.equal("different counts", len(counts), len(seen))
	}},
	{"failed log-ins count for a while, and then from the beginning", func(f *fixture) {
		last, over := f.now.Add(-storage.LoginFailuresKept), f.now.Add(-storage.LoginFailuresKept-time.Microsecond)
		f.count(f.store, over, map[string]int{"over": 5, "again": 5})
		f.count(f.store, last, map[string]int{"last": 5})
		f.equal("failures", f.failures("over", "again", "last"), map[string]storage.LoginFailures{"last": {Count: 5, LastAt: last}})
		f.count(f.other, f.now, map[string]int{"again": 1, "last": 1})
		f.equal("failures", f.failures("over", "again", "last"), map[string]storage.LoginFailures{"again": {Count: 1, LastAt: f.now}, "last": {Count: 6, LastAt: f.now}})
	}},
}
