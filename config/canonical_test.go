package config_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// TestFormsAreAsEncodingJSONWritesThem: the hash of a config hangs on each byte, of odd texts too.
func TestFormsAreAsEncodingJSONWritesThem(t *testing.T) {
	files := maps.Clone(full)
	files["templates/odd.tmpl"] = "{{/* <b> & \"ü\" \\ \u2028\u2029 \x7f\x01\x1f\t\r\n \U0001F525 */}}"
	files["templates/empty.tmpl"] = ""
	files["templates/broken.tmpl"] = "{{/* \xff\xc3( */}}"
	c := load(t, write(t, files))
	for _, form := range [][]byte{c.Canonical(), c.Public()} {
		// What is no UTF-8 is written as an escape, and comes back as a letter.
		got := strings.ReplaceAll(string(form), `\ufffd`, "\ufffd")
		if again := rewritten(t, form); again != got || got == string(form) {
			t.Errorf("it is\n%s\nand not\n%s", form, again)
		}
	}
}

// TestFormsOfALargeConfig are passed on piece by piece.
func TestFormsOfALargeConfig(t *testing.T) {
	c := load(t, organisationOf(t, 2000))
	for _, form := range [][]byte{c.Canonical(), c.Public()} {
		if again := rewritten(t, form); again != string(form) || len(form) < 400_000 {
			t.Errorf("a form of %d bytes has %d as encoding/json writes it", len(form), len(again))
		}
	}
	for _, hash := range []struct {
		of   []byte
		want string
	}{{c.Canonical(), c.Hash()}, {c.Public(), c.PublicHash()}} {
		if sum := sha256.Sum256(hash.of); hex.EncodeToString(sum[:]) != hash.want {
			t.Errorf("the hash of a form is %x, want %s", sum, hash.want)
		}
	}
}

// rewritten is JSON as encoding/json writes what it reads.
func rewritten(t *testing.T, form []byte) string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(form))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
