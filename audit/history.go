package audit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sitrep/storage"
)

// A Version is a configuration that was in force since At.
type Version struct {
	storage.Loading
	Number int // from 1, the first on record
	// Until is when the next came into force; zero of the one in force.
	Until time.Time
	// Changes are what differs from the one before: the priorities, then the SLOs, then
	// all else. [Compare] sets them.
	Changes []Change
}

// A Change is a difference between two configurations.
type Change struct {
	// Of is what it concerns, such as "priority P1" or "SLO checkout-latency".
	Of string
	// Field is what of that; empty if it was added or taken away as a whole.
	Field string
	// From and To are the values; From is empty of what was added, To of what was taken
	// away.
	From, To string
}

func (c Change) String() string {
	switch {
	case c.Field == "" && c.From == "":
		return c.Of + " added"
	case c.Field == "":
		return c.Of + " taken away"
	case c.From == "":
		return fmt.Sprintf("%s: %s is now %s", c.Of, c.Field, c.To)
	case c.To == "":
		return fmt.Sprintf("%s: %s is no longer set; it was %s", c.Of, c.Field, c.From)
	}
	return fmt.Sprintf("%s: %s from %s to %s", c.Of, c.Field, c.From, c.To)
}

// Versions returns the configurations that were in force, the first first. One that was
// loaded again while it was in force is there once. The loadings are as
// [storage.Loadings] returns them.
func Versions(loadings []storage.Loading) []Version {
	var all []Version
	for _, l := range slices.Backward(loadings) {
		if n := len(all); n > 0 {
			if all[n-1].Hash == l.Hash {
				continue
			}
			all[n-1].Until = l.At
		}
		all = append(all, Version{Loading: l, Number: len(all) + 1})
	}
	return all
}

// Compare sets what each version changed, but the first of them, which are a row of what
// [Versions] returns. Of addresses it says only how many there are. Where only the public
// form of one is left, another name or address is no change from it, or to it.
func Compare(ctx context.Context, r storage.Snapshot, versions []Version) error {
	var before form
	for i := range versions {
		v, now := &versions[i], form{}
		var err error
		now.Config, now.whole, err = storage.ConfigOf(ctx, r, v.Loading)
		if err == nil && i > 0 {
			v.Changes, err = before.changesTo(&now)
		}
		if err != nil {
			return fmt.Errorf("read the history of the configuration: %w", err)
		}
		before = now
	}
	return nil
}

// A form is a configuration as it is kept.
type form struct {
	storage.Config
	whole bool
}

func (f *form) changesTo(next *form) ([]Change, error) {
	before, now := unlike(string(f.Body), string(next.Body))
	var both [2]map[thing]string
	for i, body := range []string{before, now} {
		var err error
		if both[i], err = things(body, f.whole && next.whole); err != nil {
			return nil, fmt.Errorf("configuration %q: %w: %w", []*form{f, next}[i].Hash, err, storage.ErrDamaged)
		}
	}
	return changes(both[0], both[1]), nil
}

// unlike returns two configurations without the teams and the groups that stand in both as they are.
// Of a large organisation those are nearly all, and taking them apart would take seconds.
func unlike(before, now string) (string, string) {
	a, err := split(before)
	b, failed := split(now)
	if err != nil || failed != nil {
		return before, now // what is wrong is said to who reads them
	}
	for name, older := range a.lists {
		if newer, ok := b.lists[name]; ok {
			a.lists[name], b.lists[name] = less(older, newer), less(newer, older)
		}
	}
	return a.join(), b.join()
}

// pieces are a configuration as it stands in JSON, cut up.
type pieces struct {
	lists   map[string][]string // the teams and the groups, by that name in quotes
	members []string            // all else
}

func split(text string) (p pieces, err error) {
	d := jsontext.NewDecoder(bytes.NewBufferString(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	piece := func() string {
		value, failed := d.ReadValue()
		err = cmp.Or(err, failed)
		end := int(d.InputOffset())
		return text[end-len(value) : end]
	}
	enter := func() { // or leave
		_, failed := d.ReadToken()
		err = cmp.Or(err, failed)
	}
	if d.PeekKind() != '{' {
		return p, errors.New("it is no object")
	}
	p.lists = map[string][]string{}
	for enter(); err == nil && d.PeekKind() == '"'; {
		name := piece()
		if list := name == `"teams"` || name == `"groups"`; !list || d.PeekKind() != '[' {
			p.members = append(p.members, name+":"+piece())
			continue
		}
		all := []string{}
		for enter(); err == nil && d.PeekKind() != ']'; {
			all = append(all, piece())
		}
		enter()
		p.lists[name] = all
	}
	if enter(); err == nil && d.PeekKind() != 0 {
		err = errors.New("it goes on after its end")
	}
	return p, err
}

func (p *pieces) join() string {
	for name, all := range p.lists {
		p.members = append(p.members, name+":["+strings.Join(all, ",")+"]")
	}
	return "{" + strings.Join(p.members, ",") + "}"
}

// less returns those of some that are not among others.
func less(some, others []string) (rest []string) {
	known := make(map[string]bool, len(others))
	for _, s := range others {
		known[s] = true
	}
	for _, s := range some {
		if !known[s] {
			rest = append(rest, s)
		}
	}
	return rest
}

// A thing is one value in a configuration: a field of something, or that something is
// there, if field is empty.
type thing struct{ of, field string }

// things takes a configuration apart. If it is not to be whole, all names and addresses
// in it are the same.
func things(body string, whole bool) (map[thing]string, error) {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var form map[string]any
	if err := decoder.Decode(&form); err != nil {
		return nil, err
	}
	if !whole {
		level(form)
	}
	out := map[thing]string{}
	for key, value := range form {
		switch key {
		case "priorities":
			named(out, "priority", "name", value)
			out[thing{"priorities", "order"}] = order(value)
		case "groups":
			named(out, "group", "name", value)
		case "teams":
			for _, team := range elements(value) {
				name := text(team["team"])
				out[thing{"team " + name, ""}] = name
				for field, value := range team {
					switch field {
					case "team":
					case "slos":
						for _, slo := range elements(value) {
							slo["team"] = name
						}
						named(out, "SLO", "id", value)
					default:
						flatten(out, "team "+name, field, value)
					}
				}
			}
		default:
			flatten(out, "settings", key, value)
		}
	}
	return out, nil
}

// level makes what the public form conceals the same everywhere.
func level(form map[string]any) {
	for key, value := range form {
		switch {
		case slices.Contains([]string{"email", "from", "reply_to", "username", "token_file", "password_file", "credentials_file"}, key):
			if addresses, ok := value.([]any); ok {
				for i := range addresses {
					addresses[i] = "someone"
				}
				continue
			}
			form[key] = "someone"
		case key == "users" || key == "tokens":
			for _, who := range elements(value) {
				who["name"] = "someone"
			}
		}
		if inner, ok := value.(map[string]any); ok {
			level(inner)
		}
		for _, inner := range elements(value) {
			level(inner)
		}
	}
}

// named takes a list apart whose elements have names.
func named(out map[thing]string, kind, key string, value any) {
	for _, element := range elements(value) {
		of := kind + " " + text(element[key])
		out[thing{of, ""}] = text(element[key])
		for field, value := range element {
			if field != key {
				flatten(out, of, field, value)
			}
		}
	}
}

// flatten notes a field, and those inside it.
func flatten(out map[thing]string, of, field string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(out, of, field+"."+name, inner)
		}
	case []any:
		out[thing{of, field}] = text(v)
		if last := field[strings.LastIndex(field, ".")+1:]; last == "email" || last == "webhooks" {
			out[thing{of, field}] = plural(len(v), "recipient", "recipients") + secret + text(v)
		} else if field == "template_files" {
			out[thing{of, field}] = plural(len(v), "file", "files") + secret + text(v)
		}
	default:
		out[thing{of, field}] = text(v)
	}
}

// secret stands before what is compared and not told.
const secret = "\x00"

// told returns what may be told of two values that differ.
func told(from, to string) (string, string) {
	from, _, hidden := strings.Cut(from, secret)
	to, _, _ = strings.Cut(to, secret)
	if hidden && from == to {
		to += ", not the same"
	}
	return from, to
}

// elements returns those of a list that have fields.
func elements(v any) []map[string]any {
	var all []map[string]any
	list, _ := v.([]any)
	for _, e := range list {
		if element, ok := e.(map[string]any); ok {
			all = append(all, element)
		}
	}
	return all
}

func order(v any) string {
	var names []string
	for _, element := range elements(v) {
		names = append(names, text(element["name"]))
	}
	return strings.Join(names, ", ")
}

// text writes a value for people.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, text(e))
		}
		return strings.Join(parts, "; ")
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name == "name" {
				parts = append([]string{text(v[name])}, parts...)
				continue
			}
			parts = append(parts, name+" "+text(v[name]))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v)
}

// changes compares two configurations. Of what is new or gone, the fields are not
// told; the configuration has them.
func changes(before, now map[thing]string) []Change {
	out := []Change{}
	whole := func(things map[thing]string, t thing) bool {
		_, ok := things[thing{t.of, ""}]
		return ok || t.field != "" && !strings.Contains(t.of, " ")
	}
	for t, from := range before {
		to, ok := now[t]
		switch {
		case t.field == "" && !ok:
			out = append(out, Change{Of: t.of, From: from})
		case t.field != "" && from != to && whole(now, t):
			from, to = told(from, to)
			out = append(out, Change{Of: t.of, Field: t.field, From: from, To: to})
		}
	}
	for t, to := range now {
		if _, ok := before[t]; ok {
			continue
		}
		switch {
		case t.field == "":
			out = append(out, Change{Of: t.of, To: to})
		case whole(before, t):
			_, to = told("", to)
			out = append(out, Change{Of: t.of, Field: t.field, To: to})
		}
	}
	rank := func(c Change) int {
		for i, kind := range []string{"priorities", "priority ", "SLO ", "team ", "group "} {
			if strings.HasPrefix(c.Of, kind) {
				return i
			}
		}
		return 9
	}
	slices.SortFunc(out, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Of, b.Of), cmp.Compare(a.Field, b.Field))
	})
	return out
}
