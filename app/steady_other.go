//go:build !linux

package app

import "time"

// steadyClock returns nil: the system has no clock that goes on while the machine is suspended.
func steadyClock() func() time.Duration { return nil }
