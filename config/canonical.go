package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Canonical returns the config in force as JSON: with the defaults and the teams'
// files, keys sorted, without secrets. Equal configs give the same bytes whatever
// their files are called and however they are laid out. Of a webhook's URL only
// scheme and host are there; email addresses are there in full. It is as large as the
// files, so it is written anew each time and not kept.
func (c *Config) Canonical() []byte { return c.form((*Config).writeCanonical) }

// Public returns the canonical form with "address 3" or "name 2" in place of each email
// address and each name of a person, so that it can be kept once those are forgotten.
// One address has the same number all over the form, whatever its case and whoever it
// says reads it, and so has one name; both are numbered from 1, in the order of what
// they stand for. Texts are as they are. It is written anew each time.
func (c *Config) Public() []byte { return c.form((*Config).writePublic) }

// Hash names this version of the config: SHA-256 of its canonical form, in
// hexadecimal.
func (c *Config) Hash() string { return c.policy.Hash }

// PublicHash is the SHA-256 of the public form, in hexadecimal.
func (c *Config) PublicHash() string { return c.hash((*Config).writePublic).sum() }

// form returns what write writes, in a piece of memory that is hardly larger.
func (c *Config) form(write func(*Config, io.Writer)) []byte {
	var b bytes.Buffer
	b.Grow(c.formSize + c.formSize/16)
	write(c, &b)
	return b.Bytes()
}

// hash returns what writing comes to.
func (c *Config) hash(write func(*Config, io.Writer)) *hashed {
	h := &hashed{Hash: sha256.New()}
	write(c, h)
	return h
}

// hashed hashes what is written, and counts it.
type hashed struct {
	hash.Hash
	size int
}

func (h *hashed) Write(p []byte) (int, error) {
	h.size += len(p)
	return h.Hash.Write(p)
}

func (h *hashed) sum() string { return hex.EncodeToString(h.Sum(nil)) }

func (c *Config) writeCanonical(to io.Writer) { writeForm(to, c, nil) }

// writePublic writes the public form: once to learn all addresses and names, and once
// more with their numbers.
func (c *Config) writePublic(to io.Writer) {
	people := map[string][]string{}
	writeForm(io.Discard, c, func(kind, value string) string {
		people[kind] = append(people[kind], value)
		return value
	})
	for kind, values := range people {
		slices.Sort(values)
		people[kind] = slices.Compact(values)
	}
	writeForm(to, c, func(kind, value string) string {
		i, _ := slices.BinarySearch(people[kind], value)
		return fmt.Sprintf("%s %d", kind, i+1)
	})
}

// writeForm writes a config as JSON. If conceal is not nil, it says what stands for
// an address or a name.
func writeForm(to io.Writer, c *Config, conceal func(kind, value string) string) {
	w := &formWriter{to: to, fields: fieldCache{}, conceal: conceal}
	v := reflect.ValueOf(c).Elem()
	fields := slices.Concat(w.sorted(v.Type()), []field{{name: "teams"}, {name: "template_files"}})
	slices.SortFunc(fields, byName)
	w.buf = append(w.buf, '{')
	for _, f := range fields {
		w.member(f.name, func() bool {
			switch f.name {
			case "teams":
				w.teams(c.Teams)
				return true
			case "template_files":
				w.templateFiles(c)
				return len(c.TemplateFiles) > 0
			}
			return w.show(v.FieldByIndex(f.index), f.show)
		})
	}
	w.end('{', '}')
	_, _ = w.to.Write(w.buf) // to memory
}

// A formWriter writes a form of a config. It does not hold all of it, as those of large
// organisations have tens of MiB.
type formWriter struct {
	to      io.Writer
	buf     []byte
	fields  fieldCache // sorted by name
	conceal func(kind, value string) string
}

// flushAt is from how many bytes on a form is passed on.
const flushAt = 64 << 10

func (w *formWriter) teams(teams []TeamFile) {
	w.buf = append(w.buf, '[')
	for i := range teams {
		w.show(reflect.ValueOf(&teams[i]).Elem(), "")
		w.buf = append(w.buf, ',')
		if n := len(w.buf) - 1; n >= flushAt { // all but the comma, which may be the last
			_, _ = w.to.Write(w.buf[:n])
			w.buf = append(w.buf[:0], ',')
		}
	}
	w.end('[', ']')
}

func (w *formWriter) templateFiles(c *Config) {
	texts := make([]string, len(c.TemplateFiles))
	for i, f := range c.TemplateFiles {
		texts[i] = f.Text
	}
	slices.Sort(texts) // each is of use by what it defines, whatever it is called
	w.buf = append(w.buf, '[')
	for _, text := range texts {
		w.text(text)
		w.buf = append(w.buf, ',')
	}
	w.end('[', ']')
}

func byName(a, b field) int { return strings.Compare(a.name, b.name) }

// sorted returns the keys of a struct in the order of the form.
func (w *formWriter) sorted(t reflect.Type) []field {
	fields, ok := w.fields[t]
	if !ok {
		fields = fieldsOf(t)
		slices.SortFunc(fields, byName)
		w.fields[t] = fields
	}
	return fields
}

// member writes a key and its value, and a comma; nothing if the value is not set.
func (w *formWriter) member(name string, show func() bool) {
	before := len(w.buf)
	w.text(name)
	w.buf = append(w.buf, ':')
	if !show() {
		w.buf = w.buf[:before]
		return
	}
	w.buf = append(w.buf, ',')
}

// end closes what was opened, in place of the last comma.
func (w *formWriter) end(opened, closed byte) {
	if n := len(w.buf) - 1; w.buf[n] != opened {
		w.buf = w.buf[:n]
	}
	w.buf = append(w.buf, closed)
}

// orNull is show for what has a place in a list or a table also if it is not set.
func (w *formWriter) orNull(v reflect.Value, how string) {
	if !w.show(v, how) {
		w.buf = append(w.buf, "null"...)
	}
	w.buf = append(w.buf, ',')
}

var (
	secretType  = reflect.TypeFor[Secret]()
	addressType = reflect.TypeFor[Address]()
)

// show writes what JSON makes of a value; nothing if the value is not set, and reports that.
func (w *formWriter) show(v reflect.Value, how string) bool {
	t := v.Type()
	if t == secretType {
		switch {
		case v.Len() == 0:
			return false
		case how == "origin":
			w.text(origin(v.String()))
		default:
			w.text(hidden)
		}
		return true
	}
	if t == addressType && w.conceal != nil {
		if a := v.Interface().(Address); a.Address != "" {
			w.text(w.conceal("address", strings.ToLower(a.Address)))
			return true
		}
	}
	if l, ok := leaves[t]; ok {
		if t.Kind() == reflect.Pointer && v.IsNil() {
			return false
		}
		text := l.format(v.Interface())
		if text != "" {
			w.text(text)
		}
		return text != ""
	}
	switch t.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && w.show(v.Elem(), "")
	case reflect.Struct:
		w.buf = append(w.buf, '{')
		for _, f := range w.sorted(t) {
			w.member(f.name, func() bool { return w.show(v.FieldByIndex(f.index), f.show) })
		}
		w.end('{', '}')
		return true
	case reflect.Slice:
		if v.Len() == 0 {
			return false
		}
		w.buf = append(w.buf, '[')
		for i := range v.Len() {
			w.orNull(v.Index(i), how)
		}
		w.end('[', ']')
		return true
	case reflect.Map:
		return w.table(v)
	case reflect.Int:
		w.buf = strconv.AppendInt(w.buf, v.Int(), 10)
		return true
	}
	switch {
	case v.IsZero() && how != "always":
		return false
	case t.Kind() == reflect.Bool:
		w.buf = strconv.AppendBool(w.buf, v.Bool())
	case how == "name" && w.conceal != nil:
		w.text(w.conceal("name", v.String()))
	default:
		w.text(v.String())
	}
	return true
}

// table writes a map.
func (w *formWriter) table(v reflect.Value) bool {
	if v.Len() == 0 {
		return false
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	w.buf = append(w.buf, '{')
	for _, k := range keys {
		w.text(k.String())
		w.buf = append(w.buf, ':')
		w.orNull(v.MapIndex(k), "")
	}
	w.end('{', '}')
	return true
}

// text writes a string as encoding/json does where it is not for HTML, byte by byte: the hash of a
// configuration hangs on it.
func (w *formWriter) text(s string) {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= ' ' && s[i] != '"' && s[i] != '\\' && s[i] < utf8.RuneSelf
	}
	if plain {
		w.buf = append(append(append(w.buf, '"'), s...), '"')
		return
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("config: " + err.Error()) // it is a string
	}
	w.buf = append(w.buf, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
