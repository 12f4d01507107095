package main

import (
	"encoding/json"
	"testing"
)

// TestBodiesAreNew: each post brings other alerts, or the figures would be those of
// repeats.
func TestBodiesAreNew(t *testing.T) {
	o := options{alerts: 100, bytes: 1024, slos: 1000}
	b := newBody(o, webhookForm)
	if n := len(b.bytes) / o.alerts; n < 1000 || n > 1050 {
		t.Errorf("got %d bytes an alert, want about %d", n, o.bytes)
	}
	seen := map[string]bool{}
	for range 3 {
		b.renew()
		var p payload
		if err := json.Unmarshal(b.bytes, &p); err != nil {
			t.Fatal(err)
		}
		slos := map[string]bool{}
		for _, a := range p.Alerts {
			seen[a.Fingerprint] = true
			slos[a.Labels["sloth_id"]] = true
			if a.Labels["instance"] != a.Fingerprint {
				t.Fatalf("instance %s, fingerprint %s", a.Labels["instance"], a.Fingerprint)
			}
		}
		if len(slos) != 10 {
			t.Errorf("got alerts of %d SLOs, want 10", len(slos))
		}
	}
	if len(seen) != 300 {
		t.Errorf("got %d alerts, want 300", len(seen))
	}
}
