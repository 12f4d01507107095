//go:build !unix

package bolt

import "io/fs"

// inodeOf returns the inode number of a file.
func inodeOf(fs.FileInfo) (uint64, bool) { return 0, false }

// ownerOf returns the user and the group that a file belongs to.
func ownerOf(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }
