// Package eml reads mails as sitrep makes them, so that people can look at them.
package eml

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// A Mail is what of a mail people read. All of it is text of whoever wrote the mail.
type Mail struct {
	// Headers are those worth showing, as far as they are there, in a fixed order.
	Headers []Header
	// Text and HTML are the first parts of these kinds; empty if there is none.
	Text, HTML string
}

// A Header is one line of the head, decoded.
type Header struct{ Name, Value string }

// Get returns the value of a header that is worth showing; empty if it is not there.
func (m *Mail) Get(name string) string {
	for _, h := range m.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// shownHeaders are those worth showing, in order.
var shownHeaders = []string{"From", "To", "Reply-To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted", "X-Sitrep-Kind", "X-Sitrep-Priority", "X-Sitrep-Incident", "X-Sitrep-Sequence"}

// Parse reads a mail as far as it can be read: it is shown as evidence, so a part that is
// broken is left out and the rest stays. What is no mail is all text.
func Parse(body []byte) Mail {
	m, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		return Mail{Text: string(body)}
	}
	var out Mail
	var words mime.WordDecoder
	for _, name := range shownHeaders {
		value := m.Header.Get(name)
		if decoded, err := words.DecodeHeader(value); err == nil {
			value = decoded
		}
		if value != "" {
			out.Headers = append(out.Headers, Header{name, value})
		}
	}
	out.part(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body, 0)
	return out
}

// part reads a part of a mail, and those in it.
func (m *Mail) part(contentType, encoding string, body io.Reader, depth int) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && depth < 5 {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err != nil {
				return
			}
			m.part(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p, depth+1)
		}
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		content = fmt.Appendf(content, "\n(the rest cannot be read: %v)", err)
	}
	switch {
	case kind == "text/plain" && m.Text == "":
		m.Text = string(content)
	case kind == "text/html" && m.HTML == "":
		m.HTML = string(content)
	}
}
