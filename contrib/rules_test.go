package contrib_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// promtool runs Prometheus's own tool on files of the folder rules, and returns what it says.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir = "rules"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRulesAreSound(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", "sitrep.yml")
}

// TestRulesFireAsTheyShould runs rules/tests, each file by itself.
func TestRulesFireAsTheyShould(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("rules/tests/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			promtool(t, "test", "rules", strings.TrimPrefix(file, "rules/"))
		})
	}
}

// TestEachRuleIsTested: each alert fires once in a test and is silent in another, and what each rule
// records is looked at.
func TestEachRuleIsTested(t *testing.T) {
	t.Parallel()
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Record string }
		}
	}
	read(t, "rules/sitrep.yml", &rules)
	fires, silent, looked := map[string]bool{}, map[string]bool{}, ""
	files, err := filepath.Glob("rules/tests/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var tests struct {
			RuleFiles []string `yaml:"rule_files"`
			Tests     []struct {
				Alerts []struct {
					Name string `yaml:"alertname"`
					Exp  []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
				Exprs []struct{ Expr string } `yaml:"promql_expr_test"`
			}
		}
		read(t, file, &tests)
		if !slices.Equal(tests.RuleFiles, []string{"../sitrep.yml"}) {
			t.Errorf("%s tests %q", file, tests.RuleFiles)
		}
		for _, test := range tests.Tests {
			fired := false
			for _, a := range test.Alerts {
				fired = fired || len(a.Exp) > 0
				if len(a.Exp) > 1 {
					t.Errorf("%s fires %d times", a.Name, len(a.Exp))
				}
				fires[a.Name] = fires[a.Name] || len(a.Exp) == 1
			}
			for _, a := range test.Alerts { // that it is silent until it fires is another matter
				silent[a.Name] = silent[a.Name] || !fired
			}
			for _, e := range test.Exprs {
				looked += e.Expr + "\n"
			}
		}
	}
	count := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			count++
			if r.Alert != "" && !(fires[r.Alert] && silent[r.Alert]) {
				t.Errorf("%s: fires in a test: %t, is silent in another: %t", r.Alert, fires[r.Alert], silent[r.Alert])
			}
			if r.Record != "" && !strings.Contains(looked, r.Record) {
				t.Errorf("no test looks at %s", r.Record)
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d rules", count)
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
