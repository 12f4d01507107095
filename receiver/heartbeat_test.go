package receiver_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/receiver"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A kennel takes what Alertmanager posts about the watchdog.
type kennel struct {
	t      *testing.T
	store  *bolt.DB
	taker  *intake.Intake
	policy *incident.Policy
	at     time.Time
}

func (k *kennel) Lookup(labels map[string]string) intake.Match {
	return intake.Match{Watchdog: labels["alertname"] == "Watchdog"}
}

// Take implements receiver.Intake at the time of the test.
func (k *kennel) Take(ctx context.Context, p intake.Post) ([]intake.Result, error) {
	p.At = k.at
	return k.taker.Take(ctx, p)
}

func newKennel(t *testing.T, by ...string) *kennel {
	t.Helper()
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	k := &kennel{t: t, store: db, at: time.Date(2026, 11, 28, 18, 31, 46, 0, time.UTC)}
	k.policy = &incident.Policy{
		Hash: "test", Location: time.UTC, UnknownAfter: 4 * time.Hour,
		Groups:   []incident.Group{incidenttest.Group("sre", "sre")},
		Watchdog: incident.Watchdog{Within: 15 * time.Minute, By: by, Groups: []string{"sre"}},
	}
	repo := &storage.Repository{Store: db, Policy: func() *incident.Policy { return k.policy }}
	k.taker = &intake.Intake{Repo: repo, Catalog: func() intake.Catalog { return k }, Log: slog.New(slog.DiscardHandler)}
	return k
}

// post posts the body of a file.
func (k *kennel) post(name string) {
	k.t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		k.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, receiver.Path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	receiver.New(receiver.Options{Intake: k}).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		k.t.Fatalf("answered %d %s", w.Code, w.Body)
	}
}

// take posts alerts.
func (k *kennel) take(alerts ...incident.Alert) {
	k.t.Helper()
	if _, err := k.Take(k.t.Context(), intake.Post{Alerts: alerts}); err != nil {
		k.t.Fatal(err)
	}
}

// beat is the watchdog of a cluster.
func beat(cluster string) incident.Alert {
	a := incident.Alert{Fingerprint: "6ea7318eddbdf8ea", StartsAt: time.Date(2026, 11, 28, 17, 31, 43, 122000000, time.UTC)}
	if cluster == "us" {
		a.Fingerprint = "2ecf041007ef421c"
	}
	a.Labels = map[string]string{"alertname": "Watchdog", "cluster": cluster, "severity": "none"}
	return a
}

// expect checks which pulses are there and which are away.
func (k *kennel) expect(want map[string]bool) {
	k.t.Helper()
	err := k.store.Read(k.t.Context(), func(r storage.Snapshot) error {
		pulses, err := r.Pulses(k.t.Context())
		for _, p := range pulses {
			away, known := want[p.Labels["cluster"]]
			if !known || away == p.AwaySince.IsZero() {
				k.t.Errorf("pulse %+v", p)
			}
		}
		if len(pulses) != len(want) {
			k.t.Errorf("%d pulses: %+v", len(pulses), pulses)
		}
		return err
	})
	if err != nil {
		k.t.Error(err)
	}
}

func TestOneOfTwoWatchdogsResolves(t *testing.T) {
	t.Run("a pulse for each cluster", func(t *testing.T) {
		k := newKennel(t, "cluster")
		k.at = k.at.Add(-5 * time.Minute)
		k.take(beat("eu"), beat("us"))
		k.at = k.at.Add(5 * time.Minute)
		k.post("two-watchdogs-one-resolves.json")
		k.expect(map[string]bool{"eu": true, "us": false})
	})
	t.Run("one pulse", func(t *testing.T) {
		k := newKennel(t)
		k.at = k.at.Add(-5 * time.Minute)
		k.take(beat("eu"), beat("us"))
		k.at = k.at.Add(5 * time.Minute)
		k.post("two-watchdogs-one-resolves.json")
		k.expect(map[string]bool{"": false})
		k.at = k.at.Add(time.Minute)
		k.take(ended(beat("us"), k.at))
		k.expect(map[string]bool{"": true})
	})
	t.Run("one pulse, and the one that fires is heard for the first time", func(t *testing.T) {
		k := newKennel(t)
		k.at = k.at.Add(-5 * time.Minute)
		k.take(beat("eu"))
		k.at = k.at.Add(5 * time.Minute)
		k.post("two-watchdogs-one-resolves.json")
		k.expect(map[string]bool{"": false})
	})
	t.Run("one pulse, heard a moment ago by both", func(t *testing.T) {
		k := newKennel(t)
		k.at = k.at.Add(-10 * time.Second)
		k.take(beat("us"))
		k.at = k.at.Add(5 * time.Second)
		k.take(beat("eu"))
		k.at = k.at.Add(5 * time.Second)
		k.take(ended(beat("eu"), k.at))
		k.expect(map[string]bool{"": false})
	})
	t.Run("a cluster that was never heard", func(t *testing.T) {
		k := newKennel(t, "cluster")
		k.post("two-watchdogs-one-resolves.json")
		k.expect(map[string]bool{"us": false})
	})
}

// A counter counts the writes to a store.
type counter struct {
	storage.Store
	writes int
}

func (c *counter) Write(ctx context.Context, fn func(storage.Tx) error) error {
	c.writes++
	return c.Store.Write(ctx, fn)
}

func TestAHeartbeatIsNotedNowAndThen(t *testing.T) {
	k := newKennel(t)
	c := &counter{Store: k.store}
	k.taker.Repo.Store = c
	for range 60 { // half an hour
		k.at = k.at.Add(30 * time.Second)
		k.take(beat("eu"), beat("us"), ended(beat("us"), k.at.Add(-time.Hour))) // the last is an old copy
	}
	if c.writes != 8 {
		t.Errorf("%d writes, want one in each quarter of within", c.writes)
	}
	err := k.store.Read(t.Context(), func(r storage.Snapshot) error {
		p, err := storage.PulseOf(t.Context(), r, "")
		if len(p.HeardBy) != 2 || k.at.Sub(p.HeardAt) > 4*time.Minute || p.Sequence != 0 {
			t.Errorf("pulse %+v", p)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// ended is the alert when it was reported as ended.
func ended(a incident.Alert, at time.Time) incident.Alert {
	a.Resolved, a.EndsAt = true, at
	return a
}
