package email

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"

	"sitrep/wording"
)

// Said is one line of a conversation with a mail server, or a note about it.
type Said struct {
	By   string // sitrep, server, or empty for a note
	Text string
}

// say tells the trace a line, without what is secret in it.
func (c *conn) say(s Said) {
	if c.trace == nil {
		return
	}
	s.Text = wording.Line(without(c.secrets, s.Text), 300)
	c.trace(s)
}

// Advice says what to change in the mail section after that error of [SMTP.Send]; nothing
// if that is not known.
func Advice(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.advice()
	}
	var (
		unknown   x509.UnknownAuthorityError
		name      x509.HostnameError
		noTLS     tls.RecordHeaderError
		dns       *net.DNSError
		connected *net.OpError
	)
	switch {
	case errors.As(err, &unknown):
		return "the server's certificate is signed by nobody known here: name its CA in tls_config: {ca_file: …}"
	case errors.As(err, &name):
		return "the certificate is for another name: write that name into smarthost, or into tls_config: {server_name: …}"
	case errors.As(err, &noTLS):
		return "the server begins without TLS: use tls: starttls"
	case errors.As(err, &dns):
		return "look at the name in smarthost: it is not known here"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there: look at the host and the port in smarthost"
	case errors.As(err, &connected) && connected.Op == "dial":
		return "no way leads there: look at smarthost and at firewalls; many networks let nothing out to port 25, but to 587"
	case strings.Contains(err.Error(), "get a token"):
		return "look at oauth2: client_id, its secret or key, token_url and scopes"
	case errors.Is(err, os.ErrDeadlineExceeded) && errors.As(err, new(*connectError)):
		return "the server says nothing: a port that speaks TLS from the first byte (465) wants tls: implicit"
	}
	return ""
}

// advice says what to change after a refusal.
func (e *refusal) advice() string {
	switch {
	case e.step == stepAuth && e.code/100 == 5:
		return "look at username and password_file, or oauth2; the mailbox must be allowed to send by SMTP"
	case e.rate():
		return "the server wants fewer mails or connections: set rate and connections to what it allows"
	case e.code == 530 && e.step == stepMail:
		return "the server wants a log-in: add username and password_file, or oauth2"
	case e.step == stepHello:
		return "the server does not like the name: set hello_name to one that leads to this host"
	case e.step == stepMail && e.code/100 == 5:
		return "the server does not take this sender: look at from and envelope_from, and at what the login may send as"
	case e.step == stepRcpt && strings.HasPrefix(e.enhanced, "5.1."):
		return "the address does not exist there: look whether it is spelled right"
	case e.step == stepRcpt && e.code/100 == 5:
		return "the server does not send to others for this host: log in with username, or have it allow this host to relay"
	}
	return ""
}
