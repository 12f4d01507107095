//go:build unix

package config_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sitrep/config"
	"sitrep/incident"
)

const secret = "Tr0ub4dor-and-3"

// team is a file of a team with one SLO.
func team(id string) string {
	return fmt.Sprintf("team: shop\nstakeholders: [support]\nslos: [{id: %s, use_case: Customers cannot pay, priority: P1}]\n", id)
}

// link makes a symbolic link in the folder of the main file at path.
func link(t *testing.T, path, target, name string) {
	t.Helper()
	name = filepath.Join(filepath.Dir(path), name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func ids(c *config.Config) []string {
	var all []string
	for _, t := range c.Teams {
		for _, o := range t.SLOs {
			all = append(all, o.ID)
		}
	}
	return all
}

// TestTeamsFilesStayInTheirFolder: a team can have nothing read but what is in the
// folder that the pattern names.
func TestTeamsFilesStayInTheirFolder(t *testing.T) {
	files := map[string]string{
		"secrets/token": secret, "secrets/pair": "token: " + secret + "\n", "secrets/list": "- " + secret + "\n", "secrets/alias": "*" + secret,
		"secrets/yaml": "a: [" + secret, "slos/good.yml": team("good"), "teams/pay/good.yml": team("pay"), "teams/ship/good.yml": team("ship"),
		"elsewhere/good.yml": team("elsewhere"), "hidden/..2026/a.yml": team("a"), "hidden/..2026/sub/b.yml": team("b"),
		"hidden/..2026/sub/c.yml": team("c"),
	}
	const out = "is a link that leads out of its folder"
	for _, c := range []struct {
		name, pattern, target, link string
		want                        []string // the ids that are loaded
		says                        string   // else the error
	}{
		{"a file of its own", "slos/*.yml", "", "", []string{"good"}, ""},
		{"a link to a secret", "slos/*.yml", "../secrets/token", "slos/x.yml", nil, out},
		{"a link to a secret, absolute", "slos/*.yml", "/etc/passwd", "slos/x.yml", nil, out},
		{"a link to a file with a mapping", "slos/*.yml", "../secrets/pair", "slos/x.yml", nil, out},
		{"a link to a neighbour's folder", "teams/*/*.yml", "../pay/good.yml", "teams/ship/x.yml", nil, out},
		{"a folder that is a link to a neighbour's", "teams/*/*.yml", "pay", "teams/copy", nil, out},
		{"a folder that is a link out", "teams/*/*.yml", "../secrets", "teams/copy", nil, out},
		{"a link by its own name", "slos/x.yml", "../elsewhere/good.yml", "slos/x.yml", nil, out},
		{"a link that leads nowhere", "slos/*.yml", "nowhere.yml", "slos/x.yml", nil, "no such file"},
		{"a link that leads to itself", "slos/*.yml", "x.yml", "slos/x.yml", nil, out},
		{"a link that stays inside", "hidden/*.yml", "..2026/a.yml", "hidden/a.yml", []string{"a"}, ""},
		{"a folder that is a link inside", "hidden/*/*.yml", "..2026/sub", "hidden/sub", []string{"b", "c"}, ""},
		{"the folder itself is a link", "linked/*.yml", "elsewhere", "linked", []string{"elsewhere"}, ""},
		{"several folders", "teams/*/*.yml", "", "", []string{"pay", "ship"}, ""},
		{"some of them", "teams/[p-q]*/g??d.yml", "", "", []string{"pay"}, ""},
		{"up and down", "teams/../elsewhere/*.yml", "", "", []string{"elsewhere"}, ""},
		{"up behind a wildcard", "teams/*/../*.yml", "", "", nil, "no file matches"},
		{"a list in a folder of its own", "secrets/list", "", "", nil, "no list of keys and values"},
		{"a word", "secrets/token", "", "", nil, "no list of keys and values"},
		{"an alias", "secrets/alias", "", "", nil, "unknown anchor;"},
		{"a broken file", "secrets/yaml", "", "", nil, "this is not YAML"},
		{"nothing there", "slos/*.yaml", "", "", nil, "no file matches"},
		{"no folder", "none/*.yml", "", "", nil, "no such file or directory"},
		{"a file for a folder", "slos/good.yml/*.yml", "", "", nil, "not a directory"},
		{"many stars", "slos/" + strings.Repeat("*a", 20), "", "", nil, "wildcards"},
		{"a long pattern", strings.Repeat("x", 2000), "", "", nil, "longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files["sitrep.yml"] = fmt.Sprintf(houseOfSLOs, c.pattern)
			path := write(t, files)
			if c.link != "" {
				link(t, path, c.target, c.link)
			}
			got, err := config.Load(path)
			switch {
			case c.says == "" && err != nil:
				t.Fatal(err)
			case c.says == "" && !slices.Equal(ids(got), c.want):
				t.Errorf("loaded %v, want %v", ids(got), c.want)
			case c.says == "":
			case err == nil:
				t.Fatalf("loaded %v", ids(got))
			case !strings.Contains(err.Error(), c.says):
				t.Errorf("error is %v, want %s", err, c.says)
			case strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "root:"):
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

// TestKubernetesVolume loads the files as a ConfigMap is mounted.
func TestKubernetesVolume(t *testing.T) {
	path := write(t, map[string]string{
		"sitrep.yml": fmt.Sprintf(houseOfSLOs, "slos/*.yml"), "slos/..2026_01/a.yml": team("a"), "slos/..2026_01/b.yml": team("b"),
	})
	link(t, path, "..2026_01", "slos/..data")
	link(t, path, "..data/a.yml", "slos/a.yml")
	link(t, path, "..data/b.yml", "slos/b.yml")
	if got := ids(load(t, path)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("loaded %v", got)
	}
}

// TestTeamCannotUseTheHousesSecrets: a webhook of a team is not signed with the
// token of an admin, whose guesses could then be tried at leisure.
func TestTeamCannotUseTheHousesSecrets(t *testing.T) {
	path := write(t, map[string]string{
		"sitrep.yml": fmt.Sprintf(houseOfSLOs, "slos/*.yml") + "access: {tokens: [{name: bot, role: admin, token_file: secrets/token}]}\n",
		"slos/a.yml": team("a") + "on_call: {webhooks: [{url: 'http://127.0.0.1/', secret_file: ../secrets/link}]}\n", "secrets/token": strings.Repeat(secret, 3),
	})
	link(t, path, "token", "secrets/link")
	_, err := config.Load(path)
	if err == nil || !strings.Contains(err.Error(), "is what the main file names as access.tokens[0].token_file") || strings.Contains(err.Error(), secret) {
		t.Errorf("error is %v", err)
	}
}

// TestNothingButFiles: a pipe that nobody writes into, and a device that never ends,
// are refused at once wherever a file is named.
func TestNothingButFiles(t *testing.T) {
	for _, c := range []struct{ name, main, team, pipe string }{
		{"as a team's file", fmt.Sprintf(houseOfSLOs, "slos/*.yml"), team("a"), "slos/x.yml"},
		{"as a secret", fmt.Sprintf(houseOfSLOs, "slos/*.yml") + "access: {tokens: [{name: bot, role: admin, token_file: pipe}]}\n", team("a"), "pipe"},
		{"as a team's secret", fmt.Sprintf(houseOfSLOs, "slos/*.yml"), team("a") + "on_call: {webhooks: [{url: 'http://127.0.0.1/', secret_file: pipe}]}\n", "slos/pipe"},
		{"as a device", fmt.Sprintf(houseOfSLOs, "slos/*.yml") + "access: {tokens: [{name: bot, role: admin, token_file: /dev/zero}]}\n", team("a"), ""},
		{"as the main file", "", "", "sitrep.yml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, map[string]string{"sitrep.yml": c.main, "slos/a.yml": c.team})
			if c.pipe != "" {
				pipe := filepath.Join(filepath.Dir(path), c.pipe)
				_ = os.Remove(pipe)
				if err := syscall.Mkfifo(pipe, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			done := make(chan error, 1)
			go func() { _, err := config.Load(path); done <- err }()
			select {
			case err := <-done:
				if err == nil || !strings.Contains(err.Error(), "is a pipe, a device or the like") {
					t.Errorf("error is %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("hangs")
			}
		})
	}
}

// TestReadingHasADeadline: a mount that hangs ends a load, and many such loads do
// not gather calls without bound.
func TestReadingHasADeadline(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	read := config.Hanging(release, 10*time.Millisecond)
	for i := range 10 {
		err := read(context.Background())
		want := "it hangs, and was given up after"
		if i >= 8 {
			want = "8 reads before it still hang"
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("load %d: %v, want %s", i, err, want)
		}
	}
	read = config.Hanging(release, time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller has left: %v", err)
	}
}

// TestReloadThatDropsMost: more than half of the SLOs do not vanish unasked.
func TestReloadThatDropsMost(t *testing.T) {
	ctx := context.Background()
	path := write(t, map[string]string{
		"sitrep.yml": fmt.Sprintf(houseOfSLOs, "slos/*.yml"), "slos/a.yml": team("a"), "slos/b.yml": team("b"), "slos/c.yml": team("c"), "slos/d.yml": team("d"),
	})
	remove := func(name string) {
		t.Helper()
		if err := os.Remove(filepath.Join(filepath.Dir(path), "slos", name)); err != nil {
			t.Fatal(err)
		}
	}
	r := config.NewReloader(path, ticking())
	if err := r.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	remove("a.yml")
	remove("b.yml")
	if err := r.Reload(ctx); err != nil { // half of them
		t.Fatal(err)
	}
	before := r.Current()
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "slos", "c.yml"), []byte(team("c2")), 0o600); err != nil {
		t.Fatal(err)
	}
	remove("d.yml")
	err := r.Reload(ctx)
	var drop *config.Drop
	if !errors.As(err, &drop) || !errors.Is(err, incident.ErrConflict) || drop.Before != 2 || !slices.Equal(drop.Missing, []string{"c", "d"}) || r.Current() != before {
		t.Fatalf("error is %v", err)
	}
	if want := `2 of 2 SLOs would go, such as "c", "d"; if that is meant, POST /-/reload?force=true`; err.Error() != want {
		t.Errorf("error reads %s", err)
	}
	if err := r.ReloadAnyway(ctx); err != nil || !slices.Equal(ids(r.Current()), []string{"c2"}) {
		t.Errorf("not forced: %v", err)
	}
	remove("c.yml") // and the pattern matches nothing
	if err := r.ReloadAnyway(ctx); err == nil || errors.As(err, &drop) {
		t.Errorf("forced to do without files: %v", err)
	}
}
