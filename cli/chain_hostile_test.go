package cli

import (
	"encoding/xml"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestHostileTextsInTheFilesOfOthers: names, labels and values of rules and routes are strangers' texts,
// and what is printed of them moves no cursor, hides nothing and breaks no format.
func TestHostileTextsInTheFilesOfOthers(t *testing.T) {
	for i := range hostileTexts {
		h := &hostileTexts[i]
		t.Run(h.name, func(t *testing.T) {
			chainFiles(t)
			text := h.asJSON() // YAML, too, mostly
			if strings.ContainsRune(text, 0xfffd) || h.json != "" {
				text = fmt.Sprintf("%q", h.configured())
			}
			// What is not read is said, and may be as hostile.
			for name, file := range map[string]string{
				"rules/hostile.yml": "groups:\n- name: " + text + "\n  rules:\n  - alert: " + text + "\n    expr: up\n    labels: {slo: " + text + ", severity: " + text + "}\n    annotations: {summary: " + text + ", runbook_url: " + text + "}\n" +
					"  - {alert: CheckoutErrors, expr: up, labels: {sloth_id: checkout-availability, env: " + text + "}}\n  - {alert: A, expr: " + text + "}\n",
				"rules/spec.yml":    "version: prometheus/v1\nservice: " + text + "\nlabels: {team: " + text + "}\nslos: [{name: " + text + ", alerting: {name: " + text + "}}]\n",
				"rules/other.yml":   text + ": 1\n",
				"alertmanager2.yml": "route: {receiver: " + text + ", repeat_interval: " + text + ", routes: [{match: {env: " + text + "}, receiver: nobody}, {matchers: [" + text + "], mute_time_intervals: [" + text + "]}]}\nreceivers: [{name: " + text + "}, {name: sitrep, webhook_configs: [{url: " + text + "}]}]\n",
			} {
				if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, am := range []string{"alertmanager.yml", "alertmanager2.yml"} {
				for _, format := range []string{"text", "json", "junit", "github"} {
					out, _ := runIn(t, "check", "sitrep.yml", "--rules", "rules/*.yml", "--alertmanager.config", am, "-o", format)
					where := am + " as " + format
					checkTame(t, where, out)
					switch format {
					case "json":
						checkJSON(t, where, out)
					case "junit":
						if err := xml.Unmarshal([]byte(out), &junitSuite{}); err != nil {
							t.Errorf("%s: %v", where, err)
						}
					case "github":
						for line := range strings.Lines(out) {
							if !slices.ContainsFunc([]string{"::error file=", "::warning file=", "::notice file="}, func(s string) bool { return strings.HasPrefix(line, s) }) {
								t.Errorf("%s: %q", where, line)
							}
						}
					}
				}
			}
			out, _ := runIn(t, "import", "rules/checkout.yml", "rules/spec.yml", "--output", "new", "--diff")
			checkTame(t, "import --diff", out)
		})
	}
}
