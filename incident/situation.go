package incident

import (
	"cmp"
	"slices"
	"time"
)

// A Situation is all of an incident that changes together: the state, the readers,
// and what the scheduler keeps. [Reconcile] makes a new one of it.
type Situation struct {
	Incident      Incident
	Subscriptions []Subscription // ordered by recipient
	Agenda        Agenda
	// Tries is what is known of when readers are tried; nil where nobody asked. Then all
	// counts as told when it was promised. The rules leave it as it is, and it is not stored.
	Tries *Tries
}

// Tries says when those are tried to whom something cannot be handed over.
type Tries struct {
	Now time.Time
	// Held is until when nothing about the incident is tried again, by recipient, of those
	// whom a failure holds back.
	RetryAt map[string]time.Time
}

// LastHeardAt returns when a breach was last heard to fire; zero if never.
func (s *Situation) LastHeardAt() time.Time { return latest(s.Incident.HeardAt, s.Agenda.LastHeardAt) }

// Clone returns a copy that changes by itself.
func (s *Situation) Clone() *Situation {
	c := *s
	c.Subscriptions = slices.Clone(s.Subscriptions)
	for i := range c.Subscriptions {
		c.Subscriptions[i].Owed = slices.Clone(c.Subscriptions[i].Owed)
	}
	return &c
}

// Subscription returns the reader's subscription, nil if there is none.
func (s *Situation) Subscription(recipient string) *Subscription {
	i, ok := s.find(recipient)
	if !ok {
		return nil
	}
	return &s.Subscriptions[i]
}

// subscription returns the reader's, a new one if there is none yet.
func (s *Situation) subscription(recipient string) *Subscription {
	i, ok := s.find(recipient)
	if !ok {
		s.Subscriptions = slices.Insert(s.Subscriptions, i, Subscription{
			Incident: s.Incident.Number, Recipient: recipient, Reader: len(s.Subscriptions) + 1,
		})
	}
	return &s.Subscriptions[i]
}

func (s *Situation) find(recipient string) (int, bool) {
	return slices.BinarySearchFunc(s.Subscriptions, recipient, func(sub Subscription, id string) int { return cmp.Compare(sub.Recipient, id) })
}

// Paused reports whether scheduled updates pause, as nobody has known for [PauseAfter]
// whether any breach still fires.
func (s *Situation) Paused() bool {
	return !s.Agenda.PausedFor.IsZero() && s.Agenda.PausedFor.Equal(s.Incident.UnknownSince)
}
