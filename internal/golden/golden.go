// Package golden compares what a test made with the file that is kept of it. With the flag -update the
// file is written anew, to be read before it is committed.
package golden

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write anew the files that tests compare with")

// Update reports whether files are to be written anew.
func Update() bool { return *update }

// Compare fails the test where the file is not got, and names the first line that differs.
func Compare(t testing.TB, file string, got []byte) {
	t.Helper()
	if Update() {
		Write(t, file, got)
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; write it with -update", err)
	}
	if bytes.Equal(got, want) {
		return
	}
	is, was := bytes.SplitAfter(got, []byte("\n")), bytes.SplitAfter(want, []byte("\n"))
	n := 0
	for n < len(is)-1 && n < len(was)-1 && bytes.Equal(is[n], was[n]) {
		n++
	}
	t.Errorf("%s:%d is\n%q\nand is made as\n%q\nIf that is right, write it anew: go test -run %s -update", file, n+1, was[n], is[n], t.Name())
}

// Write writes a file, and makes its folder.
func Write(t testing.TB, file string, body []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, body, 0o644); err != nil {
		t.Fatal(err)
	}
}
