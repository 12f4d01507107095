//go:build !linux

package postgrestest

import (
	"errors"
	"testing"
)

// Disk returns a folder that is a file system of its own; here it never does.
func (c *Cluster) Disk(testing.TB, int) (string, error) { return "", errors.ErrUnsupported }
