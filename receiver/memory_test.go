package receiver

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestWhatABodyTakesIsBounded decodes the worst bodies, and ordinary ones, and
// looks at what stays of them.
func TestWhatABodyTakesIsBounded(t *testing.T) {
	const size = 4 << 20
	fill := func(alert func(i int) string) []byte {
		var b strings.Builder
		b.Grow(size)
		b.WriteString(`{"version":"4","alerts":[`)
		for i := range MaxAlerts {
			a := alert(i)
			if b.Len()+len(a)+10 > size {
				break
			}
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(a)
		}
		b.WriteString("]}")
		return []byte(b.String())
	}
	labels := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%02x":"%c",`, i, 'a'+i%26)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	l57, l225, l90000 := labels(57), labels(225), many(90_000, `"%05x":"b"`)
	tests := []struct {
		name  string
		body  []byte
		times float64 // what stays, at most, in sizes of the body
	}{
		{"ordinary alerts", benchBody(4000), 2},
		{"as many small alerts as may be", fill(func(int) string { return good("") }), 10},
		{"as many small labels as may be", fill(func(int) string { return good(`"labels":{` + l57 + `}`) }), 10},
		{"the most labels", fill(func(int) string { return good(`"labels":{` + l225 + `}`) }), 10},
		{"labels beyond all bounds", fill(func(int) string { return good(`-fingerprint"labels":{` + l90000 + `}`) }), 1},
		{"all invalid", fill(func(int) string { return `{"status":"x"}` }), 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDecoder(nil)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			p, err := d.decode(tt.body, arrival)
			if err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			times := (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / float64(len(tt.body))
			t.Logf("%d alerts and %d faults in %.1f MiB take %.1f times that", len(p.alerts), len(p.faults), float64(len(tt.body))/(1<<20), times)
			if times > tt.times {
				t.Errorf("they take %.1f times the body, want at most %.0f", times, tt.times)
			}
			runtime.KeepAlive(p)
			runtime.KeepAlive(tt.body)
		})
	}
}
