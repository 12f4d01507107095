package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
)

// A payload is a body of Alertmanager's webhook, as far as a receiver reads it.
type payload struct {
	Version         string  `json:"version"`
	GroupKey        string  `json:"groupKey"`
	TruncatedAlerts int     `json:"truncatedAlerts"`
	Status          string  `json:"status"`
	Receiver        string  `json:"receiver"`
	Alerts          []alert `json:"alerts"`
}

type alert struct {
	Status       string            `json:"status,omitempty"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint,omitempty"`
}

// A form is who is to read a body.
type form int

const (
	webhookForm form = iota // a receiver of Alertmanager's webhook
	apiForm                 // Alertmanager's API v2
)

// mark stands in a new body where the identity of an alert goes: 16 hexadecimal
// digits, as a fingerprint has.
const mark = "f1f2f3f4f5f6f7f8"

// A body is a post's, whose alerts are other ones each time, at no cost that would
// count.
type body struct {
	bytes []byte
	at    []int // where the marks were
	slos  []int // where the ids of SLOs are, one for each alert
	total int   // SLOs
}

// identity counts alerts, over all clients.
var identity atomic.Uint64

// sloID returns the id of an SLO; all have the same length.
func sloID(n int) string { return fmt.Sprintf("load-slo-%06d", n) }

// newBody returns a body of o.alerts alerts of about o.bytes bytes each.
func newBody(o options, f form) *body {
	p := payload{Version: "4", GroupKey: `{}:{service="load"}`, Status: "firing", Receiver: "sitrep"}
	for range o.alerts {
		a := alert{
			Status: "firing",
			Labels: map[string]string{
				"alertname": "LoadAvailability", "category": "availability", "cluster": "prod", "severity": "critical", "service": "load",
				"sloth_id": sloID(999999), "sloth_severity": "page", "team": "load", "instance": mark,
			},
			Annotations: map[string]string{
				"runbook_url": "https://runbooks.example/load", "summary": "Application cannot register with notification services",
			},
			StartsAt:     time.Now().UTC().Truncate(time.Millisecond),
			GeneratorURL: "http://prometheus.example:9090/graph?g0.expr=slo",
			Fingerprint:  mark,
		}
		if f == apiForm {
			a.Status, a.Fingerprint, a.EndsAt = "", "", time.Now().Add(time.Hour)
		}
		b, _ := json.Marshal(a)
		a.Annotations["description"] = strings.Repeat("x", max(0, o.bytes-len(b)-len(`"description":"",`)))
		p.Alerts = append(p.Alerts, a)
	}
	var v any = p
	if f == apiForm {
		v = p.Alerts
	}
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &body{bytes: raw, at: places(raw, mark), slos: places(raw, sloID(999999)), total: o.slos}
}

// places returns where s occurs in raw.
func places(raw []byte, s string) []int {
	var at []int
	for from := 0; ; {
		i := bytes.Index(raw[from:], []byte(s))
		if i < 0 {
			return at
		}
		at = append(at, from+i)
		from += i + len(s)
	}
}

// renew makes other alerts of the body's: with new identities, of ten SLOs.
func (b *body) renew() {
	perAlert := len(b.at) / len(b.slos)
	first := rand.IntN(max(1, b.total-10))
	var id [8]byte
	for i, at := range b.slos {
		copy(b.bytes[at:], sloID(first+i%min(10, b.total)))
		n := identity.Add(1) * 0x9E3779B97F4A7C15 // spread, as fingerprints are
		for j := range id {
			id[j] = byte(n >> (8 * j))
		}
		for _, at := range b.at[i*perAlert : (i+1)*perAlert] {
			hex.Encode(b.bytes[at:at+16], id[:])
		}
	}
}
