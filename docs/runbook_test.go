package docs_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alerts returns the runbook_url of each alert on sitrep itself.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "../contrib/rules/sitrep.yml")), &rules); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				all[r.Alert] = r.Annotations["runbook_url"]
			}
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d alerts", len(all))
	}
	return all
}

// TestEachAlertHasItsSection: who is woken finds what it means, what to look at and what to do where the
// alert leads to, and nothing is there of an alert that is no more.
func TestEachAlertHasItsSection(t *testing.T) {
	all := alerts(t)
	_, text, _ := strings.Cut(read(t, "runbook.md"), "\n## ")
	seen := map[string]bool{}
	for section := range strings.SplitSeq(text, "\n## ") {
		title, body, _ := strings.Cut(section, "\n")
		if seen[title] {
			t.Errorf("%s has two sections", title)
		}
		seen[title] = true
		url, ok := all[title]
		if !ok {
			t.Errorf("%s is no alert", title)
		} else if want := "docs/runbook.md#" + strings.ToLower(title); url != want {
			t.Errorf("%s leads to %q, want %q", title, url, want)
		}
		var parts []string
		for _, m := range regexp.MustCompile(`(?m)^\*\*([^*]+):\*\* .{10}`).FindAllStringSubmatch(body, -1) {
			parts = append(parts, m[1])
		}
		if !slices.Equal(parts, []string{"Means", "Look at", "Do"}) {
			t.Errorf("%s has the parts %q", title, parts)
		}
	}
	for _, alert := range slices.Sorted(maps.Keys(all)) {
		if !seen[alert] {
			t.Errorf("%s has no section", alert)
		}
	}
}
