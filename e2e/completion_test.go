package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sitrep/e2e/rig"
)

// How each shell is asked what can follow "sitrep" and the words that come after: as it does when somebody presses Tab.
var shells = map[string]string{
	"bash": `
COMP_WORDS=(sitrep "$@") COMP_CWORD=$#
"$(complete -p sitrep | sed 's/.*-F \([^ ]*\).*/\1/')"
printf '%s\n' "${COMPREPLY[@]}"`,
	"zsh": `
compadd() { print -l -- ${(P)2} }
_files() {}
words=(sitrep "$@") CURRENT=$((1 + $#))
$_comps[sitrep]`,
}

// TestShellsCompleteCommands: bash and zsh complete commands and flags once what the documentation says stands in
// their files.
func TestShellsCompleteCommands(t *testing.T) {
	t.Parallel()
	built, err := programs()
	check(t, err)
	root, err := rig.Root()
	check(t, err)
	page, err := os.ReadFile(filepath.Join(root, "docs", "command-line.md"))
	check(t, err)
	for shell, ask := range shells {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(shell)
			if err != nil {
				if os.Getenv("CI") == "" {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			_, after, _ := strings.Cut(string(page), "```"+shell+"\n")
			setup, _, ended := strings.Cut(after, "```")
			if !ended {
				t.Fatalf("command-line.md does not say what %s needs", shell)
			}
			script := filepath.Join(t.TempDir(), "script")
			check(t, os.WriteFile(script, []byte(setup+ask+"\n"), 0o600))
			for _, tt := range []struct {
				line       []string
				want, none string
			}{
				{[]string{""}, "incident", "show"},
				{[]string{"incident", ""}, "show", "serve"},
				{[]string{"storage", "new-key", "--"}, "--web.external-url", "--limit"},
				{[]string{"audit", "report", "--format", ""}, "csv", "--output"},
			} {
				cmd := exec.CommandContext(t.Context(), program, append([]string{script}, tt.line...)...)
				cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + filepath.Dir(built.sitrep) + ":" + os.Getenv("PATH")}
				said := new(strings.Builder)
				cmd.Stderr = said
				out, err := cmd.Output()
				if got := strings.Fields(string(out)); err != nil || said.Len() > 0 || !slices.Contains(got, tt.want) || slices.Contains(got, tt.none) {
					t.Errorf("%q: %v %s\ncompletes %q", tt.line, err, said, got)
				}
			}
		})
	}
}
