package postgres

import (
	"net"
	"time"
)

// unacknowledged is how long what was sent may stay unacknowledged by the other machine until the
// connection is given up: also what is sent still, of one that was closed meanwhile, so that no
// commit arrives long after it was given up.
const unacknowledged = 10 * time.Second

// newDialer returns what connects to the database.
func newDialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         limitUnacknowledged,
	}
}
