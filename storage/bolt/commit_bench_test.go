package bolt_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// alertsPerWrite is how many alerts a post of Alertmanager brings here.
const alertsPerWrite = 100

// post returns breaches as one post brings them, about 1 KiB each, and the state of
// their incident.
func post(number, count int64, now time.Time) (*incident.Incident, []incident.Breach) {
	in := &incident.Incident{
		Number: number, Sequence: count * alertsPerWrite, Key: "slo", SLO: "notifications-register-availability",
		UseCase: "Application cannot register with notification services", Service: "notifications", Team: "notifications",
		State: incident.StateOpen, Phase: incident.PhaseInitialDiagnosis, Priority: incident.Priority{Name: "P1", Criteria: []string{"Log-on is not possible"}},
		Highest: incident.Priority{Name: "P1"}, SLOPriority: "P1", OpenedAt: now, StartedAt: now,
	}
	list := make([]incident.Breach, alertsPerWrite)
	for i := range list {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d/%d/%d", number, count, i)
		labels := map[string]string{"alertname": "ErrorBudgetBurn", "sloth_id": "notifications-register-availability", "instance": fmt.Sprint(number, count, i)}
		for k := range 8 {
			labels[fmt.Sprintf("label_%d", k)] = "a value of forty characters, more or less"
		}
		list[i] = incident.Breach{
			Fingerprint: fmt.Sprintf("%016x", h.Sum64()), StartsAt: now.Add(-time.Duration(i) * time.Second), State: incident.BreachFiring, Incident: number,
			Priority: "P1", Labels: labels, HeardAt: now, GeneratorURL: "https://prometheus.example.org/graph?g0.expr=" + strings.Repeat("x", 100),
			Annotations: map[string]string{"summary": strings.Repeat("s", 80), "description": strings.Repeat("d", 120)},
		}
	}
	return in, list
}

// store writes a post as a change of an incident does.
func store(ctx context.Context, db *bolt.DB, in *incident.Incident, list []incident.Breach, now time.Time) error {
	return db.Write(ctx, func(tx storage.Tx) error {
		events := make([]incident.Event, len(list))
		breaches, fingerprints := make([]*incident.Breach, len(list)), make([]string, len(list))
		for i := range list {
			b := &list[i]
			breaches[i], fingerprints[i] = b, b.Fingerprint
			events[i] = incident.Event{
				Incident: in.Number, Sequence: in.Sequence - alertsPerWrite + int64(i) + 1, Time: now, Type: incident.EventBreachStarted,
				Actor: incident.ActorAlertmanager, Config: strings.Repeat("c0ffee00", 8),
				Data: incident.Data{Fingerprint: b.Fingerprint, StartsAt: b.StartsAt, Priority: "P1"},
			}
		}
		if there, err := tx.LatestBreaches(ctx, fingerprints); err != nil || len(there) > 0 {
			return fmt.Errorf("%d breaches are there: %w", len(there), err)
		}
		if err := tx.PutBreaches(ctx, breaches); err != nil {
			return err
		}
		if err := tx.AppendEvents(ctx, events); err != nil {
			return err
		}
		if err := tx.PutIncidents(ctx, []*incident.Incident{in}); err != nil {
			return err
		}
		return tx.PutAgendas(ctx, []incident.Agenda{{Incident: in.Number, NextAt: now.Add(time.Hour), LastHeardAt: now}})
	})
}

// BenchmarkCommit writes new breaches, 100 at a time, each with an event. One
// operation is one write.
func BenchmarkCommit(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			db := open(b, bolt.Options{})
			now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			var number atomic.Int64
			b.SetParallelism((clients + 1) / 2) // of two processors
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				mine := number.Add(1)
				for count := int64(1); pb.Next(); count++ {
					at := now.Add(time.Duration(count) * time.Second)
					in, list := post(mine, count, at)
					if err := store(b.Context(), db, in, list, at); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)*alertsPerWrite/b.Elapsed().Seconds(), "breaches/s")
		})
	}
}
