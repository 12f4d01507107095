package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
	"sitrep/router/email/mailtest"
)

// certificate returns a certificate for the loopback addresses, and the roots that
// trust it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, ca, err := mailtest.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		t.Fatal("no certificate")
	}
	return cert, roots
}

// A received mail, as the server took it.
type received struct {
	from, to string
	body     string
	tls      bool
	utf8     bool
}

// A mailbox is the backend of a real SMTP server.
type mailbox struct {
	mu       sync.Mutex
	mails    []received
	sessions int
	logins   []string
	// needAuth makes the server take no mail from who has not logged in.
	needAuth bool
	// mechanisms that are offered; the password is "secret".
	mechanisms []string
	// refuseRcpt and refuseData may refuse.
	refuseRcpt func(to string) error
	refuseData func(body string) error
}

func (b *mailbox) NewSession(c *smtp.Conn) (smtp.Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions++
	return &session{box: b, conn: c}, nil
}

func (b *mailbox) all() []received {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]received(nil), b.mails...)
}

// connections is how many were made.
func (b *mailbox) connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions
}

type session struct {
	box    *mailbox
	conn   *smtp.Conn
	authed bool
	mail   received
}

func (s *session) AuthMechanisms() []string { return s.box.mechanisms }

func (s *session) Auth(mech string) (sasl.Server, error) {
	check := func(username, password string) error {
		if username != "incidents" || password != "secret" {
			return &smtp.SMTPError{Code: 535, Message: "wrong password"}
		}
		s.authed = true
		s.box.mu.Lock()
		defer s.box.mu.Unlock()
		s.box.logins = append(s.box.logins, mech)
		return nil
	}
	if mech == "PLAIN" {
		return sasl.NewPlainServer(func(_, username, password string) error { return check(username, password) }), nil
	}
	return &loginServer{check: check}, nil
}

// A loginServer asks for user name and password one after the other.
type loginServer struct {
	check func(username, password string) error
	asked int
	user  string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

func (s *session) Reset() { s.mail = received{} }

func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	if s.box.needAuth && !s.authed {
		return smtp.ErrAuthRequired
	}
	_, secure := s.conn.TLSConnectionState()
	s.mail = received{from: from, tls: secure, utf8: opts != nil && opts.UTF8}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.mail.to != "" {
		return errors.New("two recipients in one transaction")
	}
	s.mail.to = to
	if s.box.refuseRcpt != nil {
		return s.box.refuseRcpt(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.body = string(b)
	if s.box.refuseData != nil {
		if err := s.box.refuseData(s.mail.body); err != nil {
			return err
		}
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mails = append(s.box.mails, s.mail)
	return nil
}

// serve starts a real SMTP server, which the test ends. It returns its address.
func serve(t *testing.T, box *mailbox, listen string, change func(*smtp.Server, net.Listener) net.Listener) string {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Skipf("listen on %s: %v", listen, err)
	}
	addr := l.Addr().String()
	s := smtp.NewServer(box)
	s.Domain, s.AllowInsecureAuth = "localhost", true
	s.ErrorLog = log.New(io.Discard, "", 0)
	if change != nil {
		l = change(s, l)
	}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return addr
}

// A script is a server that does what it is told at each step.
type script struct {
	*mailtest.Server
	addr string
}

// follow starts a server that does that at each step, and else as usual.
func follow(t *testing.T, answers map[string]string) *script {
	t.Helper()
	return behave(t, mailtest.Behaviour{At: answers})
}

// behave starts a server that behaves like that.
func behave(t *testing.T, b mailtest.Behaviour) *script {
	t.Helper()
	s := mailtest.New(b)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &script{Server: s, addr: s.Addr()}
}

func (s *script) set(step, answer string) {
	s.Change(func(b *mailtest.Behaviour) {
		at := map[string]string{step: answer}
		for k, v := range b.At {
			if k != step {
				at[k] = v
			}
		}
		b.At = at
	})
}

func (s *script) count() (conns, accepted int, lines string) {
	conns, _ = s.Connections()
	return conns, len(s.Mails()), strings.Join(s.Lines(), "\n")
}

// client is a sender to addr without TLS and with short time limits.
func client(t *testing.T, addr string, change func(*Config)) *SMTP {
	t.Helper()
	c := Config{
		Smarthost: addr, Letterhead: letterhead, TLS: NoTLS, HelloName: "sitrep.example.org",
		Timeouts: Timeouts{Connect: 5 * time.Second, Greeting: 5 * time.Second, Command: 5 * time.Second, Data: 5 * time.Second, Final: 5 * time.Second},
	}
	if change != nil {
		change(&c)
	}
	s, err := NewSMTP(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// envelope is a mail to that address.
func envelope(t *testing.T, to string) router.Envelope {
	t.Helper()
	m := incidenttest.Message(incident.KindUpdate)
	m.Recipient.Address = to
	body, err := letterhead.Render(m)
	if err != nil {
		// An address that Render refuses, with a sound body.
		m.Recipient.Address = "cto@example.org"
		if body, err = letterhead.Render(m); err != nil {
			t.Fatal(err)
		}
	}
	return router.Envelope{ID: m.ID, Recipient: incident.Recipient{Channel: incident.ChannelEmail, Address: to}, Body: body}
}

func carryOn(context.Context) error { return nil }
