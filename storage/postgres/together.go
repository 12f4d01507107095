package postgres

import (
	"errors"

	"sitrep/storage"
)

// errApart ends the function of a write that is run again, by itself.
var errApart = errors.New("it is to be run again, by itself")

// together is a transaction that several writes share. The function of each runs until it says what
// it locks, or what leases it takes; that is asked for all of them at once. Then one function
// goes on after the other, and finds what it needs. One of them runs at a time.
type together struct {
	tx        *tx
	yield     chan struct{} // the one whose turn it is waits, or has returned
	all       []*turn
	now       *turn
	gathering bool // nothing may be sent yet
	over      bool // nor any more
	leases    map[string]*storage.Lease
}

// A turn is a job in a transaction that it shares.
type turn struct {
	job   *job
	on    chan struct{}
	needs *storage.Needs // that it waits for; nil if it waits for leases
	take  *take          // that it waits for; nil if it waits for locks
	done  bool           // the function has returned
	err   error          // what it returned
	// spoilt is set if it did not return, or asked for something else first.
	spoilt bool
}

func newTogether(t *tx) *together {
	w := &together{tx: t, yield: make(chan struct{}), gathering: true}
	t.together, t.shared = w, true
	t.gate = func() error {
		if !w.gathering && !w.over {
			return nil
		}
		w.now.spoilt = true
		return errApart
	}
	return w
}

// start runs the function of a job until it waits for what it needs, or returns.
func (w *together) start(j *job) *turn {
	u := &turn{job: j, on: make(chan struct{})}
	w.all, w.now = append(w.all, u), u
	go func() {
		returned := false
		defer func() {
			_ = recover() // it panics again where it is run by itself
			u.done, u.spoilt = true, u.spoilt || !returned
			w.yield <- struct{}{}
		}()
		u.err = j.fn(w.tx)
		returned = true
	}()
	<-w.yield
	return u
}

// resume lets a function go on until it returns.
func (w *together) resume(u *turn) {
	w.now, w.tx.given = u, 0
	u.on <- struct{}{}
	<-w.yield
}

// wait lets the others go on until all have said what they need, and that is there.
func (w *together) wait() error {
	u := w.now
	w.yield <- struct{}{}
	<-u.on
	if w.over {
		return errApart
	}
	return nil
}

// lock reports whether what a write needs was locked together with what others need.
func (w *together) lock(n storage.Needs) (locked bool, err error) {
	if w == nil || !w.gathering {
		return false, nil
	}
	w.now.needs = &n
	err = w.wait()
	return err == nil, err
}

// takeLeases returns the leases that a write takes together with others, each once; nil if it
// is to take them by itself.
func (w *together) takeLeases(k take) (map[string]*storage.Lease, error) {
	if w == nil || !w.gathering {
		return nil, nil
	}
	w.now.take = &k
	if err := w.wait(); err != nil {
		return nil, err
	}
	taken := map[string]*storage.Lease{}
	for _, recipient := range k.recipients {
		id := text(recipient)
		if l := w.leases[id]; l != nil {
			taken[id] = l
			delete(w.leases, id)
		}
	}
	return taken, nil
}

// leased reports whether a lease was taken for a turn.
func (w *together) leased(u *turn) bool {
	if u.take == nil {
		return false
	}
	for _, recipient := range u.take.recipients {
		if w.leases[text(recipient)] != nil {
			return true
		}
	}
	return false
}

// prepare takes the leases and the locks that all wait for.
func (w *together) prepare(members []*turn) error {
	w.gathering = false
	t := w.tx
	var all take
	var n storage.Needs
	for _, u := range members {
		if k := u.take; k != nil {
			if len(all.recipients) > 0 && (all.owner != k.owner || all.term != k.term) {
				return errApart
			}
			all.owner, all.term = k.owner, k.term
			if k.now.After(all.now) {
				all.now = k.now
			}
			all.recipients = append(all.recipients, k.recipients...)
			continue
		}
		n.Keys, n.Fingerprints, n.Incidents = append(n.Keys, u.needs.Keys...), append(n.Fingerprints, u.needs.Fingerprints...), append(n.Incidents, u.needs.Incidents...)
		n.Fresh = append(n.Fresh, u.needs.Fresh...)
		n.Pulses, n.Leases, n.Readers = append(n.Pulses, u.needs.Pulses...), append(n.Leases, u.needs.Leases...), append(n.Readers, u.needs.Readers...)
	}
	if len(all.recipients) > 0 {
		var err error
		if w.leases, err = t.takeLeases(t.ctx, &all); err != nil {
			return err
		}
		for _, l := range w.leases { // whoever is owed one thing is told that
			if len(l.Subscriptions) == 1 {
				n.Incidents = append(n.Incidents, l.Subscriptions[0].Incident)
			}
		}
	}
	return t.lock(t.ctx, n)
}

// dismiss ends the functions that wait still.
func (w *together) dismiss() {
	w.over = true
	for _, u := range w.all {
		if !u.done {
			w.resume(u)
		}
	}
}
