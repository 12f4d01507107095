package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sitrep/contrib"
	"sitrep/incident"
	"sitrep/storage/postgres"

	"github.com/prometheus/client_golang/prometheus"
)

// TestContribNamesRealMetrics makes sure that the alert rules and the dashboard ask
// for nothing that the service does not say.
func TestContribNamesRealMetrics(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, contrib.Sample); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), Options{
		Config: filepath.Join(dir, "sitrep.yml"), Storage: filepath.Join(dir, "sitrep.db"), ExternalURL: "http://127.0.0.1:9098",
		Die: func() { t.Error("the store gave up") },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	known := map[string]bool{incident.CanaryLabel: true} // a label, by which a route finds it
	database := prometheus.NewRegistry()                 // of a store in a database
	postgres.NewMetrics(database)
	descs := make(chan *prometheus.Desc)
	go func() {
		s.registry.Describe(descs)
		database.Describe(descs)
		close(descs)
	}()
	for d := range descs {
		var name string
		if _, err := fmt.Sscanf(d.String(), "Desc{fqName: %q", &name); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		known[name] = true
	}
	metric := regexp.MustCompile(`\bsitrep_[a-z_]+\b=?`)
	for _, path := range []string{"../contrib/rules/sitrep.yml", "../contrib/dashboard.json", "../docs/runbook.md"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := metric.FindAllString(string(b), -1)
		if len(found) < 10 {
			t.Errorf("%s names only %q", path, found)
		}
		for _, name := range found {
			if strings.HasSuffix(name, "=") {
				continue // a label
			}
			if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s asks for %s, which does not exist", path, name)
			}
		}
	}
}
