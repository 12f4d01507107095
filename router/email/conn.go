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
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sitrep/router"
	"sitrep/wording"
)

// A wornError is what a connection that was used before said or did before the end of
// the mail, so that the mail can go on a new one. Servers take so many mails on one
// connection, and say so in many ways.
type wornError struct{ err error }

func (e *wornError) Error() string { return e.err.Error() }

func (e *wornError) Unwrap() error { return e.err }

// replyLimit is how many lines a reply may have; a line has at most 4096 bytes.
const replyLimit = 200

// resetTimeout is how long a server may take to forget a transaction; a new connection
// is cheaper than more.
const resetTimeout = 5 * time.Second

// A conn is a connection to a mail server. One goroutine uses it at a time.
type conn struct {
	raw        net.Conn // what deadlines are set on, from another goroutine too
	net        net.Conn // raw, or TLS over it
	r          *bufio.Reader
	timeouts   Timeouts
	encrypted  bool
	extensions map[string]string // of EHLO, by name in upper case
	// used is set once a mail was sent on it, or it was kept for one.
	used bool
	// broken is set if it cannot be used for another mail.
	broken bool
	idleAt time.Time
	// trace is told what is said, if it is not nil; what is secret of it is not shown.
	trace   func(Said)
	secrets []string
}

// A transaction is one mail to one recipient.
type transaction struct {
	from, to string
	utf8     bool
	body     []byte
	leased   func(context.Context) error
}

// A step is where in a conversation something was said.
type step string

// The steps.
const (
	stepGreeting step = "greeting"
	stepHello    step = "EHLO"
	stepTLS      step = "STARTTLS"
	stepAuth     step = "AUTH"
	stepMail     step = "MAIL"
	stepRcpt     step = "RCPT"
	stepData     step = "DATA"
	stepDot      step = "dot" // after the last line of the mail
)

// A refusal is a reply that is not the one hoped for.
type refusal struct {
	step     step
	to       string // what was asked, for people
	code     int
	enhanced string // the enhanced status code, such as 5.1.1; empty if it gave none
	text     string // all of what it said after the code
	kind     error  // what it speaks of, as router.ErrPermanent; nil: the message, for now
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
		_ = c.raw.SetDeadline(time.Unix(1, 0))
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
	c.say(Said{Text: "encrypted by " + tls.VersionName(t.ConnectionState().Version)})
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
		return refused(stepGreeting, "greeting", code, lines)
	}
	return nil
}

// hello introduces this side and learns what the server offers.
func (c *conn) hello(ctx context.Context, name string) error {
	c.extensions = map[string]string{}
	code, lines, err := c.command(ctx, c.timeouts.Greeting, "EHLO", "EHLO "+name)
	if err != nil {
		return err
	}
	if code == 250 {
		for _, line := range lines[1:] {
			keyword, args, _ := strings.Cut(line, " ")
			keyword = strings.ToUpper(keyword)
			if first, ok := strings.CutPrefix(keyword, "AUTH="); ok {
				// As servers wrote it before there was a standard, and some still do.
				keyword, args = "AUTH", first+" "+args
			}
			if keyword == "AUTH" {
				args = strings.TrimSpace(c.extensions["AUTH"] + " " + args)
			}
			c.extensions[keyword] = args
		}
		return nil
	}
	if code >= 500 && code <= 504 { // it does not know the command; else it does not like the name
		if code, lines, err = c.command(ctx, c.timeouts.Greeting, "HELO", "HELO "+name); err != nil {
			return err
		}
		if code == 250 {
			return nil
		}
	}
	return refused(stepHello, "EHLO", code, lines)
}

func (c *conn) startTLS(ctx context.Context, config *tls.Config) error {
	code, lines, err := c.command(ctx, c.timeouts.Greeting, "STARTTLS", "STARTTLS")
	if err != nil {
		return err
	}
	if code != 220 {
		return refused(stepTLS, "STARTTLS", code, lines)
	}
	if c.r.Buffered() > 0 {
		return errors.New("STARTTLS: it sent something before the handshake, which anybody could have slipped in")
	}
	return c.encrypt(ctx, config)
}

// send hands one mail over. After an error the connection may still be fit for the
// next mail; broken says if not. The error is a wornError if the mail may be tried on a
// new connection at once.
func (c *conn) send(ctx context.Context, tx transaction) (err error) {
	fit := false // whether the server is known to wait for the next mail
	used := c.used
	defer func() {
		c.broken = c.broken || !fit
		c.used = true
		if err != nil {
			err = causeOf(ctx, err)
		}
	}()
	// worn marks an error of a connection that was used before, and gives that up.
	worn := func(err error) error {
		if !used || ctx.Err() != nil {
			return err
		}
		fit = false
		return &wornError{err}
	}
	if err := tx.leased(ctx); err != nil {
		fit = true
		return err
	}
	mail, err := c.mailCommand(tx)
	if err != nil {
		fit = true
		return err
	}
	rcpt := "RCPT TO:<" + tx.to + ">"
	ask := c.command
	unread := 0 // replies to what was said already, but for the one that is read next
	if _, all := c.extensions["PIPELINING"]; all {
		if err := c.stage(ctx, c.timeouts.Command); err != nil {
			return fmt.Errorf("MAIL: %w", err)
		}
		if err := c.tell("MAIL", mail, rcpt, "DATA"); err != nil {
			return c.lost(err, worn)
		}
		ask = func(ctx context.Context, within time.Duration, name, _ string) (int, []string, error) {
			unread--
			return c.await(ctx, within, name)
		}
		unread = 3
	}
	reset := func(code int) bool { return code != 421 && c.drained(ctx, unread) && c.reset(ctx, code) }
	code, lines, err := ask(ctx, c.timeouts.Command, "MAIL", mail)
	if err != nil {
		return c.lost(err, worn)
	}
	if code/100 != 2 {
		refusal := refused(stepMail, "MAIL", code, lines)
		if refusal.rate() && code != 421 {
			fit = reset(code)
			return ofMail(refusal) // a new connection would hear the same
		}
		if used {
			return worn(refusal)
		}
		fit = reset(code)
		return ofMail(refusal)
	}
	whom := fmt.Sprintf("RCPT %q", tx.to)
	if code, lines, err = ask(ctx, c.timeouts.Command, whom, rcpt); err != nil {
		return c.lost(err, worn)
	}
	if code/100 != 2 {
		refusal := refused(stepRcpt, whom, code, lines)
		if code == 421 || code == 503 {
			return worn(refusal)
		}
		err := ofMessage(refusal)
		fit = reset(code) && !ofSetup(err)
		return err
	}
	if code, lines, err = ask(ctx, c.timeouts.Data, "DATA", "DATA"); err != nil {
		return c.lost(err, worn)
	}
	if code != 354 {
		refusal := refused(stepData, "DATA", code, lines)
		if used && (!refusal.rate() || code == 421) {
			return worn(refusal)
		}
		fit = reset(code)
		if code >= 500 && code <= 504 {
			return refusal // a confusion about commands, not a word about the mail
		}
		return ofMessage(refusal)
	}
	if err := c.stage(ctx, c.timeouts.Data); err != nil {
		return err
	}
	if _, err := c.net.Write(stuffed(tx.body)); err != nil {
		return c.lost(fmt.Errorf("write the mail: %w", describe(err)), worn)
	}
	// Without its last line the server forgets the mail when the connection ends.
	if err := tx.leased(ctx); err != nil {
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
		err := ofMessage(refused(stepDot, "the mail", code, lines))
		fit = fit && !ofSetup(err)
		return err
	}
	return nil
}

// lost is an error of the connection before the end of the mail. It is worn only if the
// other side closed it: who says nothing in time may be slow, and not forgetful.
func (c *conn) lost(err error, worn func(error) error) error {
	if gone(err) {
		return worn(err)
	}
	return err
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
	code, _, err := c.command(ctx, min(resetTimeout, c.timeouts.Command), "RSET", "RSET")
	return err == nil && code/100 == 2
}

// quit takes leave without waiting for an answer, and closes.
func (c *conn) quit() {
	if !c.broken {
		_ = c.raw.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(c.net, "QUIT\r\n")
	}
	c.net.Close()
}

// command sends a line and reads the reply within a time.
func (c *conn) command(ctx context.Context, within time.Duration, name, line string) (int, []string, error) {
	if err := c.stage(ctx, within); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.exchange(name, line)
}

func (c *conn) exchange(name, line string) (int, []string, error) {
	if err := c.tell(name, line); err != nil {
		return 0, nil, err
	}
	return c.hear(name)
}

// tell says lines at once, the first of which is named.
func (c *conn) tell(name string, lines ...string) error {
	for _, line := range lines {
		if strings.ContainsAny(line, "\r\n\x00") {
			return fmt.Errorf("%s: a line break in a command: %w", name, router.ErrPermanent)
		}
		c.say(Said{By: "sitrep", Text: line})
	}
	if _, err := io.WriteString(c.net, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		return fmt.Errorf("%s: %w", name, describe(err))
	}
	return nil
}

// await reads within a time what the server says to what was said before.
func (c *conn) await(ctx context.Context, within time.Duration, name string) (int, []string, error) {
	if err := c.stage(ctx, within); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.hear(name)
}

func (c *conn) hear(name string) (int, []string, error) {
	code, lines, err := c.reply()
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", name, describe(err))
	}
	return code, lines, nil
}

// drained reads the replies to what was said at once with what was refused, and reports whether the server waits
// for commands then. Where it waits for a mail nevertheless, it forgets that when the connection ends.
func (c *conn) drained(ctx context.Context, replies int) bool {
	for range replies {
		code, _, err := c.await(ctx, min(resetTimeout, c.timeouts.Command), "RSET")
		if err != nil || code == 354 || code == 421 {
			return false
		}
	}
	return true
}

// reply reads a reply: its code, and its lines without it.
func (c *conn) reply() (int, []string, error) {
	var lines []string
	first := 0
	for range replyLimit {
		raw, err := c.r.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, nil, err
		}
		line := strings.TrimRight(string(raw), "\r\n")
		c.say(Said{By: "server", Text: line})
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

var enhancedCode = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}\b`)

// refused makes an error of a reply.
func refused(at step, to string, code int, lines []string) *refusal {
	return &refusal{
		step: at, to: to, code: code, enhanced: enhancedCode.FindString(lines[0]), text: wording.Line(strings.Join(lines, " "), 300),
	}
}

// rate reports whether the reply says that mails come too fast, or that the server has
// no time now: a word about this side as a whole, and not about the mail.
func (e *refusal) rate() bool {
	policy := strings.HasPrefix(e.enhanced, "4.7.")
	switch {
	case e.code == 421, e.code == 432, e.code == 454 && e.step != stepTLS && e.step != stepAuth:
		return true
	case e.step == stepMail:
		return e.code/100 == 4 && policy
	case e.code == 450 && policy:
		// Greylisting is about one recipient.
		text := strings.ToLower(e.text)
		return !strings.Contains(text, "greylist") && !strings.Contains(text, "graylist")
	}
	return false
}

// waits reports whether a mail that was refused like that waits for its turn again. After
// its recipient or all of it was heard, the answer may be about that one mail after all: it
// is tried another time, and holds back no other till then.
func (e *refusal) waits() bool {
	return e.rate() && e.step != stepDot && (e.step != stepRcpt || e.code != 450)
}

// gone reports whether the other side had closed the connection.
func gone(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
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
	if !bytes.HasPrefix(body, []byte(".")) && !bytes.Contains(body, []byte("\r\n.")) {
		return body
	}
	if bytes.HasPrefix(body, []byte(".")) {
		body = append([]byte("."), body...)
	}
	return bytes.ReplaceAll(body, []byte("\r\n."), []byte("\r\n.."))
}
