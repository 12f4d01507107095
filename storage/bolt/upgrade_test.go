package bolt_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// The watchdog of a store that had it as an incident with the number 0 is what it was,
// what its readers are owed too.
func TestTheWatchdogOfAnOlderStoreIsBroughtUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	db := openAt(t, path)
	at := noon.Add(time.Hour)
	away := func(at time.Time) []incident.Owed {
		return []incident.Owed{{Kind: incident.KindWatchdog, Reason: incident.DueWatchdogAway, At: at}}
	}
	back := []incident.Owed{{Kind: incident.KindWatchdog, Reason: incident.DueWatchdogBack, At: at}}
	reader := func(who string, told int64, owed []incident.Owed) incident.Subscription {
		s := incident.Subscription{
			Recipient: who, Audiences: []incident.Audience{incident.AudienceOnCall}, Groups: []string{"sre"}, Active: true,
			Told: told > 0, ToldSequence: told, Owed: owed,
		}
		if told > 0 {
			s.ToldAt = noon
		}
		if owed != nil {
			s.DueAt = at
		}
		return s
	}
	pending := incident.Delivery{
		ID: "watchdog.1", Kind: incident.KindWatchdog, Recipient: "unsure", State: incident.DeliveryPending, CreatedAt: noon, Attempts: 1,
		Covers: []incident.Cover{{Kind: incident.KindWatchdog, Sequence: 3, Owed: away(at)}},
	}
	sub := incident.Subscription{Incident: 1, Recipient: "owed away", Reader: 1, DueAt: at}
	mustWrite(t, db, func(tx storage.Tx) error {
		if err := tx.PutDelivery(t.Context(), &pending, []byte("x")); err != nil {
			return err
		}
		return tx.PutSubscriptions(t.Context(), []incident.Subscription{sub}, nil)
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	bolt.MakeVersion2(t, path, bolt.OldWatchdog{
		Pulse: map[string]any{"heard_at": noon, "away_since": noon, "sequence": 3},
		Readers: []incident.Subscription{
			reader("knows", 1, nil), reader("knows all", 2, nil), reader("owed away", 2, away(at)), reader("owed back", 1, back), reader("unsure", 0, back), reader("was never told", 0, back),
		},
	})

	old, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatalf("for reading: %v", err)
	}
	if err := old.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}

	for range 2 { // it is brought up once
		db = openAt(t, path)
		if err := db.Check(t.Context()); err != nil {
			t.Error(err)
		}
		err = db.Read(t.Context(), func(r storage.Snapshot) error {
			pulses, err := r.Pulses(t.Context())
			if want := (incident.Pulses{{HeardAt: noon, AwaySince: noon, Sequence: 3}}); !reflect.DeepEqual(pulses, want) {
				t.Errorf("pulses %+v, want %+v", pulses, want)
			}
			if err != nil {
				return err
			}
			notices, err := r.Notices(t.Context(), "")
			want := []incident.Notice{
				{Recipient: "knows", Told: true, ToldAt: noon},
				{Recipient: "knows all", ToldAt: noon},
				{Recipient: "owed away", ToldAt: noon, Owed: away(at)[0], DueAt: at},
				{Recipient: "owed back", Told: true, ToldAt: noon, Owed: back[0], DueAt: at},
				{Recipient: "unsure", Unsure: true, Owed: back[0], DueAt: at},
				{Recipient: "was never told"},
			}
			if !reflect.DeepEqual(notices, want) {
				t.Errorf("notices\n got %+v\nwant %+v", notices, want)
			}
			if err != nil {
				return err
			}
			if subs, err := r.Subscriptions(t.Context(), []int64{0}); err != nil || len(subs) != 0 {
				t.Errorf("left behind: %+v, %v", subs, err)
			}
			due, oldest, err := r.Backlog(t.Context(), at)
			if due != 4 || !oldest.Equal(at) {
				t.Errorf("%d due, the first at %v", due, oldest)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db = openAt(t, path)
	mustWrite(t, db, func(tx storage.Tx) error {
		claims, err := claimDue(t.Context(), tx, at, "me", time.Hour, 10)
		n := 0
		for _, c := range claims {
			n += len(c.Notices)
			if c.Recipient == "owed away" && (len(c.Notices) != 1 || len(c.Subscriptions) != 1) {
				t.Errorf("claim %+v", c)
			}
		}
		if n != 3 {
			t.Errorf("%d notices are claimed", n)
		}
		return err
	})
}

// The deliveries of an older store are found by whom and by group, by when they were due too.
func TestTheDeliveriesOfAnOlderStoreAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sitrep.db")
	db := openAt(t, path)
	const many = 2100 // more than one piece
	for from := 0; from < many; from += 300 {
		mustWrite(t, db, func(tx storage.Tx) error {
			for i := from; i < from+300; i++ {
				d := incident.Delivery{
					ID: fmt.Sprint(i), Kind: incident.KindWatchdog, Recipient: fmt.Sprint("email:", i), Address: "a@example.org", Group: "sre",
					State: incident.DeliveryPending, DueAt: noon.Add(time.Duration(i) * time.Second), CreatedAt: noon,
				}
				if i == 7 {
					d.Address, d.Group = "b@example.org", "board"
				}
				if err := tx.PutDelivery(t.Context(), &d, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	bolt.MakeVersion5(t, path)
	count := func(db *bolt.DB, q storage.DeliveryQuery) (n int) {
		t.Helper()
		mustRead(t, db, func(r storage.Snapshot) error {
			for q.Limit = 1000; ; {
				page, next, err := r.Deliveries(t.Context(), q)
				n += len(page)
				if q.Cursor = next; err != nil || next == "" {
					return err
				}
			}
		})
		return n
	}
	check := func(db *bolt.DB) {
		t.Helper()
		if err := db.Check(t.Context()); err != nil {
			t.Error(err)
		}
		for _, c := range []struct {
			q    storage.DeliveryQuery
			want int
		}{
			{storage.DeliveryQuery{Address: "b@example.org"}, 1},
			{storage.DeliveryQuery{Group: "sre"}, many - 1},
			{storage.DeliveryQuery{From: noon.Add(many*time.Second - time.Minute)}, 60},
		} {
			if got := count(db, c.q); got != c.want {
				t.Errorf("%+v: found %d, want %d", c.q, got, c.want)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	old, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatalf("for reading: %v", err)
	}
	check(old)
	check(openAt(t, path))
}
