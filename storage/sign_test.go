package storage_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// signedStore is a store whose log can be signed.
type signedStore struct {
	*testing.T
	store storage.Store
	at    time.Time
}

func newSigned(t *testing.T) *signedStore {
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &signedStore{t, db, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (s *signedStore) write(fn func(storage.Tx) error) {
	s.Helper()
	if err := s.store.Write(s.Context(), fn); err != nil {
		s.Fatal(err)
	}
}

func (s *signedStore) appendEvent(number int64) {
	s.Helper()
	s.write(func(tx storage.Tx) error {
		return tx.AppendEvents(s.Context(), []incident.Event{{Incident: number, Sequence: 1, Time: s.at, Type: incident.EventAcknowledged, Actor: "ada"}})
	})
}

func (s *signedStore) sign(key *ledger.Key) []byte {
	s.Helper()
	signed, err := storage.SignLog(s.Context(), s.store, key, s.at)
	if err != nil {
		s.Fatal(err)
	}
	return signed
}

func newSigningKey(t *testing.T) *ledger.Key {
	t.Helper()
	key, err := ledger.GenerateKey("example.org/sitrep")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTheLogIsSealedWhenItHasGrown(t *testing.T) {
	s, key := newSigned(t), newSigningKey(t)
	var all [][]byte
	for n := range int64(5) {
		if n > 0 {
			s.appendEvent(n)
		}
		signed := s.sign(key)
		c, err := ledger.OpenCheckpoint(signed, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if c.Size != n || !c.At.Equal(s.at) || c.Origin != "example.org/sitrep" {
			t.Errorf("checkpoint %+v of %d leaves", c, n)
		}
		s.at = s.at.Add(time.Minute)
		if again := s.sign(key); !bytes.Equal(again, signed) {
			t.Errorf("%d leaves are signed again", n)
		}
		all = append(all, signed)
	}
	err := s.store.Read(t.Context(), func(r storage.Snapshot) error {
		kept, err := r.Checkpoints(s.Context(), -1, 10)
		if err != nil {
			return err
		}
		if !bytes.Equal(bytes.Join(kept, nil), bytes.Join(all, nil)) {
			t.Errorf("kept\n%s\nwant\n%s", kept, all)
		}
		newest, _ := ledger.ReadCheckpoint(kept[4])
		for _, signed := range kept {
			older, err := ledger.ReadCheckpoint(signed)
			if err != nil {
				return err
			}
			proof, err := ledger.ProveGrowth(newest.Size, older.Size, storage.Hashes(t.Context(), r))
			if err != nil {
				return err
			}
			if err := ledger.CheckGrowth(newest, older, proof); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnotherKeySealsAnew(t *testing.T) {
	s, key := newSigned(t), newSigningKey(t)
	s.appendEvent(1)
	s.sign(newSigningKey(t))
	if _, err := ledger.OpenCheckpoint(s.sign(key), key.Public()); err != nil {
		t.Error(err)
	}
}

func TestALogThatLostItsBeginningIsNotSealed(t *testing.T) {
	s, key := newSigned(t), newSigningKey(t)
	s.appendEvent(1)
	for size := int64(1); size <= 2; size++ {
		forged, err := key.Sign(ledger.Checkpoint{Size: size, Root: ledger.Leaf{Kind: ledger.Event}.Hash()})
		if err != nil {
			t.Fatal(err)
		}
		s.write(func(tx storage.Tx) error { return tx.PutCheckpoint(s.Context(), size, forged) })
		if _, err := storage.SignLog(t.Context(), s.store, key, s.at); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("after a checkpoint of %d leaves that are not there: %v", size, err)
		}
	}
	s.write(func(tx storage.Tx) error { return tx.PutCheckpoint(s.Context(), 3, []byte("x")) })
	if _, err := storage.SignLog(t.Context(), s.store, key, s.at); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("after what is no checkpoint: %v", err)
	}
}

func TestCheckPersonal(t *testing.T) {
	d := incident.Delivery{
		ID: "one", Recipient: "email:ada@example.org", Address: "ada@example.org", State: incident.DeliveryFailed, Error: "550 ada",
		Covers: []incident.Cover{{}, {Owed: []incident.Owed{{}, {Reason: incident.DueUndeliverable, Address: "bob@example.org"}}}},
	}
	record, err := storage.EncodeDelivery(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := record.CheckPersonal(); err != nil {
		t.Error(err)
	}
	if len(record.Personal) != 4 {
		t.Errorf("personal: %v", record.Personal)
	}
	for path, value := range record.Personal {
		record.Personal[path] = value + "."
		if err := record.CheckPersonal(); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("%s is another: %v", path, err)
		}
		record.Personal[path] = value
	}
	for _, path := range []string{"none", "kind.deeper", "covers.7.owed", "covers.x", ""} {
		record.Personal[path] = "x"
		if err := record.CheckPersonal(); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("%q is not in the leaf: %v", path, err)
		}
		delete(record.Personal, path)
	}
	record.Forget()
	if err := record.CheckPersonal(); err != nil {
		t.Errorf("forgotten: %v", err)
	}
}

// A store whose commits fail, after all that was to be committed was made.
type failingStore struct {
	storage.Store
	err error
}

func (f failingStore) Write(ctx context.Context, fn func(storage.Tx) error) error {
	err := f.Store.Write(ctx, func(tx storage.Tx) error { return errors.Join(fn(tx), f.err) })
	if !errors.Is(err, f.err) {
		return err
	}
	return f.err
}

// What was signed and not kept must reach nobody: after a crash the log may go on otherwise,
// and the checkpoint would say that it was rewritten.
func TestACheckpointThatWasNotKeptIsNotHandedOut(t *testing.T) {
	s, key := newSigned(t), newSigningKey(t)
	s.appendEvent(1)
	for _, kind := range []error{storage.ErrUnavailable, storage.ErrUnknown} {
		signed, err := storage.SignLog(t.Context(), failingStore{s.store, kind}, key, s.at)
		if signed != nil || !errors.Is(err, kind) {
			t.Errorf("%v: signed %q, %v", kind, signed, err)
		}
	}
}
