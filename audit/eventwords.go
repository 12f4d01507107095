package audit

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"sitrep/incident"
)

// pageTime is how pages write a time, in the zone that they name at their top.
const pageTime = "2006-01-02 15:04:05"

// inZone writes the times in a cause as the page writes all others. What others said
// stays as they said it.
func inZone(cause string, loc *time.Location) string {
	if !incident.OwnCause(cause) {
		return cause
	}
	return incident.CauseTimes(cause, func(t time.Time) string { return t.In(loc).Format(pageTime) })
}

// eventWords says in plain words what an event is, without its time, actor and reason,
// on a page with times in a location.
func eventWords(e *incident.Event, loc *time.Location) string {
	d := &e.Data
	at := func(t time.Time) string { return t.In(loc).Format(pageTime) }
	switch e.Type {
	case incident.Opened:
		if o := d.Opening; o != nil {
			return fmt.Sprintf("opened as %s: %s", o.Priority.Name, o.UseCase)
		}
	case incident.BreachStarted:
		word := "a breach started"
		if d.From != "" {
			word = "a breach fires again"
		}
		return fmt.Sprintf("%s at %s (alert %s, SLO priority %s)", word, at(d.StartsAt), d.Fingerprint, d.Priority)
	case incident.BreachEnded:
		return fmt.Sprintf("a breach ended at %s (alert %s)", at(d.EndsAt), d.Fingerprint)
	case incident.BreachUnknown:
		return fmt.Sprintf("nobody knows whether a breach still fires, last heard at %s (alert %s)", at(d.HeardAt), d.Fingerprint)
	case incident.Acknowledged:
		return "acknowledged"
	case incident.PriorityChanged:
		word := "lowered"
		if d.Raised {
			word = "raised"
		}
		return fmt.Sprintf("priority %s from %s to %s", word, d.From, d.To)
	case incident.PhaseChanged:
		if d.EscalatedTo != "" {
			return fmt.Sprintf("phase %s: escalated to %s", d.To, d.EscalatedTo)
		}
		return "phase " + d.To
	case incident.UpdateWritten:
		return fmt.Sprintf("told %s: %s", audiences(d.Audiences), d.Message)
	case incident.UpdateMissed:
		return fmt.Sprintf("%s without a message to at least one reader of %s from %s on (%s)", plural(d.Missed, "interval", "intervals"), audiences([]incident.Audience{d.Audience}), at(d.DueAt), inZone(cmp.Or(d.Cause, string(NoneFound)), loc))
	case incident.ActionChanged:
		words := fmt.Sprintf("action %s is %s", d.Action, d.To)
		if d.Link != "" {
			words += ": " + d.Link
		}
		return words
	case incident.AudienceChanged:
		return "stakeholders are now " + strings.Join(d.Stakeholders, ", ")
	case incident.ResolvedEvent:
		return "resolved"
	case incident.Reopened:
		return "opened again"
	case incident.Merged:
		if d.Into != 0 {
			return "merged into " + incident.ID(d.Into)
		}
		return d.From + " was merged into it"
	case incident.ClosedEvent:
		return "closed"
	}
	return string(e.Type)
}
