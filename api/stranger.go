package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"sitrep/internal/access"
	"sitrep/storage"
)

// stranger reports whether nobody knows who asks, see [access.Identity.Stranger].
func stranger(r *http.Request) bool { return access.From(r.Context()).Stranger() }

// A veiled answer is one to a stranger: it is kept back, and loses all email addresses, in
// whatever text they stand. What else strangers do not see, its handler leaves out.
type veiled struct {
	http.ResponseWriter
	code int // 0: 200
	body bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (v *veiled) WriteHeader(code int) {
	if v.code == 0 {
		v.code = code
	}
}

// Write implements io.Writer.
func (v *veiled) Write(p []byte) (int, error) { return v.body.Write(p) }

// send gives the answer to the client.
func (v *veiled) send(head bool) {
	body := v.body.Bytes()
	if media := v.Header().Get("Content-Type"); strings.HasSuffix(media, "json") {
		body = hideInJSON(body)
	} else {
		body = []byte(storage.WithoutAddresses(string(body)))
	}
	v.Header().Del("Content-Length") // of a HEAD it would be that of the whole
	if !head {
		v.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	if v.code != 0 {
		v.ResponseWriter.WriteHeader(v.code)
	}
	_, _ = v.ResponseWriter.Write(body) // the client may be gone
}

// hideInJSON takes the addresses out of the strings of a JSON text.
func hideInJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
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
		end = min(end+1, len(text))
		out = append(out, text[:begin]...)
		quoted := text[begin:end]
		text = text[end:]
		var s string
		if bytes.IndexByte(quoted, '@') >= 0 && json.Unmarshal(quoted, &s) == nil {
			quoted, _ = json.Marshal(storage.WithoutAddresses(s)) // a string can be encoded
		}
		out = append(out, quoted...)
	}
	return append(out, text...)
}
