package email

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/md5" // CRAM-MD5 is what some servers offer; it only runs inside TLS
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"sitrep/wording"
)

// The mechanisms of a log-in.
const (
	plain   = "PLAIN"
	login   = "LOGIN"
	cramMD5 = "CRAM-MD5"
	xoauth2 = "XOAUTH2"
)

// maxInitial is the longest line with which AUTH may begin; what is longer is said when
// the server asks (RFC 4954, section 4).
const maxInitial = 510

// A logIn identifies this side, and remembers how that worked.
type logIn struct {
	username string
	password func() string
	token    func(ctx context.Context, refused string) (string, error)

	mu      sync.Mutex
	works   string // the mechanism by which the last log-in succeeded
	refused string // the token that was refused last
}

// do logs in by a token, or else by the first of PLAIN, LOGIN and CRAM-MD5 that the server
// offers and does not refuse. It refuses to where others could listen. No error shows what
// is secret, even if the server repeats it.
func (l *logIn) do(ctx context.Context, c *conn) error {
	if !c.encrypted && !loopback(c.net.RemoteAddr()) {
		return errors.New("log-in needs TLS: use tls: starttls or implicit")
	}
	offered, ok := c.extensions["AUTH"]
	if !ok {
		return errors.New("it offers no log-in (AUTH), but a username is set")
	}
	mechanisms := strings.Fields(strings.ToUpper(offered))
	if l.token != nil {
		return l.byToken(ctx, c, mechanisms)
	}
	return l.byPassword(ctx, c, mechanisms)
}

func (l *logIn) byPassword(ctx context.Context, c *conn, mechanisms []string) error {
	l.mu.Lock()
	try := []string{plain, login, cramMD5}
	if i := slices.Index(try, l.works); i > 0 {
		try = append([]string{l.works}, slices.Delete(try, i, i+1)...)
	}
	l.mu.Unlock()
	password := l.password()
	c.secrets = []string{password, encoded(password), encoded(plainAnswer(l.username, password))}
	defer func() { c.secrets = nil }()
	try = slices.DeleteFunc(try, func(m string) bool { return !slices.Contains(mechanisms, m) })
	if len(try) == 0 {
		return fmt.Errorf("it offers none of PLAIN, LOGIN and CRAM-MD5 to log in, only %q%s", strings.Join(mechanisms, " "), adviseToken(mechanisms))
	}
	var err error
	for _, mechanism := range try {
		before := err
		switch mechanism {
		case plain:
			err = l.plain(ctx, c, password)
		case login:
			// What it asks is not looked at: some servers do not even encode it.
			err = c.converse(ctx, l.by(login), "AUTH LOGIN", l.username, password)
		case cramMD5:
			err = l.cramMD5(ctx, c, password)
		}
		var r *refusal
		if err == nil {
			l.mu.Lock()
			l.works = mechanism
			l.mu.Unlock()
			return nil
		}
		if !errors.As(err, &r) {
			err = cmp.Or(before, err) // some hang up after the first refusal, which says more
			break
		}
		if r.code/100 != 5 {
			break
		}
	}
	return conceal(err, c.secrets)
}

// adviseToken says what to do where a server takes tokens alone.
func adviseToken(mechanisms []string) string {
	if slices.Contains(mechanisms, xoauth2) {
		return "; it takes tokens: use oauth2 instead of password_file"
	}
	return ""
}

// by says what a log-in is, in errors.
func (l *logIn) by(mechanism string) string {
	return fmt.Sprintf("log in as %q by %s", l.username, mechanism)
}

func plainAnswer(username, password string) string { return "\x00" + username + "\x00" + password }

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// plain logs in by PLAIN: in one line, or in two where the server does not take that.
func (l *logIn) plain(ctx context.Context, c *conn, password string) error {
	answer := plainAnswer(l.username, password)
	err := c.begin(ctx, l.by(plain), plain, answer)
	var r *refusal
	if errors.As(err, &r) && r.code >= 500 && r.code <= 504 {
		if again := c.converse(ctx, l.by(plain), "AUTH PLAIN", answer); again == nil {
			return nil
		}
	}
	return err
}

func (l *logIn) cramMD5(ctx context.Context, c *conn, password string) error {
	code, lines, err := c.command(ctx, c.timeouts.Greeting, "AUTH", "AUTH CRAM-MD5")
	if err != nil {
		return err
	}
	if code != 334 {
		return refused(stepAuth, l.by(cramMD5), code, lines)
	}
	challenge, err := base64.StdEncoding.DecodeString(lines[0])
	if err != nil {
		return errors.New("AUTH CRAM-MD5: the server's question is not base64")
	}
	mac := hmac.New(md5.New, []byte(password))
	mac.Write(challenge)
	return c.answer(ctx, l.by(cramMD5), l.username+" "+hex.EncodeToString(mac.Sum(nil)))
}

// byToken logs in by XOAUTH2. A token that is refused is shown once only.
func (l *logIn) byToken(ctx context.Context, c *conn, mechanisms []string) error {
	if !slices.Contains(mechanisms, xoauth2) {
		return fmt.Errorf("it does not offer XOAUTH2 to log in by a token, only %q; use password_file instead of oauth2", strings.Join(mechanisms, " "))
	}
	l.mu.Lock()
	before := l.refused
	l.mu.Unlock()
	token, err := l.token(ctx, before)
	if err != nil {
		return fmt.Errorf("get a token: %w", err)
	}
	answer := "user=" + l.username + "\x01auth=Bearer " + token + "\x01\x01"
	c.secrets = []string{token, encoded(answer)}
	defer func() { c.secrets = nil }()
	err = c.begin(ctx, l.by(xoauth2), xoauth2, answer)
	var r *refusal
	if errors.As(err, &r) && r.code/100 == 5 {
		l.mu.Lock()
		l.refused = token
		l.mu.Unlock()
	}
	return conceal(err, c.secrets)
}

// begin sends AUTH with its only answer, on one line where that is short enough.
func (c *conn) begin(ctx context.Context, to, mechanism, answer string) error {
	line := "AUTH " + mechanism + " " + encoded(answer)
	if len(line) > maxInitial {
		return c.converse(ctx, to, "AUTH "+mechanism, answer)
	}
	return c.converse(ctx, to, line, answer)
}

// converse sends a line that begins a log-in, and an answer to each question.
func (c *conn) converse(ctx context.Context, to, line string, answers ...string) error {
	code, lines, err := c.command(ctx, c.timeouts.Greeting, "AUTH", line)
	if err != nil {
		return err
	}
	// An answer on the line itself is repeated where the server asks all the same; but
	// XOAUTH2 asks nothing then: it says why it will refuse.
	said := strings.HasPrefix(line, "AUTH "+xoauth2+" ")
	for i, answer := range answers {
		if code != 334 {
			break
		}
		if said && lines[0] != "" {
			return c.why(ctx, to, lines[0])
		}
		if i == len(answers)-1 {
			return c.answer(ctx, to, answer)
		}
		if code, lines, err = c.command(ctx, c.timeouts.Greeting, "AUTH", encoded(answer)); err != nil {
			return err
		}
	}
	if code != 235 {
		return refused(stepAuth, to, code, lines)
	}
	return nil
}

// answer sends the last answer, and hears the verdict.
func (c *conn) answer(ctx context.Context, to, answer string) error {
	code, lines, err := c.command(ctx, c.timeouts.Greeting, "AUTH", encoded(answer))
	switch {
	case err != nil:
		return err
	case code == 334:
		return c.why(ctx, to, lines[0])
	case code != 235:
		return refused(stepAuth, to, code, lines)
	}
	return nil
}

// why hears the verdict of a server that has said in a question why it is a refusal.
func (c *conn) why(ctx context.Context, to, question string) error {
	code, lines, err := c.command(ctx, c.timeouts.Greeting, "AUTH", "")
	if err != nil {
		return err
	}
	if code == 235 {
		return nil
	}
	r := refused(stepAuth, to, code, lines)
	text, err := base64.StdEncoding.DecodeString(question)
	if err != nil {
		return r
	}
	var said struct {
		Status string `json:"status"`
		Scope  string `json:"scope"`
	}
	if json.Unmarshal(text, &said) == nil && said.Status != "" {
		r.text = wording.Line(fmt.Sprintf("%s (status %s, scope %q)", r.text, said.Status, said.Scope), 300)
	}
	return r
}

// conceal takes secrets out of what a server said.
func conceal(err error, secrets []string) error {
	var r *refusal
	if errors.As(err, &r) {
		r.text = without(secrets, r.text)
	}
	return err
}

// without returns a text without secrets and pieces of them.
func without(secrets []string, text string) string {
	for _, s := range secrets {
		if s == "" {
			continue
		}
		text = strings.ReplaceAll(text, s, "<secret>")
		for _, word := range strings.FieldsFunc(text, func(c rune) bool { return c <= ' ' || strings.ContainsRune("\"'<>()…", c) }) {
			if len(word) >= 8 && strings.Contains(s, word) {
				text = strings.ReplaceAll(text, word, "<secret>")
			}
		}
	}
	return text
}

func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
