package cli

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sitrep/app/apptest"
	"sitrep/incident/incidentjson"
	"sitrep/internal/golden"
)

var (
	clockText = regexp.MustCompile(`(\w{3} \d{1,2} \w{3}( \d{4})?, )?\b\d{2}:\d{2}\b( UTC[+-]\d+| [A-Z]{3,4})?( \((now|in \w+|\w+ ago)\))?`)
	lasting   = regexp.MustCompile(`\(for [^)]*\)`)
	spaces    = regexp.MustCompile(` {2,}`)
	requestID = regexp.MustCompile(`\b[A-Z2-7]{26}\b`)
)

// steady returns an output without what differs from run to run: times, the width of
// columns, and the address.
func (s *running) steady(out string) string {
	out = strings.ReplaceAll(out, s.Server.URL, "http://sitrep.example.org")
	out = clockText.ReplaceAllStringFunc(out, func(t string) string {
		if strings.Contains(t, "(in ") {
			return "LATER"
		}
		return "TIME"
	})
	out = lasting.ReplaceAllString(out, "(for LONG)")
	return requestID.ReplaceAllString(spaces.ReplaceAllString(out, "  "), "ID")
}

// TestIncidentScripts runs the scripts in testdata/incident against a running service.
// Their lines are "$ sitrep …" as in [TestScripts], "$ alert STATUS SLO FINGERPRINT",
// and "$ stdin TEXT" for the command after it.
func TestIncidentScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/incident/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			head, script, found := strings.Cut(string(raw), "-- script --\n")
			if !found {
				t.Fatal(`no line "-- script --"`)
			}
			s := newRunning(t, apptest.Organisation+apptest.Access, nil)
			sh := s.responderShell()
			var got strings.Builder
			for line := range strings.Lines(script) {
				command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
				if !ok {
					continue
				}
				got.WriteString(line)
				words := wordsOf(command)
				switch words[0] {
				case "alert":
					s.Alert(words[1], words[2], words[3])
				case "stdin":
					sh.stdin = strings.Join(words[1:], " ") + "\n"
				case "sitrep":
					out, errOut, code := sh.run(words[1:]...)
					got.WriteString(s.steady(out + errOut))
					if code != ExitDone {
						got.WriteString("[exit " + string(rune('0'+code)) + "]\n")
					}
				default:
					t.Fatalf("no such line: %s", line)
				}
			}
			golden.Compare(t, name, []byte(head+"-- script --\n"+got.String()))
		})
	}
}

// wordsOf are the words of a command line; 'a b' is one.
func wordsOf(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

func TestJSONIsWhatTheAPIAnswers(t *testing.T) {
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	s.Alert("firing", "delay", "b")
	sh := s.responderShell()
	same := func(path string, args ...string) {
		t.Helper()
		out, errOut, code := sh.run(append([]string{"-o", "json", "incident"}, args...)...)
		if code != ExitDone || errOut != "" {
			t.Fatalf("%v: exit %d, %s", args, code, errOut)
		}
		_, body := s.Ask(apptest.ViewerToken, "GET", path, "")
		_, body, _ = strings.Cut(body, "\n\n")
		if got, want := canonical(t, out), canonical(t, strings.TrimSpace(body)); got != want && path != "" {
			t.Errorf("%v printed\n%s\nthe API answers\n%s", args, got, want)
		}
	}
	same("/api/v1/incidents", "list")
	same("/api/v1/incidents?priority=P2&team=notifications&slo=delay&q=DELAY&state=open",
		"list", "--priority", "P2", "--team=notifications", "--slo", "delay", "-q", "DELAY", "--state", "open")
	same("/api/v1/incidents/INC-1", "show", "1")
	same("/api/v1/incidents/INC-1/events", "events", "inc-1")
	same("/api/v1/incidents/INC-1/breaches", "breaches", "INC-1")
	same("/api/v1/deliveries", "deliveries")
	same("/api/v1/incidents/INC-2/deliveries?state=failed", "deliveries", "INC-2", "--state", "failed")
	same("/api/v1/deliveries?group=notifications&kind=opened&channel=email&from=2020-01-01&to=2100-01-01T00:00:00Z&recipient=notifications-oncall@example.org",
		"deliveries", "--group", "notifications", "--kind=opened", "--channel", "email", "--from", "2020-01-01", "--to", "2100-01-01T00:00:00Z", "--recipient", "notifications-oncall@example.org")

	out, _, _ := sh.run("incident", "priority", "INC-1", "P2", "--reason", "one region", "-ojson")
	var in incidentjson.Incident
	if err := json.Unmarshal([]byte(out), &in); err != nil || in.Priority != "P2" {
		t.Errorf("printed %s: %v", out, err)
	}
	out, _, _ = sh.run("incident", "priority", "INC-1", "P1", "--reason", "all regions", "--output=json", "--preview")
	if !strings.Contains(out, `"joins"`) || strings.Contains(out, `"sequence"`) {
		t.Errorf("preview printed %s", out)
	}
	out, errOut, code := sh.run("incident", "list", "--limit", "1")
	if code != ExitDone || strings.Count(out, "\n") != 2 || !strings.Contains(errOut, "--limit=0 lists all") {
		t.Errorf("printed %s and %s", out, errOut)
	}
}

func canonical(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestALostAnswerMakesNoSecondCommand: the connection ends after sitrep has done it and
// before the answer is there.
func TestALostAnswerMakesNoSecondCommand(t *testing.T) {
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	var lose atomic.Int64
	lossy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		s.Server.Config.Handler.ServeHTTP(rec, r)
		if lose.Add(-1) >= 0 {
			panic(http.ErrAbortHandler)
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	defer lossy.Close()
	sh := s.responderShell()
	sh.vars["SITREP_URL"] = lossy.URL
	lose.Store(2)
	out, errOut, code := sh.run("incident", "update", "INC-1", "We know the cause.")
	if code != ExitDone {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	updates := func() int {
		_, events := s.Ask(apptest.ViewerToken, "GET", "/api/v1/incidents/INC-1/events", "")
		return strings.Count(events, "update_written")
	}
	if n := updates(); n != 1 {
		t.Errorf("%d updates", n)
	}
	lose.Store(1000)
	_, errOut, code = sh.run("incident", "update", "INC-1", "A fix is on its way.")
	m := regexp.MustCompile(`not known whether this was done: .*--key=(\w+)`).FindStringSubmatch(errOut)
	if code != ExitFailed || m == nil {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	lose.Store(0)
	if _, errOut, code = sh.run("incident", "update", "INC-1", "A fix is on its way.", "--key", m[1]); code != ExitDone {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	if n := updates(); n != 2 {
		t.Errorf("%d updates", n)
	}
}

// TestConnections: where sitrep is and who asks can be said in many ways.
func TestConnections(t *testing.T) {
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	secure := httptest.NewUnstartedServer(s.Server.Config.Handler)
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	s.Write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	s.Write("password", apptest.AdaPassword+"\n")
	s.Write("wrong", "wrong-token-0815\n")
	s.Write("empty", "\n")
	s.Write("xdg/sitrep/cli.yml", "url: "+secure.URL+"\ntoken_file: ../../secrets/viewer\ntls_config: {ca_file: ../../ca.pem}\n")
	s.Write("home/.config/sitrep/cli.yml", "url: "+s.Server.URL+"\nbasic_auth: {username: ada, password_file: ../../../password}\n")
	s.Write("typo.yml", "urls: x\n")
	s.Write("both.yml", "token_file: password\nbasic_auth: {username: ada, password_file: password}\n")
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	for _, tt := range []struct {
		name string
		env  map[string]string
		args []string
		code int
		want string // in either output
	}{
		{"a token file", nil, []string{"--url", s.Server.URL, "--token-file", file("secrets/viewer")}, 0, "No incidents."},
		{"the environment", map[string]string{"SITREP_URL": s.Server.URL + "/", "SITREP_TOKEN": apptest.ViewerToken}, nil, 0, "No incidents."},
		{
			"flags go before the environment",
			map[string]string{"SITREP_URL": "http://127.0.0.1:1", "SITREP_TOKEN": "x"},
			[]string{"--url", s.Server.URL, "--token-file", file("secrets/viewer")},
			0, "No incidents.",
		},
		{"a file of settings with TLS", map[string]string{"XDG_CONFIG_HOME": file("xdg")}, nil, 0, "No incidents."},
		{"the environment goes before the file", map[string]string{"XDG_CONFIG_HOME": file("xdg"), "SITREP_TOKEN": "wrong-token-0815"}, nil, 1, "the token is not known here"},
		{"a file of settings at home with basic auth", map[string]string{"HOME": file("home")}, nil, 0, "No incidents."},
		{"a file of settings that is named", nil, []string{"--cli.config", file("xdg/sitrep/cli.yml")}, 0, "No incidents."},
		{"one that is not there", nil, []string{"--cli.config", file("none.yml")}, 1, "no such file"},
		{"a typo in one", nil, []string{"--cli.config", file("typo.yml")}, 1, "field urls not found"},
		{"two ways to log in", nil, []string{"--cli.config", file("both.yml")}, 1, "token_file and basic_auth: use one of them"},
		{"user and password", nil, []string{"--url", s.Server.URL, "--user", "ada", "--password-file", file("password")}, 0, "No incidents."},
		{"a user without password", nil, []string{"--url", s.Server.URL, "--user", "ada"}, 2, "--user needs --password-file"},
		{"a user and a token", nil, []string{"--url", s.Server.URL, "--user", "ada", "--password-file", file("password"), "--token-file", file("wrong")}, 2, "use one of them"},
		{"TLS with a CA", nil, []string{"--url", secure.URL, "--tls.ca-file", file("ca.pem"), "--token-file", file("secrets/viewer")}, 0, "No incidents."},
		{"TLS with an unknown CA", nil, []string{"--url", secure.URL, "--token-file", file("secrets/viewer")}, 1, "certificate signed by unknown authority"},
		{"TLS not verified", nil, []string{"--url", secure.URL, "--tls.insecure-skip-verify", "--token-file", file("secrets/viewer")}, 0, "No incidents."},
		{"plain HTTP to a port with TLS", nil, []string{"--url", strings.Replace(secure.URL, "https", "http", 1)}, 1, "which is no answer of sitrep's API; look at the URL"},
		{"no token", nil, []string{"--url", s.Server.URL}, 1, "send a token as Authorization: Bearer; give it with --token-file, SITREP_TOKEN, or --user"},
		{"a wrong token", nil, []string{"--url", s.Server.URL, "--token-file", file("wrong")}, 1, "the token is not known here"},
		{"an empty token", nil, []string{"--url", s.Server.URL, "--token-file", file("empty")}, 1, "is empty"},
		{"no token file", nil, []string{"--url", s.Server.URL, "--token-file", file("none")}, 1, "no such file"},
		{"not a URL", nil, []string{"--url", "sitrep.example.org"}, 2, "write it as https://sitrep.example.org"},
		{"nobody listens", nil, []string{"--url", "http://127.0.0.1:1"}, 1, "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sh := &shell{vars: tt.env}
			// The flags stand before the command.
			out, errOut, code := sh.run(append(slices.Clone(tt.args), "incident", "list")...)
			if code != tt.code || !strings.Contains(out+errOut, tt.want) {
				t.Errorf("exit %d, want %d with %q:\n%s%s", code, tt.code, tt.want, out, errOut)
			}
			if strings.Contains(out+errOut, "wrong-token") || strings.Contains(out+errOut, apptest.AdaPassword) {
				t.Errorf("a secret is shown: %s%s", out, errOut)
			}
		})
	}
}

func TestHintsAreOpenIncidents(t *testing.T) {
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	s.Alert("firing", "delay", "b")
	c := &incidentCLI{env: Environment{Getenv: func(name string) string { return s.responderShell().vars[name] }}}
	if got := c.hints(); !slices.Equal(got, []string{"INC-2", "INC-1"}) {
		t.Errorf("hints = %v", got)
	}
	c.env.Getenv = func(string) string { return "" }
	c.connection.url = "http://127.0.0.1:1"
	if got := c.hints(); got != nil {
		t.Errorf("hints without a server = %v", got)
	}
}
