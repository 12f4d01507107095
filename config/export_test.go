package config

import (
	"context"
	"time"
)

// Examined returns how many SLOs Lookup looks at.
func Examined(c *Config, set map[string]string) int {
	_, n := c.index.find(set)
	return n
}

// Hanging returns a load on a disk that hangs until release is closed, and is given
// up after limit.
func Hanging(release <-chan struct{}, limit time.Duration) func(context.Context) error {
	d := newDisk()
	d.within = limit
	return func(ctx context.Context) error {
		_, err := within(d.visit(ctx), "slos", func() (int, error) { <-release; return 0, nil })
		return err
	}
}
