package cli

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/app/apptest"
	"sitrep/audit"
	"sitrep/ledger"
)

// An auditor gives command lines, and looks at what they print.
type auditor struct {
	*shell
	t *testing.T
}

// auditor asks the service as an admin.
func (s *running) auditor() *auditor {
	return &auditor{&shell{vars: map[string]string{"SITREP_URL": s.Server.URL, "SITREP_TOKEN": apptest.AdminToken}}, s.t}
}

// says gives a command line and checks its exit code, and that both outputs together
// have some words. It returns them.
func (a *auditor) says(code int, words string, args ...string) string {
	a.t.Helper()
	out, errOut, got := a.run(append([]string{"audit"}, args...)...)
	out += errOut
	if got != code || !strings.Contains(out, words) {
		a.t.Errorf("%s: exit %d, want %d with %q:\n%.2000s", strings.Join(args, " "), got, code, words, out)
	}
	return out
}

// unpacked returns a file of an export.
func unpacked(t *testing.T, export, name string) []byte {
	t.Helper()
	z, err := zip.OpenReader(export)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// flipped writes a copy of a file with one bit changed, at a share of its length.
func flipped(t *testing.T, file string, share float64) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[int(share*float64(len(b)))] ^= 4
	changed := file + ".changed"
	if err := os.WriteFile(changed, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return changed
}

func TestEvidenceOfARunningService(t *testing.T) {
	t.Parallel()
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	a := s.auditor()
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	a.says(1, "nothing found: there is no incident yet", "export", "--output", file("none.zip"))
	a.says(1, "nothing found: there is no incident yet", "verify")
	if left, _ := filepath.Glob(file("*.zip*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	s.Alert("firing", "send", "a")
	s.Alert("firing", "delay", "b")

	// Nothing was signed yet by the minute; an export waits for none.
	evidence := file("evidence.zip")
	a.says(0, evidence+" written", "export", "--output", evidence)
	key := strings.TrimSpace(a.says(0, "/ledger-", "key"))
	if key != s.Key().Public() {
		t.Errorf("the key is %q", key)
	}
	if out := a.says(1, "NOT verified", "verify", evidence); strings.Contains(out, "complete") {
		t.Errorf("printed %s", out)
	}
	out := a.says(0, "consistent in itself; nobody's signature was checked", "verify", evidence, "--no-key")
	for _, want := range []string{"evidence on all incidents, of the ledger " + s.Key().Origin(), "note: Nobody's signature was checked", "4 events of 2 incidents, 0 delivery records, 0 messages, 1 configuration\n", "signed at 20"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if strings.Contains(out, "newer than") {
		t.Errorf("something is not signed: %s", out)
	}
	if out := a.says(0, "complete, unchanged and in order", "verify", evidence, "--key", key); strings.Contains(out, "note:") {
		t.Errorf("with the key: %s", out)
	}
	s.Write("ledger.pub", key+"\n")
	a.says(0, "complete, unchanged", "verify", "--key", file("ledger.pub"), evidence)
	stranger, err := ledger.GenerateKey(s.Key().Origin())
	if err != nil {
		t.Fatal(err)
	}
	a.says(1, "WRONG checkpoint: open checkpoint: not signed by the key", "verify", evidence, "--key", stranger.Public())
	a.says(2, `"nonsense" is no public key, and no file is there`, "verify", evidence, "--key", "nonsense")

	// A checkpoint of today proves tomorrow that all before is as it was.
	s.Write("checkpoint", string(unpacked(t, evidence, "checkpoint")))
	if code, body := s.Ask(apptest.ResponderToken, "POST", "/api/v1/incidents/INC-1/updates", `{"message":"We look into it."}`); code != 200 {
		t.Fatalf("update: %d %s", code, body)
	}
	later := file("later.zip")
	a.says(0, "later.zip written", "export", "--output", later, "--checkpoint", file("checkpoint"))
	a.says(0, "complete, unchanged", "verify", later, "--key", key, "--checkpoint", file("checkpoint"))
	a.says(0, "5 events of 2 incidents", "verify", "--key", key, "--checkpoint", file("checkpoint"))
	a.says(1, "older copy, or was rewritten", "verify", evidence, "--checkpoint", writeFile(t, file("newer"), unpacked(t, later, "checkpoint")))
	a.says(1, "there is none in", "verify", evidence, "--checkpoint", file("ledger.pub"))

	// Whatever changes is found, and named.
	for share := 0.02; share < 1; share += 0.07 {
		if out := a.says(1, "WRONG ", "verify", flipped(t, evidence, share), "--key", key); !strings.Contains(out, "NOT as it was written") {
			t.Errorf("a bit at %v: %s", share, out)
		}
	}

	// What is meant.
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--incident", "2"}, 0, "evidence on INC-2"},
		{[]string{"--incident=INC-1", "--team", "notifications", "--priority", "P1"}, 0, "evidence on INC-1 of team notifications with priority P1"},
		{[]string{"--from", "2026-01-01", "--pseudonyms"}, 0, "Names and addresses are pseudonyms"},
		{[]string{"--incident", "INC-99"}, 1, "nothing found: there is no INC-99"},
		{[]string{"--team", "web"}, 1, "nothing found: there are no incidents of team web"},
		{[]string{"--to", "2020-01-01"}, 1, "nothing found: there are no incidents up to 31 December 2019, 23:00 UTC"}, // as days begin in Berlin
		{[]string{"--from", "yesterday"}, 2, `--from "yesterday": write a day as 2026-07-01`},
		{[]string{"--incident", "x"}, 2, "is not an incident"},
		{[]string{"--from", "2026-07-02", "--to", "2026-07-01"}, 1, "from 2026-07-02 is not before to 2026-07-01"},
	} {
		if tt.code == 0 {
			a.says(0, "part.zip written", append([]string{"export", "--output", file("part.zip")}, tt.args...)...)
			a.says(0, tt.want, "verify", file("part.zip"), "--key", key)
			continue
		}
		a.says(tt.code, tt.want, append([]string{"export", "--output", file("not.zip")}, tt.args...)...)
	}
	if _, err := os.Stat(file("not.zip")); err == nil {
		t.Error("a file is there of an export that found nothing")
	}
	out, _, code := a.run("audit", "export", "--output", "-", "--incident", "INC-2")
	if v, err := audit.VerifyExport(t.Context(), strings.NewReader(out), int64(len(out)), audit.VerifyOptions{Keys: []string{key}}); code != 0 || err != nil || !v.OK() {
		t.Errorf("to standard output: exit %d, %v, %v", code, err, v.Findings)
	}

	checkReports(a, file, nil)
	if page := a.says(0, "", "report"); strings.Contains(page, "last written") {
		t.Error("a running one says when it was last written")
	}
	a.says(2, "--from 2999-01-01 is in the future: write a day that has begun, such as 20", "report", "--from", "2999-01-01")
	soon := now().Add(time.Minute).Format(time.RFC3339)
	a.says(2, "--from "+soon+" is in the future", "report", "--from", soon)
	a.says(1, "to 2020-01-01T00:00:00+01:00 is not after the first record: write a time after 20", "report", "--to", "2020-01-01")

	// Who may not is told so.
	viewer := &auditor{&shell{vars: map[string]string{"SITREP_URL": s.Server.URL, "SITREP_TOKEN": apptest.ViewerToken}}, t}
	viewer.says(1, "this needs the role auditor, and grafana has the role viewer", "export", "--output", file("not.zip"))
	viewer.says(0, "", "report", "--format", "csv")

	// The file itself is in use.
	for _, args := range [][]string{{"export", "--output", file("not.zip")}, {"verify"}} {
		out := a.says(1, "it is locked: process ", append(args, "--storage", file("data/sitrep.db"))...)
		if !strings.Contains(out, "if a sitrep runs on it, ask that one with --url") {
			t.Errorf("it does not say what to do: %s", out)
		}
	}
}

// checkReports looks at reports in all forms, to a file and to standard output.
func checkReports(a *auditor, file func(string) string, where []string) {
	a.t.Helper()
	report := func(args ...string) string {
		a.t.Helper()
		out, errOut, code := a.run(append(append([]string{"audit", "report"}, where...), args...)...)
		if code != 0 || errOut != "" {
			a.t.Errorf("report %v: exit %d, %s", args, code, errOut)
		}
		return out
	}
	if out := report(); !strings.HasPrefix(strings.ToLower(out), "<!doctype html>") || !strings.Contains(out, "</html>") {
		a.t.Errorf("html: %.300s", out)
	}
	if rows, err := csv.NewReader(strings.NewReader(report("--format", "csv", "--output", "-"))).ReadAll(); err != nil || len(rows) < 2 {
		a.t.Errorf("csv: %d rows, %v", len(rows), err)
	}
	var rep audit.Report
	if err := json.Unmarshal([]byte(report("--format=json", "--from", "2020-01-01")), &rep); err != nil || rep.Total.Incidents != 2 || rep.Zone != "Europe/Berlin" {
		a.t.Errorf("json: %+v, %v", rep.Total, err)
	}
	for _, format := range []string{"html", "csv", "json"} {
		name := file("report." + format)
		if out := report("--format", format, "--output", name); out != name+" written\n" {
			a.t.Errorf("printed %q", out)
		}
		if b, err := os.ReadFile(name); err != nil || len(b) < 50 {
			a.t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

func TestEvidenceOfAStoppedStore(t *testing.T) {
	t.Parallel()
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	s.Alert("firing", "delay", "b")
	key := s.Key().Public()
	s.Stop()
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	store := file("data/sitrep.db")
	a := &auditor{&shell{}, t}

	out := a.says(1, "NOT verified: it is consistent in itself, but nobody's signature was checked", "verify", "--storage", store)
	if !strings.Contains(out, "note: --key "+store+".key would be the key beside the store") || strings.Contains(out, "newer than") || strings.Contains(out, "complete") {
		t.Errorf("printed %s", out)
	}
	a.says(0, "consistent in itself; nobody's signature was checked", "verify", "--storage", store, "--no-key")
	a.says(2, "use one of them", "verify", "--storage", store, "--no-key", "--key", key)
	if out := a.says(0, "complete, unchanged", "verify", "--storage", store, "--key", key); strings.Contains(out, "note:") {
		t.Errorf("printed %s", out)
	}
	a.says(0, key+"\n", "key", "--storage", store)
	evidence := file("evidence.zip")
	a.says(0, evidence+" written: 2 incidents, 4 events, 0 messages\n", "export", "--storage", store, "--output", evidence)
	a.says(0, "complete, unchanged", "verify", evidence, "--key", key)
	a.says(1, "nothing found: there are no incidents of team web up to 30 June 2026, 22:00 UTC", "export", "--storage", store, "--output", file("not.zip"), "--team=web", "--to=2026-07-01")
	a.says(2, "--from 2026-07-02 is not before to 2026-07-01", "report", "--storage", store, "--from", "2026-07-02", "--to", "2026-07-01")
	checkReports(a, file, []string{"--storage", store})
	// What follows on it is known as of when it was last written, whenever it is asked.
	if page := a.says(0, "The store was last written at 20", "report", "--storage", store); !strings.Contains(page, "; nothing later is known.") {
		t.Errorf("it does not say that nothing later is known: %.2000s", page)
	}
	a.says(0, `"as_of": "20`, "report", "--storage", store, "--format", "json")
	a.says(2, "is later than all that is known: write a time before the store was last written, 20", "report", "--storage", store, "--from", now().Add(-time.Millisecond).Format(time.RFC3339Nano))
	a.says(2, "--to 2020-01-01T00:00:00+01:00 is not after the first record: write a time after 20", "report", "--storage", store, "--to", "2020-01-01")
	a.says(2, "--from 2999-01-01 is in the future: write a day that has begun, such as 20", "report", "--storage", store, "--from", "2999-01-01")

	// The key is elsewhere, and the file is a backup that somebody changed.
	b, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	backup := writeFile(t, file("backup.db"), b)
	a.says(1, "give the public key that you have from elsewhere with --key", "verify", "--storage", backup)
	a.says(1, "there is no key file", "key", "--storage", backup)
	a.says(0, "complete, unchanged", "verify", "--storage", backup, "--key", key)
	a.says(0, "2 incidents", "export", "--storage", backup, "--output", file("unsigned.zip"))
	a.says(0, "note: The list of files is not signed", "verify", file("unsigned.zip"), "--key", key)
	at := bytes.Index(b, []byte("Notifications arrive"))
	if at < 0 {
		t.Fatal("the use case is not in the file")
	}
	for ; at >= 0; at = bytes.Index(b, []byte("Notifications arrive")) {
		b[at+2] ^= 4
	}
	writeFile(t, backup, b)
	a.says(1, "WRONG ", "verify", "--storage", backup, "--key", key)
}

func TestAWitnessIsPostedAndMailed(t *testing.T) {
	t.Parallel()
	for name, witness := range map[string]string{"url": "", "email": "email: auditors@example.org"} {
		t.Run(name, func(t *testing.T) {
			posted := newMailbox(t)
			if witness == "" {
				witness = "url: " + posted.URL + "/secret-path"
			}
			s := newRunning(t, apptest.Organisation+apptest.Access+"evidence: {witness: {"+witness+", every: 1d}}\n", nil)
			s.Start()
			kept := filepath.Join(s.Dir, "kept")
			s.Until("the witness is told", func() bool {
				b := posted.first()
				if mails, _ := filepath.Glob(filepath.Join(s.Dir, "outbox", "*checkpoint*.eml")); len(mails) == 1 {
					b, _ = os.ReadFile(mails[0])
				}
				return b != nil && os.WriteFile(kept, b, 0o600) == nil
			})
			s.Alert("firing", "send", "a")
			a, key := s.auditor(), s.Key().Public()
			evidence := filepath.Join(s.Dir, "evidence.zip")
			a.says(0, "written", "export", "--output", evidence, "--checkpoint", kept)
			a.says(0, "complete, unchanged and in order", "verify", evidence, "--key", key, "--checkpoint", kept)
			s.Until("the status shows it", func() bool {
				_, status := s.Ask(apptest.ViewerToken, "GET", "/api/v1/status", "")
				_, page := s.Ask(apptest.ViewerToken, "GET", "/status", "")
				shown := strings.Contains(status, `"told_at":"20`) && strings.Contains(page, "last told")
				if strings.Contains(status+page+s.Log.String(), "secret-path") {
					t.Fatal("the URL is shown")
				}
				return shown && strings.Contains(html.UnescapeString(page), key)
			})
		})
	}
}

// A mailbox keeps what is posted to it.
type mailbox struct {
	*httptest.Server
	mu   sync.Mutex
	kept [][]byte
}

func newMailbox(t *testing.T) *mailbox {
	m := &mailbox{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.kept = append(m.kept, b)
	}))
	t.Cleanup(m.Close)
	return m
}

// first is what came first, nil if nothing did.
func (m *mailbox) first() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) == 0 {
		return nil
	}
	return m.kept[0]
}
