package bolt

import (
	"bytes"
	"context"

	"sitrep/ledger"
	"sitrep/storage"
)

func (r *reader) Config(_ context.Context, hash string) (storage.Config, error) {
	body, err := r.get(bConfigs, key(nil).text(hash))
	if err != nil {
		return storage.Config{}, err
	}
	if body == nil {
		return storage.Config{}, storage.NotFound("configuration", hash)
	}
	return storage.Config{Hash: hash, Body: bytes.Clone(body)}, nil
}

func (t *tx) PutConfig(ctx context.Context, l storage.Loading, forms ...storage.Config) error {
	for _, c := range forms {
		k := key(nil).text(c.Hash)
		body, err := t.get(bConfigs, k)
		if err != nil {
			return err
		}
		if body == nil {
			if err := t.put(bConfigs, k, c.Body); err != nil {
				return err
			}
		}
	}
	record, err := storage.EncodeLoading(l)
	if err != nil {
		return err
	}
	count, err := t.next(bLoadings)
	if err != nil {
		return err
	}
	if err := t.put(bMeta, generationKey, key(nil).int(count).time(l.At).rest(l.Hash)); err != nil {
		return err
	}
	return t.putRecord(ctx, ledger.Config, key(nil).time(l.At).int(count), record)
}

// generationKey is the key of meta that says which loading is the latest: its count, its
// time, and its hash. Builds that do not know it leave it behind the count of loadings.
var generationKey = []byte("generation")

func (r *reader) Generation(context.Context) (storage.Generation, error) {
	b := r.bucket(bLoadings)
	if b == nil || b.Sequence() == 0 {
		return storage.Generation{}, nil
	}
	g := storage.Generation{Number: int64(b.Sequence())}
	v, err := r.get(bMeta, generationKey)
	if err != nil {
		return g, err
	}
	if len(v) >= 16 && intAt(v, 0) == g.Number {
		g.At, g.Hash = timeAt(v, 8), string(v[16:])
		return g, nil
	}
	err = r.descend(bLoadings, nil, nil, func(k, v []byte) (bool, error) {
		if intAt(k, 8) != g.Number {
			return true, nil
		}
		record, err := storage.ParseRecord(v)
		if err != nil {
			return false, err
		}
		l, err := storage.DecodeLoading(record)
		g.At, g.Hash = l.At, l.Hash
		return false, err
	})
	return g, err
}
