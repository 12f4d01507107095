//go:build !linux

package main

import "os"

// syncData syncs what is in a file, as bbolt does for each commit, twice.
func syncData(f *os.File) error { return f.Sync() }
