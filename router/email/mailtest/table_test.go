package mailtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	const page = "# Page\n\n<!-- one -->\n<!-- end of one -->\n\n<!-- two -->\nold\n<!-- end of two -->\nThe end.\n"
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := []Row{{"it greets | after 50 s", 1, "all got it", Late(50*time.Second + 3)}, {"a friendly one", 20, "all got it", Late(3)}}
	if err := WriteTable(path, "two", rows); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTable(path, "two")
	rows[0].Server = "it greets / after 50 s"
	if err != nil || !slices.Equal(got, rows) || got[0].Late != "50s" || got[1].Late != "at once" {
		t.Errorf("read %+v, %v", got, err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(b), "# Page\n\n<!-- one -->\n<!-- end of one -->\n\n<!-- two -->\n|") || !strings.HasSuffix(string(b), "|\n<!-- end of two -->\nThe end.\n") {
		t.Errorf("the page is\n%s, %v", b, err)
	}
	if err := WriteTable(path, "three", rows); err == nil || !strings.Contains(err.Error(), "<!-- three -->") {
		t.Errorf("a table that is not there: %v", err)
	}
}
