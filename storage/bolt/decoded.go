package bolt

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"sitrep/incident"
)

const (
	// decodedSlots is how many incidents, recipients and so on are kept decoded at most.
	decodedSlots = 4096
	// decodedBytes is how long what is stored of one may be that is kept: few are longer than 2 KiB.
	decodedBytes = 8 << 10
)

// decoded are things as they were decoded last, by what was stored of them. An incident is told to
// many readers, a digest is planned, recorded and settled on the same, and each message changes its
// recipient several times and looks at its subscription more often: decoding is most of what reading one costs.
type decoded struct {
	incidents     slots[incident.Incident]
	recipients    slots[recipient]
	subscriptions slots[incident.Subscription]
	deliveries    slots[incident.Delivery] // that are pending: an outcome follows
}

// slots keep the value of what is stored, up to one for each slot.
type slots[T any] [decodedSlots]atomic.Pointer[kept[T]]

type kept[T any] struct {
	stored []byte
	value  T
}

func (s *slots[T]) find(slot uint64, stored []byte) (v T, found bool) {
	k := s[slot%decodedSlots].Load()
	if k == nil || !bytes.Equal(k.stored, stored) {
		return v, false
	}
	return k.value, true
}

func (s *slots[T]) keep(slot uint64, stored []byte, v T) {
	if len(stored) <= decodedBytes {
		s[slot%decodedSlots].Store(&kept[T]{bytes.Clone(stored), v})
	}
}

// incident decodes an incident, or finds it. One is never changed in place, so its parts are shared.
func (d *decoded) incident(k, stored []byte) (incident.Incident, error) {
	if d == nil {
		return decodeIncident(k, stored)
	}
	slot := uint64(intAt(k, 0))
	in, found := d.incidents.find(slot, stored)
	if found && in.Number == intAt(k, 0) {
		return in, nil
	}
	in, err := decodeIncident(k, stored)
	if err == nil {
		in.Stakeholders, in.Actions, in.MergedFrom = slices.Clip(in.Stakeholders), slices.Clip(in.Actions), slices.Clip(in.MergedFrom)
		d.incidents.keep(slot, stored, in)
	}
	return in, err
}

// seed is that of the hashes by which recipients find their slots.
var seed = maphash.MakeSeed()

// recipient decodes a recipient, or finds it.
func (d *decoded) recipient(k, stored []byte) (p recipient, err error) {
	if d == nil {
		return p, decode(bRecipients, k, stored, &p)
	}
	if p, found := d.recipients.find(maphash.Bytes(seed, k), stored); found {
		return p.clone(), nil
	}
	if err = decode(bRecipients, k, stored, &p); err == nil {
		d.keepRecipient(k, stored, p)
	}
	return p, err
}

// keepRecipient keeps a recipient that is going to be stored so.
func (d *decoded) keepRecipient(k, stored []byte, p recipient) {
	if d != nil {
		d.recipients.keep(maphash.Bytes(seed, k), stored, p.clone())
	}
}

// subscription decodes a subscription, or finds it.
func (d *decoded) subscription(k, stored []byte, s *incident.Subscription) error {
	if d == nil {
		return decode(bSubscriptions, k, stored, s)
	}
	slot := maphash.Bytes(seed, k)
	if found, ok := d.subscriptions.find(slot, stored); ok {
		*s = cloneSubscription(found)
		return nil
	}
	err := decode(bSubscriptions, k, stored, s)
	if err == nil {
		d.subscriptions.keep(slot, stored, cloneSubscription(*s))
	}
	return err
}

// keepDelivery keeps a delivery without its covers that is going to be stored so, as long as an
// outcome follows.
func (d *decoded) keepDelivery(arrival int64, stored []byte, del incident.Delivery) {
	if d == nil {
		return
	}
	if del.State != incident.DeliveryPending {
		d.deliveries[uint64(arrival)%decodedSlots].Store(nil)
		return
	}
	del.Covers = nil
	d.deliveries.keep(uint64(arrival), stored, del)
}

// delivery finds a delivery without its covers.
func (d *decoded) delivery(arrival int64, stored []byte) (del incident.Delivery, found bool) {
	if d == nil {
		return del, false
	}
	return d.deliveries.find(uint64(arrival), stored)
}

// cloneSubscription returns a copy that changes by itself.
func cloneSubscription(s incident.Subscription) incident.Subscription {
	s.Owed, s.Audiences, s.Groups = slices.Clone(s.Owed), slices.Clone(s.Audiences), slices.Clone(s.Groups)
	return s
}

// clone returns a copy that changes by itself.
func (p recipient) clone() recipient {
	p.Sent, p.Openings = slices.Clone(p.Sent), slices.Clone(p.Openings)
	return p
}
