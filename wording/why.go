package wording

import (
	"cmp"
	"time"

	"sitrep/incident"
)

// Reason returns why something happened: what a person wrote, else what sitrep gives as
// reason; empty if there is none. It is not cleaned.
func Reason(e *incident.Event) string { return cmp.Or(e.Reason, whyOf(&e.Data)) }

// Failure returns why a message was not handed over, or not at first: what was said, else
// why sitrep gave it up; empty if there is neither. It is not cleaned.
func Failure(d *incident.Delivery) string { return cmp.Or(d.Error, whyText[d.Why]) }

// Cause returns why a message was late, with times as write writes them; nil is UTC as in
// RFC 3339. It is empty if there is no cause, and what others said is not cleaned.
func Cause(c incident.Cause, write func(time.Time) string) string {
	switch c.Kind {
	case incident.CauseNoneFound:
		return "none found"
	case incident.CauseDown:
		d := Describer{Time: write}
		return "sitrep was down from " + d.at(c.From) + " to " + d.at(c.To)
	case incident.CauseClock:
		d := Describer{Time: write}
		return "the clock was set from " + d.at(c.From) + " to " + d.at(c.To)
	}
	return c.Said
}

// whyOf says in words why an event happened that no person gave a reason for.
func whyOf(d *incident.Data) string {
	switch d.Why {
	case incident.WhySLOPriority:
		return "the SLO's priority is " + d.To
	case incident.WhyMerged:
		return "merged into " + incident.ID(d.Into)
	}
	return whyText[d.Why]
}

// whyText says in words what a reason is that needs no more to be said.
var whyText = map[incident.Why]string{
	incident.WhyQuiet:           "nothing was heard of it for too long",
	incident.WhyWatchdogAway:    "its end was reported while the watchdog is away",
	incident.WhyUnseen:          "its alert fires anew, so that it had ended",
	incident.WhyNotListed:       "no Alertmanager that was asked lists it any more",
	incident.WhyListed:          "an Alertmanager that was asked lists it",
	incident.WhyMapped:          "its alert has another SLO now, or none",
	incident.WhyNobodyAsked:     "no Alertmanager could be asked whether that is so",
	incident.WhyBreachStarted:   "an alert fires",
	incident.WhyNothingDue:      "no action is due",
	incident.WhyNotConfigured:   "the recipient is no longer configured",
	incident.WhyOutcomeUnknown:  "outcome unknown; a later message carries the news",
	incident.WhyToldWithAnother: "its news go out with another message",
	incident.WhyToldOrOver:      "its news went out with another message, or are none any more",
}
