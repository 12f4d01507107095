package audit_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/storage/bolt"
)

// FuzzVerifyExport: whatever is given for an export, what nobody signed is never called
// right, and looking at it ends.
func FuzzVerifyExport(f *testing.F) {
	s := newSample(f, 1)
	db, err := bolt.OpenReadOnly(s.path)
	if err != nil {
		f.Fatal(err)
	}
	b, _ := export(f, db, audit.ExportOptions{Now: noon.Add(time.Hour), Key: s.key})
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte("PK\x05\x06" + string(make([]byte, 18))))
	f.Add(audit.Rezip(f, b, func(name, content string) (string, bool) { return content + "x", name != "proofs.jsonl" }))
	f.Add(audit.Rezip(f, b, func(_, content string) (string, bool) { return content[:len(content)/2], true }))
	stranger := testKey(f, "example.org/sitrep").Public()
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, o := range []audit.VerifyOptions{{}, {Keys: []string{stranger}, Checkpoints: [][]byte{s.checkpoint, b}}} {
			v, err := audit.VerifyExport(context.Background(), bytes.NewReader(b), int64(len(b)), o)
			if err != nil {
				t.Fatal(err)
			}
			if len(o.Keys) > 0 && v.OK() || len(v.Findings) > 100 {
				t.Fatalf("it is called right: %+v", v)
			}
		}
	})
}
