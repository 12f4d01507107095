package golden

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// said is a test that only notes what it is told.
type said struct {
	testing.TB
	errors []string
}

func (s *said) Helper()      {}
func (s *said) Name() string { return "TestIt" }
func (s *said) Errorf(format string, args ...any) {
	s.errors = append(s.errors, fmt.Sprintf(format, args...))
}

func TestTheFirstLineThatDiffersIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kept", "page.md")
	Write(t, file, []byte("one\ntwo\nthree\n"))
	for made, want := range map[string]string{
		"one\ntwo\nthree\n":  "",
		"one\n2\nthree\n":    "page.md:2 is\n\"two\\n\"\nand is made as\n\"2\\n\"",
		"one\n":              "page.md:2 is\n\"two\\n\"\nand is made as\n\"\"",
		"one\ntwo\nthree":    "page.md:3 is\n\"three\\n\"\nand is made as\n\"three\"",
		"one\ntwo\nthree\n4": "page.md:4 is\n\"\"\nand is made as\n\"4\"",
	} {
		s := &said{TB: t}
		Compare(s, file, []byte(made))
		if got := strings.Join(s.errors, "; "); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("of %q is said %q; want %q", made, got, want)
		}
	}
}
