package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// TestDeploymentsAreChecked: what people start several processes with is a sound configuration, in the folders in
// which Compose and Kubernetes mount it, and Alertmanager's side fits.
func TestDeploymentsAreChecked(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse battery staple"), 12)
	if err != nil {
		t.Fatal(err)
	}
	sample, err := os.ReadFile("../contrib/slos/notifications.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, config, slos string
		mounted            string // where the configuration is
		more               []string
	}{
		{
			"compose", "../contrib/compose/sitrep.yml", "../contrib/slos", "sitrep.yml",
			[]string{"--rules", "../config/importer/testdata/notifications.rules.yml", "--alertmanager.config", "../contrib/compose/alertmanager.yml"},
		},
		{"kubernetes", "../contrib/kubernetes/config/sitrep.yml", "../contrib/kubernetes/slos", "config/sitrep.yml", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text, err := os.ReadFile(tt.config)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(tt.mounted)), 0o700); err != nil {
				t.Fatal(err)
			}
			config := writeFile(t, filepath.Join(dir, tt.mounted), text)
			if err := os.CopyFS(filepath.Join(dir, "slos"), os.DirFS(tt.slos)); err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "slos", "notifications.yml")); err != nil || !bytes.Equal(b, sample) {
				t.Errorf("its SLOs are not those of contrib/slos: %v", err)
			}
			secrets := filepath.Join(dir, "secrets")
			if out, code := runIn(t, "storage", "new-key", filepath.Join(secrets, "ledger.key")); code != ExitDone {
				t.Fatal(out)
			}
			writeFile(t, filepath.Join(secrets, "receiver"), []byte("0123456789abcdef0123456789abcdef\n"))
			writeFile(t, filepath.Join(secrets, "ada.bcrypt"), hash)
			out, code := runIn(t, append([]string{"check", config}, tt.more...)...)
			if code != ExitDone || strings.Contains(out, "warning") {
				t.Errorf("exit %d:\n%s", code, out)
			}
		})
	}
}
