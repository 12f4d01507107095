package app

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
	"sitrep/router/email"
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
		{
			"a name and an envelope", ", hello_name: sitrep.example.org, envelope_from: bounces@example.org, rate: 30/m, timeout: 1m, connections: 2",
			mailtest.Behaviour{},
			"EHLO sitrep.example.org", "bounces@example.org", nil,
		},
		{"a password", ", username: incidents, password_file: smtp", mailtest.Behaviour{Auth: by("PLAIN")}, "", "incidents@example.org", []string{"PLAIN"}},
		{
			"TLS from the first byte", ", username: incidents, password_file: smtp, tls: implicit",
			mailtest.Behaviour{Auth: by("PLAIN"), Implicit: true},
			"",
			"incidents@example.org",
			[]string{"PLAIN"},
		},
		{"Exchange Online", ", username: incidents, oauth2: {client_id: sitrep, client_secret_file: secret, token_url: '" + tokens.URL +
			"', scopes: ['https://outlook.office365.com/.default']}", mailtest.Behaviour{Auth: by("LOGIN", "XOAUTH2")}, "", "incidents@example.org", []string{"XOAUTH2"}},
		{
			"Gmail", ", username: incidents, oauth2: {client_id: incidents, iss: robot@project.iam.gserviceaccount.com, client_certificate_key_file: key, token_url: '" + tokens.URL +
				"', grant_type: '" + string(config.JWTBearer) + "', scopes: ['https://mail.google.com/']}",
			mailtest.Behaviour{Auth: by("LOGIN", "PLAIN", "XOAUTH2")},
			"",
			"incidents@example.org",
			[]string{"XOAUTH2"},
		},
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
			sends, err := NewMail(c.Mail, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer sends.Close()
			body, err := sends.Letterhead.RenderNote(email.Note{ID: "a", To: netmail.Address{Address: "cto@example.org"}, Subject: "a note", Text: "text", Language: "en", At: now()})
			if err != nil {
				t.Fatal(err)
			}
			e := router.Envelope{ID: "a", Recipient: incident.Recipient{Channel: incident.ChannelEmail, Address: "cto@example.org"}, Body: body}
			if err := sends.Send(t.Context(), e, func(context.Context) error { return nil }); err != nil {
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
			if sends.Letterhead.ListID != "incidents.example.org" {
				t.Errorf("List-Id %q", sends.Letterhead.ListID)
			}
		})
	}
}
