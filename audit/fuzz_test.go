package audit_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/storage/bolt"
)

// exportOf returns an export of a sample, which one key signed, and the key of a stranger.
func exportOf(f *testing.F) (b []byte, s sample, stranger string) {
	f.Helper()
	s = newSample(f, 1)
	db, err := bolt.OpenReadOnly(f.Context(), s.path)
	if err != nil {
		f.Fatal(err)
	}
	b, _ = export(f, db, audit.ExportOptions{Now: noon.Add(time.Hour), Key: s.key})
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	return b, s, testKey(f, "example.org/sitrep").Public()
}

// checkNobodySigned verifies an export that the stranger did not sign.
func checkNobodySigned(t *testing.T, b []byte, stranger string, kept ...[]byte) {
	t.Helper()
	for _, o := range []audit.VerifyOptions{{}, {Keys: []string{stranger}, Checkpoints: kept}} {
		v, err := audit.VerifyExport(context.Background(), bytes.NewReader(b), int64(len(b)), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Keys) > 0 && v.OK() || len(v.Findings) > 100 {
			t.Fatalf("it is called right: %+v", v)
		}
	}
}

// FuzzVerifyExport: whatever is given for an export, what nobody signed is never called
// right, and looking at it ends.
func FuzzVerifyExport(f *testing.F) {
	b, s, stranger := exportOf(f)
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte("PK\x05\x06" + string(make([]byte, 18))))
	f.Add(audit.Rezip(f, b, func(_, content string) (string, bool) { return content[:len(content)/2], true }))
	f.Fuzz(func(t *testing.T, b []byte) { checkNobodySigned(t, b, stranger, s.checkpoint, b) })
}

// FuzzVerifyFiles is the same for a zip that is whole and has one file of its own.
func FuzzVerifyFiles(f *testing.F) {
	b, s, stranger := exportOf(f)
	names := slices.Sorted(maps.Keys(files(f, b)))
	for i, name := range names {
		content := files(f, b)[name]
		if len(content) > 2000 {
			content = content[:2000]
		}
		f.Add(uint8(i), []byte(content))
	}
	f.Add(uint8(0), []byte("{\"index\":-1,\"leaf\":{}}\n"))
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		name := names[int(which)%len(names)]
		changed := audit.Rezip(t, b, func(of, was string) (string, bool) {
			if of == name {
				return string(content), true
			}
			return was, true
		})
		checkNobodySigned(t, changed, stranger, s.checkpoint)
	})
}
