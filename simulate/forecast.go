package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"sitrep/incident"
	"sitrep/wording"
)

const (
	// mostMessages is how many messages of each reader are foreseen.
	mostMessages = 3
	// ahead is how far ahead it is looked.
	ahead = 14 * 24 * time.Hour
	// mostSteps is how often the rules are asked, as they may wait for what never
	// comes here, such as the watchdog.
	mostSteps = 1000
)

// A Reader is somebody who is told of an incident.
type Reader struct {
	Recipient string              `json:"recipient"`
	Name      string              `json:"name,omitempty"`
	Channel   incident.Channel    `json:"channel"`
	Audiences []incident.Audience `json:"audiences"`
	Groups    []string            `json:"groups"` // of on_call's, the team
	Timezone  string              `json:"timezone"`
	Messages  []Message           `json:"messages"`

	id       string
	location *time.Location
}

// A Message is a message that a reader gets.
type Message struct {
	At     time.Time     `json:"at"`
	Kind   incident.Kind `json:"kind"`
	Why    string        `json:"why"`
	NextBy time.Time     `json:"next_by,omitzero"` // the promise that it makes
}

// forecast lets time pass for an incident whose breaches go on and of which nobody
// writes, with each message handed over when it is due, and returns what its
// readers are told. The situation stays as it is. Confirmed is as for [incident.Situation.Tick].
func forecast(s *incident.Situation, p *incident.Policy, pulses incident.Pulses, confirmed bool, at time.Time) ([]Reader, error) {
	readers := newReaders(s, p)
	end := at.Add(ahead)
	for range mostSteps {
		next := s.Agenda.NextAt
		for _, sub := range s.Subscriptions {
			if !sub.DueAt.IsZero() && (next.IsZero() || sub.DueAt.Before(next)) {
				next = sub.DueAt
			}
		}
		if next.IsZero() || next.After(end) || !slices.ContainsFunc(readers, func(r Reader) bool { return len(r.Messages) < mostMessages }) {
			return readers, nil
		}
		if next.After(at) {
			at = next
		}
		if t := s.Agenda.NextAt; !t.IsZero() && !t.After(at) {
			var err error
			if s, err = incident.Reconcile(s, s.Tick(p, pulses, confirmed, at), p, at); err != nil {
				return nil, err
			}
		}
		for i := range readers {
			var err error
			if s, err = readers[i].tell(s, p, at); err != nil {
				return nil, err
			}
		}
	}
	return readers, nil
}

// newReaders returns the readers to whom something is owed or will be, as the
// service forecasts them, the team last.
func newReaders(s *incident.Situation, p *incident.Policy) []Reader {
	planned := s.Forecast(p)
	var readers []Reader
	for _, r := range incident.Readers(&s.Incident, p) {
		if !slices.ContainsFunc(planned, func(pr incident.PlannedReader) bool { return pr.Recipient.ID == r.Recipient.ID }) {
			continue
		}
		readers = append(readers, Reader{
			id: r.Recipient.ID, Recipient: r.Recipient.Address, Name: r.Recipient.Name, Channel: r.Recipient.Channel,
			Audiences: r.Audiences, Groups: r.Groups, location: r.Location, Timezone: r.Location.String(),
		})
	}
	return readers
}

// tell hands over what is due to the reader, and returns the situation after it.
func (r *Reader) tell(s *incident.Situation, p *incident.Policy, at time.Time) (*incident.Situation, error) {
	sub := s.Subscription(r.id)
	if sub == nil || sub.DueAt.IsZero() || sub.DueAt.After(at) {
		return s, nil
	}
	planned, ok := s.Plan(r.id, p, at)
	if !ok {
		return incident.Reconcile(s, incident.News{}, p, at)
	}
	c := planned.Cover
	if len(r.Messages) < mostMessages {
		r.Messages = append(r.Messages, Message{At: at, Kind: c.Kind, Why: r.why(s, p, &c, sub.WaitUntil), NextBy: c.NextBy})
	}
	return incident.Reconcile(s, s.Delivered(r.id, c, at, incident.Cause{}, p), p, at)
}

// why says why a message comes, and why then.
func (r *Reader) why(s *incident.Situation, p *incident.Policy, c *incident.Cover, waited time.Time) string {
	priority := s.Incident.Priority
	var reasons []string
	for _, o := range c.Owed {
		switch o.Reason {
		case incident.DueOpened:
			if waited.IsZero() {
				reasons = append(reasons, "at once")
			} else {
				reasons = append(reasons, fmt.Sprintf("after %s (inform_after)", model.Duration(priority.InformAfter)))
			}
		case incident.DueCadence:
			reasons = append(reasons, fmt.Sprintf("every %s", model.Duration(priority.UpdateEvery)))
		case incident.DueUnfed:
			due := ""
			if !o.DueAt.IsZero() {
				due = " at " + wording.Clock{Now: c.DueAt, Location: r.location}.Time(o.DueAt)
			}
			reasons = append(reasons, fmt.Sprintf("%s before the update%s that nobody wrote", model.Duration(p.RemindBefore), due))
		default:
			reasons = append(reasons, string(o.Reason))
		}
	}
	if r.held(c, &priority) {
		reasons = append(reasons, "held back by a quiet time")
	}
	return strings.Join(reasons, ", ")
}

// held reports whether a quiet time moved the message.
func (r *Reader) held(c *incident.Cover, p *incident.Priority) bool {
	last := len(r.Messages) - 1
	scheduled := slices.ContainsFunc(c.Owed, func(o incident.Owed) bool { return o.Reason == incident.DueCadence })
	return c.Deferred || scheduled && last >= 0 && c.DueAt.Sub(r.Messages[last].At) > p.UpdateEvery
}
