package router

import (
	"errors"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

const (
	// verdictFor is for how long it counts that a server took a mail for somebody else.
	verdictFor = 10 * time.Minute
	// refusesAfter is for how long a server has to refuse all alike until that is said to be
	// the set-up.
	refusesAfter = 20 * time.Second
	// quick is how soon a mail server takes what it is given to be given more at once, up to
	// mostHands times as much; once something takes as long as sluggish, that is over.
	quick, sluggish = 250 * time.Millisecond, time.Second
	mostHands       = 4
)

// A server is what the recipients of one mail server, or of the webhooks of one host, have
// in common: hands that serve them, and what is known of how it fares. Slow ones use up
// their own hands alone. Its times are of a steady clock, as they are never stored.
type server struct {
	channel incident.Channel
	name    string // of a webhook's: scheme and host

	mu    sync.Mutex
	busy  int // hands in use
	own   int // hands, as it is configured
	hands int // there are, as long as it fares well: more of one that is quick
	width int // of them that may be used at once

	retryAt   time.Time // nothing is tried before
	slowed    bool      // it asked for less, and width grows one by one
	failures  int       // in a row that spoke of the server
	failingAt time.Time // since when
	failedAt  time.Time // the last
	lastError string

	taken     map[string]time.Time // when it last took something for a recipient, the last verdictFor at least
	swept     time.Time            // when older ones were last dropped
	refused   map[string]struct{}  // the recipients refused alike since it took something
	refusedAt time.Time            // since when
	refusal   string               // the last of those refusals
	mended    time.Time            // when it last took something after it had refused all alike
	found     map[string]struct{}  // the recipients who found out that it cannot be used
	foundAt   time.Time            // when it last could not be used, or refused somebody alike
}

func newServer(channel incident.Channel, name string, hands int) *server {
	return &server{channel: channel, name: name, own: hands, hands: hands, width: hands, taken: map[string]time.Time{}, refused: map[string]struct{}{}, found: map[string]struct{}{}}
}

// free returns how many more hands may be used now, and when that may be more without
// one coming back; zero if nothing is waited for.
func (s *server) free(at time.Time) (n int, later time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retryAt.After(at) {
		return 0, s.retryAt
	}
	return max(s.width-s.busy, 0), time.Time{}
}

// foundOut reports whether a recipient found out that it cannot be used: then it is the
// turn of others to find out whether that is still so.
func (s *server) foundOut(recipient string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.found[recipient]
	return is
}

// tryTake takes a hand if one may be used now.
func (s *server) tryTake(at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retryAt.After(at) || s.busy >= s.width {
		return false
	}
	s.busy++
	return true
}

func (s *server) take(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy += n
}

// outcome notes what an attempt that began at a time says of the server, and reports whether
// something was or is wrong with it.
func (s *server) outcome(recipient string, began time.Time, err error) (wrong bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.failures+len(s.refused) > 0
	s.note(recipient, began, err)
	return was || s.failures+len(s.refused) > 0
}

func (s *server) note(recipient string, began time.Time, err error) {
	at := time.Now()
	rate := errors.Is(err, ErrRate)
	if rate || errors.Is(err, ErrServer) {
		s.lastError, s.failedAt, s.foundAt = err.Error(), at, at
		s.found[recipient] = struct{}{}
		if s.failures > 0 && began.Before(s.retryAt) && !s.retryAt.IsZero() {
			return // under way when that was known
		}
		if s.failures++; s.failures == 1 {
			s.failingAt = at
		}
		wait := asked(err)
		if wait == 0 {
			wait = backoff(s.failures, longestSetupWait)
		}
		s.retryAt, s.slowed, s.hands = at.Add(wait), rate, s.own
		if s.width = max(min(s.width, s.hands)/2, 1); !rate {
			s.width = 1 // that finds out when it is back
		}
		return
	}
	if err != nil && errors.Is(err, ErrReader) {
		return
	}
	// It was reached.
	s.fit(at.Sub(began))
	if s.failures > 0 && !began.Before(s.failingAt) {
		s.failures, s.retryAt = 0, time.Time{}
		clear(s.found)
	}
	if s.width++; s.width > s.hands || !s.slowed && s.failures == 0 {
		s.width, s.slowed = s.hands, false
	}
	switch {
	case err == nil:
		s.took(recipient, at)
	case errors.Is(err, ErrDoubtful), errors.Is(err, ErrSetup):
		if len(s.refused) == 0 {
			s.refusedAt = at
		}
		s.refused[recipient], s.refusal, s.foundAt = struct{}{}, err.Error(), at
	}
}

// fit fits the hands to how long an attempt took, with the wait for one of the connections that
// the sender bounds. What waits there is planned and grows stale, so there are few where that takes
// long; where it does not, hands are waiting for commits, of which each holds what many hands have.
func (s *server) fit(took time.Duration) {
	switch {
	case s.channel != incident.ChannelEmail: // hands are all that bounds the connections
	case took >= sluggish:
		s.hands = s.own
		s.width = min(s.width, s.hands)
	case took <= quick:
		s.hands = min(s.hands+1, mostHands*s.own)
	}
}

// took notes that a message for a recipient was taken.
func (s *server) took(recipient string, at time.Time) {
	if _, itself := s.refused[recipient]; itself || len(s.refused) > 1 && s.refusesAll(at) {
		s.mended = at
	}
	clear(s.refused)
	s.refusal = ""
	if at.Sub(s.swept) > time.Minute { // those who ask look at the times
		s.swept = at
		for id, t := range s.taken {
			if at.Sub(t) > verdictFor {
				delete(s.taken, id)
			}
		}
	}
	s.taken[recipient] = at
}

// refusesAll reports whether it is the set-up: for a while it has taken nothing, and
// refused several alike, or the only one whom it is given.
func (s *server) refusesAll(at time.Time) bool {
	if len(s.refused) == 0 || at.Sub(s.refusedAt) < refusesAfter {
		return false
	}
	for id, t := range s.taken {
		if _, is := s.refused[id]; !is && len(s.refused) == 1 && at.Sub(t) <= verdictFor {
			return false
		}
	}
	return true
}

// unusable reports whether for a while it has kept what is due to a recipient from going out:
// it could not be used, or refuses all alike and did so to this one. Found is when it last
// turned out so.
func (s *server) unusable(recipient string) (found time.Time, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now()
	if s.failures > 0 && at.Sub(s.failingAt) >= refusesAfter {
		return s.foundAt.UTC(), true
	}
	_, refused := s.refused[recipient]
	return s.foundAt.UTC(), refused && s.refusesAll(at)
}

// condemns reports whether a refusal of a recipient that may be final is: the server took
// something for somebody else in the last time, and not only because what was wrong with it
// was mended since. The refusal is that many ago.
func (s *server) condemns(recipient string, ago time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now()
	refused := at.Add(-ago)
	if s.mended.After(refused) {
		return false
	}
	for id, t := range s.taken {
		if id != recipient && refused.Sub(t) <= verdictFor && t.Sub(refused) <= verdictFor {
			return true
		}
	}
	return false
}

// why says what was wrong with it at some time in the last while, empty if nothing was.
func (s *server) why(ago time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failedAt.IsZero() || time.Since(s.failedAt) > ago {
		return ""
	}
	return s.lastError
}

// state says how it fares.
func (s *server) state() ServerState {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, at := ServerState{Channel: s.channel, Name: s.name}, time.Now()
	switch {
	case s.failures > 0:
		out.FailingSince, out.Error = s.failingAt.UTC().Truncate(time.Microsecond), s.lastError
	case s.refusesAll(at):
		out.FailingSince, out.Error, out.RefusesAll = s.refusedAt.UTC().Truncate(time.Microsecond), s.refusal, true
	}
	out.Error = storage.WithoutAddresses(out.Error)
	return out
}

// A ServerState says how a mail server, or the host of webhooks, fares.
type ServerState struct {
	Channel incident.Channel
	Name    string // of webhooks: scheme and host
	// FailingSince is since when it cannot be used, or refuses all alike; zero if neither.
	FailingSince time.Time
	// RefusesAll is set if it can be used, and refuses all alike.
	RefusesAll bool
	Error      string // the last, without email addresses
}
