package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"sitrep/storage"
)

// latestPiece is how many entries are brought up in one transaction.
const latestPiece = 1 << 14

// Up to version 4, where the latest breach of each fingerprint is stood in a tree of its own
// (bBreachLatest), under the bytes of the fingerprint.

// olderFingerprint returns the key of a fingerprint as it was there.
func olderFingerprint(k key, s string) key {
	if len(s) == 16 {
		if b, err := hex.AppendDecode(k.byte(1), []byte(s)); err == nil && hex.EncodeToString(b[len(k)+1:]) == s {
			return b
		}
	}
	return k.byte(2).text(s)
}

// olderLatest returns where the latest breach of a fingerprint is, from there.
func (r *reader) olderLatest(fingerprint string) (l latest, found bool, err error) {
	b, err := r.get(bBreachLatest, olderFingerprint(nil, fingerprint))
	if b == nil || err != nil {
		return l, false, err
	}
	return olderEntry(b), true, nil
}

func olderEntry(b []byte) latest {
	return latest{place: place{intAt(b, 8), intAt(b, 16)}, ordinal: intAt(b, 0)}
}

// ofOlder returns the fingerprint that a key stood for.
func (r *reader) ofOlder(k []byte, l latest) (string, error) {
	switch {
	case len(k) == 9 && k[0] == 1:
		return hex.EncodeToString(k[1:]), nil
	case len(k) >= 3 && k[0] == 2 && int(binary.BigEndian.Uint16(k[1:])) == len(k)-3:
		return string(k[3:]), nil
	}
	b, err := r.at(l.place) // the key has its hash alone
	return b.Fingerprint, err
}

// upgradeLatest brings a store of version 4 up to 5, in which breaches are found as index
// says. It does so piece by piece, beside what is there: until the last piece the store is
// one of version 4 for whoever opens it, and a start that comes after a crash begins anew. Then
// it has the version to.
func (db *DB) upgradeLatest(ctx context.Context, to uint32, progress func(done, total int)) error {
	total := 0
	err := db.bolt.Update(func(btx *bbolt.Tx) error {
		for _, id := range []bucketID{bBreachRecent, bBreachRuns} {
			name := []byte(bucketNames[id])
			if btx.Bucket(name) != nil {
				if err := btx.DeleteBucket(name); err != nil {
					return err
				}
			}
			if _, err := btx.CreateBucket(name); err != nil {
				return err
			}
		}
		older := btx.Bucket([]byte(bucketNames[bBreachLatest]))
		if older == nil {
			return fmt.Errorf("its bucket %q is missing: %w", bucketNames[bBreachLatest], storage.ErrDamaged)
		}
		total = older.Stats().KeyN
		return nil
	})
	if err != nil {
		return err
	}
	from, done := key(nil), 0
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := db.bolt.Update(func(btx *bbolt.Tx) (err error) {
			var n int
			from, n, err = newTx(btx).upgradeLatest(from)
			done, more = done+n, n == latestPiece
			return err
		})
		if err != nil {
			return err
		}
		progress(done, total)
	}
	return db.bolt.Update(func(btx *bbolt.Tx) error {
		if err := btx.DeleteBucket([]byte(bucketNames[bBreachLatest])); err != nil {
			return err
		}
		return newTx(btx).setVersion(to)
	})
}

// upgradeLatest notes what stands in the older bucket from a key on, as many as a piece has. It
// returns where to go on.
func (t *tx) upgradeLatest(from key) (next key, n int, err error) {
	t.pending = make(map[string]latest, latestPiece)
	err = t.ascend(bBreachLatest, nil, from, func(k, v []byte) (bool, error) {
		if n == latestPiece {
			next = bytes.Clone(k)
			return false, nil
		}
		if len(v) != 24 {
			return false, wrong(bBreachLatest, k, "malformed")
		}
		l := olderEntry(v)
		fp, err := t.ofOlder(k, l)
		if err != nil {
			return false, err
		}
		t.noteLatest(fp, l)
		n++
		return true, nil
	})
	if err != nil {
		return nil, 0, err
	}
	return next, n, t.flush()
}

// rebuildLatest makes anew what finds the latest breach of each fingerprint, from the breaches:
// first as it was up to version 4, which is then brought up.
func (db *DB) rebuildLatest(ctx context.Context) error {
	err := db.bolt.Update(func(btx *bbolt.Tx) error {
		_, err := btx.CreateBucket([]byte(bucketNames[bBreachLatest]))
		return err
	})
	for from := key(nil); err == nil; {
		if err = ctx.Err(); err != nil {
			break
		}
		more := false
		err = db.bolt.Update(func(btx *bbolt.Tx) (err error) {
			from, more, err = newTx(btx).rebuildOlder(from)
			return err
		})
		if !more {
			break
		}
	}
	if err != nil {
		return err
	}
	return db.upgradeLatest(ctx, formVersion, func(int, int) {})
}

// rebuildOlder notes breaches from a key on, as many as a piece has, and returns where to go
// on.
func (t *tx) rebuildOlder(from key) (next key, more bool, err error) {
	found := map[string]latest{}
	n := 0
	err = t.ascend(bBreaches, nil, from, func(k, v []byte) (bool, error) {
		if n++; n > latestPiece {
			next, more = bytes.Clone(k), true
			return false, nil
		}
		b, err := decodeBreach(k, v)
		if err != nil {
			return false, err
		}
		l := latest{place: place{intAt(k, 0), intAt(k, 8)}, ordinal: b.Ordinal}
		fp := string(olderFingerprint(nil, b.Fingerprint))
		if was, is := found[fp]; !is || l.follows(was) {
			found[fp] = l
		}
		return true, nil
	})
	if err != nil {
		return nil, false, err
	}
	for _, fp := range slices.Sorted(maps.Keys(found)) { // bbolt is slow where many come in no order
		l := found[fp]
		v, err := t.get(bBreachLatest, key(fp))
		if err != nil {
			return nil, false, err
		}
		if v != nil && !l.follows(olderEntry(v)) {
			continue
		}
		if err := t.put(bBreachLatest, key(fp), key(nil).int(l.ordinal).int(l.number).int(l.arrival)); err != nil {
			return nil, false, err
		}
	}
	return next, more, nil
}

// follows reports whether a breach is a later one of its fingerprint than another.
func (l latest) follows(o latest) bool {
	return l.ordinal > o.ordinal || l.ordinal == o.ordinal && l.arrival > o.arrival
}
