//go:build !linux

package bolt

import (
	"errors"
	"fmt"
)

// Free returns how many bytes the file system that holds path has left for sitrep.
func Free(path string) (int64, error) {
	return 0, fmt.Errorf("ask for the free space at %q: %w", path, errors.ErrUnsupported)
}
