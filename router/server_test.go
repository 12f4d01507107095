package router

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
)

// A mail server that takes what it is given at once is given more, up to a bound, and no more than
// at first once something takes long. The connections to a host of webhooks are bounded by its hands
// alone, so it gets no more.
func TestAQuickMailServerIsGivenMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := func(s *server) int {
			n, _ := s.free(time.Now())
			return n
		}
		attempt := func(s *server, took time.Duration, err error) {
			began := time.Now()
			time.Sleep(took)
			s.outcome("email:a@example.org", began, err)
		}
		mail, hook := newServer(incident.ChannelEmail, "", 8), newServer(incident.ChannelWebhook, "https://hooks.example.org", 8)
		for range 100 {
			attempt(mail, quick, nil)
			attempt(hook, quick, nil)
		}
		if m, h := free(mail), free(hook); m != mostHands*8 || h != 8 {
			t.Errorf("the mail server has %d hands free, the host %d", m, h)
		}
		attempt(mail, sluggish/2, nil)
		if n := free(mail); n != mostHands*8 {
			t.Errorf("after an attempt that is neither quick nor slow it has %d", n)
		}
		attempt(mail, sluggish, errors.New("refused for now"))
		if n := free(mail); n != 8 {
			t.Errorf("after a slow attempt it has %d", n)
		}
		for range 100 {
			attempt(mail, quick, nil)
		}
		attempt(mail, 0, ErrServer)
		time.Sleep(time.Hour)
		attempt(mail, 0, nil)
		if n := free(mail); n > 9 {
			t.Errorf("back after it could not be used, it has %d", n)
		}
	})
}
