package config_test

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"sitrep/config"
	"sitrep/internal/golden"
)

// TestReferenceOfKeysIsTrue keeps the page of all keys at what the loader goes by.
func TestReferenceOfKeysIsTrue(t *testing.T) {
	const page = "../docs/reference/configuration.md"
	want := config.Reference()
	golden.Compare(t, page, want)
}

// TestBoundsAreThoseOfTheReference tries the values at each bound, and those just beyond.
func TestBoundsAreThoseOfTheReference(t *testing.T) {
	for key, bounds := range config.Bounded() {
		t.Run(key, func(t *testing.T) {
			inside, outside := around(t, bounds)
			for _, v := range inside {
				if text := boundProblem(t, key, v); text != "" {
					t.Errorf("%v: %s", v, text)
				}
			}
			for _, v := range outside {
				if text := boundProblem(t, key, v); text == "" {
					t.Errorf("%v is not refused", v)
				}
			}
		})
	}
}

// A length is how many elements a list has.
type length int

// around returns the values that bounds just allow, and those just beyond.
func around(t *testing.T, bounds string) (inside, outside []any) {
	if most, ok := strings.CutPrefix(bounds, "at most "); ok {
		n := number(t, most)
		return []any{length(0), length(n)}, []any{length(n + 1)}
	}
	if low, ok := strings.CutPrefix(bounds, "more than "); ok {
		return []any{time.Millisecond}, []any{number64(t, low)}
	}
	low, high, both := strings.Cut(bounds, " to ")
	if !both {
		var ok bool
		if low, ok = strings.CutSuffix(bounds, " or more"); !ok {
			t.Fatalf("%q says no bounds that this test can read", bounds)
		}
	}
	if _, err := strconv.Atoi(low); err == nil {
		inside, outside = []any{number(t, low)}, []any{number(t, low) - 1}
		if both {
			inside, outside = append(inside, number(t, high)), append(outside, number(t, high)+1)
		}
		return inside, outside
	}
	inside, outside = []any{number64(t, low)}, []any{number64(t, low) - time.Millisecond}
	if both {
		inside, outside = append(inside, number64(t, high)), append(outside, number64(t, high)+time.Millisecond)
	}
	return inside, outside
}

func number(t *testing.T, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func number64(t *testing.T, text string) time.Duration {
	d, err := model.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(d)
}

// boundProblem puts a value where a key stands, and returns the error about that key; empty if
// there is none.
func boundProblem(t *testing.T, key string, value any) string {
	t.Helper()
	files, name := maps.Clone(full), "sitrep.yml"
	path, team := strings.CutPrefix(key, "team file: ")
	if team {
		name = "slos/shop.yml"
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(files[name]), &doc); err != nil {
		t.Fatal(err)
	}
	node := doc.Content[0]
	parts := strings.Split(path, ".")
	for i, part := range parts {
		part, many := strings.CutSuffix(part, "[]")
		var found *yaml.Node
		for j := 0; j+1 < len(node.Content); j += 2 {
			if node.Content[j].Value == part {
				found = node.Content[j+1]
			}
		}
		if found == nil {
			found = new(yaml.Node)
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: part}, found)
		}
		if node = found; many && i < len(parts)-1 {
			node = node.Content[0]
		}
	}
	at := strings.ReplaceAll(path, "[]", "[0]")
	switch v := value.(type) {
	case int:
		if node.Kind == yaml.SequenceNode {
			lengthen(node, v)
		} else {
			node.Value, node.Kind, node.Tag = strconv.Itoa(v), yaml.ScalarNode, "!!int"
		}
	case length:
		lengthen(node, int(v))
	case time.Duration:
		node.Value, node.Kind, node.Tag = model.Duration(v).String(), yaml.ScalarNode, "!!str"
	}
	text, err := yaml.Marshal(&doc)
	if err != nil {
		t.Fatal(err)
	}
	files[name] = string(text)
	_, err = config.Load(filepath.Join(filepath.Dir(write(t, files)), "sitrep.yml"))
	var problems *config.Problems
	if !errors.As(err, &problems) {
		return ""
	}
	for _, p := range problems.List {
		rest, ok := strings.CutPrefix(p.Path, at)
		if ok && !p.Warning && !strings.Contains(rest, ".") && !strings.Contains(p.Text, "more than half of every") && !strings.Contains(p.Text, "than personal") {
			return p.String()
		}
	}
	return ""
}

// lengthen gives a list so many elements, each with a name of its own.
func lengthen(list *yaml.Node, n int) {
	first := list.Content[0]
	for i := len(list.Content); i < n; i++ {
		another := *first
		name := fmt.Sprintf("Another %d", i)
		if first.Kind == yaml.MappingNode {
			another = yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "name"}, {Kind: yaml.ScalarNode, Value: name}}}
		} else {
			another.Value = name
		}
		list.Content = append(list.Content, &another)
	}
	list.Content = list.Content[:n]
}
