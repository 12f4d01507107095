package templates

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sitrep/incident"
	"sitrep/internal/markup"
	"sitrep/wording"
)

const (
	// mostSubject is how many characters a subject may have, and mostMail how many bytes the text and the
	// HTML of a mail: Gmail cuts what is longer than 102 kB.
	mostSubject = 250
	mostMail    = 100_000
	// leastWeight is where a message is given up that is too long.
	leastWeight = 100
)

// room is how much a message says at first; it becomes less until what the templates make of it fits.
var room = wording.Room{Weight: 64_000, Named: wording.DigestNamed}

// A Mail is what templates make of a mail. What is empty is none of theirs.
type Mail struct {
	Subject, Text, HTML string
}

// A longError is about a message that would fit if it said less.
type longError struct{ text string }

func (e *longError) Error() string { return e.text }

// Mail returns what the templates make of a message. The error is a *Failure. The same message
// gives the same mail.
func (s *Set) Mail(m *incident.Message) (Mail, error) {
	made, err := s.make([]string{MailSubject, MailText, MailHTML}, &telling{m: m})
	return Mail{Subject: made[MailSubject], Text: made[MailText], HTML: made[MailHTML]}, err
}

// Chat returns what the template of a webhook's format makes of a message, as JSON in one line;
// nil if there is none. The error is a *Failure. The same message gives the same bytes.
func (s *Set) Chat(format string, m *incident.Message) ([]byte, error) {
	if _, ok := markup.Of(format); !ok || !s.Defines(format) {
		return nil, nil
	}
	made, err := s.make([]string{format}, &telling{m: m})
	if err != nil {
		return nil, err
	}
	return []byte(made[format]), nil
}

// A telling is a message as templates are given it: whole, or less of it.
type telling struct {
	m     *incident.Message
	whole *wording.Report
	facts map[string]*Message // without words, by the chat in whose form they are; "" of a mail
}

// in returns the message as the template of that name is given it, in a room.
func (t *telling) in(room wording.Room, name string) (*Message, error) {
	language, ofChat := markup.Of(name)
	if !ofChat {
		name = ""
	}
	if t.whole == nil {
		t.whole, t.facts = wording.ComposeWhole(t.m), map[string]*Message{}
	}
	facts := t.facts[name]
	if facts == nil {
		facts = newFacts(t.m, t.whole)
		if ofChat {
			facts = escaped(facts, &language)
		}
		t.facts[name] = facts
	}
	report := t.whole.Within(room)
	text, err := report.Text()
	if err != nil {
		return nil, err
	}
	given := &Message{Words: Words(*report), Text: text}
	if ofChat {
		given = escaped(given, &language)
	}
	words, text := given.Words, given.Text
	*given = *facts
	given.Words, given.Text = words, text
	given.Incidents = facts.Incidents[:min(len(facts.Incidents), room.Named)]
	return given, nil
}

// make returns what those of the templates that there are make of a message, and of less of it while
// that is too long.
func (s *Set) make(parts []string, t *telling) (map[string]string, error) {
	made := map[string]string{}
	for _, name := range parts {
		if !s.Defines(name) {
			continue
		}
		var long error
		for room := room; ; room = room.Less().Less() {
			given, err := t.in(room, name)
			if err != nil {
				return nil, s.failure(name, err)
			}
			if made[name], err = s.part(name, given); err == nil {
				break
			}
			if !tooLong(err) || room.Weight < leastWeight || long != nil && long.Error() == err.Error() && !errors.As(err, new(errOutput)) {
				return nil, err // saying less makes it no shorter
			}
			long = err
		}
	}
	return made, nil
}

// part returns what one template makes of a message, as it goes out. The error is a *Failure.
func (s *Set) part(name string, m *Message) (string, error) {
	text, err := s.execute(name, m)
	if err != nil {
		return "", err
	}
	if language, ofChat := markup.Of(name); ofChat {
		text, err = posted(text, &language)
	} else {
		text, err = mailed(name, text)
	}
	if err != nil {
		return "", s.failure(name, err)
	}
	return text, nil
}

// posted returns JSON as it is posted to a chat, in one line.
func posted(text string, language *markup.Language) (string, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		return "", language.Check([]byte(text)) // it says what would be right
	}
	return b.String(), language.Check(b.Bytes())
}

// tooLong reports whether an error may be none if the message says less.
func tooLong(err error) bool {
	var failure *Failure
	if !errors.As(err, &failure) {
		return false
	}
	var written errOutput
	var long *longError
	var refused *markup.TooLong
	return errors.As(failure.cause, &written) || errors.As(failure.cause, &long) || errors.As(failure.cause, &refused)
}

// mailed returns a part of a mail as it goes out.
func mailed(part, text string) (string, error) {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\r\n", "\n")
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }) {
		return "", errors.New("it has control characters; remove them")
	}
	if strings.TrimSpace(text) == "" {
		return "", errors.New("it is empty for some messages; let it say something for each kind")
	}
	if part == MailSubject {
		text = strings.TrimSpace(text)
		switch n := utf8.RuneCountInString(text); {
		case strings.Contains(text, "\n"):
			return "", errors.New("a subject is one line, and this has several; trim them with {{- and -}}")
		case n > mostSubject:
			return "", &longError{fmt.Sprintf("a subject has at most %d characters, and this has %d; use truncate", mostSubject, n)}
		}
		return text, nil
	}
	if len(text) > mostMail {
		return "", &longError{fmt.Sprintf("it is %d bytes long, and mail programs cut what is longer than %d; let it say less", len(text), mostMail)}
	}
	return strings.TrimRight(text, "\n") + "\n", nil
}

// escaped returns the message as the template of a chat is given it: all texts stand for themselves
// there.
func escaped(m *Message, language *markup.Language) *Message {
	text := func(s string) string {
		lines := strings.Split(s, "\n")
		for i, l := range lines {
			lines[i] = language.Escape(l)
		}
		return strings.Join(lines, "\n")
	}
	out := mapped(reflect.ValueOf(m), "", func(field, s string) string {
		switch {
		case s == "", slices.Contains(asIs, field):
			return s
		case isLink(field):
			return language.EscapeURL(s)
		}
		return text(s)
	})
	return out.Interface().(*Message)
}

// labelName is a name by which templates find a label, and in which no chat reads anything.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// mapped returns a copy of a value in which all strings are what f makes of them, given the field that
// they stand in. Times stay as they are.
func mapped(v reflect.Value, field string, f func(field, s string) string) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || v.Type() == reflect.TypeFor[*Time]() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(mapped(v.Elem(), field, f))
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if sf := v.Type().Field(i); sf.IsExported() {
				out.Field(i).Set(mapped(v.Field(i), sf.Name, f))
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(mapped(v.Index(i), field, f))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for k, e := range v.Seq2() {
			if !labelName.MatchString(k.String()) {
				k = mapped(k, field, f)
			}
			out.SetMapIndex(k, mapped(e, field, f))
		}
		return out
	case reflect.String:
		return reflect.ValueOf(f(field, v.String())).Convert(v.Type())
	}
	return v
}
