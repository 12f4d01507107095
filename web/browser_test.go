package web_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/internal/status"
)

// serveLocal serves the fixture's pages to this machine, where everybody is an admin.
func (f *fixture) serveLocal(t *testing.T) *httptest.Server {
	t.Helper()
	guard, err := access.New(slog.New(slog.DiscardHandler), access.Rules{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(f.router(guard.Require))
	t.Cleanup(srv.Close)
	return srv
}

func TestInABrowser(t *testing.T) {
	b := newBrowser(t)
	for _, tt := range []struct {
		name string
		test func(*testing.T, *browser)
	}{
		{"pages are whole and can be reached by everybody", pagesInABrowser},
		{"the keyboard reaches the content first", theKeyboardReachesTheContentFirst},
		{"a page stays fresh and leaves people alone", aPageStaysFreshAndLeavesPeopleAlone},
		{"pages work without a script", pagesWorkWithoutAScript},
		{"a broken chain is found without a script, on a phone", coverageWithoutAScript},
		{"times are in the browser's zone by one tap, and in any by a form without a script", timesInABrowser},
		{"several incidents are written to without a script, on a phone", severalWithoutAScript},
		{"a responder takes an incident from the first look to its closing", aResponderClosesAnIncident},
		{"at night a phone suffices, however many read along", atNightAPhoneSuffices},
		{"the browser holds back what a mail brings", theBrowserHoldsBackWhatAMailBrings},
		{"a preview shows the mails as mail programs do", aPreviewShowsItsMails},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.tab(t)
			tt.test(t, b)
		})
	}
}

// serveEvidence serves a report and the page of an export of what the fixture's store has.
func (f *fixture) serveEvidence(t *testing.T) *httptest.Server {
	t.Helper()
	report, err := audit.MakeReport(t.Context(), f.store, audit.ReportOptions{Now: f.clock.Now(), Location: f.policy.Location, Version: "1.2.3", URL: f.policy.ExternalURL})
	if err != nil {
		t.Fatal(err)
	}
	var page, packed bytes.Buffer
	if err := report.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	pages := map[string][]byte{"/report.html": page.Bytes()}
	if _, err := audit.Export(t.Context(), f.store, &packed, audit.ExportOptions{Now: f.clock.Now(), Location: f.policy.Location, Version: "1.2.3"}); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range z.File {
		if strings.HasSuffix(file.Name, ".html") {
			r, err := file.Open()
			if err != nil {
				t.Fatal(err)
			}
			if pages["/export/"+file.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", audit.PagePolicy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(pages[r.URL.Path])
	}))
	t.Cleanup(srv.Close)
	return srv
}

// finding is what axe found on a page.
type finding struct {
	ID, Help string
	Nodes    []string
}

func pagesInABrowser(t *testing.T, b *browser) {
	f := newFixture(t)
	all := f.populate("eu-central")
	f.clock.Pass(3 * time.Hour)
	f.mailTest = func(to string, preview bool) (status.MailTest, error) {
		return status.MailTest{
			To: to, Preview: preview, Where: "smtp.example.org:587", Message: "Subject: a test of sitrep\r\n\r\nIt works if you read this, even in a line that is longer than a phone is wide.\r\n",
			Steps: []status.MailStep{{Text: "connected to 192.0.2.1:587"}, {By: "server", Text: "220 smtp.example.org ESMTP"}, {By: "sitrep", Text: "EHLO " + strings.Repeat("sitrep.", 20) + "example.org"}, {By: "server", Text: "535 5.7.8 no"}},
			Error: "log in: 535 5.7.8 no", Advice: "check the password",
		}, nil
	}
	// Of what looks the same, one will do; the forms stand on the unfolded page, too.
	var paths []string
	kinds := map[string]bool{}
	for _, path := range all {
		kind, _, _ := strings.Cut(path, "?")
		if i := strings.LastIndex(kind, "/"); strings.HasPrefix(kind, "/incidents/INC-2/") {
			kind = kind[:i]
		}
		if !kinds[kind] {
			kinds[kind] = true
			paths = append(paths, path)
		}
	}
	paths = append(paths, "/?state=resolved", all[len(all)-10]) // a webhook
	srv, evidence := f.serveLocal(t), f.serveEvidence(t)
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	// With go test -artifacts, pictures of all pages are kept.
	pictures, pictured := t.ArtifactDir(), flag.Lookup("test.artifacts").Value.String() == "true"
	const all24 = `, rules: {"target-size": {enabled: true}}`
	rules := "" // that axe checks
	check := func(name string) {
		t.Helper()
		var wide string
		b.eval(`(() => {
			const width = document.documentElement.clientWidth;
			if (document.documentElement.scrollWidth <= width) return "";
			return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1 && !e.closest(".scroll, .top nav"))
				.slice(0, 5).map((e) => e.outerHTML.slice(0, 100)).join("\n") || "the page";
		})()`, &wide)
		if wide != "" {
			t.Errorf("%s is wider than the window: %s", name, wide)
		}
		b.eval(string(axe)+";0", nil)
		var found []finding
		b.eval(`axe.run(document, {iframes: false`+rules+`}).then((r) => r.violations.map((v) => ({id: v.id, help: v.help, nodes: v.nodes.map((n) => n.html.slice(0, 200) + " " + n.failureSummary)})))`, &found)
		for _, v := range found {
			t.Errorf("%s: %s: %s\n%s", name, v.ID, v.Help, strings.Join(v.Nodes[:min(3, len(v.Nodes))], "\n"))
		}
		for _, c := range b.complaints() {
			t.Errorf("%s: the browser complains: %s", name, c)
		}
		if !pictured {
			return
		}
		if err := os.WriteFile(filepath.Join(pictures, name+".png"), b.shoot(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []struct {
		name          string
		width, height int
	}{{"desktop", 1280, 800}, {"narrow", 900, 800}, {"phone", 390, 844}} {
		for _, colours := range []string{"light", "dark"} {
			if size.name == "narrow" && colours == "dark" {
				continue
			}
			b.view(size.width, size.height, colours)
			rules = all24
			if colours == "dark" {
				rules = `, runOnly: ["color-contrast"]` // all else is as in the light
			}
			for _, path := range paths {
				b.open(srv.URL + path)
				check(size.name + "-" + colours + "-" + strings.NewReplacer("/", "_", "?", "_", "&", "_").Replace(strings.TrimPrefix(path, "/")))
			}
			if size.width >= 900 {
				b.open(srv.URL + "/")
				if lines := b.text(`new Set([...document.querySelectorAll("nav li, .top > a.button")].map((e) => Math.round((e.getBoundingClientRect().top + e.getBoundingClientRect().bottom) / 2))).size`); lines != "1" {
					t.Errorf("at %d px the menu has %s lines", size.width, lines)
				}
			}
			for _, path := range []string{"/report.html", "/export/index.html"} {
				b.open(evidence.URL + path)
				check(size.name + "-" + colours + strings.ReplaceAll(path, "/", "-"))
			}
			for _, form := range []struct{ name, path, fields string }{
				{"mail-test", "/mail/test", `document.querySelector("[name=to]").value = "ada@example.org"`},
				{"several-updates", "/several?do=updates&incident=INC-2&incident=INC-4", `document.querySelector("[name=message]").value = "One disk is full"`},
				{"several-merge", "/several?do=merge&incident=INC-2&incident=INC-4", `document.querySelector("[name=into]").checked = true; document.querySelector("[name=reason]").value = "One disk is full"`},
			} {
				b.open(srv.URL + form.path)
				b.eval(form.fields, nil)
				b.arrive(func() { b.eval(`document.querySelector("form.command button").click()`, nil) })
				check(size.name + "-" + colours + "-" + form.name + "-preview")
			}
			b.open(srv.URL + "/mail/test")
			b.eval(`document.querySelector("[name=to]").value = "ada@example.org"`, nil)
			b.arrive(func() { b.eval(`document.querySelector("form.command button").click()`, nil) })
			b.arrive(func() { b.eval(`document.querySelector(".confirm button").click()`, nil) })
			check(size.name + "-" + colours + "-mail-test-sent")
			// With all that folds out, and a preview.
			b.open(srv.URL + "/incidents/INC-2")
			b.eval(`for (const d of document.querySelectorAll("details")) d.open = true`, nil)
			check(size.name + "-" + colours + "-unfolded")
			b.open(srv.URL + "/incidents/INC-2/priority")
			b.eval(`document.querySelector("[name=priority][value=P2]").checked = true; document.querySelector("[name=reason]").value = "Only one region is affected"`, nil)
			b.arrive(func() { b.eval(`document.querySelector("form.command button").click()`, nil) })
			check(size.name + "-" + colours + "-preview")
			b.open(srv.URL + "/incidents/INC-2/resolve")
			b.arrive(func() {
				b.eval(`document.querySelector("form.command").noValidate = true; document.querySelector("form.command button").click()`, nil)
			})
			if !strings.Contains(b.text(`document.querySelector("[role=alert]").textContent`), "still fire") {
				t.Error("no alert beside the form")
			}
			// The answer is 400 on purpose.
			b.complaints()
			check(size.name + "-" + colours + "-refused")
		}
	}
}

func theKeyboardReachesTheContentFirst(t *testing.T, b *browser) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	srv := f.serveLocal(t)
	b.view(1280, 800, "light")
	b.open(srv.URL + page(n, ""))
	b.press("Tab", 9)
	if got := b.text(`document.activeElement.className + " " + (document.activeElement.getBoundingClientRect().left >= 0)`); got != "skip true" {
		t.Errorf("the first Tab reaches %s", got)
	}
	b.eval(`document.activeElement.click()`, nil)
	b.until("the content has the focus", func() bool { return b.text(`document.activeElement.id`) == "main" })
	// All that can be reached is seen to be: each has an outline.
	var without []string
	for range 25 {
		b.press("Tab", 9)
		if got := b.text(`(() => { const e = document.activeElement; const s = getComputedStyle(e); return e === document.body || s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 ? "" : e.outerHTML.slice(0, 80) })()`); got != "" {
			without = append(without, got)
		}
	}
	if len(without) > 0 {
		t.Errorf("no outline: %s", strings.Join(without, "\n"))
	}
}

func aPageStaysFreshAndLeavesPeopleAlone(t *testing.T, b *browser) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	srv := f.serveLocal(t)
	b.view(1280, 800, "light")
	b.open(srv.URL + page(n, "?done=acknowledge"))
	if got := b.text(`location.search`); got != "" {
		t.Errorf("the address keeps %s", got)
	}
	refresh := func() { b.eval(`document.dispatchEvent(new Event("visibilitychange")); 0`, nil) }
	says := func(words string) func() bool {
		return func() bool { return strings.Contains(b.text(`document.getElementById("main").textContent`), words) }
	}
	b.eval(`document.getElementById("do-merge").open = true; document.querySelector("#do-merge summary").focus(); document.getElementById("main").dataset.same = "yes"`, nil)
	f.do(n, command.Phase{Phase: incident.PhaseInvestigation, Note: "first news"})
	refresh()
	b.until("the news are there", says("first news"))
	for what, want := range map[string]string{
		`document.getElementById("do-merge").open`:         "true",
		`document.activeElement.closest("details").id`:     "do-merge",
		`document.getElementById("main").dataset.same`:     "yes", // it was not loaded anew
		`document.getElementById("freshness").textContent`: "The page has news.",
		`document.querySelectorAll(".banner.good").length`: "0",
	} {
		if got := b.text(what); got != want {
			t.Errorf("%s = %s, want %s", what, got, want)
		}
	}
	// Without news nothing moves.
	b.eval(`document.querySelector("h1").dataset.same = "yes"`, nil)
	refresh()
	b.eval(`new Promise((done) => setTimeout(done, 300))`, nil)
	if got := b.text(`document.querySelector("h1").dataset.same`); got != "yes" {
		t.Error("the content was exchanged for the same")
	}
	// Who writes is not disturbed, but told.
	b.eval(`document.querySelector("#updates-message").focus()`, nil)
	b.call("Input.insertText", map[string]any{"text": "We are looking"}, nil)
	f.do(n, command.Phase{Phase: incident.PhaseRecovery, Note: "second news"})
	refresh()
	b.until("it is said that there are news", func() bool {
		return strings.HasPrefix(b.text(`document.getElementById("freshness").textContent`), "There is news.")
	})
	if says("second news")() {
		t.Error("the content was exchanged under the hands of somebody who writes")
	}
	if got := b.text(`document.activeElement.value`); got != "We are looking" {
		t.Errorf("in the field is %q", got)
	}
	b.eval(`document.querySelector("#updates-message").value = ""; document.activeElement.blur()`, nil)
	refresh()
	b.until("the second news are there", says("second news"))
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %s", c)
	}
	// The server goes away and comes back.
	srv.CloseClientConnections()
	srv.Listener.Close()
	refresh()
	refresh()
	b.until("it is said that the page may be old", func() bool {
		return strings.Contains(b.text(`document.getElementById("freshness").textContent`), "may be old")
	})
	if !says("second news")() {
		t.Error("the content is gone")
	}
}

func pagesWorkWithoutAScript(t *testing.T, b *browser) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	srv := f.serveLocal(t)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.view(390, 844, "light")
	b.open(srv.URL + page(n, "#update"))
	if top := b.text(`Math.round(document.getElementById("update").getBoundingClientRect().top) < innerHeight`); top != "true" {
		t.Error("the anchor of the update form does not lead to it")
	}
	b.eval(`document.querySelector("#updates-message").value = "It is being repaired"; 0`, nil)
	b.arrive(func() { b.eval(`document.querySelector("#update button").click()`, nil) })
	if got := b.text(`document.querySelector("main").textContent`); !strings.Contains(got, "It is being repaired") {
		t.Fatalf("preview: %s", got)
	}
	b.arrive(func() { b.eval(`document.querySelector(".confirm button").click()`, nil) })
	if got := b.text(`location.href`); got != srv.URL+page(n, "?done=updates") {
		t.Errorf("then at %s", got)
	}
	if in := f.incident(n); in.Words[incident.AudienceManagement].By != "local" || in.Words[incident.AudienceStakeholders].Text != "It is being repaired" {
		t.Errorf("written: %+v", in.Words)
	}
}

func coverageWithoutAScript(t *testing.T, b *browser) {
	f := newFixture(t)
	f.follow("")
	srv := f.serveLocal(t)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.view(390, 844, "dark")
	b.open(srv.URL + "/slos")
	b.arrive(func() { b.eval(`document.querySelector(".sum a[href$=coverage]").click()`, nil) })
	b.eval(`document.querySelector("#f-state").value = "broken"; 0`, nil)
	b.arrive(func() { b.eval(`document.querySelector(".filter button").click()`, nil) })
	if got := b.text(`document.querySelector("main").innerText.replace(/\s+/g, " ")`); !strings.Contains(got, "1 found") || !strings.Contains(got, "notifications-delay-latency broken") || !strings.Contains(got, "Route to sitrep broken") || !strings.Contains(got, "add continue: true to it") {
		t.Errorf("on a phone: %s", got)
	}
}

func timesInABrowser(t *testing.T, b *browser) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	srv := f.serveLocal(t)
	b.view(390, 844, "light")
	shown := func(what string) string {
		return b.text(`document.querySelector("` + what + `").textContent.replace(/\s+/g, " ").trim()`)
	}
	zone := func(want string) {
		t.Helper()
		if got := shown("footer p"); !strings.HasPrefix(got, "Times are "+want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	b.call("Emulation.setTimezoneOverride", map[string]any{"timezoneId": "Asia/Tokyo"}, nil)
	b.open(srv.URL + page(n, ""))
	zone("Europe/Berlin")
	if got := shown("#your-zone"); got != "Show them in Asia/Tokyo" {
		t.Errorf("the switch says %q", got)
	}
	b.arrive(func() { b.eval(`document.querySelector("#your-zone button").click()`, nil) })
	if got := b.text(`location.pathname`); got != page(n, "") {
		t.Errorf("then at %s", got)
	}
	zone("Asia/Tokyo (JST is UTC+9), as you chose")
	if got := shown("#main time"); !strings.Contains(got, "18:00") {
		t.Errorf("the page says %s", got)
	}
	b.open(srv.URL + "/")
	zone("Asia/Tokyo (JST is UTC+9), as you chose")
	b.arrive(func() { b.eval(`document.querySelector("#your-zone button").click()`, nil) })
	zone("Europe/Berlin")
	// Without a script.
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.open(srv.URL + "/slos?q=search")
	b.arrive(func() { b.eval(`document.querySelector("footer a").click()`, nil) })
	b.eval(`document.querySelector("#zone-name").value = "America/New_York"; 0`, nil)
	b.arrive(func() { b.eval(`document.querySelector("form.command button").click()`, nil) })
	if got := b.text(`location.pathname + location.search`); got != "/slos?q=search" {
		t.Errorf("then at %s", got)
	}
	zone("America/New_York (EST is UTC-5), as you chose")
}

// severalWithoutAScript chooses two of many by their boxes, which the thumb reaches, and finds
// the buttons where it is.
func severalWithoutAScript(t *testing.T, b *browser) {
	f := newFixture(t)
	f.seed(30, func(i int, in *incident.Incident) {
		in.Priority = f.policy.Priorities[i%2]
		in.Stakeholders = []string{"customer-support"}
	})
	srv := f.serveLocal(t)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	b.view(390, 844, "light")
	b.open(srv.URL + "/")
	var high int
	if b.eval(`document.documentElement.scrollHeight`, &high); high > 2600 {
		t.Errorf("30 incidents are %d px high", high)
	}
	var small []string
	b.eval(`[...document.querySelectorAll(".pick, .dense h2 a")].map((e) => [e, e.getBoundingClientRect()]).filter(([, r]) => r.height < 24 || r.width < 24).map(([e]) => e.outerHTML)`, &small)
	if len(small) > 0 {
		t.Errorf("%d targets are small, such as %s", len(small), small[0])
	}
	where := `Math.round(document.querySelector(".bar").getBoundingClientRect().bottom) <= innerHeight`
	if b.text(where) == "true" {
		t.Error("the bar is in the way before anything is chosen")
	}
	for _, id := range []string{"INC-2", "INC-4"} {
		b.eval(`document.querySelector('[name=incident][value=`+id+`]').closest("label").click()`, nil)
	}
	if b.text(where) != "true" {
		t.Error("the bar is not in sight once something is chosen")
	}
	// By the keyboard, as everything else.
	b.eval(`document.querySelector(".bar button").focus()`, nil)
	b.arrive(func() {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}, nil)
		b.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}, nil)
	})
	b.eval(`document.querySelector("#several-message").value = "One disk is full"; 0`, nil)
	b.arrive(func() { b.eval(`document.querySelector("form.command button").click()`, nil) })
	if got := b.text(`document.querySelector("main").textContent.replace(/\s+/g, " ")`); !strings.Contains(got, "update about INC-2 and INC-4") && !strings.Contains(got, "opening about INC-2 and INC-4") {
		t.Fatalf("preview: %s", got)
	}
	b.arrive(func() { b.eval(`document.querySelector(".confirm button").click()`, nil) })
	if got := b.text(`document.querySelector("main").textContent`); !strings.Contains(got, "on its way for 2.") {
		t.Errorf("then: %s", got)
	}
	for _, n := range []int64{2, 4} {
		if in := f.incident(n); in.Words[incident.AudienceStakeholders].Text != "One disk is full" {
			t.Errorf("%s: %+v", in.ID(), in.Words)
		}
	}
}

// aResponderClosesAnIncident does it on a desktop and on a phone: each form is filled
// in, previewed and confirmed by clicks.
func aResponderClosesAnIncident(t *testing.T, b *browser) {
	for _, size := range []struct{ width, height int }{{1280, 800}, {390, 844}} {
		f := newFixture(t)
		n := f.breach("notifications-register-availability", "a", nil)
		srv := f.serveLocal(t)
		b.view(size.width, size.height, "light")
		b.open(srv.URL + page(n, ""))
		b.arrive(func() { b.eval(`document.querySelector('form[action$="/acknowledge"] button').click()`, nil) })
		// Each step fills in the fields by name; a radio or a box is chosen by its value.
		for _, step := range []struct {
			slug, preview string
			fields        map[string]string
		}{
			{"priority", "Get one last message", map[string]string{"priority": "P2", "reason": "a workaround exists"}},
			{"phase", "database team", map[string]string{"phase": "escalation", "escalated_to": "database team"}},
			{"updates", "We restart the queue.", map[string]string{"message": "We restart the queue."}},
			{"resolve", "resolved to", map[string]string{"note": "the queue runs again"}},
			{"actions", "hotfix", map[string]string{"action": "hotfix", "state": "done", "link": "https://git.example.org/1"}},
			{"actions", "postmortem", map[string]string{"action": "postmortem", "state": "done", "link": "https://wiki.example.org/postmortem"}},
			{"close", "", map[string]string{"note": "nothing is left to do"}},
		} {
			b.open(srv.URL + page(n, "/"+step.slug))
			fields, err := json.Marshal(step.fields)
			if err != nil {
				t.Fatal(err)
			}
			b.eval(`for (const [name, value] of Object.entries(`+string(fields)+`)) {
				for (const e of document.querySelectorAll('form.command [name="' + name + '"]')) {
					if (e.type === "radio" || e.type === "checkbox") e.checked = e.value === value; else e.value = value;
				}
			}`, nil)
			b.arrive(func() { b.eval(`document.querySelector("form.command button").click()`, nil) })
			if got := b.text(`document.querySelector("main").textContent.replace(/\s+/g, " ")`); !strings.Contains(got, step.preview) {
				t.Fatalf("the preview of %s has no %q: %s", step.slug, step.preview, got)
			}
			b.arrive(func() { b.eval(`document.querySelector(".confirm button").click()`, nil) })
			if got := b.text(`location.pathname`); got != page(n, "") {
				t.Fatalf("after %s at %s: %s", step.slug, got, b.text(`document.querySelector("main").textContent`))
			}
		}
		in := f.incident(n)
		if in.State != incident.StateClosed || in.Priority.Name != "P2" || in.AcknowledgedBy != "local" || in.Actions[1].Link != "https://wiki.example.org/postmortem" {
			t.Errorf("in the end: %+v", in)
		}
		// Who opens the link in a mail sees at once how it stands.
		if got := b.text(`document.querySelector("main").textContent`); !strings.Contains(got, "Closed") {
			t.Errorf("the page does not say that it is closed: %s", got)
		}
		if c := b.complaints(); len(c) > 0 {
			t.Errorf("the browser complains: %s", c)
		}
	}
}

// atNightAPhoneSuffices follows the link of the mail to "I am on it" and to the first update, and
// counts the taps; the page stays short, however many read along.
func atNightAPhoneSuffices(t *testing.T, b *browser) {
	for _, readers := range []int{1, 50} {
		f := newFixture(t)
		f.crowd("leadership", readers)
		f.crowd("customer-support", readers)
		n := f.breach("notifications-register-availability", "a", map[string]string{"region": "eu-central"})
		f.deliver(n, eml)
		f.clock.Pass(8 * time.Minute)
		srv := f.serveLocal(t)
		inSight := func(selector string) bool {
			return b.text(`(() => { const r = document.querySelector(`+"`"+selector+"`"+`).getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight })()`) == "true"
		}
		shoot := func(name string) {
			t.Helper()
			if flag.Lookup("test.artifacts").Value.String() != "true" {
				return
			}
			for _, size := range []struct {
				name          string
				width, height int
			}{{"desktop", 1280, 800}, {"phone", 390, 844}} {
				for _, colours := range []string{"light", "dark"} {
					b.view(size.width, size.height, colours)
					if err := os.WriteFile(filepath.Join(t.ArtifactDir(), fmt.Sprintf("%s-%d-%s-%s.png", name, readers, size.name, colours)), b.shoot(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			b.view(390, 844, "dark")
		}
		taps := 0
		tap := func(selector string) {
			t.Helper()
			if !inSight(selector) {
				t.Errorf("%d readers: %s cannot be tapped without scrolling", readers, selector)
			}
			b.eval("document.querySelector(`"+selector+"`).click()", nil)
			taps++
		}
		b.view(390, 844, "dark")
		b.open(srv.URL + page(n, "")) // without the anchor, too
		const button = `form[action$="/acknowledge"] button`
		if !inSight(button) || !inSight(`.onit a[href="#update"]`) {
			t.Errorf("%d readers: who is on it is not on the first screen", readers)
		}
		var high int
		if b.eval(`document.documentElement.scrollHeight`, &high); high > 3600 {
			t.Errorf("%d readers make the page %d px high", readers, high)
		}
		shoot("new")
		b.arrive(func() { b.eval(`location.href = "about:blank"`, nil) })
		b.open(srv.URL + page(n, "#acknowledge"))
		b.arrive(func() { tap(button) })
		if in := f.incident(n); in.AcknowledgedBy != "local" || taps != 1 {
			t.Errorf("after %d taps: %+v", taps, in)
		}
		if got := b.text(`document.querySelector(".onit").textContent`); !strings.Contains(got, "On it: local") || !strings.Contains(got, "I am no longer on it") {
			t.Errorf("then it says %s", got)
		}
		shoot("on-it")
		b.eval(`scrollTo(0, 0)`, nil)
		tap(`.onit a[href="#update"]`)
		if !inSight("#updates-message") {
			t.Error("the form of an update is not in sight")
		}
		b.eval(`document.querySelector("#updates-message").value = "We look into it."`, nil)
		b.arrive(func() { tap("#update button") })
		b.eval(`document.querySelector(".confirm button").scrollIntoView()`, nil)
		b.arrive(func() { tap(".confirm button") })
		if in := f.incident(n); in.Words[incident.AudienceManagement].Text != "We look into it." || taps != 4 {
			t.Errorf("after %d taps: %+v", taps, in)
		}
		f.deliver(n, eml)
		f.clock.Pass(time.Minute)
		b.open(srv.URL + page(n, ""))
		shoot("told")
		for _, path := range []string{page(n, "/steps"), "/deliveries", "/groups?name=leadership"} {
			b.open(srv.URL + path)
			shoot(strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(strings.Trim(path, "/")))
		}
		if c := b.complaints(); len(c) > 0 {
			t.Errorf("the browser complains: %s", c)
		}
	}
}

func aPreviewShowsItsMails(t *testing.T, b *browser) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	f.do(n, command.Phase{Phase: incident.PhaseEscalation, EscalatedTo: "the database team", Note: "db-7 is full"})
	f.deliver(n, eml)
	f.clock.Pass(time.Hour)
	var shown atomic.Int64
	guard, err := access.New(slog.New(slog.DiscardHandler), access.Rules{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	pages := f.router(guard.Require)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.ServeHTTP(w, r)
		if r.Header.Get("Sec-Fetch-Dest") == "iframe" && w.Header().Get("X-Frame-Options") == "SAMEORIGIN" {
			shown.Add(1)
		}
	}))
	t.Cleanup(srv.Close)
	for _, size := range []struct {
		name          string
		width, height int
	}{{"desktop", 1280, 800}, {"phone", 390, 844}} {
		b.view(size.width, size.height, "light")
		for _, command := range []string{"resolve", "phase"} {
			b.open(srv.URL + page(n, "/"+command))
			b.eval(`for (const [name, words] of [["note", "The alert is slow to end."], ["message", "All works again.\nMails that were not sent will be sent later."], ["escalated_to", "the network team"]]) {
				const field = document.querySelector("[name=" + name + "]");
				if (field) field.value = words;
			}
			const phase = document.querySelector("[name=phase]");
			if (phase) phase.value = "escalation"`, nil)
			b.complaints()
			b.arrive(func() { b.eval(`document.querySelector("form.command button").click()`, nil) })
			want := int64(3)
			if command == "phase" {
				want = 0 // nobody gets a message
			}
			b.until("the mails are there", func() bool { return shown.Load() >= want })
			if got := shown.Swap(0); got != want {
				t.Errorf("%s: %d mails are shown, want %d", command, got, want)
			}
			if got := b.text(`document.querySelectorAll("form.show:not([hidden])").length`); got != "0" {
				t.Errorf("%s buttons are left", got)
			}
			for _, c := range b.complaints() {
				t.Errorf("%s: the browser complains: %s", command, c)
			}
			if flag.Lookup("test.artifacts").Value.String() == "true" {
				b.view(size.width, 3400, "light") // frames paint themselves, and only what is in view
				b.eval(`new Promise((done) => setTimeout(done, 1000))`, nil)
				if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "preview-"+command+"-"+size.name+".png"), b.shoot(), 0o644); err != nil {
					t.Fatal(err)
				}
				b.view(size.width, size.height, "light")
			}
		}
	}
}

func theBrowserHoldsBackWhatAMailBrings(t *testing.T, b *browser) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	body := "Subject: x\r\nContent-Type: text/html\r\n\r\n<p id=p>mail</p><script>parent.document.title='owned'</script><img src=/priorities onerror=\"parent.document.title='owned'\"><form action=/declare><button>x</button></form>"
	ids := f.deliver(n, body)
	srv := f.serveLocal(t)
	b.view(1280, 800, "light")
	b.open(srv.URL + page(n, "/messages/"+url.PathEscape(ids[0])))
	b.eval(`new Promise((done) => setTimeout(done, 300))`, nil)
	if got := b.text(`document.title`); strings.Contains(got, "owned") {
		t.Error("a script of a mail ran")
	}
	b.complaints()
	b.open(srv.URL + page(n, "/messages/"+ids[0]+"/html"))
	held := 0
	for _, c := range b.complaints() {
		if strings.Contains(c, "Content Security Policy") || strings.Contains(c, "sandboxed") {
			held++
		}
	}
	if held == 0 {
		t.Error("the browser held nothing back")
	}
	var size struct{ Text, Origin string }
	b.eval(`({text: document.body.innerText.trim(), origin: String(self.origin)})`, &size)
	if !strings.HasPrefix(size.Text, "mail") || size.Origin != "null" {
		encoded, _ := json.Marshal(size)
		t.Errorf("opened outside its frame: %s", fmt.Sprint(string(encoded)))
	}
}
