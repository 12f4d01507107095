package alertmanagers

import (
	"context"

	"sitrep/incident"
	"sitrep/router"
)

var _ router.Asker = (*Client)(nil)

// Ask asks all Alertmanagers, and returns what is known of each breach. The function
// can be used although there is an error, which names those that did not answer.
func (c *Client) Ask(ctx context.Context) (incident.Answer, error) {
	answer, err := c.Firing(ctx)
	return func(b *incident.Breach) incident.Verdict {
		heardAt := b.HeardAt
		if b.State == incident.Ended && b.AskAt.After(heardAt) {
			heardAt = b.AskAt
		}
		switch answer.Reports(b.Fingerprint, b.StartsAt, heardAt) {
		case Firing:
			return incident.Listed
		case NotReported:
			return incident.NotListed
		}
		return incident.CannotTell
	}, err
}
