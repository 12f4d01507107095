package cli

import (
	"archive/zip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sitrep/app/apptest"
	"sitrep/e2e/rig"
)

const (
	hookQuery   = "hook-query-8d1f40"
	deadHook    = "http://127.0.0.1:1/services/dead-path-3a90c2?key=" + hookQuery
	hookBearer  = "hook-bearer-51c7d2"
	hookHeader  = "hook-header-9b04e6"
	witnessPath = "witness-path-3d5c17"
	brokenHook  = "ftp://hooks.example.org/broken-path-66f0aa"
	clearText   = "clear-text-password-1b22e9"
	wrongMail   = "wrong-mail-password-40ce1d"
	wrongToken  = "wrong-token-70adf3"
	wrongPasswd = "wrong-password-e88b15"
)

// TestSecretsAreShownNowhere lets a service with many secrets live a full life, with
// all that can go wrong, and looks for them wherever something is shown or kept.
func TestSecretsAreShownNowhere(t *testing.T) {
	mail, err := rig.NewMailServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mail.Off)
	hook, err := rig.NewHook()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hook.Close)
	config := strings.Replace(apptest.Organisation, "mail: {directory: outbox, from: Incident updates <incidents@example.org>}", `mail:
  smarthost: `+mail.Address+`
  from: Incident updates <incidents@example.org>
  username: `+rig.MailUser+`
  password_file: secrets/smtp
  tls_config: {ca_file: ca.pem}`, 1)
	config = strings.Replace(config, "    email: [support@example.org]\n", `    email: [support@example.org]
    webhooks:
      - {url_file: secrets/hook, secret_file: secrets/hook-key}
      - {url: '`+deadHook+`', http_config: {authorization: {credentials: `+hookBearer+`}, http_headers: {X-Key: {secrets: [`+hookHeader+`]}}}}
`, 1) + apptest.Access + `
evidence: {witness: {url: 'http://127.0.0.1:1/` + witnessPath + `?key=` + hookQuery + `', every: 1d}}
`
	s := newRunning(t, config, map[string]string{
		"ca.pem": mail.CA, "secrets/smtp": wrongMail, "secrets/hook": hook.URL + "?key=" + hookQuery, "secrets/hook-key": rig.HookSecret,
	})
	s.Start()

	var shown strings.Builder // all that anybody was answered
	ask := func(token, method, path, body string) string {
		code, text := s.Ask(token, method, path, body)
		shown.WriteString(method + " " + path + "\n" + text + unzipped(t, text) + "\n")
		if code >= 500 && path != "/-/reload" {
			t.Errorf("%s %s: %d %s", method, path, code, text)
		}
		return text
	}

	// The mail server refuses the password, and a webhook is dead.
	s.Alert("firing", "send", "a")
	s.Until("sending fails", func() bool {
		return strings.Contains(s.Log.String(), "the witness was not told") && strings.Contains(s.Log.String(), "535") && len(hook.Postings()) > 0
	})
	everything(s, ask)
	// With the right password it goes on.
	s.Write("secrets/smtp", rig.MailPassword)
	ask(apptest.AdminToken, "POST", "/-/reload", "")
	s.Until("a mail arrives", func() bool { return len(mail.To("support@example.org")) > 0 })
	hook.Answer(http.StatusGone)
	for _, step := range []struct{ path, body string }{
		{"/acknowledge", "{}"},
		{"/priority?preview=true", `{"priority":"P2","reason":"r"}`},
		{"/priority", `{"priority":"P2","reason":"r"}`},
		{"/updates", `{"message":"m"}`},
		{"/actions/hotfix", `{"state":"done"}`},
		{"/actions/postmortem", `{"state":"waived","reason":"r"}`},
		{"/resolve", `{"note":"n"}`},
		{"/close", `{}`},
	} {
		ask(apptest.ResponderToken, "POST", "/api/v1/incidents/INC-1"+step.path, step.body)
	}
	s.Until("the webhook is refused for good", func() bool {
		return strings.Contains(ask(apptest.ViewerToken, "GET", "/api/v1/deliveries?state=failed", ""), "127.0.0.1")
	})

	// Configurations that cannot be loaded.
	for _, broken := range []string{
		strings.Replace(config, deadHook, brokenHook, 1),
		strings.Replace(config, "password_file: secrets/smtp", "password: "+clearText, 1),
		strings.Replace(config, "secret_file: secrets/hook-key}", "secret: "+clearText+"}", 1),
		strings.Replace(config, deadHook, "https://"+clearText+"@hooks.example.org:x/broken-path-66f0aa", 1),
		strings.Replace(config, "token_file: secrets/viewer", "token: "+clearText, 1),
		config + "\n  }" + clearText,
	} {
		s.Write("sitrep.yml", broken)
		if text := ask(apptest.AdminToken, "POST", "/-/reload", ""); !strings.Contains(text, "stays in force") {
			t.Errorf("loaded: %s", text)
		}
		everything(s, ask)
		out, errOut, _ := (&shell{}).run("check", filepath.Join(s.Dir, "sitrep.yml"))
		shown.WriteString(out + errOut)
	}
	s.Write("sitrep.yml", config)
	ask(apptest.AdminToken, "POST", "/-/reload", "")

	// Those who do not get in.
	for _, path := range []string{"/", "/api/v1/incidents", "/alertmanager", "/metrics"} {
		ask(wrongToken, "GET", path, "")
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.Server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("ada", wrongPasswd)
		resp, err := s.Server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	everything(s, ask)
	for _, args := range [][]string{
		{"incident", "list"},
		{"incident", "show", "INC-1"},
		{"incident", "deliveries"},
		{"incident", "show", "INC-9"},
		{"-o", "json", "incident", "deliveries"},
		{"wiki", "--addresses", "--config.file", filepath.Join(s.Dir, "sitrep.yml")},
		{"check", filepath.Join(s.Dir, "sitrep.yml")},
	} {
		out, errOut, _ := s.responderShell().run(args...)
		shown.WriteString(out + errOut)
	}

	evidence := filepath.Join(s.Dir, "evidence.zip")
	for _, args := range [][]string{{"key"}, {"export", "--output", evidence}, {"verify", evidence, "--no-key"}, {"report"}} {
		shown.WriteString(s.auditor().says(ExitDone, "", args...))
	}
	ledgerKey := s.Key().Secret()

	hash, err := os.ReadFile(filepath.Join(s.Dir, "secrets", "ada"))
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	places := map[string]string{"what was answered": shown.String(), "the log": s.Log.String()}
	err = filepath.WalkDir(filepath.Join(s.Dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".key") {
			return err
		}
		raw, err := os.ReadFile(path)
		places[filepath.Base(path)] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mail.Mails() {
		places["a mail to "+m.To] += string(m.Raw)
	}
	for _, p := range hook.Postings() {
		places["a webhook"] += string(p.Body)
	}
	if len(places) < 5 || len(shown.String()) < 100_000 {
		t.Errorf("too little was looked at: %d places, %d bytes of answers", len(places), shown.Len())
	}
	u, _ := url.Parse(hook.URL)
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(rig.HookSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{
		apptest.ViewerToken, apptest.ResponderToken, apptest.AdminToken, apptest.ReceiverToken, apptest.AdaPassword, string(hash), rig.MailPassword, rig.HookSecret,
		strings.TrimPrefix(rig.HookSecret, "whsec_"), string(key), hex.EncodeToString(key), u.Path, "secret-part", "dead-path-3a90c2", hookQuery,
		"broken-path-66f0aa", witnessPath, hookBearer, hookHeader, ledgerKey, strings.SplitN(ledgerKey, "+", 5)[4], clearText, wrongMail, wrongToken, wrongPasswd,
		base64.StdEncoding.EncodeToString([]byte("\x00" + rig.MailUser + "\x00" + rig.MailPassword)),
		base64.StdEncoding.EncodeToString([]byte("\x00" + rig.MailUser + "\x00" + wrongMail)),
	}
	for place, text := range places {
		for _, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s shows %q: …%q…", place, secret, text[max(0, i-200):min(len(text), i+200)])
			}
		}
	}
	// Of a webhook, scheme and host are shown.
	if !strings.Contains(shown.String(), `"recipient":"http://127.0.0.1:1"`) {
		t.Error("the webhook's scheme and host are not shown")
	}
}

// unzipped returns what is in the files of an answer that is a zip.
func unzipped(t *testing.T, answer string) string {
	t.Helper()
	i := strings.Index(answer, "PK\x03\x04")
	if i < 0 || !strings.Contains(answer[:i], "application/zip") {
		return ""
	}
	raw := answer[i:]
	z, err := zip.NewReader(strings.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&all, r); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
	}
	return all.String()
}

// everything asks for all that can be read, with each delivery.
func everything(s *running, ask func(token, method, path, body string) string) {
	s.t.Helper()
	routes := apptest.Routes(s.t)
	var page struct {
		Deliveries []struct {
			ID string `json:"id"`
		} `json:"deliveries"`
	}
	_, body, _ := strings.Cut(ask(apptest.AdminToken, "GET", "/api/v1/deliveries", ""), "\r\n\n")
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		s.t.Fatalf("%v in %s", err, body)
	}
	for _, r := range routes {
		if r.Method != http.MethodGet {
			continue
		}
		path := strings.NewReplacer("{id}", "INC-1", "{name}", "hotfix", "{version}", "1").Replace(r.Path)
		if !strings.Contains(path, "{delivery}") {
			ask(apptest.AdminToken, "GET", path, "")
			continue
		}
		for _, d := range page.Deliveries {
			ask(apptest.AdminToken, "GET", strings.ReplaceAll(path, "{delivery}", d.ID), "")
		}
	}
	if !slices.ContainsFunc(routes, func(r apptest.Route) bool { return r.Path == "/api/v1/status" }) {
		s.t.Error("the status is not among the routes")
	}
}
