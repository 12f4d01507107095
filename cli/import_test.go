package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runIn runs a command line in the current folder, and returns all that it prints and the exit code.
func runIn(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out strings.Builder
	code := Run(t.Context(), args, Environment{Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out})
	return out.String(), code
}

func TestImportLeadsToACheckedChain(t *testing.T) {
	chainFiles(t)
	// A person has a file with one of them, and a remark.
	ours := "# ours\nteam: shop\non_call: {email: [shop@example.org]}\nstakeholders: [support]\nslos:\n  - id: search-latency # ours\n    use_case: Search is slow\n    priority: P2\n    match: ['alertname=\"SearchSlow\"']\n# the end\n"
	if err := os.WriteFile("slos/shop.yml", []byte(ours), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("slos/shop.yml", 0o640); err != nil {
		t.Fatal(err)
	}
	if out, code := runIn(t, "check", "sitrep.yml", "--rules", "rules/*.yml"); code != ExitFailed || !strings.Contains(out, "no SLO has that id; give an SLO that id (sitrep import writes it)") {
		t.Fatalf("exit %d: %s", code, out)
	}
	diff, code := runIn(t, "import", "rules/checkout.yml", "rules/search.yml", "--diff")
	const want = `--- slos/shop.yml
+++ slos/shop.yml
@@ -7,4 +7,11 @@
     use_case: Search is slow
     priority: P2
     match: ['alertname="SearchSlow"']
+
+  # From rules/checkout.yml:10:16.
+  - id: checkout-availability
+    use_case: Customers cannot pay # a proposal
+    sli: availability
+    service: checkout
+    priority: choose # the name of one of the priorities
 # the end
`
	if code != ExitFailed || diff != want {
		t.Errorf("exit %d:\n%s\nwant:\n%s", code, diff, want)
	}
	if text, err := os.ReadFile("slos/shop.yml"); err != nil || string(text) != ours {
		t.Errorf("--diff wrote: %s, %v", text, err)
	}
	out, code := runIn(t, "import", "rules/*.yml")
	if want := "slos/shop.yml: 1 SLO added: checkout-availability\n1 SLO found, 1 added, 0 there already\nChoose the priorities; sitrep check says where.\n"; code != ExitDone || out != want {
		t.Errorf("exit %d: %s", code, out)
	}
	if info, err := os.Stat("slos/shop.yml"); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	if out, code := runIn(t, "import", "--diff", "rules/checkout.yml"); code != ExitDone || out != "" {
		t.Errorf("a second import would change something: exit %d: %s", code, out)
	}
	if out, code := runIn(t, "check", "sitrep.yml"); code != ExitFailed || !strings.HasPrefix(out, `slos/shop.yml:16:15: slos[1].priority: no priority is chosen yet for "Customers cannot pay"; write P1 or P2`) {
		t.Errorf("exit %d: %s", code, out)
	}
	swap(t, "slos/shop.yml", "priority: choose", "priority: P1")
	if out, code := checkChain(t); code != ExitDone || !strings.Contains(out, "2 of 2 SLOs") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestImportWritesAllOrNothing(t *testing.T) {
	chainFiles(t)
	if err := os.WriteFile("rules/broken.yml", []byte("groups: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t)
	if out, code := runIn(t, "import", "rules/*.yml", "--output", "new"); code != ExitFailed || !strings.Contains(out, "rules/broken.yml:1:1: error: this is not YAML") {
		t.Errorf("exit %d: %s", code, out)
	}
	if err := os.WriteFile("slos/shop.yml", []byte("team: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := runIn(t, "import", "rules/checkout.yml"); code != ExitFailed || !strings.Contains(out, "slos/shop.yml: ") {
		t.Errorf("exit %d: %s", code, out)
	}
	if err := os.WriteFile("slos/shop.yml", []byte(before["slos/shop.yml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range snapshot(t) {
		if before[name] != text {
			t.Errorf("%s was written: %s", name, text)
		}
	}
	if _, code := runIn(t, "import"); code != ExitUsage {
		t.Errorf("without files: exit %d", code)
	}
}

// snapshot returns all files below the current folder.
func snapshot(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
