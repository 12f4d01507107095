package storage

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"sitrep/incident"
)

// forgetAgain is how long what something is still owed to is left alone.
const forgetAgain = 24 * time.Hour

// Forget drops the names of people and addresses of the incidents that closed before: from
// their state and their events, from the deliveries about them and no other, with the
// messages, and from their subscriptions. The same of what was sent about the watchdog
// before, of configurations that another followed before, of which only the public form is
// kept, and of refusals and answers from before. What something is still owed to stays for
// another day. A zero time forgets nothing. It looks at about limit things; if there are
// more, call it again.
func Forget(ctx context.Context, tx Tx, before time.Time, limit int) (more bool, err error) {
	if before.IsZero() {
		return false, nil
	}
	f := &forgetting{tx: tx, before: before, left: limit}
	for _, step := range []func(context.Context) error{f.incidents, f.watchdog, f.configs} {
		if err := step(ctx); err != nil {
			return false, err
		}
	}
	n, err := tx.DeleteJournal(ctx, before, limit)
	return f.left <= 0 || n == limit, err
}

// A forgetting drops what is personal from before a time, in one transaction.
type forgetting struct {
	tx     Tx
	before time.Time
	left   int // how many things may still be looked at
}

// A part is as much of an incident as is forgotten in one transaction.
type part struct {
	Expired
	first, last bool
	deliveries  []incident.Delivery
}

// incidents forgets the people of incidents that closed before.
func (f *forgetting) incidents(ctx context.Context) error {
	old, err := f.tx.Expired(ctx, ExpiryPeople, f.before, f.left)
	if err != nil {
		return err
	}
	var parts []part
	for i := 0; i < len(old) && f.left > 0; i++ {
		parts = append(parts, part{Expired: old[i], first: old[i].Stage == (Stage{})})
		if err := f.begin(ctx, &parts[i]); err != nil {
			return err
		}
	}
	recipients, err := f.deliveries(ctx, parts)
	if err != nil {
		return err
	}
	if err := f.readers(ctx, parts, recipients); err != nil {
		return err
	}
	var done, left []Expired
	for i := range parts {
		p := &parts[i]
		if !p.last {
			left = append(left, p.Expired)
			continue
		}
		if done = append(done, p.Expired); p.Stage.Again {
			left = append(left, Expired{What: ExpiryPeople, Since: f.before.Add(forgetAgain), Number: p.Number})
		}
	}
	return f.tx.NoteExpired(ctx, done, left)
}

// begin forgets the people of the events of an incident, and then looks for its deliveries, as
// far as there is room.
func (f *forgetting) begin(ctx context.Context, p *part) error {
	s := &p.Stage
	if s.Event != math.MaxInt64 {
		last, err := f.tx.ForgetEvents(ctx, p.Number, s.Event, f.left)
		if err != nil {
			return err
		}
		f.left -= int(last - s.Event)
		if s.Event = last; f.left > 0 {
			s.Event = math.MaxInt64
		}
	}
	for f.left > 0 && !p.last {
		page, next, err := f.tx.Deliveries(ctx, DeliveryQuery{Incident: p.Number, OldestFirst: true, Limit: min(f.left, deliveriesPage), Cursor: s.Delivery})
		if err != nil {
			return err
		}
		f.left -= len(page)
		p.deliveries = append(p.deliveries, page...)
		s.Delivery, p.last = next, next == ""
	}
	return nil
}

// deliveries forgets to whom messages about incidents went, a digest with the last of its
// incidents, and returns who that was. The people of an incident's state go with its first
// part, so that it names nobody whom the events do not.
func (f *forgetting) deliveries(ctx context.Context, parts []part) (recipients []string, err error) {
	var all, over []incident.Delivery
	var numbers []int64
	for i := range parts {
		all, numbers = append(all, parts[i].deliveries...), append(numbers, parts[i].Number)
	}
	found, err := incidentsOf(ctx, f.tx, all, numbers...)
	if err != nil {
		return nil, err
	}
	var states []*incident.Incident
	seen := map[string]bool{}
	for i := range parts {
		p := &parts[i]
		in := found[p.Number]
		if in == nil {
			return nil, fmt.Errorf("forget the people of %s: it closed, and is not there: %w", incident.ID(p.Number), ErrDamaged)
		}
		if p.first {
			in.Forget()
			states = append(states, in)
		}
		for _, d := range p.deliveries {
			if d.State == incident.DeliveryPending {
				p.Stage.Again = true
			} else if !seen[d.ID] && closedBefore(found, &d, f.before) {
				seen[d.ID] = true
				over, recipients = append(over, d), append(recipients, d.Recipient)
			}
		}
	}
	if err := f.tx.PutIncidents(ctx, states); err != nil {
		return nil, err
	}
	return recipients, f.tx.ForgetDeliveries(ctx, over)
}

// readers forgets who the readers of incidents were, with the last parts of those, and what
// the queue knows of them and of other recipients. What they were told stays.
func (f *forgetting) readers(ctx context.Context, parts []part, recipients []string) error {
	var numbers []int64
	for i := range parts {
		if parts[i].last {
			numbers = append(numbers, parts[i].Number)
		}
	}
	subs, err := f.tx.Subscriptions(ctx, numbers)
	if err != nil {
		return err
	}
	for _, number := range numbers {
		f.left -= len(subs[number])
		for i := range subs[number] {
			recipients = append(recipients, subs[number][i].Recipient)
		}
	}
	claimed, err := f.tx.DeleteRecipients(ctx, recipients, f.before)
	if err != nil {
		return err
	}
	var put, gone []incident.Subscription
	for i := range parts {
		for _, sub := range subs[parts[i].Number] {
			switch {
			case sub.Forgotten():
			case !sub.DueAt.IsZero() || claimed[sub.Recipient]:
				parts[i].Stage.Again = true
			default:
				gone = append(gone, sub)
				sub.Forget()
				put = append(put, sub)
			}
		}
	}
	return f.tx.PutSubscriptions(ctx, put, gone)
}

// watchdog forgets to whom messages about the watchdog went, and the readers who were told
// nothing since before and are owed nothing: whoever is to be told again becomes a reader
// again.
func (f *forgetting) watchdog(ctx context.Context) error {
	old, err := f.tx.Expired(ctx, ExpiryWatchdogPeople, f.before, max(f.left, 0))
	if err != nil {
		return err
	}
	f.left -= len(old)
	var over []incident.Delivery
	var recipients []string
	for i := range old {
		if d := &old[i].Delivery; d.State != incident.DeliveryPending { // else it was begun anew, and is noted again when it is over
			over, recipients = append(over, *d), append(recipients, d.Recipient)
		}
	}
	if err := f.tx.ForgetDeliveries(ctx, over); err != nil {
		return err
	}
	if err := f.tx.NoteExpired(ctx, old, nil); err != nil {
		return err
	}
	notices, err := f.quietNotices(ctx)
	if err != nil {
		return err
	}
	for i := range notices {
		recipients = append(recipients, notices[i].Recipient)
	}
	claimed, err := f.tx.DeleteRecipients(ctx, recipients, f.before)
	if err != nil {
		return err
	}
	return f.tx.PutNotices(ctx, nil, slices.DeleteFunc(notices, func(n incident.Notice) bool { return claimed[n.Recipient] }))
}

// quietNotices returns the notices that are not due, and whose readers were told last before.
// Only the pulses of those are locked.
func (f *forgetting) quietNotices(ctx context.Context) ([]incident.Notice, error) {
	loud := func(n incident.Notice) bool { return !n.DueAt.IsZero() || !n.ToldAt.Before(f.before) }
	all, err := f.tx.Notices(ctx)
	if err != nil {
		return nil, err
	}
	if all = slices.DeleteFunc(all, loud); len(all) == 0 {
		return nil, nil
	}
	pulses := make([]string, len(all))
	for i := range all {
		pulses[i] = all[i].Pulse
	}
	all, err = f.tx.Notices(ctx, pulses...)
	return slices.DeleteFunc(all, loud), err
}

// configs forgets who loaded configurations that another followed before, and their
// whole form unless they were loaded again since.
func (f *forgetting) configs(ctx context.Context) error {
	all, err := f.tx.RememberedLoadings(ctx)
	if err != nil {
		return err
	}
	n := 0 // how many are from before
	for n < len(all) && all[n].At.Before(f.before) {
		n++
	}
	n = min(n-1, f.left) // none followed the last one before
	if n <= 0 {
		return nil
	}
	f.left -= n
	later := map[string]bool{}
	for _, l := range all[n:] {
		later[l.Hash] = true
	}
	var forms []string
	for _, l := range all[:n] {
		// One that names nobody is its own public form.
		if l.Public != "" && l.Public != l.Hash && !later[l.Hash] {
			forms = append(forms, l.Hash)
		}
	}
	return f.tx.ForgetLoadings(ctx, n, forms)
}
