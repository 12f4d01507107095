package wording_test

import (
	"encoding/json"
	"io"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sitrep/wording"
)

// hidden reports whether a character could move a cursor, turn or hide what is around
// it.
func hidden(r rune) bool {
	switch r {
	case '\u200c', '\u200d', '\u200e', '\u200f':
		return false
	case '\u2028', '\u2029':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// FuzzText: whatever a text is, what is shown of it is tame, and no longer than it may
// be.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"", "a\r\n\r\nb", "\x1b[2J\u009b\x00", "\u202egnp\u202c\u200b\ufeff", "a\xff\xed\xa0\x80", "https://user@evil.example/", "https://x.example/\"><b>", "javascript:alert(1)//http://x",
		strings.Repeat("w", 300), "z\u0300\u0300", `{"a":"\u009b"}`, "\"\u202e\U000e0041\"",
	} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 1 + (limit&0x7fffffff)%5000
		line := wording.Line(s, limit)
		block, cut := wording.Block(s, limit)
		for name, got := range map[string]string{"Line": line, "Block": block} {
			if !utf8.ValidString(got) || utf8.RuneCountInString(got) > limit || strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && hidden(r) }) {
				t.Errorf("%s(%q, %d) is %q", name, s, limit, got)
			}
		}
		if strings.Contains(line, "\n") || strings.Contains(block, "\n\n\n") || wording.Line(line, limit) != line {
			t.Errorf("%q becomes %q and %q", s, line, block)
		}
		if !cut && utf8.RuneCountInString(block) > limit {
			t.Errorf("cut without a word: %q", block)
		}
		if link := wording.Link(s); link != "" {
			u, err := url.Parse(link)
			if err != nil || link != s || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(link, "<>\" \n") {
				t.Errorf("%q is offered as a link", link)
			}
		}
		var b strings.Builder
		if n, err := io.WriteString(wording.Shown(&b), s); n != len(s) || err != nil {
			t.Errorf("wrote %d of %d: %v", n, len(s), err)
		}
		if got := b.String(); !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && r != '\t' && hidden(r) }) {
			t.Errorf("%q is shown as %q", s, got)
		}
		if !json.Valid([]byte(s)) {
			return
		}
		escaped := wording.EscapeJSON([]byte(s))
		var before, after any
		if err := json.Unmarshal([]byte(s), &before); err != nil {
			return // a number too large
		}
		if err := json.Unmarshal(escaped, &after); err != nil || !reflect.DeepEqual(before, after) || strings.ContainsFunc(string(escaped), func(r rune) bool { return r >= 0x7f && hidden(r) }) {
			t.Errorf("%q is escaped as %q: %v", s, escaped, err)
		}
	})
}
