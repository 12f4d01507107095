package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/wording"
)

// A measuring makes a report out of what is stored, one incident at a time.
type measuring struct {
	past
	now       time.Time // by which is judged what is not over
	rep       *Report
	progress  Progress
	returning map[string]*Returning
	drilled   map[[2]string]Drilled // by team, and SLO or use case
	// unsure are the deliveries of unknown outcome, as a digest is seen with each of its
	// incidents.
	unsure map[string]bool
	// loadings are the configurations, and cadences what was read of them, by hash.
	loadings map[string]storage.Loading
	cadences map[string]map[string]time.Duration
}

func newMeasuring(p past, o ReportOptions) *measuring {
	rep := &Report{
		From: o.From, To: cmp.Or(o.To, o.Now), MadeAt: o.Now, AsOf: o.AsOf, Version: o.Version, location: o.Location, url: o.URL,
		ByPriority: map[string]*Figures{}, ByTeam: map[string]*Figures{}, ByMonth: map[string]*Figures{},
		Levels: map[string]*Spread{}, cells: map[cell]*Figures{},
		// Lists are never null in JSON.
		Late: []Lateness{}, Changes: []PriorityChange{}, Actions: []OpenAction{}, Returning: []Returning{}, Drilled: []Drilled{}, Canary: CanaryFigures{Failures: []CanaryFailure{}},
		Unmapped: Unmapped{Incidents: []string{}}, CannotKnow: CannotKnow{Outages: []storage.Outage{}, ClockSets: []storage.Outage{}},
	}
	if rep.location == nil {
		rep.location = time.UTC
	}
	rep.Zone = rep.location.String()
	if o.To.IsZero() && !o.AsOf.IsZero() {
		rep.To = o.AsOf.Add(time.Microsecond) // what was written last is part of it
	}
	return &measuring{past: p, now: cmp.Or(o.AsOf, o.Now), rep: rep, returning: map[string]*Returning{}, drilled: map[[2]string]Drilled{}, unsure: map[string]bool{}}
}

// span says what is wrong with the time span, and sets where it begins.
func (m *measuring) span(o ReportOptions) error {
	first := m.rep.CannotKnow.FirstRecordAt
	wrong := func(format string, at ...time.Time) error {
		texts := make([]any, len(at))
		for i, t := range at {
			texts[i] = t.In(m.rep.location).Format(time.RFC3339)
		}
		return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf(format, texts...)}
	}
	switch {
	case o.From.After(o.Now):
		return wrong("from %s is in the future: write a time before now, %s", o.From, o.Now)
	case !o.AsOf.IsZero() && o.From.After(o.AsOf):
		return wrong("from %s is later than all that is known: write a time before the store was last written, %s", o.From, o.AsOf)
	case !o.From.IsZero():
	case !o.To.IsZero() && !first.IsZero() && !o.To.After(first):
		return wrong("to %s is not after the first record: write a time after %s", o.To, first)
	default:
		m.rep.From = cmp.Or(first, m.rep.To)
	}
	return nil
}

func (m *measuring) measure(ctx context.Context) error {
	latest := int64(0) // its number: there is no gap
	err := m.eachIncident(ctx, func(some []incident.Incident) error {
		return each(ctx, m.Store, some, func(r storage.Snapshot, in incident.Incident) (account, int, error) {
			return m.read(ctx, r, &in)
		}, func(in incident.Incident, a account) error {
			latest = max(latest, in.Number)
			m.progress.tell("incidents", latest-in.Number, latest)
			return m.incident(ctx, &in, a)
		})
	})
	if err != nil {
		return err
	}
	for _, back := range m.returning {
		if len(back.Incidents)+back.Reopenings > 1 {
			m.rep.Returning = append(m.rep.Returning, *back)
		}
	}
	if err := m.unmapped(ctx); err != nil {
		return err
	}
	for _, d := range m.drilled {
		m.rep.Drilled = append(m.rep.Drilled, d)
	}
	if err := m.canary(ctx); err != nil {
		return err
	}
	if err := m.cannotKnow(ctx); err != nil {
		return err
	}
	m.rep.finish()
	return nil
}

// targets returns all figures in which something of that time, team and priority
// counts.
func (m *measuring) targets(in *incident.Incident, at time.Time, priority string) []*Figures {
	if in.Drill {
		return []*Figures{&m.rep.Drills}
	}
	c := cell{at.In(m.rep.location).Format("2006-01"), cmp.Or(in.Team, NoTeam), priority}
	return []*Figures{
		&m.rep.Total, figures(m.rep.ByPriority, c.priority), figures(m.rep.ByTeam, c.team), figures(m.rep.ByMonth, c.month),
		figures(m.rep.cells, c),
	}
}

func figures[K comparable](by map[K]*Figures, k K) *Figures {
	f, ok := by[k]
	if !ok {
		f = &Figures{}
		by[k] = f
	}
	return f
}

func (m *measuring) within(t time.Time) bool { return within(t, m.rep.From, m.rep.To) }

// An account is what an incident is measured by, of one moment.
type account struct {
	events     []incident.Event
	deliveries []incident.Delivery
	subs       []incident.Subscription
}

// eventSize is about how many bytes an event is.
const eventSize = 1 << 10

// read reads what an incident is measured by; nothing if it is not.
func (m *measuring) read(ctx context.Context, r storage.Snapshot, in *incident.Incident) (a account, size int, err error) {
	if !in.OpenedAt.Before(m.rep.To) {
		return a, 0, nil
	}
	if a.events, err = m.past.events(ctx, r, in.Number); err != nil {
		return a, 0, err
	}
	if a.deliveries, err = m.past.deliveries(ctx, r, in.Number); err != nil {
		return a, 0, err
	}
	a.subs, err = storage.SubscriptionsOf(ctx, r, in.Number)
	return a, len(a.events)*eventSize + len(a.deliveries)*deliverySize, err
}

// incident counts and measures one incident.
func (m *measuring) incident(ctx context.Context, in *incident.Incident, a account) error {
	if !in.OpenedAt.Before(m.rep.To) {
		return nil
	}
	m.drill(in)
	if err := m.events(ctx, in, a.events); err != nil {
		return err
	}
	m.owed(in, a, m.deliveries(in, a.events, a.deliveries))
	if m.within(in.OpenedAt) {
		m.life(in, a.events)
	}
	return nil
}

// life measures an incident from its opening to its end.
func (m *measuring) life(in *incident.Incident, events []incident.Event) {
	resolved := in.ResolvedAt
	if in.MergedInto != 0 {
		// What was merged goes on elsewhere: its end is not its own.
		resolved = time.Time{}
	}
	if !in.Drill {
		opened := openedIncident{
			ID: in.ID(), Headline: wording.Headline(in), Team: cmp.Or(in.Team, NoTeam), Highest: in.Highest, OpenedAt: in.OpenedAt, ResolvedAt: resolved,
		}
		if in.MergedInto != 0 {
			opened.Into = incident.ID(in.MergedInto)
		}
		m.rep.opened = append(m.rep.opened, opened)
	}
	for _, f := range m.targets(in, in.OpenedAt, in.Highest.Name) {
		f.Incidents++
		f.Acknowledge.span(in.OpenedAt, in.AcknowledgedAt)
		f.Resolve.span(in.OpenedAt, resolved)
		if in.MergedInto == 0 {
			f.Close.span(in.OpenedAt, in.ClosedAt)
		} else {
			f.Close.Without++
		}
		f.Trouble.span(in.StartedAt, in.EndedAt)
		f.Reopenings += in.Reopenings
		for _, a := range in.Actions {
			f.Actions.add(a, m.now)
		}
	}
	if in.Drill {
		return
	}
	for _, a := range in.Actions {
		if in.MergedInto == 0 && a.State != incident.ActionDone {
			m.rep.Actions = append(m.rep.Actions, OpenAction{
				Incident: in.ID(), Team: cmp.Or(in.Team, NoTeam), Name: a.Name, State: a.State, Overdue: overdue(a, m.now), DueAt: a.DueAt, Reason: a.Reason,
			})
		}
	}
	if in.Unmapped {
		m.rep.Unmapped.Incidents = append(m.rep.Unmapped.Incidents, in.ID())
	}
	if slices.ContainsFunc(events, func(e incident.Event) bool { return e.Type == incident.EventBreachUnknown }) {
		m.rep.CannotKnow.UnknownEnds++
	}
	key := cmp.Or(in.SLO, "\x00"+in.UseCase+"\x00"+in.Team)
	back := m.returning[key]
	if back == nil {
		// The latest comes first: it says what the SLO is about now.
		back = &Returning{SLO: in.SLO, UseCase: in.UseCase, Team: cmp.Or(in.Team, NoTeam)}
		m.returning[key] = back
	}
	back.Incidents = append(back.Incidents, in.ID())
	back.Reopenings += in.Reopenings
	if !in.EndedAt.IsZero() && !in.StartedAt.IsZero() {
		back.Trouble += max(in.EndedAt.Sub(in.StartedAt), 0).Seconds()
	}
}

func overdue(a incident.Action, now time.Time) bool {
	return a.State == incident.ActionDue && !a.DueAt.IsZero() && now.After(a.DueAt)
}

func (c *ActionCounts) add(a incident.Action, now time.Time) {
	switch {
	case a.State == incident.ActionDone:
		c.Done++
	case a.State == incident.ActionWaived:
		c.Waived++
	case overdue(a, now):
		c.Overdue++
	default:
		c.Open++
	}
}

// events counts missed intervals and priority changes, and how long each priority
// held: until it changed, or the incident was over, or until what is known ends.
func (m *measuring) events(ctx context.Context, in *incident.Incident, events []incident.Event) error {
	var fold incident.Incident
	var since time.Time
	for _, e := range events {
		before := fold.Priority
		if err := apply(&fold, e); err != nil {
			return impossible(e, err)
		}
		switch {
		case e.Type == incident.EventOpened:
			since = e.Time
		case fold.Priority.Name != before.Name:
			m.change(in, e, before, fold.Priority, since)
			since = e.Time
		}
		if e.Type == incident.EventUpdateMissed {
			every, err := m.cadence(ctx, e.Config, fold.Priority)
			if err != nil {
				return err
			}
			m.missed(in, e.Data, fold.Priority.Name, every)
		}
	}
	if !in.Drill && m.within(in.OpenedAt) {
		end := cmp.Or(over(in), m.now)
		m.level(fold.Priority.Name, max(end.Sub(since), 0))
	}
	return nil
}

func (m *measuring) level(priority string, held time.Duration) {
	s := m.rep.Levels[priority]
	if s == nil {
		s = &Spread{}
		m.rep.Levels[priority] = s
	}
	s.add(held)
}

func (m *measuring) change(in *incident.Incident, e incident.Event, from, to incident.Priority, since time.Time) {
	if m.within(in.OpenedAt) && !in.Drill {
		m.level(from.Name, e.Time.Sub(since))
	}
	if !m.within(e.Time) {
		return
	}
	raised := e.Type != incident.EventPriorityChanged || e.Data.Raised
	for _, f := range m.targets(in, e.Time, to.Name) {
		if raised {
			f.Raised++
		} else {
			f.Lowered++
		}
	}
	if in.Drill {
		return
	}
	m.rep.Changes = append(m.rep.Changes, PriorityChange{
		Incident: in.ID(), Sequence: e.Sequence, At: e.Time, By: e.Actor, From: from.Name, To: to.Name, Raised: raised,
		Reason: cmp.Or(wording.Reason(&e), reasonOf(e)), Held: e.Time.Sub(since).Seconds(),
	})
}

// reasonOf says why a priority changed by an event that gives no reason in words.
func reasonOf(e incident.Event) string {
	switch e.Type {
	case incident.EventMerged:
		return "merged"
	case incident.EventReopened:
		return "a breach of a higher priority opened it again"
	}
	return "no reason was recorded"
}

// missed counts intervals in which at least one reader of an audience got no message,
// once for the audience, however many they were. Each counts at its own due time, a
// cadence after the one before; without a cadence all count at the first.
func (m *measuring) missed(in *incident.Incident, d incident.Data, priority string, every time.Duration) {
	why := causeOf(d.Cause, incident.ChannelEmail)
	var first time.Time
	n := 0
	for k := range d.Missed {
		due := d.DueAt.Add(time.Duration(k) * every)
		if !m.within(due) {
			continue
		}
		first, n = cmp.Or(first, due), n+1
		for _, f := range m.targets(in, due, priority) {
			f.Updates.add(Missed, 1, why)
		}
	}
	if in.Drill || n == 0 {
		return
	}
	m.rep.Late = append(m.rep.Late, Lateness{
		Incident: in.ID(), Audience: d.Audience, Team: cmp.Or(in.Team, NoTeam), Priority: priority, Kind: incident.KindUpdate,
		Outcome: Missed, Intervals: n, DueAt: first, Why: why, Cause: wording.Cause(recorded(d.Cause), nil), cause: d.Cause,
	})
}

// deliveries judges each message about the incident, and returns which of the readers
// missed an opening. That counts once for each: what tells it later is an update.
func (m *measuring) deliveries(in *incident.Incident, events []incident.Event, deliveries []incident.Delivery) (missed map[string]bool) {
	missed = map[string]bool{}
	promises := Promises{}
	known := missedBy(events)
	for i := range deliveries {
		d := &deliveries[i]
		c := coverOf(d, in.Number)
		if c == nil {
			continue
		}
		promised := promises.For(d, c)
		m.missedToTheEnd(in, d, c, promises[readerOf(d, c)], known)
		promises.Note(d, c)
		reader := readerOf(d, c)
		opens := opening(c) && !missed[reader]
		if missed[reader] {
			told := *c
			c, told.First = &told, false // the opening is counted
		}
		outcome := Judge(d, c, promised, m.now)
		if d.State == incident.DeliverySuperseded {
			outcome = givenUp(d, c, promised, deliveries[i+1:])
		}
		if opens && outcome == Missed {
			missed[reader] = true
		}
		if !m.within(c.DueAt) {
			continue
		}
		if unsure(d) {
			m.unsure[d.ID] = true
		}
		if outcome == "" {
			continue
		}
		l := Lateness{
			Incident: in.ID(), Recipient: c.ReaderName(d.Address), Audience: audienceOf(d, c), Group: d.Group, Team: cmp.Or(in.Team, NoTeam), Priority: c.Priority,
			Kind: c.Kind, Outcome: outcome, DueAt: c.DueAt, Promised: promised, SentAt: d.SentAt, Delivery: d.ID,
		}
		switch {
		case d.State == incident.DeliveryFailed:
			l.Why, l.Cause = Refused, d.Error
		case d.State == incident.DeliveryPending:
			l.Why, l.Cause = Waiting, cmp.Or(d.Error, notYet)
		case d.State == incident.DeliverySuperseded:
			l.Why, l.Cause = endOf(d.Channel), wording.Failure(d)
		default:
			l.Why, l.Cause, l.cause = causeOf(d.Cause, d.Channel), wording.Cause(recorded(d.Cause), nil), d.Cause
		}
		m.count(in, l, opens)
	}
	return missed
}

// missedBy returns when the missed intervals of each audience were due that are on
// record as events.
func missedBy(events []incident.Event) map[incident.Audience][]time.Time {
	known := map[incident.Audience][]time.Time{}
	for i := range events {
		if d := &events[i].Data; events[i].Type == incident.EventUpdateMissed {
			known[d.Audience] = append(known[d.Audience], d.DueAt)
		}
	}
	return known
}

// missedToTheEnd counts intervals without a message that no event can tell of: nothing
// could be handed over until the incident was closed, and a closed one has no more
// events.
func (m *measuring) missedToTheEnd(in *incident.Incident, d *incident.Delivery, c *incident.Cover, p Promise, known map[incident.Audience][]time.Time) {
	every, audience := in.Priority.UpdateEvery, audienceOf(d, c)
	if c.State != incident.StateClosed || d.State != incident.DeliveryDelivered || audience == incident.AudienceOnCall || every <= 0 || p.By.IsZero() || !in.ResolvedAt.After(p.By) {
		return
	}
	if slices.ContainsFunc(known[audience], func(due time.Time) bool { return p.DueAt.Sub(due).Abs() < every }) {
		return
	}
	known[audience] = append(known[audience], p.DueAt)
	m.missed(in, incident.Data{
		DueAt: p.DueAt, Missed: 1 + int(in.ResolvedAt.Sub(p.DueAt)/every), Audience: audience, Cause: d.Cause,
	}, c.Priority, every)
}

// givenUp judges a message that was withdrawn. If none followed it to the same reader,
// nobody carried its news: it was missed if its promise had passed.
func givenUp(d *incident.Delivery, c *incident.Cover, promised time.Time, later []incident.Delivery) Outcome {
	for i := range later {
		if next := coverOf(&later[i], c.Incident); next != nil && readerOf(&later[i], next) == readerOf(d, c) {
			return ""
		}
	}
	if d.FinishedAt.After(promised) {
		return Missed
	}
	return ""
}

// count counts a message, and keeps it if it was late or missed.
func (m *measuring) count(in *incident.Incident, l Lateness, opening bool) {
	for _, f := range m.targets(in, l.DueAt, l.Priority) {
		t := &f.Updates
		switch {
		case l.Audience == incident.AudienceOnCall:
			t = &f.OnCall
		case opening:
			t = &f.Openings
		}
		t.add(l.Outcome, 1, l.Why)
	}
	if !in.Drill && (l.Outcome == Late || l.Outcome == Missed) {
		m.rep.Late = append(m.rep.Late, l)
	}
}

// owed counts what readers are owed past its promise and nobody has tried to send. Those
// who missed an opening are owed an update.
func (m *measuring) owed(in *incident.Incident, a account, missed map[string]bool) {
	for i := range a.subs {
		sub := &a.subs[i]
		promised := sub.DueAt.Add(incident.Promise)
		if sub.DueAt.Equal(sub.CadenceAt) && !sub.NextBy.IsZero() {
			promised = sub.NextBy
		}
		if sub.DueAt.IsZero() || !m.within(sub.DueAt) || !m.now.After(promised) || len(sub.Audiences) == 0 || len(sub.Groups) == 0 {
			continue
		}
		tried := slices.ContainsFunc(a.deliveries, func(d incident.Delivery) bool {
			return d.Recipient == sub.Recipient && d.State == incident.DeliveryPending
		})
		if tried {
			continue
		}
		kind := incident.KindUpdate
		if len(sub.Owed) > 0 {
			kind = sub.Owed[0].Kind
		}
		m.count(in, Lateness{
			Incident: in.ID(), Recipient: address(a.deliveries, sub.Recipient), Audience: sub.Audiences[0], Group: sub.Groups[0], Team: cmp.Or(in.Team, NoTeam), Priority: in.Priority.Name,
			Kind: kind, Outcome: Late, DueAt: sub.DueAt, Promised: promised, Why: Waiting, Cause: notYet,
		}, !sub.Told && !missed[reader(sub.Reader, sub.Recipient)])
	}
}

// address returns how a recipient is shown, as far as a delivery to it says so.
func address(deliveries []incident.Delivery, recipient string) string {
	for i := range deliveries {
		if deliveries[i].Recipient == recipient {
			return deliveries[i].Address
		}
	}
	return strings.TrimPrefix(recipient, "email:")
}
