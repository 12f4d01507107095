package cli

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sitrep/app"
	"sitrep/chain"
	"sitrep/config"
)

// TestTheChainClaimsAsTheServiceWill: for alerts of which all labels are known, the SLOs that the
// check finds are those that the service finds.
func TestTheChainClaimsAsTheServiceWill(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	pick := func(words ...string) string { return words[dice.IntN(len(words))] }
	var slos strings.Builder
	slos.WriteString("team: t\nslos:\n")
	for i := range 60 {
		fmt.Fprintf(&slos, "  - {id: s%d, use_case: u, priority: P1", i)
		var match []string
		for range dice.IntN(4) {
			match = append(match, fmt.Sprintf(`'%s%s"%s"'`, pick("alertname", "env", "a", "b"), pick("=", "=", "!=", "=~", "!~"), pick("x", "y", "z", "x|y", "x|", "")))
		}
		if len(match) > 0 {
			fmt.Fprintf(&slos, ", match: [%s]", strings.Join(match, ", "))
		}
		if dice.IntN(5) == 0 {
			fmt.Fprintf(&slos, `, ignore: ['b="%s"']`, pick("x", "y"))
		}
		slos.WriteString("}\n")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sitrep.yml": `
mail: {directory: outbox, from: a@example.org}
priorities: [{name: P1, inform: [management], update_every: 2h}]
management: [all]
groups: [{name: all, email: [a@example.org]}]
slo_files: [t.yml]
slo_labels: [own]
ignore: ['a="z",env="z"']
watchdog: {match: ['alertname="y"', 'env="y"'], groups: [all]}
`,
		"t.yml": slos.String(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, at, err := config.LoadWithPositions(filepath.Join(dir, "sitrep.yml"))
	if err != nil {
		t.Fatal(err)
	}
	claimed := 0
	for n := range 600 {
		set := map[string]string{}
		for _, l := range []string{"env", "a", "b"} {
			if v := pick("", "x", "y", "z"); v != "" {
				set[l] = v
			}
		}
		for _, l := range []string{"sitrep_slo", "sloth_id", "slo", "own"} {
			if dice.IntN(4) == 0 {
				set[l] = fmt.Sprintf("s%d", dice.IntN(70))
			}
		}
		name := pick("x", "y", "z")
		rule := &chain.Rule{Name: name, Expr: "vector(1)", Static: map[string]chain.Static{}, Place: chain.Place{File: "r", Line: n + 1, Column: 1}}
		for l, v := range set {
			rule.Static[l] = chain.Static{Value: v}
		}
		rules := &chain.Rules{}
		rules.Add(rule)
		rules.Infer(nil)
		var got []string
		for _, s := range chain.Check(app.Promise(c, at), rules, nil, nil).SLOs {
			if len(s.Links) > 0 {
				got = append(got, fmt.Sprint(s.SLO.ID, " ", s.Links[0].Claimed))
			}
		}
		set["alertname"] = name
		var want []string
		if m := c.Lookup(set); m.SLO != nil && !m.Ignored && !m.Watchdog {
			for _, id := range append(m.Ambiguous, m.SLO.ID) {
				want = append(want, id+" always")
			}
			claimed++
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%v is claimed by %q, and will be by %q", set, got, want)
		}
	}
	if claimed < 150 {
		t.Errorf("only %d alerts are claimed", claimed)
	}
}
