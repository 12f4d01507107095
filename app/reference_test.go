package app_test

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/app"
	"sitrep/app/apptest"
	"sitrep/internal/golden"
	"sitrep/storage/postgres"
)

// A metric is one of a registry, with the values of its labels that are there from the start.
type metric struct {
	name, help, kind string
	labels           []string
	values           map[string]map[string]bool
}

var descText = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: ("(?:[^"\\]|\\.)*"), (?:unit: "[^"]*", )?constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

// metricsOf returns the metrics of a registry, also those without a series yet.
func metricsOf(t *testing.T, reg *prometheus.Registry) map[string]*metric {
	t.Helper()
	ch := make(chan *prometheus.Desc)
	go func() { defer close(ch); reg.Describe(ch) }()
	all := map[string]*metric{}
	for d := range ch {
		m := descText.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("no description: %s", d)
		}
		if !strings.HasPrefix(m[1], "sitrep_") {
			continue
		}
		help := ""
		if _, err := fmt.Sscanf(m[2], "%q", &help); err != nil {
			t.Fatal(err)
		}
		// Without a series nothing but the name says what it is. That it does is checked below.
		kind := "gauge"
		if strings.HasSuffix(m[1], "_total") {
			kind = "counter"
		}
		all[m[1]] = &metric{name: m[1], help: help, kind: kind, labels: strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' }), values: map[string]map[string]bool{}}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		m := all[f.GetName()]
		if m == nil {
			continue
		}
		kind := strings.ToLower(f.GetType().String())
		if kind != "histogram" && kind != m.kind {
			t.Errorf("%s is a %s, and its name says %s", m.name, kind, m.kind)
		}
		m.kind = kind
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if m.values[l.GetName()] == nil {
					m.values[l.GetName()] = map[string]bool{}
				}
				m.values[l.GetName()][l.GetValue()] = true
			}
		}
	}
	return all
}

// openLabels are those whose values others choose; a page can name what they are alone.
var openLabels = map[string]string{
	"priority": "names of priorities", "from": "names of priorities", "to": "names of priorities", "chain": "ids of SLOs",
	"hash": "SHA-256 of the canonical form", "version": "", "revision": "", "goversion": "",
}

// TestReferenceOfMetricsIsTrue keeps the page of all metrics at what a service registers.
func TestReferenceOfMetricsIsTrue(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	database := prometheus.NewRegistry()
	postgres.NewMetrics(database)
	ofDatabase := metricsOf(t, database)
	// A pool has these, and there is none.
	ofDatabase["sitrep_storage_connections"].values["state"] = map[string]bool{"acquired": true, "idle": true, "opening": true}
	all := metricsOf(t, app.RegistryOf(s.Service))
	var b bytes.Buffer
	b.WriteString("# The metrics\n\nMade from the program by `go generate ./docs`; a test fails where they differ. `/metrics` has these, and those of Go and of the process. " +
		"A counter or a histogram\nis there with zero for each value of its labels that is named here. [operations.md](../operations.md#metrics-and-several-processes-on-one-store) says which hold of the store, and so are the same at each process.\n")
	section := func(title string, all map[string]*metric) {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | what it is |\n|---|---|---|---|\n", title)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			m := all[name]
			var labels []string
			for _, l := range m.labels {
				what, open := openLabels[l]
				if seen := slices.Sorted(maps.Keys(m.values[l])); !open && len(seen) > 0 {
					what = strings.Join(seen, ", ")
				} else if !open {
					t.Errorf("%s has no series yet, and nobody says which values %s has", name, l)
				}
				if what != "" {
					what = ": " + what
				}
				labels = append(labels, "`"+l+"`"+what)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, m.kind, strings.Join(labels, "; "), m.help)
		}
	}
	section("Of each sitrep", all)
	section("With PostgreSQL", ofDatabase)
	if len(all) < 30 {
		t.Errorf("only %d metrics", len(all))
	}
	const page = "../docs/reference/metrics.md"
	golden.Compare(t, page, b.Bytes())
}
