// Package mailtest is a mail server for tests that behaves as it is told: friendly if
// nothing is said, and else as odd as those that people meet.
package mailtest

import (
	"bufio"
	"context"
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
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// The name and password that a server takes, unless it is told others.
const (
	User     = "incidents"
	Password = "secret"
)

// Behaviour is what a server does. The zero value takes every mail.
type Behaviour struct {
	// At is what it does at a step instead of the usual: greeting, EHLO, HELO, STARTTLS,
	// AUTH, MAIL, RCPT, DATA, body, dot, RSET, or any other line that a client sends, by
	// its first word. Each is a reply, of several lines if need be, or one of
	//
	//	stall       nothing is said any more
	//	cut         the connection ends
	//	wait 150s   the usual comes late; what follows the duration comes instead of it
	//	first 2 …   the first two times on all connections, and then the usual
	//
	// A 421 ends the connection after it, unless Stays is set.
	At map[string]string
	// Stays keeps the connection after a 421, for another mail.
	Stays bool
	// Rcpt and Dot, if set, may refuse an address or a mail with the reply that they
	// return; "" takes it.
	Rcpt func(to string) string
	Dot  func(m *Mail) string

	// PerConnection is how many mails one connection may bring, if above zero; MAIL is
	// answered with Beyond then.
	PerConnection int
	Beyond        string
	// PerMinute is how many mails it takes in any minute, if above zero; MAIL is answered
	// with Slower then.
	PerMinute int
	Slower    string
	// AtOnce is how many connections may be open, if above zero; more are greeted with
	// Full and closed.
	AtOnce int
	Full   string

	// Offer are the lines of the reply to EHLO; STARTTLS and AUTH come by themselves.
	Offer []string
	// TLS offers STARTTLS with that, or speaks it from the first byte if Implicit.
	TLS      *tls.Config
	Implicit bool

	Auth Auth
}

// Auth is how clients log in. Without mechanisms nobody can.
type Auth struct {
	// Mechanisms are those offered: PLAIN, LOGIN, XOAUTH2.
	Mechanisms []string
	// OldLine offers them in the line AUTH=… alone, as some old servers do.
	OldLine bool
	// Clear offers them without TLS too.
	Clear bool
	// Required refuses MAIL from who has not logged in.
	Required bool
	// Refused are mechanisms that are offered and then refused with 504.
	Refused []string
	// TwoLines takes no answer on the line of AUTH itself.
	TwoLines bool
	// Prompts are those of LOGIN as they are sent; the usual ones, in base64, if empty.
	Prompts []string
	// Logins are the names and passwords that are taken; User and Password if nil.
	Logins map[string]string
	// Token reports whether a token is good for the user.
	Token func(user, token string) bool
}

// A Mail is one that the server took.
type Mail struct {
	From, To string
	Options  string // of MAIL, after the address
	Body     []byte // as sent, without the doubling of dots
	At       time.Time
	TLS      bool
	User     string // who had logged in
	Conn     int    // on which connection it came, from 1
}

// A Server is a mail server that behaves as it is told. It is safe for concurrent use.
type Server struct {
	mu     sync.Mutex
	does   Behaviour
	ctx    context.Context
	cancel context.CancelFunc
	l      net.Listener
	open   map[net.Conn]bool
	wg     sync.WaitGroup
	off    bool

	conns int
	most  int
	lines []string
	mails []Mail
	first map[string]int // how often a step's "first" was used
	auth  []string       // mechanisms by which somebody logged in
}

// New returns a server that listens nowhere: [Server.Dial] connects to it.
func New(b Behaviour) *Server {
	s := &Server{does: b, open: map[net.Conn]bool{}, first: map[string]int{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Listen makes it listen, such as on 127.0.0.1:0.
func (s *Server) Listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.off {
		s.off = false
		s.ctx, s.cancel = context.WithCancel(context.Background())
	}
	s.l = l
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.take(c)
		}
	})
	return nil
}

// Addr is where it listens.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.l.Addr().String()
}

// Dial connects to it without a network, so that it works in a bubble of
// testing/synctest.
func (s *Server) Dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	if !s.take(far) {
		return nil, errors.New("connection refused")
	}
	return wire{near}, nil
}

// A wire takes a deadline also once the far end has closed it, as a connection of a network does.
type wire struct{ net.Conn }

func (w wire) SetDeadline(t time.Time) error {
	if err := w.Conn.SetDeadline(t); !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// Close cuts all connections, takes no more, and waits for the end of all talks. A
// server that listened can listen again.
func (s *Server) Close() {
	s.mu.Lock()
	s.off = true
	s.cancel()
	if s.l != nil {
		s.l.Close()
	}
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Change changes what it does from the next step on.
func (s *Server) Change(f func(*Behaviour)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.does)
}

// Mails returns all that it took, in order.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Connections returns how many were made, and how many were open at once at most.
func (s *Server) Connections() (made, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns, s.most
}

// Lines returns what clients said, but for mails.
func (s *Server) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// LogIns returns the mechanisms by which somebody logged in.
func (s *Server) LogIns() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.auth)
}

// take begins a talk, unless the server is off.
func (s *Server) take(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off {
		c.Close()
		return false
	}
	s.conns++
	s.open[c] = true
	full := s.does.AtOnce > 0 && len(s.open) > s.does.AtOnce
	if !full {
		s.most = max(s.most, len(s.open))
	}
	t := &talk{s: s, ctx: s.ctx, raw: c, c: c, r: bufio.NewReader(c), number: s.conns, full: full}
	s.wg.Go(func() {
		defer func() {
			c.Close()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		}()
		t.run()
	})
	return true
}

func (s *Server) behaviour() Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.does
}

// act returns what is to be done at a step, "" for the usual.
func (s *Server) act(step string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	act := s.does.At[step]
	var n int
	if rest, ok := strings.CutPrefix(act, "first "); ok {
		count, then, _ := strings.Cut(rest, " ")
		if _, err := fmt.Sscan(count, &n); err != nil {
			panic("mailtest: no number in " + act)
		}
		if s.first[step]++; s.first[step] > n {
			return ""
		}
		return then
	}
	return act
}

// errOver ends a talk.
var errOver = errors.New("over")

// A talk is one connection's.
type talk struct {
	s       *Server
	ctx     context.Context
	raw, c  net.Conn
	r       *bufio.Reader
	number  int
	full    bool
	tls     bool
	user    string
	brought int
	mail    Mail
}

func (t *talk) run() {
	b := t.s.behaviour()
	if b.Implicit && t.encrypt(b.TLS) != nil {
		return
	}
	if t.full {
		_ = t.write(b.Full)
		return
	}
	if _, err := t.say("greeting", "220 mail.example.org ESMTP"); err != nil {
		return
	}
	for {
		line, err := t.read()
		if err != nil || t.command(line) != nil {
			return
		}
	}
}

func (t *talk) encrypt(c *tls.Config) error {
	secure := tls.Server(t.c, c)
	if err := secure.HandshakeContext(t.ctx); err != nil {
		return err
	}
	t.c, t.r, t.tls = secure, bufio.NewReader(secure), true
	return nil
}

// read reads a line that a client says.
func (t *talk) read() (string, error) {
	line, err := t.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	t.s.mu.Lock()
	t.s.lines = append(t.s.lines, line)
	t.s.mu.Unlock()
	return line, nil
}

// say answers at a step, and reports whether it did so as usual.
func (t *talk) say(step, usual string) (bool, error) { return t.do(t.s.act(step), usual) }

func (t *talk) do(act, usual string) (bool, error) {
	if rest, ok := strings.CutPrefix(act, "wait "); ok {
		text, then, _ := strings.Cut(rest, " ")
		d, err := time.ParseDuration(text)
		if err != nil {
			panic("mailtest: " + err.Error())
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-t.ctx.Done():
			return false, errOver
		}
		act = then
	}
	switch act {
	case "stall":
		<-t.ctx.Done()
		return false, errOver
	case "cut":
		return false, errOver
	case "":
		return true, t.write(usual)
	}
	return false, t.write(act)
}

// write sends a reply, and ends the talk after a 421, unless it stays.
func (t *talk) write(reply string) error {
	if reply == "" {
		return nil
	}
	if _, err := io.WriteString(t.c, reply+"\r\n"); err != nil {
		return err
	}
	if strings.HasPrefix(reply, "421") {
		if !t.s.behaviour().Stays {
			return errOver
		}
		t.mail = Mail{}
	}
	return nil
}

// command carries out what a line says.
func (t *talk) command(line string) error {
	verb, args, _ := strings.Cut(line, " ")
	b := t.s.behaviour()
	switch strings.ToUpper(verb) {
	case "EHLO":
		_, err := t.say("EHLO", t.hello(&b))
		return err
	case "STARTTLS":
		usual, err := t.say("STARTTLS", "220 go ahead")
		if err == nil && usual {
			err = t.encrypt(b.TLS)
		}
		return err
	case "AUTH":
		return t.authenticate(&b.Auth, args)
	case "MAIL":
		return t.begin(&b, args)
	case "RCPT":
		return t.recipient(&b, args)
	case "DATA":
		return t.data(&b)
	case "RSET":
		t.mail = Mail{}
	case "QUIT":
		_ = t.write("221 bye")
		return errOver
	}
	_, err := t.say(verb, "250 fine")
	return err
}

// hello is the reply to EHLO.
func (t *talk) hello(b *Behaviour) string {
	offer := append([]string{"mail.example.org"}, b.Offer...)
	if b.TLS != nil && !t.tls {
		offer = append(offer, "STARTTLS")
	}
	if a := &b.Auth; len(a.Mechanisms) > 0 && (t.tls || a.Clear) {
		sep := " "
		if a.OldLine {
			sep = "="
		}
		offer = append(offer, "AUTH"+sep+strings.Join(a.Mechanisms, " "))
	}
	for i := range offer {
		sep := "-"
		if i == len(offer)-1 {
			sep = " "
		}
		offer[i] = "250" + sep + offer[i]
	}
	return strings.Join(offer, "\r\n")
}

// begin answers MAIL.
func (t *talk) begin(b *Behaviour, args string) error {
	from, options := path(args)
	switch {
	case b.Auth.Required && t.user == "":
		return t.write("530 5.7.0 log in first")
	case t.mail.From != "":
		return t.write("503 5.5.1 one mail after the other")
	case b.PerConnection > 0 && t.brought >= b.PerConnection:
		return t.write(b.Beyond)
	case b.PerMinute > 0 && t.s.lastMinute() >= b.PerMinute:
		return t.write(b.Slower)
	}
	usual, err := t.say("MAIL", "250 2.1.0 fine")
	if usual {
		t.mail = Mail{From: from, Options: options, TLS: t.tls, User: t.user, Conn: t.number}
	}
	return err
}

// lastMinute is how many mails came within a minute.
func (s *Server) lastMinute() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, m := range s.mails {
		if time.Since(m.At) < time.Minute {
			n++
		}
	}
	return n
}

// recipient answers RCPT.
func (t *talk) recipient(b *Behaviour, args string) error {
	to, _ := path(args)
	if t.mail.From == "" {
		return t.write("503 5.5.1 MAIL first")
	}
	if t.mail.To != "" {
		return t.write("452 4.5.3 one recipient at a time")
	}
	if b.Rcpt != nil {
		if refusal := b.Rcpt(to); refusal != "" {
			return t.write(refusal)
		}
	}
	usual, err := t.say("RCPT", "250 2.1.5 fine")
	if usual {
		t.mail.To = to
	}
	return err
}

// data takes a mail.
func (t *talk) data(b *Behaviour) error {
	if t.mail.To == "" {
		return t.write("503 5.5.1 RCPT first")
	}
	if usual, err := t.say("DATA", "354 go on"); err != nil || !usual {
		return err
	}
	if _, err := t.say("body", ""); err != nil {
		return err
	}
	m := t.mail
	t.mail = Mail{}
	for {
		line, err := t.r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == ".\r\n" {
			break
		}
		m.Body = append(m.Body, strings.TrimPrefix(line, ".")...)
	}
	t.brought++
	m.At = time.Now()
	if b.Dot != nil {
		if refusal := b.Dot(&m); refusal != "" {
			return t.write(refusal)
		}
	}
	// What is refused for sure is not kept; what is answered late, oddly or never, is.
	act := t.s.act("dot")
	if !strings.HasPrefix(act, "4") && !strings.HasPrefix(act, "5") {
		if !t.s.keep(m) {
			return errOver
		}
	}
	_, err := t.do(act, "250 2.0.0 taken")
	return err
}

// keep keeps a mail, unless the server is off.
func (s *Server) keep(m Mail) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.off {
		s.mails = append(s.mails, m)
	}
	return !s.off
}

// path returns what stands in angle brackets, and what follows.
func path(args string) (string, string) {
	_, rest, _ := strings.Cut(args, "<")
	i := strings.LastIndexByte(rest, '>')
	if i < 0 {
		return rest, ""
	}
	return rest[:i], strings.TrimSpace(rest[i+1:])
}

// Certificate makes one for this machine that signs itself, and returns it as PEM too.
func Certificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailtest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(ca), nil
}
