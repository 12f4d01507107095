package storagetest

import (
	"fmt"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// generation returns the configuration in force.
func (f *fixture) generation() (g storage.Generation) {
	f.Helper()
	f.read(func(r storage.Snapshot) (err error) {
		g, err = r.Generation(f.Context())
		return err
	})
	return g
}

// enter is a process that loads a configuration. It returns the generation in force then.
func (f *fixture) enter(s storage.Store, owner, hash string, at time.Time) (g storage.Generation) {
	f.Helper()
	err := s.Write(f.Context(), func(tx storage.Tx) (err error) {
		l := storage.Loading{Hash: hash, At: at, Actor: incident.ActorStart}
		g, err = storage.EnterConfig(f.Context(), tx, owner, l, storage.Config{Hash: hash, Body: []byte(hash)})
		return err
	})
	if err != nil {
		f.Fatalf("load %q: %v", hash, err)
	}
	return g
}

// loaded are the hashes of all loadings, the first first.
func (f *fixture) loaded() (hashes []string) {
	f.Helper()
	f.read(func(r storage.Snapshot) error {
		all, err := storage.Loadings(f.Context(), r)
		for _, l := range all {
			hashes = append([]string{l.Hash}, hashes...)
		}
		return err
	})
	return hashes
}

var configRules = []rule{
	{"a configuration is kept once, each loading of it too", func(f *fixture) {
		body := []byte("priorities: []\n")
		loads := []storage.Loading{
			{Hash: "h1", At: f.ago(3), Actor: incident.ActorScheduler}, {Hash: "h2", At: f.ago(2), Actor: "ada"}, {Hash: "h1", At: f.ago(1), Actor: "bob"},
		}
		for _, l := range loads {
			f.write(func(tx storage.Tx) error {
				return tx.PutConfig(f.Context(), l, storage.Config{Hash: l.Hash, Body: body})
			})
		}
		f.read(func(r storage.Snapshot) error {
			c, err := r.Config(f.Context(), "h1")
			if err != nil {
				return err
			}
			f.equal("config", c, storage.Config{Hash: "h1", Body: body})
			_, err = r.Config(f.Context(), "h3")
			f.fails("another", err, incident.ErrNotFound)
			all, err := storage.Loadings(f.Context(), r)
			f.equal("loadings", all, []storage.Loading{loads[2], loads[1], loads[0]})
			if err != nil {
				return err
			}
			records, err := storage.LoadingRecords(f.Context(), r)
			for i := range records {
				l, err := storage.DecodeLoading(records[i])
				if err != nil {
					return err
				}
				f.equal("record of a loading", l, all[i])
			}
			f.equal("records of loadings", len(records), len(all))
			return err
		})
	}},
	{"each loading is a generation, and the latest is in force", func(f *fixture) {
		f.equal("none", f.generation(), storage.Generation{})
		for i, hash := range []string{"a", "b", "a"} {
			at := f.ago(i) // the clock was set back: the count says which is the latest
			f.write(func(tx storage.Tx) error {
				if err := tx.PutConfig(f.Context(), storage.Loading{Hash: hash, At: at, Actor: "ada"}, storage.Config{Hash: hash, Body: []byte(hash)}); err != nil {
					return err
				}
				in, err := tx.Generation(f.Context())
				f.equal("in the write", in, storage.Generation{Number: int64(i + 1), Hash: hash, At: at})
				return err
			})
			f.equal("in force", f.generation(), storage.Generation{Number: int64(i + 1), Hash: hash, At: at})
		}
	}},
	{"of many who load the same at once one is a loading", func(f *fixture) {
		var mu sync.Mutex
		seen := map[storage.Generation]int{}
		for round, hash := range []string{"a", "b"} {
			f.each(16, func(i int, s storage.Store) {
				g := f.enter(s, fmt.Sprint(i), hash, f.ago(9-round))
				mu.Lock()
				defer mu.Unlock()
				seen[g]++
			})
		}
		f.equal("loadings", f.loaded(), []string{"a", "b"})
		f.equal("generations", seen, map[storage.Generation]int{{Number: 1, Hash: "a", At: f.ago(9)}: 16, {Number: 2, Hash: "b", At: f.ago(8)}: 16})
	}},
	{"who starts with what was in force before stays behind while another has the newest", func(f *fixture) {
		f.enter(f.store, "one", "a", f.now)
		f.enter(f.other, "two", "b", f.now)
		f.equal("started again", f.enter(f.store, "three", "a", f.now).Hash, "b")
		f.equal("and the newest", f.enter(f.store, "one", "b", f.now).Number, int64(2))
		f.equal("one that is new", f.enter(f.store, "one", "c", f.now).Number, int64(3))
		f.equal("taken back by who had it", f.enter(f.store, "one", "b", f.now).Number, int64(4))
		f.equal("loadings", f.loaded(), []string{"a", "b", "c", "b"})
	}},
	{"no loading comes before the one that it follows", func(f *fixture) {
		f.enter(f.store, "one", "a", f.now)
		f.equal("at", f.enter(f.other, "two", "b", f.ago(60)).At, f.now)
		f.equal("loadings", f.loaded(), []string{"a", "b"})
	}},
}
