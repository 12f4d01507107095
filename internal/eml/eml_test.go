package eml_test

import (
	"strings"
	"testing"

	"sitrep/internal/eml"
)

func TestAMailIsReadAsFarAsItCanBe(t *testing.T) {
	for name, tt := range map[string]struct {
		body                string
		subject, text, html string
	}{
		"both parts": {
			"Subject: =?utf-8?q?B=C3=B6se?=\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" +
				"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db\r\n" +
				"--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+eDwvYj4=\r\n--b--\r\n",
			"Böse", "a=b", "<b>x</b>",
		},
		"no mail":      {"just text", "", "just text", ""},
		"a broken end": {"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhalf", "x", "half", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := eml.Parse([]byte(tt.body))
			if m.Get("Subject") != tt.subject || strings.TrimSpace(m.Text) != tt.text && !strings.HasPrefix(m.Text, tt.text) || m.HTML != tt.html {
				t.Errorf("got %+v", m)
			}
		})
	}
}
