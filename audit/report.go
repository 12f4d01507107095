package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// ReportOptions say what a report is about.
type ReportOptions struct {
	// From and To bound the time span; To is not part of it. A zero From is the first
	// record, a zero To is Now.
	From, To time.Time
	// Now is when the report is made: what is still owed then and late is counted.
	Now time.Time
	// AsOf is when a store that may run no more was last written, see [LastWritten]: what is
	// still owed, open or overdue is judged by it instead. Zero of one that runs.
	AsOf time.Time
	// Location is for the bounds of months, and for times that people read; UTC if nil.
	Location *time.Location
	// Version is that of the program, for people.
	Version string
	// URL is where sitrep's pages are, without a slash at its end: the page of the report leads
	// there. Empty: it leads nowhere.
	URL string
	// Progress is told how far it is; nil is fine.
	Progress Progress
}

// A Report says how a time span compares with the promises that were made in it.
//
// A message counts in the month, and for the span, in which it was due, and so does an
// interval in which at least one reader of an audience got none; an incident,
// with all that is measured of it, in which it opened; a priority change in which it
// was made. A message counts under the priority that it told, an incident under the
// highest that it ever had. Drills are left out everywhere but in Drills.
type Report struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	MadeAt time.Time `json:"made_at"`
	// AsOf is when the store was last written, if nothing later was known.
	AsOf    time.Time `json:"as_of,omitzero"`
	Zone    string    `json:"timezone"`
	Version string    `json:"version,omitempty"`

	Total      Figures             `json:"total"`
	ByPriority map[string]*Figures `json:"by_priority"`
	ByTeam     map[string]*Figures `json:"by_team"`
	ByMonth    map[string]*Figures `json:"by_month"` // such as 2026-11

	// Late are all messages that were late or missed, by when they were due.
	Late []Lateness `json:"late"`
	// Levels are how long incidents stayed at a priority, by its name.
	Levels map[string]*Spread `json:"held_priority"`
	// Changes are all changes of an incident's priority, in order.
	Changes []PriorityChange `json:"priority_changes"`
	// Actions are those that are not done: waived, open and overdue.
	Actions []OpenAction `json:"actions"`
	// Returning are what had more than one incident, or one that opened again, the most
	// frequent first.
	Returning []Returning `json:"returning"`
	Unmapped  Unmapped    `json:"unmapped"`
	// Drills are what was left out.
	Drills Figures `json:"drills"`
	// Drilled are the latest drills until then of each team, and of each SLO or use case of it.
	Drilled    []Drilled     `json:"drilled"`
	Canary     CanaryFigures `json:"canary"`
	CannotKnow CannotKnow    `json:"cannot_know"`

	location *time.Location
	url      string
	hidden   bool // people are, and the messages to them
	// opened are the incidents that were counted, drills left out.
	opened []openedIncident
	cells  map[cell]*Figures
}

// A cell is the smallest part that is counted by itself.
type cell struct{ month, team, priority string }

// An openedIncident is one that opened in the time span.
type openedIncident struct {
	ID, Headline, Team string
	Highest            incident.Priority
	OpenedAt           time.Time
	ResolvedAt         time.Time // zero: it is open, or was merged
	Into               string    // the incident that it was merged into
}

// NoTeam is the name under which incidents without a team are counted.
const NoTeam = "no team"

// A Lateness is a message that was late or missed, or intervals in which at least one
// reader of an audience got no message.
type Lateness struct {
	Incident string `json:"incident"`
	// Recipient is the address; of a webhook scheme and host. It is empty of missed
	// intervals, which count once for an audience, however many of its readers got no
	// message in them.
	Recipient string            `json:"recipient"`
	Audience  incident.Audience `json:"audience"`
	Group     string            `json:"group,omitempty"`
	Team      string            `json:"team"`
	Priority  string            `json:"priority"`
	Kind      incident.Kind     `json:"kind"`
	Outcome   Outcome           `json:"outcome"`
	// Intervals is how many were missed in the time span, of which DueAt is the first; 0 of
	// one message.
	Intervals int       `json:"intervals,omitempty"`
	DueAt     time.Time `json:"due_at"`
	Promised  time.Time `json:"promised_at,omitzero"`
	// SentAt is zero if it was never handed over, or not yet.
	SentAt time.Time `json:"sent_at,omitzero"`
	// Why is one of a few words, and Cause what was recorded.
	Why      Cause  `json:"why"`
	Cause    string `json:"cause"`
	Delivery string `json:"delivery,omitempty"`
	// cause is what Cause says, for a page that writes its times in a zone; zero if Cause
	// is something else.
	cause incident.Cause
}

// HidePeople takes out whom messages were to go to, and what was said of them.
func (r *Report) HidePeople() {
	r.hidden = true
	for i := range r.Late {
		l := &r.Late[i]
		if l.Recipient != "" {
			l.Recipient = "a reader"
		}
		l.Cause, l.cause = string(l.Why), incident.Cause{}
	}
}

// MarshalJSON writes null where it was not handed over.
func (l Lateness) MarshalJSON() ([]byte, error) {
	type fields Lateness
	form := struct {
		fields
		SentAt *time.Time `json:"sent_at"`
	}{fields: fields(l)}
	if !l.SentAt.IsZero() {
		form.SentAt = &l.SentAt
	}
	return json.Marshal(form)
}

// A PriorityChange is a change of an incident's priority.
type PriorityChange struct {
	Incident string         `json:"incident"`
	Sequence int64          `json:"sequence"`
	At       time.Time      `json:"at"`
	By       incident.Actor `json:"by"`
	From     string         `json:"from"`
	To       string         `json:"to"`
	Raised   bool           `json:"raised"`
	Reason   string         `json:"reason"`
	// Held is how long the priority before had held.
	Held float64 `json:"held_seconds"`
}

// An OpenAction is an action that is not done.
type OpenAction struct {
	Incident string               `json:"incident"`
	Team     string               `json:"team"`
	Name     string               `json:"name"`
	State    incident.ActionState `json:"state"`
	Overdue  bool                 `json:"overdue"`
	DueAt    time.Time            `json:"due_at,omitzero"`
	Reason   string               `json:"reason,omitempty"`
}

// A Returning is an SLO, or a use case without one, that comes back.
type Returning struct {
	SLO        string   `json:"slo,omitempty"`
	UseCase    string   `json:"use_case"`
	Team       string   `json:"team"`
	Incidents  []string `json:"incidents"` // oldest first
	Reopenings int      `json:"reopenings"`
	Trouble    float64  `json:"trouble_seconds"` // of all together, as far as it has ended
}

// Unmapped says what alerts no SLO claimed.
type Unmapped struct {
	// Now is how many fire as the report is made.
	Now int `json:"firing_now"`
	// Incidents are those that opened for such alerts.
	Incidents []string `json:"incidents"`
}

// CannotKnow says what the report cannot know.
type CannotKnow struct {
	// FirstRecordAt is the time of the first record; nothing is known from before.
	FirstRecordAt time.Time `json:"first_record_at,omitzero"`
	// Outages are times in which no sitrep ran, or none could write.
	Outages []storage.Outage `json:"outages"`
	// ClockSets are when the clock was set, and from what to what.
	ClockSets []storage.Outage `json:"clock_sets"`
	// UnknownOutcomes is how many messages may or may not have been handed over.
	UnknownOutcomes int `json:"unknown_outcomes"`
	// UnknownEnds is how many incidents of the span had a breach of which nobody could
	// say whether it still fired.
	UnknownEnds int `json:"unknown_ends"`
	// RefusedPosts is how many of the latest posts of alerts were refused in the span.
	RefusedPosts int      `json:"refused_posts"`
	Notes        []string `json:"notes"`
}

// MakeReport reads the store, and makes the report. Incidents are in it as they were when it began,
// whatever happens until it ends: no snapshot is held for long. The error is incident.ErrInvalid if
// nothing can be known of the time span.
func MakeReport(ctx context.Context, s storage.Store, o ReportOptions) (*Report, error) {
	p, _, err := pastOf(ctx, s, o.Now)
	if err != nil {
		return nil, fmt.Errorf("make the report: %w", err)
	}
	m := newMeasuring(p, o)
	m.progress = o.Progress
	if err := m.firstRecord(ctx); err != nil {
		return nil, fmt.Errorf("make the report: %w", err)
	}
	if err := m.span(o); err != nil {
		return nil, err
	}
	if err := m.measure(ctx); err != nil {
		return nil, fmt.Errorf("make the report: %w", err)
	}
	return m.rep, nil
}

// finish computes what needs all to be there, and puts everything into order.
func (rep *Report) finish() {
	for _, f := range []*Figures{&rep.Total, &rep.Drills} {
		f.finish()
	}
	for _, by := range []map[string]*Figures{rep.ByPriority, rep.ByTeam, rep.ByMonth} {
		for _, f := range by {
			f.finish()
		}
	}
	for _, f := range rep.cells {
		f.finish()
	}
	for _, s := range rep.Levels {
		s.finish()
	}
	rep.Canary.Took.finish()
	slices.SortFunc(rep.Drilled, compareDrilled)
	slices.SortStableFunc(rep.opened, func(a, b openedIncident) int {
		return cmp.Or(cmp.Compare(a.Highest.Rank, b.Highest.Rank), cmp.Compare(a.Highest.Name, b.Highest.Name), compareIDs(a.ID, b.ID))
	})
	slices.SortStableFunc(rep.Late, func(a, b Lateness) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), compareIDs(a.Incident, b.Incident), cmp.Compare(a.Recipient, b.Recipient), cmp.Compare(a.Delivery, b.Delivery))
	})
	slices.SortStableFunc(rep.Changes, func(a, b PriorityChange) int {
		return cmp.Or(a.At.Compare(b.At), compareIDs(a.Incident, b.Incident), cmp.Compare(a.Sequence, b.Sequence))
	})
	slices.SortStableFunc(rep.Actions, func(a, b OpenAction) int {
		return cmp.Or(compareIDs(a.Incident, b.Incident), cmp.Compare(a.Name, b.Name))
	})
	for i := range rep.Returning {
		slices.SortFunc(rep.Returning[i].Incidents, compareIDs)
	}
	slices.SortStableFunc(rep.Returning, func(a, b Returning) int {
		return cmp.Or(cmp.Compare(len(b.Incidents)+b.Reopenings, len(a.Incidents)+a.Reopenings), compareIDs(a.Incidents[0], b.Incidents[0]))
	})
	slices.SortFunc(rep.Unmapped.Incidents, compareIDs)
}

// compareIDs orders names of incidents by their number.
func compareIDs(a, b string) int {
	x, _ := incident.ParseID(a)
	y, _ := incident.ParseID(b)
	return cmp.Compare(x, y)
}

// Months returns the months in which something was owed or opened, in order.
func (rep *Report) Months() []string { return slices.Sorted(maps.Keys(rep.ByMonth)) }

// Priorities returns the names of the priorities that occur, in order.
func (rep *Report) Priorities() []string { return slices.Sorted(maps.Keys(rep.ByPriority)) }

// Teams returns the names of the teams that occur, in order.
func (rep *Report) Teams() []string { return slices.Sorted(maps.Keys(rep.ByTeam)) }
