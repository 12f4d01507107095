package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestContribNamesRealMetrics makes sure that the alert rules and the dashboard ask
// for nothing that the service does not say.
func TestContribNamesRealMetrics(t *testing.T) {
	dir := t.TempDir()
	if err := writeSample(dir); err != nil {
		t.Fatal(err)
	}
	s, err := newService(context.Background(), options{
		config: filepath.Join(dir, "sitrep.yml"), storage: filepath.Join(dir, "sitrep.db"), external: "http://127.0.0.1:9098",
		die: func() { t.Error("the store gave up") },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	known := map[string]bool{}
	descs := make(chan *prometheus.Desc)
	go func() {
		s.registry.Describe(descs)
		close(descs)
	}()
	for d := range descs {
		var name string
		if _, err := fmt.Sscanf(d.String(), "Desc{fqName: %q", &name); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		known[name] = true
	}
	metric := regexp.MustCompile(`\bsitrep_[a-z_]+`)
	for _, path := range []string{"../../contrib/rules/sitrep.yml", "../../contrib/dashboard.json"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := metric.FindAllString(string(b), -1)
		if len(found) < 10 {
			t.Errorf("%s names only %q", path, found)
		}
		for _, name := range found {
			if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s asks for %s, which does not exist", path, name)
			}
		}
	}
}

// TestDemoPaceChangesOnlyTimes makes sure that the demo's configuration raises no
// warnings that the sample does not.
func TestDemoPaceChangesOnlyTimes(t *testing.T) {
	dir := t.TempDir()
	if err := writeSample(dir); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(context.Background(), []string{"check", filepath.Join(dir, "sitrep.yml")}, environmentFor(t, &out)); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%v: %s", err, out.String())
	}
}
