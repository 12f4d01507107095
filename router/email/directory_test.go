package email

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out", "box")
	d, err := NewDirectory(dir, letterhead)
	if err != nil {
		t.Fatal(err)
	}
	names := func() []string {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, f := range files {
			out = append(out, f.Name())
		}
		return out
	}
	e := envelope(t, "cto@example.org")
	lost := errors.New("another has taken over")
	if err := d.Send(t.Context(), e, func(context.Context) error { return lost }); !errors.Is(err, lost) || len(names()) != 0 {
		t.Fatalf("error %v, files %q; want none", err, names())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Send(ctx, e, carryOn); !errors.Is(err, context.Canceled) || len(names()) != 0 {
		t.Fatalf("error %v, files %q; want none", err, names())
	}
	for range 2 {
		if err := d.Send(t.Context(), e, carryOn); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(); len(got) != 1 || got[0] != "20260723T135900Z-d-20260723-0042.eml" {
		t.Fatalf("files %q", got)
	}
	if b, err := os.ReadFile(filepath.Join(dir, names()[0])); err != nil || !bytes.Equal(b, e.Body) {
		t.Errorf("the file is not the mail: %v", err)
	}
	e.ID = "../../../etc/x\x00" + strings.Repeat("y", 500)
	if err := d.Send(t.Context(), e, carryOn); err != nil {
		t.Fatal(err)
	}
	if got := names(); len(got) != 2 || len(got[0]) > 150 {
		t.Errorf("files %q", got)
	}
}
