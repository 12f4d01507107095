package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"sitrep/internal/access"
	"sitrep/storage"
)

// stranger reports whether nobody knows who asks, see [access.Identity.Stranger].
func stranger(r *http.Request) bool { return access.From(r.Context()).Stranger() }

// A veiled answer is one to a stranger: it loses all email addresses, in whatever text they
// stand. What else strangers do not see, its handler leaves out. JSON goes through piece by
// piece, as lists are long; all else is kept back until it is whole.
type veiled struct {
	http.ResponseWriter
	code int // 0: 200
	body bytes.Buffer
	sent bool
}

// veilPiece is from how many bytes on JSON is sent.
const veilPiece = 32 << 10

// veil returns a writer for a stranger. What it is asked for must not come compressed.
func veil(w http.ResponseWriter, r *http.Request) *veiled {
	r.Header.Del("Accept-Encoding")
	return &veiled{ResponseWriter: w}
}

// WriteHeader implements http.ResponseWriter.
func (v *veiled) WriteHeader(code int) {
	if v.code == 0 {
		v.code = code
	}
}

// Write implements io.Writer.
func (v *veiled) Write(p []byte) (int, error) {
	v.body.Write(p)
	if v.body.Len() < veilPiece || !v.isJSON() {
		return len(p), nil
	}
	out, rest := hideInJSON(v.body.Bytes())
	if err := v.begin(out); err != nil {
		return 0, err
	}
	rest = bytes.Clone(rest)
	v.body.Reset()
	v.body.Write(rest)
	return len(p), nil
}

func (v *veiled) isJSON() bool { return strings.HasSuffix(v.Header().Get("Content-Type"), "json") }

// begin sends a piece, after the header if it is the first.
func (v *veiled) begin(piece []byte) error {
	if !v.sent {
		v.sent = true
		v.Header().Del("Content-Length") // it would be that of the whole
		if v.code != 0 {
			v.ResponseWriter.WriteHeader(v.code)
		}
	}
	_, err := v.ResponseWriter.Write(piece)
	return err
}

// end sends what is left.
func (v *veiled) end() {
	body := v.body.Bytes()
	if v.isJSON() {
		out, rest := hideInJSON(body)
		body = append(out, rest...)
	} else {
		body = []byte(storage.WithoutAddresses(string(body)))
	}
	_ = v.begin(body) // the client may be gone
}

// hideInJSON takes the addresses out of the strings of a piece of JSON that begins outside of a
// string. It returns a string that is not whole as the rest.
func hideInJSON(text []byte) (out, rest []byte) {
	out = make([]byte, 0, len(text))
	for len(text) > 0 {
		begin := bytes.IndexByte(text, '"')
		if begin < 0 {
			break
		}
		end := begin + 1
		for end < len(text) && text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		out = append(out, text[:begin]...)
		if end >= len(text) {
			return out, text[begin:]
		}
		quoted := text[begin : end+1]
		text = text[end+1:]
		var s string
		if bytes.IndexByte(quoted, '@') >= 0 && json.Unmarshal(quoted, &s) == nil {
			quoted, _ = json.Marshal(storage.WithoutAddresses(s)) // a string can be encoded
		}
		out = append(out, quoted...)
	}
	return append(out, text...), nil
}
