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
func (c *Client) Ask(ctx context.Context) (incident.Answer, error) {
	answers, err := c.Firing(ctx)
	return func(b *incident.Breach) incident.Verdict {
		answer := answers.Others
		if b.Grafana {
			answer = answers.Grafana
		}
		heardAt := b.HeardAt
		if b.State == incident.BreachEnded && b.AskAt.After(heardAt) {
			heardAt = b.AskAt // it was heard to fire then, and that is in doubt
		}
		return answer.Reports(b.Fingerprint, heardAt)
	}, err
}
