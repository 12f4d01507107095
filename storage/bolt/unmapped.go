package bolt

import (
	"context"
	"fmt"

	"sitrep/incident"
)

func (r *reader) Unmapped(_ context.Context, fingerprints []string) (map[string]*incident.UnmappedAlert, error) {
	var all map[string]*incident.UnmappedAlert // of most alerts nothing is kept
	var scrap [32]byte
	for _, fp := range fingerprints {
		k := key(scrap[:0]).rest(fp)
		v, err := r.get(bUnmapped, k)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		a := new(incident.UnmappedAlert)
		if err := decode(bUnmapped, k, v, a); err != nil {
			return nil, err
		}
		if all == nil {
			all = map[string]*incident.UnmappedAlert{}
		}
		all[fp] = a
	}
	return all, nil
}

func (r *reader) UnmappedAlerts(_ context.Context, limit int, cursor string) (page []incident.UnmappedAlert, next string, err error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	var from key
	if cursor != "" {
		from = key(cursor).byte(0) // the first key after it
	}
	err = r.ascend(bUnmapped, nil, from, func(k, v []byte) (bool, error) {
		if len(page) == limit {
			next = page[len(page)-1].Fingerprint
			return false, nil
		}
		var a incident.UnmappedAlert
		err := decode(bUnmapped, k, v, &a)
		page = append(page, a)
		return true, err
	})
	return page, next, err
}

func (t *tx) PutUnmapped(_ context.Context, put []*incident.UnmappedAlert, gone []string) error {
	for _, a := range put {
		if a.Fingerprint == "" || len(a.Fingerprint) > longText {
			return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("a fingerprint has 1 to %d bytes, not %d", longText, len(a.Fingerprint))}
		}
		if err := t.putJSON(bUnmapped, key(nil).rest(a.Fingerprint), a); err != nil {
			return err
		}
	}
	for _, fp := range gone {
		if err := t.delete(bUnmapped, key(nil).rest(fp)); err != nil {
			return err
		}
	}
	return nil
}
