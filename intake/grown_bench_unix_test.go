//go:build unix

package intake_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// BenchmarkGrown makes posts of new alerts durable in a store that is empty, and in one that
// keeps many breaches that ended: what an alert costs does not grow with what is kept. It
// counts the time of the processors, as that of the clock is the disk's and others', and the
// bytes that go to the disk.
func BenchmarkGrown(b *testing.B) {
	for _, ended := range []int{0, 300_000, 1_000_000} {
		b.Run(fmt.Sprintf("ended=%d", ended), func(b *testing.B) {
			db, err := bolt.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), bolt.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			keepEnded(b, db, ended)
			for _, alerts := range []int{1, 100} {
				b.Run(fmt.Sprintf("alerts=%d", alerts), func(b *testing.B) { benchmarkGrown(b, db, alerts) })
			}
		})
	}
}

// keepEnded stores so many breaches that ended, each of another fingerprint.
func keepEnded(b *testing.B, db *bolt.DB, n int) {
	b.Helper()
	at := time.Now().UTC().Truncate(time.Microsecond).Add(-24 * time.Hour)
	random := rand.New(rand.NewPCG(1, 2))
	for n > 0 {
		all := make([]*incident.Breach, min(n, 2000))
		n -= len(all)
		for i := range all {
			all[i] = &incident.Breach{
				Fingerprint: fmt.Sprintf("%016x", random.Uint64()), StartsAt: at, EndsAt: at.Add(time.Minute), HeardAt: at, EndHeardAt: at.Add(time.Minute),
				State: incident.BreachEnded, Priority: "P1", Labels: map[string]string{"alertname": "LoadAvailability"},
			}
		}
		if err := db.Write(b.Context(), func(tx storage.Tx) error { return tx.PutBreaches(b.Context(), all) }); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkGrown(b *testing.B, db *bolt.DB, alerts int) {
	policy := incidenttest.Policy()
	slo := incidenttest.SLO("slo-000000", "P1")
	catalog := benchCatalog{slo.ID: &slo}
	repo := &storage.Repository{Store: db, Policy: func() *incident.Policy { return policy }}
	taker := &intake.Intake{Repo: repo, Catalog: func() intake.Catalog { return catalog }, Log: slog.New(slog.DiscardHandler)}
	b.ReportAllocs()
	var used time.Duration
	var written int64
	for b.Loop() {
		at := time.Now()
		post := intake.Post{At: at}
		for range alerts {
			post.Alerts = append(post.Alerts, incident.Alert{
				Fingerprint: fmt.Sprintf("%016x", rand.Uint64()), StartsAt: at.UTC().Truncate(time.Microsecond),
				Labels:      map[string]string{"alertname": "LoadAvailability", "cluster": "prod", "severity": "critical", "sloth_id": slo.ID},
				Annotations: map[string]string{"summary": "Application cannot register with notification services"},
			})
		}
		before, wrote := processorTime(b)
		if _, err := taker.Take(context.Background(), post); err != nil {
			b.Fatal(err)
		}
		after, write := processorTime(b)
		used += after - before
		written += write - wrote
	}
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(b.N*alerts), "cpu-µs/alert")
	b.ReportMetric(float64(written)/1024/float64(b.N), "written-KiB/post")
}

// processorTime returns the time of processors that this process used, and how many bytes
// it wrote to files.
func processorTime(b *testing.B) (time.Duration, int64) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), int64(u.Oublock) * 512
}
