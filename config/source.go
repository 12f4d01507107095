package config

import (
	"bytes"
	"context"
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
	"unicode"

	"go.yaml.in/yaml/v3"
)

// A source is one file of the config, and where everything in it stands.
type source struct {
	name   string
	order  int
	info   os.FileInfo
	team   bool   // a team's file
	folder folder // of a team's file
	// places are where the values of the file stand, by the numbers of their paths.
	places map[int32]place
	// matching is what the matchers of the file cost so far.
	matching int
	l        *loading
}

// A place is a position in a file, counting from 1. There is one for each value of all files, so it
// is small.
type place struct{ line, column int32 }

func at(n *yaml.Node) place { return place{int32(n.Line), int32(n.Column)} }

// open reads a file as one YAML document that is a mapping. If it is anything
// else, that is a problem, and it returns nil.
func (l *loading) open(name string) (*source, *yaml.Node) {
	c, err := l.visit.file(name, maxFile)
	c.name, c.err = name, err
	return l.parse(c)
}

// parse reads what stands in a file as one YAML document that is a mapping. If it is
// anything else, that is a problem, and it returns nil. What it says then shows
// nothing of the text: it may be a secret that somebody took for a config file.
func (l *loading) parse(c content) (*source, *yaml.Node) {
	s := &source{name: c.name, order: l.files, info: c.info, folder: c.folder, places: map[int32]place{}, l: l}
	l.files++
	if c.err != nil {
		s.add(place{}, "", false, advise(c.err, "look at its name"))
		return nil, nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(c.text))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		s.add(place{1, 1}, "", false, "the file is empty; start from the sample in contrib")
		return nil, nil
	case err != nil:
		s.syntax(c.text, err)
		return nil, nil
	}
	if root := doc.Content[0]; root.Kind != yaml.MappingNode {
		s.add(at(root), "", false, "this is no list of keys and values; a file begins with one, as in the samples in contrib")
		return nil, nil
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		s.syntax(c.text, err)
		return nil, nil
	default:
		s.add(at(&second), "", false, "a second document starts here; only one is read, so put it all into the first, or into a file of its own")
	}
	return s, doc.Content[0]
}

var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// syntax reports what the YAML parser says of a file's text.
func (s *source) syntax(text []byte, err error) {
	p, message := place{1, 1}, err.Error()
	if m := syntaxError.FindStringSubmatch(message); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			p.line = int32(n)
		}
		message = m[2]
	}
	if strings.HasPrefix(message, "did not find expected") {
		p.line = firstLineOf(text, err)
	}
	if strings.HasPrefix(message, "unknown anchor") { // and then what stands there
		message = "unknown anchor"
	}
	s.add(p, "", false, "this is not YAML: "+message+"; look at the quotes, colons and indentation around here")
}

// firstLineOf returns the line at which the parser first meets an error. It names
// the line where the surrounding block begins, which may be far above.
func firstLineOf(text []byte, want error) int32 {
	lines := bytes.SplitAfter(text, []byte("\n"))
	return 1 + int32(sort.Search(len(lines)-1, func(n int) bool {
		dec := yaml.NewDecoder(bytes.NewReader(bytes.Join(lines[:n+1], nil)))
		for {
			var doc yaml.Node
			if err := dec.Decode(&doc); err != nil {
				return err.Error() == want.Error()
			}
		}
	}))
}

// add notes a problem.
func (s *source) add(p place, path string, warning bool, text string) {
	s.l.problems = append(s.l.problems, Problem{
		File: s.name, Line: int(p.line), Column: int(p.column), Path: oneLineOf(path), Text: oneLineOf(text), Warning: warning, order: s.order,
	})
}

// oneLineOf keeps what stands in a file, or in its name, from breaking, turning or hiding
// the line that tells of it.
func oneLineOf(text string) string {
	return strings.Map(func(r rune) rune {
		if unprintable(r) || unicode.Is(unicode.Cf, r) {
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
		p, ok := s.placeOf(path)
		cut := strings.LastIndexAny(path, ".[")
		switch {
		case ok || path == "":
			return p
		case cut < 0:
			cut = 0
		}
		path = path[:cut]
	}
}

// has reports whether the file itself says something at path.
func (s *source) has(path string) bool {
	_, ok := s.placeOf(path)
	return ok
}

// placeOf returns where the value of path itself stands.
func (s *source) placeOf(path string) (p place, ok bool) {
	if n, known := s.l.paths[path]; known {
		p, ok = s.places[n]
	}
	return p, ok
}

// stands notes where the value of path stands. The paths of most files are the same: each has a
// number, and is kept once for all of them.
func (s *source) stands(path string, p place) {
	n, ok := s.l.paths[path]
	if !ok {
		n = int32(len(s.l.paths))
		s.l.paths[path] = n
	}
	s.places[n] = p
}

// broken reports whether an error was found at the value of path itself, so that
// nothing can be said of what is missing in it.
func (s *source) broken(path string) bool {
	return s.found(func(at string) bool { return at == path })
}

// brokenWithin reports whether an error was found anywhere in the value of path.
func (s *source) brokenWithin(path string) bool {
	return s.found(func(at string) bool { return strings.HasPrefix(at, path) })
}

func (s *source) found(at func(path string) bool) bool {
	return slices.ContainsFunc(s.l.problems, func(p Problem) bool {
		return p.order == s.order && !p.Warning && at(p.Path)
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
	c, err := s.read(path, name)
	if kind == optional && errors.Is(err, os.ErrNotExist) {
		return ""
	}
	value := ""
	if err == nil {
		value, err = secretIn(c.text, s.abs(name), kind)
	}
	if err != nil {
		s.errorf(path, "%s", advise(err, "look at the path, which is relative to this file"))
		return ""
	}
	if kind != public && othersRead(c.info.Mode()) {
		s.warnf(path, "everybody on this machine can read %q; take that away with chmod o-rwx", s.abs(name))
	}
	return value
}

// httpConfig is in the path of whatever an http_config names.
const httpConfig = ".http_config."

// read reads a secret's file that this one names. A team's file cannot have what the
// main file keeps for others be used as the team's own, and cannot have itself sent what
// lies outside of its folder: what an http_config names is shown to a server of the
// team's choice.
func (s *source) read(path, name string) (content, error) {
	shown := strings.Contains(path, httpConfig) // to the other side
	in := folder{}
	if shown && s.team {
		in = s.folder
	}
	c, err := s.l.visit.secret(in, s.abs(name))
	if err != nil {
		return c, err
	}
	if !s.team {
		c.name = path
		s.l.secrets = append(s.l.secrets, c)
		return c, nil
	}
	for _, other := range s.l.secrets {
		groups := strings.HasPrefix(other.name, "groups[") && !strings.Contains(other.name, httpConfig)
		if os.SameFile(c.info, other.info) && (shown || !groups) {
			return content{}, fmt.Errorf("%q is what the main file names as %s; give the team a secret of its own", s.abs(name), other.name)
		}
	}
	return c, nil
}

// secretIn returns the secret that a file of that name holds: its text without a byte order
// mark and white space around. The error of one that cannot be what it should says what
// would be right, and nothing of what is in it.
func secretIn(text []byte, name string, kind secretKind) (string, error) {
	value := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	switch {
	case value == "":
		return "", fmt.Errorf("the file %q is empty; put the secret into it", name)
	case (kind == oneLine || kind == optional) && strings.ContainsFunc(value, unprintable):
		return "", fmt.Errorf("the file %q holds more than one line or control characters; put nothing but the secret into it", name)
	case kind == oneLine && strings.HasPrefix(value, "PRIVATE+KEY+"):
		return "", fmt.Errorf("the file %q holds the key of a ledger, which is shown to nobody; name another file", name)
	case kind != public && isVariable(value):
		return "", fmt.Errorf("the file %q holds ${…}, which is not replaced by a variable; put the secret itself into it", name)
	}
	return value, nil
}

var variable = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// isVariable reports whether something is left to be filled in from the environment,
// which nobody does.
func isVariable(secret string) bool { return variable.MatchString(secret) }

// A secretFile is a file that holds one secret, which may change while sitrep runs. The
// zero value is none.
type secretFile struct {
	disk   *disk
	name   string
	kind   secretKind
	folder folder // that it must lie in; none: it may lie anywhere
}

// file returns the file of a secret, by the name that this file gives it.
func (s *source) file(name string, kind secretKind) secretFile {
	return secretFile{s.l.visit.disk, s.abs(name), kind, s.folder}
}

// current returns what the file holds now; while that is nothing that could be a secret, as
// in the middle of a change, what it held.
func (f secretFile) current(held Secret) Secret {
	if f.name == "" {
		return held
	}
	c, err := f.disk.visit(context.Background()).secret(f.folder, f.name)
	if err != nil {
		return held
	}
	value, err := secretIn(c.text, f.name, f.kind)
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
