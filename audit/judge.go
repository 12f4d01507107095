package audit

import (
	"strconv"
	"time"

	"sitrep/incident"
)

// An Outcome is how a message stands to the promise that it had to keep.
type Outcome string

// The outcomes. A message that is owed has one of them once its promise has passed.
const (
	OnTime Outcome = "on_time"
	Held   Outcome = "held"
	Late   Outcome = "late"
	Missed Outcome = "missed"
)

// Judge returns the outcome of a message as far as one of its incidents goes, at the
// time now; empty if nothing can be said yet, or the message does not count. Promised
// is the time by which it was promised, see [Promises].
//
//   - On time: it was handed over by the time that was promised.
//   - Held: the same, and a quiet time of the reader had moved when it became due; of a
//     scheduled update the message before it names that end.
//   - Late: it was handed over after that, or is still not handed over.
//   - Missed: it was refused for good. Or the reader was owed an opening that could not
//     be handed over in time, and heard only that it is over, or no longer concerns
//     them. What comes after an opening that was refused is an update, whatever its kind.
//
// A message that was given up because a later one carries its news does not count: the
// later one does, and is due when the earlier was.
func Judge(d *incident.Delivery, c *incident.Cover, promised, now time.Time) Outcome {
	switch d.State {
	case incident.DeliveryFailed:
		return Missed
	case incident.DeliveryPending:
		if now.After(promised) {
			return Late
		}
	case incident.DeliveryDelivered:
		switch {
		case opening(c) && c.Kind == incident.KindLeft:
			return Missed
		case !d.SentAt.After(promised) && c.Deferred:
			return Held
		case !d.SentAt.After(promised):
			return OnTime
		case opening(c) && c.Kind != incident.KindOpened:
			return Missed
		}
		return Late
	}
	return ""
}

// A Promise is what a message says of the next.
type Promise struct {
	DueAt time.Time // when the next is due
	By    time.Time // by when it comes, as the message says
}

// Promises are, for each reader of an incident, the promise that the latest message made
// for the next.
type Promises map[string]Promise

// readerOf returns who of an incident's readers got a message, also when their address
// was forgotten.
func readerOf(d *incident.Delivery, c *incident.Cover) string { return reader(c.Reader, d.Recipient) }

func reader(number int, recipient string) string {
	if number == 0 {
		return recipient
	}
	return strconv.Itoa(number)
}

// For returns the time by which a message was promised: a minute after it became due
// or, if that is earlier, the time that the message before it named. That the incident
// is resolved is news of its own: a scheduled update that should have come before is
// missed, and is on record as an event.
func (p Promises) For(d *incident.Delivery, c *incident.Cover) time.Time {
	if by := p[readerOf(d, c)].By; !by.IsZero() && by.Before(c.Promised) && c.Kind != incident.KindReminder && c.Kind != incident.KindResolved {
		return by
	}
	return c.Promised
}

// Note takes in what a message promised. Deliveries come in the order in which they
// were finished.
func (p Promises) Note(d *incident.Delivery, c *incident.Cover) {
	switch {
	case c.Kind == incident.KindReminder:
	case d.State == incident.DeliveryDelivered:
		p[readerOf(d, c)] = Promise{c.NextDueAt, c.NextBy}
	case d.State == incident.DeliveryFailed:
		delete(p, readerOf(d, c))
	}
}

// opening reports whether a message is the first to a reader, or the first since they
// left: it says that the incident opened, or tells the whole story to somebody who was
// owed that. One that comes again after it was refused is none.
func opening(c *incident.Cover) bool {
	if c.Again() {
		return false
	}
	return c.Kind == incident.KindOpened || c.First && (c.Kind == incident.KindLeft || c.Kind == incident.KindResolved)
}

// audienceOf returns as what a reader gets a message. Reminders are always to the team.
func audienceOf(d *incident.Delivery, c *incident.Cover) incident.Audience {
	switch {
	case c.Kind == incident.KindReminder:
		return incident.AudienceOnCall
	case c.Audience != "":
		return c.Audience
	}
	return d.Audience
}

// A Cause is why a message was late or missed, in a few closed words. The text beside
// it says more.
type Cause string

// The causes.
const (
	MailServer Cause = "mail server" // attempts failed, or their outcome was unknown
	WebhookEnd Cause = "webhook"     // the same of a webhook
	SitrepDown Cause = "sitrep down" // no sitrep ran, or none could write
	ClockSet   Cause = "clock set"   // the clock was set past the time at which it was due
	Refused    Cause = "refused"     // the other side refused the message for good
	Waiting    Cause = "waiting"     // it is still not handed over
	NoneFound  Cause = "none found"
)

// notYet is what a report says of a message that is still waiting, and of which no attempt
// has failed.
const notYet = "not handed over yet"

// causeOf sorts what was recorded as the cause of a late message, or of intervals
// without one.
func causeOf(c incident.Cause, channel incident.Channel) Cause {
	switch c.Kind {
	case incident.CauseDown:
		return SitrepDown
	case incident.CauseClock:
		return ClockSet
	case incident.CauseSaid:
		return endOf(channel)
	}
	return NoneFound
}

// endOf returns the other side of a channel as a cause.
func endOf(channel incident.Channel) Cause {
	if channel == incident.ChannelWebhook {
		return WebhookEnd
	}
	return MailServer
}

// recorded returns the cause that was recorded, none found if none was.
func recorded(c incident.Cause) incident.Cause {
	if c.Kind == "" {
		c.Kind = incident.CauseNoneFound
	}
	return c
}

// unsure reports whether nobody knows if the message was handed over.
func unsure(d *incident.Delivery) bool {
	switch d.State {
	case incident.DeliveryPending:
		return d.Attempts > 0 && !d.Replan
	case incident.DeliverySuperseded:
		return d.Why == incident.WhyOutcomeUnknown
	}
	return false
}
