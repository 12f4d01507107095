package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/ledger"
	"sitrep/storage"
)

const eml = "From: Incident updates <incidents@example.org>\r\nTo: <cto@example.org>\r\nSubject: =?UTF-8?q?[P1]_INC-1_=C3=9Cberall?=\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	"It is broken =E2=80=94 <b>for all</b>.\r\n--b\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+SXQgaXMgYnJva2VuLjwvcD4=\r\n--b--\r\n"

// populate fills the fixture with some of everything, and returns the address of each
// kind of page.
func (f *fixture) populate(text string) []string {
	f.t.Helper()
	old := f.breach("search-latency", "old", nil)
	f.do(old, command.Resolve{Note: "over " + text})
	f.clock.Pass(time.Hour)
	n := f.breach("notifications-register-availability", "a", map[string]string{"region": text, "instance": "10.0.0.7:9090"})
	ids := f.deliver(n, eml)
	f.clock.Pass(10 * time.Minute)
	f.do(n, command.Acknowledge{})
	f.do(n, command.Phase{Phase: incident.PhaseEscalation, EscalatedTo: "database team", Note: text})
	f.do(n, command.Update{Message: "We know the cause.\n\nA fix is on its way. " + text})
	f.do(n, command.Action{Name: "hotfix", State: incident.ActionDone, Link: "https://git.example.org/1", Reason: text})
	f.deliver(n, eml)
	f.do(0, command.Declare{UseCase: "Practice: " + text, Team: "identity", Priority: "P2", Stakeholders: []string{"sales"}, Reason: "a drill", Drill: true})
	f.breach("log-on-availability", "b", nil)
	f.write(func(tx storage.Tx) error {
		failed := incident.Delivery{
			ID: "failed", Incident: n, Kind: incident.KindOpened, Sequence: 2, Audience: incident.AudienceStakeholders, Group: text, Channel: incident.ChannelEmail,
			Recipient: "email:gone@example.org", Address: "gone@example.org", DueAt: start, Promised: start.Add(time.Minute), CreatedAt: start,
			Attempts: 1, State: incident.DeliveryFailed, Error: "550 no such user " + text, Covers: []incident.Cover{{Incident: n, Kind: incident.KindOpened}},
		}
		if err := tx.PutDelivery(f.t.Context(), &failed, []byte(eml)); err != nil {
			return err
		}
		pending := incident.Delivery{
			ID: "watchdog", Kind: incident.KindWatchdog, Audience: incident.AudienceOnCall, Group: "sre", Channel: incident.ChannelEmail,
			Recipient: "email:sre@example.org", Address: "sre@example.org", DueAt: start, CreatedAt: start, State: incident.DeliveryPending, Covers: []incident.Cover{{Kind: incident.KindWatchdog}},
		}
		if err := tx.PutDelivery(f.t.Context(), &pending, nil); err != nil {
			return err
		}
		if err := tx.PutUnmapped(f.t.Context(), []*incident.UnmappedAlert{{Fingerprint: "u", StartsAt: start, HeardAt: start, Labels: map[string]string{"alertname": "Disk" + text, "job": text}}}, nil); err != nil {
			return err
		}
		if err := storage.PutAmbiguities(f.t.Context(), tx, []storage.Ambiguity{{At: start, Fingerprint: "x", Labels: map[string]string{"job": text}, SLO: "search-latency", Others: []string{"log-on-availability"}}}); err != nil {
			return err
		}
		if err := storage.PutRefusal(f.t.Context(), tx, storage.Refusal{At: start, Status: 415, Client: "alertmanager", Reason: "send JSON " + text}); err != nil {
			return err
		}
		before := storage.Config{Hash: strings.Repeat("decaf000", 8), Body: []byte(`{"priorities":[{"name":"P1","criteria":["It burns"],"inform":["management"],"update_every":"4h"}]}`)}
		if err := tx.PutConfig(f.t.Context(), storage.Loading{Hash: before.Hash, At: start.Add(-48 * time.Hour), Actor: "start"}, before); err != nil {
			return err
		}
		inForce := fmt.Sprintf(`{"management":["leadership"],"priorities":[{"name":"P1","summary":%q,"criteria":["It burns",%[1]q],"inform":["management","stakeholders"],"update_every":"2h"}]}`, "Severe "+text)
		if err := tx.PutConfig(f.t.Context(), storage.Loading{Hash: f.policy.Hash, At: start, Actor: "ops"}, storage.Config{Hash: f.policy.Hash, Body: []byte(inForce)}); err != nil {
			return err
		}
		return storage.PutOutage(f.t.Context(), tx, storage.Outage{From: start.Add(-time.Hour), To: start})
	})
	key, err := ledger.GenerateKey("sitrep.example.org/ledger")
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := storage.SignLog(f.t.Context(), f.store, key, f.clock.Now()); err != nil {
		f.t.Fatal(err)
	}
	f.service.Ledger = ledger.Status{PublicKey: key.Public(), Witness: "audit@example.org " + text, Every: 24 * time.Hour, WitnessedAt: start, WitnessError: "550 no such user " + text}
	f.follow(text)
	paths := []string{
		"/", "/?state=resolved", "/?state=open&sort=team&choose=all", "/several?do=updates&incident=INC-2&incident=INC-4", "/several?do=merge&incident=INC-2&incident=INC-4", "/?q=register&team=notifications&priority=P1", page(n, ""), page(old, ""), page(n, "?done=updates"), page(n, "/steps"),
		"/priorities", "/priorities/versions/2", "/priorities/versions/1", "/slos", "/slos?q=search", "/coverage", "/coverage?state=broken&team=notifications", "/deliveries", "/deliveries?state=failed", "/deliveries?group=leadership&from=2026-03-01&kind=x", "/deliveries/watchdog", "/groups", "/groups?name=leadership", "/groups?team=notifications", "/reports", "/status",
		page(n, "/messages/failed"), "/declare", "/declare?slo=search-latency", "/mail/test", "/zone?back=slos",
	}
	for _, id := range ids {
		paths = append(paths, page(n, "/messages/"+id))
	}
	for _, c := range []string{"acknowledge", "updates", "priority", "phase", "actions", "resolve", "reopen", "close", "merge"} {
		paths = append(paths, page(n, "/"+c))
	}
	return paths
}

// strange is what strangers may write, tried everywhere.
const strange = `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{.}}&lt;` + "\u202e"

func TestEveryPageIsWholeAndConfined(t *testing.T) {
	f := newFixture(t)
	paths := f.populate(strange)
	f.service.Config.Error = "sitrep.yml:3:1: unknown field \"x\"\nsitrep: 1 problem " + strange
	f.service.Config.Warnings = []string{"slos/a.yml:1:1: overlap " + strange}
	paths = append(paths, "/nowhere", "/incidents/INC-99", "/incidents/"+"x")
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			f.t = t
			a := f.send("admin", "GET", path, nil)
			if a.Code != 200 && !slices.Contains([]string{"/nowhere", "/incidents/INC-99", "/incidents/x"}, path) {
				t.Fatalf("answered %d %s", a.Code, a.text())
			}
			checkPage(t, &a)
		})
	}
}

// checkPage checks what holds for each page.
func checkPage(t *testing.T, a *answer) {
	t.Helper()
	csp := a.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'self'", "script-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("Content-Security-Policy %q has no %s", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
		t.Errorf("Content-Security-Policy = %q", csp)
	}
	if a.Header().Get("X-Content-Type-Options") != "nosniff" || a.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers = %v", a.Header())
	}
	if a.doc == nil {
		t.Fatalf("no page: %s", a.Body)
	}
	ids := map[string]bool{}
	labelled := map[string]bool{}
	for _, n := range a.find("label") {
		labelled[attr(n, "for")] = true
	}
	headings := 0
	for n := range a.doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "style", "base", "object", "embed":
			t.Errorf("there is a <%s>", n.Data)
		case "script":
			if n.FirstChild != nil || !strings.Contains(attr(n, "src"), "assets/sitrep.js?v=") {
				t.Errorf("a script of its own: %v", n.Attr)
			}
		case "h1":
			headings++
		case "input", "select", "textarea":
			if attr(n, "type") != "hidden" && !labelled[attr(n, "id")] && n.Parent.Data != "label" {
				t.Errorf("%s %q has no label", n.Data, attr(n, "name"))
			}
		case "form":
			if m := attr(n, "method"); m != "get" && m != "post" {
				t.Errorf("form with method %q", m)
			}
		}
		for _, at := range n.Attr {
			switch {
			case at.Key == "style" || strings.HasPrefix(at.Key, "on"):
				t.Errorf("<%s> has %s=%q", n.Data, at.Key, at.Val)
			case (at.Key == "src" || at.Key == "action") && (strings.Contains(at.Val, ":") || strings.HasPrefix(at.Val, "//")):
				t.Errorf("<%s %s=%q> leads elsewhere", n.Data, at.Key, at.Val)
			case at.Key == "href" && n.Data != "a" && strings.Contains(at.Val, ":"):
				t.Errorf("<%s href=%q> is loaded from elsewhere", n.Data, at.Val)
			case at.Key == "href" && strings.HasPrefix(strings.ToLower(at.Val), "javascript"):
				t.Errorf("href=%q", at.Val)
			case at.Key == "id" && ids[at.Val]:
				t.Errorf("id %q is there twice", at.Val)
			case at.Key == "id":
				ids[at.Val] = true
			}
		}
	}
	if headings != 1 || len(a.find("main")) != 1 || len(a.find("nav")) != 1 {
		t.Errorf("%d h1, %d main, %d nav", headings, len(a.find("main")), len(a.find("nav")))
	}
	for n := range a.doc.Descendants() {
		for _, name := range []string{"aria-labelledby", "aria-describedby", "for", "list"} {
			for _, id := range strings.Fields(attr(n, name)) {
				if !ids[id] {
					t.Errorf("<%s %s=%q> names nothing", n.Data, name, id)
				}
			}
		}
	}
}

func TestEveryLinkOfEveryPageLeadsSomewhere(t *testing.T) {
	f := newFixture(t)
	seen := map[string]bool{}
	for _, path := range f.populate("plain") {
		a := f.get("admin", path)
		base := httptest.NewRequest("GET", path, nil).URL
		for n := range a.doc.Descendants() {
			for _, at := range n.Attr {
				if at.Key != "href" && at.Key != "src" && at.Key != "action" || strings.HasPrefix(at.Val, "https://") {
					continue
				}
				to, err := base.Parse(at.Val)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(to.Path, "/api/v1/") || seen[to.RequestURI()] {
					continue
				}
				seen[to.RequestURI()] = true
				if b := f.send("admin", "GET", to.RequestURI(), nil); b.Code != 200 {
					t.Errorf("%s leads to %s: %d", path, to.RequestURI(), b.Code)
				}
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d links", len(seen))
	}
}

func TestRolesOfPages(t *testing.T) {
	f := newFixture(t)
	f.populate("plain")
	for _, route := range f.pages.Routes() {
		want := access.Viewer
		switch {
		case route.Path == "/assets/{name}":
			want = access.Nobody
		case route.Path == "/mail/test":
			want = access.Admin
		case strings.Contains(route.Path, "{delivery}"):
			want = access.Known
		case route.Method == "POST" || route.Path == "/declare":
			want = access.Responder
		}
		switch route.Path {
		case "/several":
			want = access.Responder
		case "/zone": // changes what whoever asks sees
			want = access.Viewer
		}
		if route.Role != want && !(route.Method == "GET" && route.Role == access.Responder) {
			t.Errorf("%s %s needs %q", route.Method, route.Path, route.Role)
		}
		path := strings.NewReplacer("{id}", "INC-2", "{delivery}", "failed", "{name}", "icon.svg", "{version}", "1").Replace(route.Path)
		for as, role := range map[string]access.Role{"receiver": access.Receiver, "viewer": access.Viewer, "responder": access.Responder, "": ""} {
			a := f.send(as, route.Method, path, nil)
			may := role.May(route.Role)
			if refused := a.Code == 401 || a.Code == 403 && !strings.Contains(a.text(), "which page sent this form"); refused == may {
				t.Errorf("%s %s as %q: %d", route.Method, path, as, a.Code)
			}
			if a.Code >= 400 && (a.doc == nil || a.Header().Get("Content-Security-Policy") == "") {
				t.Errorf("%s %s as %q: not a page", route.Method, path, as)
			}
		}
	}
	// Who only reads sees no form that changes something.
	for _, path := range []string{"/", "/incidents/INC-2", "/slos"} {
		a := f.get("viewer", path)
		for _, n := range a.find("form") {
			if attr(n, "method") == "post" && attr(n, "id") != "your-zone" { // for one's own eyes
				t.Errorf("%s shows a viewer the form %s", path, attr(n, "action"))
			}
		}
		if strings.Contains(a.Body.String(), "declare") {
			t.Errorf("%s invites a viewer to declare", path)
		}
	}
	if a := f.send("", "GET", "/", nil); !strings.Contains(a.Header().Get("Www-Authenticate"), "Basic") || !strings.Contains(a.text(), "log in") {
		t.Errorf("nobody is asked to log in: %d %v", a.Code, a.Header())
	}
}

func TestMethodsThatArePossible(t *testing.T) {
	f := newFixture(t)
	a := f.send("admin", "DELETE", "/priorities", nil)
	if a.Code != 405 || a.Header().Get("Allow") != "GET, HEAD" || a.doc == nil {
		t.Errorf("DELETE: %d %v", a.Code, a.Header())
	}
	if a := f.send("admin", "HEAD", "/priorities", nil); a.Code != 200 {
		t.Errorf("HEAD: %d", a.Code)
	}
}

func TestTheOverviewShowsWhatIsOverdue(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	f.deliver(n, eml)
	f.breach("search-latency", "b", nil)
	a := f.get("viewer", "/")
	text := a.text()
	for _, want := range []string{"2 open", "P1 INC-1 Application cannot register", "since 10:00", "nobody yet", "by 12:01"} {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if strings.Contains(text, "overdue") {
		t.Errorf("overdue in %s", text)
	}
	if p1, p3 := strings.Index(text, "INC-1"), strings.Index(text, "INC-2"); p1 > p3 {
		t.Errorf("P3 stands before P1: %s", text)
	}
	f.clock.Pass(3 * time.Hour)
	a = f.get("viewer", "/")
	if text := a.text(); !strings.Contains(text, "1 with an update overdue") || !strings.Contains(text, "overdue since 12:01") {
		t.Errorf("not overdue: %s", text)
	}
	a = f.get("viewer", page(n, ""))
	if text := a.text(); !strings.Contains(text, "overdue for 59 minutes") {
		t.Errorf("not overdue: %s", text)
	}
}

func TestFiltersAndPagesOfTheOverview(t *testing.T) {
	f := newFixture(t)
	for range 30 {
		n := f.breach("search-latency", "x", nil)
		f.do(n, command.Resolve{Note: "it is"})
		f.do(n, command.Close{})
		f.clock.Pass(2 * time.Hour)
	}
	f.breach("log-on-availability", "y", nil)
	a := f.get("viewer", "/")
	if text := a.text(); !strings.Contains(text, "1 open") || !strings.Contains(text, "INC-30") || strings.Contains(text, "INC-3 ") {
		t.Errorf("first page: %s", text)
	}
	a = f.get("viewer", a.leads(t, "All that were closed"))
	if text := a.text(); !strings.Contains(text, "INC-3 ") || !strings.Contains(text, "INC-30") || strings.Contains(text, "INC-31") {
		t.Errorf("all that were closed: %s", text)
	}
	for query, want := range map[string]string{"?state=open": "INC-31", "?q=cannot+log": "INC-31", "?priority=P1": "INC-31", "?team=identity&state=closed": "INC-30", "?q=inc-7": "INC-7"} {
		a := f.get("viewer", "/"+query)
		if text := a.text(); !strings.Contains(text, want) {
			t.Errorf("%s: no %s in %s", query, want, text)
		}
	}
	a = f.get("viewer", "/?team=nobody&priority=P9&q=nothing&state=odd")
	if text := a.text(); !strings.Contains(text, "Nothing fits.") {
		t.Errorf("nothing is found, and the page says: %s", text)
	}
}

func TestTheTimelineIsInPlainWords(t *testing.T) {
	f := newFixture(t)
	f.populate("plain")
	long := strings.Repeat("because it is so. ", 100)
	f.do(2, command.Priority{Priority: "P2", Reason: long})
	a := f.get("viewer", "/incidents/INC-2")
	text := a.text()
	for _, want := range []string{
		"ada acknowledged the incident", "ada escalated the incident to database team: “plain”",
		"ada wrote to management and stakeholders: As it stands under what the team says",
		"ada completed the action hotfix", "ada lowered the priority from P1 to P2", strings.TrimSpace(long),
		"the SLO's priority is P1", "A breach started.", "cto@example.org", "last told", "10.0.0.7:9090", "550 no such user",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func TestALongTimelineComesInPages(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	for i := range 450 {
		phase := incident.PhaseInvestigation
		if i%2 == 1 {
			phase = incident.PhaseRecovery
		}
		f.do(n, command.Phase{Phase: phase})
	}
	count := func(a answer) int {
		return strings.Count(a.Body.String(), `<li class="person" id="event-`)
	}
	a := f.get("viewer", page(n, ""))
	if got := count(a); got != 200 || !strings.Contains(a.Body.String(), "?before=253#timeline") {
		t.Errorf("%d events on the first page", got)
	}
	if a = f.get("viewer", page(n, "?before=53")); count(a) != 50 || strings.Contains(a.Body.String(), "Older: what happened before") {
		t.Errorf("%d events on the last page", count(a))
	}
}

func TestMessagesAsTheyWereSent(t *testing.T) {
	f := newFixture(t)
	f.populate("plain")
	a := f.get("viewer", "/incidents/INC-2/messages/failed")
	text := a.text()
	for _, want := range []string{"Subject [P1] INC-1 Überall", "It is broken — <b>for all</b>.", "gone@example.org", "550 no such user", "failed"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	frame := a.find("iframe")
	if len(frame) != 1 || attr(frame[0], "src") != "failed/html" {
		t.Fatalf("frames = %v", frame)
	}
	if i := slices.IndexFunc(frame[0].Attr, func(a html.Attribute) bool { return a.Key == "sandbox" && a.Val == "" }); i < 0 {
		t.Errorf("the frame has no empty sandbox: %v", frame[0].Attr)
	}
	h := f.send("viewer", "GET", "/incidents/INC-2/messages/failed/html", nil)
	if h.Body.String() != "<p>It is broken.</p>" {
		t.Errorf("HTML = %s", h.Body)
	}
	if csp := h.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "sandbox") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src") || !strings.Contains(csp, "frame-ancestors 'self'") {
		t.Errorf("Content-Security-Policy of a mail = %q", csp)
	}
	raw := f.send("viewer", "GET", "/incidents/INC-2/messages/failed/raw", nil)
	if raw.Body.String() != eml || raw.Header().Get("Content-Type") != "message/rfc822" || raw.Header().Get("Content-Disposition") != "attachment; filename=failed.eml" {
		t.Errorf("raw: %v %s", raw.Header(), raw.Body)
	}
	for path, code := range map[string]int{
		"/incidents/INC-1/messages/failed":     404, // it tells of another incident
		"/incidents/INC-2/messages/none":       404,
		"/incidents/INC-2/messages/none/raw":   404,
		"/deliveries/watchdog/raw":             404, // it was never made
		"/deliveries/watchdog/html":            404,
		"/deliveries/failed":                   200,
		"/incidents/INC-x/messages/failed/raw": 404,
	} {
		if a := f.send("viewer", "GET", path, nil); a.Code != code {
			t.Errorf("%s: %d, want %d", path, a.Code, code)
		}
	}
	// A webhook's body is text, whatever it holds.
	for _, n := range a.find("script") {
		if n.FirstChild != nil {
			t.Error("a script got in")
		}
	}
}

func TestBrokenMailsAreShownAsFarAsTheyCanBeRead(t *testing.T) {
	f := newFixture(t)
	for i, body := range []string{"", "no header at all", "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", "Content-Type: ;;;\r\n\r\nbody", "Subject: =?x?q?y?=\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!", "A: b\r\n\r\n\x00\xff<script>"} {
		id := string(rune('a' + i))
		f.write(func(tx storage.Tx) error {
			return tx.PutDelivery(t.Context(), &incident.Delivery{ID: id, Channel: incident.ChannelEmail, Recipient: "email:x", Address: "x", State: incident.DeliveryPending, CreatedAt: start}, []byte(body))
		})
		a := f.get("viewer", "/deliveries/"+id)
		checkPage(t, &a)
	}
}

func TestAssets(t *testing.T) {
	f := newFixture(t)
	a := f.get("viewer", "/priorities")
	var paths []string
	for _, n := range a.find("link") {
		paths = append(paths, strings.TrimPrefix(attr(n, "href"), "."))
	}
	paths = append(paths, strings.TrimPrefix(attr(a.find("script")[0], "src"), "."))
	for _, path := range paths {
		a := f.send("", "GET", path, nil)
		if a.Code != 200 || !strings.Contains(a.Header().Get("Cache-Control"), "immutable") || a.Body.Len() < 100 {
			t.Errorf("%s: %d %v", path, a.Code, a.Header())
		}
		bare, _, _ := strings.Cut(path, "?")
		r := httptest.NewRequest("GET", bare, nil)
		r.Header.Set("If-None-Match", a.Header().Get("ETag"))
		if b := f.serve(r); b.Code != http.StatusNotModified || b.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v", bare, b.Code, b.Header())
		}
	}
	if a := f.send("", "GET", "/assets/..%2fhandler.go", nil); a.Code != 404 {
		t.Errorf("a file from elsewhere: %d", a.Code)
	}
}

func TestTheStatusShowsAFailedReload(t *testing.T) {
	f := newFixture(t)
	f.service.Config.Error = "sitrep.yml:3:1: unknown field \"x\"\nsitrep.yml:9:1: another\nsitrep: 2 problems"
	f.service.Config.Places, f.service.Config.WarningPlaces = "sitrep.yml:3:1: a mistake", []string{"sitrep.yml:5:1: a warning"}
	f.service.Config.Warnings = []string{"sitrep.yml:5:1: the token is short"}
	for _, role := range []string{"viewer", "responder"} {
		a := f.get(role, "/status")
		text := a.text()
		if !strings.Contains(text, "sitrep.yml:3:1: a mistake") || !strings.Contains(text, "sitrep.yml:5:1: a warning") ||
			strings.Contains(text, "unknown field") || strings.Contains(text, "token is short") {
			t.Errorf("status as %s: %s", role, text)
		}
	}
	a := f.get("admin", "/status")
	if text := a.text(); !strings.Contains(text, `sitrep.yml:3:1: unknown field "x" sitrep.yml:9:1: another sitrep: 2 problems`) || !strings.Contains(text, f.policy.Hash) {
		t.Errorf("status: %s", text)
	}
	if a := f.get("viewer", "/"); !strings.Contains(a.Body.String(), "could not be reloaded") || strings.Contains(a.Body.String(), "unknown field") {
		t.Error("the overview does not point to the status")
	}
}

func TestTheStatusIsBounded(t *testing.T) {
	f := newFixture(t)
	for i := range 20_000 {
		f.service.Config.Warnings = append(f.service.Config.Warnings, fmt.Sprintf("slos.yml:%d:1: the runbook is no link, so it is not shown", i))
	}
	f.service.Config.Error = strings.Join(f.service.Config.Warnings, "\n")
	a := f.get("admin", "/status")
	if size := a.Body.Len(); size > 1<<20 || !strings.Contains(a.text(), "more; sitrep check shows all") || !strings.Contains(a.text(), "slos.yml:7:1") {
		t.Errorf("a page of %d bytes", size)
	}
}

func TestPagesNeedNoAddressOfTheirOwn(t *testing.T) {
	// Behind a proxy that serves sitrep below a path, all links stay below it.
	f := newFixture(t)
	for _, path := range f.populate("plain") {
		a := f.get("admin", path)
		for n := range a.doc.Descendants() {
			for _, at := range n.Attr {
				if (at.Key == "href" || at.Key == "src" || at.Key == "action") && strings.HasPrefix(at.Val, "/") {
					t.Errorf("%s: <%s %s=%q> begins with a slash", path, n.Data, at.Key, at.Val)
				}
			}
		}
	}
}

func TestThePrioritiesSayWhoIsBehindTheAudiences(t *testing.T) {
	f := newFixture(t)
	a := f.get("viewer", "/priorities")
	for _, want := range []string{
		"It is P1 if Log-on is not possible for any application", "postmortem, within 5 days after resolving", "management: leadership", "at least every 4 hours, once it lasts 5 minutes",
		"nobody but the people on call", "customer-support stakeholders of 4 SLOs support@example.org and https://chat.example.org times in Europe/Berlin",
	} {
		if !strings.Contains(a.text(), want) {
			t.Errorf("no %q in %s", want, a.text())
		}
	}
}

func TestPagesSayOfWhichPrioritiesAGroupHears(t *testing.T) {
	f := newFixture(t)
	f.policy.Groups[0].Priorities, f.policy.Groups[1].Priorities = []string{"P2"}, []string{"P1", "P2"}
	f.policy.SLOs[0].Affects = "Customers in Europe"
	f.breach("notifications-register-availability", "a", nil)
	a := f.get("viewer", "/priorities")
	if !strings.Contains(a.text(), "stakeholders of 4 SLOs, of P1 and P2 only") || !strings.Contains(a.text(), "management, none of whose groups hears of it") {
		t.Errorf("the priorities do not say who hears of them: %s", a.text())
	}
	if a := f.get("viewer", "/slos"); !strings.Contains(a.text(), "affects: Customers in Europe · stakeholders: customer-support (P1 and P2 only)") {
		t.Errorf("the SLOs do not say who is affected, and who hears of them: %s", a.text())
	}
	if a := f.get("viewer", "/incidents/INC-1"); !strings.Contains(a.text(), "Affects Customers in Europe") {
		t.Errorf("the incident does not say who is affected: %s", a.text())
	}
}

func TestTheOverviewSaysThatAlertsHaveStopped(t *testing.T) {
	f := newFixture(t)
	f.policy.Watchdog = incident.Watchdog{Within: 15 * time.Minute}
	f.write(func(tx storage.Tx) error {
		return tx.PutPulses(t.Context(), []incident.Pulse{{HeardAt: start, AwaySince: start, Sequence: 1}}, nil)
	})
	n := f.breach("search-latency", "a", nil)
	for path, want := range map[string]string{"/": "Alerts have stopped arriving", "/status": "has been away since 10:00", page(n, ""): "Silent since 10:00"} {
		if a := f.get("viewer", path); !strings.Contains(a.text(), want) {
			t.Errorf("%s has no %q: %s", path, want, a.text())
		}
	}
}

func TestThePagesSayThatTheCanaryDoesNotArrive(t *testing.T) {
	f := newFixture(t)
	put := func(p incident.Pulse) {
		p.Name = incident.CanaryPulse
		f.write(func(tx storage.Tx) error { return tx.PutPulses(t.Context(), []incident.Pulse{p}, nil) })
	}
	expect := func(path, want string, is bool) {
		t.Helper()
		if a := f.get("viewer", path); strings.Contains(a.text(), want) != is {
			t.Errorf("%s has %q: %v, want %v: %s", path, want, !is, is, a.text())
		}
	}
	expect("/status", "Canary none is configured", true)
	f.policy.Canary = incident.Canary{Every: 24 * time.Hour, Within: 10 * time.Minute}
	put(incident.Pulse{HeardAt: start, Run: &incident.CanaryRun{PostedAt: start, ArrivedAt: start, Took: 40 * time.Second}})
	expect("/", "canary", false)
	expect("/status", "Canary last arrived 10:00 , 40 seconds after it was posted, expected every 1 day; next Tue 3 Mar, 10:00", true)
	put(incident.Pulse{AwaySince: start, Run: &incident.CanaryRun{PostedAt: start, FailedAt: start.Add(time.Minute), Stage: incident.CanaryMail, Error: "535 no such user ada@example.org"}})
	for _, path := range []string{"/", "/status"} {
		expect(path, "The canary has not arrived since 10:00 : Its alert came back, and its mail was not handed over in time.", true)
	}
	expect("/status", "535 no such user", true)
	expect("/status", "ada@example.org", false)
}

func TestThePagesNameTheClusterWhoseAlertsHaveStopped(t *testing.T) {
	f := newFixture(t)
	f.policy.Watchdog = incident.Watchdog{Within: 15 * time.Minute, By: []string{"cluster"}}
	if a := f.get("viewer", "/status"); !strings.Contains(a.text(), "none heard yet, expected every 15 minutes") {
		t.Errorf("never heard: %s", a.text())
	}
	f.write(func(tx storage.Tx) error {
		for cluster, away := range map[string]time.Time{"eu": start, "us": {}} {
			p := f.policy.Watchdog.Pulse(map[string]string{"cluster": cluster})
			p.HeardAt, p.AwaySince = start, away
			if err := tx.PutPulses(t.Context(), []incident.Pulse{p}, nil); err != nil {
				return err
			}
		}
		return nil
	})
	n := f.breach("search-latency", "a", nil)
	for path, want := range map[string]string{
		"/": "Alerts have stopped arriving (cluster eu)", "/status": "The watchdog of cluster eu has been away since 10:00", page(n, ""): "Silent: cluster eu since 10:00. Until it is back, its alerts",
	} {
		a := f.get("viewer", path)
		if !strings.Contains(a.text(), want) {
			t.Errorf("%s has no %q: %s", path, want, a.text())
		}
		if strings.Contains(a.text(), "cluster us") != (path == "/status") {
			t.Errorf("%s on the cluster that is there: %s", path, a.text())
		}
	}
}

func TestUnknownAndMergedIncidentsSaySo(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	other := f.breach("notifications-delay-latency", "b", nil)
	f.change(func(c *storage.Change) error {
		b, err := c.LatestBreach("a")
		if err != nil {
			return err
		}
		s, err := c.Situation(n)
		if err != nil {
			return err
		}
		return c.RecordBreach(&s.Incident, b, s.Incident.Lose(c.Stamp(incident.ActorScheduler), b, incident.WhyQuiet))
	})
	if a := f.get("viewer", "/"); !strings.Contains(a.text(), "unknown whether it goes on") {
		t.Errorf("overview: %s", a.text())
	}
	if a := f.get("viewer", page(n, "")); !strings.Contains(a.text(), "Unknown since 10:00: nobody can tell whether the alert still fires") {
		t.Errorf("incident: %s", a.text())
	}
	f.do(other, command.Merge{Into: incident.ID(n), Reason: "the same disk"})
	if a := f.get("responder", page(other, "")); !strings.Contains(a.text(), "It is the same trouble as INC-1") || len(a.find("form")) != 1 { // that of the time zone
		t.Errorf("merged: %s", a.text())
	}
	a := f.get("viewer", page(n, ""))
	for _, want := range []string{"INC-2, merged into this", "notifications-delay-latency from 10:00", "ada merged INC-2 into this incident: “the same disk”"} {
		if !strings.Contains(a.text(), want) {
			t.Errorf("no %q in %s", want, a.text())
		}
	}
}

func TestManySLOsComeInPages(t *testing.T) {
	f := newFixture(t)
	for i := range 1000 {
		f.policy.SLOs = append(f.policy.SLOs, incident.SLO{ID: "slo-" + string(rune('a'+i%26)) + strings.Repeat("x", i%7), Key: "k", UseCase: "Use", Team: "identity", Priority: "P1"})
	}
	a := f.get("responder", "/slos?q=slo-&page=5")
	if text := a.text(); !strings.Contains(text, "1000 found") || !strings.Contains(text, "Previous page") || strings.Contains(text, "Next page") {
		t.Errorf("last page: %.300s", text)
	}
	for _, page := range []string{"0", "-1", "x", "99999999999999999999", "6"} {
		f.get("viewer", "/slos?page="+page)
	}
	a = f.get("responder", "/declare")
	if len(a.find("datalist")) != 1 {
		t.Error("the id of an SLO cannot be typed")
	}
	checkPage(t, &a)
}

func TestAnAlertWhoseIDIsMistypedIsAskedAbout(t *testing.T) {
	f := newFixture(t)
	f.write(func(tx storage.Tx) error {
		return tx.PutUnmapped(t.Context(), []*incident.UnmappedAlert{{Fingerprint: "u", StartsAt: start, HeardAt: start, Labels: map[string]string{"alertname": "Burn", "sitrep_slo": "serch-latency"}}}, nil)
	})
	if a := f.get("viewer", "/slos"); !strings.Contains(a.text(), "sitrep_slo is “serch-latency”: did you mean “search-latency”?") {
		t.Error(a.text())
	}
}

func TestAnSLOThatNeverClaimedAnAlertIsShownAsThat(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	f.do(0, command.Declare{SLO: "log-on-availability", Reason: "people call"})
	text := func() string {
		a := f.get("viewer", "/slos")
		checkPage(t, &a)
		return a.text()
	}
	if got := text(); strings.Count(got, "never claimed an alert") != 3 || !strings.Contains(got, "last claimed an alert 10:00 INC-1") {
		t.Error(got)
	}
	f.do(n, command.Resolve{Note: "over"})
	f.clock.Pass(24 * time.Hour)
	if got := text(); strings.Count(got, "never claimed an alert") != 3 || !strings.Contains(got, "last claimed an alert Mon 2 Mar, 10:00 INC-1") {
		t.Errorf("a day later: %s", got)
	}
}
