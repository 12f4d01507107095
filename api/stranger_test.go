package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestAVeiledAnswerIsTheSameInPieces: wherever it is cut, no address goes through and nothing
// else is lost.
func TestAVeiledAnswerIsTheSameInPieces(t *testing.T) {
	const one = `{"who":"ada@example.org said \"ask bob@example.org\\\"","what":"déjà 1","n":12},`
	want, rest := hideInJSON([]byte("[" + strings.Repeat(one, 2000) + "0]"))
	if len(rest) > 0 || strings.Contains(string(want), "example.org") || !strings.Contains(string(want), "déjà 1") {
		t.Fatalf("rest %q, %.200s", rest, want)
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		v := veil(w, r)
		v.Header().Set("Content-Type", "application/json")
		for text := "[" + strings.Repeat(one, 2000) + "0]"; text != ""; {
			n := min(rapid.IntRange(1, 20_000).Draw(rt, "n"), len(text))
			if _, err := v.Write([]byte(text[:n])); err != nil {
				rt.Fatal(err)
			}
			text = text[n:]
			if v.body.Len() > 2*veilPiece {
				rt.Fatalf("%d bytes are kept", v.body.Len())
			}
		}
		v.end()
		if got := w.Body.String(); got != string(want) || r.Header.Get("Accept-Encoding") != "" {
			rt.Fatalf("%d bytes, want %d", len(got), len(want))
		}
	})
}
