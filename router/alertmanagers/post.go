package alertmanagers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/router"
)

// maxRefusal is how many bytes are read of what an Alertmanager says when it takes no alert.
const maxRefusal = 1 << 10

// A Poster posts the canary's alert. It is safe for use by several goroutines at once.
type Poster struct {
	endpoints []Endpoint
	labels    map[string]string
	source    string
}

var _ router.Poster = (*Poster)(nil)

// NewPoster returns a Poster to each of the endpoints. The alert has those labels besides its
// own, and links to source, the URL of sitrep.
func NewPoster(endpoints []Endpoint, labels map[string]string, source string) *Poster {
	return &Poster{endpoints: New(endpoints).endpoints, labels: maps.Clone(labels), source: source}
}

// A postedAlert is one as Alertmanager's API takes it.
type postedAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// Post implements [router.Poster]. The error names those that did not take it, by scheme and
// host alone.
func (p *Poster) Post(ctx context.Context, run string, began, until time.Time) (taken int, err error) {
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	labels := map[string]string{"alertname": incident.CanaryAlert}
	maps.Copy(labels, p.labels)
	labels[incident.CanaryLabel] = run
	body, err := json.Marshal([]postedAlert{{
		Labels:      labels,
		Annotations: map[string]string{"summary": "sitrep sees whether alerts reach it", "description": "Nothing is broken. It ends by itself, and opens no incident."},
		StartsAt:    began, EndsAt: until, GeneratorURL: p.source,
	}})
	if err != nil {
		return 0, fmt.Errorf("encode the canary: %w", err)
	}
	errs := make([]error, len(p.endpoints))
	var wg sync.WaitGroup
	for i, e := range p.endpoints {
		wg.Go(func() {
			if err := post(ctx, e, body); err != nil {
				errs[i] = fmt.Errorf("post the canary to Alertmanager %q: %w", place(e.URL), err)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			taken++
		}
	}
	return taken, errors.Join(errs...)
}

// post posts alerts to one Alertmanager.
func post(ctx context.Context, e Endpoint, body []byte) error {
	req, err := request(ctx, e, http.MethodPost, "/api/v2/alerts", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.Client.Do(req)
	if err != nil {
		return bare(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what is missing of it does not matter
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("answered %s: %s", resp.Status, strings.ToValidUTF8(strings.TrimSpace(string(said)), ""))
	}
	return nil
}
