package wording

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line returns s fit for one line of a message: valid UTF-8 without control
// characters, line breaks or characters that turn the direction of what follows,
// white space collapsed, and no longer than limit characters. What was cut off
// shows as "…".
func Line(s string, limit int) string {
	s = strings.Join(strings.Fields(strings.Map(visible, strings.ToValidUTF8(s, "\uFFFD"))), " ")
	return shorten(s, limit)
}

// Block returns s fit for several lines of a message, cleaned as by [Line], with
// line breaks kept and at most one empty line in a row. It reports whether s was
// cut off at limit characters.
func Block(s string, limit int) (text string, cut bool) {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	s = strings.NewReplacer("\r", "\n", "\u2028", "\n", "\u2029", "\n\n", "\v", "\n", "\f", "\n").Replace(s)
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimRightFunc(strings.Map(visible, line), unicode.IsSpace)
		if line == "" && (len(lines) == 0 || lines[len(lines)-1] == "") {
			continue
		}
		lines = append(lines, line)
	}
	s = strings.TrimRight(strings.Join(lines, "\n"), "\n")
	text = shorten(s, limit)
	return text, text != s
}

// visible maps characters that can hide or turn text to nothing, and other
// control characters and odd spaces to a space.
func visible(r rune) rune {
	switch {
	case r == '\u200C', r == '\u200D', r == '\u200E', r == '\u200F':
		return r // joiners and marks that scripts need
	case unicode.Is(unicode.Cf, r):
		return -1
	case unicode.IsControl(r), unicode.IsSpace(r):
		return ' '
	}
	return r
}

// shorten cuts s after at most limit characters, at a space if one is near.
func shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	end, n := 0, 0
	for i := range s {
		if n == limit-1 {
			end = i
			break
		}
		n++
	}
	s = s[:end]
	if i := strings.LastIndexAny(s, " \n"); i > len(s)*3/4 {
		s = s[:i]
	}
	return strings.TrimRight(s, " \n,;:") + "…"
}

// Link returns s if it is an absolute http or https URL without a user in front of its host,
// which would look like the host; else "".
func Link(s string) string {
	if len(s) > 2000 || s != Line(s, 2000) || strings.ContainsAny(s, " <>\"`\\") {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return s
}

// capital returns s with its first letter in upper case.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// stop ends a sentence, unless it has an end.
func stop(s string) string {
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "…") {
		return s
	}
	return s + "."
}

// List joins items as people do in English: "a, b and c".
func List(items []string) string { return In(english).list(items) }

// Shown returns a writer that passes on to w what can be shown: of control characters but
// line breaks and tabs, and of separators of lines, a space, of carriage returns and
// characters that turn or hide what is around them nothing, and U+FFFD of what is no UTF-8. It is for pages made of many texts; each write
// must be of whole characters, as those of templates are. It reports all of a write as
// written that w took without an error.
func Shown(w io.Writer) io.Writer { return shownWriter{w} }

type shownWriter struct{ w io.Writer }

// Write implements io.Writer.
func (s shownWriter) Write(b []byte) (int, error) {
	out := b
	if !utf8.Valid(out) {
		out = bytes.ToValidUTF8(out, []byte("\uFFFD"))
	}
	if bytes.ContainsFunc(out, func(r rune) bool { return shown(r) != r }) {
		out = bytes.Map(shown, out)
	}
	if _, err := s.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// shown is visible for text that has its form already.
func shown(r rune) rune {
	switch {
	case r == '\n', r == '\t':
		return r
	case r == '\r':
		return -1
	case r == '\u2028', r == '\u2029', unicode.IsControl(r), unicode.Is(unicode.Cf, r):
		return visible(r)
	}
	return r
}

// EscapeJSON returns a JSON text with escapes in place of all characters that could move
// the cursor of a terminal, turn the direction of writing or show nothing, and of
// what is no UTF-8. It stands for the same values.
func EscapeJSON(text []byte) []byte {
	hidden := func(r rune) bool { return r >= 0x7f && shown(r) != r }
	if utf8.Valid(text) && !bytes.ContainsFunc(text, hidden) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/8)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, `\ufffd`...)
		case !hidden(r):
			out = append(out, text[:n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[n:]
	}
	return out
}
