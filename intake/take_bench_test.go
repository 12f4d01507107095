package intake_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// benchCatalog has as many SLOs as it says, found by sloth_id.
type benchCatalog map[string]*incident.SLO

func (c benchCatalog) Lookup(labels map[string]string) intake.Match {
	return intake.Match{SLO: c[labels["sloth_id"]]}
}

// BenchmarkTake makes posts of new alerts durable: what a post costs beside decoding.
// "slos" is over how many SLOs, and so incidents, they are spread.
func BenchmarkTake(b *testing.B) {
	for _, of := range []struct{ alerts, slos, clients int }{{1, 5, 64}, {100, 5, 1}, {100, 5, 16}, {100, 1000, 1}, {100, 1000, 16}} {
		b.Run(fmt.Sprintf("alerts=%d/slos=%d/clients=%d", of.alerts, of.slos, of.clients), func(b *testing.B) {
			benchmarkTake(b, of.alerts, of.slos, of.clients)
		})
	}
}

func benchmarkTake(b *testing.B, alerts, slos, clients int) {
	db, err := bolt.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	policy := incidenttest.Policy()
	catalog := benchCatalog{}
	for i := range slos {
		slo := incidenttest.SLO(fmt.Sprintf("slo-%06d", i), "P1")
		catalog[slo.ID] = &slo
	}
	repo := &storage.Repository{Store: db, Policy: func() *incident.Policy { return policy }}
	taker := &intake.Intake{Repo: repo, Catalog: func() intake.Catalog { return catalog }, Log: slog.New(slog.DiscardHandler)}
	var n atomic.Uint64
	b.SetParallelism(clients)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			at := time.Now()
			post := intake.Post{At: at}
			for range alerts {
				id := n.Add(1)
				post.Alerts = append(post.Alerts, incident.Alert{
					Fingerprint: fmt.Sprintf("%016x", rand.Uint64()), StartsAt: at.UTC().Truncate(time.Microsecond),
					Labels: map[string]string{
						"alertname": "LoadAvailability", "category": "availability", "cluster": "prod", "severity": "critical", "service": "load",
						"sloth_id": fmt.Sprintf("slo-%06d", rand.IntN(slos)), "sloth_severity": "page", "team": "load", "instance": fmt.Sprint(id),
					},
					Annotations: map[string]string{
						"runbook_url": "https://runbooks.example/load", "summary": "Application cannot register with notification services",
						"description": "The error budget of the objective burns fourteen times faster than it may, and will be used up in two days.",
					},
					GeneratorURL: "http://prometheus.example:9090/graph?g0.expr=slo",
				})
			}
			if _, err := taker.Take(context.Background(), post); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "alerts/s")
}
