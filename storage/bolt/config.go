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
		return storage.Config{}, notFound("configuration", hash)
	}
	return storage.Config{Hash: hash, Body: bytes.Clone(body)}, nil
}

func (r *reader) Configs(ctx context.Context) ([]storage.Loading, error) {
	records, err := r.ConfigRecords(ctx)
	if err != nil {
		return nil, err
	}
	var all []storage.Loading
	for _, record := range records {
		l, err := storage.DecodeLoading(record)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func (r *reader) ConfigRecords(_ context.Context) ([]storage.Record, error) {
	var all []storage.Record
	err := r.descend(bLoadings, nil, nil, func(_, v []byte) (bool, error) {
		record, err := storage.ParseRecord(v)
		all = append(all, record)
		return true, err
	})
	return all, err
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
	return t.putRecord(ctx, ledger.Config, key(nil).time(l.At).int(count), record)
}
