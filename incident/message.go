package incident

import (
	"slices"
	"time"
)

// A Message is all that a recipient is told, before it is put into the form of a
// channel. The same facts go into every channel.
type Message struct {
	// ID is that of the delivery.
	ID        string
	Kind      Kind
	At        time.Time // when it was made
	Recipient Recipient
	// Audiences are those by which the recipient reads, in order; the first is named
	// where there is room for one.
	Audiences []Audience
	Group     string         // the first in file order; of on_call's, the team
	Location  *time.Location // the reader's; never nil
	// Language is the tag of the reader's language, such as "de"; empty is English.
	Language string
	// Items is what it is about: one of most messages, several of a digest (the highest
	// priority first), none of a watchdog's.
	Items    []Item
	Watchdog *WatchdogNews // of KindWatchdog
	Canary   *CanaryNews   // of KindCanary
	// BaseURL is where links lead, without a slash at the end.
	BaseURL string
}

// ToOnCall reports whether the reader is on call, whatever else it is: then it is told
// what helps to look into the trouble.
func (m *Message) ToOnCall() bool { return slices.Contains(m.Audiences, AudienceOnCall) }

// First returns what the message is about, of a digest the highest.
func (m *Message) First() *Item { return &m.Items[0] }

// ForReader returns the message as its reader may know it: of incidents that it does not
// read of on call, without what stays inside. It is the same again of one that is so
// already, as [Situation.Item] makes them.
func (m *Message) ForReader() *Message {
	out := *m
	out.Items = slices.Clone(m.Items)
	for i := range out.Items {
		it := &out.Items[i]
		if it.OnCall = it.OnCall || m.Kind != KindDigest && m.ToOnCall(); it.OnCall {
			continue
		}
		it.Incident = it.Incident.ForAudiences(m.Audiences...)
		it.Changes = nil
		for k := range m.Items[i].Changes {
			if e, told := m.Items[i].Changes[k].ForAudiences(); told {
				it.Changes = append(it.Changes, e)
			}
		}
	}
	return &out
}

// An Item is the situation of one incident now, and what changed since the
// reader's last message.
type Item struct {
	Kind     Kind // of a digest's, what it would have been alone
	Incident Incident
	// First is set if the reader hears of the incident for the first time, or first
	// since leaving.
	First bool
	// Again is set if the reader was told before, and left.
	Again bool
	// OnCall is set if the reader reads of this one on call. For all others the incident and
	// the changes are without what stays inside, see [Incident.ForAudiences] and
	// [Event.ForReader].
	OnCall bool
	// Changes are the events since the reader's last message that this reader may
	// see, oldest first.
	Changes []Event
	// Breaches is how many began, ended and became unknown since then; of a first
	// message, in all.
	Breaches Tally
	// Reasons are why the message is sent, with their particulars.
	Reasons []Owed
	// Audiences are all that the incident's priority informs, with their cadence.
	Audiences []Audience
	// Hears are the names of the priorities of which the groups of the reader hear, the
	// highest first; nil if one of them hears of all.
	Hears []string
	// LastHeardAt is when a breach was last heard to fire; zero if never.
	LastHeardAt time.Time
	// Word is the latest that the team wrote for this reader's audience, nil if never;
	// NewWord is set if the reader has not had it yet.
	Word    *Word
	NewWord bool
	// NextBy is the latest time of the next message to this reader, if nothing
	// happens before; zero if none is owed.
	NextBy time.Time
	// Paused is set if no scheduled update follows because nobody has known for a day
	// whether the breaches still fire.
	Paused bool
	// Silent are the pulses of the watchdog that are away, so that ends of its breaches
	// may not be believed; the one that was heard last the longest ago stands first.
	Silent Pulses
	// LateSince is set if this message should have come at that time and could not be
	// handed over until now.
	LateSince time.Time
	// Plan is, for on_call during inform_after, who will be told and when unless the
	// priority is lowered.
	Plan []PlannedReader
	// Alerts are, for on_call, those that fire or are unknown; nil if there are none, or
	// the message says that it is over.
	Alerts *AlertList
	// Runbook is, for on_call, the URL where it says what to do; empty if there is none.
	Runbook string
}

// A Tally counts what happened to breaches.
type Tally struct {
	Started, Ended, Unknown int
}

// An ItemCount counts the incidents of one priority that a message is about, each once.
type ItemCount struct {
	Priority                       string
	Open, Resolved, Closed, Merged int
	Drills                         int // in whatever state
}

// CountItems counts incidents by priority and state, in the order in which the priorities
// come first.
func CountItems(items []Item) []ItemCount {
	var all []ItemCount
	for i := range items {
		in := &items[i].Incident
		k := slices.IndexFunc(all, func(c ItemCount) bool { return c.Priority == in.Priority.Name })
		if k < 0 {
			k, all = len(all), append(all, ItemCount{Priority: in.Priority.Name})
		}
		switch c := &all[k]; {
		case in.Drill:
			c.Drills++
		case in.MergedInto > 0:
			c.Merged++
		case in.State == StateClosed:
			c.Closed++
		case in.State == StateResolved:
			c.Resolved++
		default:
			c.Open++
		}
	}
	return all
}

// A PlannedReader is somebody who will be told.
type PlannedReader struct {
	Recipient Recipient
	Audience  Audience
	Group     string
	Kind      Kind
	At        time.Time
	// TryAt is when it is tried next, if a failure holds it back; zero if none does.
	TryAt time.Time
}

// NextAt returns when the reader will be told, as things stand.
func (r *PlannedReader) NextAt() time.Time { return latest(r.At, r.TryAt) }

// WatchdogNews says that the watchdog, or one pulse of it, went away or is back.
type WatchdogNews struct {
	// Pulse is the name of the pulse, and Labels its labels; both empty if there is one.
	Pulse   string
	Labels  map[string]string
	Away    bool
	HeardAt time.Time // when it was last heard; zero if never
	Within  time.Duration
}
