package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"sitrep/e2e/rig"
)

// A heard is a server for webhooks that tells when each request came.
type heard struct {
	url  string
	came chan time.Time
}

func newHeard() (*heard, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	h := &heard{url: "http://" + l.Addr().String(), came: make(chan time.Time, 1000)}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
		h.came <- at
	})}
	go func() { _ = s.Serve(l) }()
	return h, func() { _ = s.Close() }, nil
}

// probe posts, and returns how long it takes until the webhook that follows.
func (h *heard) probe(post func() error) (time.Duration, error) {
	began := time.Now()
	if err := post(); err != nil {
		return 0, err
	}
	select {
	case at := <-h.came:
		time.Sleep(20 * time.Millisecond) // it comes to rest
		return at.Sub(began), nil
	case <-time.After(tellWithin):
		return 0, fmt.Errorf("nothing came within %s", tellWithin)
	}
}

// first measures how long it takes from the post of an alert that opens an incident to its first
// webhook, by turns with Alertmanager, which keeps nothing.
func (p programs) first(_ context.Context, o options, s *sheet) ([]figure, error) {
	if p.alertmanager == "" {
		return nil, errWithoutAlertmanager
	}
	h, end, err := newHeard()
	if err != nil {
		return nil, err
	}
	defer end()
	const warm = 10 // that do not count
	n := o.sized(500)
	f, err := p.startFirst(n+warm, h)
	if err != nil {
		return nil, err
	}
	defer f.kill()
	am, err := p.startAlertmanagerFirst(h)
	if err != nil {
		return nil, err
	}
	defer am.Kill()
	var sitrep, alertmanager []time.Duration
	for i := range n + warm {
		one, err := h.probe(func() error {
			return postTo(f.url(0), rig.ReceiverToken, alertsBody(fmt.Sprintf("own-%03d", i), identity.Add(1), 1, "firing"))
		})
		if err != nil {
			return nil, fmt.Errorf("sitrep: %w\n%s", err, f.log())
		}
		other, err := h.probe(func() error { return postTo(am.URL()+"/api/v2/alerts", "", alertmanagerBody(i)) })
		if err != nil {
			return nil, fmt.Errorf("alertmanager: %w\n%s", err, am.Log())
		}
		if i >= warm {
			sitrep, alertmanager = append(sitrep, one), append(alertmanager, other)
		}
	}
	s.say("from the post to the webhook, %d times: sitrep p50 %s p99 %s; alertmanager p50 %s p99 %s", n,
		fine(quantile(sitrep, 50)), fine(quantile(sitrep, 99)), fine(quantile(alertmanager, 50)), fine(quantile(alertmanager, 99)))
	return []figure{
		atMost("from a post to the webhook, p50 ÷ Alertmanager's", ratio(quantile(sitrep, 50), quantile(alertmanager, 50)), 2.2, ""),
		atMost("from a post to the webhook, p99 ÷ Alertmanager's", ratio(quantile(sitrep, 99), quantile(alertmanager, 99)), 2.5, ""),
	}, nil
}

// startFirst starts a sitrep with so many SLOs, each with a webhook of its own.
func (p programs) startFirst(n int, h *heard) (fleet, error) {
	var groups, slos strings.Builder
	slos.WriteString("team: first\nslos:\n")
	for i := range n {
		fmt.Fprintf(&groups, "  - {name: own-%03d, webhooks: [{url: '%s/%03d'}]}\n", i, h.url, i)
		fmt.Fprintf(&slos, "  - {id: own-%03d, use_case: Own, sli: availability, priority: P1, stakeholders: [own-%03d]}\n", i, i)
	}
	return p.start(fmt.Sprintf(`
priorities:
  - {name: P1, summary: Severe, criteria: [A core use case is broken], inform: [stakeholders], update_every: 2h}
groups:
%sslo_files: [slos/*.yml]
`, &groups), map[string]string{"slos/first.yml": slos.String()}, "error")
}

// startAlertmanagerFirst starts an Alertmanager that tells of each alert at once.
func (p programs) startAlertmanagerFirst(h *heard) (*rig.Alertmanager, error) {
	home, err := os.MkdirTemp(p.dir, "alertmanager")
	if err != nil {
		return nil, err
	}
	am, err := rig.NewAlertmanager(p.alertmanager, home, fmt.Sprintf("route: {receiver: hook, group_by: [instance], group_wait: 0s}\nreceivers: [{name: hook, webhook_configs: [{url: '%s'}]}]\n", h.url))
	if err != nil {
		return nil, err
	}
	am.LogLevel = "warn"
	return am, am.Start()
}

// alertmanagerBody is that of a post of an alert to its API, of a group of its own.
func alertmanagerBody(i int) []byte {
	body, err := json.Marshal([]alert{{
		Labels: map[string]string{"alertname": "Load", "instance": fmt.Sprint(i)}, StartsAt: time.Now().UTC(), EndsAt: time.Now().Add(time.Hour),
	}})
	if err != nil {
		panic(err)
	}
	return body
}

// postTo posts a body to a URL, over a connection that is kept.
func postTo(url, token string, body []byte) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %s", resp.Status)
	}
	return err
}
