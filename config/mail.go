package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Mail says how mail is sent.
type Mail struct {
	Smarthost    HostPort       `yaml:"smarthost" doc:"The host and port of the mail server. Exactly one of smarthost and directory." eg:"smtp.example.org:587"`
	Directory    string         `yaml:"directory" doc:"Instead of a server: the folder in which each mail is written as an .eml file. For trying out and drills." eg:"outbox"`
	From         Address        `yaml:"from,required" doc:"The sender." eg:"Incident updates <incidents@example.org>"`
	ReplyTo      Address        `yaml:"reply_to" doc:"Where answers go; else to the sender." eg:"sre@example.org"`
	Username     string         `yaml:"username" show:"name" doc:"The name to log in with."`
	PasswordFile string         `yaml:"password_file" show:"name" doc:"A file that holds the password to log in with. It is read again at each log-in. At most one of password_file and oauth2."`
	OAuth2       *OAuth2        `yaml:"oauth2" doc:"Where to get a token to log in with (XOAUTH2), as Exchange Online and Gmail want it. At most one of password_file and oauth2."`
	TLS          TLSMode        `yaml:"tls" doc:"starttls, which is then required; implicit, from the first byte; or none."`
	TLSConfig    *TLSConfig     `yaml:"tls_config" doc:"How the server is verified, as everywhere in Prometheus."`
	Connections  int            `yaml:"connections" bounds:"1 to 200" doc:"How many connections to the server may be open at once."`
	Rate         Rate           `yaml:"rate" doc:"At most so many mails: what the server allows in a second, a minute or an hour. Without it as many as the server takes." eg:"30/m"`
	Timeout      *time.Duration `yaml:"timeout" bounds:"more than 0s" doc:"How long one step of a conversation with the server may take. Without it what servers need: a minute until it is ready, 5m for MAIL and RCPT, 3m for DATA, 10m after the mail."`
	EnvelopeFrom Address        `yaml:"envelope_from" doc:"Where the mail servers on the way send what they cannot deliver; else to the sender." eg:"bounces@example.org"`
	HelloName    string         `yaml:"hello_name" doc:"How sitrep introduces itself to the server (EHLO); else by the name of its host." eg:"mail.example.org"`
	ListID       string         `yaml:"list_id" doc:"The List-Id of all mails, by which readers can sort them." eg:"incidents.example.org"`

	// Password is what PasswordFile holds.
	Password Secret `yaml:"-"`
	// Outbox is Directory, resolved against the config file's folder.
	Outbox string `yaml:"-"`

	password secretFile
}

// CurrentPassword returns what PasswordFile holds now, so that a new password needs no
// reload. While it holds nothing that could be one, it is Password.
func (m *Mail) CurrentPassword() Secret { return m.password.current(m.Password) }

// A Rate is how many mails are sent within a time. The zero value is no bound.
type Rate struct {
	Mails int
	Per   time.Duration
}

const ratePattern = `^[1-9][0-9]{0,5}/[smh]$`

var (
	ratePart  = regexp.MustCompile(ratePattern)
	rateUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
)

func parseRate(text string) (Rate, error) {
	if !ratePart.MatchString(text) {
		return Rate{}, fmt.Errorf("%q is not a number of mails in a second, minute or hour; write it as 30/m", shorten(text))
	}
	n, unit, _ := strings.Cut(text, "/")
	mails, _ := strconv.Atoi(n)
	return Rate{Mails: mails, Per: rateUnits[unit]}, nil
}

// String returns it as it is written, such as 30/m.
func (r Rate) String() string {
	for unit, per := range rateUnits {
		if r.Per == per {
			return fmt.Sprintf("%d/%s", r.Mails, unit)
		}
	}
	return ""
}

// A TLSMode says when a connection to a mail server is encrypted.
type TLSMode string

// The modes.
const (
	StartTLS    TLSMode = "starttls"
	ImplicitTLS TLSMode = "implicit"
	NoTLS       TLSMode = "none"
)

// maxConnections is how many connections to one mail server make sense.
const maxConnections = 200

// shortTimeout is a timeout below which mails that were taken may be sent again.
const shortTimeout = time.Minute

var (
	domainName     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
	addressLiteral = regexp.MustCompile(`^\[(IPv6:)?[0-9A-Fa-f.:]+\]$`)
	listID         = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$`)
)

// mail reads the secrets of the mail section, but for those that are not used.
func (s *source) mail(m *Mail) {
	m.Outbox = s.abs(m.Directory)
	if m.Directory != "" {
		return
	}
	m.password = s.file(m.PasswordFile, oneLine)
	m.Password = Secret(s.secret("mail.password_file", m.PasswordFile, oneLine))
	s.oauth2("mail.oauth2", m.OAuth2)
	s.tls("mail.tls_config", m.TLSConfig)
}

func (k *checker) checkMail() {
	m := k.Mail
	if m == nil {
		if k.main.has("mail") {
			return
		}
		if s, path := k.firstAddress(); s != nil {
			s.errorf(path, "there is no mail section to send this by; add mail with from, and with smarthost or directory")
		}
		return
	}
	s := k.main
	switch server, folder := s.has("mail.smarthost"), s.has("mail.directory"); {
	case server && folder:
		s.errorf("mail", "it has both smarthost and directory; keep one")
	case !server && !folder:
		s.errorf("mail", "it does not say how mail is sent; add smarthost, or directory to write files instead")
	}
	if m.ListID != "" && (!listID.MatchString(m.ListID) || len(m.ListID) > 255) {
		s.errorf("mail.list_id", "%q is not the id of a list; write it as incidents.example.org", shorten(m.ListID))
	}
	if m.Smarthost == "" {
		return
	}
	k.checkLogIn(m)
	k.checkConversation(m)
}

// checkLogIn reports what is missing or too much to log in.
func (k *checker) checkLogIn(m *Mail) {
	s := k.main
	password, token := s.has("mail.password_file"), s.has("mail.oauth2")
	switch named := s.has("mail.username"); {
	case password && token:
		s.errorf("mail", "it has both password_file and oauth2; keep one")
	case named && !password && !token:
		s.errorf("mail.username", "there is no password to it; add password_file, or oauth2")
	case password && !named:
		s.errorf("mail.password_file", "there is no name to it; add username")
	case token && !named:
		s.errorf("mail.oauth2", "there is no name to it; add username, which is the mailbox to send from")
	}
	if m.TLS == NoTLS && m.Username != "" {
		what := "the password goes"
		if token {
			what = "the token goes"
		}
		s.warnf("mail.tls", "%s over the network in clear; use starttls or implicit", what)
	}
}

// checkConversation reports what a mail server would not understand.
func (k *checker) checkConversation(m *Mail) {
	s := k.main
	switch _, port, _ := strings.Cut(string(m.Smarthost[strings.LastIndexByte(string(m.Smarthost), ':'):]), ":"); {
	case port == "465" && m.TLS == StartTLS:
		s.errorf("mail.smarthost", "port 465 speaks TLS from the first byte, which starttls would wait for in vain; add tls: implicit, or use port 587")
	case (port == "587" || port == "25") && m.TLS == ImplicitTLS:
		s.warnf("mail.tls", "port %s usually begins without TLS; use starttls, or port 465", port)
	}
	if m.Connections < 1 || m.Connections > maxConnections {
		if s.has("mail.connections") && !s.broken("mail.connections") {
			s.errorf("mail.connections", "%d is not between 1 and %d; write 8, or what the server allows", m.Connections, maxConnections)
		}
	}
	switch t := m.Timeout; {
	case t == nil:
	case *t <= 0:
		s.errorf("mail.timeout", "it must be longer than nothing; write 10m, or leave it out")
	case *t < shortTimeout:
		s.warnf("mail.timeout", "a server that looks at a mail for longer has it sent again each time; write 10m, or leave it out")
	}
	if m.EnvelopeFrom.Name != "" {
		s.errorf("mail.envelope_from", "nobody sees the name %q; write %s alone", m.EnvelopeFrom.Name, m.EnvelopeFrom.Address)
	}
	if h := m.HelloName; h != "" && (len(h) > 255 || !domainName.MatchString(h) && !addressLiteral.MatchString(h)) {
		s.errorf("mail.hello_name", "%q is not the name of a host; write it as mail.example.org", shorten(h))
	}
}
