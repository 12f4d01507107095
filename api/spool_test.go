package api

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// TestLongAnswersWaitOnDisk: of a report that somebody reads slowly memory holds nothing,
// and short ones need no disk.
func TestLongAnswersWaitOnDisk(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, size := range []int{0, 1, maxChunk - 1, maxChunk, maxChunk + 1, 10*maxChunk + 7} {
		var s spool
		want := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		for rest := want; len(rest) > 0; {
			n := min(1000, len(rest))
			if k, err := s.Write(rest[:n]); k != n || err != nil {
				t.Fatalf("wrote %d of %d: %v", k, n, err)
			}
			rest = rest[n:]
		}
		r, err := s.reader()
		if err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if long := size >= maxChunk; len(files) != 0 != long || long && s.memory.Cap() != 0 {
			t.Errorf("%d bytes are in %d files, and %d in memory", size, len(files), s.memory.Cap())
		}
		if got, err := io.ReadAll(r); !bytes.Equal(got, want) || s.size != int64(size) || err != nil {
			t.Errorf("%d of %d bytes came back, the size is %d: %v", len(got), size, s.size, err)
		}
		s.close()
		if files, err := os.ReadDir(dir); len(files) != 0 || err != nil {
			t.Errorf("%d files are left: %v", len(files), err)
		}
	}
}

// TestWithoutADiskLongAnswersFail: the error says what was to be done.
func TestWithoutADiskLongAnswersFail(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/none")
	var s spool
	defer s.close()
	if _, err := s.Write(make([]byte, maxChunk)); err == nil {
		t.Error("written to nowhere")
	}
}
