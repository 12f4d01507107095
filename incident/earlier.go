package incident

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// Earlier builds stored as sentences what is a value now. They are read here, once, when
// what such a build stored is decoded; nobody else reads a sentence back.

// What earlier builds said.
const (
	saidNoneFound     = "none found"
	saidDown          = "sitrep was down from "
	saidDownTo        = " to "
	saidRefused       = "refused before"
	saidBreachStarted = "a breach started"
	saidSLOPriority   = "the SLO's priority is "
	saidNothingDue    = "no action is due"
	saidMerged        = "merged into "
)

// saidOfDeliveries is why a delivery was superseded.
var saidOfDeliveries = map[string]Why{
	"the recipient is no longer configured":                        WhyNotConfigured,
	"outcome unknown; a later message carries the news":            WhyOutcomeUnknown,
	"its news go out with another message":                         WhyToldWithAnother,
	"its news went out with another message, or are none any more": WhyToldOrOver,
}

// UnmarshalJSON reads a cause, also one that an earlier build wrote as a sentence.
func (c *Cause) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		type plain Cause
		return json.Unmarshal(b, (*plain)(c))
	}
	var said string
	if err := json.Unmarshal(b, &said); err != nil {
		return err
	}
	*c = readCause(said)
	return nil
}

func readCause(said string) Cause {
	switch said {
	case "":
		return Cause{}
	case saidNoneFound:
		return Cause{Kind: CauseNoneFound}
	}
	if times, ok := strings.CutPrefix(said, saidDown); ok {
		first, second, _ := strings.Cut(times, saidDownTo)
		from, err := time.Parse(time.RFC3339, first)
		to, err2 := time.Parse(time.RFC3339, second)
		if err == nil && err2 == nil {
			return Cause{Kind: CauseDown, From: from, To: to}
		}
	}
	return Cause{Kind: CauseSaid, Said: said}
}

// UnmarshalJSON reads what is owed, also where an earlier build wrote its particulars as one
// text.
func (o *Owed) UnmarshalJSON(b []byte) error {
	if o.readShort(b) {
		return nil
	}
	type plain Owed
	if err := json.Unmarshal(b, (*plain)(o)); err != nil || !bytes.Contains(b, []byte(`"detail":`)) {
		return err
	}
	var earlier struct {
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal(b, &earlier); err != nil || earlier.Detail == "" {
		return err
	}
	switch {
	case o.Reason == DueUnfed:
		o.DueAt, _ = time.Parse(time.RFC3339, earlier.Detail) // it said so
	case o.Reason == DueActionOverdue:
		o.Action = earlier.Detail
	case o.Reason == DueUndeliverable:
		o.Address = earlier.Detail
	case o.Kind == KindOpened:
		if earlier.Detail == saidRefused {
			o.Refused = 1
		}
	}
	return nil
}

// readShort reads what has no particulars, as nearly all has not, and as it is written. It
// is read with each alert, and so takes no longer than without this file; false leaves it to
// the library.
func (o *Owed) readShort(b []byte) bool {
	next := func(key string) (value []byte, ok bool) {
		if b, ok = bytes.CutPrefix(b, []byte(key)); ok {
			value, b, ok = bytes.Cut(b, []byte(`"`))
		}
		return value, ok && !bytes.ContainsRune(value, '\\')
	}
	kind, ok := next(`{"kind":"`)
	reason, ok2 := next(`,"reason":"`)
	at, ok3 := next(`,"at":"`)
	if !ok || !ok2 || !ok3 || string(b) != "}" {
		return false
	}
	var t time.Time
	if t.UnmarshalText(at) != nil {
		return false
	}
	*o = Owed{Kind: Kind(kind), Reason: Reason(reason), At: t}
	return true
}

// UnmarshalJSON reads a delivery, also one whose end an earlier build wrote as a sentence.
func (d *Delivery) UnmarshalJSON(b []byte) error {
	type plain Delivery
	if err := json.Unmarshal(b, (*plain)(d)); err != nil {
		return err
	}
	d.ReadSentences()
	return nil
}

// ReadSentences makes a value of what an earlier build stored in the delivery as a sentence.
func (d *Delivery) ReadSentences() {
	if why, ok := saidOfDeliveries[d.Error]; ok && d.State == DeliverySuperseded && d.Why == "" {
		d.Error, d.Why = "", why
	}
}

// ReadSentences makes a value of what an earlier build stored in the event as a sentence.
// One that names more than a value does, and what a person wrote, stays a reason.
func (e *Event) ReadSentences() {
	if e.Reason == "" || e.Data.Why != "" {
		return
	}
	why := Why("")
	switch {
	case e.Type == EventClosed && strings.HasPrefix(e.Reason, saidMerged):
		// The one who merged stands as the actor.
		into, err := ParseID(strings.TrimPrefix(e.Reason, saidMerged))
		if err != nil || e.Reason != saidMerged+ID(into) {
			return
		}
		why, e.Data.Into = WhyMerged, into
	case e.Actor.Person():
		return
	case e.Type == EventReopened && e.Reason == saidBreachStarted:
		why = WhyBreachStarted
	case e.Type == EventPriorityChanged && e.Reason == saidSLOPriority+e.Data.To:
		why = WhySLOPriority
	case e.Type == EventClosed && e.Reason == saidNothingDue:
		why = WhyNothingDue
	default:
		return
	}
	e.Reason, e.Data.Why = "", why
}
