package email

import (
	"bufio"
	"errors"
	"net/mail"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sitrep/router"
)

// FuzzReply reads whatever a server says: no reply is made up, and what is said of it is
// one tame line.
func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"250 ok\r\n", "250-a\r\n250-b\r\n250 c\r\n", "550 5.1.1 no such user\r\n", "250\r\n", "550", "99 x\r\n", "250-a\r\n251 b\r\n", "abc\r\n", "\r\n", "", "250 \x1b[2J\u202e\x00\r\n",
		"421 4.3.0 too many connections\r\n250 ok\r\n", strings.Repeat("250-x\r\n", 300), "250 " + strings.Repeat("a", 5000) + "\r\n", "5\xff0 x\r\n", "+50 x\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		c := &conn{r: bufio.NewReaderSize(strings.NewReader(string(said)), 4096)}
		for n := 0; ; n++ {
			code, lines, err := c.reply()
			if err == nil && (code < 200 || code > 599 || len(lines) == 0 || len(lines) > replyLimit) {
				t.Fatalf("reply %d %q", code, lines)
			}
			if err == nil {
				for _, of := range []func(*refusal) error{ofMail, ofMessage} {
					e := refused(stepMail, "cto@example.org", code, lines)
					e.rate()
					e.waits()
					checkSaid(t, of(e))
				}
				continue
			}
			checkSaid(t, describe(err))
			if n > len(said) {
				t.Fatal("more replies than bytes")
			}
			return
		}
	})
}

func checkSaid(t *testing.T, err error) {
	t.Helper()
	if s := err.Error(); len(s) > 2000 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u202e' }) {
		t.Errorf("it says %q", s)
	}
}

// FuzzAddress: what is taken for an address ends no line and leaves no bracket.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"cto@example.org", "a@b", "\"a b\"@example.org", "cto@example.org\r\nBcc: x@evil.example", "<cto@example.org>", "a@b>,<c@d", "ü@bücher.example", "a@[127.0.0.1]", "a@b@c", "@", "",
		"\"a\\\"b\"@x", "\"a>\"@x", "a@xn--\u202e", strings.Repeat("a", 250) + "@b", "a@b ORCPT=x", "\"\r\n\"@x", "a\xff@b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, smtputf8, err := address(s)
		if err != nil {
			if !errors.Is(err, router.ErrPermanent) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if strings.ContainsFunc(addr, unicode.IsControl) || !utf8.ValidString(addr) || smtputf8 == ascii(addr) {
			t.Fatalf("%q is %q, %v", s, addr, smtputf8)
		}
		if d := domain(addr); d == "" || strings.ContainsAny(d, " <>,;\"") {
			t.Errorf("%q is at %q", s, d)
		}
		// Whoever reads the command or the header sees one address, and the same.
		list, err := mail.ParseAddressList("<" + addr + ">")
		if err != nil || len(list) != 1 {
			t.Fatalf("%q is %q: %v", s, addr, err)
		}
		if again, _, err := address(addr); err != nil || again != addr {
			t.Errorf("%q is %q, and that %q: %v", s, addr, again, err)
		}
	})
}
