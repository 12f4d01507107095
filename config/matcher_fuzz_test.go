package config

import (
	"strings"
	"testing"
)

// FuzzMatchers: what is taken for matchers is affordable, can be written again, and means
// the same then.
func FuzzMatchers(f *testing.F) {
	for _, s := range []string{
		`alertname="Burn"`, `env=~"prod.*"`, `{a="b",c!="d"}`, `a!~"x|y"`, `a=b`, `"ü"="x"`, `a=~"(((x{1000}){1000}){1000})"`, `a=~"\\pL{99}"`, `a=~"("`, `a="\""`, `{}`, ``, `a=~"`, "a=\"\xff\"",
		`a="\n",b=~"c"`, `a=~b=~c`, `!=`, `{{`, `a="{{.}}"`,
	} {
		f.Add(s, "alertname", "Burn")
	}
	f.Fuzz(func(t *testing.T, text, name, value string) {
		ms, err := parseMatchers(text)
		if err != nil {
			if said := err.Error(); said == "" || len(said) > 10_000 {
				t.Errorf("%q: %.200q", text, said)
			}
			return
		}
		n, err := cost(text)
		if err != nil || n < 0 || n > maxMatcher || len(ms) == 0 {
			t.Fatalf("%q has %d matchers and costs %d, %v", text, len(ms), n, err)
		}
		set := map[string]string{name: value}
		holds := ms.hold(set)
		again, err := parseMatchers(ms.String())
		if err != nil {
			if len(ms.String()) > maxMatcherText || strings.Contains(err.Error(), "too large") {
				return // it is longer, or dearer, with its escapes
			}
			t.Fatalf("%q is written as %q: %v", text, ms, err)
		}
		if again.hold(set) != holds || again.String() != ms.String() {
			t.Errorf("%q is written as %q, and read as %q", text, ms, again)
		}
	})
}
