package ledger_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sitrep/ledger"
)

func newKey(t testing.TB, origin string) *ledger.Key {
	t.Helper()
	k, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k *ledger.Key, c ledger.Checkpoint) []byte {
	t.Helper()
	signed, err := k.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestCheckpoint(t *testing.T) {
	key := newKey(t, "example.org/ledger")
	for _, n := range []int{0, 1, 1000} {
		c := newMemory(n).checkpoint(key.Origin())
		signed := sign(t, key, c)
		got, err := ledger.OpenCheckpoint(signed, newKey(t, "b").Public(), key.Public())
		if err != nil || got != c {
			t.Errorf("%d leaves: %+v, %v; want %+v", n, got, err, c)
		}
		if got, err = ledger.ReadCheckpoint(signed); err != nil || got != c {
			t.Errorf("%d leaves: read %+v, %v; want %+v", n, got, err, c)
		}
	}
	signed := string(sign(t, key, newMemory(7).checkpoint("")))
	lines := strings.Split(signed, "\n")
	if lines[0] != "example.org/ledger" || lines[1] != "7" || lines[3] != "time 2026-03-01T12:00:00Z" || lines[4] != "" ||
		!strings.HasPrefix(lines[5], "— example.org/ledger ") {
		t.Errorf("the note is\n%s", signed)
	}
}

func TestCheckpointWithoutTimeOrWithMore(t *testing.T) {
	c := newMemory(3).checkpoint("")
	head := "log\n3\n" + c.Root.String() + "\n"
	for text, want := range map[string]bool{
		head:            true,
		head + "more\n": true,
		head + "more\ntime 2026-03-01T12:00:00Z\n": true,
		head + "time yesterday\n":                  false,
		"log\n3\n":                                 false,
		"\n3\n" + c.Root.String() + "\n":           false,
		"log\n+3\n" + c.Root.String() + "\n":       false,
		"log\n03\n" + c.Root.String() + "\n":       false,
		"log\n-3\n" + c.Root.String() + "\n":       false,
		"log\n0\n" + c.Root.String() + "\n":        false,
		"log\n3\nAAAA\n":                           false,
		"":                                         false,
	} {
		_, err := ledger.ReadCheckpoint([]byte(text + "\n— log AAAA\n"))
		if (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCheckpointOfAnotherIsRefused(t *testing.T) {
	key, other := newKey(t, "log"), newKey(t, "log")
	signed := sign(t, key, newMemory(3).checkpoint(""))
	if _, err := ledger.OpenCheckpoint(signed, other.Public()); !errors.Is(err, ledger.ErrNotSigned) {
		t.Errorf("another key of the same name: %v", err)
	}
	if _, err := ledger.OpenCheckpoint(signed, newKey(t, "elsewhere").Public()); !errors.Is(err, ledger.ErrNotSigned) {
		t.Errorf("another name: %v", err)
	}
	if _, err := ledger.OpenCheckpoint(signed); !errors.Is(err, ledger.ErrNotSigned) {
		t.Errorf("no key: %v", err)
	}
	if _, err := ledger.OpenCheckpoint(signed, "log+00000000+AAAA"); !errors.Is(err, ledger.ErrBadKey) {
		t.Errorf("a public key that is none: %v", err)
	}
	if _, err := ledger.OpenCheckpoint(append(signed, bytes.Repeat([]byte("x"), 1<<20)...), key.Public()); err == nil {
		t.Error("a huge note")
	}
}

// The base64 of a signature has bits that mean nothing. Whatever is changed, the note
// is refused or says what it said.
func TestEveryByteOfACheckpointCounts(t *testing.T) {
	r := random()
	key := newKey(t, "log")
	c := newMemory(12).checkpoint("log")
	signed := sign(t, key, c)
	text := bytes.Index(signed, []byte("\n\n"))
	accepted := 0
	for i := range signed {
		for range 20 {
			bad := slices.Clone(signed)
			bad[i] ^= byte(1 + r.IntN(255))
			got, err := ledger.OpenCheckpoint(bad, key.Public())
			if err == nil && (i < text || got != c) {
				t.Fatalf("byte %d: accepted\n%s", i, bad)
			}
			if err == nil {
				accepted++
			}
		}
		if _, err := ledger.OpenCheckpoint(signed[:i], key.Public()); err == nil {
			t.Fatalf("cut at %d: accepted", i)
		}
	}
	if accepted > len(signed)/10 {
		t.Errorf("%d changes accepted", accepted)
	}
}

func TestKey(t *testing.T) {
	// The base64 of a key may hold plus signs: try until it did.
	for range 50 {
		key := newKey(t, "example.org/ledger")
		path := filepath.Join(t.TempDir(), "ledger.key")
		if err := key.Save(path); err != nil {
			t.Fatal(err)
		}
		file, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if file.Mode().Perm() != 0o600 {
			t.Fatalf("mode %v", file.Mode())
		}
		if err := key.Save(path); !errors.Is(err, fs.ErrExist) {
			t.Fatalf("saved over: %v", err)
		}
		loaded, err := ledger.LoadKey(path)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Public() != key.Public() || loaded.Origin() != "example.org/ledger" {
			t.Fatalf("loaded %v, want %v", loaded, key)
		}
		if _, err := ledger.OpenCheckpoint(sign(t, loaded, ledger.Checkpoint{Size: 1}), key.Public()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeyThatIsNone(t *testing.T) {
	for _, origin := range []string{"", "a b", "a+b", "a\nb"} {
		if _, err := ledger.GenerateKey(origin); err == nil {
			t.Errorf("origin %q: no error", origin)
		}
	}
	secret := newKey(t, "log").Secret()
	for _, bad := range []string{"", "x", secret[:len(secret)-8], strings.Replace(secret, "+log+", "+lag+", 1)} {
		_, err := ledger.ParseKey(bad)
		if err == nil {
			t.Errorf("%q: no error", bad)
		} else if len(bad) > 8 && strings.Contains(err.Error(), bad[len(bad)-8:]) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
	if _, err := ledger.LoadKey(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
