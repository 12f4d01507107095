package alertmanagers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// An alert is what matters here of one entry of GET /api/v2/alerts. Its state is not
// read: active, suppressed and unprocessed are all firing.
type alert struct {
	Fingerprint string    `json:"fingerprint"`
	EndsAt      time.Time `json:"endsAt"`
}

// decode reads a list of alerts, one at a time, and returns the fingerprints of
// those that fire at now.
func decode(r io.Reader, now time.Time) (map[string]struct{}, error) {
	dec := json.NewDecoder(r)
	if tok, err := dec.Token(); err != nil {
		return nil, err
	} else if tok != json.Delim('[') {
		return nil, errors.New("the answer is not a list")
	}
	firing := make(map[string]struct{})
	for dec.More() {
		var a alert
		if err := dec.Decode(&a); err != nil {
			return nil, err
		}
		if a.Fingerprint == "" {
			return nil, errors.New("an alert without fingerprint")
		}
		if a.EndsAt.IsZero() || a.EndsAt.After(now) {
			firing[a.Fingerprint] = struct{}{}
		}
	}
	// Without the end of the list the rest is missing, and what is missing would be
	// taken for ended.
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("the list is cut short: %w", err)
	}
	return firing, nil
}

// started returns when an Alertmanager started; zero if it does not say.
func started(ctx context.Context, e Endpoint) (time.Time, error) {
	resp, err := get(ctx, e, "/api/v2/status")
	if err != nil {
		return time.Time{}, err
	}
	defer resp.Body.Close()
	// A proxy may let only the alerts through, and so may the rights of a token of Grafana.
	if resp.StatusCode != http.StatusOK {
		return time.Time{}, nil
	}
	var status struct {
		Uptime time.Time `json:"uptime"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&status); err != nil {
		return time.Time{}, nil
	}
	return status.Uptime.UTC(), nil
}
