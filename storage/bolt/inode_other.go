//go:build !unix

package bolt

import "io/fs"

// inodeOf returns the inode number of a file.
func inodeOf(fs.FileInfo) (uint64, bool) { return 0, false }
