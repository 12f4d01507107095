package incident_test

import (
	"fmt"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// BenchmarkPlan measures what one due update costs to decide: who is told what, when
// the next is due, and what follows once it was handed over, for an incident with
// that many readers.
func BenchmarkPlan(b *testing.B) {
	for _, readers := range []int{3, 100} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			p := policy()
			for i := range readers - 3 {
				p.Groups[1].Recipients = append(p.Groups[1].Recipients, incidenttest.Mail(fmt.Sprint("reader-", i)))
			}
			w := newWorld(b, p)
			w.open("P1")
			w.tick()
			w.now = w.now.Add(2 * time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				pl, ok := w.s.Plan("email:support@example.org", p, w.now)
				if !ok || pl.Cover.Kind != incident.KindUpdate {
					b.Fatalf("planned %+v", pl)
				}
				if _, err := incident.Reconcile(w.s, w.s.Delivered("email:support@example.org", pl.Cover, w.now, incident.Cause{}, p), p, w.now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
