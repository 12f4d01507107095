package storage

import (
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// An ItemKind is a kind of what a store keeps.
type ItemKind string

// The kinds, each in the order of its items. What an engine finds them by, such as lists and
// the queue, is no item, and neither is what soon is void: jobs, who holds a lease, which processes
// have the store, and who failed to log in.
const (
	ItemConfigs       ItemKind = "configurations" // ConfigItem, by hash
	ItemIncidents     ItemKind = "incidents"      // IncidentItem, by number
	ItemAgendas       ItemKind = "agendas"        // AgendaItem, by incident
	ItemRecords       ItemKind = "records"        // RecordItem, by index in the log
	ItemBreaches      ItemKind = "breaches"       // BreachItem, by incident, then in order of arrival
	ItemSubscriptions ItemKind = "subscriptions"  // SubscriptionItem, by incident, then by recipient
	ItemPulses        ItemKind = "pulses"         // PulseItem, by name
	ItemNotices       ItemKind = "notices"        // NoticeItem, by pulse, then by recipient
	ItemDeliveries    ItemKind = "deliveries"     // DeliveryItem, in order of arrival
	ItemRecipients    ItemKind = "recipients"     // RecipientItem, by recipient
	ItemUnmapped      ItemKind = "unmapped"       // UnmappedItem, by fingerprint
	ItemRefusals      ItemKind = "refusals"       // EntryItem, in the order in which they came
	ItemAmbiguities   ItemKind = "ambiguities"    // EntryItem, in the order in which they came
	ItemOutages       ItemKind = "outages"        // EntryItem, by time
	ItemAnswers       ItemKind = "answers"        // AnswerItem, by time, then by key
	ItemExpired       ItemKind = "expired"        // ExpiredItem, by what, since, then number
	ItemCheckpoints   ItemKind = "checkpoints"    // CheckpointItem, by size
	ItemMarks         ItemKind = "marks"          // MarksItem: one, or none if all of it is zero
)

// ItemKinds returns all kinds, in the order in which they are loaded: what is due to a recipient
// before what the queue knows of it.
func ItemKinds() []ItemKind {
	return []ItemKind{
		ItemConfigs, ItemIncidents, ItemAgendas, ItemRecords, ItemBreaches, ItemSubscriptions, ItemPulses, ItemNotices,
		ItemDeliveries, ItemRecipients, ItemUnmapped, ItemRefusals, ItemAmbiguities, ItemOutages, ItemAnswers, ItemExpired,
		ItemCheckpoints, ItemMarks,
	}
}

// JournalOf returns the journal whose entries a kind is; empty if it is another.
func (k ItemKind) JournalOf() Journal {
	switch k {
	case ItemRefusals:
		return JournalRefusals
	case ItemAmbiguities:
		return JournalAmbiguities
	case ItemOutages:
		return JournalOutages
	}
	return ""
}

// An Item is one thing that a store keeps, as it is in all engines: one of the types below.
type Item interface{ item() }

type (
	// A ConfigItem is a form of a configuration.
	ConfigItem struct{ Config Config }
	// An IncidentItem is the state of an incident.
	IncidentItem struct{ Incident incident.Incident }
	// An AgendaItem is an agenda that was stored.
	AgendaItem struct{ Agenda incident.Agenda }
	// A SubscriptionItem is what the reader of an incident was told and is owed.
	SubscriptionItem struct{ Subscription incident.Subscription }
	// A PulseItem is a pulse of the watchdog.
	PulseItem struct{ Pulse incident.Pulse }
	// A NoticeItem is what a reader is owed about a pulse.
	NoticeItem struct{ Notice incident.Notice }
	// An UnmappedItem is an alert that no SLO claims.
	UnmappedItem struct{ Alert incident.UnmappedAlert }
	// An AnswerItem is what a command was answered.
	AnswerItem struct{ Answer Answer }
	// An ExpiredItem is a thing that is over; it has no Delivery, and Stage.Delivery is the arrival
	// in decimal.
	ExpiredItem struct{ Expired Expired }
	// An EntryItem is one of a journal.
	EntryItem struct {
		Journal Journal
		Entry   Entry
	}
	// A CheckpointItem is a signed head of the log.
	CheckpointItem struct {
		Size   int64
		Signed []byte
	}
	// A RecordItem is a leaf of the log, what stands beside it, and what it is of.
	RecordItem struct {
		Kind   ledger.Kind
		Record Record // with its index
		// Of is the number of the incident, the arrival of the delivery, or 0.
		Of int64
		// Count is the sequence of the event, or counts the outcomes of the delivery, or all
		// loadings of configurations in the order in which they were stored.
		Count int64
	}
	// A BreachItem is a breach, and its arrival among all, from 1. Latest is set if it is the one
	// that its fingerprint leads to: where that was deleted none is.
	BreachItem struct {
		Arrival int64
		Latest  bool
		Breach  incident.Breach
	}
	// A DeliveryItem is a delivery, its arrival among all, from 1, and its message; nil if that is
	// not kept.
	DeliveryItem struct {
		Arrival  int64
		Delivery incident.Delivery
		Message  []byte
	}
	// A RecipientItem is what the queue knows of a recipient, but for what is due to it and who
	// holds its lease.
	RecipientItem struct {
		Recipient string
		// Attempt counts the leases.
		Attempt int64
		// RetryAt is before when nothing is leased, as was said at ReleasedAt, but for what is more
		// urgent than Yields.
		RetryAt, ReleasedAt time.Time
		Yields              incident.Urgency
		Failures            int
		FailingSince        time.Time
		LastError           string
		Sent                []time.Time
		Openings            []Opening
		Settling            *Settling
	}
	// A MarksItem is what a store keeps once.
	MarksItem struct {
		Alive      time.Time
		Generation Generation
		// Forgotten is how many loadings of configurations were forgotten, from the earliest on.
		Forgotten int64
	}
)

func (*ConfigItem) item()       {}
func (*IncidentItem) item()     {}
func (*AgendaItem) item()       {}
func (*SubscriptionItem) item() {}
func (*PulseItem) item()        {}
func (*NoticeItem) item()       {}
func (*UnmappedItem) item()     {}
func (*AnswerItem) item()       {}
func (*ExpiredItem) item()      {}
func (*EntryItem) item()        {}
func (*CheckpointItem) item()   {}
func (*RecordItem) item()       {}
func (*BreachItem) item()       {}
func (*DeliveryItem) item()     {}
func (*RecipientItem) item()    {}
func (*MarksItem) item()        {}
