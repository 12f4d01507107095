package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADemoNeedsAFolderOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "letter"), nil)
	_, errOut, code := (&shell{}).run("demo", "--once", "--dir", dir)
	if code != ExitUsage || !strings.Contains(errOut, `--dir="`+dir+`" is not empty; name a new folder`) {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("written into it: %v, %v", left, err)
	}
}
