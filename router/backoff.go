package router

import (
	"math/rand/v2"
	"time"
)

// The waits between attempts. The longest, with jitter and an attempt that hung before
// it, is below two minutes: that is how soon the first attempt is promised after an
// outage.
const (
	firstWait   = 3 * time.Second
	longestWait = time.Minute
	// longestSetupWait is the longest of a server that cannot be used, or refuses as things
	// are set up: once that is mended all is handed over within a minute.
	longestSetupWait = 30 * time.Second
)

// backoff returns how long to wait after that many failures in a row, up to a longest
// wait: doubling, with jitter of a fifth either way so that readers do not come back as a
// herd. It is whole microseconds, as times are stored.
func backoff(failures int, longest time.Duration) time.Duration {
	wait := longest
	if failures < 6 {
		wait = min(firstWait<<max(failures-1, 0), longest)
	}
	return (wait - wait/5 + rand.N(2*wait/5)).Truncate(time.Microsecond)
}
