package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sitrep/storage"
)

// A recordLine is a line of events.jsonl, deliveries.jsonl or configs.jsonl. The leaf
// stands last, byte for byte as it was stored.
type recordLine struct {
	Index      int64             `json:"index"` // of the leaf in the log; -1 if it has none yet
	Salt       string            `json:"salt,omitempty"`
	Personal   map[string]string `json:"personal,omitempty"`
	Pseudonyms map[string]string `json:"pseudonyms,omitempty"`
	Leaf       json.RawMessage   `json:"leaf"`
}

// appendLine appends the line of a record, with a line feed.
func appendLine(b []byte, r *storage.Record, pseudonyms map[string]string) ([]byte, error) {
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, r.Index, 10)
	key, beside := `,"pseudonyms":`, pseudonyms
	if pseudonyms == nil && len(r.Personal) > 0 {
		b = append(b, `,"salt":"`...)
		b = hex.AppendEncode(b, r.Salt)
		b = append(b, '"')
		key, beside = `,"personal":`, r.Personal
	}
	if len(beside) > 0 {
		j, err := json.Marshal(beside)
		if err != nil {
			return nil, err
		}
		b = append(append(b, key...), j...)
	}
	b = append(append(b, `,"leaf":`...), r.Leaf...)
	return append(b, "}\n"...), nil
}

// parseLine reads a line without its line feed, which must be as appendLine writes it.
// In the record, pseudonyms stand where the personal values would.
func parseLine(line []byte) (r storage.Record, pseudonymised bool, err error) {
	var l recordLine
	if err := json.Unmarshal(line, &l); err != nil {
		return r, false, err
	}
	r = storage.Record{Index: l.Index, Leaf: bytes.Clone(l.Leaf), Personal: l.Personal}
	if l.Salt != "" {
		if r.Salt, err = hex.DecodeString(l.Salt); err != nil {
			return r, false, fmt.Errorf("salt: %w", err)
		}
	}
	again, err := appendLine(nil, &r, l.Pseudonyms)
	if err != nil {
		return r, false, err
	}
	if !bytes.Equal(again[:len(again)-1], line) {
		return r, false, errors.New("it is not written as it was exported")
	}
	if l.Pseudonyms != nil {
		r.Personal, r.Salt = l.Pseudonyms, nil
	}
	return r, l.Pseudonyms != nil, nil
}

// A pseudonymiser gives people and recipients names that say nothing, each always the
// same one in an export.
type pseudonymiser struct {
	names map[string]string
	count map[string]int
}

// of returns the pseudonyms of a record's personal values, never nil.
func (p *pseudonymiser) of(r *storage.Record) map[string]string {
	if p.names == nil {
		p.names, p.count = map[string]string{}, map[string]int{}
	}
	out := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(r.Personal)) {
		value := r.Personal[path]
		switch {
		case path == "error", path == "cause", path == "data.cause", path == "cause.said", path == "data.cause.said":
			out[path] = "withheld"
		case path == "actor", path == "data.escalated_to":
			out[path] = p.name("person", value)
		default:
			out[path] = p.name("recipient", strings.TrimPrefix(value, "email:"))
		}
	}
	return out
}

func (p *pseudonymiser) name(kind, value string) string {
	key := kind + ":" + value
	if p.names[key] == "" {
		p.count[kind]++
		p.names[key] = fmt.Sprintf("%s %d", kind, p.count[kind])
	}
	return p.names[key]
}
