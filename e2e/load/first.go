package main

import (
	"bytes"
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

// probe posts so many times, one after the other, and waits for the webhook that follows. The first
// few do not count.
func (h *heard) probe(n int, post func(i int) error) (all []time.Duration, err error) {
	const warm = 10
	for i := range n + warm {
		began := time.Now()
		if err := post(i); err != nil {
			return nil, err
		}
		select {
		case at := <-h.came:
			if i >= warm {
				all = append(all, at.Sub(began))
			}
		case <-time.After(tellWithin):
			return nil, fmt.Errorf("nothing came within %s", tellWithin)
		}
		time.Sleep(20 * time.Millisecond) // it has come to rest
	}
	return all, nil
}

// first prints how long it takes from the post of an alert that opens an incident to its first
// webhook, beside Alertmanager, which keeps nothing.
func (p programs) first(n int, out io.Writer) error {
	h, end, err := newHeard()
	if err != nil {
		return err
	}
	defer end()
	sitrep, err := p.sitrepFirst(n, h)
	if err != nil {
		return fmt.Errorf("sitrep: %w", err)
	}
	fmt.Fprintf(out, "from the post to the webhook: sitrep p50 %s p99 %s", fine(sitrep, 50), fine(sitrep, 99))
	if p.alertmanager != "" {
		am, err := p.alertmanagerFirst(n, h)
		if err != nil {
			return fmt.Errorf("alertmanager: %w", err)
		}
		fmt.Fprintf(out, "; alertmanager p50 %s p99 %s (%.1f and %.1f times that)", fine(am, 50), fine(am, 99),
			ratio(quantile(sitrep, 50), quantile(am, 50)), ratio(quantile(sitrep, 99), quantile(am, 99)))
	}
	fmt.Fprintln(out)
	return nil
}

func (p programs) sitrepFirst(n int, h *heard) ([]time.Duration, error) {
	var groups, slos strings.Builder
	slos.WriteString("team: first\nslos:\n")
	for i := range n + 100 {
		fmt.Fprintf(&groups, "  - {name: own-%03d, webhooks: [{url: '%s/%03d'}]}\n", i, h.url, i)
		fmt.Fprintf(&slos, "  - {id: own-%03d, use_case: Own, sli: availability, priority: P1, stakeholders: [own-%03d]}\n", i, i)
	}
	f, err := p.start(fmt.Sprintf(`
priorities:
  - {name: P1, summary: Severe, criteria: [A core use case is broken], inform: [stakeholders], update_every: 2h}
groups:
%sslo_files: [slos/*.yml]
`, &groups), map[string]string{"slos/first.yml": slos.String()}, "error")
	if err != nil {
		return nil, err
	}
	defer f.kill()
	all, err := h.probe(n, func(i int) error { return fire(f[0], fmt.Sprintf("own-%03d", i), 1) })
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, f.log())
	}
	return all, nil
}

func (p programs) alertmanagerFirst(n int, h *heard) ([]time.Duration, error) {
	home, err := os.MkdirTemp(p.dir, "alertmanager")
	if err != nil {
		return nil, err
	}
	am, err := rig.NewAlertmanager(p.alertmanager, home, fmt.Sprintf("route: {receiver: hook, group_by: [instance], group_wait: 0s}\nreceivers: [{name: hook, webhook_configs: [{url: '%s'}]}]\n", h.url))
	if err != nil {
		return nil, err
	}
	am.LogLevel = "warn"
	if err := am.Start(); err != nil {
		return nil, err
	}
	defer am.Kill()
	return h.probe(n, func(i int) error {
		body, err := json.Marshal([]alert{{
			Labels: map[string]string{"alertname": "Load", "instance": fmt.Sprint(i)}, StartsAt: time.Now().UTC(), EndsAt: time.Now().Add(time.Hour),
		}})
		if err != nil {
			return err
		}
		resp, err := http.Post(am.URL()+"/api/v2/alerts", "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("answered %s", resp.Status)
		}
		return err
	})
}

// fine is quantile with more digits.
func fine(all []time.Duration, percent int) time.Duration {
	return quantile(all, percent).Round(10 * time.Microsecond)
}
