package config_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/config"
)

// mailed loads a config whose mail section has those keys beside those that it needs.
func mailed(t *testing.T, keys string, files map[string]string) (*config.Mail, string) {
	t.Helper()
	all := map[string]string{"sitrep.yml": "priorities: [{name: P1}]\nmail: {smarthost: 'smtp.example.org:587', from: a@example.org" + keys + "}\n"}
	for name, text := range files {
		all[name] = text
	}
	path := write(t, all)
	return load(t, path).Mail, filepath.Dir(path)
}

func TestMailRate(t *testing.T) {
	for text, want := range map[string]config.Rate{
		"30/m": {Mails: 30, Per: time.Minute}, "1/s": {Mails: 1, Per: time.Second}, "10000/h": {Mails: 10000, Per: time.Hour},
	} {
		m, _ := mailed(t, ", rate: "+text, nil)
		if m.Rate != want || m.Rate.String() != text {
			t.Errorf("%s is %+v, written %s", text, m.Rate, m.Rate)
		}
	}
	if m, _ := mailed(t, "", nil); m.Rate != (config.Rate{}) || m.Connections != 8 || m.Timeout != nil {
		t.Errorf("by default %+v", m)
	}
}

// TestPasswordIsReadAgain: a new password needs no reload, and one that is being written
// does no harm.
func TestPasswordIsReadAgain(t *testing.T) {
	m, dir := mailed(t, ", username: a, password_file: smtp", map[string]string{"smtp": "\ufeffold password \t\r\n"})
	file := filepath.Join(dir, "smtp")
	for _, step := range []struct{ text, want string }{
		{"", "old password"}, {"new\n", "new"}, {"two\nlines", "old password"}, {"${PASSWORD}", "old password"}, {"\ufeffnewer", "newer"},
	} {
		if err := os.WriteFile(file, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := string(m.CurrentPassword()); got != step.want {
			t.Errorf("with %q in the file it is %q, want %q", step.text, got, step.want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := string(m.CurrentPassword()); got != "old password" || string(m.Password) != got {
		t.Errorf("without the file it is %q", got)
	}
}

// TestMailTokens: a token is got once, and anew once it was refused or the secret has
// changed.
func TestMailTokens(t *testing.T) {
	var asked []string
	tokens := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, secret, _ := r.BasicAuth()
		asked = append(asked, secret)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token": "token` + strings.Repeat("+", len(asked)) + `", "token_type": "Bearer", "expires_in": 3600}`))
	})
	m, dir := mailed(t, ", username: a, oauth2: {client_id: sitrep, client_secret_file: secret, token_url: '"+tokens.URL+"'}", map[string]string{"secret": "one"})
	source, err := m.OAuth2.Tokens()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ secret, refused, want string }{
		{"one", "", "token+"}, {"one", "", "token+"}, {"one", "another", "token+"}, {"one", "token+", "token++"}, {"two\n", "", "token+++"}, {"two", "", "token+++"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(step.secret), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := source.AccessToken(t.Context(), step.refused); err != nil || got != step.want {
			t.Errorf("by secret %q, after %q was refused: %q, %v, want %q", step.secret, step.refused, got, err, step.want)
		}
	}
	if got := strings.Join(asked, " "); got != "one one two" {
		t.Errorf("asked by %s", got)
	}
}
