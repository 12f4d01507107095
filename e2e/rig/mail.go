package rig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
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
// keeps them.
type MailServer struct {
	Address string
	CA      string // its certificate, as PEM

	tls *tls.Config

	mu     sync.Mutex
	server *smtp.Server // nil while switched off
	mails  []Mail
	refuse func(to string) *smtp.SMTPError // nil: nobody
	delay  time.Duration
}

// NewMailServer starts a mail server.
func NewMailServer() (*MailServer, error) {
	cert, ca, err := certificate()
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	m := &MailServer{Address: "127.0.0.1:0", CA: ca, tls: &tls.Config{Certificates: []tls.Certificate{cert}}}
	return m, m.On()
}

// On switches it on, with the address that it had before.
func (m *MailServer) On() error {
	var l net.Listener
	var err error
	if !Poll(5*time.Second, func() bool { l, err = net.Listen("tcp", m.Address); return err == nil }) {
		return fmt.Errorf("start the mail server: %w", err)
	}
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{server: m, conn: c}, nil }))
	s.Domain, s.TLSConfig = "localhost", m.tls
	s.ReadTimeout, s.WriteTimeout = time.Minute, time.Minute
	s.ErrorLog = quiet{}
	m.mu.Lock()
	m.Address, m.server = l.Addr().String(), s
	m.mu.Unlock()
	go s.Serve(l)
	return nil
}

// Off switches it off: connections are cut, and new ones refused.
func (m *MailServer) Off() {
	m.mu.Lock()
	s := m.server
	m.server = nil
	m.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

// Refuse makes it refuse recipients with the answer that f gives; nil takes them.
func (m *MailServer) Refuse(f func(to string) *smtp.SMTPError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = f
}

// Delay makes it wait before it answers that it has taken a mail.
func (m *MailServer) Delay(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delay = d
}

// Mails returns all that it took, in order.
func (m *MailServer) Mails() []Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Mail(nil), m.mails...)
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

// A session is one connection's.
type session struct {
	server   *MailServer
	conn     *smtp.Conn
	loggedIn bool
	from, to string
}

var _ smtp.AuthSession = (*session)(nil)

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != MailUser || password != MailPassword {
			return smtp.ErrAuthFailed
		}
		s.loggedIn = true
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.loggedIn {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	refuse := s.server.refuse
	s.server.mu.Unlock()
	if refuse != nil {
		if err := refuse(to); err != nil {
			return err
		}
	}
	if s.to != "" {
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 5, 3}, Message: "one recipient at a time"}
	}
	s.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "not a mail: " + err.Error()}
	}
	_, encrypted := s.conn.TLSConnectionState()
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.server == nil {
		return errors.New("switched off")
	}
	s.server.mails = append(s.server.mails, Mail{
		From: s.from, To: strings.ToLower(s.to), Raw: raw, At: time.Now(), TLS: encrypted, Header: msg.Header,
	})
	if d := s.server.delay; d > 0 {
		s.server.mu.Unlock()
		<-time.After(d)
		s.server.mu.Lock()
	}
	return nil
}

func (s *session) Reset() { s.from, s.to = "", "" }

func (s *session) Logout() error { return nil }

// quiet drops what the server logs: cut connections are the point.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// certificate makes one for 127.0.0.1 that signs itself.
func certificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "e2e"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:              []string{"localhost"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(ca), nil
}
