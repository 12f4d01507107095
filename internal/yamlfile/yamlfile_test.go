package yamlfile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

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

func TestAListOfKubernetesIsWhatItLists(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"apiVersion: v1\nkind: List\nitems:\n- kind: A\n- kind: B\n---\nkind: C\n", "A B C"},
		{"kind: ServiceLevelObjectiveList\nitems: [{kind: A}]\n", "A"},
		{"kind: List\nitems: []\n", ""},
		{"kind: List\nitems: x\n", "List"},
		{"kind: Shopping\nitems: [{kind: A}]\n", "Shopping"},
		{"kind: List\nitems: [scalar, {kind: A}, ~]\n", " A "},
	} {
		docs, err := yamlfile.Read([]byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		kinds := make([]string, len(docs))
		for i, d := range docs {
			kinds[i] = yamlfile.Text(d, "kind")
		}
		if got := strings.Join(kinds, " "); got != tt.want {
			t.Errorf("%q has %q, want %q", tt.text, got, tt.want)
		}
	}
}

// TestMergesCostNoMoreThanWhatTheyAre: each into a large mapping must not look at all of that, which
// would take hours here.
func TestMergesCostNoMoreThanWhatTheyAre(t *testing.T) {
	var text strings.Builder
	text.WriteString("<<: [" + strings.Repeat("{a: 1}, ", 10_000) + "]\n")
	for i := range 40_000 {
		fmt.Fprintf(&text, "k%d: 1\n", i)
	}
	docs, err := yamlfile.Read([]byte(text.String()))
	if err != nil || len(docs) != 1 || len(docs[0].Content) != 2*40_001 {
		t.Errorf("%v, %d documents", err, len(docs))
	}
}
