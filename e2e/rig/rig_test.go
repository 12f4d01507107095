package rig_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"sitrep/e2e/rig"
)

// TestMailServer keeps the double honest: it is the other side of each test of mails.
func TestMailServer(t *testing.T) {
	m, err := rig.NewMailServer()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Off()
	if err := send(m, "x"); err != nil {
		t.Fatal(err)
	}
	got := m.To("a@example.org")
	if len(got) != 1 || !got[0].TLS || got[0].ID() != "<x@example.org>" || got[0].Kind() != "update" || time.Since(got[0].At) > time.Minute {
		t.Fatalf("got %+v", got)
	}
	m.Off()
	if err := send(m, "y"); err == nil {
		t.Error("a mail was taken by a server that is off")
	}
	if err := m.On(); err != nil {
		t.Fatal(err)
	}
	if err := send(m, "z"); err != nil || len(m.Mails()) != 2 {
		t.Errorf("after it is on again: %v, %d mails", err, len(m.Mails()))
	}
	c, err := smtp.Dial(m.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("s@example.org"); err == nil {
		t.Error("a mail was taken without TLS and log-in")
	}
}

// send sends one mail as a mail program would.
func send(m *rig.MailServer, id string) error {
	c, err := smtp.Dial(m.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(m.CA))
	if err := c.StartTLS(&tls.Config{ServerName: "127.0.0.1", RootCAs: pool}); err != nil {
		return err
	}
	if err := c.Auth(smtp.PlainAuth("", rig.MailUser, rig.MailPassword, "127.0.0.1")); err != nil {
		return err
	}
	if err := c.Mail("s@example.org"); err != nil {
		return err
	}
	if err := c.Rcpt("a@example.org"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	text := "Message-ID: <" + id + "@example.org>\nX-Sitrep-Kind: update\nSubject: s\n\ntext\n"
	if _, err := w.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}
