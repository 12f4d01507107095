package storage

import (
	"context"
	"regexp"
	"time"

	"sitrep/incident"
)

// Retries are the messages that were tried, not handed over, and are tried again.
type Retries struct {
	Count     int       // up to 1,000
	Since     time.Time // when the first of them was made; zero if there are none
	LastError string    // of the latest, without addresses
}

// ReadRetries counts the messages that are tried again.
func ReadRetries(ctx context.Context, r Snapshot) (out Retries, err error) {
	page, _, err := r.Deliveries(ctx, DeliveryQuery{State: incident.DeliveryPending, Brief: true, Limit: 1000})
	for i := range page {
		d := &page[i]
		if d.Error == "" {
			continue
		}
		if out.Count++; out.Count == 1 {
			out.LastError = WithoutAddresses(d.Error)
		}
		if out.Since.IsZero() || d.CreatedAt.Before(out.Since) {
			out.Since = d.CreatedAt
		}
	}
	return out, err
}

var addresses = regexp.MustCompile(`[^\s"<>@]+@[^\s"<>@:;,]+`)

// WithoutAddresses returns what a server said without the email addresses in it, for those
// who may not see them.
func WithoutAddresses(text string) string { return addresses.ReplaceAllString(text, "…") }
