package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A sample is a closed store with a bit of all there is, signed.
type sample struct {
	path       string
	key        *ledger.Key
	checkpoint []byte
}

func newPolicy() *incident.Policy {
	p := &incident.Policy{
		Location: time.UTC, ResolveAfter: 10 * time.Minute, ReopenWithin: time.Hour, UnknownAfter: 5 * time.Hour, DigestAbove: 5,
		Priorities: []incident.Priority{
			{Name: "P1", Inform: []incident.Audience{incident.AudienceStakeholders}, UpdateEvery: 2 * time.Hour, Actions: []incident.ActionRule{{Name: "hotfix"}}},
			{Name: "P2", Rank: 1},
		},
		Groups: []incident.Group{{Name: "support", Location: time.UTC, Recipients: incidenttest.Mails("eve")}},
		Teams:  []incident.Team{incidenttest.Team("blue", "ada")},
	}
	sum := sha256.Sum256(configBody)
	p.Hash = hex.EncodeToString(sum[:])
	return p
}

var configBody = []byte("timezone: Europe/Berlin\n")

// newSample returns a store with n incidents.
func newSample(t testing.TB, n int) sample {
	t.Helper()
	s := sample{path: filepath.Join(t.TempDir(), "sitrep.db")}
	var err error
	if s.key, err = ledger.GenerateKey("example.org/sitrep"); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(t.Context(), s.path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := newPolicy()
	err = db.Write(t.Context(), func(tx storage.Tx) error {
		return tx.PutConfig(t.Context(), storage.Loading{Hash: p.Hash, At: noon, Actor: "ada"}, storage.Config{Hash: p.Hash, Body: configBody})
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s.fill(t, db, p, i)
		if s.checkpoint, err = storage.SignLog(t.Context(), db, s.key, noon.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// fill lets one incident happen, and two messages go out about it.
func (s *sample) fill(t testing.TB, db storage.Store, p *incident.Policy, i int) {
	t.Helper()
	repo := storage.Repository{Store: db, Policy: func() *incident.Policy { return p }}
	slo := &incident.SLO{ID: fmt.Sprint("slo-", i), Key: fmt.Sprint("slo-", i), UseCase: "nobody is notified", Team: "blue", Priority: "P2", Stakeholders: []string{"support"}}
	var number int64
	change := func(at time.Time, fn func(c *storage.Change, in *incident.Situation) ([]incident.Event, error)) {
		t.Helper()
		err := repo.Change(t.Context(), at, func(c *storage.Change) error {
			var in *incident.Situation
			var err error
			if number == 0 {
				var first *incident.Incident
				if first, _, err = c.IncidentFor(slo, incident.ActorAlertmanager); err != nil {
					return err
				}
				number = first.Number
			}
			in, err = c.Situation(number)
			if err != nil {
				return err
			}
			events, err := fn(c, in)
			if err != nil {
				return err
			}
			return c.Record(in, events...)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	at := noon.Add(time.Duration(i) * time.Hour)
	b := incident.NewBreach(&incident.Alert{Fingerprint: fmt.Sprintf("%016x", i), StartsAt: at}, nil, at)
	change(at, func(c *storage.Change, in *incident.Situation) ([]incident.Event, error) {
		return in.Incident.Fire(c.Stamp(incident.ActorAlertmanager), &b, nil, "", p.Priorities[1], p), nil
	})
	change(at.Add(time.Minute), func(c *storage.Change, in *incident.Situation) ([]incident.Event, error) {
		return in.Incident.Acknowledge(c.Stamp("Ünal"))
	})
	change(at.Add(2*time.Minute), func(c *storage.Change, in *incident.Situation) ([]incident.Event, error) {
		return in.Incident.ChangePriority(c.Stamp("ada"), p, p.Priorities[0], "more than we thought")
	})
	change(at.Add(3*time.Minute), func(c *storage.Change, in *incident.Situation) ([]incident.Event, error) {
		return in.Incident.SetPhase(c.Stamp("ada"), incident.PhaseEscalation, "", "bob")
	})
	change(at.Add(4*time.Minute), func(c *storage.Change, in *incident.Situation) ([]incident.Event, error) {
		return in.Incident.WriteUpdate(c.Stamp("ada"), p, "we look into it", nil)
	})
	change(at.Add(5*time.Minute), func(c *storage.Change, in *incident.Situation) ([]incident.Event, error) {
		return in.Incident.Resolve(c.Stamp("ada"), "the alert is wrong")
	})
	err := db.Write(t.Context(), func(tx storage.Tx) error {
		for _, state := range []incident.DeliveryState{incident.DeliveryDelivered, incident.DeliveryFailed, incident.DeliveryPending} {
			d := incident.Delivery{
				ID: fmt.Sprintf("%d-%s", i, state), Incident: number, Kind: incident.KindOpened, Sequence: 2, Priority: "P1", Audience: incident.AudienceStakeholders,
				Group: "support", Channel: incident.ChannelEmail, Recipient: "email:eve@example.org", Address: "eve@example.org", DueAt: at, Promised: at.Add(time.Minute),
				CreatedAt: at, Attempts: 1, State: incident.DeliveryPending, Covers: []incident.Cover{{Incident: number, Kind: incident.KindOpened, DueAt: at}},
			}
			if err := tx.PutDelivery(t.Context(), &d, fmt.Appendf(nil, "Subject: %d\r\n\r\n%s", i, state)); err != nil {
				return err
			}
			if d.State = state; state == incident.DeliveryPending {
				continue
			}
			if state == incident.DeliveryDelivered {
				d.SentAt = at.Add(time.Second)
			} else {
				d.Error = "550 no eve@example.org"
			}
			if err := tx.PutDelivery(t.Context(), &d, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// verify verifies the store, as it is on disk.
func (s *sample) verify(t testing.TB, o audit.VerifyOptions) audit.Verification {
	t.Helper()
	db, err := bolt.OpenReadOnly(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if o.Keys == nil {
		o.Keys = []string{s.key.Public()}
	}
	v, err := audit.Verify(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// copied returns a copy of the sample.
func (s *sample) copied(t testing.TB) sample {
	t.Helper()
	b, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	c := *s
	c.path = filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(c.path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// A hand is in a closed store and knows its form: the checksums are right afterwards.
type hand struct {
	t  testing.TB
	tx *bbolt.Tx
}

func (s *sample) tamper(t testing.TB, fn func(h hand)) {
	t.Helper()
	db, err := bbolt.Open(s.path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { fn(hand{t, tx}); return nil })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func (h hand) keys(bucket string) (keys [][]byte) {
	_ = h.tx.Bucket([]byte(bucket)).ForEach(func(k, _ []byte) error {
		keys = append(keys, bytes.Clone(k))
		return nil
	})
	return keys
}

func (h hand) get(bucket string, k []byte) []byte {
	v := h.tx.Bucket([]byte(bucket)).Get(k)
	if len(v) < 4 {
		h.t.Fatalf("%s has no %x", bucket, k)
	}
	return bytes.Clone(v[4:])
}

func (h hand) put(bucket string, k, v []byte) {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Update(0, table, k), table, v)
	if err := h.tx.Bucket([]byte(bucket)).Put(k, append(binary.BigEndian.AppendUint32(nil, sum), v...)); err != nil {
		h.t.Fatal(err)
	}
}

func (h hand) delete(bucket string, k []byte) {
	if err := h.tx.Bucket([]byte(bucket)).Delete(k); err != nil {
		h.t.Fatal(err)
	}
}

// replace replaces text in the n-th value of a bucket.
func (h hand) replace(bucket string, n int, from, to string) {
	k := h.keys(bucket)[n]
	v := h.get(bucket, k)
	if !bytes.Contains(v, []byte(from)) {
		h.t.Fatalf("%s %x has no %q: %q", bucket, k, from, v)
	}
	h.put(bucket, k, bytes.ReplaceAll(v, []byte(from), []byte(to)))
}

// swap lets two values change places.
func (h hand) swap(bucket string, i, j int) {
	k := h.keys(bucket)
	a, b := h.get(bucket, k[i]), h.get(bucket, k[j])
	h.put(bucket, k[i], b)
	h.put(bucket, k[j], a)
}

// rebuild makes all hashes fit the records again. Only the checkpoints stay.
func (h hand) rebuild() {
	buckets := map[byte]string{1: "events", 2: "loadings", 3: "delivery_records"}
	var tree ledger.Tree
	for _, k := range h.keys("leaves") {
		v := h.get("leaves", k)
		record, err := storage.ParseRecord(h.get(buckets[v[0]], v[1:17]))
		if err != nil {
			h.t.Fatal(err)
		}
		v = v[:17]
		for _, hash := range tree.Append(ledger.Leaf{Kind: ledger.Kind(v[0]), Bytes: record.Leaf}) {
			v = append(v, hash[:]...)
		}
		h.put("leaves", k, v)
	}
}

func TestVerifyOfWhatWasWritten(t *testing.T) {
	s := newSample(t, 3)
	v := s.verify(t, audit.VerifyOptions{Checkpoints: [][]byte{s.checkpoint}})
	if !v.OK() {
		t.Fatalf("findings: %v", v.Findings)
	}
	if v.Leaves != 1+3*(7+2) || v.Signed != v.Leaves || v.Checkpoints != 4 || v.Incidents != 3 || v.Events != 21 ||
		v.Deliveries != 9 || v.Messages != 6 || v.Configs != 1 || v.Waiting != 0 || !v.SignedAt.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("%+v", v)
	}
}

func TestVerifyNamesTheFirstThingWrong(t *testing.T) {
	s := newSample(t, 3)
	other, err := ledger.GenerateKey("example.org/sitrep")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		tamper func(h hand)
		want   string
	}{
		{"nothing is changed", func(hand) {}, ""},
		{
			"a reason is changed", func(h hand) { h.replace("events", 3, "more than we thought", "less than we thought") },
			"leaf 4, event INC-1/4: it is not what was logged at this place",
		},
		{
			"a time is changed, and all hashes with it", func(h hand) { h.replace("events", 2, "12:01:00", "12:00:30"); h.rebuild() },
			`leaf 0: leaves 0 to 9 are not those that the checkpoint of "example.org/sitrep" of 2026-03-01 12:00:00 UTC signed`,
		},
		{
			"the same later on", func(h hand) { h.replace("events", 9, "13:01:00", "13:00:30"); h.rebuild() },
			`leaf 10: leaves 10 to 18 are not those`,
		},
		{
			"an event is removed", func(h hand) { h.delete("events", h.keys("events")[6]) },
			"log: read leaf 7: ",
		},
		{
			"an event and its leaf are removed", func(h hand) { h.delete("events", h.keys("events")[6]); h.delete("leaves", h.keys("leaves")[7]) },
			"log: read leaf 7: ",
		},
		{"the latest leaves are removed", func(h hand) {
			for _, k := range h.keys("leaves")[20:] {
				h.delete("leaves", k)
			}
		}, `leaf 19: the log ends after 20 leaves, and the checkpoint of "example.org/sitrep" of 2026-03-01 14:00:00 UTC signed 28`},
		{"two events change places", func(h hand) {
			k := h.keys("events")
			a, b := h.get("events", k[1]), h.get("events", k[2])
			h.put("events", k[1], b)
			h.put("events", k[2], a)
		}, "leaf 2, event INC-1/3: its record says that it is leaf 3"},
		{"an event is copied to another incident", func(h hand) {
			k := h.keys("events")
			h.put("events", binary.BigEndian.AppendUint64(bytes.Clone(k[6][:8]), 8), h.get("events", k[6]))
		}, "event INC-1/8: missing; in its place is event INC-1/7"},
		{
			"the state is changed", func(h hand) { h.replace("incidents", 0, `"state":"resolved"`, `"state":"closed"`) },
			"INC-1: its state is not what its events make of it: state",
		},
		{
			"a name in the state is changed", func(h hand) { h.replace("incidents", 1, "Ünal", "Anna") },
			"INC-2: its state is not what its events make of it: acknowledged_by",
		},
		{
			"a name beside an event is changed", func(h hand) { h.replace("events", 2, "Ünal", "Anna.") },
			"event INC-1/3: what is kept as actor is not what its hash in the leaf is of: storage damaged",
		},
		{
			"an incident is removed", func(h hand) { h.delete("incidents", h.keys("incidents")[1]) },
			`leaf 10, event INC-2/1: there is no incident "INC-2"`,
		},
		{"a delivery is removed", func(h hand) {
			h.delete("deliveries", h.keys("deliveries")[0])
			h.delete("delivery_ids", []byte("\x00\x0b0-delivered"))
		}, `leaf 8, delivery "0-delivered": there is no delivery "0-delivered"`},
		{
			"a delivery came earlier", func(h hand) {
				h.replace("deliveries", 0, `"sent_at":"2026-03-01T12:00:01Z"`, `"sent_at":"2026-03-01T12:00:00Z"`)
			},
			`delivery "0-delivered": it is not what its record says: sent_at`,
		},
		{
			"a delivery did not fail", func(h hand) { h.replace("deliveries", 1, `"state":"failed"`, `"state":"delivered"`) },
			`delivery "0-failed": it is not what its record says: state`,
		},
		{
			"a delivery that is pending was made", func(h hand) { h.replace("deliveries", 2, `"state":"pending"`, `"state":"delivered"`) },
			`delivery "0-pending": it is delivered, and no record says so`,
		},
		{
			"a record of a delivery is changed", func(h hand) { h.replace("delivery_records", 1, `"state":"failed"`, `"state":"delivered"`) },
			`leaf 9, delivery "0-failed": it is not what was logged at this place`,
		},
		{
			"a message is changed", func(h hand) { h.replace("messages", 0, "Subject", "subject") },
			`delivery "0-delivered": its message is not the one that was sent`,
		},
		{
			"a message is gone before its time", func(h hand) { h.delete("messages", h.keys("messages")[0]) },
			`delivery "0-delivered": its message is gone, and an incident that it is about is not closed`,
		},
		{
			"a promise is put off", func(h hand) {
				h.replace("deliveries", 0, `"promised":"2026-03-01T12:01:00Z"`, `"promised":"2026-03-01T13:01:00Z"`)
			},
			`delivery "0-delivered": it is not what its record says: promised`,
		},
		{
			"what it covers is changed", func(h hand) { h.replace("deliveries", 0, `"covers":[{"incident":1`, `"covers":[{"incident":2`) },
			`delivery "0-delivered": it is not what its record says: covers`,
		},
		{
			"an error is changed", func(h hand) { h.replace("deliveries", 1, "550 no", "421 no") },
			`delivery "0-failed": it is not what its record says: error`,
		},
		{
			"one that failed is pending again", func(h hand) { h.replace("deliveries", 1, `"state":"failed"`, `"state":"pending"`) },
			`delivery "0-failed": it is not what its record says: state`,
		},
		{
			"an incident no longer leads to a delivery", func(h hand) { h.delete("delivery_incidents", h.keys("delivery_incidents")[1]) },
			"INC-1: 3 deliveries are about it, and it leads to 2",
		},
		{
			"a delivery is not found by its id", func(h hand) { h.delete("delivery_ids", []byte("\x00\x0b0-delivered")) },
			`delivery "0-delivered": it is not found by its id`,
		},
		{
			"two deliveries change places", func(h hand) { h.swap("deliveries", 0, 1) },
			`delivery "0-delivered": it is not found by its id`,
		},
		{
			"two incidents change places", func(h hand) { h.swap("incidents", 0, 1) },
			"it is that of INC-1",
		},
		{"a configuration came into force twice", func(h hand) {
			k := h.keys("loadings")[0]
			h.put("loadings", append(bytes.Clone(k[:len(k)-1]), k[len(k)-1]+1), h.get("loadings", k))
		}, "it stands before the one of leaf 0, and is that of leaf 0"},
		{
			"a configuration is changed", func(h hand) { h.replace("configs", 0, "Berlin", "Vienna") },
			`it is not the one that was in force`,
		},
		{
			"a configuration is gone", func(h hand) { h.delete("configs", h.keys("configs")[0]) },
			`it was in force, and is not there`,
		},
		{
			"who loaded it is changed", func(h hand) { h.replace("loadings", 0, "actor\x03ada", "actor\x03eve") },
			": what is kept as actor",
		},
		{"an inner hash is changed", func(h hand) {
			k := h.keys("leaves")[3]
			v := h.get("leaves", k)
			v[len(v)-1]++
			h.put("leaves", k, v)
		}, "leaf 0: the stored hash over leaves 0 to 3 is not theirs"},
		{"a checkpoint is of another key", func(h hand) {
			signed, err := other.Sign(ledger.Checkpoint{Size: 28})
			if err != nil {
				t.Fatal(err)
			}
			h.put("checkpoints", binary.BigEndian.AppendUint64(nil, 28), signed)
		}, "whose public key was not given"},
		{
			"a checkpoint is changed", func(h hand) { h.replace("checkpoints", 1, "\n19\n", "\n18\n") },
			"checkpoint of 18 leaves: open checkpoint: not signed by the key",
		},
		{"there is no checkpoint", func(h hand) {
			for _, k := range h.keys("checkpoints") {
				h.delete("checkpoints", k)
			}
		}, "checkpoints: there is none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.copied(t)
			s.tamper(t, func(h hand) { h.t = t; c.tamper(h) })
			v := s.verify(t, audit.VerifyOptions{})
			switch {
			case c.want == "" && !v.OK():
				t.Errorf("findings: %v", v.Findings)
			case c.want != "" && (v.OK() || !strings.Contains(v.Findings[0].String(), c.want)):
				t.Errorf("findings %v, want %q", v.Findings, c.want)
			}
		})
	}
}

// What was handed to a witness shows what the store alone cannot.
func TestVerifyWithACheckpointFromElsewhere(t *testing.T) {
	s := newSample(t, 3)
	witnessed := s.checkpoint
	s.tamper(t, func(h hand) {
		h.replace("events", 3, "more than we thought", "less than we thought")
		h.rebuild()
		for _, k := range h.keys("checkpoints") {
			h.delete("checkpoints", k)
		}
	})
	// Whoever has the key can sign the forged log.
	db, err := bolt.Open(t.Context(), s.path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := storage.SignLog(t.Context(), db, s.key, noon); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if v := s.verify(t, audit.VerifyOptions{}); !v.OK() {
		t.Errorf("a forged log that is signed anew: %v", v.Findings)
	}
	v := s.verify(t, audit.VerifyOptions{Checkpoints: [][]byte{witnessed}})
	if v.OK() || !strings.Contains(v.Findings[0].What, "are not those that the checkpoint") {
		t.Errorf("with the witness: %v", v.Findings)
	}

	older := newSample(t, 1)
	longer := newSample(t, 1)
	longer.key = older.key
	db, err = bolt.Open(t.Context(), older.path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	file, err := os.Create(backup)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Backup(t.Context(), func(storage.Snapshot, int64) (io.Writer, error) { return file, nil }), file.Close()); err != nil {
		t.Fatal(err)
	}
	older.fill(t, db, newPolicy(), 1)
	ahead, err := storage.SignLog(t.Context(), db, older.key, noon)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	older.path = backup
	if v := older.verify(t, audit.VerifyOptions{}); !v.OK() {
		t.Errorf("an older copy: %v", v.Findings)
	}
	v = older.verify(t, audit.VerifyOptions{Checkpoints: [][]byte{ahead}})
	if v.OK() || !strings.Contains(v.Findings[0].What, "it was cut off, or is an older copy") {
		t.Errorf("an older copy, with the witness: %v", v.Findings)
	}
}

func TestVerifyNeedsKeys(t *testing.T) {
	s := newSample(t, 1)
	if v := s.verify(t, audit.VerifyOptions{Keys: []string{}}); !v.OK() || len(v.Signers) != 1 || v.Signers[0].Known {
		t.Errorf("without a key: %+v", v)
	}
	db, err := bolt.OpenReadOnly(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := audit.Verify(t.Context(), db, audit.VerifyOptions{Keys: []string{"x"}}); !errors.Is(err, ledger.ErrBadKey) {
		t.Errorf("with a key that is none: %v", err)
	}
}

// Whatever byte of the evidence is changed by someone who knows the form, it is found.
func TestEveryByteOfTheEvidenceCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := newSample(t, 2)
	for _, bucket := range []string{"events", "delivery_records", "loadings", "leaves", "messages", "configs"} {
		t.Run(bucket, func(t *testing.T) {
			s := s.copied(t)
			for range 150 {
				var k, was []byte
				var where int
				skip := false
				s.tamper(t, func(h hand) {
					keys := h.keys(bucket)
					k = keys[r.IntN(len(keys))]
					was = h.get(bucket, k)
					where = r.IntN(len(was))
					// The message of a delivery that is pending is no evidence yet.
					skip = bytes.HasSuffix(was, []byte("pending"))
					bad := bytes.Clone(was)
					bad[where] ^= byte(1 + r.IntN(255))
					h.put(bucket, k, bad)
				})
				if v := s.verify(t, audit.VerifyOptions{Limit: 1}); v.OK() && !skip {
					t.Errorf("%s %x: byte %d of %q can be changed", bucket, k, where, was)
				}
				s.tamper(t, func(h hand) { h.put(bucket, k, was) })
			}
		})
	}
}

// A store that is written to can be verified meanwhile.
func TestVerifyOfAStoreInUse(t *testing.T) {
	s := newSample(t, 2)
	db, err := bolt.Open(t.Context(), s.path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			s.fill(t, db, newPolicy(), 2+i)
			if _, err := storage.SignLog(t.Context(), db, s.key, noon.Add(time.Duration(2+i)*time.Hour)); err != nil {
				t.Error(err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		v, err := audit.Verify(t.Context(), db, audit.VerifyOptions{Keys: []string{s.key.Public()}})
		if err != nil {
			t.Fatal(err)
		}
		if !v.OK() {
			t.Fatalf("findings: %v", v.Findings)
		}
	}
}

// newStorm returns a store with n incidents, each told to two recipients by digests.
func newStorm(b testing.TB, n int) sample {
	b.Helper()
	s := newSample(b, 0)
	db, err := bolt.Open(b.Context(), s.path, bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	p := newPolicy()
	repo := storage.Repository{Store: db, Policy: func() *incident.Policy { return p }}
	const digest = 1000
	for from := 0; from < n; from += digest {
		d := incident.Delivery{
			Kind: incident.KindOpened, Channel: incident.ChannelEmail, DueAt: noon, CreatedAt: noon, Attempts: 1,
			State: incident.DeliveryDelivered, SentAt: noon, FinishedAt: noon, Audience: incident.AudienceStakeholders, Group: "support",
		}
		err := repo.Change(b.Context(), noon, func(c *storage.Change) error {
			for i := from; i < min(from+digest, n); i++ {
				slo := &incident.SLO{ID: fmt.Sprint("slo-", i), Key: fmt.Sprint("slo-", i), UseCase: "nobody is notified", Team: "blue", Priority: "P2", Stakeholders: []string{"support"}}
				in, _, err := c.IncidentFor(slo, incident.ActorAlertmanager)
				if err != nil {
					return err
				}
				br := incident.NewBreach(&incident.Alert{Fingerprint: fmt.Sprintf("%016x", i), StartsAt: noon}, nil, noon)
				if err := c.RecordBreach(in, &br, in.Fire(c.Stamp(incident.ActorAlertmanager), &br, nil, "", p.Priorities[1], p)); err != nil {
					return err
				}
				d.Covers = append(d.Covers, incident.Cover{Incident: in.Number, Kind: incident.KindOpened, Priority: "P2", DueAt: noon, Promised: noon.Add(time.Minute)})
			}
			d.Incident = d.Covers[0].Incident
			for _, to := range []string{"eve", "ada"} {
				d.ID, d.Recipient, d.Address = fmt.Sprint(from, to), "email:"+to+"@example.org", to+"@example.org"
				if err := c.Tx.PutDelivery(c.Context(), &d, []byte("Subject: many")); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if s.checkpoint, err = storage.SignLog(b.Context(), db, s.key, noon); err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkStorm verifies and reports incidents that digests told: µs/incident stays as it is
// when there are more.
func BenchmarkStorm(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		s := newStorm(b, n)
		perIncident := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/incident")
		}
		b.Run(fmt.Sprintf("verify/incidents=%d", n), func(b *testing.B) {
			for b.Loop() {
				if v := s.verify(b, audit.VerifyOptions{}); !v.OK() {
					b.Fatal(v.Findings)
				}
			}
			perIncident(b)
		})
		db, err := bolt.Open(b.Context(), s.path, bolt.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("report/incidents=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := audit.MakeReport(b.Context(), db, audit.ReportOptions{Now: noon.Add(time.Hour)}); err != nil {
					b.Fatal(err)
				}
			}
			perIncident(b)
		})
		b.Run(fmt.Sprintf("export/incidents=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := audit.Export(b.Context(), db, io.Discard, audit.ExportOptions{Now: noon.Add(time.Hour), Key: s.key}); err != nil {
					b.Fatal(err)
				}
			}
			perIncident(b)
		})
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	s := newSample(b, 1000)
	for b.Loop() {
		if v := s.verify(b, audit.VerifyOptions{}); !v.OK() {
			b.Fatal(v.Findings)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(9*1000), "µs/leaf")
}
