package app

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"go.yaml.in/yaml/v3"

	"sitrep/storage/postgres"
)

// kinds are what the documentation says that metrics are of, by name.
func kinds(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(sitrep_[a-z_]+)` \\| (the store|the process|all) \\|").FindAllStringSubmatch(string(b), -1) {
		all[m[1]] = m[2]
	}
	return all
}

// samples are the lines of a scrape, by metric; those of histograms by that.
func samples(t *testing.T, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name := regexp.MustCompile(`^sitrep_[a-z_]+`).FindString(line); name != "" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, suffix)
			}
			all[name] += line
		}
	}
	return all
}

// Two processes have one store: what the documentation says is of the store both of them say
// alike, whoever did it, and each metric is in it.
func TestMetricsAreOfWhatTheDocumentationSays(t *testing.T) {
	of := kinds(t)
	synctest.Test(t, func(t *testing.T) {
		first, err := newRemote(t, Options{NewKey: true}, &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		second := &remote{t: t, dir: first.dir}
		second.Service, err = newService(t.Context(), first.options, slog.New(slog.DiscardHandler), func(context.Context, *Options, *metrics, *slog.Logger) (*engine, error) {
			return &engine{Store: lent{first.store}, free: first.store.Store.(*engine).free}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if second.http, err = second.Handler(); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*remote{first, second} {
			began := time.Now()
			r.scheduler.Steady = func() time.Duration { return time.Since(began) }
		}
		first.Start()
		second.Start()
		time.Sleep(10 * time.Second)
		for range 3 {
			first.expect("POST", "/alertmanager", alert(time.Now().String()), 200)
			time.Sleep(2 * time.Minute)
		}
		synctest.Wait()
		said := []map[string]string{samples(t, first.ask("GET", "/metrics", "").Body.String()), samples(t, second.ask("GET", "/metrics", "").Body.String())}
		known := map[string]bool{}
		for name := range said[1] {
			known[name] = true
			if of[name] == "" {
				t.Errorf("docs/operations.md does not say what %s is of", name)
			}
			if of[name] == "the store" && said[0][name] != said[1][name] {
				t.Errorf("%s is not of the store:\n%s%s", name, said[0][name], said[1][name])
			}
		}
		for _, name := range []string{"sitrep_alerts_total", "sitrep_incident_events_total"} {
			if said[0][name] == said[1][name] {
				t.Errorf("%s of what one process did is the same for both:\n%s", name, said[0][name])
			}
		}
		database := prometheus.NewRegistry() // of a store in a database
		postgres.NewMetrics(database)
		descs := make(chan *prometheus.Desc)
		go func() {
			first.registry.Describe(descs)
			database.Describe(descs)
			close(descs)
		}()
		for d := range descs {
			known[regexp.MustCompile(`fqName: "([a-z_]*)`).FindStringSubmatch(d.String())[1]] = true
		}
		for name := range of {
			if !known[name] {
				t.Errorf("docs/operations.md has %s, which is no metric", name)
			}
		}
		for name := range known {
			if strings.HasPrefix(name, "sitrep_") && of[name] == "" {
				t.Errorf("docs/operations.md does not say what %s is of", name)
			}
		}
		second.Close()
		first.Close()
	})
}

// lent is a store that another closes.
type lent struct{ *away }

func (lent) Close() error { return nil }

// What is of the store is not counted once for each process, and what all of them did
// together is summed up.
func TestContribTakesSeveralProcessesForOne(t *testing.T) {
	var exprs []string
	b, err := os.ReadFile("../contrib/rules/sitrep.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Expr        string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(b, &rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			exprs = append(exprs, r.Expr)
			for _, m := range regexp.MustCompile(`query "([^"]*)"`).FindAllStringSubmatch(r.Annotations["description"], -1) {
				exprs = append(exprs, m[1])
			}
		}
	}
	if b, err = os.ReadFile("../contrib/dashboard.json"); err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(b, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	if len(exprs) < 40 {
		t.Errorf("only %d expressions", len(exprs))
	}
	of := kinds(t)
	metric := regexp.MustCompile(`sitrep_[a-z_]+`)
	for _, e := range exprs {
		for _, at := range metric.FindAllStringIndex(e, -1) {
			name := strings.TrimSuffix(e[at[0]:at[1]], "_bucket")
			before := e[:at[0]]
			switch of[name] {
			case "the store":
				if !strings.HasSuffix(before, "max without (instance, pod) (") {
					t.Errorf("%s is of the store, and not taken once: %s", name, e)
				}
			case "all":
				if !regexp.MustCompile(`sum( (by|without) \([a-z, ]+\) |)\((rate|increase)\($`).MatchString(before) {
					t.Errorf("%s is of all, and not summed up: %s", name, e)
				}
			case "":
				t.Errorf("%s of %s is not documented", name, e)
			}
		}
	}
}
