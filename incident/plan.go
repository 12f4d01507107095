package incident

import (
	"slices"
	"time"
)

// A Planned is a message that a reader is to get now.
type Planned struct {
	Reader Reader
	Cover  Cover
	// LateSince is set if the reader should have had it before and could not.
	LateSince time.Time
}

// Plan says what the reader is to be told now; false if nothing, because nothing is
// due, a quiet time holds it back, or the reader is in no group any more. Then
// [Reconcile] without news sets the due time right.
func (s *Situation) Plan(recipient string, p *Policy, now time.Time) (Planned, bool) {
	sub := s.Subscription(recipient)
	if sub == nil {
		return Planned{}, false
	}
	if slices.ContainsFunc(sub.Owed, func(o Owed) bool { return o.stale(now) }) {
		fresh := *sub
		fresh.Owed = slices.DeleteFunc(slices.Clone(sub.Owed), func(o Owed) bool { return o.stale(now) })
		sub = &fresh
	}
	r, ok := p.reader(sub)
	due, from := s.due(sub, p, now)
	if !ok || due.IsZero() || from.After(now) {
		return Planned{}, false
	}
	in := &s.Incident
	owed, scheduled := s.dueAt(sub, now)
	c := Cover{
		Incident: in.Number, Sequence: in.Sequence, Priority: in.Priority.Name, State: in.State,
		Reader: sub.Reader, Audience: r.Audiences[0], First: !sub.Told,
		Kind: sub.kind(owed, scheduled), Owed: owed, DueAt: due, Promised: sub.promised(due, scheduled),
		Deferred: s.owedAt(sub).Before(due),
	}
	if scheduled {
		c.Owed = append(c.Owed, Owed{Kind: KindUpdate, Reason: DueCadence, At: sub.CadenceAt})
		if sub.CadenceAt.Equal(due) {
			// The message before named the end of the quiet time, if there was one.
			c.Deferred = c.Deferred || sub.CadenceDeferred
		}
	}
	c.NextDueAt, c.NextBy, c.NextDeferred = s.next(sub, &r, c.Kind, due, now, p)
	planned := Planned{Reader: r, Cover: c}
	if now.After(c.Promised) {
		planned.LateSince = c.Promised
	}
	return planned, true
}

// dueAt returns what of the news is due at a time, and whether a scheduled update is.
func (s *Situation) dueAt(sub *Subscription, now time.Time) (owed []Owed, scheduled bool) {
	for _, o := range sub.Owed {
		if !o.At.After(now) {
			owed = append(owed, o)
		}
	}
	return owed, s.Incident.State == StateOpen && sub.Active && !sub.CadenceAt.IsZero() && !sub.CadenceAt.After(now)
}

// promised returns the promise that a message has to keep that is due at due: of a scheduled
// update that which the message before made.
func (s *Subscription) promised(due time.Time, scheduled bool) time.Time {
	if scheduled && s.CadenceAt.Equal(due) && !s.NextBy.IsZero() {
		return s.NextBy
	}
	return due.Add(Promise)
}

// nextBy returns by when the next scheduled update comes; zero if none is. One that was refused
// for good made no promise, and the next is due all the same.
func (s *Subscription) nextBy() time.Time {
	if s.NextBy.IsZero() && !s.CadenceAt.IsZero() {
		return PromisedBy(s.CadenceAt)
	}
	return s.NextBy
}

// kind returns the first of the kinds that are owed.
func (s *Subscription) kind(owed []Owed, scheduled bool) Kind {
	for _, k := range kindOrder {
		if slices.ContainsFunc(owed, func(o Owed) bool { return o.Kind == k }) || scheduled && k == KindUpdate {
			if !s.Told && k != KindLeft && k != KindResolved && k != KindReminder && !k.OfPulse() {
				return KindOpened
			}
			return k
		}
	}
	return KindUpdate
}

// next returns when the reader is owed the message after one that was due at due
// and goes out at sent, the promise for it, and whether a quiet time has moved it.
func (s *Situation) next(sub *Subscription, r *Reader, kind Kind, due, sent time.Time, p *Policy) (at, by time.Time, held bool) {
	in := &s.Incident
	every := in.priority(p).UpdateEvery
	switch {
	case in.State != StateOpen || !sub.Active || kind == KindLeft || every <= 0 || !informed(sub.Audiences):
		return at, by, false
	case s.Paused():
		return at, by, false
	case kind == KindReminder:
		return sub.CadenceAt, sub.nextBy(), sub.CadenceDeferred
	}
	next := NextDue(due, sent, every)
	at = r.quietUntil(next, in.Priority.Name)
	return at, PromisedBy(at), at.After(next)
}

// Item returns what the reader is told, given the events after the sequence that it
// was told last, and the pulses of the watchdog.
func (s *Situation) Item(pl *Planned, events []Event, p *Policy, pulses Pulses) Item {
	in := &s.Incident
	sub := s.Subscription(pl.Reader.Recipient.ID)
	onCall := slices.Contains(sub.Audiences, AudienceOnCall)
	item := Item{
		Kind: pl.Cover.Kind, Incident: *in, OnCall: onCall, First: !sub.Told, Again: !sub.Told && !sub.ToldAt.IsZero(), Reasons: pl.Cover.Owed,
		Audiences: in.priority(p).Inform, Hears: pl.Reader.hears(p), LastHeardAt: s.LastHeardAt(), NextBy: pl.Cover.NextBy,
		LateSince: pl.LateSince, Silent: pulses.Away(p, in.Labels),
		Paused: s.Paused(),
	}
	if !onCall {
		item.Incident = in.ForAudiences(sub.Audiences...)
	}
	item.Incident.Priority = in.priority(p)
	for _, e := range events {
		if item.tally(&e) {
			continue
		}
		if e, told := e.ForReader(sub.Audiences); told {
			item.NewWord = item.NewWord || e.Data.Message != ""
			item.Changes = append(item.Changes, e)
		}
	}
	for _, a := range sub.Audiences {
		item.word(in.Words, a)
		if a == AudienceOnCall {
			item.word(in.Words, AudienceManagement)
			item.word(in.Words, AudienceStakeholders)
		}
	}
	if len(events) > 0 && events[0].Sequence > sub.ToldSequence+1 {
		// There is more than is told: a count would be wrong, and a word may be new that is further back.
		item.Breaches = Tally{}
		item.NewWord = item.NewWord || item.Word != nil && item.Word.At.After(sub.ToldAt)
	}
	if onCall {
		item.Runbook = in.AsSLO(p).Runbook
		if in.State == StateOpen {
			item.Plan = s.waiting(p)
		}
	}
	return item
}

// tally counts what happened to breaches, and reports whether that is what the event is.
func (i *Item) tally(e *Event) bool {
	switch e.Type {
	case EventBreachStarted:
		i.Breaches.Started++
	case EventBreachEnded:
		i.Breaches.Ended++
	case EventBreachUnknown:
		i.Breaches.Unknown++
		if BreachState(e.Data.From) == BreachEnded && i.Breaches.Ended > 0 {
			i.Breaches.Ended-- // that end was not believed
		}
	default:
		return false
	}
	return true
}

// word takes the latest of the words.
func (i *Item) word(words map[Audience]Word, a Audience) {
	if w, ok := words[a]; ok && (i.Word == nil || w.At.After(i.Word.At)) {
		i.Word = &w
	}
}

// waiting returns the readers for whom inform_after is not over.
func (s *Situation) waiting(p *Policy) []PlannedReader {
	var out []PlannedReader
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if sub.Told || sub.WaitUntil.IsZero() {
			continue
		}
		if r, ok := p.reader(sub); ok {
			at := latest(sub.WaitUntil, s.Incident.TroubleSince)
			for _, o := range sub.Owed {
				at = latest(at, o.At)
			}
			at = r.quietUntil(at, s.exempt(sub)...)
			out = append(out, PlannedReader{Recipient: r.Recipient, Audience: sub.Audiences[0], Group: sub.Groups[0], Kind: KindOpened, At: at})
		}
	}
	return out
}

// Forecast returns who will be told what and when, if nothing happens before:
// what is owed to each reader, else the next scheduled update.
func (s *Situation) Forecast(p *Policy) []PlannedReader {
	var out []PlannedReader
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		at, _ := s.due(sub, p, time.Time{})
		r, ok := p.reader(sub)
		if at.IsZero() || !ok {
			continue
		}
		out = append(out, PlannedReader{Recipient: r.Recipient, Audience: sub.Audiences[0], Group: sub.Groups[0], Kind: sub.kind(sub.Owed, len(sub.Owed) == 0), At: at, TryAt: s.tryAt(sub, &r, at)})
	}
	slices.SortStableFunc(out, func(a, b PlannedReader) int { return a.At.Compare(b.At) })
	return out
}

// tryAt returns when a message that is due at a time is tried next, if a failure holds it back
// until later; zero if none does.
func (s *Situation) tryAt(sub *Subscription, r *Reader, due time.Time) time.Time {
	if s.Tries == nil {
		return time.Time{}
	}
	if held := s.Tries.RetryAt[sub.Recipient]; held.After(s.Tries.Now) && held.After(due) {
		return r.quietUntil(held, s.exempt(sub)...)
	}
	return time.Time{}
}

// NextUpdateAt is NextUpdate without since when that is late.
func (s *Situation) NextUpdateAt(p *Policy) time.Time {
	at, _ := s.NextUpdate(p)
	return at
}

// NextUpdate returns the earliest time by which one of those who are informed is told
// something, zero if nobody is to be. It is the promise as long as that can be kept. What
// cannot be handed over, or is late, counts with the time at which it is tried next, if
// Tries is there; then the time has never passed. What is owed now and goes out counts with
// the promise that it will make. LateSince is the earliest promise to any of them that was
// broken and is still to be kept; zero if none was.
func (s *Situation) NextUpdate(p *Policy) (at, lateSince time.Time) {
	for i := range s.Subscriptions {
		by, late := s.nextTold(&s.Subscriptions[i], p)
		at, lateSince = earliest(at, by), earliest(lateSince, late)
	}
	return at, lateSince
}

// nextTold returns by when a reader is told next, and since when that is late.
func (s *Situation) nextTold(sub *Subscription, p *Policy) (by, lateSince time.Time) {
	r, ok := p.reader(sub)
	if !ok || !informed(sub.Audiences) {
		return by, lateSince
	}
	var now, held time.Time
	if s.Tries != nil {
		now, held = s.Tries.Now, s.Tries.RetryAt[sub.Recipient]
	}
	due, _ := s.due(sub, p, now)
	try := r.quietUntil(latest(now, held), s.exempt(sub)...)
	reads := s.Incident.State == StateOpen && sub.Active // else it is the last message
	if owed, scheduled := s.dueAt(sub, now); !due.IsZero() && !due.After(now) && sub.kind(owed, scheduled) != KindReminder && (reads || held.After(now)) {
		promised := sub.promised(due, scheduled)
		if now.After(promised) {
			lateSince = promised
		}
		if held.After(now) || !lateSince.IsZero() {
			if by = latest(promised, PromisedBy(due)); try.After(by) {
				by = PromisedBy(try)
			}
			return by, lateSince
		}
	}
	if by = s.nextPromise(sub, &r, p); !by.IsZero() && held.After(now) && try.After(by) {
		by = PromisedBy(try)
	}
	return by, lateSince
}

// nextPromise returns by when a reader is told next, as far as promises say.
func (s *Situation) nextPromise(sub *Subscription, r *Reader, p *Policy) time.Time {
	due, _ := s.due(sub, p, time.Time{})
	switch {
	case due.IsZero():
	case s.Incident.State != StateOpen || !sub.Active:
		if slices.ContainsFunc(sub.Owed, func(o Owed) bool { return o.Kind == KindResolved && o.again() }) {
			return PromisedBy(due) // it was refused, and that is when it is tried again
		}
	case !sub.CadenceAt.IsZero() && len(sub.Owed) == 0:
		return sub.nextBy()
	case slices.ContainsFunc(sub.Owed, Owed.again) && sub.kind(sub.Owed, false) == KindOpened:
		return PromisedBy(due) // as above
	case len(sub.Owed) > 0 && s.Incident.priority(p).UpdateEvery > 0:
		_, by, _ := s.next(sub, r, sub.kind(sub.Owed, false), due, due, p)
		return by
	}
	return time.Time{}
}

// LastUpdateAt returns when a reader was last told something, zero if none was.
func (s *Situation) LastUpdateAt() time.Time {
	var last time.Time
	for i := range s.Subscriptions {
		last = latest(last, s.Subscriptions[i].ToldAt)
	}
	return last
}

// A Preview is what a command would bring about.
type Preview struct {
	Joins        []PlannedReader
	Leaves       []PlannedReader
	Messages     []PlannedReader
	NextUpdateAt time.Time
}

// Compare returns what a change brings about, given the situations before and
// after it.
func Compare(before, after *Situation, p *Policy) Preview {
	pv := Preview{NextUpdateAt: after.NextUpdateAt(p)}
	for i := range after.Subscriptions {
		sub := &after.Subscriptions[i]
		was := before.Subscription(sub.Recipient)
		r, ok := p.reader(sub)
		if !ok {
			continue
		}
		at, _ := after.due(sub, p, time.Time{})
		planned := PlannedReader{Recipient: r.Recipient, Audience: sub.Audiences[0], Group: sub.Groups[0], Kind: sub.kind(sub.Owed, false), At: at, TryAt: after.tryAt(sub, &r, at)}
		wasActive := was != nil && was.Active
		switch {
		case sub.Active && !wasActive:
			pv.Joins = append(pv.Joins, planned)
		case !sub.Active && wasActive:
			pv.Leaves = append(pv.Leaves, planned)
		}
		if len(sub.Owed) > 0 && !planned.At.IsZero() && (was == nil || !slices.Equal(was.Owed, sub.Owed)) {
			pv.Messages = append(pv.Messages, planned)
		}
	}
	return pv
}
