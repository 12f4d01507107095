// Package yamlfile reads YAML that others wrote for other programs, within bounds: rule
// files, specs of SLO tools, Alertmanager's configuration. What it gives are nodes that
// know where they stand.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The bounds of a file.
const (
	MaxSize  = 8 << 20 // bytes
	maxNodes = 600_000 // with everything that aliases repeat
	maxDepth = 60
)

// An Error says what keeps a text from being read, and at which line.
type Error struct {
	Line int // from 1; 0: not known
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Text
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Text)
}

var syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// Read returns what stands in the documents of a text, without those that are empty; of a list
// as Kubernetes prints it, what is listed. Aliases and merged mappings are written out. The error is an [*Error].
func Read(text []byte) ([]*yaml.Node, error) {
	if len(text) > MaxSize {
		return nil, &Error{Text: fmt.Sprintf("the file is larger than %d MiB; split it", MaxSize>>20)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	var out []*yaml.Node
	r := reader{nodes: maxNodes}
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			e := &Error{Text: "this is not YAML: " + err.Error()}
			if m := syntaxError.FindStringSubmatch(err.Error()); m != nil {
				e.Line, _ = strconv.Atoi(m[1])
				e.Text = "this is not YAML: " + m[2]
			}
			return nil, e
		}
		if len(doc.Content) == 0 {
			continue
		}
		root, err := r.expand(doc.Content[0], 0)
		if err != nil {
			return nil, err
		}
		items := Get(root, "items")
		switch {
		case root.ShortTag() == "!!null":
		case strings.HasSuffix(Text(root, "kind"), "List") && items != nil && items.Kind == yaml.SequenceNode:
			out = append(out, items.Content...)
		default:
			out = append(out, root)
		}
	}
}

// A reader writes aliases out, within the bounds of one file.
type reader struct{ nodes int }

// expand returns a node in which no aliases are left.
func (r *reader) expand(n *yaml.Node, depth int) (*yaml.Node, error) {
	r.nodes--
	switch {
	case r.nodes < 0:
		return nil, &Error{n.Line, fmt.Sprintf("the file has more than %d values, with what aliases repeat; split it", maxNodes)}
	case depth > maxDepth:
		return nil, &Error{n.Line, fmt.Sprintf("this is nested more than %d deep", maxDepth)}
	}
	if n.Kind == yaml.AliasNode {
		return r.expand(n.Alias, depth+1)
	}
	if len(n.Content) == 0 {
		return n, nil
	}
	out := *n
	out.Content = make([]*yaml.Node, 0, len(n.Content))
	var merged []*yaml.Node
	for i, c := range n.Content {
		e, err := r.expand(c, depth+1)
		if err != nil {
			return nil, err
		}
		if n.Kind == yaml.MappingNode && n.Content[i&^1].ShortTag() == "!!merge" {
			if i%2 == 1 {
				merged = append(merged, e)
			}
			continue
		}
		out.Content = append(out.Content, e)
	}
	if len(merged) > 0 {
		has := map[string]bool{}
		for key := range Pairs(&out) {
			has[key.Value] = true
		}
		for _, m := range merged {
			merge(&out, m, has)
		}
	}
	return &out, nil
}

// merge adds to a mapping, which has those keys, what it lacks of another, or of each of a list.
func merge(to, from *yaml.Node, has map[string]bool) {
	if from.Kind == yaml.SequenceNode {
		for _, f := range from.Content {
			merge(to, f, has)
		}
		return
	}
	for key, value := range Pairs(from) {
		if !has[key.Value] {
			has[key.Value] = true
			to.Content = append(to.Content, key, value)
		}
	}
}

// Pairs ranges over the keys and values of a mapping; of anything else, over none.
func Pairs(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// Get returns the value at a path of keys, nil if there is none.
func Get(n *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		var found *yaml.Node
		for key, value := range Pairs(n) {
			if key.Value == name {
				found = value
				break
			}
		}
		if n = found; n == nil {
			return nil
		}
	}
	return n
}

// Text returns the text of the value at a path of keys, empty if it is none.
func Text(n *yaml.Node, path ...string) string {
	n = Get(n, path...)
	if n == nil || n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return ""
	}
	return n.Value
}

// List returns the elements of the list at a path of keys.
func List(n *yaml.Node, path ...string) []*yaml.Node {
	if n = Get(n, path...); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// Texts returns a mapping of texts at a path of keys.
func Texts(n *yaml.Node, path ...string) map[string]string {
	out := map[string]string{}
	for key, value := range Pairs(Get(n, path...)) {
		if value.Kind == yaml.ScalarNode {
			out[key.Value] = value.Value
		}
	}
	return out
}
