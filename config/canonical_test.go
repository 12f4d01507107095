package config_test

import (
	"bytes"
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
		// What is no UTF-8 is written as an escape, and comes back as a letter.
		got := strings.ReplaceAll(string(form), `\ufffd`, "\ufffd")
		if again := strings.TrimSuffix(b.String(), "\n"); again != got || got == string(form) {
			t.Errorf("it is\n%s\nand not\n%s", form, again)
		}
	}
}
