package templates_test

import (
	"os"
	"path/filepath"
	"testing"

	"sitrep/templates"
)

// read returns the files of a folder.
func read(t *testing.T, pattern string) []templates.File {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	var files []templates.File
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, templates.File{Name: filepath.Base(name), Text: string(text)})
	}
	return files
}

func TestTheSampleInContribIsSound(t *testing.T) {
	set, problems := templates.Parse(read(t, "../contrib/templates/*.tmpl"))
	if problems != nil {
		t.Fatalf("%+v", problems)
	}
	for _, p := range set.Check(nil) {
		t.Errorf("%+v", p)
	}
}
