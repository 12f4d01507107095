// Package markup is what the chats read: how a text stands for itself there, and how much of
// a message they take. It is the same for the messages that sitrep lays out and for those of
// templates of one's own.
package markup

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// A Language is what one chat reads. Its functions take strings that are clean: see package
// wording.
type Language struct {
	Name string // of the chat, for people
	// Escape returns a line that stands for itself: nobody is mentioned by it, and nothing in
	// it is bold, a list or a link.
	Escape func(line string) string
	// EscapeURL returns an http or https URL as it may stand where a link leads to.
	EscapeURL func(url string) string
	// check looks at a message.
	check func(body []byte, post map[string]any) error
}

// Of returns what the chat of a webhook's format reads; false if the format is none of a chat.
func Of(format string) (Language, bool) {
	l, ok := languages[format]
	return l, ok
}

// languages are all of them. Nothing changes it.
var languages = map[string]Language{"slack": slack, "teams": teams, "mattermost": mattermost}

// Check returns why the chat would not take a message, as far as that can be told without
// asking it; nil if nothing is wrong. The error says what would be right.
func (l Language) Check(body []byte) error {
	var post map[string]any
	if err := json.Unmarshal(body, &post); err != nil {
		return fmt.Errorf("it is not a JSON object: %w%s; put texts into it by toJson, as in {{toJson .Title}}", err, near(body, err))
	}
	return l.check(body, post)
}

// near quotes what stands before a mistake in JSON.
func near(body []byte, err error) string {
	const around = 40
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset < 1 || syntax.Offset > int64(len(body)) {
		return ""
	}
	at := int(syntax.Offset)
	return fmt.Sprintf(", at the end of %q", strings.ToValidUTF8(string(body[max(at-around, 0):at]), ""))
}

// A TooLong is an error of [Language.Check] about a message that is more than the chat takes.
type TooLong struct{ what string }

// Error implements error.
func (e *TooLong) Error() string { return e.what }

func tooLong(format string, args ...any) error { return &TooLong{fmt.Sprintf(format, args...)} }

// Wide returns s with those of the characters of marks in their wide form that do not stand
// between letters or digits: there they begin or end something, a mention or bold text.
// They look alike, and mean nothing. Marks are ASCII.
func Wide(s, marks string) string {
	if !strings.ContainsAny(s, marks) {
		return s
	}
	in := []rune(s)
	out := make([]rune, len(in))
	for i, r := range in {
		out[i] = r
		if strings.ContainsRune(marks, r) && (i == 0 || !wordy(in[i-1]) || i == len(in)-1 || !wordy(in[i+1])) {
			out[i] = r - '!' + '！' // the wide forms stand in the order of ASCII
		}
	}
	return string(out)
}

func wordy(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// Units is how long a text is where characters beyond the basic plane count twice.
func Units(s string) int {
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// list returns the objects of a list in a JSON object; none if there is no such list.
func list(of map[string]any, name string) []map[string]any {
	all, _ := of[name].([]any)
	var out []map[string]any
	for _, v := range all {
		if o, ok := v.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

// text returns a string in a JSON object, or the text of an object in it.
func text(of map[string]any, name string) string {
	switch v := of[name].(type) {
	case string:
		return v
	case map[string]any:
		s, _ := v["text"].(string)
		return s
	}
	return ""
}

var errNoText = errors.New("it has no text")
