package wording

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// english is the language whose texts all others have to have, and in which everything is
// written that is no message.
const english = "en"

//go:embed languages/*.yaml
var languageFiles embed.FS

// languages read the file of a language, once, by its tag.
var languages = func() map[string]func() *Language {
	all := map[string]func() *Language{}
	for _, tag := range Languages() {
		all[tag] = sync.OnceValue(func() *Language { return mustRead(tag) })
	}
	return all
}()

// mustRead reads the file of a language. It is part of the program, so that one that cannot be read was
// never tested.
func mustRead(tag string) *Language {
	src, err := languageFiles.ReadFile("languages/" + tag + ".yaml")
	if err != nil {
		panic(err)
	}
	l, err := parseLanguage(tag, src)
	if err != nil {
		panic(fmt.Sprintf("language %q: %v", tag, err))
	}
	return l
}

// Languages returns the tags of the languages in which messages can be written, such as "de",
// in the order of the alphabet.
func Languages() []string {
	files, _ := languageFiles.ReadDir("languages")
	tags := make([]string, len(files))
	for i, f := range files {
		tags[i] = strings.TrimSuffix(f.Name(), ".yaml")
	}
	return tags
}

// A Language is what one of them has for messages: texts, plurals, and the forms of times. All is
// from its file in the folder languages. A nil one is English.
type Language struct {
	tag    language.Tag
	name   string
	quotes [4]string
	inner  *strings.Replacer // makes of quotation marks those within others
	hours  []piece           // of a time today
	day    []piece           // of one on another day of the year
	year   []piece           // of one in another year
	// weekdays and months are their names in those; zones are the names of zones that it has its
	// own for.
	weekdays, months []string
	zones            map[string]string
	lowerAfterColon  bool
	texts            map[string]*text
}

// In returns the language with that tag; English if it is empty or there is none.
func In(tag string) *Language {
	if read := languages[tag]; read != nil {
		return read()
	}
	return languages[english]()
}

func (l *Language) orEnglish() *Language {
	if l == nil {
		return In(english)
	}
	return l
}

// Tag returns its tag, as HTML and mail have it: "de".
func (l *Language) Tag() string { return l.orEnglish().tag.String() }

// Name returns what it is called in English: "German".
func (l *Language) Name() string { return l.orEnglish().name }

// TestMail returns the subject and the text of a mail that shows that mails arrive.
func (l *Language) TestMail() (subject, text string) {
	return l.say("test.subject"), l.say("test.text")
}

// A text is a pattern for each plural that the language has; of most texts there is Other alone.
type text [plural.Many + 1][]piece

// A piece of a pattern is a literal, or the name of what stands in its place.
type piece struct{ literal, name string }

// numberName is the name of the number that a plural depends on.
const numberName = "n"

// languageFile is the form of a file.
type languageFile struct {
	Name            string            `yaml:"name"`
	Quotes          [4]string         `yaml:"quotes"`
	Time            string            `yaml:"time"`
	Day             string            `yaml:"day"`
	Year            string            `yaml:"year"`
	Weekdays        []string          `yaml:"weekdays"`
	Months          []string          `yaml:"months"`
	Zones           map[string]string `yaml:"zones"`
	LowerAfterColon bool              `yaml:"lower_after_colon"`
	Texts           map[string]forms  `yaml:"texts"`
}

// forms are one text, or one for each plural.
type forms map[string]string

// UnmarshalYAML reads a text that stands alone as the plural "other".
func (f *forms) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*f = forms{"other": node.Value}
		return nil
	}
	all := map[string]string{}
	err := node.Decode(&all)
	*f = all
	return err
}

// pluralForms are the plurals by the names that Unicode has for them.
var pluralForms = map[string]plural.Form{
	"zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many, "other": plural.Other,
}

// parseLanguage reads the file of a language. That it has all texts is for the tests.
func parseLanguage(tag string, src []byte) (*Language, error) {
	parsed, err := language.Parse(tag)
	if err != nil {
		return nil, err
	}
	var f languageFile
	dec := yaml.NewDecoder(strings.NewReader(string(src)))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	if len(f.Weekdays) != 7 || len(f.Months) != 12 {
		return nil, fmt.Errorf("%d weekdays and %d months", len(f.Weekdays), len(f.Months))
	}
	l := &Language{
		tag: parsed, name: f.Name, quotes: f.Quotes, weekdays: f.Weekdays, months: f.Months, zones: f.Zones,
		lowerAfterColon: f.LowerAfterColon, texts: make(map[string]*text, len(f.Texts)),
		inner: strings.NewReplacer(f.Quotes[0], f.Quotes[2], f.Quotes[1], f.Quotes[3]),
	}
	for _, p := range []struct {
		of   string
		into *[]piece
	}{{f.Time, &l.hours}, {f.Day, &l.day}, {f.Year, &l.year}} {
		if *p.into, err = pieces(p.of); err != nil {
			return nil, err
		}
	}
	for key, all := range f.Texts {
		t := &text{}
		for name, s := range all {
			form, ok := pluralForms[name]
			if !ok {
				return nil, fmt.Errorf("text %s: no plural %q", key, name)
			}
			if t[form], err = pieces(s); err != nil {
				return nil, fmt.Errorf("text %s: %w", key, err)
			}
		}
		if t[plural.Other] == nil {
			return nil, fmt.Errorf("text %s: no plural %q", key, "other")
		}
		l.texts[key] = t
	}
	return l, nil
}

// pieces parses a pattern, in which what is to be filled in stands in braces: "since {time}".
func pieces(pattern string) ([]piece, error) {
	var out []piece
	for pattern != "" {
		literal, rest, found := strings.Cut(pattern, "{")
		if literal != "" {
			out = append(out, piece{literal: literal})
		}
		if !found {
			return out, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return nil, fmt.Errorf("%q has a brace that is no name in braces", pattern)
		}
		out, pattern = append(out, piece{name: name}), after
	}
	if out == nil {
		return nil, errors.New("it is empty")
	}
	return out, nil
}

// say returns the text with that key. Pairs are the names of what is filled in, each followed by
// that. A text that a language lacks is English.
func (l *Language) say(key string, pairs ...string) string {
	return fill(l.text(key)[plural.Other], pairs)
}

// count is say for a text that depends on a number, which it names n.
func (l *Language) count(key string, number int, pairs ...string) string {
	l, t := l.orEnglish(), l.text(key)
	p := t[l.plural(number)]
	if p == nil {
		p = t[plural.Other]
	}
	return fill(p, append(pairs, numberName, strconv.Itoa(number)))
}

// has reports whether there is a text with that key.
func (l *Language) has(key string) bool { return l.text(key) != &noText }

// noText is the text of a key that there is not.
var noText text

func (l *Language) text(key string) *text {
	l = l.orEnglish()
	if t := l.texts[key]; t != nil {
		return t
	}
	if t := In(english).texts[key]; t != nil {
		return t
	}
	return &noText
}

// plural returns which plural a number takes.
func (l *Language) plural(number int) plural.Form {
	return plural.Cardinal.MatchPlural(l.tag, number, 0, 0, 0, 0)
}

func fill(pattern []piece, pairs []string) string {
	if len(pattern) == 1 && pattern[0].name == "" {
		return pattern[0].literal
	}
	size := 0
	for i := range pattern {
		size += len(pattern[i].literal) + len(filled(pattern[i].name, pairs))
	}
	var b strings.Builder
	b.Grow(size)
	for i := range pattern {
		b.WriteString(pattern[i].literal)
		b.WriteString(filled(pattern[i].name, pairs))
	}
	return b.String()
}

// filled returns what stands in the place of that name.
func filled(name string, pairs []string) string {
	if name != "" {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
	}
	return ""
}

// date writes a time by a pattern, whose literals are layouts of [time.Time.Format].
func (l *Language) date(t time.Time, pattern []piece) string {
	b := make([]byte, 0, 32)
	for _, p := range pattern {
		switch p.name {
		case "weekday":
			b = append(b, l.weekdays[t.Weekday()]...)
		case "month":
			b = append(b, l.months[t.Month()-1]...)
		default:
			b = t.AppendFormat(b, p.literal)
		}
	}
	return string(b)
}

// quote puts a person's words into quotation marks.
func (l *Language) quote(s string) string {
	l = l.orEnglish()
	return l.quotes[0] + l.inner.Replace(s) + l.quotes[1]
}

// list joins items as people do: "a, b and c".
func (l *Language) list(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return l.say("list.and", "first", strings.Join(items[:last], l.say("list.comma")), "last", items[last])
}

// afterColon is a sentence that stands behind a colon.
func (l *Language) afterColon(s string) string {
	if l.orEnglish().lowerAfterColon {
		return lower(s)
	}
	return s
}

// keys returns the keys of its texts, in order.
func (l *Language) keys() []string { return slices.Sorted(maps.Keys(l.texts)) }
