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
// else. Of what stays inside it has as much as they may know, see [incident.Texts], and of
// addresses none: it is the same for all readers of a group who read by the same audience.
//
// First come the words that sitrep has for it, from the top, in the reader's language: a
// template that lays out those says all that the built-in message does. What follows are the
// facts behind them.
//
// All strings are clean: each is one line, but for Text, Quote and the words of the team, and has no
// control characters. In a chat's template they are escaped for that chat already.
type Message struct {
	Words
	// Subject is the built-in subject, and Text the whole built-in message in plain text.
	Subject, Text string
	// Colour is that of the tone, as #rrggbb, and Sign its emoji.
	Colour, Sign string

	// Kind is opened, update, priority, left, resolved, reopened, reminder, digest, watchdog or
	// canary.
	Kind string
	// At is when the message was made.
	At *Time
	// Audience is by which the reader reads: management, stakeholders or on_call; empty of the
	// watchdog's. Audiences are all of them, where there are several.
	Audience  string
	Audiences []string
	// Group is the name of the reader's group; of on_call, the team.
	Group string
	// OnCall is whether the reader is on call, and told what helps there.
	OnCall bool
	// Zone is the name of the time zone in which times are written, and Language the tag of the language
	// of the words, such as en.
	Zone, Language string
	// Drill is whether nothing is really broken.
	Drill bool
	// Page is the URL of the page of all incidents.
	Page string

	// Incident is what the message is about, of a digest the highest; nothing of a message about
	// the watchdog or the canary.
	Incident *Incident
	// Incidents are those of a digest, the highest priority first, up to 50; else the one.
	Incidents []*Incident
	// Total is how many incidents the message is about, and Counts how many there are of each priority.
	Total  int
	Counts []Count
	// Watchdog is there in a message about the watchdog, and Canary in one about the canary.
	Watchdog *Watchdog
	Canary   *Canary
}

// Words are what the message says, from the top.
type Words wording.Report

// An Incident is one that a message is about, as its reader may know it.
type Incident struct {
	// ID is its name, such as INC-42, and URL that of its page.
	ID, URL string
	// Kind is what a message about it alone would be, in a digest; else the message's kind.
	Kind string
	// UseCase is what is broken, without the labels that tell it from others of its SLO; Title has
	// those too. Affected is who is affected.
	UseCase, Title, Affected string
	// Service, SLI, SLO and Team are as in the SLO's file; each may be empty.
	Service, SLI, SLO, Team string
	// Labels are those of incident_per, with their values.
	Labels   map[string]string
	Priority Priority
	// State is open, resolved or closed; Phase initial-diagnosis, escalation, investigation, recovery
	// or closure.
	State, Phase string
	// Drill is whether nothing is really broken; Declared whether a person opened it; Unmapped
	// whether no SLO claims its alert.
	Drill, Declared, Unmapped bool
	// StartedAt and EndedAt are when the trouble began and ended; OpenedAt, ReopenedAt, ResolvedAt and
	// ClosedAt when sitrep knew.
	StartedAt, EndedAt, OpenedAt, ReopenedAt, ResolvedAt, ClosedAt *Time
	// OnIt is whether somebody is on it, AcknowledgedAt since when somebody first was.
	OnIt           bool
	AcknowledgedAt *Time
	// AcknowledgedBy is who is on it, and EscalatedTo to whom it was escalated; for on_call alone.
	AcknowledgedBy, EscalatedTo string
	// MergedInto is the incident that goes on instead, and Previous the earlier one of the same SLO;
	// each may be empty.
	MergedInto, Previous string
	// Breaches are how many alerts fire, and how many there were; News what happened to them since
	// the reader's last message.
	Breaches Breaches
	News     News
	// First is whether the reader hears of it for the first time, or first since leaving; Again
	// whether the reader was told before, and left.
	First, Again bool
	// Changes are what else happened since the reader's last message, the oldest first.
	Changes []Change
	// Word is the latest that the team wrote to the reader, New whether the reader has it not yet.
	Word *Word
	// NextBy is the latest time of the next message, if nothing happens before; nothing if none is
	// owed. NextUpdate says that in words: by 16:03 CEST, or that none is scheduled, and why.
	NextBy     *Time
	NextUpdate string
	// LateSince is when this message should have come, if it could not be handed over until now.
	LateSince *Time
	// Actions are the duties that the priority brought.
	Actions []Action
	// Alerts are, for on_call, up to five that fire or are unknown, and Runbook the URL of what to do.
	Alerts  []Alert
	Runbook string
}

// A Priority is that of an incident.
type Priority struct {
	Name, Summary string
	// Rank is 0 for the highest, 1 for the next.
	Rank     int
	Criteria []string
	// Inform are the audiences that are informed.
	Inform []string
	// UpdateEvery is how often, in words: 2 hours; empty: never.
	UpdateEvery string
}

// Breaches are numbers of alerts.
type Breaches struct {
	Firing, Unknown, Total int
	// LastHeardAt is when one was last heard to fire.
	LastHeardAt *Time
}

// News is how many alerts started, ended and became unknown.
type News struct {
	Started, Ended, Unknown int
}

// A Change is one thing that happened.
type Change struct {
	At *Time
	// Kind is the type of the event, as in the API, such as priority_changed.
	Kind string
	// Says is a sentence that tells it, with the words of people that the reader may know.
	Says string
}

// A Word is what the team wrote.
type Word struct {
	// Quote may have several lines.
	Quote string
	At    *Time
	By    string
	New   bool
}

// Lines returns what the team wrote line by line.
func (w *Word) Lines() []string { return strings.Split(w.Quote, "\n") }

// An Action is a duty.
type Action struct {
	Name string
	// State is due, done or waived.
	State string
	// DueAt is by when it is to be done; nothing if there is no limit, or it does not count yet.
	DueAt *Time
	// Link leads to what was done.
	Link string
	// Reason is why it was waived; for on_call alone.
	Reason string
}

// An Alert is one that fires or is unknown. Its texts are strangers'.
type Alert struct {
	Name, Summary string
	// URL is where it comes from; it may be empty.
	URL string
	// State is firing or unknown.
	State string
	// Labels are up to four, that tell it from the others.
	Labels            map[string]string
	StartsAt, HeardAt *Time
}

// A Count is how many incidents of a priority a digest is about, by their state.
type Count struct {
	Priority                               string
	Open, Resolved, Closed, Merged, Drills int
}

// A Watchdog says whether the alert that always fires is there.
type Watchdog struct {
	// Pulse tells several apart, such as cluster eu; empty if there is one.
	Pulse string
	Away  bool
	// HeardAt is when it was last heard; nothing if never.
	HeardAt *Time
	// Within is how often it is to be heard, in words.
	Within string
}

// A Canary says how a run of the canary went.
type Canary struct {
	// Failed is whether it did not arrive in time.
	Failed bool
	// PostedAt is when its alert was posted, HeardAt when that came back, ArrivedAt when its mail
	// was handed over, and FailingSince when the first was posted of those that failed in a row.
	PostedAt, HeardAt, ArrivedAt, FailingSince *Time
	// Stage is how far one came that failed: post, route or mail; Error what was said there.
	Stage, Error string
	// Within is how long it may take, in words.
	Within string
}

// A Time is a time in the zone of the reader. By itself it is written as in all messages:
// 15:58 CEST, with the day if it is not that of the message.
type Time struct {
	at    time.Time
	words string
}

// String returns it as it is written in all messages.
func (t *Time) String() string { return t.words }

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

	// language is that of all words of package wording.
	language = "en"

	lineLimit = 400
	wordLimit = 2500
	nameLimit = 80
)

// newFacts returns what templates are given of a message, but for its words and its text.
func newFacts(m *incident.Message, r *wording.Report) *Message {
	m = m.ForReader()
	f := former{m, wording.Clock{Now: m.At, Location: m.Location}}
	out := &Message{
		Subject: wording.Subject(m), Colour: wording.Colour(r.Tone), Sign: wording.Sign(r.Tone),
		Kind: string(m.Kind), At: f.time(m.At), Group: wording.Line(m.Group, nameLimit), OnCall: m.ToOnCall(), Zone: m.Location.String(), Language: language,
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
		out.Watchdog = &Watchdog{Pulse: wording.Pulse(w.Labels), Away: w.Away, HeardAt: f.time(w.HeardAt), Within: wording.Duration(w.Within)}
	}
	if c := m.Canary; c != nil {
		out.Canary = &Canary{
			Failed: !c.FailedAt.IsZero(), PostedAt: f.time(c.PostedAt), HeardAt: f.time(c.HeardAt), ArrivedAt: f.time(c.ArrivedAt),
			FailingSince: f.time(c.FailingSince), Stage: string(c.Stage), Error: wording.Line(c.Error, lineLimit), Within: wording.Duration(c.Within),
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
	how := wording.Describer{Time: f.clock.Time}
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
	for _, a := range wording.Alerts(it) {
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
		out.UpdateEvery = wording.Duration(p.UpdateEvery)
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
