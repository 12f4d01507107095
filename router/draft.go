package router

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// DigestNamed is of how many incidents, the highest first, a digest can tell what happened. Of the
// others it has how they stand.
const DigestNamed = 100

// A draft is a message that is planned and not yet recorded.
type draft struct {
	message  incident.Message
	delivery incident.Delivery
	// seen are the situations that it was planned on; it is void once one changed.
	seen []seen
	// notice is the same of a message about the watchdog.
	notice *incident.Notice
	// idle are incidents of which nothing is to be told after all, and idlePulses pulses
	// of the watchdog. Left is set instead where those may tell whose configuration is in force.
	idle       []int64
	idlePulses []string
	left       bool
	// sender and body are there once it is rendered.
	sender Sender
	body   []byte
}

type seen struct {
	incident int64
	sequence int64
	owed     []incident.Owed
	due      time.Time
}

// A matter is what one recipient is to be told of: an incident, or the many of a digest.
type matter struct {
	recipient string
	numbers   []int64
}

// A ground is what messages are planned on at one time, whoever reads them.
type ground struct {
	policy     *incident.Policy
	pulses     incident.Pulses
	behind     bool
	situations map[int64]*incident.Situation // with the recipients of the matters alone
}

func (d *Dispatcher) ground(ctx context.Context, r storage.Snapshot, matters []matter) (*ground, error) {
	g := &ground{policy: d.Repo.Policy()}
	var err error
	if g.pulses, err = r.Pulses(ctx); err != nil {
		return nil, err
	}
	if g.behind, err = d.Repo.Behind(ctx, r); err != nil {
		return nil, err
	}
	var numbers []int64
	var recipients []string
	for _, m := range matters {
		numbers, recipients = append(numbers, m.numbers...), append(recipients, m.recipient)
	}
	slices.Sort(numbers)
	g.situations, err = storage.Situations(ctx, r, slices.Compact(numbers), recipients...)
	return g, err
}

// incidentDraft plans the message about the incidents; its delivery is empty if
// there is nothing to tell.
func (d *Dispatcher) incidentDraft(ctx context.Context, r storage.Snapshot, recipient string, numbers []int64, at time.Time) (*draft, error) {
	drafts, err := d.drafts(ctx, r, []matter{{recipient, numbers}}, at)
	if err != nil {
		return nil, err
	}
	return drafts[0], nil
}

// drafts plans a message about each of the matters, all as of one time; a delivery is empty if there
// is nothing to tell. Whatever they need is read for all of them in one set.
func (d *Dispatcher) drafts(ctx context.Context, r storage.Snapshot, matters []matter, at time.Time) ([]*draft, error) {
	g, err := d.ground(ctx, r, matters)
	if err != nil {
		return nil, err
	}
	drafts, all := make([]*draft, len(matters)), make([][]told, len(matters))
	for i := range matters {
		drafts[i], all[i] = g.plan(&matters[i], at)
	}
	if err := g.addNews(ctx, r, all); err != nil {
		return nil, err
	}
	for i, dr := range drafts {
		if len(all[i]) > 0 {
			dr.tell(all[i], g.policy, at)
		}
	}
	return drafts, nil
}

// plan returns what a recipient is to be told now, the highest first, without what happened.
func (g *ground) plan(m *matter, at time.Time) (*draft, []told) {
	dr := &draft{}
	var all []told
	for _, number := range m.numbers {
		s := g.situations[number]
		planned, ok := s.Plan(m.recipient, g.policy, at)
		if !ok {
			if g.behind {
				dr.left = true
			} else {
				dr.idle = append(dr.idle, number)
			}
			continue
		}
		sub := s.Subscription(m.recipient)
		all = append(all, told{planned, s.Item(&planned, nil, g.policy, g.pulses)})
		dr.seen = append(dr.seen, seen{number, s.Incident.Sequence, slices.Clone(sub.Owed), sub.DueAt})
	}
	slices.SortStableFunc(all, func(a, b told) int {
		return cmp.Or(cmp.Compare(a.item.Incident.Priority.Rank, b.item.Incident.Priority.Rank), cmp.Compare(a.item.Incident.Number, b.item.Incident.Number))
	})
	return dr, all
}

// addNews adds to what is told what happened and, for those on call, which alerts fire and who else
// will be told. A digest has that of its first alone.
func (g *ground) addNews(ctx context.Context, r storage.Snapshot, all [][]told) error {
	untold := map[int64]int64{} // after which event the news of an incident begin, of all who are told of it
	var shared []int64          // incidents of which the other readers are told of, too
	for _, some := range all {
		for i := range some[:min(len(some), DigestNamed)] {
			s, sub := g.of(&some[i])
			number, after := s.Incident.Number, newsAfter(s, sub, eventsOf(some))
			if known, ok := untold[number]; s.Incident.Sequence > after && (!ok || after < known) {
				untold[number] = after
			}
			if s.Incident.State == incident.StateOpen && slices.Contains(sub.Audiences, incident.AudienceOnCall) {
				shared = append(shared, number)
			}
		}
	}
	if len(shared) > 0 {
		slices.Sort(shared)
		subs, err := r.Subscriptions(ctx, slices.Compact(shared))
		if err != nil {
			return err
		}
		for number := range subs {
			g.situations[number].Subscriptions = subs[number]
		}
	}
	news, err := storage.EventsSince(ctx, r, untold, tellEvents)
	if err != nil {
		return err
	}
	var withAlerts []*incident.Item
	for _, some := range all {
		for i := range some[:min(len(some), DigestNamed)] {
			t := &some[i]
			s, sub := g.of(t)
			events := news[s.Incident.Number]
			first, _ := slices.BinarySearchFunc(events, newsAfter(s, sub, eventsOf(some))+1, func(e incident.Event, sequence int64) int { return cmp.Compare(e.Sequence, sequence) })
			t.item = s.Item(&t.planned, events[first:], g.policy, g.pulses)
			if i < alertsOfDigest && t.namesAlerts() {
				withAlerts = append(withAlerts, &t.item)
			}
		}
	}
	return addAlerts(ctx, r, withAlerts)
}

// of returns the situation that something is told of, and the subscription of who is told.
func (g *ground) of(t *told) (*incident.Situation, *incident.Subscription) {
	s := g.situations[t.planned.Cover.Incident]
	return s, s.Subscription(t.planned.Reader.Recipient.ID)
}

// tell makes the draft tell all that, the highest first.
func (dr *draft) tell(all []told, policy *incident.Policy, at time.Time) {
	dr.message = messageOf(all, policy, at)
	del, in := &dr.delivery, &all[0].item.Incident
	del.Incident, del.Sequence, del.Priority, del.Drill = in.Number, in.Sequence, in.Priority.Name, in.Drill
	for i := range all {
		c := all[i].planned.Cover
		del.Covers = append(del.Covers, c)
		if del.DueAt.IsZero() || c.DueAt.Before(del.DueAt) {
			del.DueAt, del.Promised, del.Deferred = c.DueAt, c.Promised, c.Deferred
		}
	}
	dr.fill(at)
}

// A told is what a reader is told of one incident, and why.
type told struct {
	planned incident.Planned
	item    incident.Item
}

// eventsOf returns how many events of an incident a message that tells all that can tell.
func eventsOf(all []told) int64 {
	if len(all) > 1 {
		return digestEvents
	}
	return tellEvents
}

// newsAfter returns after which event of an incident those come that a message tells a reader, of
// the latest so many.
func newsAfter(s *incident.Situation, sub *incident.Subscription, latest int64) int64 {
	return max(sub.ToldSequence, s.Incident.Sequence-latest)
}

// messageOf returns the message that tells a reader of all that, the highest first; it has
// no ID yet.
func messageOf(all []told, policy *incident.Policy, at time.Time) incident.Message {
	first := all[0].planned
	m := incident.Message{
		Kind: first.Cover.Kind, At: at, BaseURL: policy.ExternalURL,
		Recipient: first.Reader.Recipient, Location: first.Reader.Location, Language: first.Reader.Language,
		Audiences: first.Reader.Audiences, Group: first.Reader.Groups[0],
	}
	if len(all) > 1 {
		m.Kind = incident.KindDigest
	}
	for i := range all {
		m.Items = append(m.Items, all[i].item)
	}
	return m
}

// Foretell returns the message that a recipient gets at a time about an incident that stands
// as s says, where the latest of its events are recent ones that are not stored. It is made
// as those that are sent, by itself and not as part of a digest; false if there is nothing
// to tell then.
func (d *Dispatcher) Foretell(ctx context.Context, r storage.Snapshot, s *incident.Situation, recent []incident.Event, recipient string, at time.Time) (incident.Message, bool, error) {
	policy := d.Repo.Policy()
	planned, ok := s.Plan(recipient, policy, at)
	if !ok {
		return incident.Message{}, false, nil
	}
	pulses, err := r.Pulses(ctx)
	if err != nil {
		return incident.Message{}, false, err
	}
	sub := s.Subscription(recipient)
	var events []incident.Event
	if stored := s.Incident.Sequence - int64(len(recent)); stored > sub.ToldSequence {
		if events, err = storage.EventsOf(ctx, r, s.Incident.Number, newsAfter(s, sub, tellEvents), tellEvents); err != nil {
			return incident.Message{}, false, err
		}
	}
	events = append(events, recent...)
	t := told{planned, s.Item(&planned, events, policy, pulses)}
	if t.namesAlerts() {
		if err := addAlerts(ctx, r, []*incident.Item{&t.item}); err != nil {
			return incident.Message{}, false, err
		}
	}
	m := messageOf([]told{t}, policy, at)
	m.ID = "preview"
	return m, true, nil
}

// render puts a draft into the form of its channel. The error is ErrPermanent if that cannot be.
func (d *Dispatcher) render(dr *draft) (err error) {
	var ok bool
	if dr.sender, ok = d.Sender(dr.delivery.Channel); !ok {
		return fmt.Errorf("no sender for %s is configured", dr.delivery.Channel)
	}
	if dr.body, err = dr.sender.Render(&dr.message); err != nil {
		return fmt.Errorf("%w: render: %w", ErrPermanent, err)
	}
	return nil
}

// Render returns the bytes of a message as they go out by its channel; nil if nothing goes
// out by that.
func (d *Dispatcher) Render(m *incident.Message) ([]byte, error) {
	sender, ok := d.Sender(m.Recipient.Channel)
	if !ok {
		return nil, nil
	}
	return sender.Render(m)
}

// fill sets what the delivery has from the message.
func (dr *draft) fill(at time.Time) {
	m, del := &dr.message, &dr.delivery
	del.Kind, del.Audience, del.Group = m.Kind, m.Audiences[0], m.Group
	del.Channel, del.Recipient, del.Address = m.Recipient.Channel, m.Recipient.ID, m.Recipient.Address
	del.CreatedAt, del.State = at, incident.DeliveryPending
	del.ID = newID(del)
	m.ID = del.ID
}

// replace makes the draft take the place of a delivery that surely failed.
func (dr *draft) replace(before *incident.Delivery) {
	dr.delivery.ID, dr.delivery.Attempts, dr.delivery.CreatedAt = before.ID, before.Attempts, before.CreatedAt
	dr.delivery.Error = before.Error
	dr.message.ID = before.ID
}

// unchanged reports whether what the draft was planned on still holds. With owedAlone
// it is enough that the same is owed: what happened to the incident meanwhile is not
// news that the reader waits for. A digest of many is not looked at: what happens meanwhile
// stays owed, as what does while it is sent.
func (dr *draft) unchanged(ctx context.Context, r storage.Snapshot, owedAlone bool) (bool, error) {
	if dr.notice != nil {
		n, err := noticeOf(ctx, r, dr.notice.Pulse, dr.notice.Recipient)
		return err == nil && n.Owes(dr.notice.Owed), err
	}
	if len(dr.seen) > settlePiece {
		return true, nil
	}
	fresh, err := allUnchanged(ctx, r, owedAlone, dr)
	return len(fresh) == 1, err
}

// allUnchanged returns those of the drafts, which are about incidents, that are unchanged.
func allUnchanged(ctx context.Context, r storage.Snapshot, owedAlone bool, drafts ...*draft) (fresh []*draft, err error) {
	var numbers []int64
	var recipients []string
	for _, dr := range drafts {
		recipients = append(recipients, dr.delivery.Recipient)
		for _, s := range dr.seen {
			numbers = append(numbers, s.incident)
		}
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	subs, err := r.Subscriptions(ctx, numbers, recipients...)
	if err != nil {
		return nil, err
	}
	var incidents map[int64]*incident.Incident
	if !owedAlone {
		if incidents, err = r.IncidentsByNumber(ctx, numbers); err != nil {
			return nil, err
		}
	}
	for _, dr := range drafts {
		if !slices.ContainsFunc(dr.seen, func(s seen) bool {
			is := incident.Situation{Subscriptions: subs[s.incident]}
			sub, in := is.Subscription(dr.delivery.Recipient), incidents[s.incident]
			return sub == nil || !slices.Equal(sub.Owed, s.owed) || !sub.DueAt.Equal(s.due) || !owedAlone && (in == nil || in.Sequence != s.sequence)
		}) {
			fresh = append(fresh, dr)
		}
	}
	return fresh, nil
}

// newID returns an id for a delivery: unique, telling in a log, and safe on the left side of a
// Message-ID. Those that are made later come later in order, so that a store finds those of one
// fan-out side by side.
func newID(d *incident.Delivery) string {
	return subjectOf(d).id() + "." + strconv.FormatInt(d.CreatedAt.UnixMilli(), 32) + randomText()
}
