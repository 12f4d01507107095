package audit

import (
	"archive/zip"
	"bytes"
	"io"
	"testing"
)

// Rezip makes the zip of an export once more, with other files: as somebody can who
// knows how it is made, and has no key.
func Rezip(t testing.TB, b []byte, change func(name, content string) (string, bool)) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	a := newArchive(&out, z.File[0].Modified)
	for _, f := range z.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		changed, keep := change(f.Name, string(content))
		if !keep {
			continue
		}
		if err := a.put(f.Name, []byte(changed)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
