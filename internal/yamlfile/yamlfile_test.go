package yamlfile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/internal/yamlfile"
)

func TestAliasesAndMergesAreWrittenOut(t *testing.T) {
	docs, err := yamlfile.Read([]byte("\ufeffcommon: &c {team: web, env: prod}\nlist: &l [a]\nx:\n  <<: *c\n  env: test\ny: {<<: [*c, {more: m}], again: *l}\n---\n---\nsecond: 1\n"))
	if err != nil || len(docs) != 2 {
		t.Fatal(len(docs), err)
	}
	for path, want := range map[string]string{"x.team": "web", "x.env": "test", "y.team": "web", "y.more": "m", "y.none": ""} {
		if got := yamlfile.Text(docs[0], strings.Split(path, ".")...); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if got := yamlfile.List(docs[0], "y", "again"); len(got) != 1 || got[0].Value != "a" {
		t.Error(got)
	}
	if at := yamlfile.Get(docs[1], "second"); at == nil || at.Line != 9 {
		t.Error(at)
	}
}

func TestWhatIsTooMuchIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"too large":        strings.Repeat("# comment\n", 1_000_000),
		"too deep":         strings.Repeat("- ", 100) + "x",
		"names itself":     "a: &a {b: *a}",
		"merges itself":    "a: &a {<<: *a}",
		"unknown anchor":   "a: *b",
		"not YAML":         "a: [",
		"a duplicate tab":  "a:\n\t- b",
		"a bomb of merges": "a: &a {a: 1}\nb: &b {<<: [*a, *a], b: [*a, *a]}\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]\n",
	} {
		var e *yamlfile.Error
		if _, err := yamlfile.Read([]byte(text)); !errors.As(err, &e) || e.Text == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMergesCostNoMoreThanWhatTheyAre: many of them into a large mapping take no minutes.
func TestMergesCostNoMoreThanWhatTheyAre(t *testing.T) {
	var text strings.Builder
	text.WriteString("<<: [" + strings.Repeat("{a: 1}, ", 10_000) + "]\n")
	for i := range 40_000 {
		fmt.Fprintf(&text, "k%d: 1\n", i)
	}
	began := time.Now()
	docs, err := yamlfile.Read([]byte(text.String()))
	if took := time.Since(began); err != nil || len(docs) != 1 || len(docs[0].Content) != 2*40_001 || took > time.Minute {
		t.Errorf("%v, %d documents, %s", err, len(docs), took)
	}
}
