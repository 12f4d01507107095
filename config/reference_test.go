package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// A referenceSection is one mapping of the files, with where it may stand.
type referenceSection struct {
	name     string
	of       reflect.Type
	in       []string      // the names of those that have it
	defaults reflect.Value // what holds where the file is silent
}

// reference writes the page of all keys, from what the loader goes by.
func reference() []byte {
	cache := fieldCache{}
	var b strings.Builder
	b.WriteString(`# The configuration, key by key

Made from the program by ` + "`go generate ./docs`" + `; a test fails where they differ, and tries out the bounds. [A sample](../../contrib/sitrep.yml) shows the keys at
work, and [the schema](../../contrib/config.schema.json) has them for editors.

A duration is as Prometheus writes it: ` + "`90s`, `2h`, `1h30m`, `5d`" + `. A matcher is as Alertmanager writes it: ` + "`'env=~\"prod.*\"'`" + `. Names of files are relative to the file in which
they stand. A key that is unknown, stands there twice or has no value is an error.
`)
	for _, s := range sectionsOf(cache, reflect.TypeFor[Config](), reflect.TypeFor[TeamFile]()) {
		s.write(&b, cache)
	}
	return []byte(b.String())
}

// write writes the table of a section.
func (s *referenceSection) write(b *strings.Builder, cache fieldCache) {
	level := "###"
	if len(s.in) == 0 {
		level = "##"
	}
	fmt.Fprintf(b, "\n%s %s\n\n", level, s.name)
	if len(s.in) > 0 {
		fmt.Fprintf(b, "In %s.\n\n", strings.Join(s.in, ", "))
	}
	b.WriteString("| key | value | default | bounds | meaning |\n|---|---|---|---|---|\n")
	for _, f := range cache.of(s.of) {
		t := s.of.FieldByIndex(f.index)
		def := defaultOf(s.defaults.FieldByIndex(f.index))
		if f.required {
			def = "required"
		}
		doc := strings.ReplaceAll(f.doc, "|", `\|`)
		if f.example != "" {
			doc += " Such as `" + f.example + "`."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", f.name, valueOf(f.name, t.Type), def, t.Tag.Get("bounds"), doc)
	}
}

// sectionsOf returns the mappings of the files in the order in which they are met, those of
// the main file first.
func sectionsOf(cache fieldCache, main, team reflect.Type) []*referenceSection {
	sections := []*referenceSection{{name: "The main file", of: main, defaults: defaultsOf(main)}}
	named := map[string]reflect.Type{}
	for i := 0; i < len(sections); i++ {
		s := sections[i]
		at := "[" + strings.ToLower(s.name[:1]) + s.name[1:] + "](#" + anchor(s.name) + ")"
		for _, f := range cache.of(s.of) {
			t, ok := sectionIn(s.of.FieldByIndex(f.index).Type)
			if !ok {
				continue
			}
			if other, ok := named[f.name]; ok && other != t {
				panic("config: two sections are called " + f.name)
			}
			named[f.name] = t
			j := slices.IndexFunc(sections, func(o *referenceSection) bool { return o.of == t })
			if j < 0 {
				defaults := defaultsOf(t)
				if part := s.defaults.FieldByIndex(f.index); part.Type() == t {
					defaults = part // it is a part of what has it, and has its defaults from there
				}
				j, sections = len(sections), append(sections, &referenceSection{name: f.name, of: t, defaults: defaults})
			}
			sections[j].in = append(sections[j].in, at)
		}
		if i == len(sections)-1 && team != nil {
			sections, team = append(sections, &referenceSection{name: "A team's file", of: team, defaults: defaultsOf(team)}), nil
		}
	}
	return sections
}

func defaultsOf(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	setDefaults(v.Interface())
	return v.Elem()
}

// anchor is where a heading is found.
func anchor(heading string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(heading), "'", ""), " ", "-")
}

// sectionIn returns the mapping that a value is, or has many of.
func sectionIn(t reflect.Type) (reflect.Type, bool) {
	if _, ok := leaves[t]; ok {
		return nil, false
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return sectionIn(t.Elem())
	case reflect.Struct:
		return t, true
	}
	return nil, false
}

// nouns say what a text is that is more than text.
var nouns = map[reflect.Type]string{
	reflect.TypeFor[time.Duration]():                "duration",
	reflect.TypeFor[*time.Location]():               "time zone",
	reflect.TypeFor[Address]():                      "email address",
	reflect.TypeFor[URL]():                          "URL",
	reflect.TypeFor[HostPort]():                     "host:port",
	reflect.TypeFor[Rate]():                         "number/`s`, `m` or `h`",
	reflect.TypeFor[Header]():                       "name of a header",
	reflect.TypeFor[netip.Prefix]():                 "network",
	reflect.TypeFor[Clock]():                        "time of day",
	reflect.TypeFor[timeinterval.WeekdayRange]():    "day, or first:last",
	reflect.TypeFor[timeinterval.DayOfMonthRange](): "day, or first:last",
	reflect.TypeFor[timeinterval.MonthRange]():      "month, or first:last",
	reflect.TypeFor[timeinterval.YearRange]():       "year, or first:last",
	reflect.TypeFor[Matchers]():                     "matcher",
	reflect.TypeFor[PEM]():                          "PEM text",
	reflect.TypeFor[Secret]():                       "secret text",
}

// valueOf names the kind of a value for people.
func valueOf(key string, t reflect.Type) string {
	if noun, ok := nouns[t]; ok {
		return noun
	}
	if l, ok := leaves[t]; ok {
		words, ok := l.schema["enum"].([]any)
		if !ok {
			panic("config: no noun for " + t.String())
		}
		var all []string
		for _, w := range words {
			all = append(all, fmt.Sprintf("`%s`", w))
		}
		return strings.Join(all, ", ")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return valueOf(key, t.Elem())
	case reflect.Slice:
		return "list: " + valueOf(key, t.Elem())
	case reflect.Map:
		return "table: " + valueOf(key, t.Elem())
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Int:
		return "whole number"
	case reflect.Struct:
		section := "[" + key + "](#" + key + ")"
		if s, ok := reflect.Zero(t).Interface().(shorthander); ok {
			return section + ", or its `" + s.shorthand() + "` alone"
		}
		return section
	}
	return "text"
}

// defaultOf shows what holds where the file is silent.
func defaultOf(v reflect.Value) string {
	t := v.Type()
	if _, isSection := sectionIn(t); isSection || v.IsZero() && t.Kind() != reflect.Bool {
		return ""
	}
	if l, ok := leaves[t]; ok {
		return "`" + l.format(v.Interface()) + "`"
	}
	return fmt.Sprintf("`%v`", v)
}

// Reference is for the tests from outside.
var Reference = reference

// Bounded returns the keys that have bounds, by their paths in files, such as
// groups[].name, those of teams' files behind "team file: ".
func Bounded() map[string]string {
	out := map[string]string{}
	var walk func(path string, t reflect.Type)
	walk = func(path string, t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			at := path + name
			if option == "inline" {
				walk(path, f.Type)
				continue
			}
			if name == "" || name == "-" {
				continue
			}
			if b := f.Tag.Get("bounds"); b != "" {
				out[at] = b
			}
			if s, ok := sectionIn(f.Type); ok {
				if f.Type.Kind() == reflect.Slice {
					at += "[]"
				}
				walk(at+".", s)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	walk("team file: ", reflect.TypeFor[TeamFile]())
	return out
}
