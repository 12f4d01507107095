package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/email/mailtest"
)

// TestMailServersAreSpokenToAsConfigured: each key of the mail section reaches the server,
// and those that take tokens alone, as Exchange Online and Gmail do, get one from a token
// server.
func TestMailServersAreSpokenToAsConfigured(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keyText := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, secret, _ := r.BasicAuth()
		claims := jwt.MapClaims{}
		switch r.PostFormValue("grant_type") {
		case "client_credentials":
			if secret != "s3cret" || r.PostFormValue("scope") != "https://outlook.office365.com/.default" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		case string(config.JWTBearer):
			_, err := jwt.ParseWithClaims(r.PostFormValue("assertion"), claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil })
			if err != nil || claims["sub"] != mailtest.User || claims["iss"] != "robot@project.iam.gserviceaccount.com" || claims["scope"] != "https://mail.google.com/" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}`)
	}))
	defer tokens.Close()
	cert, ca, err := mailtest.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	by := func(mechanisms ...string) mailtest.Auth {
		return mailtest.Auth{Mechanisms: mechanisms, Required: true, Token: func(user, token string) bool { return user == mailtest.User && token == "t0ken" }}
	}
	for _, tt := range []struct {
		name, keys string
		server     mailtest.Behaviour
		hello      string // part of what the server is to hear
		from       string
		by         []string
	}{
		{"without a log-in", "", mailtest.Behaviour{}, "EHLO ", "incidents@example.org", nil},
		{"a name and an envelope", ", hello_name: sitrep.example.org, envelope_from: bounces@example.org, rate: 30/m, timeout: 1m, connections: 2", mailtest.Behaviour{},
			"EHLO sitrep.example.org", "bounces@example.org", nil},
		{"a password", ", username: incidents, password_file: smtp", mailtest.Behaviour{Auth: by("PLAIN")}, "", "incidents@example.org", []string{"PLAIN"}},
		{"TLS from the first byte", ", username: incidents, password_file: smtp, tls: implicit", mailtest.Behaviour{Auth: by("PLAIN"), Implicit: true}, "",
			"incidents@example.org", []string{"PLAIN"}},
		{"Exchange Online", ", username: incidents, oauth2: {client_id: sitrep, client_secret_file: secret, token_url: '" + tokens.URL +
			"', scopes: ['https://outlook.office365.com/.default']}", mailtest.Behaviour{Auth: by("LOGIN", "XOAUTH2")}, "", "incidents@example.org", []string{"XOAUTH2"}},
		{"Gmail", ", username: incidents, oauth2: {client_id: incidents, iss: robot@project.iam.gserviceaccount.com, client_certificate_key_file: key, token_url: '" + tokens.URL +
			"', grant_type: '" + string(config.JWTBearer) + "', scopes: ['https://mail.google.com/']}", mailtest.Behaviour{Auth: by("LOGIN", "PLAIN", "XOAUTH2")}, "",
			"incidents@example.org", []string{"XOAUTH2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			server := mailtest.New(tt.server)
			if err := server.Listen("127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			dir := t.TempDir()
			for name, text := range map[string]string{
				"ca.pem": ca, "smtp": mailtest.Password + "\r\n", "secret": "s3cret", "key": string(keyText),
				"sitrep.yml": "priorities: [{name: P1}]\nmail: {smarthost: '" + server.Addr() + "', from: Updates <incidents@example.org>, list_id: incidents.example.org, tls_config: {ca_file: ca.pem}" +
					tt.keys + "}\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := config.Load(filepath.Join(dir, "sitrep.yml"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := newInForce(c, "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			body, err := f.letterhead.RenderNote("a", netmail.Address{Address: "cto@example.org"}, "a note", "text", now())
			if err != nil {
				t.Fatal(err)
			}
			e := router.Envelope{ID: "a", Recipient: incident.Recipient{Channel: incident.Email, Address: "cto@example.org"}, Body: body}
			if err := f.mail.Send(t.Context(), e, func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
			mails := server.Mails()
			if len(mails) != 1 || mails[0].From != tt.from || mails[0].To != "cto@example.org" || !mails[0].TLS || string(mails[0].Body) != string(body) {
				t.Errorf("taken: %+v", mails)
			}
			if got := server.LogIns(); !slices.Equal(got, tt.by) {
				t.Errorf("logged in by %v, want %v", got, tt.by)
			}
			if said := strings.Join(server.Lines(), "\n"); !strings.Contains(said, tt.hello) {
				t.Errorf("the server heard\n%s", said)
			}
			if f.letterhead.ListID != "incidents.example.org" {
				t.Errorf("List-Id %q", f.letterhead.ListID)
			}
		})
	}
}

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
		{"it is taken", login, with(mailtest.Behaviour{Auth: mailtest.Auth{Mechanisms: []string{"PLAIN"}}}),
			[]string{"   connected to 127.0.0.1:", "<- 220 ", "-> EHLO ", "-> STARTTLS", "   encrypted by TLS", "-> AUTH PLAIN <secret>", "<- 235 ", "-> MAIL FROM:<incidents@example.org>",
				"-> RCPT TO:<ada@example.org>", "-> DATA", "-> .", "<- 250 2.0.0 taken", "sent to ada@example.org: the mail server took it"}, ""},
		{"a wrong password", login, with(mailtest.Behaviour{Auth: mailtest.Auth{Mechanisms: []string{"PLAIN"}, Logins: map[string]string{}}}),
			[]string{"-> AUTH PLAIN <secret>", "<- 535 "}, "look at username and password_file"},
		{"it wants a log-in", "", with(mailtest.Behaviour{Auth: mailtest.Auth{Mechanisms: []string{"PLAIN"}, Required: true}}), []string{"<- 530 "}, "add username and password_file"},
		{"it does not relay", "", step("RCPT", "550 5.7.1 relaying denied"), []string{"<- 550 5.7.1"}, "have it allow this host to relay"},
		{"no such address", "", step("RCPT", "550 5.1.1 no such user"), []string{"<- 550 5.1.1"}, "look at --to"},
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
			env := environment{getenv: func(string) string { return "" }, stdin: strings.NewReader(""), stdout: &out, stderr: &out}
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
