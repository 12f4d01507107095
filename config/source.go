package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxFile is the most that a config file may hold: far more than people write,
	// and little enough to be parsed in a moment.
	maxFile = 1 << 20
	// maxSecret is the most that a secret's or a certificates' file may hold.
	maxSecret = 1 << 20
)

// A source is one file of the config, and where everything in it stands.
type source struct {
	name   string
	order  int
	root   *yaml.Node
	places map[string]place
	fields fieldCache
	l      *loading
}

// A place is a position in a file, counting from 1.
type place struct{ line, column int }

func at(n *yaml.Node) place { return place{n.Line, n.Column} }

// open reads a file as one YAML document that is a mapping. If it is anything
// else, that is a problem, and it returns nil.
func (l *loading) open(name string) *source {
	s := &source{name: name, order: l.files, places: map[string]place{}, fields: fieldCache{}, l: l}
	l.files++
	text, _, err := readFile(name, maxFile)
	if err != nil {
		s.add(place{}, "", false, advise(err, "look at its name"))
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		s.add(place{1, 1}, "", false, "the file is empty; start from the sample in contrib")
		return nil
	case err != nil:
		s.syntax(text, err)
		return nil
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		s.syntax(text, err)
		return nil
	default:
		s.add(at(&second), "", false, "a second document starts here; only one is read, so put it all into the first, or into a file of its own")
	}
	s.root = doc.Content[0]
	return s
}

var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// syntax reports what the YAML parser says of a file's text.
func (s *source) syntax(text []byte, err error) {
	p, message := place{1, 1}, err.Error()
	if m := syntaxError.FindStringSubmatch(message); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			p.line = n
		}
		message = m[2]
	}
	if strings.HasPrefix(message, "did not find expected") {
		p.line = firstLineOf(text, err)
	}
	s.add(p, "", false, "this is not YAML: "+message+"; look at the quotes, colons and indentation around here")
}

// firstLineOf returns the line at which the parser first meets an error. It names
// the line where the surrounding block begins, which may be far above.
func firstLineOf(text []byte, want error) int {
	lines := bytes.SplitAfter(text, []byte("\n"))
	return 1 + sort.Search(len(lines)-1, func(n int) bool {
		dec := yaml.NewDecoder(bytes.NewReader(bytes.Join(lines[:n+1], nil)))
		for {
			var doc yaml.Node
			if err := dec.Decode(&doc); err != nil {
				return err.Error() == want.Error()
			}
		}
	})
}

// add notes a problem.
func (s *source) add(p place, path string, warning bool, text string) {
	s.l.problems = append(s.l.problems, Problem{
		File: s.name, Line: p.line, Column: p.column, Path: oneLineOf(path), Text: oneLineOf(text), Warning: warning, order: s.order,
	})
}

// oneLineOf keeps what stands in a file from breaking the line that tells of it.
func oneLineOf(text string) string {
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, text)
}

// errorf reports an error at the value of path, or if it is not there, at the
// nearest that is around it.
func (s *source) errorf(path, format string, args ...any) {
	s.add(s.place(path), path, false, fmt.Sprintf(format, args...))
}

// warnf reports a warning, as errorf does an error.
func (s *source) warnf(path, format string, args ...any) {
	s.add(s.place(path), path, true, fmt.Sprintf(format, args...))
}

func (s *source) place(path string) place {
	for {
		if p, ok := s.places[path]; ok {
			return p
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return s.places[""]
		}
		path = path[:cut]
	}
}

// has reports whether the file itself says something at path.
func (s *source) has(path string) bool {
	_, ok := s.places[path]
	return ok
}

// broken reports whether an error was found at the value of path itself, so that
// nothing can be said of what is missing in it.
func (s *source) broken(path string) bool {
	return slices.ContainsFunc(s.l.problems, func(p Problem) bool {
		return p.order == s.order && p.Path == path && !p.Warning
	})
}

// brokenWithin reports whether an error was found anywhere in the value of path.
func (s *source) brokenWithin(path string) bool {
	return slices.ContainsFunc(s.l.problems, func(p Problem) bool {
		return p.order == s.order && strings.HasPrefix(p.Path, path) && !p.Warning
	})
}

// abs returns the path of a file that is named in this one: relative paths are
// relative to it.
func (s *source) abs(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(s.name), name)
}

// A secretKind says how a secret's file is judged.
type secretKind int

const (
	oneLine  secretKind = iota // a password, token or URL
	wholePEM                   // a private key: may have several lines
	public                     // not a secret at all
	optional                   // a key that is made later if it is not there
)

// secret reads the file that path names. If that cannot be done, it is a problem
// and the result is empty.
func (s *source) secret(path, name string, kind secretKind) string {
	if name == "" {
		return ""
	}
	value, mode, err := readSecret(s.abs(name), kind)
	switch {
	case kind == optional && errors.Is(err, os.ErrNotExist):
		return ""
	case err != nil:
		s.errorf(path, "%s", advise(err, "look at the path, which is relative to this file"))
		return ""
	}
	if kind != public && othersRead(mode) {
		s.warnf(path, "everybody on this machine can read %q; take that away with chmod o-rwx", s.abs(name))
	}
	return value
}

// readSecret reads a secret's file: what is in it without a byte order mark and white
// space around. The error of one that cannot be what it should says what would be right,
// and nothing of what is in it.
func readSecret(name string, kind secretKind) (string, os.FileMode, error) {
	text, mode, err := readFile(name, maxSecret)
	if err != nil {
		return "", 0, err
	}
	value := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	switch {
	case value == "":
		return "", 0, fmt.Errorf("the file %q is empty; put the secret into it", name)
	case (kind == oneLine || kind == optional) && strings.ContainsFunc(value, unprintable):
		return "", 0, fmt.Errorf("the file %q holds more than one line or control characters; put nothing but the secret into it", name)
	case kind != public && isVariable(value):
		return "", 0, fmt.Errorf("the file %q holds ${…}, which is not replaced by a variable; put the secret itself into it", name)
	}
	return value, mode, nil
}

var variable = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// isVariable reports whether something is left to be filled in from the environment,
// which nobody does.
func isVariable(secret string) bool { return variable.MatchString(secret) }

// A secretFile is a file that holds one secret, which may change while sitrep runs. The
// zero value is none.
type secretFile struct {
	name string
	kind secretKind
}

// file returns the file of a secret on one line, by the name that this file gives it.
func (s *source) file(name string) secretFile { return secretFile{s.abs(name), oneLine} }

// current returns what the file holds now; while that is nothing that could be a secret, as
// in the middle of a change, what it held.
func (f secretFile) current(held Secret) Secret {
	if f.name == "" {
		return held
	}
	value, _, err := readSecret(f.name, f.kind)
	if err != nil {
		return held
	}
	return Secret(value)
}

// othersRead reports whether everybody can read a file of that mode.
func othersRead(mode os.FileMode) bool {
	// Windows has no such mode bits; Go makes some up.
	return mode&0o004 != 0 && runtime.GOOS != "windows"
}

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, os.FileMode, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, unreadable(name, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, unreadable(name, err)
	}
	if info.IsDir() {
		return nil, 0, fmt.Errorf("%q is a folder; name a file", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, 0, unreadable(name, err)
	}
	if int64(len(text)) > limit {
		return nil, 0, fmt.Errorf("%q is larger than %d KiB; split it into several files", name, limit>>10)
	}
	return text, info.Mode(), nil
}

// unreadable words an error of the file system, keeping its kind.
func unreadable(name string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("read %q: %w", name, err)
}

// advise adds to an error of readFile what to do about it.
func advise(err error, missing string) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return err.Error() + "; " + missing
	case errors.Is(err, os.ErrPermission):
		return err.Error() + "; let the user that runs sitrep read it"
	}
	return err.Error()
}
