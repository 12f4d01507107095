package bolt

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"

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
	body, err = unpacked(key(nil).text(hash), body)
	return storage.Config{Hash: hash, Body: body}, err
}

// packedMark is what a packed configuration begins with. JSON never does.
const packedMark = "\x1f\x8b"

// packed returns a configuration as it is kept: packed, if that makes it smaller. Those of large
// organisations have tens of MiB that say much the same again and again, and each that was in force
// is kept.
func packed(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // to memory
	_ = w.Close()
	if b.Len() < len(body) || bytes.HasPrefix(body, []byte(packedMark)) {
		return b.Bytes()
	}
	return body
}

// mostUnpacked is how many bytes a configuration may have: far more than a sitrep loads.
const mostUnpacked = 1 << 30

// unpacked returns a copy of a configuration that is kept under a key, packed or, as builds before
// version 8 kept it, as it is.
func unpacked(k, kept []byte) ([]byte, error) {
	if !bytes.HasPrefix(kept, []byte(packedMark)) {
		return bytes.Clone(kept), nil
	}
	r, err := gzip.NewReader(bytes.NewReader(kept))
	if err != nil {
		return nil, wrong(bConfigs, k, err.Error())
	}
	body, err := io.ReadAll(io.LimitReader(r, mostUnpacked+1))
	if err != nil {
		return nil, wrong(bConfigs, k, err.Error())
	}
	if len(body) > mostUnpacked {
		return nil, wrong(bConfigs, k, "it has more bytes than any configuration")
	}
	return body, nil
}

func (t *tx) PutConfig(ctx context.Context, l storage.Loading, forms ...storage.Config) error {
	for _, c := range forms {
		k := key(nil).text(c.Hash)
		body, err := t.get(bConfigs, k)
		if err != nil {
			return err
		}
		if body == nil {
			if err := t.put(bConfigs, k, packed(c.Body)); err != nil {
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
	g := storage.Generation{Number: r.count(bLoadings)}
	if g.Number == 0 {
		return g, nil
	}
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
