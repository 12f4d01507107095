package cli

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// version2Key is the public key of what is in testdata/version2: a store of version 2, in
// which breaches were found by startsAt and the watchdog was number 0, and an export of it.
const version2Key = "127.0.0.1/ledger-syacbi7l+321cb41e+AedcKsjDEnw8feEy62X8jWJcOYJyKHIS6K/0Ltzel0YT"

// slosByID finds SLOs by the label sitrep_slo.
type slosByID []incident.SLO

func (s slosByID) Lookup(labels map[string]string) intake.Match {
	for i := range s {
		if s[i].ID == labels["sitrep_slo"] {
			return intake.Match{SLO: &s[i]}
		}
	}
	return intake.Match{}
}

func TestAStoreOfVersion2GoesOn(t *testing.T) {
	packed, err := os.Open(filepath.Join("testdata", "version2", "sitrep.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sitrep.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(what ...string) {
		t.Helper()
		var out bytes.Buffer
		args := append([]string{"audit", "verify", "--key", version2Key}, what...)
		if err := run(t.Context(), args, Environment{Stdout: &out, Stderr: &out}); err != nil {
			t.Errorf("%v: %v\n%s", what, err, out.String())
		}
	}
	verify(filepath.Join("testdata", "version2", "evidence.zip"))
	verify("--storage", path) // only read, so not brought up

	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	policy := &incident.Policy{
		Hash: "test", Location: time.UTC, Priorities: []incident.Priority{{Name: "P1"}, {Name: "P2", Rank: 1}}, Teams: []incident.Team{{Name: "notifications"}},
		ResolveAfter: 10 * time.Minute, ReopenWithin: time.Hour, UnknownAfter: 5 * time.Hour, Asks: true,
		Groups:   []incident.Group{{Name: "support", Location: time.UTC, Recipients: []incident.Recipient{{ID: "email:support@example.org", Channel: incident.ChannelEmail}}}},
		Watchdog: incident.Watchdog{Within: 15 * time.Minute, Groups: []string{"support"}},
	}
	slos := slosByID{{ID: "send", Key: "send", Priority: "P1"}, {ID: "delay", Key: "delay", Priority: "P2"}}
	policy.SLOs = slos
	at := time.Date(2026, 11, 28, 23, 5, 0, 0, time.UTC)
	take := &intake.Intake{
		Repo:    &storage.Repository{Store: db, Policy: func() *incident.Policy { return policy }},
		Catalog: func() intake.Catalog { return slos }, Log: slog.New(slog.DiscardHandler),
	}
	breach := func(fingerprint string) (b incident.Breach) {
		t.Helper()
		err := db.Read(t.Context(), func(r storage.Snapshot) error {
			latest, err := storage.LatestBreach(t.Context(), r, fingerprint)
			if latest != nil {
				b = *latest
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	post := func(want intake.Outcome, number int64, a incident.Alert) {
		t.Helper()
		results, err := take.Take(t.Context(), intake.Post{At: at, Alerts: []incident.Alert{a}})
		if err != nil || results[0].Result != want || results[0].Incident != number {
			t.Errorf("%s: %+v, %v; want %s in %d", a.Fingerprint, results, err, want, number)
		}
	}
	send := map[string]string{"alertname": "Burn", "sitrep_slo": "send"}

	// It fires for the second time, heard of by startsAt twice; what had ended fires anew.
	b := breach("00000000000000a1")
	post(intake.OutcomeRepeated, 1, incident.Alert{Fingerprint: b.Fingerprint, StartsAt: b.StartsAt.Add(-time.Minute), Labels: b.Labels})
	post(intake.OutcomeJoined, 1, incident.Alert{Fingerprint: "00000000000000a2", StartsAt: at.Add(-time.Minute), Labels: send})
	if b := breach("00000000000000a2"); b.Ordinal != 2 || b.State != incident.BreachFiring {
		t.Errorf("a breach after one of version 2: %+v", b)
	}
	// Its end was heard before its firing.
	post(intake.OutcomeStale, 0, incident.Alert{Fingerprint: "00000000000000c1", StartsAt: breach("00000000000000c1").StartsAt, Labels: send})
	err = db.Read(t.Context(), func(r storage.Snapshot) error {
		if all, err := r.DueBreaches(t.Context(), storage.BreachesToAsk, at, 10); err != nil || len(all) != 1 || all[0].Fingerprint != "00000000000000c1" {
			t.Errorf("to be asked about: %+v, %v", all, err)
		}
		for number := range int64(2) {
			in, err := storage.IncidentOf(t.Context(), r, number+1)
			if err != nil || in.ChangedAt.IsZero() {
				t.Errorf("%s changed at %v, %v", incident.ID(number+1), in.ChangedAt, err)
			}
		}
		pulses, err := r.Pulses(t.Context())
		if err != nil || len(pulses) != 1 || pulses[0].AwaySince.IsZero() {
			t.Errorf("pulses %+v, %v", pulses, err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	verify("--storage", path)
}
