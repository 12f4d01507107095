package ledger_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"sitrep/ledger"
)

// FuzzCheckpoint: no text is taken for signed that was not, and what is found in one can
// be read.
func FuzzCheckpoint(f *testing.F) {
	key := newKey(f, "example.org/ledger")
	signed, err := key.Sign(ledger.Checkpoint{Origin: "example.org/ledger", Size: 0, Root: new(ledger.Tree).Root(), At: time.Unix(1e9, 0)})
	if err != nil {
		f.Fatal(err)
	}
	text := string(signed)
	other := newKey(f, "example.org/ledger").Public()
	for _, s := range []string{
		text, strings.ReplaceAll(text, "\n", "\r\n"), "Dear all,\n\n" + text + "\n" + text + "bye\n", strings.Replace(text, "\n0\n", "\n-1\n", 1), strings.Replace(text, "\n0\n", "\n00\n", 1),
		strings.Replace(text, "time ", "time x", 1), text + text, "\n\n— a b\n", "a\n1\n\n\n— x AAAA\n", strings.Repeat("— \n", 1000), "\xff\n0\n\x00\n\n— \u202e x\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ledger.ReadCheckpoint(b); err == nil && (c.Size < 0 || c.Origin == "" || strings.Contains(c.Origin, "\n")) {
			t.Errorf("read %+v", c)
		}
		if c, err := ledger.OpenCheckpoint(b, other); err == nil {
			t.Errorf("a key signed %+v that never signed", c)
		}
		ledger.Signers(b)
		for _, found := range ledger.FindCheckpoints(b) {
			if _, err := ledger.ReadCheckpoint(found); err != nil || len(found) > len(b)+1 {
				t.Errorf("found %q: %v", found, err)
			}
		}
	})
}

// FuzzProofs: nothing proves a root that no log has.
func FuzzProofs(f *testing.F) {
	for _, s := range []string{
		"", "{}\n", `{"index":0,"kind":"event","hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}` + "\n", `{"index":0,"leaves":4611686018427387904,"hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`,
		`{"index":0,"leaves":-1}`, `{"index":0,"leaves":3}`, `{"index":1}`, "null\n", strings.Repeat("x", 70_000),
	} {
		f.Add([]byte(s), int64(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		c := ledger.Checkpoint{Origin: "x", Size: size & 0x7fffffffffffffff, Root: ledger.Hash{31: 9}}
		if p, err := ledger.ReadProofs(bytes.NewReader(b), c); err == nil {
			t.Errorf("%q proves a root that nobody has: %d leaves of %d", b, p.Len(), c.Size)
		}
	})
}
