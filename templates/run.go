package templates

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"
)

const (
	// mostSteps is how much a template may do for one message: nodes that are visited, and what
	// functions have to read, which takes well below a second.
	mostSteps = 300_000
	// mostOutput is how many bytes a template may write, and mostValue how many a function may return.
	mostOutput = 200_000
	mostValue  = 64 << 10
	// mostPattern is how long a regular expression may be.
	mostPattern = 500
	// mostWidth is how many digits of width and precision printf takes.
	mostWidth = 3
)

// A run is a set of templates that can be executed, by one at a time.
type run struct {
	text *template.Template
	html *htmltemplate.Template
	left int // of the steps
}

var errSteps = fmt.Errorf("it does too much: more than %d steps for one message; let it do less in range", mostSteps)

// newRun makes the templates ready to be executed.
func (s *Set) newRun() (*run, error) {
	r := &run{}
	funcs := r.funcs()
	r.text = template.New("").Funcs(funcs)
	r.html = htmltemplate.New("").Funcs(funcs)
	for name, t := range s.trees {
		if _, err := r.text.AddParseTree(name, t.Copy()); err != nil {
			return nil, err
		}
		if _, err := r.html.AddParseTree(name, t.Copy()); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// execute returns what a template writes for a message. The error is a *Failure.
func (s *Set) execute(name string, m *Message) (out string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panics: %v", p)
		}
		if err != nil {
			err = s.failure(name, err)
		}
	}()
	r, ok := s.idle.Get().(*run)
	if !ok {
		if r, err = s.newRun(); err != nil {
			return "", err
		}
	}
	r.left = mostSteps
	var w limitedWriter
	if name == MailHTML {
		err = r.html.ExecuteTemplate(&w, name, m)
	} else {
		err = r.text.ExecuteTemplate(&w, name, m)
	}
	if err != nil {
		return "", err
	}
	s.idle.Put(r)
	return w.String(), nil
}

// A limitedWriter takes as much as a template may write.
type limitedWriter struct{ bytes.Buffer }

// errOutput is the error of a template that writes too much.
type errOutput struct{}

func (errOutput) Error() string {
	return fmt.Sprintf("it is longer than %d bytes; let it say less", mostOutput)
}

// Write implements io.Writer.
func (w *limitedWriter) Write(b []byte) (int, error) {
	if w.Len()+len(b) > mostOutput {
		return 0, errOutput{}
	}
	return w.Buffer.Write(b)
}

// The names of what is put into templates to count what they do. They are no names that people use.
const (
	stepFunc     = "_sitrep_step"
	stepVariable = "$_sitrep_step"
	textFunc     = "_sitrep_text"
)

// sift makes a template write only what is a text, a number or a time: anything else would be written
// as Go shows it, with addresses of memory that differ each time.
func sift(t *parse.Tree) {
	walk(t.Root, func(n parse.Node) {
		action, ok := n.(*parse.ActionNode)
		if !ok || len(action.Pipe.Decl) > 0 {
			return
		}
		cmds := action.Pipe.Cmds
		last, ok := cmds[len(cmds)-1].Args[0].(*parse.IdentifierNode)
		if ok && (last.Ident == "html" || last.Ident == "urlquery") {
			return // they return texts, and html/template wants them to stand last
		}
		action.Pipe.Cmds = append(cmds, &parse.CommandNode{
			NodeType: parse.NodeCommand, Pos: action.Pos, Args: []parse.Node{parse.NewIdentifier(textFunc).SetTree(t).SetPos(action.Pos)},
		})
	})
}

// meter makes a template count what it does: at its beginning, and each time that a range begins
// anew. Nothing else takes a template longer than it is.
func meter(t *parse.Tree) {
	var lists []*parse.ListNode
	walk(t.Root, func(n parse.Node) {
		if r, ok := n.(*parse.RangeNode); ok {
			lists = append(lists, r.List)
		}
	})
	for _, l := range append(lists, t.Root) {
		nodes := 0
		walk(l, func(parse.Node) { nodes++ })
		// A variable is declared, as that writes nothing, and means nothing in HTML. It stands in the
		// place of what follows, which errors name then.
		at := positionOf(t, l)
		text := strings.Repeat("\n", max(at.line-1, 0)) + strings.Repeat(" ", max(at.column-1, 0)) + fmt.Sprintf("{{%s := %s %d}}", stepVariable, stepFunc, nodes)
		trees, err := parse.Parse(t.ParseName, text, "", "", stubs)
		if err != nil {
			panic("templates: " + err.Error()) // it is the same for all
		}
		step := trees[t.ParseName].Root.Nodes
		l.Nodes = append([]parse.Node{step[len(step)-1]}, l.Nodes...)
	}
}

// step counts what is done, and gives up where that is too much.
func (r *run) step(n int) (string, error) {
	if r.left -= max(n, 1); r.left < 0 {
		return "", errSteps
	}
	return "", nil
}

// read counts what a function has to read, and bounds what it returns.
func (r *run) read(n int) error {
	_, err := r.step(1 + n/16)
	return err
}

func bounded(s string) (string, error) {
	if len(s) > mostValue {
		return "", fmt.Errorf("a text of more than %d bytes; let it be less", mostValue)
	}
	return s, nil
}

// public are the functions that people can use, and stubs all.
var public, stubs = func() (public, all map[string]any) {
	all = map[string]any{}
	for name := range (&run{}).funcs() {
		all[name] = fmt.Sprint
	}
	for _, name := range []string{"and", "call", "eq", "ge", "gt", "index", "le", "len", "lt", "ne", "not", "or", "slice"} {
		all[name] = fmt.Sprint
	}
	public = maps.Clone(all)
	delete(public, stepFunc)
	delete(public, textFunc)
	return public, all
}()

// Functions returns the names of the functions that templates have beyond those of text/template,
// and what each does. Those that Alertmanager has too do the same there.
func Functions() map[string]string {
	return map[string]string{
		"toUpper":      "`{{toUpper .Kind}}`: in upper case",
		"toLower":      "`{{toLower .Kind}}`: in lower case",
		"trimSpace":    "`{{trimSpace .Title}}`: without white space around",
		"join":         "`{{join \", \" .Audiences}}`: the texts of a list, with something in between",
		"match":        "`{{if match \"^P[12]$\" .Incident.Priority.Name}}`: whether a text matches a regular expression",
		"reReplaceAll": "`{{reReplaceAll \"example\" \"our\" .Title}}`: a text with all that matches a regular expression replaced",
		"stringSlice":  "`{{range stringSlice \"a\" \"b\"}}`: a list of texts",
		"date":         "`{{date \"2006-01-02 15:04\" .At}}`: a time in a layout of Go",
		"toJson":       "`{{toJson .Title}}`: as JSON, with the quotation marks of a text; in the templates of chats all texts belong into it",
		"truncate":     "`{{truncate 100 .Title}}`: at most so many characters, with … where something is left out",
	}
}

func (r *run) funcs() map[string]any {
	return map[string]any{
		stepFunc:   r.step,
		textFunc:   written,
		"print":    r.scalars(fmt.Sprint),
		"println":  r.scalars(fmt.Sprintln),
		"html":     r.scalars(template.HTMLEscaper),
		"js":       r.scalars(template.JSEscaper),
		"urlquery": r.scalars(template.URLQueryEscaper),
		"printf":   r.printf,

		"toUpper":   r.text1(strings.ToUpper),
		"toLower":   r.text1(strings.ToLower),
		"trimSpace": r.text1(strings.TrimSpace),
		"join": func(sep string, all []string) (string, error) {
			n := 0
			for _, s := range all {
				n += len(s) + len(sep)
			}
			if err := r.read(n); err != nil {
				return "", err
			}
			return bounded(strings.Join(all, sep))
		},
		"match": func(pattern, text string) (bool, error) {
			re, err := r.regexp(pattern, text)
			return err == nil && re.MatchString(text), err
		},
		"reReplaceAll": func(pattern, with, text string) (string, error) {
			re, err := r.regexp(pattern, text)
			if err != nil {
				return "", err
			}
			if (len(text)+1)*(len(with)+1) > mostValue*16 {
				return "", errors.New("what stands for each match is too long")
			}
			return bounded(re.ReplaceAllString(text, with))
		},
		"stringSlice": func(all ...string) []string { return all },
		"date": func(layout string, t *Time) (string, error) {
			if t == nil {
				return "", nil
			}
			return t.Format(layout)
		},
		"toJson": func(v any) (string, error) {
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v); err != nil {
				return "", err
			}
			if err := r.read(b.Len()); err != nil {
				return "", err
			}
			return strings.TrimSuffix(b.String(), "\n"), nil
		},
		"truncate": func(most int, text string) (string, error) {
			if err := r.read(len(text)); err != nil {
				return "", err
			}
			return truncate(most, text), nil
		},
	}
}

// text1 is a function of one text, whose cost is counted.
func (r *run) text1(f func(string) string) func(string) (string, error) {
	return func(s string) (string, error) {
		if err := r.read(len(s)); err != nil {
			return "", err
		}
		return bounded(f(s))
	}
}

// scalars is a function of texts, numbers and times, whose cost is counted: a message as a whole is
// no text, and many of them would be memory without end.
func (r *run) scalars(f func(...any) string) func(...any) (string, error) {
	return func(args ...any) (string, error) {
		args, n, err := scalar(args)
		if err != nil {
			return "", err
		}
		if err := r.read(n); err != nil {
			return "", err
		}
		return bounded(f(args...))
	}
}

// written returns what is written, if that is a text, a number or a time.
func written(v any) (any, error) {
	out, _, err := scalar([]any{v})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// scalar returns arguments as they are printed, and how long they are together.
func scalar(args []any) (out []any, n int, err error) {
	for _, a := range args {
		switch v := a.(type) {
		case nil:
			a = ""
		case *Time:
			if a = ""; v != nil {
				a = v.String()
			}
		case fmt.Stringer:
			a = v.String()
		default:
			switch reflect.TypeOf(a).Kind() {
			case reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer, reflect.Array, reflect.Func, reflect.Chan, reflect.Interface:
				return nil, 0, fmt.Errorf("it prints a whole %s; name one of its fields, or use range, join or toJson", nameOf(a))
			}
		}
		if s, ok := a.(string); ok {
			n += len(s)
		}
		out = append(out, a)
	}
	return out, n + 20*len(args), nil
}

// nameOf names the type of what is no scalar, for people.
func nameOf(v any) string {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return "list"
	case reflect.Map:
		return "map"
	}
	return t.Name()
}

var wide = regexp.MustCompile(fmt.Sprintf(`%%[^a-zA-Z%%]*(\*|[0-9]{%d,})`, mostWidth+1))

// printf is fmt.Sprintf, within bounds.
func (r *run) printf(format string, args ...any) (string, error) {
	if m := wide.FindString(format); m != "" {
		return "", fmt.Errorf("printf takes widths of up to %d digits, and no *; %q is none", mostWidth, m)
	}
	args, n, err := scalar(args)
	if err != nil {
		return "", err
	}
	verbs := strings.Count(format, "%")
	longest := 1000 // as wide as a verb can make it
	for _, a := range args {
		if s, ok := a.(string); ok {
			longest = max(longest, 10*len(s)) // as quoted as it can be
		}
	}
	if len(format)+verbs*longest > 64*mostValue {
		return "", fmt.Errorf("printf of more than %d bytes; let it be less", mostValue)
	}
	if err := r.read(n + len(format) + verbs*longest/10); err != nil {
		return "", err
	}
	return bounded(fmt.Sprintf(format, args...))
}

// regexp returns a regular expression for a text. It costs by how long both are: Go's take no longer.
func (r *run) regexp(pattern, text string) (*regexp.Regexp, error) {
	if len(pattern) > mostPattern {
		return nil, fmt.Errorf("a regular expression of more than %d characters", mostPattern)
	}
	if _, err := r.step(500 + 2*len(pattern) + len(text)); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%q is not a regular expression: %w", pattern, err)
	}
	return re, nil
}

// truncate cuts a text after at most so many characters, and never in what stands for a character in a
// chat.
func truncate(most int, text string) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	cut := []rune(text)[:max(most-1, 0)]
	s := string(cut)
	if i := strings.LastIndexByte(s, '&'); i >= 0 && !strings.Contains(s[i:], ";") && len(s)-i < 6 {
		s = s[:i]
	}
	if slashes := len(s) - len(strings.TrimRight(s, `\`)); slashes%2 == 1 {
		s = s[:len(s)-1]
	}
	if most < 1 {
		return ""
	}
	return strings.TrimRight(s, " ") + "…"
}
