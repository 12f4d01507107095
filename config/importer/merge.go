package importer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
	"go.yaml.in/yaml/v3"

	"sitrep/chain"
	"sitrep/config"
	"sitrep/internal/yamlfile"
)

// A File is one of the teams' files.
type File struct {
	Name string
	Text []byte // as it is; nil: it is not there yet
}

// A Change is what a file would be.
type Change struct {
	Name          string
	Before, After []byte // Before is nil for a new file
	IDs           []string
}

// A Choice is what is put into new files where the sources say nothing.
type Choice struct {
	Team         string   // of objectives without one; empty: the service, else "imported"
	Stakeholders []string // the groups; none: they are left to choose
}

// A known SLO stands in a file already.
type known struct {
	id    string
	match labels.Matchers
}

// Merge returns what the files in a folder would be with the objectives that they lack. What
// stands in them stays as it is, order and comments too; objectives whose id or alerts an SLO has
// already add nothing. An objective goes to the file of its team, else to a new one.
func Merge(folder string, files []File, objectives []*Objective, c Choice) ([]Change, error) {
	m := merge{folder: folder, names: map[string]bool{}, byTeam: map[string]int{}, ids: map[string]bool{}}
	for _, f := range files {
		if err := m.read(f); err != nil {
			return nil, err
		}
	}
	teams := map[string][]*Objective{}
	var order []string
	for _, o := range objectives {
		if m.has(o) {
			continue
		}
		team := cmp.Or(o.Team, c.Team, o.Service, "imported")
		if teams[team] == nil {
			order = append(order, team)
		}
		teams[team] = append(teams[team], o)
	}
	var changes []Change
	for _, team := range order {
		changes = append(changes, m.add(team, teams[team], c))
	}
	return changes, nil
}

// merge is one merging.
type merge struct {
	folder string
	files  []File
	roots  []*yaml.Node
	names  map[string]bool
	byTeam map[string]int // the first file of a team
	ids    map[string]bool
	known  []known
}

// read takes in a file that is there.
func (m *merge) read(f File) error {
	m.names[f.Name] = true
	docs, err := yamlfile.Read(f.Text)
	if err != nil {
		return fmt.Errorf("%s: %w; mend it first, or choose another folder", f.Name, err)
	}
	if len(docs) == 0 {
		return nil
	}
	root := docs[0]
	if team := yamlfile.Text(root, "team"); team != "" {
		if _, ok := m.byTeam[team]; !ok {
			m.byTeam[team] = len(m.files)
		}
	}
	m.files, m.roots = append(m.files, f), append(m.roots, root)
	for _, n := range yamlfile.List(root, "slos") {
		k := known{id: yamlfile.Text(n, "id")}
		m.ids[k.id] = true
		for _, text := range yamlfile.List(n, "match") {
			if ms, err := labels.ParseMatchers(text.Value); err == nil {
				k.match = append(k.match, ms...)
			}
		}
		if len(k.match) > 0 {
			m.known = append(m.known, k)
		}
	}
	return nil
}

// has reports whether an SLO has the objective's id, or claims its alerts.
func (m *merge) has(o *Objective) bool {
	return m.ids[o.ID] || slices.ContainsFunc(m.known, func(k known) bool { return o.alerts.Holds(k.match) == chain.Always })
}

// add returns the change that brings objectives into the file of a team.
func (m *merge) add(team string, list []*Objective, c Choice) Change {
	ch := Change{}
	for _, o := range list {
		ch.IDs = append(ch.IDs, o.ID)
	}
	if i, ok := m.byTeam[team]; ok {
		after, err := insert(m.files[i].Text, m.roots[i], list)
		if err == nil {
			ch.Name, ch.Before, ch.After = m.files[i].Name, m.files[i].Text, after
			return ch
		}
	}
	ch.Name, ch.After = m.free(team), write(team, list, c)
	return ch
}

// free returns a name for a new file of a team.
func (m *merge) free(team string) string {
	base := cmp.Or(kebab(team), "imported")
	base = base[:min(len(base), 100)]
	name := filepath.Join(m.folder, base+".yml")
	for n := 2; m.names[name]; n++ {
		name = filepath.Join(m.folder, fmt.Sprintf("%s-%d.yml", base, n))
	}
	m.names[name] = true
	return name
}

// write returns a new file.
func write(team string, list []*Objective, c Choice) []byte {
	var b bytes.Buffer
	b.WriteString("# Written by sitrep import. Choose each priority, and say in plain words what is broken\n" +
		"# when the SLO is breached: those who are informed read it first.\n")
	fmt.Fprintf(&b, "team: %s\n\n# Hears of every incident of these SLOs:\n# on_call: {email: [%s-oncall@example.org]}\n\n", scalar(team), cmp.Or(kebab(team), "team"))
	b.WriteString("# The groups that are told, for SLOs below that name none of their own.\nstakeholders: [")
	groups := c.Stakeholders
	if len(groups) == 0 {
		groups = []string{config.Unchosen}
	}
	for i, g := range groups {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(scalar(g))
	}
	b.WriteString("]\n\nslos:\n")
	for i, o := range list {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(entry(o, "  "))
	}
	return b.Bytes()
}

// entry returns an objective as an element of slos.
func entry(o *Objective, indent string) string {
	var b strings.Builder
	line := func(key, value, comment string) {
		if comment != "" {
			comment = " # " + clean(comment)
		}
		fmt.Fprintf(&b, "%s  %s: %s%s\n", indent, key, value, comment)
	}
	fmt.Fprintf(&b, "%s# From %s.\n", indent, clean(o.From.String()))
	if o.Note != "" {
		fmt.Fprintf(&b, "%s# %s\n", indent, o.Note)
	}
	fmt.Fprintf(&b, "%s- id: %s\n", indent, scalar(o.ID))
	if o.UseCase != "" {
		line("use_case", scalar(o.UseCase), "a proposal")
	} else {
		line("use_case", scalar(strings.ReplaceAll(o.ID, "-", " ")+" is not as promised"), "say what is broken")
	}
	if o.SLI != "" {
		line("sli", o.SLI, "")
	}
	if o.Service != "" {
		line("service", scalar(o.Service), "")
	}
	line("priority", config.Unchosen, "the name of one of the priorities")
	if o.Runbook != "" {
		line("runbook", scalar(o.Runbook), "")
	}
	if len(o.Match) > 0 {
		quoted := make([]string, len(o.Match))
		for i, m := range o.Match {
			quoted[i] = "'" + strings.ReplaceAll(m, "'", "''") + "'"
		}
		line("match", "["+strings.Join(quoted, ", ")+"]", "")
	}
	return b.String()
}

// scalar writes a text as YAML on one line.
func scalar(text string) string {
	n := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.ContainsAny(text, "#:,[]{}&*!|>'\"%@`?") || strings.TrimSpace(text) != text {
		n.Style = yaml.DoubleQuotedStyle
	}
	enc, err := yaml.Marshal(&n)
	out := strings.TrimSpace(string(enc))
	if err != nil || strings.ContainsAny(out, "\n") {
		// Long texts are folded; JSON's way to write them is YAML too.
		return fmt.Sprintf("%q", text)
	}
	return out
}

var errForm = errors.New("the list is written in a form that nothing can be added to")

// insert returns a file with objectives after its last SLO. All that stands there stays.
func insert(text []byte, root *yaml.Node, list []*Objective) ([]byte, error) {
	eol := "\n"
	if bytes.Contains(text, []byte("\r\n")) {
		eol = "\r\n"
	}
	lines := strings.SplitAfter(string(text), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	after, indent, head := len(lines), "  ", "slos:\n"
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if key.Value != "slos" {
			continue
		}
		head = ""
		end := len(lines)
		for j := 0; j+1 < len(root.Content); j += 2 {
			if n := root.Content[j].Line; n > key.Line && n-1 < end {
				end = n - 1
			}
		}
		switch {
		case value.Kind == yaml.SequenceNode && value.Style&yaml.FlowStyle == 0 && len(value.Content) > 0:
			indent = strings.Repeat(" ", value.Column-1)
		case value.ShortTag() == "!!null" && value.Value == "":
			end = key.Line
		default:
			return nil, errForm
		}
		after = last(lines, key.Line, end, len(indent))
	}
	var b strings.Builder
	for _, l := range lines[:after] {
		b.WriteString(l)
	}
	if after > 0 && !strings.HasSuffix(lines[after-1], "\n") {
		b.WriteString(eol)
	}
	added := head
	for _, o := range list {
		if added != "" && added != head || head == "" {
			added += "\n"
		}
		added += entry(o, indent)
	}
	b.WriteString(strings.ReplaceAll(added, "\n", eol))
	for _, l := range lines[after:] {
		b.WriteString(l)
	}
	out := []byte(b.String())
	if !grown(root, out, list) {
		return nil, errForm
	}
	return out, nil
}

// last returns how many lines there are up to the last that belongs to a list: from its key to
// before the next, without the empty lines and the comments in front of that.
func last(lines []string, from, end, indent int) int {
	for n := from; n < end; n++ {
		if l := strings.TrimRight(lines[n], "\r\n"); l == "---" || l == "..." {
			end = n
		}
	}
	for ; end > from; end-- {
		l := strings.TrimRight(lines[end-1], " \t\r\n")
		if l == "" {
			continue
		}
		comment := strings.TrimLeft(l, " ")
		if !strings.HasPrefix(comment, "#") || len(l)-len(comment) > indent {
			break
		}
	}
	return end
}

// grown reports whether a text says all that it said before, and the objectives besides.
func grown(root *yaml.Node, text []byte, list []*Objective) bool {
	docs, err := yamlfile.Read(text)
	if err != nil || len(docs) != 1 || docs[0].Kind != yaml.MappingNode {
		return false
	}
	var before []string
	for _, n := range yamlfile.List(root, "slos") {
		before = append(before, said(n))
	}
	now := yamlfile.List(docs[0], "slos")
	if len(now) != len(before)+len(list) {
		return false
	}
	for i, n := range now {
		switch {
		case i < len(before) && said(n) != before[i]:
			return false
		case i >= len(before) && yamlfile.Text(n, "id") != list[i-len(before)].ID:
			return false
		}
	}
	for key, value := range yamlfile.Pairs(root) {
		if key.Value != "slos" && said(value) != said(yamlfile.Get(docs[0], key.Value)) {
			return false
		}
	}
	return true
}

// said returns what a node says, wherever it stands.
func said(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %q (", n.Kind, n.ShortTag(), n.Value)
	for _, c := range n.Content {
		b.WriteString(said(c))
	}
	b.WriteString(")")
	return b.String()
}
