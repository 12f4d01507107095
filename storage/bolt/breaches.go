package bolt

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A place is where a breach is stored: under its incident, in order of arrival.
type place struct{ number, arrival int64 }

func (p place) key() key { return key(make([]byte, 0, 16)).int(p.number).int(p.arrival) }

func (r *reader) at(p place) (incident.Breach, error) {
	k := p.key()
	b, err := r.get(bBreaches, k)
	if err != nil {
		return incident.Breach{}, err
	}
	return decodeBreach(k, b)
}

func (r *reader) LatestBreaches(_ context.Context, fingerprints []string) (map[string]*incident.Breach, error) {
	var all map[string]*incident.Breach // of most alerts that are news nothing is known
	for _, fp := range fingerprints {
		l, found, err := r.latest(fp)
		if err != nil {
			return nil, err
		}
		if !found || all[fp] != nil {
			continue
		}
		b, err := r.at(l.place)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = make(map[string]*incident.Breach, len(fingerprints))
		}
		all[fp] = &b
	}
	return all, nil
}

func (r *reader) Breaches(_ context.Context, number int64, limit int, cursor string) (page []incident.Breach, next string, err error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	var from key
	if cursor != "" {
		n, err := parseCursor(cursor)
		if err != nil {
			return nil, "", err
		}
		from = key(nil).int(number).int(n + 1)
	}
	var last int64
	err = r.ascend(bBreaches, key(nil).int(number), from, func(k, v []byte) (bool, error) {
		if len(page) == limit {
			next = strconv.FormatInt(last, 10)
			return false, nil
		}
		b, err := decodeBreach(k, v)
		page, last = append(page, b), intAt(k, 8)
		return true, err
	})
	return page, next, err
}

func (r *reader) FirstBreaches(ctx context.Context, numbers []int64, limit int) (map[int64]storage.BreachPage, error) {
	all := make(map[int64]storage.BreachPage, len(numbers))
	for _, number := range numbers {
		page, next, err := r.Breaches(ctx, number, limit, "")
		if err != nil {
			return nil, err
		}
		if len(page) > 0 {
			all[number] = storage.BreachPage{Breaches: page, Next: next}
		}
	}
	return all, nil
}

func (r *reader) DueBreaches(_ context.Context, by storage.BreachTime, until time.Time, limit int) ([]incident.Breach, error) {
	id := bBreachesSilent
	if by == storage.BreachesToAsk {
		id = bBreachesToAsk
	}
	var list []incident.Breach
	err := r.ascend(id, nil, nil, func(k, _ []byte) (bool, error) {
		if len(list) == limit || timeAt(k, 0).After(until) {
			return false, nil
		}
		b, err := r.at(place{intAt(k, 8), intAt(k, 16)})
		list = append(list, b)
		return true, err
	})
	return list, err
}

func (t *tx) PutBreaches(_ context.Context, all []*incident.Breach) error {
	for _, b := range all {
		if err := t.putBreach(b); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putBreach(b *incident.Breach) error {
	l, found, err := t.latest(b.Fingerprint)
	if err != nil {
		return err
	}
	if found && l.ordinal > b.Ordinal {
		return fmt.Errorf("put breach %d of %q: number %d began since", b.Ordinal, b.Fingerprint, l.ordinal)
	}
	p := l.place
	found = found && l.ordinal == b.Ordinal

	h := headOf(b)
	var old breachHead
	if found {
		v, err := t.get(bBreaches, p.key())
		if err != nil {
			return err
		}
		if old, err = cutBreachHead(p.key(), v); err != nil {
			return err
		}
	}
	if found && p.number == b.Incident {
		if err := t.putBreachAt(p, h, b); err != nil {
			return err
		}
		return t.indexBreach(p, p, old, h)
	}

	arrival, err := t.next(bBreaches)
	if err != nil {
		return err
	}
	from := p
	p = place{b.Incident, arrival}
	if found {
		if err := t.delete(bBreaches, from.key()); err != nil {
			return err
		}
	}
	if err := t.putBreachAt(p, h, b); err != nil {
		return err
	}
	t.noteLatest(b.Fingerprint, latest{place: p, ordinal: b.Ordinal})
	return t.indexBreach(from, p, old, h)
}

func (t *tx) putBreachAt(p place, h breachHead, b *incident.Breach) error {
	t.scrap = appendBreach(t.scrap[:0], h, b)
	return t.put(bBreaches, p.key(), t.scrap)
}

// indexBreach keeps what is found by the head of a breach.
func (t *tx) indexBreach(from, to place, old, h breachHead) error {
	for _, x := range []struct {
		id          bucketID
		was, is     bool
		before, now time.Time
	}{
		{bBreachesSilent, old.silent, h.silent, old.quiet, h.quiet},
		{bBreachesToAsk, old.asks, h.asks, old.askAt, h.askAt},
	} {
		if x.was == x.is && x.before.Equal(x.now) && from == to {
			continue
		}
		var k [24]byte
		if x.was {
			if err := t.delete(x.id, key(k[:0]).time(x.before).int(from.number).int(from.arrival)); err != nil {
				return err
			}
		}
		if x.is {
			if err := t.put(x.id, key(k[:0]).time(x.now).int(to.number).int(to.arrival), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteBreach removes a breach and all that leads to it.
func (t *tx) deleteBreach(p place, b *incident.Breach) error {
	if err := t.delete(bBreaches, p.key()); err != nil {
		return err
	}
	if err := t.indexBreach(p, p, headOf(b), breachHead{}); err != nil {
		return err
	}
	l, found, err := t.latest(b.Fingerprint)
	if err != nil || !found || l.place != p {
		return err
	}
	l.gone = true
	t.noteLatest(b.Fingerprint, l)
	return nil
}
