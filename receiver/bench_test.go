package receiver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// benchBody is a payload of n alerts of about 1 KiB each, as Sloth's rules make
// them.
func benchBody(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"receiver":"sitrep","status":"firing","alerts":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"status":"firing","labels":{"alertname":"NotificationsRegisterAvailability","category":"availability","cluster":"prod","instance":"10.0.%d.%d:9100","severity":"critical","sloth_id":"notifications-register-availability-%d","sloth_service":"notifications","sloth_severity":"page","sloth_slo":"register-availability","team":"notifications","tier":"1"},"annotations":{"runbook_url":"https://runbooks.example/notifications/register-availability","summary":"Application cannot register with notification services","title":"(page) notifications register-availability SLO error budget burn rate is too fast.","description":"%s"},"startsAt":"2026-11-23T13:%02d:%02d.%03dZ","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus.example:9090/graph?g0.expr=slo%%3Acurrent_burn_rate%%3Aratio%%7Bsloth_id%%3D%%22notifications-register-availability%%22%%7D+%%3E+14.4\u0026g0.tab=1","fingerprint":"%016x"}`,
			i/256, i%256, i, strings.Repeat("budget burns ", 8), i/60%60, i%60, i%1000, i*7919)
	}
	b.WriteString(`],"groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://alertmanager.example:9093","version":"4","groupKey":"{}:{}","truncatedAlerts":0}`)
	return []byte(b.String())
}

// BenchmarkDecode decodes 100 alerts of 1 KiB, beside encoding/json doing no more
// than filling structs.
func BenchmarkDecode(b *testing.B) {
	body := benchBody(100)
	b.Run("receiver", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		d := newDecoder(nil)
		at := time.Now()
		for b.Loop() {
			p, err := d.decode(body, at)
			if err != nil || len(p.alerts) != 100 {
				b.Fatal(len(p.alerts), err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			var p struct {
				Version string `json:"version"`
				Alerts  []struct {
					Status       string            `json:"status"`
					Labels       map[string]string `json:"labels"`
					Annotations  map[string]string `json:"annotations"`
					StartsAt     time.Time         `json:"startsAt"`
					EndsAt       time.Time         `json:"endsAt"`
					GeneratorURL string            `json:"generatorURL"`
					Fingerprint  string            `json:"fingerprint"`
				} `json:"alerts"`
			}
			if err := json.Unmarshal(body, &p); err != nil || len(p.Alerts) != 100 {
				b.Fatal(len(p.Alerts), err)
			}
		}
	})
}
