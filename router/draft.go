package router

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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

// A ground is what messages are planned on at one time, whoever reads them: it is read once.
type ground struct {
	pulses incident.Pulses
	behind bool
	after  map[int64]int64 // of what events were read last, see eventsSince
	events map[int64][]incident.Event
}

func (d *Dispatcher) ground(ctx context.Context, r storage.Snapshot) (g *ground, err error) {
	g = &ground{}
	if g.pulses, err = r.Pulses(ctx); err != nil {
		return nil, err
	}
	g.behind, err = d.Repo.Behind(ctx, r)
	return g, err
}

// eventsSince returns events as storage.EventsSince does. Those who are told of one incident
// mostly had the same before.
func (g *ground) eventsSince(ctx context.Context, r storage.Snapshot, after map[int64]int64) (_ map[int64][]incident.Event, err error) {
	if g.events == nil || !maps.Equal(g.after, after) {
		g.after = after
		g.events, err = storage.EventsSince(ctx, r, after, tellEvents)
	}
	return g.events, err
}

// incidentDraft plans the message about the incidents; its delivery is empty if
// there is nothing to tell.
func (d *Dispatcher) incidentDraft(ctx context.Context, r storage.Snapshot, recipient string, numbers []int64, at time.Time) (*draft, error) {
	g, err := d.ground(ctx, r)
	if err != nil {
		return nil, err
	}
	situations, err := storage.Situations(ctx, r, numbers, recipient)
	if err != nil {
		return nil, err
	}
	return d.draftOn(ctx, r, g, situations, recipient, numbers, at)
}

// drafts plans messages about one incident, by recipient, all as of one time. Those
// of whom that is not to be had are left out: what is wrong is said to who plans for them alone.
func (d *Dispatcher) drafts(ctx context.Context, r storage.Snapshot, recipients []string, number int64, at time.Time) (map[string]*draft, error) {
	g, err := d.ground(ctx, r)
	if err != nil {
		return nil, err
	}
	situations, err := storage.Situations(ctx, r, []int64{number}, recipients...)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*draft, len(recipients))
	subs := situations[number].Subscriptions
	for i := range subs {
		own, id := *situations[number], subs[i].Recipient
		own.Subscriptions = subs[i : i+1 : i+1]
		dr, err := d.draftOn(ctx, r, g, map[int64]*incident.Situation{number: &own}, id, []int64{number}, at)
		if err != nil || len(dr.delivery.Covers) != 1 {
			continue
		}
		all[id] = dr
	}
	return all, nil
}

// draftOn is incidentDraft of situations that were read.
func (d *Dispatcher) draftOn(ctx context.Context, r storage.Snapshot, g *ground, situations map[int64]*incident.Situation, recipient string, numbers []int64, at time.Time) (*draft, error) {
	policy := d.Repo.Policy()
	dr := &draft{}
	var all []told
	for _, number := range numbers {
		s := situations[number]
		planned, ok := s.Plan(recipient, policy, at)
		if !ok {
			if g.behind {
				dr.left = true
			} else {
				dr.idle = append(dr.idle, number)
			}
			continue
		}
		sub := s.Subscription(recipient)
		all = append(all, told{planned, s.Item(&planned, nil, policy, g.pulses)})
		dr.seen = append(dr.seen, seen{number, s.Incident.Sequence, slices.Clone(sub.Owed), sub.DueAt})
	}
	if len(all) == 0 {
		return dr, nil
	}
	slices.SortStableFunc(all, func(a, b told) int {
		return cmp.Or(cmp.Compare(a.item.Incident.Priority.Rank, b.item.Incident.Priority.Rank), cmp.Compare(a.item.Incident.Number, b.item.Incident.Number))
	})
	named := all[:min(len(all), DigestNamed)]
	if err := withOthers(ctx, r, named, situations, recipient); err != nil {
		return nil, err
	}
	untold := map[int64]int64{}
	for i := range named {
		if s := situations[named[i].planned.Cover.Incident]; s.Incident.Sequence > s.Subscription(recipient).ToldSequence {
			untold[s.Incident.Number] = newsAfter(s, s.Subscription(recipient))
		}
	}
	news, err := g.eventsSince(ctx, r, untold)
	if err != nil {
		return nil, err
	}
	for i := range named {
		t := &named[i]
		s := situations[t.planned.Cover.Incident]
		t.item = s.Item(&t.planned, news[s.Incident.Number], policy, g.pulses)
	}
	first := all[0]
	if dr.message, err = messageOf(ctx, r, all, policy, at); err != nil {
		return nil, err
	}
	del := &dr.delivery
	in := &first.item.Incident
	del.Incident, del.Sequence, del.Priority, del.Drill = in.Number, in.Sequence, in.Priority.Name, in.Drill
	for _, t := range all {
		c := t.planned.Cover
		del.Covers = append(del.Covers, c)
		if del.DueAt.IsZero() || c.DueAt.Before(del.DueAt) {
			del.DueAt, del.Promised, del.Deferred = c.DueAt, c.Promised, c.Deferred
		}
	}
	dr.fill(at)
	return dr, nil
}

// withOthers loads the other readers of incidents of which the recipient is told, as one of the
// team, who else will be told.
func withOthers(ctx context.Context, r storage.Snapshot, named []told, situations map[int64]*incident.Situation, recipient string) error {
	var numbers []int64
	for i := range named {
		number := named[i].planned.Cover.Incident
		s := situations[number]
		if sub := s.Subscription(recipient); sub != nil && s.Incident.State == incident.StateOpen && slices.Contains(sub.Audiences, incident.AudienceOnCall) {
			numbers = append(numbers, number)
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	slices.Sort(numbers)
	subs, err := r.Subscriptions(ctx, numbers)
	for _, number := range numbers {
		situations[number].Subscriptions = subs[number]
	}
	return err
}

// A told is what a reader is told of one incident, and why.
type told struct {
	planned incident.Planned
	item    incident.Item
}

// newsAfter returns after which event of an incident those come that a message tells a reader.
func newsAfter(s *incident.Situation, sub *incident.Subscription) int64 {
	return max(sub.ToldSequence, s.Incident.Sequence-tellEvents)
}

// messageOf returns the message that tells a reader of all that, the highest first; it has
// no ID yet.
func messageOf(ctx context.Context, r storage.Snapshot, all []told, policy *incident.Policy, at time.Time) (incident.Message, error) {
	first := all[0].planned
	m := incident.Message{
		Kind: first.Cover.Kind, At: at, BaseURL: policy.ExternalURL,
		Recipient: first.Reader.Recipient, Location: first.Reader.Location, Language: first.Reader.Language,
		Audiences: first.Reader.Audiences, Group: first.Reader.Groups[0],
	}
	if len(all) > 1 {
		m.Kind = incident.KindDigest
	}
	var withAlerts []*incident.Item
	for i := range all[:min(len(all), alertsOfDigest)] {
		if t := &all[i]; namesAlerts(&t.item) && slices.Contains(t.planned.Reader.Audiences, incident.AudienceOnCall) {
			withAlerts = append(withAlerts, &t.item)
		}
	}
	if err := addAlerts(ctx, r, withAlerts); err != nil {
		return m, err
	}
	for i := range all {
		m.Items = append(m.Items, all[i].item)
	}
	return m, nil
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
		if events, err = storage.EventsOf(ctx, r, s.Incident.Number, newsAfter(s, sub), tellEvents); err != nil {
			return incident.Message{}, false, err
		}
	}
	events = append(events, recent...)
	m, err := messageOf(ctx, r, []told{{planned, s.Item(&planned, events, policy, pulses)}}, policy, at)
	m.ID = "preview"
	return m, err == nil, err
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
