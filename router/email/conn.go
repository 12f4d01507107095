package email

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sitrep/router"
	"sitrep/router/wording"
)

// errStale is a kept connection that the server had closed before it was asked for
// the next mail.
var errStale = errors.New("the connection was closed while idle")

// replyLimit is how many lines a reply may have; a line has at most 4096 bytes.
const replyLimit = 200

// A conn is a connection to a mail server. One goroutine uses it at a time.
type conn struct {
	raw        net.Conn // what deadlines are set on, from another goroutine too
	net        net.Conn // raw, or TLS over it
	r          *bufio.Reader
	timeouts   Timeouts
	encrypted  bool
	extensions map[string]string // of EHLO, by name in upper case
	// used is set once a mail was sent on it.
	used bool
	// broken is set if it cannot be used for another mail.
	broken bool
	idleAt time.Time
}

// A transaction is one mail to one recipient.
type transaction struct {
	from, to string
	utf8     bool
	body     []byte
	hold     func(context.Context) error
}

// A refusal is a reply that is not the one hoped for.
type refusal struct {
	to   string // what was asked
	code int
	text string
	kind error // what it speaks of, as router.ErrPermanent; nil: the message, for now
}

func (e *refusal) Error() string { return fmt.Sprintf("%s: %d %s", e.to, e.code, e.text) }

func (e *refusal) Unwrap() error { return e.kind }

func newConn(raw net.Conn, t Timeouts) *conn {
	return &conn{raw: raw, net: raw, r: bufio.NewReaderSize(raw, 4096), timeouts: t}
}

// watch makes all reading and writing end when ctx does, until the returned
// function is called.
func (c *conn) watch(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	off := context.AfterFunc(ctx, func() {
		defer close(done)
		c.raw.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !off() {
			<-done
		}
	}
}

// stage begins a step that may take as long as d.
func (c *conn) stage(ctx context.Context, d time.Duration) error {
	if err := c.raw.SetDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	// If ctx ended just before, the deadline that watch set is gone.
	return ctx.Err()
}

// encrypt makes TLS of the connection.
func (c *conn) encrypt(ctx context.Context, config *tls.Config) error {
	if err := c.stage(ctx, c.timeouts.Greeting); err != nil {
		return err
	}
	t := tls.Client(c.net, config)
	if err := t.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", describe(err))
	}
	c.net, c.r, c.encrypted = t, bufio.NewReaderSize(t, 4096), true
	return nil
}

func (c *conn) greet(ctx context.Context) error {
	if err := c.stage(ctx, c.timeouts.Greeting); err != nil {
		return err
	}
	code, lines, err := c.reply()
	if err != nil {
		return fmt.Errorf("greeting: %w", describe(err))
	}
	if code != 220 {
		return refused("greeting", code, lines)
	}
	return nil
}

// hello introduces this side and learns what the server offers.
func (c *conn) hello(ctx context.Context, name string) error {
	c.extensions = map[string]string{}
	code, lines, err := c.command(ctx, "EHLO", "EHLO "+name)
	if err != nil {
		return err
	}
	if code == 250 {
		for _, line := range lines[1:] {
			keyword, args, _ := strings.Cut(line, " ")
			c.extensions[strings.ToUpper(keyword)] = args
		}
		return nil
	}
	if code/100 == 5 {
		if code, lines, err = c.command(ctx, "HELO", "HELO "+name); err != nil {
			return err
		}
		if code == 250 {
			return nil
		}
	}
	return refused("EHLO", code, lines)
}

func (c *conn) startTLS(ctx context.Context, config *tls.Config) error {
	code, lines, err := c.command(ctx, "STARTTLS", "STARTTLS")
	if err != nil {
		return err
	}
	if code != 220 {
		return refused("STARTTLS", code, lines)
	}
	if c.r.Buffered() > 0 {
		return errors.New("STARTTLS: it sent something before the handshake, which anybody could have slipped in")
	}
	return c.encrypt(ctx, config)
}

// send hands one mail over. After an error the connection may still be fit for the
// next mail; broken says if not.
func (c *conn) send(ctx context.Context, tx transaction) (err error) {
	fit := false // whether the server is known to wait for the next mail
	defer func() {
		c.broken = c.broken || !fit
		c.used = true
		if err != nil {
			err = causeOf(ctx, err)
		}
	}()
	if err := tx.hold(ctx); err != nil {
		fit = true
		return err
	}
	mail, err := c.mailCommand(tx)
	if err != nil {
		fit = true
		return err
	}
	code, lines, err := c.command(ctx, "MAIL", mail)
	if c.used && gone(code, err) && ctx.Err() == nil {
		return errStale
	}
	if err != nil {
		return err
	}
	if code/100 != 2 {
		fit = c.reset(ctx, code)
		return ofMail(refused("MAIL", code, lines))
	}
	rcpt := fmt.Sprintf("RCPT %q", tx.to)
	if code, lines, err = c.command(ctx, rcpt, "RCPT TO:<"+tx.to+">"); err != nil {
		return err
	}
	if code/100 != 2 {
		fit = c.reset(ctx, code)
		return ofMessage(refused(rcpt, code, lines))
	}
	if code, lines, err = c.command(ctx, "DATA", "DATA"); err != nil {
		return err
	}
	if code != 354 {
		fit = c.reset(ctx, code)
		refusal := refused("DATA", code, lines)
		if code >= 500 && code <= 504 {
			return refusal // a confusion about commands, not a word about the mail
		}
		return ofMessage(refusal)
	}
	if err := c.stage(ctx, c.timeouts.Data); err != nil {
		return err
	}
	if _, err := c.net.Write(stuffed(tx.body)); err != nil {
		return fmt.Errorf("write the mail: %w", describe(err))
	}
	// Without its last line the server forgets the mail when the connection ends.
	if err := tx.hold(ctx); err != nil {
		return err
	}
	if err := c.stage(ctx, c.timeouts.Final); err != nil {
		return err
	}
	code, lines, err = c.exchange("the end of the mail", ".")
	if err != nil {
		return fmt.Errorf("%w: %w", err, router.ErrUnknown)
	}
	fit = code != 421
	if code/100 != 2 {
		return ofMessage(refused("the mail", code, lines))
	}
	return nil
}

// mailCommand is the command that begins a transaction.
func (c *conn) mailCommand(tx transaction) (string, error) {
	s := "MAIL FROM:<" + tx.from + ">"
	if !tx.utf8 {
		return s, nil
	}
	_, utf8 := c.extensions["SMTPUTF8"]
	_, eight := c.extensions["8BITMIME"]
	if !utf8 || !eight {
		return "", fmt.Errorf("RCPT %q: the mail server does not take addresses beyond ASCII (SMTPUTF8): %w", tx.to, router.ErrPermanent)
	}
	return s + " BODY=8BITMIME SMTPUTF8", nil
}

// reset ends a transaction after a refusal, and reports whether the server is ready
// for the next.
func (c *conn) reset(ctx context.Context, code int) bool {
	if code == 421 {
		return false
	}
	code, _, err := c.command(ctx, "RSET", "RSET")
	return err == nil && code/100 == 2
}

// quit takes leave without waiting for an answer, and closes.
func (c *conn) quit() {
	if !c.broken {
		c.raw.SetDeadline(time.Now().Add(time.Second))
		io.WriteString(c.net, "QUIT\r\n")
	}
	c.net.Close()
}

// command sends a line and reads the reply, within the time of a command.
func (c *conn) command(ctx context.Context, name, line string) (int, []string, error) {
	if err := c.stage(ctx, c.timeouts.Command); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.exchange(name, line)
}

func (c *conn) exchange(name, line string) (int, []string, error) {
	if strings.ContainsAny(line, "\r\n\x00") {
		return 0, nil, fmt.Errorf("%s: a line break in a command: %w", name, router.ErrPermanent)
	}
	if _, err := io.WriteString(c.net, line+"\r\n"); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", name, describe(err))
	}
	code, lines, err := c.reply()
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", name, describe(err))
	}
	return code, lines, nil
}

// reply reads a reply: its code, and its lines without it.
func (c *conn) reply() (int, []string, error) {
	var lines []string
	first := 0
	for range replyLimit {
		raw, err := c.r.ReadSlice('\n')
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, nil, err
		}
		line := strings.TrimRight(string(raw), "\r\n")
		if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return 0, nil, fmt.Errorf("not a reply: %q", wording.Line(line, 80))
		}
		code, err := strconv.Atoi(line[:3])
		if err != nil || code < 200 || code > 599 || first != 0 && code != first {
			return 0, nil, fmt.Errorf("not a reply: %q", wording.Line(line, 80))
		}
		first = code
		lines = append(lines, strings.TrimSpace(line[min(4, len(line)):]))
		if len(line) == 3 || line[3] == ' ' {
			return code, lines, nil
		}
	}
	return 0, nil, errors.New("a reply without an end")
}

// refused makes an error of a reply.
func refused(to string, code int, lines []string) *refusal {
	return &refusal{to: to, code: code, text: wording.Line(strings.Join(lines, " "), 300)}
}

// gone reports whether the server had closed the connection.
func gone(code int, err error) bool {
	return code == 421 || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

// describe says of a time-out in plain words that nothing came.
func describe(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no answer in time: %w", os.ErrDeadlineExceeded)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the connection was closed: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// stuffed returns a mail, whose lines end with CR LF, with the dots at the
// beginning of lines doubled.
func stuffed(body []byte) []byte {
	if bytes.HasPrefix(body, []byte(".")) {
		body = append([]byte("."), body...)
	}
	return bytes.ReplaceAll(body, []byte("\r\n."), []byte("\r\n.."))
}
