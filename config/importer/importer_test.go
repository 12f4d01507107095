package importer_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sitrep/chain"
	"sitrep/config"
	"sitrep/config/importer"
)

var idLabels = (&config.Config{}).IDLabels()

// read returns the objectives of files in testdata.
func read(t *testing.T, names ...string) []*importer.Objective {
	t.Helper()
	src := &importer.Source{IDLabels: idLabels}
	for _, n := range names {
		text, err := os.ReadFile(filepath.Join("testdata", n))
		if err != nil {
			t.Fatal(err)
		}
		src.Parse(n, text)
	}
	list := src.Objectives()
	for _, f := range src.Findings {
		t.Error(f.String())
	}
	return list
}

func shown(list []*importer.Objective) string {
	var b strings.Builder
	for _, o := range list {
		fmt.Fprintf(&b, "%s | %s | %s | %s | %s | %s | %s\n", o.ID, o.UseCase, o.SLI, o.Service, o.Team, o.Runbook, strings.Join(o.Match, " "))
	}
	return b.String()
}

func TestWhatEachToolSays(t *testing.T) {
	const (
		register    = "notifications-register-availability | Application cannot register with notification services | availability | notifications | notifications | %s | \n"
		runbook     = "https://runbooks.example/notifications/"
		preferences = "notifications-preferences-availability | Notification preferences cannot be set | availability | notifications | notifications | %s | \n"
		latency     = "notifications-delivery-latency | Notifications arrive with a delay | latency | notifications | notifications | %s | \n"
	)
	whole := fmt.Sprintf(register, runbook+"register-availability") +
		"notifications-send-availability | Application cannot notify its users | availability | notifications | notifications | " + runbook + "send-availability | \n" +
		fmt.Sprintf(latency, runbook+"delivery-latency") + fmt.Sprintf(preferences, runbook+"preferences-availability") +
		"notifications-language-correctness | Notifications are sent in the wrong language | correctness | notifications | notifications | " + runbook + "language-correctness | \n"
	for _, c := range []struct {
		files []string
		want  string
	}{
		{[]string{"notifications.sloth.yml"}, whole},
		// What Sloth makes of it says the same, and both together nothing more.
		{[]string{"notifications.rules.yml"}, whole},
		{[]string{"notifications.sloth.yml", "notifications.rules.yml"}, whole},
		{
			[]string{"notifications-delivery-latency.yaml", "notifications-preferences-availability.yaml", "notifications-register-availability.yaml"},
			fmt.Sprintf(latency, "") + fmt.Sprintf(preferences, "") + fmt.Sprintf(register, ""),
		},
		{[]string{"notifications.openslo.yml"}, "notifications-register-availability-0 | Application cannot register with notification services | availability | notifications |  |  | \n"},
		{
			[]string{"hand.yml"},
			`checkout-availability | Customers cannot pay | availability | checkout | shop | https://wiki.example.org/checkout | slo="availability" service="checkout"` + "\n" +
				`search-availability |  | availability | search | shop |  | slo="availability" service="search"` + "\n" +
				`cart-latency-budget-burn | It's slow, "very" slow: # 1 | latency | cart |  |  | alertname="CartLatencyBudgetBurn"` + "\n",
		},
	} {
		if got := shown(read(t, c.files...)); got != c.want {
			t.Errorf("%v:\n%s\nwant:\n%s", c.files, got, c.want)
		}
	}
	// Pyrra's rules have no summaries, but the ids of its specs.
	var ids []string
	for _, o := range read(t, "notifications-delivery-latency.rules.yaml", "notifications-preferences-availability.rules.yaml", "notifications-register-availability.rules.yaml") {
		ids = append(ids, o.ID)
	}
	if want := []string{"notifications-delivery-latency", "notifications-preferences-availability", "notifications-register-availability"}; !slices.Equal(ids, want) {
		t.Errorf("%q, want %q", ids, want)
	}
}

const main = `
mail: {directory: outbox, from: incidents@example.org}
priorities:
  - {name: P1, inform: [stakeholders], update_every: 2h}
  - {name: P2, inform: [stakeholders], update_every: 4h}
groups: [{name: support, email: [support@example.org]}]
slo_files: [slos/*.yml]
`

// load loads a configuration with these files of teams.
func load(t *testing.T, files map[string][]byte) (*config.Config, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "slos"), 0o700); err != nil {
		t.Fatal(err)
	}
	files["sitrep.yml"] = []byte(main)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Load(filepath.Join(dir, "sitrep.yml"))
}

// TestWhatIsWrittenLoadsOncePrioritiesAreChosen, and until then check says what is to be chosen.
func TestWhatIsWrittenLoadsOncePrioritiesAreChosen(t *testing.T) {
	list := read(t, "notifications.sloth.yml", "notifications.openslo.yml", "hand.yml")
	changes, err := importer.Merge("slos", nil, list, importer.Choice{Stakeholders: []string{"support"}})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, c := range changes {
		files[c.Name] = c.After
	}
	_, err = load(t, files)
	if n := strings.Count(fmt.Sprint(err), "no priority is chosen yet for "); n != len(list) || strings.Count(fmt.Sprint(err), "\n")+1 != n {
		t.Errorf("of %d SLOs %d are said to be without a priority: %v", len(list), n, err)
	}
	for name, text := range files {
		files[name] = bytes.ReplaceAll(text, []byte("priority: choose"), []byte("priority: P2"))
	}
	c, err := load(t, files)
	if err != nil || len(c.Warnings) > 0 {
		t.Fatal(err, c.Warnings)
	}
	if got := len(c.Policy().SLOs); got != len(list) {
		t.Errorf("%d SLOs, want %d", got, len(list))
	}
	// An alert of each source is claimed by its SLO.
	for id, set := range map[string]map[string]string{
		"notifications-send-availability": {"sloth_id": "notifications-send-availability"},
		"search-availability":             {"alertname": "ErrorBudgetBurn", "slo": "availability", "service": "search"},
		"cart-latency-budget-burn":        {"alertname": "CartLatencyBudgetBurn"},
	} {
		if m := c.Lookup(set); m.SLO == nil || m.SLO.ID != id || len(m.Ambiguous) > 0 {
			t.Errorf("%v belongs to %v", set, m)
		}
	}
}

// TestASecondImportAddsWhatIsNew, whatever people made of the file meanwhile.
// TestAListOfKubernetesIsRead: as kubectl get -o yaml prints objectives, and rules.
func TestAListOfKubernetesIsRead(t *testing.T) {
	list := func(names ...string) []byte {
		var b strings.Builder
		b.WriteString("apiVersion: v1\nkind: List\nitems:\n")
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString("- " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n  ") + "\n")
		}
		return []byte(b.String())
	}
	names := []string{"notifications-delivery-latency.yaml", "notifications-register-availability.yaml"}
	src := &importer.Source{IDLabels: idLabels}
	src.Parse("all.yaml", list(names...))
	if got, want := shown(src.Objectives()), shown(read(t, names...)); got != want || want == "" {
		t.Errorf("a list has\n%s\nand its files\n%s", got, want)
	}
	for _, f := range src.Findings {
		t.Error(f.String())
	}
}

func TestASecondImportAddsWhatIsNew(t *testing.T) {
	list := read(t, "notifications.sloth.yml")
	for name, text := range map[string]string{
		"comments everywhere": `# ours
team: notifications # the team

slos:   # all of them
  # the first
  - id: notifications-send-availability   # kept
    use_case: >
      Nobody hears of anything,
      # and this is text
    priority: P1
    # match: ['a="b"']

# who is told
stakeholders: [support]
`,
		"the list is last": "team: notifications\nstakeholders: [support]\nslos:\n  - {id: notifications-send-availability, use_case: x, priority: P1}\n    # the end of it\n\n\n# the end of all",
		"no indentation":   "team: notifications\nstakeholders:\n- support\nslos:\n- use_case: x\n  priority: P1\n  id: notifications-send-availability\non_call:\n  email: [a@example.org]\n",
		"Windows":          "team: notifications\r\nstakeholders: [support]\r\nslos:\r\n    - id: notifications-send-availability\r\n      use_case: x\r\n      priority: P1\r\n",
		"a literal":        "slos:\n  - id: notifications-send-availability\n    priority: P1\n    use_case: >-\n      x\n      # y\n\n\nteam: notifications\nstakeholders: [support]\n",
		"no list yet":      "team: notifications\nstakeholders: [support]\n",
		"an empty list":    "team: notifications\nslos:\nstakeholders: [support]",
	} {
		before := []byte(text)
		changes, err := importer.Merge("slos", []importer.File{{Name: "slos/ours.yml", Text: before}}, list, importer.Choice{})
		if err != nil || len(changes) != 1 || changes[0].Name != "slos/ours.yml" {
			t.Errorf("%s: %v, %+v", name, err, changes)
			continue
		}
		c := changes[0]
		want := 5 - strings.Count(text, "notifications-send-availability")
		if len(c.IDs) != want {
			t.Errorf("%s: %q are added", name, c.IDs)
		}
		// Each line that was there stands there still, in its order, and the added ones in one piece.
		added := insertedIn(t, before, c.After)
		if strings.Count(added, "priority: choose") != want || strings.Contains(text, "\r\n") != strings.Contains(added, "\r\n") {
			t.Errorf("%s: added is %q", name, added)
		}
		chosen := bytes.ReplaceAll(c.After, []byte("priority: choose"), []byte("priority: P2"))
		loaded, err := load(t, map[string][]byte{"slos/ours.yml": chosen})
		if err != nil || len(loaded.Policy().SLOs) != 5 {
			t.Errorf("%s: %v\n%s", name, err, c.After)
		}
		again, err := importer.Merge("slos", []importer.File{{Name: "slos/ours.yml", Text: c.After}}, list, importer.Choice{})
		if err != nil || len(again) != 0 {
			t.Errorf("%s: a third import changes %+v, %v", name, again, err)
		}
	}
}

// insertedIn returns what stands in after beyond before, which must stand around it.
func insertedIn(t *testing.T, before, after []byte) string {
	t.Helper()
	n := 0
	for n < len(before) && before[n] == after[n] {
		n++
	}
	if tail := before[n:]; !bytes.HasSuffix(after, tail) {
		t.Fatalf("this was changed:\n%s\nto:\n%s", before, after)
	}
	return string(after[n : len(after)-len(before)+n])
}

func TestWhatIsThereIsNotAddedAgain(t *testing.T) {
	list := read(t, "hand.yml")
	ours := importer.File{Name: "slos/ours.yml", Text: []byte(`team: shop
slos: [{id: paying, use_case: Nobody can pay, priority: P1, match: ['slo="availability"', 'service="checkout"']}]
`)}
	changes, err := importer.Merge("slos", []importer.File{ours}, list, importer.Choice{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, c.Name+" "+strings.Join(c.IDs, " "))
	}
	// A list in one line is not edited: the team gets a second file.
	if want := []string{"slos/shop.yml search-availability", "slos/cart.yml cart-latency-budget-burn"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFilesThatAreNothingToImport(t *testing.T) {
	for name, text := range map[string]string{
		"other YAML": "a: b\n", "no YAML": "a: [", "empty": "", "a list": "- a\n", "no PromQL": "groups: [{rules: [{alert: a, expr: '(('}]}]",
		"deep": strings.Repeat("[", 300), "hostile names": "version: prometheus/v1\nservice: \"a\\n\\u202e- b\"\nslos: 7\n",
	} {
		src := &importer.Source{IDLabels: idLabels}
		src.Parse("x.yml", []byte(text))
		list := src.Objectives()
		if len(list) > 0 || len(src.Findings) == 0 && name != "hostile names" {
			t.Errorf("%s: %d objectives, %v", name, len(list), src.Findings)
		}
	}
}

// FuzzImport: whatever strangers write, what is written for it loads, and adds nothing when it is
// imported again.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"notifications.sloth.yml", "notifications.openslo.yml", "hand.yml", "notifications-delivery-latency.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("version: prometheus/v1\nservice: \"a: # b\"\nslos:\n- {name: \"x'\\n\\u202e\", alerting: {annotations: {summary: \"- \\\"'{}\"}}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		made, findings, _ := importer.AlertsOf("x.yml", []byte(text))
		rules := &chain.Rules{Findings: findings}
		for _, r := range made {
			rules.Add(r)
		}
		for rules.Infer(nil); len(rules.Findings) > 0; rules.Findings = rules.Findings[1:] {
			if f := rules.Findings[0]; f.Text == "" || f.Kind == "" || f.Severity == "" {
				t.Errorf("%+v", f)
			}
		}
		src := &importer.Source{IDLabels: idLabels}
		src.Parse("x.yml", []byte(text))
		list := src.Objectives()
		changes, err := importer.Merge("slos", nil, list, importer.Choice{Stakeholders: []string{"support"}})
		if err != nil {
			t.Fatal(err)
		}
		files, again := map[string][]byte{}, []importer.File(nil)
		for _, c := range changes {
			files[c.Name] = bytes.ReplaceAll(c.After, []byte("priority: choose"), []byte("priority: P2"))
			again = append(again, importer.File{Name: c.Name, Text: c.After})
		}
		if len(list) == 0 {
			return
		}
		if _, err := load(t, files); err != nil {
			t.Fatalf("%v\n%s", err, changes[0].After)
		}
		if more, err := importer.Merge("slos", again, list, importer.Choice{}); err != nil || len(more) > 0 {
			t.Fatalf("%v, %+v", err, more)
		}
	})
}
