package templates

import (
	"errors"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

// A Message is what templates are given: all that the message's readers are told, and nothing
// else. Of what stays inside it has as much as they may know, and of addresses none: it is the
// same for all readers of a group who read by the same audience.
//
// First come the words that sitrep has for it, from the top, in the reader's language: a
// template that lays out those says all that the built-in message does. What follows are the
// facts behind them.
//
// All strings are clean: each is one line, but for Text, Quote and the words of the team, and has no
// control characters. In a chat's template they are escaped for that chat already.
type Message struct {
	Words
	Subject string // the built-in subject
	Text    string // the whole built-in message in plain text
	Colour  string // of the tone, as #rrggbb
	Sign    string // the emoji of the tone

	Kind string // opened, update, priority, left, resolved, reopened, reminder, digest, watchdog or canary
	At   *Time  // when the message was made

	Audience  string   // by which the reader reads: management, stakeholders or on_call
	Audiences []string // all of them, where there are several
	Group     string   // the name of the reader's group; of on_call, the team
	OnCall    bool     // the reader is on call, and told what helps there
	Zone      string   // the name of the time zone in which times are written
	Language  string   // the tag of the language of the words, such as en
	Drill     bool     // nothing is really broken
	Page      string   // the URL of the page of all incidents

	Incident  *Incident   // what the message is about, of a digest the highest; none of a message about the watchdog or the canary
	Incidents []*Incident // those of a digest, the highest priority first, up to 50; else the one
	Total     int         // how many incidents the message is about
	Counts    []Count     // how many incidents there are of each priority
	Watchdog  *Watchdog   // of a message about the watchdog
	Canary    *Canary     // of a message about the canary
}

// Words are what the message says, from the top.
type Words wording.Report

// An Incident is one that a message is about, as its reader may know it.
type Incident struct {
	ID   string // its name, such as INC-42
	URL  string // of its page
	Kind string // what a message about it alone would be, in a digest; else the message's kind

	UseCase  string            // what is broken, without the labels that tell it from others of its SLO
	Title    string            // what is broken, with those labels
	Affected string            // who is affected
	Service  string            // as in the SLO's file; it may be empty
	SLI      string            // as in the SLO's file; it may be empty
	SLO      string            // its id; empty if no SLO claims the alert, or a person declared it without
	Team     string            // the name of the team whose SLO it is
	Labels   map[string]string // those of incident_per, with their values
	Priority Priority          // that it has now

	State    string // open, resolved or closed
	Phase    string // initial-diagnosis, escalation, investigation, recovery or closure
	Drill    bool   // nothing is really broken
	Declared bool   // a person opened it
	Unmapped bool   // no SLO claims its alert

	StartedAt  *Time // when the trouble began, as far as alerts say
	EndedAt    *Time // when the trouble ended; none while an alert fires
	OpenedAt   *Time // when sitrep opened it
	ReopenedAt *Time // when it opened again for the last time
	ResolvedAt *Time // when it resolved
	ClosedAt   *Time // when it was closed

	OnIt           bool   // somebody is on it
	AcknowledgedAt *Time  // when somebody was on it for the first time
	AcknowledgedBy string // who is on it; for on_call alone
	EscalatedTo    string // to whom it was escalated; for on_call alone
	MergedInto     string // the incident that goes on instead, such as INC-41
	Previous       string // the earlier incident of the same SLO, such as INC-7

	Breaches Breaches // how many alerts fire, and how many there were
	News     News     // what happened to alerts since the reader's last message
	First    bool     // the reader hears of it for the first time, or first since leaving
	Again    bool     // the reader was told before, and left
	Changes  []Change // what else happened since the reader's last message, the oldest first, up to 20
	Word     *Word    // the latest that the team wrote to the reader

	NextBy     *Time  // the latest time of the next message, if nothing happens before; none if none is owed
	NextUpdate string // that in words: "by 16:03 CEST", or that none is scheduled, and why
	LateSince  *Time  // when this message should have come, if it could not be handed over until now

	Actions []Action // the duties that the priority brought
	Alerts  []Alert  // up to five that fire or are unknown; for on_call alone
	Runbook string   // the URL of what to do; for on_call alone
}

// A Priority is that of an incident.
type Priority struct {
	Name        string   // such as P1
	Summary     string   // in plain words; it may be empty
	Rank        int      // 0 for the highest, 1 for the next
	Criteria    []string // by which it is chosen
	Inform      []string // the audiences that are informed
	UpdateEvery string   // how often, in words: "2 hours"; empty: never
}

// Breaches are numbers of alerts.
type Breaches struct {
	Firing      int   // that fire
	Unknown     int   // of which nobody knows whether they fire
	Total       int   // that there were
	LastHeardAt *Time // when one was last heard to fire
}

// News is what happened to alerts.
type News struct {
	Started int // how many started
	Ended   int // how many ended
	Unknown int // of how many it became unknown whether they fire
}

// A Change is one thing that happened.
type Change struct {
	At   *Time  // when
	Kind string // the type of the event, as in the API, such as priority_changed
	Says string // a sentence that tells it, with the words of people that the reader may know
}

// A Word is what the team wrote.
type Word struct {
	Quote string // its words, in one or several lines
	At    *Time  // when
	By    string // who
	New   bool   // the reader has not had it yet
}

// Lines returns what the team wrote line by line.
func (w *Word) Lines() []string { return strings.Split(w.Quote, "\n") }

// An Action is a duty.
type Action struct {
	Name   string // such as postmortem
	State  string // due, done or waived
	DueAt  *Time  // by when; none if there is no limit, or it does not count yet
	Link   string // the URL of what was done
	Reason string // why it was waived; for on_call alone
}

// An Alert is one that fires or is unknown. Its texts are strangers'.
type Alert struct {
	Name     string            // its label alertname
	Summary  string            // its annotation summary, else description
	URL      string            // where it comes from; it may be empty
	State    string            // firing or unknown
	Labels   map[string]string // up to four, that tell it from the others
	StartsAt *Time             // when it began
	HeardAt  *Time             // when it was last heard to fire
}

// A Count is how many incidents of a priority a digest is about, by their state.
type Count struct {
	Priority string // its name
	Open     int    // that are open
	Resolved int    // that are resolved
	Closed   int    // that are closed
	Merged   int    // that were merged into others
	Drills   int    // that are drills, in whatever state
}

// A Watchdog says whether the alert that always fires is there.
type Watchdog struct {
	Pulse   string // which of several, such as cluster eu; empty if there is one
	Away    bool   // it is not there
	HeardAt *Time  // when it was last heard; none if never
	Within  string // how often it is to be heard, in words
}

// A Canary says how a run of the canary went.
type Canary struct {
	Failed       bool   // it did not arrive in time
	PostedAt     *Time  // when its alert was posted
	HeardAt      *Time  // when its alert came back
	ArrivedAt    *Time  // when its mail was handed over
	FailingSince *Time  // when the first was posted of those that failed in a row
	Stage        string // how far one came that failed: post, route or mail
	Error        string // what was said there
	Within       string // how long it may take, in words
}

// A Time is a time in the zone of the reader. By itself it is written as in all messages:
// 15:58 CEST, with the day if it is not that of the message.
type Time struct {
	at    time.Time
	words string
}

// String returns it as it is written in all messages; of none it is empty.
func (t *Time) String() string {
	if t == nil {
		return ""
	}
	return t.words
}

// mostLayout is how long the layout of a time may be.
const mostLayout = 100

// Format returns it in a layout of Go, which is how it writes 2 January 2006 at 15:04:05, such as
// "02.01.2006 15:04".
func (t *Time) Format(layout string) (string, error) {
	if len(layout) > mostLayout {
		return "", errors.New("a layout of more than 100 characters")
	}
	return t.at.Format(layout), nil
}

// Unix returns it in seconds since 1970.
func (t *Time) Unix() int64 { return t.at.Unix() }

// MarshalText returns it as in RFC 3339, in UTC: what toJson writes.
func (t *Time) MarshalText() ([]byte, error) { return t.at.UTC().AppendFormat(nil, time.RFC3339), nil }

const (
	// changesLimit is how many changes of an incident templates have.
	changesLimit = 20

	lineLimit = 400
	wordLimit = 2500
	nameLimit = 80
)

// newFacts returns what templates are given of a message, but for its words and its text.
func newFacts(m *incident.Message, r *wording.Report) *Message {
	m = m.ForReader()
	language := wording.In(m.Language)
	f := former{m, wording.Clock{Now: m.At, Location: m.Location, Language: language}}
	out := &Message{
		Subject: wording.Subject(m), Colour: wording.Colour(r.Tone), Sign: wording.Sign(r.Tone),
		Kind: string(m.Kind), At: f.time(m.At), Group: wording.Line(m.Group, nameLimit), OnCall: m.ToOnCall(), Zone: m.Location.String(), Language: language.Tag(),
		Drill: r.Notice != "", Page: wording.Link(m.BaseURL + "/"), Total: len(m.Items),
	}
	for _, a := range m.Audiences {
		out.Audiences = append(out.Audiences, string(a))
	}
	if len(out.Audiences) > 0 {
		out.Audience = out.Audiences[0]
	}
	for i := range m.Items[:min(len(m.Items), room.Named)] {
		out.Incidents = append(out.Incidents, f.incident(&m.Items[i]))
	}
	if len(out.Incidents) > 0 {
		out.Incident = out.Incidents[0]
	}
	for _, c := range incident.CountItems(m.Items) {
		out.Counts = append(out.Counts, Count{wording.Line(c.Priority, nameLimit), c.Open, c.Resolved, c.Closed, c.Merged, c.Drills})
	}
	if w := m.Watchdog; w != nil {
		out.Watchdog = &Watchdog{Pulse: f.clock.Language.Pulse(w.Labels), Away: w.Away, HeardAt: f.time(w.HeardAt), Within: f.clock.Language.Duration(w.Within)}
	}
	if c := m.Canary; c != nil {
		out.Canary = &Canary{
			Failed: !c.FailedAt.IsZero(), PostedAt: f.time(c.PostedAt), HeardAt: f.time(c.HeardAt), ArrivedAt: f.time(c.ArrivedAt),
			FailingSince: f.time(c.FailingSince), Stage: string(c.Stage), Error: wording.Line(c.Error, lineLimit), Within: f.clock.Language.Duration(c.Within),
		}
	}
	return out
}

// A former makes facts of a message.
type former struct {
	m     *incident.Message
	clock wording.Clock
}

// time returns a time as templates have it; nil if it is not set.
func (f former) time(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{at: t.In(f.clock.Location), words: f.clock.Full(t)}
}

func (f former) incident(it *incident.Item) *Incident {
	in := &it.Incident
	name := func(s string) string { return wording.Line(s, nameLimit) }
	out := &Incident{
		ID: in.ID(), URL: wording.Link(f.m.BaseURL + "/incidents/" + in.ID()), Kind: string(it.Kind),
		UseCase: wording.Line(in.UseCase, lineLimit), Title: wording.Headline(in), Affected: wording.Affected(in),
		Service: name(in.Service), SLI: name(in.SLI), SLO: name(in.SLO), Team: name(in.Team),
		Priority: f.priority(it), State: string(in.State), Phase: string(in.Phase),
		Drill: in.Drill, Declared: in.Declared, Unmapped: in.Unmapped,
		StartedAt: f.time(in.StartedAt), EndedAt: f.time(in.EndedAt), OpenedAt: f.time(in.OpenedAt), ReopenedAt: f.time(in.ReopenedAt),
		ResolvedAt: f.time(in.ResolvedAt), ClosedAt: f.time(in.ClosedAt),
		OnIt: in.OnIt(), AcknowledgedAt: f.time(in.AcknowledgedAt),
		Breaches: Breaches{in.Breaches.Firing, in.Breaches.Unknown, in.Breaches.Total, f.time(it.LastHeardAt)},
		News:     News(it.Breaches), First: it.First, Again: it.Again,
		NextBy: f.time(it.NextBy), NextUpdate: wording.NextUpdate(it, f.clock), LateSince: f.time(it.LateSince),
		Labels: f.labels(in.Labels),
	}
	if in.MergedInto > 0 {
		out.MergedInto = incident.ID(in.MergedInto)
	}
	if in.Previous > 0 {
		out.Previous = incident.ID(in.Previous)
	}
	how := wording.Describer{Time: f.clock.Time, Language: f.clock.Language}
	if it.OnCall {
		how.Depth = wording.ForTeam
	}
	for i := range it.Changes[max(len(it.Changes)-changesLimit, 0):] {
		e := &it.Changes[max(len(it.Changes)-changesLimit, 0)+i]
		out.Changes = append(out.Changes, Change{f.time(e.Time), string(e.Type), how.Event(e)})
	}
	if w := it.Word; w != nil {
		quote, _ := wording.Block(w.Text, wordLimit)
		out.Word = &Word{Quote: quote, At: f.time(w.At), By: name(w.By), New: it.NewWord}
	}
	for _, a := range in.Actions {
		out.Actions = append(out.Actions, Action{name(a.Name), string(a.State), f.time(a.DueAt), wording.Link(a.Link), ""})
	}
	if it.OnCall {
		f.onCall(out, it)
	}
	return out
}

// onCall adds what only those on call are told.
func (f former) onCall(out *Incident, it *incident.Item) {
	in := &it.Incident
	out.AcknowledgedBy, out.EscalatedTo = wording.Line(in.AcknowledgedBy, nameLimit), wording.Line(in.EscalatedTo, nameLimit)
	out.Runbook = wording.Link(it.Runbook)
	for i := range out.Actions {
		out.Actions[i].Reason = wording.Line(in.Actions[i].Reason, lineLimit)
	}
	for _, a := range f.clock.Language.Alerts(it) {
		out.Alerts = append(out.Alerts, Alert{a.Name, a.Summary, a.URL, string(a.State), a.Labels, f.time(a.StartsAt), f.time(a.HeardAt)})
	}
}

func (f former) priority(it *incident.Item) Priority {
	p := &it.Incident.Priority
	out := Priority{Name: wording.Line(p.Name, nameLimit), Summary: wording.Line(p.Summary, lineLimit), Rank: p.Rank}
	for _, c := range p.Criteria {
		out.Criteria = append(out.Criteria, wording.Line(c, lineLimit))
	}
	for _, a := range it.Audiences {
		out.Inform = append(out.Inform, string(a))
	}
	if p.UpdateEvery > 0 {
		out.UpdateEvery = f.clock.Language.Duration(p.UpdateEvery)
	}
	return out
}

// labels returns labels that are clean; nil if there are none.
func (f former) labels(labels map[string]string) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	out := make(map[string]string, len(labels))
	for name, value := range labels {
		out[wording.Line(name, nameLimit)] = wording.Line(value, nameLimit)
	}
	return out
}

// asIs are the fields of whose values a template makes conditions, or that are no words: no chat
// reads anything into them.
var asIs = []string{"Kind", "Tone", "Colour", "Sign", "Audience", "Audiences", "State", "Phase", "Zone", "Language", "Stage", "Inform", "ID", "MergedInto", "Previous"}

// links are the fields that are URLs.
var links = []string{"URL", "Page", "Link", "Runbook"}

// isLink reports whether a field is a URL.
func isLink(field string) bool { return slices.Contains(links, field) }
