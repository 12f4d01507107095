package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Canonical returns the config in force as JSON: with the defaults and the teams'
// files, keys sorted, without secrets. Equal configs give the same bytes whatever
// their files are called and however they are laid out. Of a webhook's URL only
// scheme and host are there; email addresses are there in full. It must not be
// changed.
func (c *Config) Canonical() []byte { return c.canonical }

// Public returns the canonical form with "address 3" or "name 2" in place of each email
// address and each name of a person, so that it can be kept once those are forgotten.
// One address has the same number all over the form, whatever its case and whoever it
// says reads it, and so has one name; both are numbered from 1, in the order of what
// they stand for. Texts are as they are. It must not be changed.
func (c *Config) Public() []byte { return c.public }

// Hash names this version of the config: SHA-256 of its canonical form, in
// hexadecimal.
func (c *Config) Hash() string { return c.policy.Hash }

// PublicHash is the SHA-256 of the public form, in hexadecimal.
func (c *Config) PublicHash() string { return hashOf(c.public) }

func hashOf(form []byte) string {
	sum := sha256.Sum256(form)
	return hex.EncodeToString(sum[:])
}

// withoutPeople writes the public form: once to learn all addresses and names, and once
// more with their numbers.
func withoutPeople(c *Config) []byte {
	people := map[string][]string{}
	writeForm(c, func(kind, value string) string {
		people[kind] = append(people[kind], value)
		return value
	})
	for kind, values := range people {
		slices.Sort(values)
		people[kind] = slices.Compact(values)
	}
	return writeForm(c, func(kind, value string) string {
		i, _ := slices.BinarySearch(people[kind], value)
		return fmt.Sprintf("%s %d", kind, i+1)
	})
}

// writeForm writes a config as JSON. If conceal is not nil, it says what stands for
// an address or a name.
func writeForm(c *Config, conceal func(kind, value string) string) []byte {
	w := formWriter{fieldCache{}, conceal}
	form := w.show(reflect.ValueOf(c).Elem(), "").(map[string]any)
	teams := make([]any, len(c.Teams))
	for i := range c.Teams {
		teams[i] = w.show(reflect.ValueOf(&c.Teams[i]).Elem(), "")
	}
	form["teams"] = teams
	if len(c.TemplateFiles) > 0 {
		texts := make([]string, len(c.TemplateFiles))
		for i, f := range c.TemplateFiles {
			texts[i] = f.Text
		}
		slices.Sort(texts) // each is of use by what it defines, whatever it is called
		form["template_files"] = texts
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(form); err != nil {
		panic("config: " + err.Error()) // there are only strings, numbers, lists and maps in it
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// A formWriter writes a form of a config.
type formWriter struct {
	fields  fieldCache
	conceal func(kind, value string) string
}

var secretType = reflect.TypeFor[Secret]()

// show returns what JSON makes of a value; nil if the value is not set.
func (w *formWriter) show(v reflect.Value, how string) any {
	t := v.Type()
	if t == secretType {
		switch s := v.Interface().(Secret); {
		case s == "":
			return nil
		case how == "origin":
			return origin(string(s))
		}
		return hidden
	}
	if a, ok := v.Interface().(Address); ok && w.conceal != nil && a.Address != "" {
		return w.conceal("address", strings.ToLower(a.Address))
	}
	if l, ok := leaves[t]; ok {
		if t.Kind() == reflect.Pointer && v.IsNil() {
			return nil
		}
		if text := l.format(v.Interface()); text != "" {
			return text
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return w.show(v.Elem(), "")
	case reflect.Struct:
		out := map[string]any{}
		for _, f := range w.fields.of(t) {
			if shown := w.show(v.FieldByIndex(f.index), f.show); shown != nil {
				out[f.name] = shown
			}
		}
		return out
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = w.show(v.Index(i), how)
		}
		return out
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = w.show(v.MapIndex(k), "")
		}
		return out
	}
	if v.IsZero() && t.Kind() != reflect.Int && how != "always" {
		return nil
	}
	if how == "name" && w.conceal != nil {
		return w.conceal("name", v.String())
	}
	return v.Interface()
}
