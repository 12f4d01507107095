package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// A field is one key that a struct of the file has.
type field struct {
	name     string
	index    []int
	required bool
	doc      string
	example  string
	show     string // how the canonical form shows it
}

// fieldCache keeps the fields of types during a load.
type fieldCache map[reflect.Type][]field

func (c fieldCache) of(t reflect.Type) []field {
	fields, ok := c[t]
	if !ok {
		fields = fieldsOf(t)
		c[t] = fields
	}
	return fields
}

// fieldsOf reads the keys of a struct from its tags. Loading, the canonical form
// and the schema all go by it.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for _, g := range fieldsOf(f.Type) {
				g.index = append([]int{i}, g.index...)
				out = append(out, g)
			}
		case name != "" && name != "-":
			out = append(out, field{
				name: name, index: []int{i}, required: option == "required",
				doc: f.Tag.Get("doc"), example: f.Tag.Get("eg"), show: f.Tag.Get("show"),
			})
		}
	}
	return out
}

// elsewhere are keys that people put into the wrong place, by type and key, and
// where they belong.
func elsewhere(t reflect.Type, key string) string {
	switch t {
	case reflect.TypeFor[Config]():
		switch key {
		case "slos", "team", "on_call":
			return "it belongs into a team's file, which slo_files names"
		case "stakeholders":
			return "stakeholders are chosen by each SLO in its team's file"
		}
	case reflect.TypeFor[Alertmanager](), reflect.TypeFor[Webhook](), reflect.TypeFor[Witness]():
		if _, ok := find(fieldsOf(reflect.TypeFor[HTTPClient]()), key); ok {
			return "write it under http_config"
		}
	case reflect.TypeFor[HTTPClient]():
		switch key {
		case "bearer_token":
			return "write authorization: {credentials: …}"
		case "bearer_token_file":
			return "write authorization: {credentials_file: …}"
		}
	case reflect.TypeFor[TimeRange]():
		switch key {
		case "weekdays", "days_of_month", "months", "years", "location", "times":
			return "it stands beside times, not in it"
		}
	}
	return ""
}

// shorthander is a struct for which a plain string may stand.
type shorthander interface{ shorthand() string }

// decode fills v from n, notes where everything stands, and reports what does not
// fit. It returns false if nothing of it could be used.
func (s *source) decode(n *yaml.Node, v reflect.Value, path string) bool {
	s.stands(path, at(n))
	if n.Kind == yaml.AliasNode {
		s.errorf(path, "aliases such as *%s are not supported; write the value out", n.Value)
		return false
	}
	if n.Anchor != "" {
		s.errorf(path, "anchors such as &%s are not supported; write the value out where it is used", n.Anchor)
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		s.errorf(path, "there is no value; give it one, or remove the key")
		return false
	}
	t := v.Type()
	if leaf, ok := leaves[t]; ok {
		return s.leaf(n, v, path, leaf)
	}
	switch t.Kind() {
	case reflect.Pointer:
		p := reflect.New(t.Elem())
		setDefaults(p.Interface())
		ok := s.decode(n, p.Elem(), path)
		if ok {
			v.Set(p)
		}
		return ok
	case reflect.Struct:
		return s.mapping(n, v, path)
	case reflect.Slice:
		return s.sequence(n, v, path)
	case reflect.Map:
		return s.table(n, v, path)
	case reflect.String:
		text, ok := s.text(n, path)
		if ok && t == secretType && isVariable(text) {
			s.errorf(path, "it holds ${…}, which is not replaced by a variable; write the secret itself, best into a file of its own")
			return false
		}
		v.SetString(text)
		return ok
	case reflect.Bool:
		return s.boolean(n, v, path)
	case reflect.Int:
		return s.integer(n, v, path)
	}
	panic("config: no way to decode a " + t.String())
}

// mapping fills a struct.
func (s *source) mapping(n *yaml.Node, v reflect.Value, path string) bool {
	fields := s.l.fields.of(v.Type())
	if short, ok := v.Interface().(shorthander); ok && n.Kind == yaml.ScalarNode {
		if f, ok := find(fields, short.shorthand()); ok {
			return s.decode(n, v.FieldByIndex(f.index), path)
		}
	}
	if n.Kind != yaml.MappingNode {
		s.errorf(path, "%s is not a section; write its keys below it, as in %q", describe(n), example(fields))
		return false
	}
	seen := s.keys(n, path)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if seen[key.Value] != key {
			continue
		}
		at := join(path, key.Value)
		f, ok := find(fields, key.Value)
		if !ok {
			s.unknown(key, v.Type(), fields, at)
			continue
		}
		s.decode(value, v.FieldByIndex(f.index), at)
	}
	for _, f := range fields {
		if f.required && seen[f.name] == nil {
			s.errorf(join(path, f.name), "it is missing; add it, as in %q", strings.TrimSpace(f.name+": "+f.example))
		}
	}
	return true
}

// keys returns the key nodes of a mapping by their text, and reports those that
// stand there twice or are no plain text.
func (s *source) keys(n *yaml.Node, path string) map[string]*yaml.Node {
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
			s.add(at(key), path, false, "merge keys (<<) are not supported; write the keys out")
		case key.Kind != yaml.ScalarNode || key.Anchor != "":
			s.add(at(key), path, false, "a key is plain text here, without anchor or alias")
		case seen[key.Value] != nil:
			s.add(at(key), join(path, key.Value), false,
				fmt.Sprintf("it stands there twice, first in line %d; keep one", seen[key.Value].Line))
		default:
			seen[key.Value] = key
		}
	}
	return seen
}

// unknown reports a key that the struct does not have.
func (s *source) unknown(key *yaml.Node, t reflect.Type, fields []field, path string) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	s.add(at(key), path, false, "unknown field; "+cmp.Or(elsewhere(t, key.Value), suggest(key.Value, names)))
}

// sequence fills a list. An element that does not fit stays empty, so that the
// places of the others hold.
func (s *source) sequence(n *yaml.Node, v reflect.Value, path string) bool {
	if n.Kind != yaml.SequenceNode {
		if n.Kind == yaml.ScalarNode {
			s.errorf(path, "%s is not a list; write [%s]", describe(n), shorten(n.Value))
		} else {
			s.errorf(path, "%s is not a list; put a dash before each of its elements", describe(n))
		}
		return false
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		setDefaults(list.Index(i).Addr().Interface())
		s.decode(c, list.Index(i), elem(path, i))
	}
	v.Set(list)
	return true
}

// maxName is the most bytes of a name in a table. It stands in the path of each value below it.
const maxName = 256

// table fills a map from text to something.
func (s *source) table(n *yaml.Node, v reflect.Value, path string) bool {
	if n.Kind != yaml.MappingNode {
		s.errorf(path, "%s is not a table; write it as {name: value}", describe(n))
		return false
	}
	m := reflect.MakeMap(v.Type())
	seen := s.keys(n, path)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] != key {
			continue
		}
		if len(key.Value) > maxName {
			s.add(at(key), path, false, fmt.Sprintf("the name %q is longer than %d bytes; write it shorter", shorten(key.Value), maxName))
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		if s.decode(n.Content[i+1], value, join(path, key.Value)) {
			m.SetMapIndex(reflect.ValueOf(key.Value), value)
		}
	}
	v.Set(m)
	return true
}

// text returns a string of one line. A number or a date that was meant as a
// string must be quoted, as YAML may read it as something else than it looks.
func (s *source) text(n *yaml.Node, path string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		if n.Kind == yaml.ScalarNode {
			s.errorf(path, "%s is not text; write it in quotes, as %q", describe(n), shorten(n.Value))
		} else {
			s.errorf(path, "%s is not text; write one line", describe(n))
		}
		return "", false
	}
	text := strings.TrimSpace(n.Value)
	switch {
	case text == "":
		s.errorf(path, "it is empty; write something, or remove it")
		return "", false
	case strings.ContainsFunc(text, unprintable):
		s.errorf(path, "it has line breaks or control characters; write one line")
		return "", false
	}
	return text, true
}

func (s *source) boolean(n *yaml.Node, v reflect.Value, path string) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Value != "true" && n.Value != "false" {
		s.errorf(path, "%s is neither true nor false; write one of these", describe(n))
		return false
	}
	v.SetBool(n.Value == "true")
	return true
}

func (s *source) integer(n *yaml.Node, v reflect.Value, path string) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" {
		s.errorf(path, "%s is not a whole number; write one, such as 5", describe(n))
		return false
	}
	i, err := strconv.Atoi(n.Value)
	if err != nil || strconv.Itoa(i) != n.Value {
		// 0777 is 511 to YAML, and 1_000 is 1000.
		s.errorf(path, "%s is not a plain whole number; write it with digits alone and no zero in front", describe(n))
		return false
	}
	v.SetInt(int64(i))
	return true
}

// leaf fills something that is written as one text.
func (s *source) leaf(n *yaml.Node, v reflect.Value, path string, leaf leaf) bool {
	if n.Kind != yaml.ScalarNode {
		s.errorf(path, "%s is not text; write one value", describe(n))
		return false
	}
	if strings.HasPrefix(n.Tag, "!") && n.ShortTag() == n.Tag && !strings.HasPrefix(n.Tag, "!!") || n.ShortTag() == "!!binary" {
		s.errorf(path, "the tag %s is not supported; remove it", n.ShortTag())
		return false
	}
	text := strings.TrimSpace(n.Value)
	if text == "" {
		s.errorf(path, "it is empty; write something, or remove it")
		return false
	}
	if v.Type() == reflect.TypeFor[Matchers]() && !s.affordable(text, path) {
		return false
	}
	value, err := leaf.parse(text)
	if err != nil {
		s.errorf(path, "%v", err)
		return false
	}
	v.Set(reflect.ValueOf(value).Convert(v.Type()))
	return true
}

// describe names a node for people.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	text := strconv.Quote(shorten(n.Value))
	switch n.ShortTag() {
	case "!!str":
		return text
	case "!!int", "!!float":
		return "the number " + shorten(n.Value)
	case "!!bool":
		return "the truth value " + n.Value
	case "!!timestamp":
		return "the date " + shorten(n.Value)
	}
	return "the " + n.ShortTag() + " " + text
}

// example shows the first key of a section.
func example(fields []field) string {
	for _, f := range fields {
		if f.required {
			return f.name + ": " + f.example
		}
	}
	return fields[0].name + ": …"
}

func find(fields []field, name string) (f field, ok bool) {
	if i := slices.IndexFunc(fields, func(f field) bool { return f.name == name }); i >= 0 {
		return fields[i], true
	}
	return f, false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// shorten cuts a text that is too long to be shown whole.
func shorten(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// unprintable reports whether a rune has no place in a line of text.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
}
