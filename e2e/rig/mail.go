package rig

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"sitrep/router/email/mailtest"
)

// The name and password that a [MailServer] asks for.
const (
	MailUser     = "incidents"
	MailPassword = "e2e-mail-password"
)

// A Mail is one that a mail server took.
type Mail struct {
	From, To string
	Raw      []byte
	At       time.Time // when the last byte had arrived
	TLS      bool
	Header   mail.Header
}

// ID returns its Message-ID.
func (m *Mail) ID() string { return m.Header.Get("Message-Id") }

// Kind returns its kind, as sitrep says in a header.
func (m *Mail) Kind() string { return m.Header.Get("X-Sitrep-Kind") }

// Incident returns the name of the incident that it is about.
func (m *Mail) Incident() string { return m.Header.Get("X-Sitrep-Incident") }

// Subject returns its subject, decoded.
func (m *Mail) Subject() string {
	s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return m.Header.Get("Subject")
	}
	return s
}

// Text returns its plain text, decoded.
func (m *Mail) Text() (string, error) {
	msg, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		return "", err
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return "", err
	}
	// A part that is quoted-printable is decoded by the reader. The plain one is first.
	part, err := multipart.NewReader(msg.Body, params["boundary"]).NextPart()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(part)
	return string(text), err
}

// A MailServer takes mails by SMTP with STARTTLS, for the user [MailUser] alone, and
// keeps them. What else it does is said by [MailServer.Behave].
type MailServer struct {
	Address string
	CA      string // its certificate, as PEM

	server *mailtest.Server

	mu    sync.Mutex
	mails []Mail // those of the server that were looked at
}

// NewMailServer starts a mail server.
func NewMailServer() (*MailServer, error) {
	cert, ca, err := mailtest.Certificate()
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	m := &MailServer{Address: "127.0.0.1:0", CA: ca, server: mailtest.New(mailtest.Behaviour{
		TLS:  &tls.Config{Certificates: []tls.Certificate{cert}},
		Auth: mailtest.Auth{Mechanisms: []string{"PLAIN"}, Required: true, Logins: map[string]string{MailUser: MailPassword}},
		Dot: func(m *mailtest.Mail) string {
			if _, err := mail.ReadMessage(bytes.NewReader(m.Body)); err != nil {
				return "554 5.6.0 not a mail: " + err.Error()
			}
			return ""
		},
	})}
	return m, m.On()
}

// On switches it on, with the address that it had before.
func (m *MailServer) On() error {
	var err error
	if !Poll(5*time.Second, func() bool { err = m.server.Listen(m.Address); return err == nil }) {
		return fmt.Errorf("start the mail server: %w", err)
	}
	m.Address = m.server.Addr()
	return nil
}

// Off switches it off: connections are cut, and new ones refused.
func (m *MailServer) Off() { m.server.Close() }

// Behave changes what it does.
func (m *MailServer) Behave(f func(*mailtest.Behaviour)) { m.server.Change(f) }

// Refuse makes it refuse recipients with the reply that f gives; "" takes one, and a nil f
// all.
func (m *MailServer) Refuse(f func(to string) string) {
	m.Behave(func(b *mailtest.Behaviour) { b.Rcpt = f })
}

// Delay makes it wait before it answers that it has taken a mail.
func (m *MailServer) Delay(d time.Duration) {
	m.Behave(func(b *mailtest.Behaviour) { b.At = map[string]string{"dot": "wait " + d.String()} })
}

// Mails returns all that it took, in order.
func (m *MailServer) Mails() []Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, got := range m.server.Mails()[len(m.mails):] {
		msg, err := mail.ReadMessage(bytes.NewReader(got.Body))
		if err != nil {
			continue // none such is taken
		}
		m.mails = append(m.mails, Mail{
			From: got.From, To: strings.ToLower(got.To), Raw: got.Body, At: got.At, TLS: got.TLS, Header: msg.Header,
		})
	}
	return slices.Clone(m.mails)
}

// To returns the mails to one address, in order.
func (m *MailServer) To(address string) []Mail {
	var out []Mail
	for _, mail := range m.Mails() {
		if mail.To == address {
			out = append(out, mail)
		}
	}
	return out
}
