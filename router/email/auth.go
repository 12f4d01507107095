package email

import (
	"context"
	"crypto/hmac"
	"crypto/md5" // CRAM-MD5 is what some servers offer; it only runs inside TLS
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// login identifies this side by PLAIN, LOGIN or CRAM-MD5, whichever the server
// offers first in this order. It refuses to where others could listen.
func (c *conn) login(ctx context.Context, username, password string) error {
	if !c.encrypted && !loopback(c.net.RemoteAddr()) {
		return errors.New("log-in needs TLS: use tls: starttls or implicit")
	}
	offered, ok := c.extensions["AUTH"]
	if !ok {
		return errors.New("it offers no log-in (AUTH), but a username is set")
	}
	mechanisms := strings.Fields(strings.ToUpper(offered))
	var answers []func(challenge []byte) []byte
	first := ""
	text := func(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		first = "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+username+"\x00"+password))
	case slices.Contains(mechanisms, "LOGIN"):
		first = "AUTH LOGIN"
		answers = append(answers, text(username), text(password))
	case slices.Contains(mechanisms, "CRAM-MD5"):
		first = "AUTH CRAM-MD5"
		answers = append(answers, func(challenge []byte) []byte {
			mac := hmac.New(md5.New, []byte(password))
			mac.Write(challenge)
			return []byte(username + " " + hex.EncodeToString(mac.Sum(nil)))
		})
	default:
		return fmt.Errorf("it offers none of PLAIN, LOGIN and CRAM-MD5 to log in, only %q", strings.Join(mechanisms, " "))
	}
	code, lines, err := c.command(ctx, "AUTH", first)
	for _, answer := range answers {
		if err != nil || code != 334 {
			break
		}
		challenge, bad := base64.StdEncoding.DecodeString(lines[0])
		if bad != nil {
			return errors.New("AUTH: the server's question is not base64")
		}
		code, lines, err = c.command(ctx, "AUTH", base64.StdEncoding.EncodeToString(answer(challenge)))
	}
	if err != nil {
		return err
	}
	if code != 235 {
		return refused(fmt.Sprintf("log in as %q", username), code, lines)
	}
	return nil
}

func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
