package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/ledger"
)

func TestNewKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets", "ledger.key")
	out, code := runIn(t, "storage", "new-key", file, "--web.external-url", "https://sitrep.example.org")
	key, err := ledger.LoadKey(file)
	if err != nil || code != ExitDone {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if !strings.HasPrefix(key.Origin(), "sitrep.example.org/ledger-") || !strings.Contains(out, key.Public()) || strings.Contains(out, key.Secret()) {
		t.Errorf("the key is of %s; said %s", key.Origin(), out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if out, code := runIn(t, "storage", "new-key", file); code != ExitFailed || !strings.Contains(out, "exists") {
		t.Errorf("a second time: exit %d: %s", code, out)
	}
	if again, err := ledger.LoadKey(file); err != nil || again.Secret() != key.Secret() {
		t.Errorf("the key was written over: %v", err)
	}
	if out, code := runIn(t, "storage", "new-key", file+"2", "--web.external-url", "nowhere"); code != ExitUsage {
		t.Errorf("no URL: exit %d: %s", code, out)
	}
}
