package config_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"sitrep/config"
)

// houseOfSLOs is a main file that takes the SLOs of a pattern.
const houseOfSLOs = `
mail: {directory: outbox, from: incidents@example.org}
priorities: [{name: P1, inform: [stakeholders], update_every: 2h}]
groups: [{name: support, email: [support@example.org]}]
slo_files: ['%s']
`

// TestRegexpBombs: no file of a team makes a load take much memory.
func TestRegexpBombs(t *testing.T) {
	slos := func(n int, match func(i int) string) string {
		var b strings.Builder
		b.WriteString("team: shop\nstakeholders: [support]\nslos:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {id: s%d, use_case: Customers cannot pay, priority: P1, match: ['%s']}\n", i, match(i))
		}
		return b.String()
	}
	same := func(s string) func(int) string { return func(int) string { return s } }
	var words []string
	for i := range 300 {
		words = append(words, fmt.Sprintf("service-%04d", i*37))
	}
	for _, c := range []struct{ name, file, says string }{
		{"a repetition", slos(1, same(`a=~".{1000}.{1000}.{1000}.{1000}.{1000}.{1000}.{1000}.{1000}.{1000}.{1000}"`)), "is too large once it is compiled"},
		{"in the older syntax", slos(1, same(`{a=~(x{100}){10}x{999}x{999}x{999}x{999}x{999}x{999}x{999}x{999}x{999}x{999}}`)), "is too large once it is compiled"},
		{"one that is denied", slos(1, same(`a!~".{1000}.{1000}.{1000}.{1000}.{1000}.{1000}.{1000}.{1000}.{1000}.{1000}"`)), "is too large once it is compiled"},
		{"behind another", slos(1, same(`b="=~", a=~"(x{100}){10}x{999}x{999}x{999}x{999}x{999}x{999}x{999}x{999}x{999}x{999}"`)), "is too large once it is compiled"},
		{"at least so many", slos(1, same(`a=~"(x{10,}){100,}(x{10,}){100,}(x{10,}){100,}(x{10,}){100,}(x{10,}){100,}(x{10,}){100,}(x{10,}){100,}(x{10,}){100,}(x{10,}){100,}(x{10,}){100,}(x{10,}){100,}"`)), "is too large once it is compiled"},
		{"many of them", slos(900, func(i int) string { return fmt.Sprintf(`a=~"%d.{990}x{990}y{990}z{990}"`, i) }), "of the file cost more than may be"},
		{"letters of all scripts", slos(700, same(`a=~"`+strings.Repeat(`\\pL`, 20)+`"`)), "of the file cost more than may be"},
		{"many classes of letters", slos(700, same(`a=~"`+strings.Repeat(`\\pL`, 300)+`"`)), "it names more than 20 classes"},
		{"a long text", slos(1, same(`a=~"`+strings.Repeat("x", 9000)+`"`)), "it is longer than 8192 bytes"},
		{"many matchers", slos(1, same(strings.Repeat(`a="b",`, 100)+`c="d"`)), "it has 101 matchers"},
		{"no regular expression", slos(1, same(`a=~"("`)), "is not a matcher"},
		{"many values", slos(1, same(`a=~"`+strings.Join(words, "|")+`"`)), ""},
		{"many SLOs", slos(2000, func(i int) string { return fmt.Sprintf(`a="%d",env=~"prod.*"`, i) }), ""},
		{"a long name of many values", "team: shop\non_call: {webhooks: [{url: 'http://127.0.0.1/', http_config: {http_headers: {? " + strings.Repeat("x", 100_000) + " : {values: [" + strings.Repeat("a,", 10_000) + "]}}}}]}\nstakeholders: [support]\nslos: []\n", "is longer than 256 bytes"},
		{"an equality that looks like one", slos(1, same(`a="(.{100}){101}"`)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, map[string]string{"sitrep.yml": fmt.Sprintf(houseOfSLOs, "slos/*.yml"), "slos/a.yml": c.file})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := config.Load(path)
			runtime.ReadMemStats(&after)
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 600 {
				t.Errorf("%d MiB were allocated for %d KiB", allocated, len(c.file)>>10)
			}
			var problems *config.Problems
			switch {
			case c.says == "" && err != nil:
				t.Errorf("error is %.300v", err)
			case c.says == "":
			case !errors.As(err, &problems) || !strings.Contains(err.Error(), c.says):
				t.Errorf("error is %.300v, want %s", err, c.says)
			case len(problems.List) > 900:
				t.Errorf("%d problems", len(problems.List))
			}
		})
	}
}
