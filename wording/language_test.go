package wording

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/feature/plural"
)

// problemsOf says what is wrong with a language, as compared with English.
func problemsOf(l, english *Language) []string {
	var out []string
	say := func(parts ...string) { out = append(out, strings.Join(parts, " ")) }
	needs := map[plural.Form]bool{}
	for i := range 1001 {
		needs[l.plural(i)] = true
	}
	for _, big := range []int{10_000, 1_000_000, 1_000_001} {
		needs[l.plural(big)] = true
	}
	for _, key := range l.keys() {
		if english.texts[key] == nil {
			say(key, "is a text that English does not have")
		}
	}
	for _, key := range english.keys() {
		want, got := english.texts[key], l.texts[key]
		if got == nil {
			say(key, "is missing")
			continue
		}
		forms := map[plural.Form]bool{plural.Other: true}
		if slices.ContainsFunc(want[plural.Other+1:], func(p []piece) bool { return p != nil }) {
			forms = needs
		}
		for name, form := range pluralForms {
			if (got[form] != nil) != forms[form] {
				say(key, "has the plurals", strings.Join(namesOf(got), ", ")+", and", name, map[bool]string{true: "is needed", false: "is not"}[forms[form]])
			}
		}
		names := placesOf(slices.Concat(want[:]...))
		for form, pattern := range got {
			if pattern == nil {
				continue
			}
			has := placesOf(pattern)
			if plural.Form(form) != plural.Other && slices.Contains(names, numberName) && !slices.Contains(has, numberName) {
				has = slices.Sorted(slices.Values(append(has, numberName)))
			}
			if !slices.Equal(has, names) {
				say(key, "has the places", strings.Join(has, ", ")+", not", strings.Join(names, ", "))
			}
			first, last := pattern[0].literal, pattern[len(pattern)-1].literal
			if key != "list.comma" && (strings.TrimLeft(first, " ") != first || strings.TrimRight(last, " ") != last) {
				say(key, "begins or ends with a space")
			}
			if whole := want[plural.Other]; strings.HasSuffix(last, ".") && !strings.HasSuffix(whole[len(whole)-1].literal, ".") {
				say(key, "ends with a full stop, which is added to it")
			}
		}
	}
	if l.name == "" || slices.Contains(l.quotes[:], "") || slices.Contains(l.weekdays, "") || slices.Contains(l.months, "") {
		say("its name, a quotation mark, a weekday or a month is empty")
	}
	if !strings.Contains(joined(l.hours), "04") || !strings.Contains(joined(l.day), joined(l.hours)) || !strings.Contains(joined(l.year), "2006") {
		say("time has no minutes, day has no time, or year has no year")
	}
	return out
}

// placesOf are the names of what is filled in, each once.
func placesOf(pattern []piece) []string {
	names := map[string]bool{}
	for _, p := range pattern {
		if p.name != "" {
			names[p.name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func namesOf(t *text) []string {
	var out []string
	for name, form := range pluralForms {
		if t[form] != nil {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func joined(pattern []piece) string {
	var b strings.Builder
	for _, p := range pattern {
		b.WriteString(p.literal)
	}
	return b.String()
}

// TestEachLanguageHasAllTexts, and none that is not needed, with the same places to fill in.
func TestEachLanguageHasAllTexts(t *testing.T) {
	if tags := Languages(); !slices.Contains(tags, english) || !slices.Contains(tags, "de") {
		t.Fatalf("the languages are %q", tags)
	}
	for _, tag := range Languages() {
		for _, problem := range problemsOf(In(tag), In(english)) {
			t.Errorf("languages/%s.yaml: %s", tag, problem)
		}
	}
}

const tiny = `
name: Tiny
quotes: ["<", ">", "'", "'"]
time: "15:04"
day: "{weekday} 2 {month} 15:04"
year: "{weekday} 2 {month} 2006 15:04"
weekdays: [a, b, c, d, e, f, g]
months: [a, b, c, d, e, f, g, h, i, j, k, l]
texts:
  since: "since {time}"
  alerts: {one: "one alert", other: "{n} alerts"}
`

// TestMistakesInALanguageAreFound keeps the test above honest.
func TestMistakesInALanguageAreFound(t *testing.T) {
	base, err := parseLanguage("en", []byte(tiny))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ tag, from, to, want string }{
		{"de", "", "", ""},
		{"de", `  since: "since {time}"` + "\n", "", "since is missing"},
		{"de", "texts:\n", "texts:\n  other: x\n", "other is a text that English does not have"},
		{"de", "{time}\"", "{when}\"", "since has the places when, not time"},
		{"de", "since {time}", "since", "since has the places , not time"},
		{"de", `other: "{n} alerts"`, `other: "alerts"`, "alerts has the places , not n"},
		{"de", `{one: "one alert", other: "{n} alerts"}`, `"{n} alerts"`, "alerts has the plurals other, and one is needed"},
		{"de", `one: "one alert"`, `one: "one alert", two: "both"`, "alerts has the plurals one, other, two, and two is not"},
		{"pl", "", "", "alerts has the plurals one, other, and few is needed"},
		{"ja", "", "", "alerts has the plurals one, other, and one is not"},
		{"de", "since {time}", "since {time} ", "since begins or ends with a space"},
		{"de", "since {time}", "since {time}.", "since ends with a full stop, which is added to it"},
		{"de", `time: "15:04"`, `time: "15"`, "time has no minutes, day has no time, or year has no year"},
		{"de", "name: Tiny", "name: ''", "its name, a quotation mark, a weekday or a month is empty"},
		// What cannot be read at all.
		{"de", "since {time}", "since {time", "no name in braces"},
		{"de", "since {time}", "since {}", "no name in braces"},
		{"de", "since {time}", "", "it is empty"},
		{"de", "one:", "single:", `no plural "single"`},
		{"de", "other: \"{n} alerts\"", "few: x", `no plural "other"`},
		{"de", "name:", "nam:", "field nam not found"},
		{"de", "weekdays: [a, ", "weekdays: [", "6 weekdays"},
		{"de", "texts:\n", "texts:\n  since: twice\n", "already defined"},
		{"x", "", "", "language"},
	} {
		src := strings.Replace(tiny, tc.from, tc.to, 1)
		var problems []string
		if l, err := parseLanguage(tc.tag, []byte(src)); err != nil {
			problems = []string{err.Error()}
		} else {
			problems = problemsOf(l, base)
		}
		if got := strings.Join(problems, "\n"); tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s, %q in place of %q: %q, want %q", tc.tag, tc.to, tc.from, got, tc.want)
		}
	}
}

// TestEachTextIsUsed holds the texts against the code: each key that stands there is a text and
// is given what it names, and each text stands in the code, but for those that are found by
// what they are about.
func TestEachTextIsUsed(t *testing.T) {
	// sayers take a key at that place, and after it the pairs.
	sayers := map[string]int{"say": 0, "count": 0, "act": 1, "by": 0}
	used := map[string]bool{}
	all := In(english)
	check := func(fn, key string, given []string) {
		if all.texts[key] == nil {
			return
		}
		places := placesOf(slices.Concat(all.texts[key][:]...))
		for _, name := range places {
			if name == numberName && fn == "count" || name == "who" && (fn == "act" || fn == "by") {
				continue
			}
			if given != nil && !slices.Contains(given, name) {
				t.Errorf("%s names %q, and is given %q", key, name, given)
			}
		}
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	literals := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(node ast.Node) bool {
			if lit, ok := node.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				s, _ := strconv.Unquote(lit.Value)
				literals[s] = true
			}
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			at, ok := sayers[sel.Sel.Name]
			if !ok || len(call.Args) <= at {
				return true
			}
			lit, ok := call.Args[at].(*ast.BasicLit)
			if !ok {
				return true
			}
			key, _ := strconv.Unquote(lit.Value)
			var given []string
			for _, arg := range call.Args[at+1:] {
				if name, ok := arg.(*ast.BasicLit); ok && name.Kind == token.STRING {
					s, _ := strconv.Unquote(name.Value)
					given = append(given, s)
				}
			}
			if call.Ellipsis.IsValid() {
				given = nil
			} else if given == nil {
				given = []string{}
			}
			keys := []string{key}
			if sel.Sel.Name == "act" || sel.Sel.Name == "by" {
				keys = []string{key + ".by", key + ".done"}
			}
			for _, key := range keys {
				if all.texts[key] == nil {
					t.Errorf("%s: there is no text %q", name, key)
				}
				used[key] = true
				check(sel.Sel.Name, key, given)
			}
			return true
		})
	}
	if len(used) < 100 {
		t.Fatalf("only %d texts are used", len(used))
	}
	for _, key := range all.keys() {
		kind, rest, _ := strings.Cut(key, ".")
		found := used[key] || literals[key] || literals[strings.TrimSuffix(strings.TrimSuffix(key, ".by"), ".done")]
		switch kind {
		case "why", "phase", "audience": // by what is in the domain; see the test of reasons
			found = true
		case "status", "event":
			rest, _, _ = strings.Cut(rest, ".")
			found = found || literals[rest]
		}
		if !found {
			t.Errorf("nothing says %s", key)
		}
	}
}
