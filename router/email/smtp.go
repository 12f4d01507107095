package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/router"
)

// A TLSPolicy says how a connection to the mail server is encrypted.
type TLSPolicy string

// The policies.
const (
	StartTLS    TLSPolicy = "starttls" // the default, and required: nothing is sent without
	ImplicitTLS TLSPolicy = "implicit" // from the first byte
	NoTLS       TLSPolicy = "none"
)

// Timeouts are how long the stages of handing a mail over may take. Zero stands
// for the default.
type Timeouts struct {
	Connect  time.Duration // TCP; 10 s
	Greeting time.Duration // the server's first line, TLS handshakes; 30 s
	Command  time.Duration // the answer to each command before the mail itself; 30 s
	Data     time.Duration // writing the mail, without its last line; 60 s
	Final    time.Duration // the answer to the last line; 2 min, as servers may filter here
}

func (t Timeouts) orDefault() Timeouts {
	or := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	or(&t.Connect, 10*time.Second)
	or(&t.Greeting, 30*time.Second)
	or(&t.Command, 30*time.Second)
	or(&t.Data, time.Minute)
	or(&t.Final, 2*time.Minute)
	return t
}

// A Config says how to reach a mail server.
type Config struct {
	// Smarthost is host and port, such as smtp.example.org:587 or [::1]:25.
	Smarthost string
	Letterhead
	// Username and Password log in, which happens only over TLS or to a loopback
	// address. Without Username nobody logs in.
	Username, Password string
	TLS                TLSPolicy   // StartTLS if empty
	TLSConfig          *tls.Config // nil: the system's roots; ServerName: the host
	// HelloName is how this side calls itself; the host's name if empty.
	HelloName string
	Timeouts  Timeouts
	// MaxConnections bounds the connections open at once; 48 if zero.
	MaxConnections int
	// IdleTimeout is how long a connection is kept for the next mail; 30 s if zero,
	// not at all if negative.
	IdleTimeout time.Duration
}

// SMTP hands mails to a mail server, one recipient in each transaction. It keeps
// connections for the next mail, and may be used by many goroutines.
type SMTP struct {
	config Config
	host   string
	from   string
	utf8   bool // from needs SMTPUTF8
	pool   *pool
}

var _ router.Sender = (*SMTP)(nil)

// NewSMTP returns a sender to a mail server. It does not connect yet.
func NewSMTP(c Config) (*SMTP, error) {
	host, port, err := net.SplitHostPort(c.Smarthost)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("mail server %q: write it as host:port", c.Smarthost)
	}
	from, utf8, err := address(c.From.Address)
	if err != nil {
		return nil, fmt.Errorf("mail from: %w", err)
	}
	switch c.TLS {
	case "":
		c.TLS = StartTLS
	case StartTLS, ImplicitTLS, NoTLS:
	default:
		return nil, fmt.Errorf("mail server %q: tls %q: use starttls, implicit or none", c.Smarthost, c.TLS)
	}
	if c.HelloName == "" {
		c.HelloName, _ = os.Hostname()
	}
	if !validHello(c.HelloName) {
		c.HelloName = "localhost"
	}
	if c.TLSConfig == nil {
		c.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	} else {
		c.TLSConfig = c.TLSConfig.Clone()
	}
	if c.TLSConfig.ServerName == "" {
		c.TLSConfig.ServerName = host
	}
	c.Timeouts = c.Timeouts.orDefault()
	if c.MaxConnections <= 0 {
		c.MaxConnections = 48
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 30 * time.Second
	}
	return &SMTP{config: c, host: host, from: from, utf8: utf8, pool: newPool(c.MaxConnections, c.IdleTimeout)}, nil
}

// validHello reports whether a name can be sent with EHLO.
func validHello(name string) bool {
	return name != "" && len(name) <= 255 &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:[]") == ""
}

// Render returns a message as a mail.
func (s *SMTP) Render(m *incident.Message) ([]byte, error) { return s.config.Letterhead.Render(m) }

// Close closes the connections that are kept for the next mail.
func (s *SMTP) Close() error {
	s.pool.close()
	return nil
}

// Send hands one mail over. It calls hold before MAIL and before the last line of
// the mail. On a kept connection that turns out to be dead before anything was
// asked of it, it tries once more on a new one.
//
// The error wraps router.ErrPermanent if the address is wrong or the mail cannot be sent,
// router.ErrUnknown if the connection was lost after the last line, and router.ErrServer
// if there was none; what refusals speak of is said by ofMail and ofMessage.
func (s *SMTP) Send(ctx context.Context, e router.Envelope, hold func(context.Context) error) error {
	to, utf8, err := address(e.Recipient.Address)
	if err != nil {
		return err
	}
	if err := check(e.Body); err != nil {
		return fmt.Errorf("mail %q: %w: %w", e.ID, err, router.ErrPermanent)
	}
	tx := transaction{from: s.from, to: to, utf8: utf8 || s.utf8, body: e.Body, hold: hold}
	if err := s.pool.acquire(ctx); err != nil {
		return fmt.Errorf("wait for a connection to %q: %w", s.config.Smarthost, err)
	}
	defer s.pool.release()
	if c := s.pool.get(); c != nil {
		err := s.run(ctx, c, tx)
		if !errors.Is(err, errStale) {
			return err
		}
	}
	c, err := s.connect(ctx)
	if err != nil {
		return unusable(s.config.Smarthost, err)
	}
	return s.run(ctx, c, tx)
}

// run sends one mail on a connection, and keeps the connection if it is still fit.
func (s *SMTP) run(ctx context.Context, c *conn, tx transaction) error {
	stop := c.watch(ctx)
	err := c.send(ctx, tx)
	stop()
	if c.broken || !s.pool.put(c) {
		c.quit()
	}
	return err
}

// connect opens a connection: greeting, TLS, EHLO and log-in.
func (s *SMTP) connect(ctx context.Context) (*conn, error) {
	d := net.Dialer{Timeout: s.config.Timeouts.Connect}
	raw, err := d.DialContext(ctx, "tcp", s.config.Smarthost)
	if err != nil {
		return nil, err
	}
	c := newConn(raw, s.config.Timeouts)
	defer c.watch(ctx)()
	if err := s.open(ctx, c); err != nil {
		c.net.Close()
		return nil, causeOf(ctx, err)
	}
	return c, nil
}

func (s *SMTP) open(ctx context.Context, c *conn) error {
	if s.config.TLS == ImplicitTLS {
		if err := c.encrypt(ctx, s.config.TLSConfig); err != nil {
			return err
		}
	}
	if err := c.greet(ctx); err != nil {
		return err
	}
	if err := c.hello(ctx, s.config.HelloName); err != nil {
		return err
	}
	if s.config.TLS == StartTLS {
		if _, ok := c.extensions["STARTTLS"]; !ok {
			return errors.New("it does not offer STARTTLS, which is required (tls: starttls)")
		}
		if err := c.startTLS(ctx, s.config.TLSConfig); err != nil {
			return err
		}
		if err := c.hello(ctx, s.config.HelloName); err != nil {
			return err
		}
	}
	if s.config.Username == "" {
		return nil
	}
	return c.login(ctx, s.config.Username, s.config.Password)
}

// causeOf prefers the reason why the caller gave up over the time-out that this led
// to.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}
