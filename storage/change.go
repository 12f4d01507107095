package storage

import (
	"context"
	"reflect"
	"slices"
	"time"

	"sitrep/incident"
)

// A Door is how incidents are changed, by alerts, people and time alike.
type Door struct {
	Store  Store
	Policy func() *incident.Policy // in force
	// Wake hints that something may be due. It is lost without harm.
	Wake func()
	// Observe is told of an incident's events after their commit, in order; nil if
	// nobody counts. A process that ends in between has told of none.
	Observe func(events []incident.Event)
}

// Change runs fn, and stores the incidents that it changed with their events and
// subscriptions in the same transaction, or nothing. The function may run more
// than once. It returns after the commit.
func (d *Door) Change(ctx context.Context, at time.Time, fn func(*Change) error) error {
	at = at.UTC().Truncate(time.Microsecond)
	var done *Change
	err := d.Store.Write(ctx, func(tx Tx) error {
		c := &Change{Tx: tx, Policy: d.Policy(), At: at, loaded: map[int64]*loaded{}, opened: map[string]int64{}}
		if err := fn(c); err != nil {
			return err
		}
		done = c
		return c.store()
	})
	if err != nil {
		return err
	}
	for _, n := range done.order {
		if events := done.loaded[n].events; len(events) > 0 && d.Observe != nil {
			d.Observe(events)
		}
	}
	if (len(done.order) > 0 || done.wake) && d.Wake != nil {
		d.Wake()
	}
	return nil
}

// Preview runs fn as Change does and stores nothing. It returns the situations of
// the incidents before and after, in the order in which they were asked for.
func (d *Door) Preview(ctx context.Context, at time.Time, fn func(*Change) error) (before, after []*incident.Situation, err error) {
	at = at.UTC().Truncate(time.Microsecond)
	err = d.Store.Read(ctx, func(r Reader) error {
		c := &Change{Tx: preview{r}, Policy: d.Policy(), At: at, loaded: map[int64]*loaded{}, opened: map[string]int64{}}
		if err := fn(c); err != nil {
			return err
		}
		for _, n := range c.order {
			l := c.loaded[n]
			if err := l.loadReaders(r); err != nil {
				return err
			}
			l.now.Finish(l.nudges, c.Policy, at)
			before, after = append(before, l.was), append(after, l.now)
		}
		return nil
	})
	return before, after, err
}

// A Change is a transaction in which incidents change.
type Change struct {
	Tx     Tx
	Policy *incident.Policy
	At     time.Time

	loaded map[int64]*loaded
	order  []int64
	opened map[string]int64 // numbers of new incidents, by key
	wake   bool
	pulses *incident.Pulses // once they were asked for
}

type loaded struct {
	was    *incident.Situation
	now    *incident.Situation
	events []incident.Event
	nudges []incident.Owed
	isNew  bool
	// readers is set once the subscriptions are there.
	readers bool
}

func (l *loaded) loadReaders(r Reader) (err error) {
	if l.readers {
		return nil
	}
	if l.now.Subscriptions, err = r.Subscriptions(l.now.Incident.Number); err != nil {
		return err
	}
	l.was.Subscriptions = l.now.Clone().Subscriptions
	l.readers = true
	return nil
}

// Stamp says that the actor decides now.
func (c *Change) Stamp(actor incident.Actor) incident.Stamp {
	return incident.Stamp{At: c.At, Actor: actor, Config: c.Policy.Hash}
}

// Situation returns an incident with all that changes with it. Whatever was changed
// in it is stored at the end.
func (c *Change) Situation(number int64) (*incident.Situation, error) {
	if _, err := c.Incident(number); err != nil {
		return nil, err
	}
	l := c.loaded[number]
	return l.now, l.loadReaders(c.Tx)
}

// Incident is Situation without the readers, for events that come in great numbers
// and mostly do not concern them. At the end they are there if need be.
func (c *Change) Incident(number int64) (*incident.Situation, error) {
	if l, ok := c.loaded[number]; ok {
		return l.now, nil
	}
	in, err := c.Tx.Incident(number)
	if err != nil {
		return nil, err
	}
	s := &incident.Situation{Incident: in}
	if s.Agenda, err = c.Tx.Agenda(number); err != nil {
		return nil, err
	}
	s.Agenda.Incident = number
	c.keep(number, &loaded{was: s.Clone(), now: s})
	return s, nil
}

// Follow returns, as Incident does, the one that goes on in place of this one, itself
// if it was not merged.
func (c *Change) Follow(number int64) (*incident.Situation, error) {
	for {
		s, err := c.Incident(number)
		if err != nil || s.Incident.MergedInto == 0 {
			return s, err
		}
		number = s.Incident.MergedInto
	}
}

// New returns the situation of an incident that does not exist yet, with a number
// of its own.
func (c *Change) New() (*incident.Situation, error) {
	number, err := c.Tx.NextNumber()
	if err != nil {
		return nil, err
	}
	s := &incident.Situation{Incident: incident.Incident{Number: number}, Agenda: incident.Agenda{Incident: number}}
	c.keep(number, &loaded{was: s.Clone(), now: s, isNew: true, readers: true})
	return s, nil
}

func (c *Change) keep(number int64, l *loaded) {
	c.loaded[number] = l
	c.order = append(c.order, number)
}

// Record makes the events part of the incident.
func (c *Change) Record(s *incident.Situation, events ...incident.Event) error {
	l := c.loaded[s.Incident.Number]
	l.events = append(l.events, events...)
	return s.Record(events...)
}

// Nudge reminds the team at the end.
func (c *Change) Nudge(s *incident.Situation, nudges ...incident.Owed) {
	l := c.loaded[s.Incident.Number]
	l.nudges = append(l.nudges, nudges...)
}

func (c *Change) store() error {
	for _, n := range c.order {
		l := c.loaded[n]
		if l.isNew && len(l.events) == 0 {
			continue
		}
		if l.readers || l.now.Concerns() || len(l.nudges) > 0 {
			if err := l.loadReaders(c.Tx); err != nil {
				return err
			}
			l.now.Finish(l.nudges, c.Policy, c.At)
		}
		if len(l.events) > 0 {
			if err := c.Tx.PutIncident(&l.now.Incident); err != nil {
				return err
			}
			if err := c.Tx.AppendEvents(l.events); err != nil {
				return err
			}
		}
		if subs := l.changedSubscriptions(); len(subs) > 0 {
			if err := c.Tx.PutSubscriptions(subs); err != nil {
				return err
			}
		}
		if !reflect.DeepEqual(l.was.Agenda, l.now.Agenda) {
			if err := c.Tx.PutAgenda(&l.now.Agenda); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loaded) changedSubscriptions() []incident.Subscription {
	var out []incident.Subscription
	for i := range l.now.Subscriptions {
		sub := &l.now.Subscriptions[i]
		if was := l.was.Subscription(sub.Recipient); was == nil || !equal(was, sub) {
			out = append(out, *sub)
		}
	}
	return out
}

func equal(a, b *incident.Subscription) bool {
	x, y := *a, *b
	if !slices.Equal(x.Owed, y.Owed) || !slices.Equal(x.Audiences, y.Audiences) || !slices.Equal(x.Groups, y.Groups) {
		return false
	}
	x.Owed, y.Owed, x.Audiences, y.Audiences, x.Groups, y.Groups = nil, nil, nil, nil, nil, nil
	return reflect.DeepEqual(x, y)
}

// Situation reads an incident with all that changes with it.
func Situation(r Reader, number int64) (*incident.Situation, error) {
	in, err := r.Incident(number)
	if err != nil {
		return nil, err
	}
	s := &incident.Situation{Incident: in}
	if s.Subscriptions, err = r.Subscriptions(number); err != nil {
		return nil, err
	}
	if s.Agenda, err = r.Agenda(number); err != nil {
		return nil, err
	}
	s.Agenda.Incident = number
	return s, nil
}
