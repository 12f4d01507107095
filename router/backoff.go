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
)

// backoff returns how long to wait after that many failures in a row: doubling,
// with jitter of a fifth either way so that readers do not come back as a herd.
func backoff(failures int) time.Duration {
	wait := longestWait
	if failures < 6 {
		wait = min(firstWait<<max(failures-1, 0), longestWait)
	}
	return wait - wait/5 + rand.N(2*wait/5)
}
