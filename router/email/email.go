// Package email renders messages as mails, and hands them over by SMTP or as
// files.
//
// A mail is composed and checked as a whole in memory before any of it goes out.
// What strangers wrote (labels, annotations, words of people) is never a header,
// but for the use case in the subject, and never raw HTML. The connection, its
// time limits, the policy for TLS and the transaction are this package's own: half
// a mail is never accepted, and of each attempt it is known whether it surely
// failed, is final, or may have succeeded.
package email

import (
	"encoding/binary"
	"fmt"
	"net/mail"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"sitrep/router"
)

// address returns the form of an email address that goes into a header or a
// command, and whether it needs SMTPUTF8. Nothing that could end a line or leave
// angle brackets passes; the domain is turned to ASCII where it can be. The error
// wraps router.ErrPermanent.
func address(s string) (addr string, utf8 bool, err error) {
	bad := func(why string) error {
		return fmt.Errorf("address %q: %s: %w", s, why, router.ErrPermanent)
	}
	if len(s) > 254 {
		return "", false, bad("longer than 254 bytes")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return "", false, bad("control characters")
	}
	parsed, err := mail.ParseAddress("<" + s + ">")
	if err != nil {
		return "", false, bad("not an email address")
	}
	i := strings.LastIndexByte(parsed.Address, '@')
	local, domain := parsed.Address[:i], parsed.Address[i+1:]
	if !ascii(domain) {
		if domain, err = idna.Lookup.ToASCII(domain); err != nil {
			return "", false, bad("its domain is not valid")
		}
	}
	addr = (&mail.Address{Address: local + "@" + domain}).String()
	addr = addr[1 : len(addr)-1]
	return addr, !ascii(addr), nil
}

// domain is what follows the @ of an address.
func domain(addr string) string { return addr[strings.LastIndexByte(addr, '@')+1:] }

func ascii(s string) bool { return isASCII([]byte(s)) }

// isASCII looks at eight bytes at once, as there may be many.
func isASCII(b []byte) bool {
	const high = 0x80
	for ; len(b) >= 8; b = b[8:] {
		if binary.NativeEndian.Uint64(b)&(high*0x0101010101010101) != 0 {
			return false
		}
	}
	for _, c := range b {
		if c >= high {
			return false
		}
	}
	return true
}
