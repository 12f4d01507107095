package storage

import (
	"context"
	"maps"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// An IncidentReader reads incidents and their agendas. Their events are read as records, see
// [EventsOf].
type IncidentReader interface {
	// IncidentsByNumber returns those of the numbers that are there. In a write they are locked
	// until the end, in the order of their numbers, with all that belongs to them: their events,
	// their agendas, their readers, their breaches.
	IncidentsByNumber(ctx context.Context, numbers []int64) (map[int64]*incident.Incident, error)
	// LatestOf returns the numbers of the latest incidents of keys that are no drills; a key
	// that has none is left out. In a write the keys are locked until the end, in the order of
	// their names, also those that have none, so that two writers do not both open one.
	LatestOf(ctx context.Context, keys []string) (map[string]int64, error)
	// LatestUnder returns the number of the latest incident of all keys that begin with a text and
	// are up to 1 KiB long, 0 if there is none. It is for people, and locks nothing.
	LatestUnder(ctx context.Context, prefix string) (int64, error)
	// Incidents returns a page, the latest first unless the query says otherwise. What a page
	// of a state, a priority, a team or an SLO costs, or of all of them, does not grow with the
	// incidents that there are; a text is looked for in those that fit the rest.
	Incidents(ctx context.Context, q IncidentQuery) (page []incident.Incident, next string, err error)
	// CountIncidents returns how many there are of each kind, in any order, without a look at
	// each. A kind of which there is none is left out.
	CountIncidents(ctx context.Context) ([]IncidentCount, error)

	// Agendas returns the agendas of incidents, an empty one for each that has none.
	Agendas(ctx context.Context, numbers []int64) (map[int64]incident.Agenda, error)
	// DueAgendas returns the numbers of up to limit incidents whose NextAt is not
	// after now, the earliest first.
	DueAgendas(ctx context.Context, now time.Time, limit int) ([]int64, error)
}

// An IncidentWriter writes incidents, their events and their agendas.
type IncidentWriter interface {
	// NextNumber returns the number of a new incident: the lowest that was never
	// given out, without gaps. So others that open one wait from here on until the transaction
	// ends: it is asked for last.
	NextNumber(ctx context.Context) (int64, error)
	// PutIncidents stores the states beside the events.
	PutIncidents(ctx context.Context, all []*incident.Incident) error
	// AppendEvents adds to the logs of incidents. The sequences of each must follow on.
	AppendEvents(ctx context.Context, events []incident.Event) error
	PutAgendas(ctx context.Context, all []incident.Agenda) error
}

// IncidentOf returns one incident, as IncidentsByNumber does.
func IncidentOf(ctx context.Context, r IncidentReader, number int64) (in incident.Incident, err error) {
	found, err := r.IncidentsByNumber(ctx, []int64{number})
	if err != nil {
		return in, err
	}
	if found[number] == nil {
		return in, NotFound("incident", incident.ID(number))
	}
	return *found[number], nil
}

// EventsOf returns up to limit events of an incident with a sequence above after.
func EventsOf(ctx context.Context, r LogReader, number, after int64, limit int) ([]incident.Event, error) {
	records, err := EventRecords(ctx, r, number, after, limit)
	if err != nil {
		return nil, err
	}
	return decodeAll(records, DecodeEvent)
}

// EventsSince returns of each incident the first limit events with a sequence above the one that
// stands there; an incident that has none is left out.
func EventsSince(ctx context.Context, r LogReader, after map[int64]int64, limit int) (map[int64][]incident.Event, error) {
	records, err := r.RecordsSince(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	all := make(map[int64][]incident.Event, len(records))
	for number, some := range records {
		if all[number], err = decodeAll(some, DecodeEvent); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// EventRecords is EventsOf as stored: the leaves, and what stands beside them.
func EventRecords(ctx context.Context, r LogReader, number, after int64, limit int) ([]Record, error) {
	if limit <= 0 {
		return nil, nil
	}
	return r.Records(ctx, RecordQuery{Kind: ledger.Event, Incident: number, After: after, Limit: limit})
}

// IncidentsFollowed returns those of the incidents that are there, and those into which they
// were merged.
func IncidentsFollowed(ctx context.Context, r IncidentReader, numbers []int64) (map[int64]*incident.Incident, error) {
	var all map[int64]*incident.Incident
	for {
		numbers = slices.DeleteFunc(numbers, func(n int64) bool { return n == 0 || all[n] != nil })
		if len(numbers) == 0 {
			return all, nil
		}
		found, err := r.IncidentsByNumber(ctx, numbers)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = make(map[int64]*incident.Incident, len(found))
		}
		maps.Copy(all, found)
		numbers = numbers[:0]
		for _, in := range found {
			numbers = append(numbers, in.MergedInto)
		}
	}
}

// OpenIncidents returns how many incidents are open, by the name of their priority, drills
// left out.
func OpenIncidents(ctx context.Context, r IncidentReader) (map[string]int, error) {
	counts, err := r.CountIncidents(ctx)
	open := make(map[string]int)
	for _, c := range counts {
		if c.State == incident.StateOpen && !c.Drill {
			open[c.Priority] += c.Count
		}
	}
	return open, err
}

// An IncidentCount is how many incidents there are of a kind.
type IncidentCount struct {
	State    incident.State
	Drill    bool
	Priority string // its name
	Team     string
	Count    int // at least 1
}

// An IncidentQuery selects incidents; empty fields select all.
type IncidentQuery struct {
	State    incident.State
	Priority string
	Team     string
	NoTeam   bool // those that have none, in place of Team
	SLO      string
	// Text are words, with white space between them. An incident has each of them somewhere in
	// what [AppendIncidentText] says of it or [EventText] of one of its events, without regard
	// to case.
	Text        string
	OldestFirst bool // else the latest first
	Limit       int  // 1 to 1000
	Cursor      string
}
