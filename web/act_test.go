package web_test

import (
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/storage"
)

func (f *fixture) incident(n int64) incident.Incident {
	f.t.Helper()
	var in incident.Incident
	err := f.store.Read(f.t.Context(), func(r storage.Snapshot) error {
		var err error
		in, err = storage.IncidentOf(f.t.Context(), r, n)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return in
}

// fill returns the fields of the form on a page that goes to an address ending so, as
// a browser sends it when nothing is changed, with other fields set.
func (a *answer) fill(t *testing.T, to string, set url.Values) url.Values {
	t.Helper()
	for _, form := range a.find("form") {
		if !strings.HasSuffix(attr(form, "action"), to) || attr(form, "method") != "post" {
			continue
		}
		values := url.Values{}
		for n := range form.Descendants() {
			if n.Data == "input" && (attr(n, "type") == "hidden" || hasAttr(n, "checked")) {
				values.Add(attr(n, "name"), attr(n, "value"))
			}
		}
		for name, v := range set {
			values[name] = v
		}
		return values
	}
	t.Fatalf("no form goes to %s", to)
	return nil
}

func TestEachCommandIsPreviewedThenDone(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	other := f.breach("notifications-delay-latency", "b", nil)
	f.deliver(n, eml)
	for _, step := range []struct {
		command string
		fields  url.Values
		preview []string // what it says
		done    func(in incident.Incident) bool
	}{
		{"updates", url.Values{"message": {"We are on it.\r\n<b>Soon</b>"}, "audience": {"stakeholders"}}, []string{"Update to stakeholders", "We are on it. <b>Soon</b>", "update to support@example.org (stakeholders, customer-support)", "Next update: by"}, func(in incident.Incident) bool {
			return in.Words[incident.AudienceStakeholders].Text == "We are on it.\n<b>Soon</b>"
		}},
		{"priority", url.Values{"priority": {"P2"}, "reason": {"one region"}}, []string{"P1 → P2", "one region", "Get one last message cto@example.org", "product@example.org", "Next update: by"}, func(in incident.Incident) bool { return in.Priority.Name == "P2" }},
		{"priority", url.Values{"priority": {"P1"}, "reason": {"all regions"}}, []string{"P2 → P1"}, func(in incident.Incident) bool { return in.Priority.Name == "P1" }},
		{"phase", url.Values{"phase": {"escalation"}, "escalated_to": {"database team"}}, []string{"Escalated to database team", "Nobody gets a message by this."}, func(in incident.Incident) bool { return in.EscalatedTo == "database team" }},
		{"actions", url.Values{"action": {"hotfix"}, "state": {"done"}, "link": {"https://git.example.org/1"}}, []string{"Action hotfix", "done"}, func(in incident.Incident) bool { return in.Actions[0].State == incident.ActionDone }},
		{"resolve", url.Values{"note": {"a slow alert"}}, []string{"a slow alert", "resolved to", "none is scheduled"}, func(in incident.Incident) bool { return in.State == incident.StateResolved }},
		{"reopen", url.Values{"reason": {"not yet"}}, []string{"not yet", "reopening to"}, func(in incident.Incident) bool { return in.State == incident.StateOpen }},
		{"resolve", url.Values{"note": {"now"}}, nil, func(in incident.Incident) bool { return in.State == incident.StateResolved }},
		{"actions", url.Values{"action": {"postmortem"}, "state": {"waived"}, "reason": {"known"}}, []string{"waived"}, func(in incident.Incident) bool { return in.Actions[1].State == incident.ActionWaived }},
		{"close", url.Values{"note": {"done"}}, nil, func(in incident.Incident) bool { return in.State == incident.StateClosed }},
	} {
		t.Run(step.command, func(t *testing.T) {
			f.t = t
			f.clock.Pass(time.Minute)
			a := f.get("responder", page(n, ""))
			before := f.incident(n)
			p := f.send("responder", "POST", page(n, "/"+step.command), a.fill(t, "/"+step.command, step.fields))
			if p.Code != 200 {
				t.Fatalf("preview: %d %s", p.Code, p.text())
			}
			checkPage(t, &p)
			for _, want := range step.preview {
				if !strings.Contains(p.text(), want) {
					t.Errorf("the preview has no %q: %s", want, p.text())
				}
			}
			if now := f.incident(n); now.Sequence != before.Sequence {
				t.Fatal("the preview changed something")
			}
			action, form := p.confirm()
			if action != "../../incidents/"+incident.ID(n)+"/"+step.command {
				t.Errorf("it goes to %s", action)
			}
			woken := f.woken.Load()
			for range 2 { // pressed twice, it is done once
				d := f.send("responder", "POST", page(n, "/"+step.command), form)
				if d.Code != 303 || d.Header().Get("Location") != "../"+incident.ID(n)+"?done="+step.command {
					t.Fatalf("answered %d %v %s", d.Code, d.Header(), d.text())
				}
			}
			if now := f.incident(n); !step.done(now) || now.Sequence != before.Sequence+1 {
				t.Errorf("after it: %+v", now)
			}
			if got := f.woken.Load() - woken; got != 1 {
				t.Errorf("woken %d times", got)
			}
			if a := f.get("responder", page(n, "?done="+step.command)); !strings.Contains(a.Body.String(), `<p class="banner" role="status">`) {
				t.Error("the page does not say that it is done, or is green while nothing is handed over")
			}
		})
	}
	f.t = t
	// Changing the preview leads back to the form as it was filled in.
	values := url.Values{"seen": {"2"}, "into": {"INC-1"}, "reason": {"the same disk"}, "back": {"yes"}}
	if a := f.send("responder", "POST", page(other, "/merge"), values); a.Code != 200 || !strings.Contains(a.Body.String(), "the same disk</textarea>") || !strings.Contains(a.Body.String(), `value="INC-1"`) {
		t.Errorf("back: %d %s", a.Code, a.Body)
	}
}

// TestAPreviewIsGoodForOneCommand: its key with other words is no repetition.
func TestAPreviewIsGoodForOneCommand(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	form := url.Values{"confirm": {"yes"}, "key": {"k"}, "phase": {"investigation"}, "seen": {"2"}}
	if d := f.send("responder", "POST", page(n, "/phase"), form); d.Code != 303 {
		t.Fatalf("answered %d %s", d.Code, d.text())
	}
	form.Set("seen", "3") // the page was loaded again
	if d := f.send("responder", "POST", page(n, "/phase"), form); d.Code != 303 {
		t.Errorf("the same again: %d %s", d.Code, d.text())
	}
	form.Set("phase", "recovery")
	d := f.send("responder", "POST", page(n, "/phase"), form)
	if d.Code != 422 || !strings.Contains(d.text(), "this preview was used for another command; preview yours again") {
		t.Errorf("something else: %d %s", d.Code, d.text())
	}
	if in := f.incident(n); in.Sequence != 3 || in.Phase != incident.PhaseInvestigation {
		t.Errorf("after it: %+v", in)
	}
	if d := f.send("responder2", "POST", page(n, "/phase"), form); d.Code != 303 || f.incident(n).Phase != incident.PhaseRecovery {
		t.Errorf("the key of another person: %d %s", d.Code, d.text())
	}
}

func TestAcknowledgeTakesOneClick(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	a := f.get("responder", page(n, ""))
	if n := strings.Count(a.Body.String(), ` id="acknowledge"`); n != 1 {
		t.Errorf("%d places have the id to which messages lead", n)
	}
	d := f.send("responder", "POST", page(n, "/acknowledge"), a.fill(t, "/acknowledge", nil))
	if in := f.incident(n); d.Code != 303 || in.AcknowledgedBy != "ada" {
		t.Errorf("answered %d, incident %+v", d.Code, in)
	}
	a = f.get("responder", page(n, ""))
	if strings.Contains(a.Body.String(), "/acknowledge") {
		t.Error("it offers to acknowledge again")
	}
	// Another may take it over, and give it back.
	a = f.get("responder2", page(n, ""))
	if !strings.Contains(a.text(), "On it: ada, since") || strings.Contains(a.Body.String(), "/release") {
		t.Errorf("the page of another: %s", a.text())
	}
	d = f.send("responder2", "POST", page(n, "/acknowledge"), a.fill(t, "/acknowledge", nil))
	if in := f.incident(n); d.Code != 303 || in.AcknowledgedBy != "bob" || in.TakenOverAt.IsZero() {
		t.Errorf("taken over: %d, %+v", d.Code, in)
	}
	if d = f.send("responder", "POST", page(n, "/release"), url.Values{"confirm": {"yes"}}); d.Code != 409 || !strings.Contains(d.text(), "bob is on INC-1") {
		t.Errorf("given back by another: %d %s", d.Code, d.text())
	}
	a = f.get("responder2", page(n, ""))
	d = f.send("responder2", "POST", page(n, "/release"), a.fill(t, "/release", nil))
	if in := f.incident(n); d.Code != 303 || in.OnIt() || in.AcknowledgedAt.IsZero() {
		t.Errorf("given back: %d, %+v", d.Code, in)
	}
	if a = f.get("responder", page(n, "?done=release")); !strings.Contains(a.text(), "nobody, since it was given back") || !strings.Contains(a.Body.String(), "/acknowledge") {
		t.Errorf("after it: %s", a.text())
	}
	// Without the confirmation it is a preview as well.
	other := f.breach("log-on-availability", "b", nil)
	if p := f.send("responder", "POST", page(other, "/acknowledge"), url.Values{"seen": {"1"}}); p.Code != 200 || !strings.Contains(p.text(), "Nobody gets a message by this.") {
		t.Errorf("preview: %d %s", p.Code, p.text())
	}
}

func TestANoteIsKeptAtOnce(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	form := f.get("responder", page(n, ""))
	if !strings.Contains(form.text(), "What you found or tried Stays inside: only the pages, the people on call and the evidence show it.") {
		t.Errorf("the form does not say who reads it: %s", form.text())
	}
	fields := form.fill(t, "/notes", url.Values{"text": {"The disk of db-7\r\nis full."}})
	f.do(n, command.Update{Message: "We look."}) // which makes the note no less true
	for range 2 {                                // pressed twice, it is kept once
		if d := f.send("responder", "POST", page(n, "/notes"), fields); d.Code != 303 {
			t.Fatalf("answered %d %s", d.Code, d.text())
		}
	}
	if in := f.incident(n); in.Sequence != 4 {
		t.Errorf("after it: %+v", in)
	}
	a := f.get("viewer", page(n, "?done=notes"))
	if !strings.Contains(a.text(), "ada noted: “The disk of db-7 is full.”") || !strings.Contains(a.text(), "The note is kept.") {
		t.Errorf("the page: %s", a.text())
	}
	// Another from the same form is another.
	fields.Set("text", "It is db-8.")
	if d := f.send("responder", "POST", page(n, "/notes"), fields); d.Code != 303 || f.incident(n).Sequence != 5 {
		t.Errorf("answered %d %s", d.Code, d.text())
	}
	p := f.send("responder", "POST", page(n, "/notes"), url.Values{"text": {"It is db-9."}})
	if p.Code != 200 || !strings.Contains(p.text(), "Nobody gets a message by this. With their next message Read by the people on call ada noted: “It is db-9.” Nothing of it is for management and stakeholders") {
		t.Errorf("preview: %d %s", p.Code, p.text())
	}
}

func TestAPreviewShowsTheMessagesThatGoOut(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	f.do(n, command.Phase{Phase: incident.PhaseEscalation, EscalatedTo: "the database team", Note: "db-7 is full"})
	f.deliver(n, eml)
	f.clock.Pass(time.Minute)
	fields := url.Values{"note": {"the alert is slow"}, "message": {"All <b>works</b> again."}}
	p := f.send("responder", "POST", page(n, "/resolve"), fields)
	checkPage(t, &p)
	frames := p.find("iframe")
	if len(frames) != 3 {
		t.Fatalf("%d mails are shown: %s", len(frames), p.text())
	}
	for _, want := range []string{
		"What the people on call read: resolved", "What management read: resolved", "What stakeholders read: resolved",
		"Subject: [P1] INC-1 Application cannot register with notification services", "> All <b>works</b> again.", "cto@example.org, product@example.org",
	} {
		if !strings.Contains(strings.Join(strings.Fields(p.text()), " "), want) {
			t.Errorf("no %q in %s", want, p.text())
		}
	}
	if texts := p.find("pre"); len(texts) != 3 {
		t.Errorf("%d texts", len(texts))
	}
	onCall := 0
	for i := range frames {
		// As the form in front of the frame asks for it.
		show := url.Values{"note": fields["note"], "message": fields["message"], "show": {strconv.Itoa(i + 1)}}
		a := f.send("responder", "POST", page(n, "/resolve"), show)
		body := a.Body.String()
		if a.Code != 200 || !strings.Contains(body, "All &lt;b&gt;works&lt;/b&gt; again.") || !strings.Contains(a.Header().Get("Content-Security-Policy"), "sandbox") || a.Header().Get("X-Frame-Options") != "SAMEORIGIN" {
			t.Errorf("frame %d: %d %v %s", i+1, a.Code, a.Header(), body)
		}
		if strings.Contains(body, "the alert is slow") {
			onCall++
		}
	}
	if onCall != 1 {
		t.Errorf("%d mails have the note", onCall)
	}
	for _, number := range []string{"0", "4", "x"} {
		if a := f.send("responder", "POST", page(n, "/resolve"), url.Values{"note": {"x"}, "show": {number}}); a.Code != 404 {
			t.Errorf("mail %s: %d", number, a.Code)
		}
	}
	if in := f.incident(n); in.State != incident.StateOpen {
		t.Error("a preview resolved it")
	}
}

// TestEveryFormSaysWhoReads: beside each field for words stands who reads them.
func TestEveryFormSaysWhoReads(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	for _, text := range incident.Texts() {
		path := page(n, "/"+text.Command)
		if text.Command == "declare" {
			path = "/declare"
		}
		if text.Command == "reopen" || text.Command == "close" {
			f.do(n, command.Resolve{Note: "over"})
		}
		a := f.get("responder", path)
		found := 0
		for _, name := range []string{"input", "textarea"} {
			for _, field := range a.find(name) {
				if attr(field, "name") != text.Field {
					continue
				}
				found++
				says := ""
				for n := range a.doc.Descendants() {
					if id := attr(n, "id"); id != "" && id == attr(field, "aria-describedby") {
						says = n.FirstChild.Data
					}
				}
				if want := map[incident.Readership]string{incident.ReadInside: "Stays inside: ", incident.ReadByAudiences: "Goes out: "}[text.Readers]; !strings.Contains(says, want) {
					t.Errorf("%s.%s: the form says %q, want %q", text.Command, text.Field, says, want)
				}
			}
		}
		if found == 0 {
			t.Errorf("%s: no field %s", path, text.Field)
		}
		if text.Command == "reopen" || text.Command == "close" {
			f.do(n, command.Reopen{Reason: "not over"})
		}
	}
}

func TestWhatIsWrongStandsBesideTheForm(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	for _, tt := range []struct {
		command string
		fields  url.Values
		code    int
		words   string
	}{
		{"updates", url.Values{"message": {"  "}}, 400, "message is missing"},
		{"updates", url.Values{"message": {"x"}, "audience": {"press"}}, 400, "P1 informs management and stakeholders"},
		{"priority", url.Values{"priority": {"P2"}, "reason": {""}}, 400, "reason is missing"},
		{"priority", url.Values{"priority": {"P9"}, "reason": {"kept words"}}, 400, "use P1, P2"},
		{"priority", url.Values{"priority": {"P1"}, "reason": {"kept words"}}, 409, "has priority P1 already"},
		{"phase", url.Values{"phase": {"escalation"}}, 400, "escalated_to is missing"},
		{"actions", url.Values{"action": {"party"}, "state": {"done"}}, 404, "it has hotfix and postmortem"},
		{"actions", url.Values{"action": {"hotfix"}, "state": {"done"}, "link": {"javascript:alert(1)"}}, 400, "not an http or https URL"},
		{"resolve", url.Values{}, 400, "1 of its breaches still fire"},
		{"close", url.Values{"note": {"kept words"}}, 409, "it is open; resolve it first"},
		{"merge", url.Values{"into": {"INC-77"}, "reason": {"kept words"}}, 404, "there is no incident INC-77"},
	} {
		for _, confirm := range []string{"", "yes"} {
			fields := url.Values{"confirm": {confirm}, "seen": {"1"}}
			for k, v := range tt.fields {
				fields[k] = v
			}
			a := f.send("responder", "POST", page(n, "/"+tt.command), fields)
			if a.Code != tt.code || !strings.Contains(a.text(), tt.words) {
				t.Errorf("%s %v: %d %s\nwant %d with %q", tt.command, fields, a.Code, a.text(), tt.code, tt.words)
				continue
			}
			checkPage(t, &a)
			if !strings.Contains(a.Body.String(), `role="alert"`) {
				t.Errorf("%s: no alert", tt.command)
			}
			for _, v := range tt.fields {
				if v[0] == "kept words" && !strings.Contains(a.Body.String(), "kept words</textarea>") {
					t.Errorf("%s: what was filled in is lost", tt.command)
				}
			}
		}
	}
	if in := f.incident(n); in.Sequence != 2 {
		t.Errorf("something was done: %+v", in)
	}
	if a := f.send("responder", "POST", "/incidents/INC-99/close", url.Values{"confirm": {"yes"}}); a.Code != 404 || !strings.Contains(a.text(), "there is no incident INC-99") {
		t.Errorf("an incident that is not there: %d %s", a.Code, a.text())
	}
	if a := f.send("responder", "POST", page(n, "/updates"), url.Values{"message": {strings.Repeat("x", 200<<10)}}); a.Code != 413 || a.doc == nil {
		t.Errorf("a form too large: %d", a.Code)
	}
	if a := f.get("responder", page(n, "/close")); !strings.Contains(a.text(), "not possible now") {
		t.Errorf("the form of what is not possible: %s", a.text())
	}
}

func TestWhatPeopleDidMeanwhileIsShown(t *testing.T) {
	f := newFixture(t)
	n := f.breach("notifications-register-availability", "a", nil)
	a := f.get("responder2", page(n, ""))
	form := a.fill(t, "/priority", url.Values{"priority": {"P2"}, "reason": {"kept words"}})
	f.clock.Pass(time.Minute)
	f.breach("notifications-register-availability", "another", nil) // does not count
	p := f.send("responder2", "POST", page(n, "/priority"), form)
	if p.Code != 200 {
		t.Fatalf("an alert counts as a change: %d %s", p.Code, p.text())
	}
	f.do(n, command.Priority{Priority: "P3", Reason: "hardly anybody noticed"})
	_, confirmed := p.confirm()
	d := f.send("responder2", "POST", page(n, "/priority"), confirmed)
	if d.Code != 412 {
		t.Fatalf("answered %d %s", d.Code, d.text())
	}
	checkPage(t, &d)
	for _, want := range []string{"What changed since", "ada lowered the priority from P1 to P3: “hardly anybody noticed”", "nothing was done"} {
		if !strings.Contains(d.text(), want) {
			t.Errorf("no %q in %s", want, d.text())
		}
	}
	if in := f.incident(n); in.Priority.Name != "P3" {
		t.Errorf("it was done: %+v", in)
	}
	for range 30 {
		f.do(n, command.Phase{Phase: incident.PhaseInvestigation})
		f.do(n, command.Phase{Phase: incident.PhaseRecovery})
	}
	d = f.send("responder2", "POST", page(n, "/priority"), confirmed)
	if shown := strings.Count(d.Body.String(), `id="event-`); d.Code != 412 || shown != 20 {
		t.Errorf("%d: %d changes of 61 are shown", d.Code, shown)
	}
	// The form that came back counts on what it shows.
	again := d.fill(t, "/priority", url.Values{"reason": {"kept words"}})
	if again.Get("priority") != "P2" {
		t.Errorf("the form came back as %v", again)
	}
	p = f.send("responder2", "POST", page(n, "/priority"), again)
	_, confirmed = p.confirm()
	if d := f.send("responder2", "POST", page(n, "/priority"), confirmed); d.Code != 303 || f.incident(n).Priority.Name != "P2" {
		t.Errorf("the second time: %d %s", d.Code, d.text())
	}
}

func TestDeclaring(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		fields url.Values
		words  []string
	}{
		{url.Values{"form": {"slo"}, "slo": {"search-latency"}, "reason": {"I saw it"}}, []string{"SLO search-latency", "I saw it", "opening to identity-oncall@example.org"}},
		{url.Values{"form": {"free"}, "use_case": {"The lift is stuck"}, "team": {"identity"}, "priority": {"P1"}, "stakeholders": {"sales"}, "reason": {"a call"}, "drill": {"yes"}}, []string{"The lift is stuck", "every message says so", "Are told from now on", "sales@example.org"}},
	} {
		a := f.get("responder", "/declare")
		fields := a.fill(t, "declare", tt.fields)
		p := f.send("responder", "POST", "/declare", fields)
		checkPage(t, &p)
		for _, want := range tt.words {
			if p.Code != 200 || !strings.Contains(p.text(), want) {
				t.Fatalf("preview %d has no %q: %s", p.Code, want, p.text())
			}
		}
		_, form := p.confirm()
		var to string
		for range 2 {
			d := f.send("responder", "POST", "/declare", form)
			if d.Code != 303 || to != "" && d.Header().Get("Location") != to {
				t.Fatalf("answered %d %v %s", d.Code, d.Header(), d.text())
			}
			to = d.Header().Get("Location")
		}
		b := f.get("responder", strings.TrimPrefix(to, "."))
		if !strings.Contains(b.text(), "The incident is open.") {
			t.Errorf("%s says %s", to, b.text())
		}
	}
	if in := f.incident(2); !in.Drill || in.UseCase != "The lift is stuck" || in.Stakeholders[0] != "sales" {
		t.Errorf("declared %+v", in)
	}
	for _, tt := range []struct {
		fields url.Values
		code   int
		words  string
	}{
		{url.Values{"slo": {"search-latency"}, "reason": {"again"}}, 409, "INC-1 is open for this SLO already"},
		{url.Values{"slo": {""}, "reason": {"again"}}, 400, "choose the SLO"},
		{url.Values{"slo": {"nothing"}, "reason": {"again"}}, 400, `there is no SLO "nothing"`},
		{url.Values{"form": {"free"}, "use_case": {"x"}, "team": {"nobody"}, "priority": {"P1"}, "reason": {"again"}}, 400, `team "nobody" is not in the configuration`},
	} {
		a := f.send("responder", "POST", "/declare", tt.fields)
		if a.Code != tt.code || !strings.Contains(a.text(), tt.words) || !strings.Contains(a.Body.String(), "again</textarea>") {
			t.Errorf("%v: %d %s", tt.fields, a.Code, a.text())
		}
		checkPage(t, &a)
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	for _, headers := range []map[string]string{
		{"Origin": "https://evil.example.com"},
		{"Sec-Fetch-Site": "cross-site"},
		{"Origin": "null"},
		{}, // a browser that does not say
	} {
		r := httptest.NewRequest("POST", "http://sitrep.example.org"+page(n, "/acknowledge"), strings.NewReader("confirm=yes"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer responder")
		for k, v := range headers {
			r.Header.Set(k, v)
		}
		if a := f.serve(r); a.Code != 403 || a.doc == nil {
			t.Errorf("%v: %d", headers, a.Code)
		}
	}
	if in := f.incident(n); !in.AcknowledgedAt.IsZero() {
		t.Error("it was acknowledged")
	}
}

func TestAGetChangesNothing(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	for _, c := range []string{"acknowledge", "resolve", "priority"} {
		f.get("responder", page(n, "/"+c+"?confirm=yes&note=x&priority=P1&reason=x"))
	}
	if in := f.incident(n); in.Sequence != 2 {
		t.Errorf("a GET changed %+v", in)
	}
}
