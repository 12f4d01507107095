package access

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestWhatIsRememberedIsBounded(t *testing.T) {
	th, v := newThrottle(), newVerified()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 3 * maxWatched {
		var who [sha256.Size]byte
		binary.LittleEndian.PutUint64(who[:], uint64(i))
		for range freeFailures + 1 {
			th.failed(who, who, now)
		}
		v.add(who)
	}
	if len(th.seen) > maxWatched || len(v.seen) > maxVerified {
		t.Errorf("%d failures, %d verified", len(th.seen), len(v.seen))
	}
}

func TestThePenaltyGrowsAndEnds(t *testing.T) {
	th := newThrottle()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var who, last [sha256.Size]byte
	var got []time.Duration
	for range 12 {
		th.failed(who, last, now)
		wait, _ := th.wait(who, last, now)
		got = append(got, max(wait, 0))
	}
	want := []time.Duration{0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30}
	for i := range want {
		if got[i] != want[i]*time.Second {
			t.Fatalf("penalties = %v, want %v", got, want)
		}
	}
	if n := th.failed(who, last, now.Add(forgetAfter+1)); n != 1 {
		t.Errorf("after a while there are %d failures, want 1", n)
	}
}

func TestTheClientBehindATrustedProxy(t *testing.T) {
	rs := &ruleset{Rules: Rules{Proxy: &Proxy{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}}
	for _, tt := range []struct{ peer, forwarded, want string }{
		{"203.0.113.9:1", "", "203.0.113.9"},
		{"203.0.113.9:1", "198.51.100.7", "203.0.113.9"},
		{"10.0.0.1:1", "6.6.6.6, 198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:1", "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"},
		{"10.0.0.1:1", "nonsense", "10.0.0.1"},
		{"[::ffff:203.0.113.9]:1", "", "203.0.113.9"},
		{"[2001:db8:1:2:3::4]:1", "", "2001:db8:1:2::/64"},
		{"@", "", "@"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.peer
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := rs.client(r); got != tt.want {
			t.Errorf("%s via %q: %q, want %q", tt.peer, tt.forwarded, got, tt.want)
		}
	}
}
