package live_test

import (
	"fmt"
	"testing"

	"sitrep/chain"
	"sitrep/chain/live"
)

// BenchmarkLook looks at many chains, each with two rules.
func BenchmarkLook(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			w.promise.SLOs = nil
			var rules []any
			for i := range n {
				id := fmt.Sprintf("slo-%d", i)
				w.promise.SLOs = append(w.promise.SLOs, chain.SLO{ID: id, Place: chain.Place{File: "slos.yml", Line: i + 1, Column: 1}})
				for _, name := range []string{"CheckoutErrors", "SearchSlow"} {
					rules = append(rules, w.rule(name, fmt.Sprintf(`max by (job) (errors:ratio{job="shop",slo_id=%q}) > 1`, id), map[string]string{"sitrep_slo": id}))
				}
			}
			w.groups[0]["rules"] = rules
			watcher := w.watcher()
			b.ReportAllocs()
			for b.Loop() {
				r := watcher.Look(b.Context(), &w.promise, w.now)
				if r.Chains[n-1].State != live.Whole {
					b.Fatalf("%s: %+v", links(&r.Chains[n-1]), r.General[:min(3, len(r.General))])
				}
			}
		})
	}
}
