package email

import (
	"testing"

	"sitrep/incident/incidenttest"
)

// BenchmarkRender renders one mail of each of the usual kinds.
func BenchmarkRender(b *testing.B) {
	all := incidenttest.Messages()
	for _, name := range []string{"opened", "update-without-news", "resolved-with-the-whole-story", "digest-of-many"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := letterhead.Render(all[name]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
