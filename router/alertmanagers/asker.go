package alertmanagers

import (
	"context"

	"sitrep/incident"
	"sitrep/router"
)

var _ router.Asker = (*Client)(nil)

// Ask asks all Alertmanagers, and returns what is known of each breach. Of one that
// came from Grafana only Grafana can say something, and only it: where it is not
// among those that are configured, nothing is known. The function can be used
// although there is an error, which names those that did not answer.
func (c *Client) Ask(ctx context.Context) (func(b *incident.Breach) router.Verdict, error) {
	answers, err := c.Firing(ctx)
	return func(b *incident.Breach) router.Verdict {
		answer := answers.Others
		if b.Grafana {
			answer = answers.Grafana
		}
		heardAt := b.HeardAt
		if b.DoubtedAt.After(heardAt) {
			heardAt = b.DoubtedAt
		}
		switch answer.Reports(b.Fingerprint, heardAt) {
		case Firing:
			return router.StillFiring
		case NotReported:
			return router.NotReported
		}
		return router.CannotTell
	}, err
}
