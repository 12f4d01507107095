package bolt

import (
	"context"
	"time"

	"sitrep/incident"
)

// What the watchdog was in stores up to version 2: a value in meta, and the subscriptions
// with a number that no incident has.
var oldPulseKey = []byte("pulse")

const oldWatchdog = 0

// upgradeWatchdog brings the watchdog of a store of version 2 or before to where it is now.
func (t *tx) upgradeWatchdog(ctx context.Context) error {
	var pulse incident.Pulse
	found, err := t.getJSON(bMeta, oldPulseKey, &pulse)
	if err != nil {
		return err
	}
	if found {
		if err := t.PutPulses(ctx, []incident.Pulse{pulse}, nil); err != nil {
			return err
		}
		if err := t.delete(bMeta, oldPulseKey); err != nil {
			return err
		}
	}
	subs, err := t.subscriptions(oldWatchdog)
	if err != nil {
		return err
	}
	for i := range subs {
		sub := subs[i]
		n, err := t.oldNotice(&sub)
		if err != nil {
			return err
		}
		if err := t.PutNotices(ctx, []incident.Notice{n}, nil); err != nil {
			return err
		}
		sub.DueAt = time.Time{}
		if err := t.PutSubscriptions(ctx, []incident.Subscription{sub}, nil); err != nil {
			return err
		}
		if err := t.delete(bSubscriptions, key(nil).int(oldWatchdog).rest(sub.Recipient)); err != nil {
			return err
		}
	}
	return nil
}

// oldNotice returns the notice of a reader of the watchdog. It went away with each odd
// sequence, and was back with each even one.
func (t *tx) oldNotice(sub *incident.Subscription) (incident.Notice, error) {
	n := incident.Notice{
		Recipient: sub.Recipient, Told: sub.Told && sub.ToldSequence%2 == 1, ToldAt: sub.ToldAt, DueAt: sub.DueAt,
	}
	if len(sub.Owed) > 0 {
		n.Owed = sub.Owed[len(sub.Owed)-1]
	}
	prefix := key(nil).text(sub.Recipient)
	err := t.ascend(bDeliveriesPending, prefix, nil, func(k, _ []byte) (bool, error) {
		d, err := t.deliveryAt(intAt(k, len(prefix)+8))
		n.Unsure = n.Unsure || d.OfPulse() && !d.Replan
		return true, err
	})
	n.Drop()
	return n, err
}
