package cli

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/router/email/mailtest"
)

// TestMailTest: each step is shown, without what is secret, and what to change if it fails.
func TestMailTest(t *testing.T) {
	cert, ca, err := mailtest.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	with := func(b mailtest.Behaviour) mailtest.Behaviour {
		b.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		return b
	}
	step := func(step, act string) mailtest.Behaviour {
		return with(mailtest.Behaviour{At: map[string]string{step: act}})
	}
	const login = ", username: incidents, password_file: smtp"
	for _, tt := range []struct {
		name, keys string
		server     mailtest.Behaviour
		out        []string // what is shown, in that order
		advice     string   // of the error; empty: none
	}{
		{
			"it is taken", login, with(mailtest.Behaviour{Auth: mailtest.Auth{Mechanisms: []string{"PLAIN"}}}),
			[]string{
				"   connected to 127.0.0.1:", "<- 220 ", "-> EHLO ", "-> STARTTLS", "   encrypted by TLS", "-> AUTH PLAIN <secret>", "<- 235 ", "-> MAIL FROM:<incidents@example.org>",
				"-> RCPT TO:<ada@example.org>", "-> DATA", "-> .", "<- 250 2.0.0 taken", "sent to ada@example.org: the mail server took it",
			},
			"",
		},
		{
			"a wrong password", login, with(mailtest.Behaviour{Auth: mailtest.Auth{Mechanisms: []string{"PLAIN"}, Logins: map[string]string{}}}),
			[]string{"-> AUTH PLAIN <secret>", "<- 535 "},
			"look at username and password_file",
		},
		{"it wants a log-in", "", with(mailtest.Behaviour{Auth: mailtest.Auth{Mechanisms: []string{"PLAIN"}, Required: true}}), []string{"<- 530 "}, "add username and password_file"},
		{"it does not relay", "", step("RCPT", "550 5.7.1 relaying denied"), []string{"<- 550 5.7.1"}, "have it allow this host to relay"},
		{"no such address", "", step("RCPT", "550 5.1.1 no such user"), []string{"<- 550 5.1.1"}, "look whether it is spelled right"},
		{"no such sender", "", step("MAIL", "553 5.7.1 not your address"), []string{"<- 553"}, "look at from and envelope_from"},
		{"a name that it does not like", "", step("EHLO", "550 5.7.1 who?"), []string{"<- 550"}, "set hello_name"},
		{"TLS from the first byte, where there is none", ", tls: implicit", with(mailtest.Behaviour{}), nil, "use tls: starttls"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := mailtest.New(tt.server)
			if err := server.Listen("127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			dir := t.TempDir()
			for name, text := range map[string]string{
				"ca.pem": ca, "smtp": mailtest.Password,
				"sitrep.yml": "priorities: [{name: P1}]\nmail: {smarthost: '" + server.Addr() + "', from: incidents@example.org, tls_config: {ca_file: ca.pem}" + tt.keys + "}\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			env := Environment{Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out}
			err := run(t.Context(), []string{"mail", "test", "--config.file=" + filepath.Join(dir, "sitrep.yml"), "--to=Ada <ada@example.org>"}, env)
			if tt.advice == "" && err != nil || tt.advice != "" && (err == nil || !strings.Contains(err.Error(), "what to change: ") || !strings.Contains(err.Error(), tt.advice)) {
				t.Errorf("error %v, want one that advises %q", err, tt.advice)
			}
			rest := out.String()
			for _, want := range tt.out {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("%q is not shown, or not in its place:\n%s", want, out.String())
				}
				rest = after
			}
			if strings.Contains(out.String(), "AGluY2lkZW50c") {
				t.Errorf("the password is shown:\n%s", out.String())
			}
			if got := len(server.Mails()); got != 1 && tt.advice == "" {
				t.Errorf("%d mails were taken", got)
			}
		})
	}
}
