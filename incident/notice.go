package incident

import (
	"slices"
	"time"
)

// A Notice is what one reader is owed about one pulse of the watchdog or the canary, and what they
// know of it. Who hears that it went away hears that it is back, and nobody else does.
type Notice struct {
	Pulse     string `json:"pulse,omitempty"` // its name
	Recipient string `json:"recipient"`
	// Told is set once the reader was told that it is away, until they are told that it is
	// back.
	Told bool `json:"told,omitempty"`
	// Unsure is set while nobody knows whether the latest message was handed over, as it is
	// under way.
	Unsure bool `json:"unsure,omitempty"`
	// ToldAt is when the latest message was handed over, or refused for good.
	ToldAt time.Time `json:"told_at,omitzero"`
	// Owed is the news, and DueAt when they are due; both zero if nothing is owed.
	Owed  Owed      `json:"owed,omitzero"`
	DueAt time.Time `json:"due_at,omitzero"`
}

// NoticesOf returns those of a pulse's notices that change, and new ones, as it went away
// or is back. What was owed before and not yet sent is replaced: a message says what is
// true when it is sent, and who was told of neither is owed neither.
func NoticesOf(notices []Notice, p *Policy, pulse Pulse, why Reason, now time.Time) []Notice {
	var out []Notice
	readers := pulseReaders(p, pulse.Name)
	for i := range readers {
		r := &readers[i]
		n, known := find(notices, func(n *Notice) bool { return n.Recipient == r.Recipient.ID })
		if !known {
			n = Notice{Pulse: pulse.Name, Recipient: r.Recipient.ID}
		}
		if why == DueCanary && (pulse.Run == nil || !slices.Contains(pulse.Run.Recipients, n.Recipient)) {
			continue
		}
		n.Owed, n.DueAt = Owed{Kind: why.kind(), Reason: why, At: now}, r.quietUntil(now)
		if why == DueCanary {
			n.DueAt = now // those who were quiet when the run began are none of its recipients
		}
		n.Drop()
		if known || n.Owed != (Owed{}) {
			out = append(out, n)
		}
	}
	return append(out, NoticesLeft(notices, p, pulse.Name)...)
}

// kind returns the kind of the messages about a pulse that are owed for that reason.
func (r Reason) kind() Kind {
	switch r {
	case DueCanary, DueCanaryFailed, DueCanaryBack:
		return KindCanary
	}
	return KindWatchdog
}

// bad reports whether a reader who is told that is told later that it is over.
func (r Reason) bad() bool { return r == DueWatchdogAway || r == DueCanaryFailed }

// NoticesLeft returns those of a pulse's notices that change as their readers are in none of
// its groups any more.
func NoticesLeft(notices []Notice, p *Policy, pulse string) []Notice {
	var out []Notice
	readers := pulseReaders(p, pulse)
	for _, n := range notices {
		if !slices.ContainsFunc(readers, func(r Reader) bool { return r.Recipient.ID == n.Recipient }) && n.Leave() {
			out = append(out, n)
		}
	}
	return out
}

// Drop drops what would be no news.
func (n *Notice) Drop() {
	if n.Owed.Reason != DueCanary && !n.Unsure && n.Told == n.Owed.Reason.bad() {
		n.Owed, n.DueAt = Owed{}, time.Time{}
	}
}

// Leave makes the notice that of somebody who is not told of the watchdog any more, and
// reports whether that changes it.
func (n *Notice) Leave() bool {
	was := *n
	*n = Notice{Pulse: n.Pulse, Recipient: n.Recipient, ToldAt: n.ToldAt}
	return *n != was
}

// Owes reports whether that is what the reader is owed.
func (n *Notice) Owes(o Owed) bool { return n.Owed.Reason == o.Reason && n.Owed.At.Equal(o.At) }

// Plan says what the reader is to be told of the pulse now; false if nothing. Reads is
// false if that is because the reader is in none of the watchdog's groups any more.
func (n *Notice) Plan(p *Policy, pulse Pulse, now time.Time) (planned Planned, reads, ok bool) {
	reader, reads := find(pulseReaders(p, n.Pulse), func(r *Reader) bool { return r.Recipient.ID == n.Recipient })
	switch {
	case !reads:
		return Planned{}, false, false
	case n.Owed == (Owed{}) || n.DueAt.After(now):
		return Planned{}, true, false
	}
	c := Cover{
		Kind: n.Owed.Kind, Pulse: n.Pulse, Sequence: pulse.Sequence,
		Owed: []Owed{n.Owed}, DueAt: n.DueAt, Promised: n.DueAt.Add(Promise),
		Canary: pulse.canaryNews(p),
	}
	return Planned{Reader: reader, Cover: c}, true, true
}

// Begin notes that a message is under way.
func (n *Notice) Begin() { n.Unsure = true }

// ApplyOutcome notes what became of an attempt to deliver a message: it was handed over or
// refused for good, surely not handed over, or nobody knows.
func (n *Notice) ApplyOutcome(d *Delivery, c *Cover, at time.Time) {
	told := len(c.Owed) > 0 && c.Owed[0].Reason.bad()
	switch d.State {
	case DeliveryDelivered, DeliveryFailed:
		n.Told = told && d.State == DeliveryDelivered
		n.Unsure, n.ToldAt = false, at
		if slices.ContainsFunc(c.Owed, n.Owes) {
			n.Owed, n.DueAt = Owed{}, time.Time{}
		}
	default:
		n.Unsure = !d.Replan
	}
	n.Drop()
}
