package email

import (
	"cmp"
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

// Timeouts are how long the steps of handing a mail over may take. Zero stands for the
// default, which is what servers need who filter or look up while they are asked (RFC 5321,
// section 4.5.3.2).
type Timeouts struct {
	Connect  time.Duration // TCP; 10 s
	Greeting time.Duration // each step until the server is ready for mails: its first line, TLS, EHLO, log-in; 60 s
	Command  time.Duration // the answers to MAIL and RCPT; 5 min
	Data     time.Duration // the answer to DATA, and writing the mail without its last line; 3 min
	// Final is for the answer to the last line; 10 min. If it ends too early, a mail that was
	// taken is sent again.
	Final time.Duration
}

func (t Timeouts) orDefault() Timeouts {
	or := func(d, def time.Duration) time.Duration { return cmp.Or(max(d, 0), def) }
	return Timeouts{
		Connect: or(t.Connect, 10*time.Second), Greeting: or(t.Greeting, time.Minute),
		Command: or(t.Command, 5*time.Minute), Data: or(t.Data, 3*time.Minute), Final: or(t.Final, 10*time.Minute),
	}
}

// Within returns the time limits where each step after connecting may take as long as d;
// of zero, the defaults.
func Within(d time.Duration) Timeouts {
	return Timeouts{Greeting: d, Command: d, Data: d, Final: d}
}

// A Config says how to reach a mail server.
type Config struct {
	// Smarthost is host and port, such as smtp.example.org:587 or [::1]:25.
	Smarthost string
	Letterhead
	// EnvelopeFrom is where refusals of mails are sent to (MAIL FROM); the address of From
	// if empty.
	EnvelopeFrom string
	// Username logs in, which happens only over TLS or to a loopback address: by Token
	// (XOAUTH2) if there is one, else by Password. Both are asked at each log-in. Without
	// Username nobody logs in.
	Username string
	Password func() string
	// Token returns an access token, but not the one that was refused, if that is not empty.
	Token     func(ctx context.Context, refused string) (string, error)
	TLS       TLSPolicy   // StartTLS if empty
	TLSConfig *tls.Config // nil: the system's roots; ServerName: the host
	// HelloName is how this side calls itself; the host's name if empty.
	HelloName string
	Timeouts  Timeouts
	// MaxConnections bounds the connections open at once; 8 if zero.
	MaxConnections int
	// Rate bounds the mails begun within a time.
	Rate Rate
	// IdleTimeout is how long a connection is kept for the next mail; 5 s if zero, not at
	// all if negative.
	IdleTimeout time.Duration
	// Trace is told what is said to the server and by it, without secrets and mails; it may be
	// nil. Connections call it at the same time.
	Trace func(Said)
}

// SMTP hands mails to a mail server, one recipient in each transaction. It keeps
// connections for the next mail, and may be used by many goroutines.
type SMTP struct {
	config   Config
	host     string
	from     string
	utf8     bool // from needs SMTPUTF8
	pool     *pool
	logIn    logIn
	contents contents
	// dial connects to the server; a test may have its own.
	dial func(context.Context) (net.Conn, error)
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
	if c.EnvelopeFrom != "" {
		if from, utf8, err = address(c.EnvelopeFrom); err != nil {
			return nil, fmt.Errorf("mail envelope_from: %w", err)
		}
	}
	switch c.TLS = cmp.Or(c.TLS, StartTLS); c.TLS {
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
	c.TLSConfig = cmp.Or(c.TLSConfig, &tls.Config{MinVersion: tls.VersionTLS12}).Clone()
	c.TLSConfig.ServerName = cmp.Or(c.TLSConfig.ServerName, host)
	c.Timeouts = c.Timeouts.orDefault()
	c.MaxConnections, c.IdleTimeout = cmp.Or(max(c.MaxConnections, 0), 8), cmp.Or(c.IdleTimeout, 5*time.Second)
	s := &SMTP{config: c, host: host, from: from, utf8: utf8}
	s.logIn = logIn{username: c.Username, password: c.Password, token: c.Token}
	// A server that is gone without a word is noticed while it has minutes to answer.
	d := net.Dialer{Timeout: c.Timeouts.Connect, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 4}}
	s.dial = func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", c.Smarthost) }
	s.pool = newPool(c.MaxConnections, c.IdleTimeout, c.Rate, s.connect)
	return s, nil
}

// validHello reports whether a name can be sent with EHLO.
func validHello(name string) bool {
	return name != "" && len(name) <= 255 &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:[]") == ""
}

// Render returns a message as a mail.
func (s *SMTP) Render(m *incident.Message) ([]byte, error) {
	return s.config.renderWith(&s.contents, m)
}

// Close closes the connections that are kept for the next mail.
func (s *SMTP) Close() error {
	s.pool.close()
	return nil
}

// Send hands one mail over. It waits for its turn first, for a few minutes at most, and
// calls leased while it does, before MAIL and before the last line of the mail. Where a
// connection that was used before is refused, it goes on a new one at once; where the
// server says that mails come too fast, all of them go more slowly, and this one waits for
// its turn again, unless the server may mean it alone.
//
// The error wraps router.ErrPermanent if the address is wrong or the mail cannot be sent,
// router.ErrUnknown if the connection was lost after the last line, and router.ErrServer
// if there was none; what refusals speak of is said by ofMail and ofMessage.
func (s *SMTP) Send(ctx context.Context, e router.Envelope, leased func(context.Context) error) error {
	to, utf8, err := address(e.Recipient.Address)
	if err != nil {
		return err
	}
	if err := checkLines(e.Body); err != nil { // all else was checked when it was rendered
		return fmt.Errorf("mail %q: %w: %w", e.ID, err, router.ErrPermanent)
	}
	tx := transaction{from: s.from, to: to, utf8: utf8 || s.utf8, body: e.Body, leased: leased}
	deadline := time.Now().Add(longestWait)
	fresh := false
	for {
		c, began, err := s.pool.take(ctx, int(e.Urgency), fresh, deadline, leased)
		if err != nil {
			return unusable(s.config.Smarthost, err)
		}
		err = s.run(ctx, c, tx)
		var worn *wornError
		var r *refusal
		switch {
		case err == nil:
			s.pool.taken(began)
			return nil
		case errors.As(err, &worn):
			fresh = true
		case errors.As(err, &r) && r.rate() && ctx.Err() == nil:
			s.pool.slow(began, r)
			if !r.waits() {
				return err
			}
			fresh = false
		default:
			return err
		}
	}
}

// run sends one mail on a connection, and gives the connection back.
func (s *SMTP) run(ctx context.Context, c *conn, tx transaction) error {
	stop := c.watch(ctx)
	err := c.send(ctx, tx)
	stop()
	if c.broken {
		s.pool.drop(c)
	} else {
		s.pool.put(c)
	}
	return err
}

// connect opens a connection: greeting, TLS, EHLO and log-in.
func (s *SMTP) connect(ctx context.Context) (*conn, error) {
	raw, err := s.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := newConn(raw, s.config.Timeouts)
	c.trace = s.config.Trace
	c.say(Said{Text: "connected to " + raw.RemoteAddr().String()})
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
	return s.logIn.do(ctx, c)
}

// causeOf prefers the reason why the caller gave up over the time-out that this led
// to.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%w)", err, cause)
	}
	return err
}
