package main

import (
	"os"
	"syscall"
)

// syncData syncs what is in a file, as bbolt does for each commit, twice.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
