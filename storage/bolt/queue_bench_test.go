package bolt_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// BenchmarkClaim finds and ends what is due to one recipient, beside many
// subscriptions that are not due yet.
func BenchmarkClaim(b *testing.B) {
	for _, pending := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("pending=%d", pending), func(b *testing.B) {
			db := open(b, bolt.Options{})
			const piece = 1000
			for n := 0; n < pending; n += piece {
				subs := make([]incident.Subscription, piece)
				for i := range subs {
					subs[i] = incident.Subscription{
						Incident: int64(n/piece + 1), Recipient: fmt.Sprintf("email:person-%d@example.org", i),
						Audiences: []incident.Audience{incident.AudienceStakeholders}, Groups: []string{"customer-support"}, Active: true, Told: true,
						DueAt: noon.Add(24*time.Hour + time.Duration(n)*time.Millisecond),
					}
				}
				if err := db.Write(b.Context(), func(tx storage.Tx) error { return tx.PutSubscriptions(b.Context(), subs, nil) }); err != nil {
					b.Fatal(err)
				}
			}
			due := incident.Subscription{Incident: 1, Recipient: "email:due@example.org", DueAt: noon}
			var find time.Duration // without the commit
			b.ResetTimer()
			for b.Loop() {
				err := db.Write(b.Context(), func(tx storage.Tx) error {
					begin := time.Now()
					defer func() { find += time.Since(begin) }()
					if err := tx.PutSubscriptions(b.Context(), []incident.Subscription{due}, nil); err != nil {
						return err
					}
					claims, err := claimDue(b.Context(), tx, noon, "me", time.Minute, 10)
					if err != nil {
						return err
					}
					if len(claims) != 1 || len(claims[0].Subscriptions) != 1 {
						return fmt.Errorf("claims %+v", claims)
					}
					told := due
					told.DueAt = time.Time{}
					if err := tx.PutSubscriptions(b.Context(), []incident.Subscription{told}, nil); err != nil {
						return err
					}
					return tx.ReleaseLease(b.Context(), &claims[0], noon, time.Time{}, "", 0)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(find.Nanoseconds())/float64(b.N), "ns/find")
			b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-heap")
		})
	}
}
