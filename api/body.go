package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"sitrep/internal/httperr"
)

// maxBody is the size of a command's body in bytes: a text and what stands around it,
// each character escaped.
const maxBody = 128 << 10

// readBody returns the body of a command. An empty one stands for {}.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, err
	case err != nil:
		return nil, invalid("the body cannot be read: %v", err)
	case len(bytes.TrimSpace(body)) == 0:
		return []byte("{}"), nil
	}
	// Pages of other sites can send text/plain and forms, but not this.
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return nil, httperr.Status(http.StatusUnsupportedMediaType, "send JSON, with Content-Type: application/json")
	}
	return body, nil
}

// decodeBody reads a JSON object into the struct that out points to. Unlike
// encoding/json it takes no unknown fields, none twice and none in other letters, and
// its errors say what would be right.
func decodeBody(body []byte, out any) error {
	if !utf8.Valid(body) {
		return invalid("the body is not valid UTF-8")
	}
	v := reflect.ValueOf(out).Elem()
	fields := fieldsOf(v.Type())
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return invalid("the body is not a JSON object; send %s", example(fields))
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return notJSON(err)
		}
		name, _ := t.(string) // keys are strings
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return notJSON(err)
		}
		i := slices.IndexFunc(fields, func(f reflect.StructField) bool { return jsonName(f) == name })
		switch {
		case i < 0 && len(fields) == 0:
			return invalid("unknown field %q; this takes none, send {}", name)
		case i < 0:
			return invalid("unknown field %q; use %s", name, or(names(fields)))
		case seen[name]:
			return invalid("field %q is there twice", name)
		}
		seen[name] = true
		field := v.FieldByIndex(fields[i].Index)
		if err := json.Unmarshal(raw, field.Addr().Interface()); err != nil {
			return invalid("%s: %s is not %s", name, shorten(raw), kindName(field.Type()))
		}
	}
	if _, err := dec.Token(); err != nil {
		return notJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalid("something follows the JSON object; send one alone")
	}
	return nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("the body is not JSON: it ends too early")
	}
	return invalid("the body is not JSON: %v", err)
}

// fieldsOf returns those fields of a struct that JSON has, in order.
func fieldsOf(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for f := range t.Fields() {
		if name := jsonName(f); name != "" && name != "-" {
			fields = append(fields, f)
		}
	}
	return fields
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func names(fields []reflect.StructField) []string {
	var all []string
	for _, f := range fields {
		all = append(all, jsonName(f))
	}
	return all
}

func example(fields []reflect.StructField) string {
	var parts []string
	for _, name := range names(fields) {
		parts = append(parts, fmt.Sprintf("%q: …", name))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list of strings"
	}
	return "a string"
}

func shorten(raw []byte) string {
	if s := string(raw); len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(string(raw[:60]), "") + "…"
}
