package app

import (
	"time"

	"golang.org/x/sys/unix"
)

// steadyClock returns a clock that nobody sets, and that goes on while the machine is
// suspended; nil if the system has none.
func steadyClock() func() time.Duration {
	read := func() (time.Duration, error) {
		var ts unix.Timespec
		err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
		return time.Duration(ts.Nano()), err
	}
	if _, err := read(); err != nil {
		return nil
	}
	return func() time.Duration {
		at, _ := read() // what worked once does
		return at
	}
}
