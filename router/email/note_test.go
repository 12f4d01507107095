package email

import (
	"bytes"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"
)

// A note holds what a machine signed, so it comes out as it went in.
func TestRenderNote(t *testing.T) {
	l := Letterhead{From: mail.Address{Name: "Incident updates", Address: "incidents@example.org"}}
	text := "Keep this.\n\nsitrep.example.org/ledger\n7\nAAA+/=\n\n— sitrep.example.org/ledger " + strings.Repeat("c2lnbmF0dXJl", 12) + "=\n"
	for _, in := range []string{text, strings.TrimSuffix(text, "\n")} {
		raw, err := l.RenderNote(Note{
			ID: "checkpoint.abc", To: mail.Address{Address: "audit@example.org"}, Language: "en",
			Subject: "sitrep ledger checkpoint\r\nBcc: eve@example.org", Text: in, At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		})
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		if err != nil || kind != "text/plain" || m.Header.Get("Content-Transfer-Encoding") != "quoted-printable" ||
			m.Header.Get("Message-Id") != "<checkpoint.abc@example.org>" || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Bcc") != "" {
			t.Errorf("headers = %v, %v", m.Header, err)
		}
		got, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil || strings.ReplaceAll(string(got), "\r\n", "\n") != text {
			t.Errorf("decoded to %q, %v", got, err)
		}
	}
	if _, err := l.RenderNote(Note{ID: "checkpoint.abc", To: mail.Address{Address: "nobody"}, Subject: "s", Text: text, At: time.Now()}); err == nil {
		t.Error("an address that is none was taken")
	}
}
