package audit_test

import (
	"slices"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// An accountant computes the figures of a report again, out of what the far ends saw:
// the time of each attempt, whether it was taken, and what the message said. It asks
// neither the store nor the code that plans messages.
type accountant struct {
	t       testing.TB
	w       *world
	log     []handover
	readers map[reading]*readerBook
	// missedFor is when the last missed interval was due, by incident and audience.
	missedFor map[missedKey]time.Time
	all       books
	// waiting are the latest attempts that were not taken.
	waiting map[reading]waiting
	now     time.Time
}

// A waiting is an attempt that was not taken.
type waiting struct {
	handover
	item incident.Item
}

type reading struct {
	recipient string
	incident  int64
}

type missedKey struct {
	incident int64
	audience incident.Audience
}

// A readerBook is what a reader knows of an incident.
type readerBook struct {
	told     bool
	by       time.Time // the promise in the last message
	next     time.Time // when the next scheduled update is due
	nextHeld bool      // by a quiet time, until then
	missed   bool      // an opening
	tried    time.Time // when an opening was refused
	retry    time.Time // when it is due again
	priority string    // that was told last
	state    incident.State
}

// A key of books: what is counted together.
type part struct{ by, name string }

type books map[part]*audit.Figures

func (b books) figures(by, name string) *audit.Figures {
	p := part{by, name}
	if b[p] == nil {
		b[p] = &audit.Figures{}
	}
	return b[p]
}

func newAccountant(t testing.TB, w *world) *accountant {
	return &accountant{
		t: t, w: w, readers: map[reading]*readerBook{}, missedFor: map[missedKey]time.Time{},
		all: books{}, waiting: map[reading]waiting{}, now: now(),
	}
}

// audit goes through the raw log.
func (a *accountant) audit() {
	a.log = slices.Clone(a.w.far.log)
	slices.SortStableFunc(a.log, func(x, y handover) int { return x.at.Compare(y.at) })
	for _, h := range a.log {
		for i := range h.message.Items {
			a.item(h, &h.message.Items[i])
		}
	}
	for r, w := range a.waiting {
		a.stillWaiting(r, w)
	}
}

func (a *accountant) book(r reading) *readerBook {
	if a.readers[r] == nil {
		a.readers[r] = &readerBook{}
	}
	return a.readers[r]
}

// audience is by which audience a recipient reads; each is in one.
func audienceFor(recipient string) incident.Audience {
	switch recipient {
	case incidenttest.Mail("cto").ID, incidenttest.Mail("product").ID:
		return incident.AudienceManagement
	case incidenttest.Mail("support").ID, incidenttest.Mail("sales").ID, incidenttest.Mail("gone").ID, hook("status").ID:
		return incident.AudienceStakeholders
	}
	return incident.AudienceOnCall
}

// quiet moves a time out of the quiet time of a reader.
func quiet(recipient string, t time.Time, priorities ...string) time.Time {
	if recipient != incidenttest.Mail("support").ID || slices.Contains(priorities, "P1") {
		return t
	}
	day := t.Truncate(24 * time.Hour)
	if from, to := day.Add(2*time.Hour), day.Add(3*time.Hour+30*time.Minute); !t.Before(from) && t.Before(to) {
		return to
	}
	return t
}

func (a *accountant) item(h handover, item *incident.Item) {
	in := &item.Incident
	r := reading{h.recipient, in.Number}
	if !h.taken && !h.permanent {
		a.waiting[r] = waiting{h, *item}
		return
	}
	delete(a.waiting, r)
	b := a.book(r)
	due, promised, opening := a.owed(h, b, item)
	opening = opening && !b.missed
	held := quiet(h.recipient, due, in.Priority.Name, b.priority).After(due)
	if held {
		due = quiet(h.recipient, due, in.Priority.Name, b.priority)
		promised = due.Add(time.Minute)
	}
	held = held || b.nextHeld && due.Equal(b.next)
	if b.told && item.Kind != incident.KindReminder && item.Kind != incident.KindResolved && !b.by.IsZero() && (b.by.Before(promised) || due.Equal(b.next)) {
		promised = b.by
	}
	outcome, why := audit.OnTime, audit.Cause("")
	switch {
	case h.permanent:
		outcome, why = audit.Missed, audit.Refused
	case opening && item.Kind == incident.KindLeft, opening && item.Kind == incident.KindResolved && h.at.After(promised):
		outcome, why = audit.Missed, a.why(h, due)
	case h.at.After(promised):
		if outcome, why = audit.Late, a.why(h, due); why == audit.NoneFound {
			a.t.Logf("late, and nobody knows why: %s to %s about %s at %v, made %v, due %v, promised %v; news %v", item.Kind, h.recipient, in.ID(), h.at, h.message.At, due, promised, item.Reasons)
		}
	case held:
		outcome = audit.Held
	}
	b.missed = b.missed || opening && outcome == audit.Missed
	a.count(in, due, audienceFor(h.recipient), opening, outcome, 1, why)
	if item.Kind == incident.KindReminder {
		return
	}
	if h.taken {
		a.missed(h, b, in)
	}
	a.note(h, b, item, due)
}

// owed says by what a message was due, before quiet times, and by when it was promised
// but for what the message before it said.
func (a *accountant) owed(h handover, b *readerBook, item *incident.Item) (due, promised time.Time, opening bool) {
	in := &item.Incident
	earlier := func(t time.Time) {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	switch {
	case item.Kind == incident.KindReminder:
		for _, o := range item.Reasons {
			if o.Reason != incident.DueUndelivered { // it goes along with the next message
				earlier(o.At)
			}
		}
	case !b.told && item.Kind == incident.KindLeft:
		opening = true
		earlier(left(b.state, item.Changes))
	case !b.told && !b.retry.IsZero() && item.Kind == incident.KindOpened:
		opening = true
		if !b.retry.After(h.message.At) {
			earlier(b.retry)
		}
		for _, e := range item.Changes {
			if (e.Type == incident.EventUpdateWritten || e.Type == incident.EventPriorityChanged) && e.Time.After(b.tried) {
				earlier(e.Time)
			}
		}
	case !b.told:
		opening = true
		earlier(joined(h.recipient, item))
	case item.Kind == incident.KindLeft:
		earlier(left(b.state, item.Changes))
	default:
		for _, t := range news(h.recipient, b.state, item.Changes) {
			earlier(t)
		}
		if in.State == incident.StateOpen && !b.next.IsZero() && !b.next.After(h.message.At) {
			earlier(b.next)
		}
	}
	if due.IsZero() {
		a.t.Fatalf("%s to %s about %s: the message says nothing for which it is due", item.Kind, h.recipient, in.ID())
	}
	return due, due.Add(time.Minute), opening
}

// left says since when a reader no longer belongs to an audience: since the last change
// of the priority or, if the incident was over then, since it opened again.
func left(state incident.State, changes []incident.Event) (at time.Time) {
	corrected := false
	for _, e := range changes {
		switch e.Type {
		case incident.EventPriorityChanged:
			at, corrected = e.Time, state == incident.StateResolved
		case incident.EventResolved:
			state = incident.StateResolved
		case incident.EventReopened:
			if state = incident.StateOpen; corrected {
				at, corrected = e.Time, false
			}
		}
	}
	return at
}

func lastOf(changes []incident.Event, of incident.EventType) (at time.Time) {
	for _, e := range changes {
		if e.Type == of {
			at = e.Time
		}
	}
	return at
}

// joined says since when a reader belongs to an audience that the priority informs, and
// for how long nobody was to be told.
func joined(recipient string, item *incident.Item) time.Time {
	audience, in := audienceFor(recipient), &item.Incident
	if audience == incident.AudienceOnCall {
		return in.OpenedAt
	}
	var since time.Time
	member := false
	for _, e := range item.Changes {
		var p *incident.Priority
		switch e.Type {
		case incident.EventOpened:
			p = &e.Data.Opening.Priority
		case incident.EventPriorityChanged:
			p = e.Data.Definition
		case incident.EventUpdateWritten:
			if member && since.After(e.Time) && slices.Contains(e.Data.Audiences, audience) {
				since = e.Time // a person's words end the wait
			}
			continue
		default:
			continue
		}
		informs := slices.Contains(p.Inform, audience)
		if informs && (!member || since.After(e.Time)) {
			since = e.Time
			if wait := in.OpenedAt.Add(p.InformAfter); p.InformAfter > 0 && wait.After(since) {
				since = wait
			}
		}
		member = informs
	}
	// Who was not told before it was over is told of what began again.
	if again := lastOf(item.Changes, incident.EventReopened); !again.IsZero() {
		return again.Add(in.Priority.InformAfter)
	}
	return since
}

// news are the times of what a reader is told at once, given in which state the reader
// believes the incident to be.
func news(recipient string, state incident.State, changes []incident.Event) []time.Time {
	audience := audienceFor(recipient)
	var resolved, reopened time.Time
	var others []time.Time
	for _, e := range changes {
		switch e.Type {
		case incident.EventPriorityChanged:
			if state == incident.StateOpen {
				others = append(others, e.Time)
			}
		case incident.EventUpdateWritten:
			if slices.Contains(e.Data.Audiences, audience) {
				others = append(others, e.Time)
			}
		case incident.EventResolved:
			state, resolved = incident.StateResolved, e.Time
		case incident.EventReopened:
			// That it was over is no longer news.
			state, resolved, reopened = incident.StateOpen, time.Time{}, e.Time
		}
	}
	for _, t := range []time.Time{resolved, reopened} {
		if !t.IsZero() {
			others = append(others, t)
		}
	}
	return others
}

// failing reports whether attempts to a recipient failed while something was due, or
// right before: it is not tried again at once.
func (a *accountant) failing(recipient string, due, until time.Time) bool {
	failing := false
	for _, h := range a.log {
		if h.recipient != recipient || !h.at.Before(until) {
			continue
		}
		failed := !h.taken && !h.permanent
		if h.at.After(due) && (failed || failing) {
			return true
		}
		failing = failed
	}
	return failing
}

// why finds the cause of a late message: an attempt before it failed, or sitrep was
// stopped while it was due.
func (a *accountant) why(h handover, due time.Time) audit.Cause {
	if a.failing(h.recipient, due, h.at) {
		if h.message.Recipient.Channel == incident.ChannelWebhook {
			return audit.WebhookEnd
		}
		return audit.MailServer
	}
	for _, o := range a.w.down {
		if o.From.Before(h.at) && o.To.After(due) {
			return audit.SitrepDown
		}
	}
	return audit.NoneFound
}

// missed counts the intervals in which an audience got nothing, once for the audience.
func (a *accountant) missed(h handover, b *readerBook, in *incident.Incident) {
	every, audience := in.Priority.UpdateEvery, audienceFor(h.recipient)
	if b.next.IsZero() || audience == incident.AudienceOnCall {
		return
	}
	due := quiet(h.recipient, b.next, in.Priority.Name, b.priority)
	k := missedKey{in.Number, audience}
	n := int(h.at.Sub(due) / every)
	if in.State != incident.StateOpen {
		// The end does not stand in for the update that was due before it.
		promised := due.Add(time.Minute)
		if due.Equal(b.next) && !b.by.IsZero() {
			promised = b.by
		}
		if n = 0; in.ResolvedAt.After(promised) {
			n = 1 + int(in.ResolvedAt.Sub(due)/every)
		}
	}
	if n < 1 || due.Sub(a.missedFor[k]) < every {
		return
	}
	a.missedFor[k] = due
	why := a.why(h, due)
	if why == audit.WebhookEnd {
		why = audit.MailServer
	}
	for k := range n {
		a.count(in, due.Add(time.Duration(k)*every), audience, false, audit.Missed, 1, why)
	}
}

// note keeps what the message said. It checks the promise in it on the way.
func (a *accountant) note(h handover, b *readerBook, item *incident.Item, due time.Time) {
	in := &item.Incident
	next, nextHeld := time.Time{}, false
	if every := in.Priority.UpdateEvery; in.State == incident.StateOpen && item.Kind != incident.KindLeft && audienceFor(h.recipient) != incident.AudienceOnCall {
		next = due.Add(every)
		if half := h.message.At.Add(every / 2); half.After(next) {
			next = half
		}
		end := quiet(h.recipient, next, in.Priority.Name)
		next, nextHeld = end, end.After(next)
		by := next.Add(time.Minute)
		if t := by.Truncate(time.Minute); t.Before(by) {
			by = t.Add(time.Minute)
		}
		if !item.NextBy.Equal(by) {
			a.t.Errorf("%s to %s about %s at %v promises %v, want %v", item.Kind, h.recipient, in.ID(), h.at, item.NextBy, by)
		}
	} else if !item.NextBy.IsZero() {
		a.t.Errorf("%s to %s about %s promises %v, want nothing", item.Kind, h.recipient, in.ID(), item.NextBy)
	}
	b.next, b.nextHeld, b.by = next, nextHeld, item.NextBy
	if h.permanent {
		b.by = time.Time{}
		switch {
		case in.State != incident.StateOpen:
			b.retry = time.Time{} // nothing comes again once it is over
		case !b.told && item.Kind == incident.KindOpened:
			b.tried = h.message.At
			if b.retry = b.next; b.retry.IsZero() {
				b.retry = h.at.Add(6 * time.Hour)
			}
		}
		return
	}
	b.told, b.state, b.priority = item.Kind != incident.KindLeft, in.State, in.Priority.Name
}

// stillWaiting counts a message that is not handed over.
func (a *accountant) stillWaiting(r reading, w waiting) {
	due, promised, opening := a.owed(w.handover, a.book(r), &w.item)
	opening = opening && !a.book(r).missed
	if a.now.After(promised) {
		a.count(&w.item.Incident, due, audienceFor(r.recipient), opening, audit.Late, 1, audit.Waiting)
	}
}

func (a *accountant) count(in *incident.Incident, at time.Time, audience incident.Audience, opening bool, o audit.Outcome, n int, why audit.Cause) {
	for _, f := range a.parts(in, at, in.Priority.Name) {
		t := &f.Updates
		switch {
		case audience == incident.AudienceOnCall:
			t = &f.OnCall
		case opening:
			t = &f.Openings
		}
		t.Owed += n
		switch o {
		case audit.OnTime:
			t.OnTime += n
		case audit.Held:
			t.Held += n
		case audit.Late:
			t.Late += n
		case audit.Missed:
			t.Missed += n
		}
		if why != "" {
			if t.Causes == nil {
				t.Causes = map[audit.Cause]int{}
			}
			t.Causes[why] += n
		}
	}
}

func (a *accountant) parts(in *incident.Incident, at time.Time, priority string) []*audit.Figures {
	if in.Drill {
		return []*audit.Figures{a.all.figures("drill", "")}
	}
	return []*audit.Figures{
		a.all.figures("total", ""), a.all.figures("priority", priority), a.all.figures("team", in.Team), a.all.figures("month", at.Format("2006-01")),
	}
}
