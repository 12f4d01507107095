package postgrestest

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// Disk returns a folder that is a file system of its own, and the server's, for a tablespace. The
// error is that it takes root to make one.
func (c *Cluster) Disk(t testing.TB, bytes int) (string, error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sitrep-disk-")
	if err != nil {
		return "", err
	}
	t.Cleanup(func() {
		_ = syscall.Unmount(dir, syscall.MNT_DETACH) // it goes with the server
		_ = os.Remove(dir)
	})
	options := fmt.Sprintf("size=%d,mode=0700", bytes)
	if who := c.as.Credential; who != nil {
		options += fmt.Sprintf(",uid=%d,gid=%d", who.Uid, who.Gid)
	}
	return dir, syscall.Mount("none", dir, "tmpfs", 0, options)
}
