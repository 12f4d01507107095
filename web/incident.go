package web

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"sitrep/incident"
	"sitrep/internal/httperr"
	"sitrep/storage"
	"sitrep/wording"
)

// How much of an incident one page shows.
const (
	eventsShown   = 200
	breachesShown = 200
)

type incidentPage struct {
	layout
	ID, Headline, Summary string
	Priority, Tone        string
	SLOPriority           string // if it is another
	Drill, Unmapped       bool
	Declared              bool
	State                 incident.State
	Status                string
	Facts                 []fact
	Next                  *moment
	NextText              string
	Late                  string // for how long the update is overdue
	Done                  string // what the person did right before
	MergedInto, Previous  string
	MergedFrom            []string
	Runbook               string
	Labels                []label
	Actions               []actionInfo
	Words                 []wordInfo
	Readers               []readerGroup
	Events                []eventInfo
	Earlier               string // the query of the events before; empty: none
	Breaches              []breachInfo
	NextBreaches          string // the query of the rest; empty: there is none
	Messages              []toldRow
	NextMessages          string
	// OnIt is who is on it, while it is open, and OnItForm the form of who could be, or could
	// give it back.
	OnIt       string
	OnItForm   *form
	Forms      []form
	UpdateForm *form
}

type fact struct {
	Name, Value string
	Strong      bool
	Link        string // where the value leads; empty: nowhere
}

type actionInfo struct {
	Text, Link string
	Due        bool // still to be done
	Late       bool
}

type wordInfo struct {
	Audience, By, Text string
	At                 *moment

	at time.Time
}

type readerInfo struct {
	Recipient, Audiences string
	Groups               []groupLink
	Active               bool
	Told                 *moment
	Next                 *moment
	Kind                 string
	Overdue              bool
	Try                  *moment // when it is tried next, if a failure holds it back

	told, next, try time.Time
}

type eventInfo struct {
	Sequence int64
	At       *moment
	Tone     string // breach, person or empty
	Text     string
	Quote    string // a person's words, in lines
	Said     bool   // they stand above, under what the team says
	Link     string
}

type breachInfo struct {
	Name                string
	State               incident.BreachState
	Priority            string
	Started, Ended      *moment
	Heard               *moment
	Labels, Annotations []label
	Source              string
	Fingerprint         string
}

// number returns the number of the incident in the path.
func number(r *http.Request) (int64, error) { return incident.ParseID(mux.Vars(r)["id"]) }

func (h *Handler) incident(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return httperr.Wrap(http.StatusNotFound, err.Error(), err)
	}
	p := incidentPage{layout: h.layout(r, incident.ID(n))}
	q := r.URL.Query()
	p.Refresh = q.Get("before") == "" && q.Get("messages") == "" && q.Get("breaches") == ""
	p.Done = doneText(q.Get("done"))
	return h.show(w, r, "incident", &p, func(tx storage.Snapshot) error {
		s, err := storage.Situation(r.Context(), tx, n)
		if err != nil {
			return incident.NotThere(err, n)
		}
		pulses, err := tx.Pulses(r.Context())
		if err != nil {
			return err
		}
		if err := h.Repo.Tries(tx, p.clock.Now).Note(r.Context(), s); err != nil {
			return err
		}
		p.describe(s, pulses)
		readers := p.readers(s)
		p.Readers = p.byGroup(readers)
		p.saysUnsent(readers)
		if err := p.readEvents(r.Context(), tx, &s.Incident, q); err != nil {
			return err
		}
		if err := p.readBreaches(r.Context(), tx, &s.Incident, q.Get("breaches")); err != nil {
			return err
		}
		var next string
		if p.Messages, next, err = p.readTold(r.Context(), tx, storage.DeliveryQuery{Incident: n, Cursor: q.Get("messages")}, n); err != nil {
			return err
		}
		failuresFirst(p.Messages)
		if p.NextMessages = ""; next != "" {
			p.NextMessages = "?" + url.Values{"messages": {next}}.Encode() + "#messages"
		}
		p.Forms, p.UpdateForm, p.OnItForm = nil, nil, nil
		if p.CanAct {
			p.Forms, p.UpdateForm, p.OnItForm = forms(&p.layout, &s.Incident)
		}
		return nil
	})
}

// describe says where the incident stands.
func (p *incidentPage) describe(s *incident.Situation, pulses incident.Pulses) {
	in, clock := &s.Incident, p.clock
	p.ID, p.Headline = in.ID(), wording.Headline(in)
	p.Title = in.ID() + " " + p.Headline
	p.Revision = in.ID() + "." + strconv.FormatInt(in.Sequence, 10)
	now := in.Priority
	if q, ok := p.policy.Priority(now.Name); ok {
		now = q
	}
	p.Priority, p.Summary, p.Tone = wording.Line(now.Name, 20), now.Summary, tone(in)
	if in.SLOPriority != in.Priority.Name {
		p.SLOPriority = wording.Line(in.SLOPriority, 20)
	}
	p.Drill, p.Unmapped, p.Declared = in.Drill, in.Unmapped, in.Declared
	p.State, p.Status = in.State, wording.State(in)
	p.Runbook, p.Labels = wording.Link(in.Runbook), labels(in.Labels)
	p.MergedInto, p.Previous, p.MergedFrom = "", "", nil
	if in.MergedInto != 0 {
		p.MergedInto = incident.ID(in.MergedInto)
	}
	if in.Previous != 0 {
		p.Previous = incident.ID(in.Previous)
	}
	for _, n := range in.MergedFrom {
		p.MergedFrom = append(p.MergedFrom, incident.ID(n))
	}

	next, late := s.NextUpdate(p.policy)
	item := incident.Item{
		Kind: incident.KindUpdate, Incident: *in, LastHeardAt: s.LastHeardAt(), NextBy: next,
		Paused: s.Paused(),
	}
	p.Next, p.NextText, p.Late = p.at(next), wording.NextUpdate(&item, clock), ""
	if !late.IsZero() {
		p.Late = wording.Duration(clock.Now.Sub(late)) + ", promised by " + clock.Full(late)
	}
	p.Facts = nil
	add := func(name, value string, strong bool) {
		if value != "" {
			p.Facts = append(p.Facts, fact{Name: name, Value: value, Strong: strong})
		}
	}
	add("Affects", wording.Line(in.Affects, 200), false)
	add(wording.Span(in), wording.Since(in, clock), true)
	if p.OnIt = ""; in.State == incident.StateOpen {
		p.OnIt = wording.OnIt(in, clock)
	}
	if in.MergedInto == 0 {
		add("Now", wording.Breaches(&item, clock), false)
	}
	if in.State == incident.StateOpen {
		add("Monitoring", wording.Silent(pulses.Away(p.policy, in.Labels), clock), true)
	}
	if in.State == incident.StateResolved {
		by := "by itself"
		if incident.Actor(in.ResolvedBy).Person() {
			by = "by " + wording.Line(in.ResolvedBy, 80)
		}
		add("Resolved", clock.Full(in.ResolvedAt)+", "+by, false)
	}
	if in.State == incident.StateClosed && !in.ClosedAt.IsZero() {
		add("Closed", clock.Full(in.ClosedAt), false)
	}
	if in.Team != "" {
		p.Facts = append(p.Facts, fact{Name: "Team", Value: in.Team, Link: p.groupLink(in.Team, true).Link})
	}
	add("Service", in.Service, false)
	add("SLO", in.SLO, false)
	add("SLI", in.SLI, false)
	p.Actions = nil
	for i := range in.Actions {
		a := &in.Actions[i]
		due := a.State == incident.ActionDue
		p.Actions = append(p.Actions, actionInfo{wording.Action(a, clock), wording.Link(a.Link), due, due && !a.DueAt.IsZero() && a.DueAt.Before(clock.Now)})
	}
	p.Words = nil
	for _, a := range slices.Sorted(maps.Keys(in.Words)) {
		word := in.Words[a]
		if i := slices.IndexFunc(p.Words, func(o wordInfo) bool { return o.Text == word.Text && o.at.Equal(word.At) }); i >= 0 {
			p.Words[i].Audience += " and " + wording.AudienceName(a)
			continue
		}
		text, _ := wording.Block(word.Text, incident.MaxText)
		p.Words = append(p.Words, wordInfo{wording.AudienceName(a), wording.Line(word.By, 80), text, p.at(word.At), word.At})
	}
}

// readers are all who are or were told.
func (p *incidentPage) readers(s *incident.Situation) []readerInfo {
	forecast := map[string]incident.PlannedReader{}
	for _, f := range s.Forecast(p.policy) {
		forecast[f.Recipient.ID] = f
	}
	var all []readerInfo
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		rcpt, known := p.policy.Recipient(sub.Recipient)
		next, due := forecast[sub.Recipient]
		if !sub.Active && sub.ToldAt.IsZero() && !due {
			continue
		}
		info := readerInfo{
			Recipient: rcpt.Address, Groups: p.groupLinks(sub.Groups, sub.Audiences), Told: p.at(sub.ToldAt), told: sub.ToldAt,
			// One who was taken out of the configuration gets nothing more.
			Active: sub.Active && known,
		}
		switch {
		case sub.Forgotten():
			info.Recipient = sub.Recipient
		case !known:
			info.Recipient = "someone who is no longer in the configuration"
		}
		if p.Stranger {
			info.Recipient = ""
		}
		info.Audiences = wording.AudienceNames(sub.Audiences)
		if due {
			info.Next, info.Kind = p.at(next.At), kindName(next.Kind)
			info.Try, info.next, info.try = p.at(next.TryAt), next.At, next.TryAt
			info.Overdue = p.clock.Now.Sub(next.At) > incident.Promise
		}
		all = append(all, info)
	}
	return all
}

// saysUnsent says how many of the readers wait for what should have been handed over.
func (p *incidentPage) saysUnsent(readers []readerInfo) {
	n := 0
	for i := range readers {
		if readers[i].late() {
			n++
		}
	}
	if n > 0 {
		p.Facts = append(p.Facts, fact{Name: "Not handed over", Value: wording.Count(n, "message") + "; see who is told", Strong: true})
	}
}

// readEvents reads a page of the timeline, the latest first.
func (p *incidentPage) readEvents(ctx context.Context, tx storage.Snapshot, in *incident.Incident, q url.Values) error {
	before := in.Sequence + 1
	if n, err := strconv.ParseInt(q.Get("before"), 10, 64); err == nil && n > 0 && n < before {
		before = n
	}
	after := max(before-1-eventsShown, 0)
	events, err := storage.EventsOf(ctx, tx, in.Number, after, int(before-1-after)+1)
	if err != nil {
		return err
	}
	p.Events, p.Earlier = nil, ""
	left := room{left: textShown}
	for _, e := range slices.Backward(events) {
		if e.Sequence >= before {
			continue
		}
		info := p.event(&e)
		if i := slices.IndexFunc(p.Words, func(o wordInfo) bool { return o.at.Equal(e.Time) && o.Text == info.Quote }); i >= 0 && e.Type == incident.EventUpdateWritten {
			info.Quote, info.Said = "", true
		}
		if !left.take(len(info.Text) + len(info.Quote)) {
			after = e.Sequence
			break
		}
		p.Events = append(p.Events, info)
	}
	if after > 0 {
		p.Earlier = "?before=" + strconv.FormatInt(after+1, 10) + "#timeline"
	}
	return nil
}

// shortReason is how long, in bytes, a reason may be to stand in its sentence.
const shortReason = 200

func (l *layout) event(e *incident.Event) eventInfo {
	tone := ""
	switch e.Type {
	case incident.EventBreachStarted, incident.EventBreachEnded, incident.EventBreachUnknown:
		tone = "breach"
	case incident.EventUpdateMissed:
		tone = "missed"
	}
	if e.Actor.Person() {
		tone = "person"
	}
	// Times in it have the day where it is not that of the event.
	depth := wording.ForTeam
	if l.Stranger {
		depth = wording.ForReaders
	}
	how := wording.Describer{Depth: depth, Time: wording.Clock{Now: e.Time, Location: l.clock.Location}.Time}
	quote := ""
	switch {
	case e.Type == incident.EventUpdateWritten:
		how.Depth, how.Apart, quote = wording.ForRecord, true, e.Data.Message
	case len(e.Reason) > shortReason:
		how.Apart, quote = true, e.Reason
	}
	quote, _ = wording.Block(quote, incident.MaxText)
	return eventInfo{Sequence: e.Sequence, At: l.at(e.Time), Tone: tone, Text: how.Event(e), Quote: quote, Link: wording.Link(e.Data.Link)}
}

// readBreaches reads the breaches of the incident and of those merged into it, from the
// cursor on: the number of one of them and its own cursor. One that is not understood is
// the beginning.
func (p *incidentPage) readBreaches(ctx context.Context, tx storage.Snapshot, in *incident.Incident, cursor string) error {
	p.Breaches, p.NextBreaches = nil, ""
	all := append([]int64{in.Number}, in.MergedFrom...)
	at, inner := 0, ""
	if name, rest, ok := strings.Cut(cursor, "."); ok {
		if n, err := strconv.ParseInt(name, 10, 64); err == nil && slices.Contains(all, n) {
			at, inner = slices.Index(all, n), rest
		}
	}
	left, limit := room{left: textShown}, 1
	for at < len(all) {
		found, next, err := tx.Breaches(ctx, all[at], min(limit, breachesShown-len(p.Breaches)), inner)
		if err != nil {
			return err
		}
		var some []breachInfo
		bytes := 0
		for i := range found {
			info := p.breach(&found[i])
			some, bytes = append(some, info), bytes+sizeOf(info.Labels, info.Annotations)
		}
		fits := left.take(bytes)
		if !fits && len(some) > 1 {
			limit = 1 // the first of them may fit
			continue
		}
		if fits {
			p.Breaches, limit = append(p.Breaches, some...), oneAtATime
			if inner = next; next == "" {
				at++
			}
		}
		if at < len(all) && (!fits || len(p.Breaches) == breachesShown) {
			p.NextBreaches = "?" + url.Values{"breaches": {strconv.FormatInt(all[at], 10) + "." + inner}}.Encode() + "#breaches"
			return nil
		}
	}
	return nil
}

func (l *layout) breach(b *incident.Breach) breachInfo {
	ended := time.Time{}
	if b.State == incident.BreachEnded {
		// One that fires again keeps the end before, for copies of it.
		ended = b.EndsAt
	}
	return breachInfo{
		Name: wording.Line(b.Labels["alertname"], 200), State: b.State, Priority: wording.Line(b.Priority, 20),
		Started: l.at(b.StartsAt), Ended: l.at(ended), Heard: l.at(b.HeardAt),
		Labels: labels(b.Labels, "alertname"), Annotations: labels(b.Annotations),
		Source: wording.Link(b.GeneratorURL), Fingerprint: wording.Line(b.Fingerprint, 80),
	}
}
