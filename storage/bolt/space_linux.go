package bolt

import (
	"fmt"
	"path/filepath"
	"syscall"
)

// Free returns how many bytes the file system that holds path has left for sitrep.
func Free(path string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &s); err != nil {
		return 0, fmt.Errorf("ask for the free space at %q: %w", path, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
