package docs_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A step is a block of a page that a shell runs.
type step struct {
	command string
	prints  string
	checked bool // what it prints is on the page
}

// steps returns the blocks of a page for the shell: those of sh as a whole, and of console each
// command with what it prints.
func steps(page string) []step {
	var out []step
	for _, m := range regexp.MustCompile("(?s)```(sh|console)\n(.*?)```").FindAllStringSubmatch(page, -1) {
		if m[1] == "sh" {
			out = append(out, step{command: m[2]})
			continue
		}
		for _, part := range strings.Split("\n"+m[2], "\n$ ")[1:] {
			command, prints, _ := strings.Cut(part, "\n")
			out = append(out, step{command + "\n", strings.TrimRight(prints, "\n"), true})
		}
	}
	return out
}

// walked are the pages of which a test runs each command, and how many there are at least.
var walked = map[string]int{
	"first-hour.md":           12,
	"tutorials/from-sloth.md": 9,
	"tutorials/from-pyrra.md": 9,
	"tutorials/kubernetes.md": 3,
	"quiet-times.md":          4,
	"audit-day.md":            6,
}

// TestPagesAreAsTheySay runs the commands of each page in one shell, as somebody new would, and
// says how long they took (-v). How long that may be is not its business: it depends on what else the
// machine does.
func TestPagesAreAsTheySay(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "sed", "grep", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	program := built(t)
	for page, least := range walked {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "contrib"), os.DirFS("../contrib")); err != nil {
				t.Fatal(err)
			}
			walk(t, dir, program, strings.ReplaceAll(read(t, page), "127.0.0.1:9098", free(t)), least)
		})
	}
}

// built returns the path of the program.
func built(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sitrep")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/sitrep").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// free returns an address of this machine at which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// walk runs the commands of a page in one shell that begins in a folder, and compares what they
// print with what the page says.
func walk(t *testing.T, dir, program, page string, least int) {
	t.Helper()
	all := steps(page)
	if len(all) < least {
		t.Fatalf("%d steps", len(all))
	}
	// A page begins in the folder of the sources, where the README has the program built.
	folder, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(all[0].command, "mkdir "), "-p "), " ")
	folder, _, _ = strings.Cut(folder, "/")
	if _, err := os.Stat(filepath.Join("..", folder)); err == nil || folder == "sitrep" || !strings.HasPrefix(all[0].command, "mkdir ") {
		t.Errorf("the page begins with %q, and a clone has that already", all[0].command)
	}
	// Each command that shows what it prints does so into a file of its own. Mails come a moment
	// later than the answer: what is not as it should be yet is looked at again for a while.
	notes := t.TempDir()
	var script strings.Builder
	script.WriteString("trap 'kill $(jobs -p) 2>/dev/null' EXIT\n")
	for i, s := range all {
		if !s.checked {
			fmt.Fprintf(&script, "%s", s.command)
			continue
		}
		want, got := fmt.Sprintf("%s/want-%d", notes, i), fmt.Sprintf("%s/got-%d", notes, i)
		if err := os.WriteFile(want, []byte(s.prints+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&script, "run() { %s}\nrun > %s 2>&1\n", s.command, got)
		if strings.HasPrefix(s.command, "grep") {
			fmt.Fprintf(&script, "for n in $(seq 100); do cmp -s %s %s && break; sleep 0.2; run > %s 2>&1; done\n", want, got, got)
		}
	}
	shell := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	shell.Dir = dir
	shell.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "no_proxy=127.0.0.1", "LC_ALL=C")
	shell.WaitDelay = 10 * time.Second
	began := time.Now()
	if out, err := shell.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	p := shell.ProcessState
	t.Logf("the %d blocks of commands took %s in all, with %s of CPU beside that of the service", len(all), time.Since(began).Round(10*time.Millisecond), (p.UserTime() + p.SystemTime()).Round(10*time.Millisecond))
	for i, s := range all {
		if !s.checked {
			continue
		}
		got, err := os.ReadFile(fmt.Sprintf("%s/got-%d", notes, i))
		if err != nil || strings.TrimRight(string(got), "\n") != s.prints {
			t.Errorf("%s prints:\n%s\nand the page says:\n%s\n%v", s.command, got, s.prints, err)
		}
	}
}
