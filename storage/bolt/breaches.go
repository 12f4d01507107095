package bolt

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A place is where a breach is stored: under its incident, in order of arrival.
type place struct{ number, arrival int64 }

func (p place) key() key { return key(make([]byte, 0, 16)).int(p.number).int(p.arrival) }

// fingerprint returns the key of a fingerprint: Alertmanager's take 8 bytes.
func fingerprint(k key, s string) key {
	if len(s) == 16 {
		if b, err := hex.AppendDecode(k.byte(1), []byte(s)); err == nil && hex.EncodeToString(b[len(k)+1:]) == s {
			return b
		}
	}
	return k.byte(2).text(s)
}

// latest returns where the latest breach of a fingerprint is, and its ordinal.
func (r *reader) latest(fp key) (p place, ordinal int64, found bool, err error) {
	b, err := r.get(bBreachLatest, fp)
	if b == nil || err != nil {
		return p, 0, false, err
	}
	return place{intAt(b, 8), intAt(b, 16)}, intAt(b, 0), true, nil
}

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
	var scrap [32]byte
	for _, fp := range fingerprints {
		p, _, found, err := r.latest(fingerprint(scrap[:0], fp))
		if err != nil {
			return nil, err
		}
		if !found || all[fp] != nil {
			continue
		}
		b, err := r.at(p)
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
	fp := fingerprint(make([]byte, 0, 32), b.Fingerprint)
	p, ordinal, found, err := t.latest(fp)
	if err != nil {
		return err
	}
	if found && ordinal > b.Ordinal {
		return fmt.Errorf("put breach %d of %q: number %d began since", b.Ordinal, b.Fingerprint, ordinal)
	}
	found = found && ordinal == b.Ordinal

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
	var v [24]byte
	if err := t.put(bBreachLatest, fp, key(v[:0]).int(b.Ordinal).int(p.number).int(p.arrival)); err != nil {
		return err
	}
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
	fp := fingerprint(nil, b.Fingerprint)
	if last, _, found, err := t.latest(fp); err != nil || !found || last != p {
		return err
	}
	return t.delete(bBreachLatest, fp)
}
