package incidentjson

import (
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

// A Delivery is one message to one recipient, and what became of it.
type Delivery struct {
	ID       string            `json:"id"`
	Incident *string           `json:"incident"` // of a digest, the highest; null of a watchdog's
	Kind     incident.Kind     `json:"kind"`
	Sequence int64             `json:"sequence"`
	Priority string            `json:"priority"`
	Audience incident.Audience `json:"audience"`
	Group    string            `json:"group"` // of on_call's, the team
	Channel  incident.Channel  `json:"channel"`
	// Recipient is the email address; of a webhook, only scheme and host.
	Recipient  string                 `json:"recipient"`
	Drill      bool                   `json:"drill"`
	DueAt      *time.Time             `json:"due_at"`
	PromisedAt *time.Time             `json:"promised_at"` // on time means sent by then
	Deferred   bool                   `json:"held"`        // by a quiet time
	SentAt     *time.Time             `json:"sent_at"`
	Attempts   int                    `json:"attempts"`
	State      incident.DeliveryState `json:"state"`
	// Error is why it was not handed over, or not at first. Why is the reason for which sitrep
	// gave up one that is superseded, in a code; empty of all others.
	Error string       `json:"error"`
	Why   incident.Why `json:"why"`
	// Incidents are all that it tells of: several of a digest, none of a watchdog's.
	Incidents []string `json:"incidents"`
}

// FromDelivery returns the form of a delivery.
func FromDelivery(d *incident.Delivery) Delivery {
	numbers := make([]int64, 0, len(d.Covers))
	for _, c := range d.Covers {
		if !c.OfPulse() {
			numbers = append(numbers, c.Incident)
		}
	}
	return Delivery{
		ID:         d.ID,
		Incident:   name(d.Incident),
		Kind:       d.Kind,
		Sequence:   d.Sequence,
		Priority:   d.Priority,
		Audience:   d.Audience,
		Group:      d.Group,
		Channel:    d.Channel,
		Recipient:  d.Address,
		Drill:      d.Drill,
		DueAt:      when(d.DueAt),
		PromisedAt: when(d.Promised),
		Deferred:   d.Deferred,
		SentAt:     when(d.SentAt),
		Attempts:   d.Attempts,
		State:      d.State,
		Error:      wording.Failure(d),
		Why:        d.Why,
		Incidents:  names(numbers),
	}
}
