package storagetest

import (
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

func job(owner string) storage.Job {
	return storage.Job{Name: "prune", Owner: owner, Lease: long, Every: time.Hour}
}

// take takes a job at f.now, and reports whether it could.
func (f *fixture) take(s storage.Store, j storage.Job) (taken bool) {
	f.Helper()
	err := s.Write(f.Context(), func(tx storage.Tx) (err error) {
		taken, err = tx.TakeJob(f.Context(), j, f.now)
		return err
	})
	if err != nil {
		f.Errorf("take %+v: %v", j, err)
	}
	return taken
}

func (f *fixture) done(s storage.Store, j storage.Job, at time.Time) error {
	return s.Write(f.Context(), func(tx storage.Tx) error { return tx.EndJob(f.Context(), j, at) })
}

var jobRules = []rule{
	{"of many who ask at once one gets a job", func(f *fixture) {
		var n atomic.Int64
		f.each(16, func(i int, s storage.Store) {
			if f.take(s, job(string(rune('a'+i)))) {
				n.Add(1)
			}
		})
		f.equal("taken", n.Load(), int64(1))
	}},
	{"a job is its owner's until its lease is over", func(f *fixture) {
		f.equal("first", f.take(f.store, job("one")), true)
		f.equal("another", f.take(f.other, job("two")), false)
		other := job("two")
		other.Name = "ask"
		f.equal("another job", f.take(f.other, other), true)
		brief := job("one")
		brief.Lease = short
		f.equal("its owner, again", f.take(f.store, brief), true)
		f.pass()
		f.equal("when it is over", f.take(f.other, job("two")), true)
		f.equal("then not the first", f.take(f.store, job("one")), false)
		f.fails("the end of the first", f.done(f.store, job("one"), f.now), storage.ErrLost)
		if err := f.done(f.other, job("two"), f.now); err != nil {
			f.Error(err)
		}
		f.fails("its end, again", f.done(f.other, job("two"), f.now), storage.ErrLost)
	}},
	{"a job may be ended after its lease, if nobody took it", func(f *fixture) {
		j := job("one")
		j.Lease = short
		f.equal("taken", f.take(f.store, j), true)
		f.pass()
		if err := f.done(f.store, j, f.now); err != nil {
			f.Error(err)
		}
		f.equal("another", f.take(f.other, job("two")), false)
	}},
	{"a job that was done is not due before its time, for whoever asks", func(f *fixture) {
		end := func(j storage.Job, ago time.Duration) {
			f.Helper()
			f.equal("taken", f.take(f.store, j), true)
			if err := f.done(f.store, j, f.now.Add(-ago)); err != nil {
				f.Error(err)
			}
		}
		end(job("one"), time.Hour-time.Second)
		f.equal("too soon", f.take(f.store, job("one")), false)
		f.equal("too soon for another", f.take(f.other, job("two")), false)
		often := job("two")
		often.Every = 0
		f.equal("who does it more often", f.take(f.other, often), true)
		if err := f.done(f.other, often, f.now.Add(-time.Hour)); err != nil {
			f.Error(err)
		}
		end(job("one"), 0)
		f.now = f.now.Add(time.Hour)
		f.equal("in time", f.take(f.other, job("two")), true)
	}},
	{"a job that was done for one thing is due for another", func(f *fixture) {
		first, second := job("one"), job("two")
		first.For, second.For = "1", "2"
		f.equal("first", f.take(f.store, first), true)
		f.equal("not while it is under way", f.take(f.other, second), false)
		if err := f.done(f.store, first, f.now); err != nil {
			f.Error(err)
		}
		f.equal("second", f.take(f.other, second), true)
		if err := f.done(f.other, second, f.now); err != nil {
			f.Error(err)
		}
		f.equal("second again", f.take(f.store, second), false)
		f.equal("the first again", f.take(f.store, first), true)
	}},
	{"what was done after now was done before the clock was set back", func(f *fixture) {
		f.equal("taken", f.take(f.store, job("one")), true)
		if err := f.done(f.store, job("one"), f.now.Add(time.Minute)); err != nil {
			f.Error(err)
		}
		f.equal("due", f.take(f.other, job("two")), true)
	}},
	{"a job that is taken in a write that fails is free", func(f *fixture) {
		broken := errors.New("broken")
		err := f.store.Write(f.Context(), func(tx storage.Tx) error {
			if _, err := tx.TakeJob(f.Context(), job("one"), f.now); err != nil {
				return err
			}
			return broken
		})
		f.fails("write", err, broken)
		f.equal("another", f.take(f.other, job("two")), true)
	}},
	{"a job has a name and an owner", func(f *fixture) {
		for _, j := range []storage.Job{{Owner: "a"}, {Name: "b"}, {Name: strings.Repeat("x", 201), Owner: "a"}} {
			err := f.store.Write(f.Context(), func(tx storage.Tx) error {
				_, err := tx.TakeJob(f.Context(), j, f.now)
				return err
			})
			f.fails("take", err, incident.ErrInvalid)
			f.fails("end", f.done(f.store, j, f.now), incident.ErrInvalid)
		}
		j := job(strings.Repeat("owner", 40))
		j.Name, j.For = strings.Repeat("x", 200), strings.Repeat("f", 5000)
		f.equal("long ones", f.take(f.store, j), true)
		if err := f.done(f.store, j, f.now); err != nil {
			f.Error(err)
		}
		f.equal("done", f.take(f.other, j), false)
	}},
	{"a job is done by one of many, and what fails is kept", func(f *fixture) {
		var n atomic.Int64
		f.each(16, func(i int, s storage.Store) {
			taken, err := storage.DoJob(f.Context(), s, job(string(rune('a'+i))), f.now, func() (bool, error) {
				n.Add(1)
				return false, nil
			})
			if err != nil || !taken && n.Load() > 1 {
				f.Errorf("%v, %v", taken, err)
			}
		})
		f.equal("done", n.Load(), int64(1))
		f.now = f.now.Add(time.Hour)
		broken := errors.New("broken")
		for _, fn := range []func() (bool, error){
			func() (bool, error) { return false, broken },
			func() (bool, error) { return true, nil },
			func() (bool, error) { return false, nil },
		} {
			_, want := fn()
			taken, err := storage.DoJob(f.Context(), f.store, job("one"), f.now, fn)
			f.equal("by its owner", taken, true)
			f.fails("job", err, want)
			f.equal("by another", f.take(f.other, job("two")), false)
		}
	}},
}
