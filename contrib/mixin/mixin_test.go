package mixin

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/formatter"
)

var update = flag.Bool("update", false, "write the files that are made from the mixin")

// evaluated returns the text that a jsonnet expression gives, with the files of this folder to import.
func evaluated(t *testing.T, expr string) string {
	t.Helper()
	vm := jsonnet.MakeVM()
	vm.StringOutput = true
	text, err := vm.EvaluateAnonymousSnippet("test.jsonnet", expr)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestFilesAreMadeFromTheMixin keeps what people load without jsonnet at what the mixin says.
func TestFilesAreMadeFromTheMixin(t *testing.T) {
	for file, from := range map[string]string{
		"../rules/sitrep.yml":               "rules.jsonnet",
		"../kubernetes/prometheusrule.yaml": "prometheusrule.jsonnet",
		"../helm/sitrep/files/rules.yml":    "rules.jsonnet",
		"../dashboard.json":                 "dashboard.jsonnet",
	} {
		made := evaluated(t, "import '"+from+"'")
		if *update {
			if err := os.WriteFile(file, []byte(made), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		is, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(is) != made {
			t.Errorf("contrib/mixin/%s makes another file than contrib/%s: change the mixin, and run go test . -update in contrib/mixin", from, strings.TrimPrefix(file, "../"))
		}
	}
}

// TestConfigurationIsObeyed: an organisation sets in a file of its own what differs there.
func TestConfigurationIsObeyed(t *testing.T) {
	text := evaluated(t, `
		local mixin = (import 'mixin.libsonnet') + {
			_config+:: {
				selector: 'job="incidents"',
				runbook_base: 'https://wiki.example.org/runbook',
				severity_label: 'urgency',
				severities: { page: 'critical', ticket: 'warning' },
				on_time_objective: 0.95,
				on_time_tolerated: 7,
				dashboard_uid: 'incidents',
				dashboard_tags: ['mine'],
			},
		};
		std.manifestJson([mixin.prometheusAlerts, mixin.prometheusRules, mixin.grafanaDashboards])`)
	for _, want := range []string{
		`up{job=\"incidents\"}`, `"https://wiki.example.org/runbook#sitrepdown"`, `"urgency": "critical"`, `"urgency": "warning"`,
		`ratio_rate1h > 0.72 and`, `increase1h > 7`, `"uid": "incidents"`, `"mine"`, `0.95`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is nowhere", want)
		}
	}
	for _, none := range []string{`job=\"sitrep\"`, "docs/runbook.md", `"severity"`, `"uid": "sitrep"`} {
		if strings.Contains(text, none) {
			t.Errorf("%s is still there", none)
		}
	}
}

// TestMixinIsFormatted as jsonnetfmt does.
func TestMixinIsFormatted(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "sonnet") {
			continue
		}
		seen++
		is, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		formatted, err := formatter.Format(f.Name(), string(is), formatter.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(f.Name(), []byte(formatted), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if formatted != string(is) {
			t.Errorf("%s is not formatted: run go test . -update", f.Name())
		}
	}
	if seen < 6 {
		t.Errorf("only %d files", seen)
	}
}
