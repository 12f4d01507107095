package email

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sitrep/incident"
	"sitrep/router"
)

// certificate returns a certificate for the loopback addresses, and the roots that
// trust it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
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

// A script is a server that follows it to the letter: what it answers at each stage,
// "" for the usual, "stall" for nothing and "cut" for the end of the connection.
type script struct {
	addr     string
	mu       sync.Mutex
	answers  map[string]string // by stage: greeting, EHLO, MAIL, RCPT, DATA, body, dot
	conns    int
	lines    []string
	accepted int
}

// follow starts a scripted server.
func follow(t *testing.T, answers map[string]string) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{addr: l.Addr().String(), answers: answers}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { c.Close() })
			wg.Go(func() { defer c.Close(); s.talk(ctx, c) })
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); wg.Wait() })
	return s
}

func (s *script) set(stage, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[stage] = answer
}

func (s *script) count() (conns, accepted int, lines string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns, s.accepted, strings.Join(s.lines, "\n")
}

// say answers at a stage, and reports whether to go on.
func (s *script) say(ctx context.Context, c net.Conn, stage, usual string) bool {
	s.mu.Lock()
	answer := s.answers[stage]
	s.mu.Unlock()
	switch answer {
	case "stall":
		<-ctx.Done()
		return false
	case "cut":
		return false
	case "":
		answer = usual
	}
	if answer != "" {
		fmt.Fprintf(c, "%s\r\n", answer)
	}
	return true
}

func (s *script) talk(ctx context.Context, c net.Conn) {
	s.mu.Lock()
	s.conns++
	s.mu.Unlock()
	if !s.say(ctx, c, "greeting", "220 hello") {
		return
	}
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.lines = append(s.lines, line)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		switch verb {
		case "DATA":
			if !s.say(ctx, c, "DATA", "354 go on") {
				return
			}
			s.mu.Lock()
			refused := s.answers["DATA"] != ""
			s.mu.Unlock()
			if refused {
				continue
			}
			if !s.say(ctx, c, "body", "") {
				return
			}
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			s.mu.Lock()
			s.accepted++
			s.mu.Unlock()
			if !s.say(ctx, c, "dot", "250 taken") {
				return
			}
		case "QUIT":
			return
		default:
			if !s.say(ctx, c, verb, "250 fine") {
				return
			}
		}
	}
}

// client is a sender to addr without TLS and with short time limits.
func client(t *testing.T, addr string, change func(*Config)) *SMTP {
	t.Helper()
	c := Config{Smarthost: addr, Letterhead: letterhead, TLS: NoTLS, HelloName: "sitrep.example.org",
		Timeouts: Timeouts{Connect: 5 * time.Second, Greeting: 5 * time.Second, Command: 5 * time.Second, Data: 5 * time.Second, Final: 5 * time.Second}}
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
	m := message(t, incident.KindUpdate)
	m.Recipient.Address = to
	body, err := letterhead.Render(m)
	if err != nil {
		// An address that Render refuses, with a sound body.
		m.Recipient.Address = "cto@example.org"
		if body, err = letterhead.Render(m); err != nil {
			t.Fatal(err)
		}
	}
	return router.Envelope{ID: m.ID, Recipient: incident.Recipient{Channel: incident.Email, Address: to}, Body: body}
}

func carryOn(context.Context) error { return nil }
