package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/incident"
	"sitrep/storage"
)

// An OldWatchdog is the watchdog as stores up to version 2 had it.
type OldWatchdog struct {
	Pulse any
	// Readers are subscriptions with the number 0.
	Readers []incident.Subscription
}

// MakeVersion2 makes a store one of version 2, with that watchdog.
func MakeVersion2(t *testing.T, path string, old OldWatchdog) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		x := newTx(btx)
		if err := x.putJSON(bMeta, oldPulseKey, old.Pulse); err != nil {
			return err
		}
		if err := x.PutSubscriptions(t.Context(), old.Readers, nil); err != nil {
			return err
		}
		if err := errors.Join(x.makeOlderLatest(), x.flushRecipients()); err != nil {
			return err
		}
		for _, id := range []bucketID{bPulses, bNotices, bNoticesDue, bRecipientNotices} {
			if err := btx.DeleteBucket([]byte(bucketNames[id])); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	SetVersion(t, path, 2)
}

// MakeOld makes a store one of version 1, which knew of nothing to forget.
func MakeOld(t *testing.T, path string) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		x := newTx(btx)
		for _, what := range []storage.Expiry{storage.ExpiryPeople, storage.ExpiryWatchdogMessage, storage.ExpiryWatchdogPeople} {
			all, err := x.Expired(t.Context(), what, time.Now(), math.MaxInt)
			if err != nil {
				return err
			}
			if err := x.NoteExpired(t.Context(), all, nil); err != nil {
				return err
			}
		}
		return x.makeOlderLatest()
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	SetVersion(t, path, 1)
}

// MakeVersion4 makes a store one of version 4.
func MakeVersion4(t *testing.T, path string) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		if err := btx.DeleteBucket([]byte(bucketNames[bDeliveryIndex])); err != nil {
			return err
		}
		return newTx(btx).makeOlderLatest()
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	SetVersion(t, path, 4)
}

// makeOlderLatest has the latest breaches found as up to version 4.
func (t *tx) makeOlderLatest() error {
	var keys []string
	found := map[string]latest{}
	err := t.ascend(bBreaches, nil, nil, func(k, v []byte) (bool, error) {
		b, err := decodeBreach(k, v)
		if err != nil {
			return false, err
		}
		l, is, err := t.latest(b.Fingerprint)
		if is {
			k := string(olderFingerprint(nil, b.Fingerprint))
			keys, found[k] = append(keys, k), l
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if _, err := t.tx.CreateBucket([]byte(bucketNames[bBreachLatest])); err != nil {
		return err
	}
	slices.Sort(keys) // bbolt is slow where many come in no order
	for _, k := range keys {
		l := found[k]
		if err := t.put(bBreachLatest, key(k), key(nil).int(l.ordinal).int(l.number).int(l.arrival)); err != nil {
			return err
		}
	}
	return errors.Join(t.tx.DeleteBucket([]byte(bucketNames[bBreachRecent])), t.tx.DeleteBucket([]byte(bucketNames[bBreachRuns])))
}

// SetVersion makes a store one of another version.
func SetVersion(t *testing.T, path string, version uint32) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		if bRecipientDue.in(version) {
			if _, err := btx.CreateBucketIfNotExists([]byte(bucketNames[bRecipientDue])); err != nil {
				return err
			}
			if err := dropBucket(btx, bucketNames[bUrgent]); err != nil {
				return err
			}
		}
		return newTx(btx).put(bMeta, formKey, binary.BigEndian.AppendUint32(nil, version))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// MakeOlder makes a store one of version 2, in which breaches of one fingerprint are found
// by startsAt too: the latest, and one older that stands in the same incident.
func MakeOlder(t *testing.T, path string, older, latest incident.Breach) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		x := newTx(btx)
		l, _, err := x.latest(latest.Fingerprint)
		if err != nil {
			return err
		}
		if err := x.makeOlderLatest(); err != nil {
			return err
		}
		fp, p := olderFingerprint(nil, latest.Fingerprint), l.place
		latest.Ordinal = 0
		if err := x.putBreachAt(p, headOf(&latest), &latest); err != nil {
			return err
		}
		if err := x.put(bBreachLatest, fp, key(nil).time(latest.StartsAt).int(p.number).int(p.arrival)); err != nil {
			return err
		}
		bucket, err := btx.CreateBucket([]byte(breachOlder))
		if err != nil {
			return err
		}
		p.arrival--
		return bucket.Put(key(fp).time(older.StartsAt), append(make([]byte, sumSize), p.key()...))
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	SetVersion(t, path, 2)
}

// LoadAsBefore notes in a store that a configuration was loaded, as builds do that know of no
// generation.
func LoadAsBefore(t *testing.T, path string, l storage.Loading) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		x := newTx(btx)
		known, err := x.get(bMeta, generationKey)
		if err != nil {
			return err
		}
		known = bytes.Clone(known)
		if err := x.PutConfig(t.Context(), l, storage.Config{Hash: l.Hash, Body: []byte(l.Hash)}); err != nil {
			return err
		}
		if known == nil {
			return x.delete(bMeta, generationKey)
		}
		return x.put(bMeta, generationKey, known)
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
}

// StopUpgrade brings the lists of an older store up as far as the first incidents, as if sitrep
// was ended then.
func StopUpgrade(t *testing.T, path string, version uint32) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error {
		x := newTx(btx)
		if err := x.addBuckets(version); err != nil {
			return err
		}
		for number := range int64(2) {
			in, err := storage.IncidentOf(t.Context(), x, number+1)
			if err == nil {
				_, err = x.listIncident(&in)
			}
			if err != nil {
				return err
			}
		}
		return x.upgradeTexts(1)
	})
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
}

// MakeVersion5 makes a store one of version 5, in which deliveries are not found by whom, which
// group or when.
func MakeVersion5(t *testing.T, path string) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(btx *bbolt.Tx) error { return btx.DeleteBucket([]byte(bucketNames[bDeliveryIndex])) })
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	SetVersion(t, path, 5)
}

// SameBuckets makes sure that a copy has the same in all buckets as the store, but for jobs, how
// the runs came to be, and the counts of journals. Breaches are compared by their keys, as their
// labels are in no order.
func SameBuckets(t *testing.T, s, copied *DB) {
	t.Helper()
	all := func(db *DB, id bucketID) (list []string) {
		err := db.view(func(r *reader) error {
			list = append(list, strconv.FormatInt(r.count(id), 10))
			if id == bRefusals || id == bAmbiguities {
				list = nil
			}
			return r.ascend(id, nil, nil, func(k, v []byte) (bool, error) {
				switch {
				case id == bMeta && (bytes.HasPrefix(k, []byte(jobPrefix)) || bytes.HasPrefix(k, []byte(replicaPrefix)) || bytes.HasPrefix(k, []byte(loginPrefix))):
				case id == bRefusals || id == bAmbiguities:
					list = append(list, string(v))
				case id == bBreaches:
					list = append(list, fmt.Sprintf("%x", k))
				default:
					list = append(list, fmt.Sprintf("%x = %s", k, v))
				}
				return true, nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for id := range bucketCount {
		if !id.in(formVersion) || id == bFresh || id == bBreachRecent || id == bBreachRuns {
			continue
		}
		a, b := all(s, id), all(copied, id)
		for i := range max(len(a), len(b)) {
			if i >= len(a) || i >= len(b) || a[i] != b[i] {
				t.Errorf("%s: the copy has %d, want %d; from\n%.400q\nwant\n%.400q", bucketNames[id], len(b), len(a), b[min(i, len(b)):], a[min(i, len(a)):])
				break
			}
		}
	}
}

// KeptConfig returns a configuration as it is kept, and KeepConfig keeps one as it is, as builds up to
// version 7 did.
func KeptConfig(t *testing.T, path, hash string) (kept []byte) {
	t.Helper()
	onConfig(t, path, func(x *tx) (err error) {
		kept, err = x.get(bConfigs, key(nil).text(hash))
		kept = bytes.Clone(kept)
		return err
	})
	return kept
}

// KeepConfig is described with KeptConfig.
func KeepConfig(t *testing.T, path, hash string, body []byte) {
	t.Helper()
	onConfig(t, path, func(x *tx) error { return x.put(bConfigs, key(nil).text(hash), body) })
}

func onConfig(t *testing.T, path string, do func(*tx) error) {
	t.Helper()
	b, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Update(func(btx *bbolt.Tx) error { return do(newTx(btx)) }), b.Close()); err != nil {
		t.Fatal(err)
	}
}
