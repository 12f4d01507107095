package wording

import (
	"cmp"
	"time"

	"sitrep/incident"
)

// Reason returns in English why something happened: what a person wrote, else what sitrep
// gives as reason; empty if there is none. It is not cleaned.
func Reason(e *incident.Event) string { return cmp.Or(e.Reason, In(english).why(&e.Data)) }

// Failure returns in English why a message was not handed over, or not at first: what was
// said, else why sitrep gave it up; empty if there is neither. It is not cleaned.
func Failure(d *incident.Delivery) string {
	return cmp.Or(d.Error, In(english).why(&incident.Data{Why: d.Why}))
}

// Cause returns in English why a message was late, with times as write writes them; nil is
// UTC as in RFC 3339. It is empty if there is no cause, and what others said is not cleaned.
func Cause(c incident.Cause, write func(time.Time) string) string {
	return Describer{Time: write}.cause(c)
}

func (d Describer) cause(c incident.Cause) string {
	switch c.Kind {
	case incident.CauseNoneFound:
		return "none found" // never in a message: there it is another sentence
	case incident.CauseDown:
		return d.Language.say("cause.down", "from", d.at(c.From), "to", d.at(c.To))
	case incident.CauseClock:
		return d.Language.say("cause.clock", "from", d.at(c.From), "to", d.at(c.To))
	}
	return c.Said
}

// why says in words why an event happened that no person gave a reason for.
func (l *Language) why(d *incident.Data) string {
	switch key := "why." + string(d.Why); {
	case d.Why == incident.WhySLOPriority:
		return l.say("why.slo_priority", "priority", d.To)
	case d.Why == incident.WhyMerged:
		return l.say("why.merged", "incident", incident.ID(d.Into))
	case d.Why != "" && l.has(key):
		return l.say(key)
	}
	return ""
}
