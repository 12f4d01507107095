package chain_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sitrep/chain"
	"sitrep/internal/golden"
)

// An answer is what amtool says of an alert: the receivers, in the order of the routes.
type answer struct {
	Labels    map[string]string `json:"labels"`
	Receivers string            `json:"receivers"`
}

// alerts are label sets that meet each route of routes.yml, and miss it.
func alerts() []map[string]string {
	values := map[string][]string{
		"sloth_id": {"", "a"}, "sloth_severity": {"", "ticket"}, "team": {"", "db"}, "severity": {"", "critical", "info"},
		"env": {"", "prod", "never"}, "service": {"", "shop-web", "payment"}, "region": {"", "us", "eu"}, "missing": {"", "no"},
	}
	names := slices.Sorted(maps.Keys(values))
	var out []map[string]string
	dice := rand.New(rand.NewPCG(1, 2))
	for n := range 240 {
		set := map[string]string{"alertname": []string{"X", "Watchdog"}[n%2]}
		if n%3 == 0 {
			set["cluster"] = "b"
		}
		for _, name := range names {
			list := values[name]
			if v := list[dice.IntN(len(list))]; v != "" {
				set[name] = v
			}
		}
		out = append(out, set)
	}
	return out
}

func routes(t *testing.T) *chain.Alertmanager {
	t.Helper()
	text, err := os.ReadFile("testdata/routes.yml")
	if err != nil {
		t.Fatal(err)
	}
	a := chain.ParseAlertmanager("routes.yml", text, "")
	if len(a.Findings) > 0 {
		t.Fatal(a.Findings)
	}
	return a
}

func TestRoutesAreWalkedAsAmtoolWalksThem(t *testing.T) {
	a := routes(t)
	raw, err := os.ReadFile("testdata/amtool.json")
	if err != nil {
		t.Fatal(err)
	}
	var answers []answer
	if err := json.Unmarshal(raw, &answers); err != nil || len(answers) < 200 {
		t.Fatal(len(answers), err)
	}
	met := map[string]bool{}
	for _, w := range answers {
		got := a.Walk(w.Labels)
		if strings.Join(got, ",") != w.Receivers {
			t.Errorf("%v: %q, amtool says %q", w.Labels, got, w.Receivers)
		}
		for _, r := range got {
			met[r] = true
		}
	}
	for name := range a.Receivers {
		if !met[name] {
			t.Errorf("no alert is sent to %s", name)
		}
	}
}

// TestAmtoolSaysTheSameToday asks amtool where it was built, and records what it says with -update.
func TestAmtoolSaysTheSameToday(t *testing.T) {
	amtool, err := filepath.Abs("../.cache/amtool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(amtool); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("amtool is not built; test.sh does")
		}
		t.Skip("amtool is not built; make amtool does")
	}
	a := routes(t)
	var answers []answer
	sets := alerts()
	if !golden.Update() {
		sets = sets[:60]
	}
	for _, set := range sets {
		args := []string{"config", "routes", "test", "--config.file=testdata/routes.yml"}
		for _, n := range slices.Sorted(maps.Keys(set)) {
			args = append(args, fmt.Sprintf("%s=%s", n, set[n]))
		}
		out, err := exec.CommandContext(t.Context(), amtool, args...).Output()
		if err != nil {
			t.Fatal(args, err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n") // warnings come first
		w := answer{set, lines[len(lines)-1]}
		if got := strings.Join(a.Walk(set), ","); got != w.Receivers {
			t.Errorf("%v: %q, amtool says %q", set, got, w.Receivers)
		}
		answers = append(answers, w)
	}
	if golden.Update() {
		raw, err := json.MarshalIndent(answers, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		golden.Write(t, "testdata/amtool.json", append(raw, '\n'))
	}
}
