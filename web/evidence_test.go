package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/ledger"
	"sitrep/storage"
)

// load puts a configuration into force now.
func (f *fixture) load(hash, body string, by incident.Actor) {
	f.t.Helper()
	f.write(func(tx storage.Tx) error {
		return tx.PutConfig(f.t.Context(), storage.Loading{Hash: hash, At: f.clock.Now(), Actor: by}, storage.Config{Hash: hash, Body: []byte(body)})
	})
}

// section is the text of the element with an id, or of the section that it heads.
func (a *answer) section(id string) string {
	for n := range a.doc.Descendants() {
		if attr(n, "id") == id || attr(n, "aria-labelledby") == id {
			return (&answer{ResponseRecorder: a.ResponseRecorder, doc: wrapped(n)}).text()
		}
	}
	return ""
}

// wrapped returns a document whose main part is a copy of what is below n.
func wrapped(n *html.Node) *html.Node {
	var b strings.Builder
	_ = html.Render(&b, n)
	doc, _ := html.Parse(strings.NewReader("<main>" + b.String() + "</main>"))
	return doc
}

const (
	configOne = `{"management":["board"],"mail":{"smarthost":"a:25"},"priorities":[
		{"name":"P1","summary":"Severe","criteria":["All are hit"],"actions":[{"name":"postmortem","within":"5d"}],"inform":["management","stakeholders"],"inform_after":"10m","update_every":"4h"}],
		"teams":[{"team":"identity","slos":[{"id":"log-on","priority":"P1"}]}]}`
	configTwo = `{"management":["board"],"mail":{"smarthost":"b:25"},"priorities":[
		{"name":"P1","summary":"Severe","criteria":["All are hit"],"inform":["management"],"update_every":"2h"},{"name":"P2"}],
		"teams":[{"team":"identity","slos":[{"id":"log-on","priority":"P2"}]}]}`
)

func TestThePrioritiesHaveAHistory(t *testing.T) {
	f := newFixture(t)
	if text := func() string { a := f.get("viewer", "/priorities"); return a.section("history") }(); !strings.Contains(text, "None is recorded.") {
		t.Errorf("without any: %s", text)
	}
	f.load("one", configOne, "start")
	f.clock.Pass(time.Hour)
	f.load("one", configOne, "start") // a restart
	f.clock.Pass(time.Hour)
	f.load("two", configTwo, "ada")
	f.clock.Pass(48 * time.Hour)
	a := f.get("viewer", "/priorities")
	text := a.section("history")
	at := 0
	for _, want := range []string{
		"Version 2 in force since 2 Mar 2026, 12:00 CET , loaded by ada",
		"priority P1: actions is no longer set; it was postmortem within 5d", "priority P1: inform from management; stakeholders to management",
		"priority P1: update_every from 4h to 2h", "priority P2 added", "SLO log-on: priority from P1 to P2", "1 change to how sitrep itself is run, which admins see",
		"Version 1 in force from 2 Mar 2026, 10:00 CET to 2 Mar 2026, 12:00 CET , loaded by start The first on record.",
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("no %q, or too early, in %s", want, text)
		}
		at += i
	}
	if strings.Contains(a.text(), "smarthost") {
		t.Error("a viewer sees how mail is sent")
	}
	if a := f.get("admin", "/priorities"); !strings.Contains(a.section("history"), "settings: mail.smarthost from a:25 to b:25") {
		t.Error("an admin does not see how mail is sent")
	}

	a = f.get("viewer", "/priorities/versions/1")
	for _, want := range []string{"Version 1 of the configuration", "It is P1 if All are hit", "postmortem, within 5 days after resolving", "management: board stakeholders: the groups that each SLO names", "at least every 4 hours, once it lasts 10 minutes", "The version after"} {
		if !strings.Contains(a.text(), want) {
			t.Errorf("no %q in %s", want, a.text())
		}
	}
	if a = f.get("viewer", "/priorities/versions/2"); !strings.Contains(a.text(), "at least every 2 hours") || strings.Contains(a.text(), "postmortem, within") || strings.Contains(a.text(), "The version after") {
		t.Errorf("version 2: %s", a.text())
	}
	for _, path := range []string{"0", "3", "-1", "x", "1.5", "99999999999999999999"} {
		if a := f.send("viewer", "GET", "/priorities/versions/"+path, nil); a.Code != 404 || !strings.Contains(a.text(), "there is no version "+path) {
			t.Errorf("%s: %d %s", path, a.Code, a.text())
		}
	}
}

func TestALongHistoryComesInPages(t *testing.T) {
	f := newFixture(t)
	for i := range 45 {
		f.clock.Pass(time.Hour)
		f.load(fmt.Sprint("config", i), fmt.Sprintf(`{"priorities":[{"name":"P1","update_every":"%dm"}]}`, i+1), "ada")
	}
	for path, want := range map[string]struct {
		first, last int
		earlier     string
	}{
		"/priorities":            {45, 26, "?before=26#history"},
		"/priorities?before=26":  {25, 6, "?before=6#history"},
		"/priorities?before=6":   {5, 1, ""},
		"/priorities?before=1":   {0, 0, ""},
		"/priorities?before=x":   {45, 26, "?before=26#history"},
		"/priorities?before=999": {45, 26, "?before=26#history"},
	} {
		a := f.get("viewer", path)
		text := a.section("history")
		shown := strings.Count(text, "Version ")
		if want.first > 0 && (shown != want.first-want.last+1 || !strings.Contains(text, fmt.Sprintf("Version %d in force", want.first)) || !strings.Contains(text, fmt.Sprintf("Version %d in force", want.last))) || want.first == 0 && shown != 0 {
			t.Errorf("%s shows %d: %s", path, shown, text)
		}
		if want.last > 1 && !strings.Contains(text, fmt.Sprintf("update_every from %dm to %dm", want.last-1, want.last)) {
			t.Errorf("%s does not say what its last changed: %s", path, text)
		}
		if got := strings.Contains(a.Body.String(), "#history\""); got != (want.earlier != "") || want.earlier != "" && !strings.Contains(a.Body.String(), `href="./priorities`+want.earlier) {
			t.Errorf("%s: earlier versions are not at %q", path, want.earlier)
		}
	}
}

func TestAnIncidentIsToldStepByStep(t *testing.T) {
	f := newFixture(t)
	f.load("before", configOne, "start")
	f.clock.Pass(time.Hour)
	f.load(f.policy.Hash, configTwo, "ada")
	f.clock.Pass(time.Hour)
	n := f.breach("notifications-register-availability", "a", nil)
	a := f.get("viewer", page(n, "/steps"))
	text := a.section("steps")
	at := 0
	for _, want := range []string{
		"identification", "the first breach started; sitrep heard of it", "alertmanager, event 2", "logging", "recorded as INC-1", "categorization", "SLO notifications-register-availability",
		"prioritization", "opened as P1", "initial diagnosis Not yet: nobody acknowledged it", "escalation None: no escalation is on record; none may have been needed", "investigation and diagnosis Not yet:", "resolution and recovery Not yet: it is not resolved",
		"closure Not yet: it is not closed; still due: hotfix, postmortem",
		"It opened under version 2 of the configuration , which was in force since 2 Mar 2026, 11:00 CET , loaded by ada.",
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("no %q, or too early, in %s", want, text)
		}
		at += i
	}

	// An old one still cites what held then.
	f.clock.Pass(time.Hour)
	f.do(n, command.Priority{Priority: "P3", Reason: "only <b>one</b> region"})
	f.do(n, command.Resolve{Note: "it was a typo"})
	f.load("later", configOne, "bob")
	f.clock.Pass(time.Hour)
	a = f.get("viewer", page(n, "/steps"))
	text = a.section("steps")
	for _, want := range []string{
		"lowered from P1 to P3: only <b>one</b> region ada, event", "resolved: it was a typo",
		"initial diagnosis Gap: nobody acknowledged it", "It opened under version 2 of the configuration , which was in force from 2 Mar 2026, 11:00 CET to 2 Mar 2026, 13:00 CET , loaded by ada.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if b := a.Body.String(); !strings.Contains(b, `href="../../priorities/versions/2"`) || !strings.Contains(b, `href="../../incidents/INC-1?before=2#event-1"`) {
		t.Error("the evidence and the version are not linked")
	}
	if b := f.get("viewer", page(n, "?before=2")).Body.String(); !strings.Contains(b, `id="event-1"`) {
		t.Error("the evidence is not where the link leads")
	}
	if b := f.breach("search-latency", "b", nil); b == 0 {
		t.Fatal("no incident")
	}
}

func TestTheStatusShowsTheLedger(t *testing.T) {
	f := newFixture(t)
	key, err := ledger.GenerateKey("sitrep.example.org/ledger")
	if err != nil {
		t.Fatal(err)
	}
	f.service.Ledger.PublicKey = key.Public()
	f.breach("search-latency", "a", nil)
	text := func() string { a := f.get("viewer", "/status"); return a.section("ledger") }
	for _, want := range []string{"Records 2, not signed yet", "Witness none is configured", key.Public()} {
		if !strings.Contains(text(), want) {
			t.Errorf("no %q in %s", want, text())
		}
	}
	if _, err := storage.SignLog(t.Context(), f.store, key, f.clock.Now()); err != nil {
		t.Fatal(err)
	}
	f.service.Ledger.Witness, f.service.Ledger.Every = "audit@example.org", 24*time.Hour
	for _, want := range []string{"Records 2, of which all are signed", "Last signed 10:00", "audit@example.org, every 1 day; not told since the start"} {
		if !strings.Contains(text(), want) {
			t.Errorf("no %q in %s", want, text())
		}
	}
	f.breach("search-latency", "b", nil)
	f.service.Ledger.WitnessedAt = f.clock.Now()
	for _, want := range []string{"Records 3, of which 2 are signed", "; last told 10:00"} {
		if !strings.Contains(text(), want) {
			t.Errorf("no %q in %s", want, text())
		}
	}
	f.service.Ledger.WitnessError = "550 <no such user>"
	if !strings.Contains(text(), "not reached: 550 <no such user>") {
		t.Errorf("status: %s", text())
	}
}

func TestReportsAreOffered(t *testing.T) {
	f := newFixture(t)
	f.clock.Pass(-45 * 24 * time.Hour) // 16 January
	f.service.Ledger.PublicKey = "sitrep.example.org/ledger+0+key"
	a := f.get("viewer", "/reports")
	var links []string
	for _, n := range a.find("a") {
		if strings.Contains(attr(n, "href"), "audit/report") {
			links = append(links, strings.TrimPrefix(attr(n, "href"), "./api/v1/audit/report?format=html&"))
		}
	}
	want := "from=2026-01-01 from=2025-12-01&to=2026-01-01 from=2025-10-01&to=2026-01-01 from=2026-01-01 from=2025-01-01&to=2026-01-01"
	if got := strings.Join(links, " "); got != want {
		t.Errorf("links to %s, want %s", got, want)
	}
	for _, want := range []string{"This month so far since 1 January 2026", "Last month December 2025", "Last quarter October to December 2025", "This quarter so far since 1 January 2026", "Last year 2025", "sitrep.example.org/ledger+0+key"} {
		if !strings.Contains(a.text(), want) {
			t.Errorf("no %q in %s", want, a.text())
		}
	}
	fields := map[string]string{}
	for _, n := range a.find("input") {
		fields[attr(n, "id")] = attr(n, "value")
	}
	if fields["r-from"] != "2025-12-01" || fields["r-to"] != "2026-01-01" || strings.Contains(a.Body.String(), "audit/export") {
		t.Errorf("a viewer gets %v", fields)
	}
	a = f.get("admin", "/reports")
	if !strings.Contains(a.Body.String(), `action="./api/v1/audit/export"`) {
		t.Error("an admin may not export")
	}
}

// Pages of an incident whose people were forgotten name nobody, and tell readers apart.
func TestForgottenPeopleAreNotNamed(t *testing.T) {
	f := newFixture(t)
	whole := `{"groups":[{"name":"a","email":["ada@example.org"]}],"priorities":[{"name":"P1","criteria":["All are hit"]}]}`
	f.write(func(tx storage.Tx) error {
		return tx.PutConfig(t.Context(), storage.Loading{Hash: f.policy.Hash, At: f.clock.Now(), Actor: "ada", Public: "public"}, storage.Config{Hash: f.policy.Hash, Body: []byte(whole)},
			storage.Config{Hash: "public", Body: []byte(strings.Replace(whole, "ada@example.org", "address 1", 1))})
	})
	n := f.breach("notifications-delay-latency", "a", nil)
	f.clock.Pass(10 * time.Minute)
	f.do(n, command.Acknowledge{})
	f.do(n, command.Phase{Phase: incident.PhaseEscalation, EscalatedTo: "ada", Note: "beyond us"})
	ids := f.deliver(n, eml)
	f.clock.Pass(time.Minute)
	f.do(n, command.Resolve{Note: "over"})
	f.deliver(n, eml)
	f.do(n, command.Close{Note: "done"})
	f.deliver(n, eml)
	f.clock.Pass(time.Hour)
	f.load("two", `{"priorities":[{"name":"P1","criteria":["It burns"]}]}`, "bob")
	f.clock.Pass(time.Hour)
	f.write(func(tx storage.Tx) error {
		more, err := storage.Forget(t.Context(), tx, f.clock.Now(), 1000)
		if more {
			t.Error("more is left")
		}
		return err
	})
	for _, path := range []string{page(n, ""), page(n, "/messages/"+ids[0]), "/deliveries", "/priorities", "/priorities/versions/1", "/", "/status"} {
		a := f.get("admin", path)
		main := a.section("main") + a.text()
		for _, name := range []string{"ada ", "ada,", "by ada", "@example.org"} {
			if path != "/priorities" && strings.Contains(main, name) { // there is who is told now
				t.Errorf("%s has %q: %s", path, name, main)
			}
		}
		if strings.HasPrefix(path, "/priorities/") && !strings.Contains(main, "All are hit") {
			t.Errorf("%s: %s", path, main)
		}
		if path == page(n, "") && (!strings.Contains(main, "forgotten 1") || !strings.Contains(main, "forgotten 2")) {
			t.Errorf("readers are not told apart: %s", main)
		}
	}
}
