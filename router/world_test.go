package router_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router/routertest"
)

// noon is when most tests begin.
var noon = incidenttest.Noon

// errLater is a refusal of a message for now.
var errLater = errors.New("451 try again later")

// policy is the example organisation's, for whom a breach stays as it is for long, and
// that is not reminded.
func policy() *incident.Policy {
	p := incidenttest.Policy()
	p.Priorities[0].Actions = p.Priorities[0].Actions[:1] // the hotfix
	p.UnknownAfter, p.RemindBefore = 1000*time.Hour, 0
	return p
}

// ctoAlone is the policy when the cto alone reads.
func ctoAlone() *incident.Policy {
	p := policy()
	p.Groups, p.Teams[0].OnCall = p.Groups[:1], nil
	return p
}

// refuseMails refuses mails with an error, and takes what goes to webhooks.
func refuseMails(err error) routertest.Behaviour {
	return func(m *routertest.Mail) error {
		if m.Recipient.Channel == incident.ChannelWebhook {
			return nil
		}
		return err
	}
}

// A world is that of routertest, with what only these tests say.
type world struct {
	*routertest.World
	t testing.TB
}

func newWorld(t testing.TB, o routertest.Options) *world { return &world{routertest.New(t, o), t} }

// bubble runs a test in virtual time, from noon on. The scheduler sleeps for up to a
// minute when nothing is due, which is cheaper than a second for hours and days.
func bubble(t *testing.T, p *incident.Policy, test func(t *testing.T, w *world)) {
	t.Helper()
	bubbleEvery(t, time.Minute, p, test)
}

func bubbleEvery(t *testing.T, poll time.Duration, p *incident.Policy, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: p, Poll: poll})
		w.Start()
		test(t, w)
	})
}
