package email

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"

	"sitrep/router"
	"sitrep/router/email/mailtest"
)

// TestLogInBehaviours: how servers let one log in, and by what that succeeds.
func TestLogInBehaviours(t *testing.T) {
	const password = "correct horse"
	long := strings.Repeat("t", 1500)
	by := func(mechanisms ...string) mailtest.Auth { return mailtest.Auth{Mechanisms: mechanisms} }
	with := func(a mailtest.Auth, change func(*mailtest.Auth)) mailtest.Auth { change(&a); return a }
	for _, tc := range []struct {
		name     string
		auth     mailtest.Auth
		at       map[string]string
		password string
		tokens   []string // got one after the other
		good     string   // the token that is taken
		want     []string // by what
		err      string
	}{
		{name: "PLAIN", auth: by("LOGIN", "PLAIN"), want: []string{"PLAIN"}},
		{name: "LOGIN", auth: by("LOGIN"), want: []string{"LOGIN"}},
		{name: "only the old line AUTH=LOGIN", auth: with(by("LOGIN"), func(a *mailtest.Auth) { a.OldLine = true }), want: []string{"LOGIN"}},
		{name: "PLAIN is offered and refused, LOGIN works", auth: with(by("PLAIN", "LOGIN"), func(a *mailtest.Auth) { a.Refused = []string{"PLAIN"} }), want: []string{"LOGIN"}},
		{name: "prompts that are no base64", auth: with(by("LOGIN"), func(a *mailtest.Auth) { a.Prompts = []string{"Username:", "Password:"} }), want: []string{"LOGIN"}},
		{name: "prompts that say nothing", auth: with(by("LOGIN"), func(a *mailtest.Auth) { a.Prompts = []string{"", ""} }), want: []string{"LOGIN"}},
		{name: "PLAIN in two lines alone", auth: with(by("PLAIN"), func(a *mailtest.Auth) { a.TwoLines = true }), want: []string{"PLAIN"}},
		{name: "a wrong password", auth: by("PLAIN", "LOGIN"), password: "hunter2", err: `log in as "incidents" by LOGIN: 535 5.7.8 name or password is wrong`},
		{name: "a server that repeats what it refuses", auth: by("PLAIN"), at: map[string]string{"AUTH": "535 5.7.8 bad " + encoded("\x00incidents\x00"+password)}, err: "bad <secret>"},
		{name: "it hangs up on a log-in", auth: by("PLAIN"), at: map[string]string{"AUTH": "cut"}, err: "AUTH: the connection was closed"},
		{name: "a log-in that is refused for now", auth: by("PLAIN", "LOGIN"), at: map[string]string{"AUTH": "454 4.7.0 later"}, err: `by PLAIN: 454 4.7.0 later`},
		{name: "tokens alone", auth: by("XOAUTH2"), err: "use oauth2 instead of password_file"},
		{name: "nothing that we speak", auth: by("NTLM"), err: "NTLM"},
		{name: "no log-in at all", auth: by(), err: "it offers no log-in (AUTH)"},

		{name: "a token", auth: by("LOGIN", "XOAUTH2"), tokens: []string{"one"}, good: "one", want: []string{"XOAUTH2"}},
		{name: "a long token, on a line of its own", auth: by("XOAUTH2"), tokens: []string{long}, good: long, want: []string{"XOAUTH2"}},
		{name: "a token that is refused", auth: by("XOAUTH2"), tokens: []string{"one"}, good: "two", err: `535 5.7.8 the token is not accepted (status 401, scope "https://mail.example.org/")`},
		{name: "a long token that is refused", auth: by("XOAUTH2"), tokens: []string{long}, good: "two", err: `(status 401, scope "https://mail.example.org/")`},
		{name: "a server that repeats a token", auth: by("XOAUTH2"), tokens: []string{"a-token-to-be-hidden"}, at: map[string]string{"AUTH": "535 a-token-to-be-hid"}, err: "535 <secret>"},
		{name: "no token to be had", auth: by("XOAUTH2"), err: "get a token: the token server is away", tokens: []string{}},
		{name: "a token where only passwords are taken", auth: by("PLAIN", "LOGIN"), tokens: []string{"one"}, err: "use password_file instead of oauth2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cert, roots := certificate(t)
			tc.auth.Required = true
			tc.auth.Logins = map[string]string{"incidents": password}
			tc.auth.Token = func(user, token string) bool { return user == "incidents" && token == tc.good }
			server := behave(t, mailtest.Behaviour{Auth: tc.auth, At: tc.at, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
			s := client(t, server.addr, func(c *Config) {
				c.TLS, c.TLSConfig = StartTLS, &tls.Config{RootCAs: roots}
				c.Username = "incidents"
				c.Password = func() string {
					if tc.password != "" {
						return tc.password
					}
					return password
				}
				if tc.tokens != nil {
					c.Token = func(context.Context, string) (string, error) {
						if len(tc.tokens) == 0 {
							return "", errors.New("the token server is away")
						}
						return tc.tokens[0], nil
					}
				}
			})
			err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if got := server.LogIns(); !slices.Equal(got, tc.want) || len(server.Mails()) != len(tc.want) {
				t.Errorf("logged in by %v, %d mails, want %v", got, len(server.Mails()), tc.want)
			}
			if err == nil {
				return
			}
			if errors.Is(err, router.ErrPermanent) || errors.Is(err, router.ErrUnknown) {
				t.Errorf("%v is final or unknown", err)
			}
			for _, secret := range append([]string{password, "hunter2", encoded("\x00incidents\x00" + password), "a-token"}, tc.tokens...) {
				if len(secret) > 4 && strings.Contains(err.Error(), secret) {
					t.Errorf("%v shows a secret", err)
				}
			}
		})
	}
}

// What worked is tried first the next time, so that no log-in is refused needlessly.
func TestLogInRemembersWhatWorks(t *testing.T) {
	server := behave(t, mailtest.Behaviour{
		PerConnection: 1, Beyond: "421 no more",
		Auth: mailtest.Auth{Mechanisms: []string{"PLAIN", "LOGIN"}, Refused: []string{"PLAIN"}, Clear: true, Required: true},
	})
	s := client(t, server.addr, func(c *Config) { c.Username, c.Password = mailtest.User, func() string { return mailtest.Password } })
	for range 3 {
		if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
			t.Fatal(err)
		}
	}
	plains := 0
	for _, line := range server.Lines() {
		if strings.HasPrefix(line, "AUTH PLAIN") {
			plains++
		}
	}
	// Refused in one line, and in two.
	if plains != 2 || len(server.Mails()) != 3 {
		t.Errorf("PLAIN was tried %d times for %d mails, want twice, at the first log-in", plains, len(server.Mails()))
	}
}

// A token that was refused is not shown again: another is asked for.
func TestATokenThatWasRefusedIsReplaced(t *testing.T) {
	server := behave(t, mailtest.Behaviour{Auth: mailtest.Auth{
		Mechanisms: []string{"XOAUTH2"}, Clear: true, Required: true,
		Token: func(_, token string) bool { return token == "second" },
	}})
	var refused []string
	s := client(t, server.addr, func(c *Config) {
		c.Username = mailtest.User
		c.Token = func(_ context.Context, before string) (string, error) {
			refused = append(refused, before)
			if before == "first" {
				return "second", nil
			}
			return "first", nil
		}
	})
	if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err == nil {
		t.Fatal("the first token was taken")
	}
	if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(refused, []string{"", "first"}) {
		t.Errorf("asked with %q", refused)
	}
}

// The password is asked at each log-in, so that a new one needs no reload.
func TestThePasswordMayChange(t *testing.T) {
	server := behave(t, mailtest.Behaviour{Auth: mailtest.Auth{Mechanisms: []string{"PLAIN"}, Clear: true, Required: true}})
	password := "old"
	s := client(t, server.addr, func(c *Config) { c.Username, c.Password = mailtest.User, func() string { return password } })
	if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err == nil {
		t.Fatal("the old password was taken")
	}
	password = mailtest.Password
	if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
		t.Fatal(err)
	}
}
