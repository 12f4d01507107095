package api_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/api"
	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/storage"
)

// post sends a command as ada and returns the incident that it is answered with.
func (f *fixture) post(path, body string, headers ...string) incidentjson.Incident {
	f.t.Helper()
	w := f.send("responder", "POST", path, body, headers...)
	if w.Code != 200 && w.Code != 201 {
		f.t.Fatalf("POST %s %s: %d %s", path, body, w.Code, w.Body)
	}
	var in incidentjson.Incident
	etag := w.Header().Get("ETag")
	f.decode(w, &in)
	if etag != fmt.Sprintf(`"%d"`, in.Sequence) {
		f.t.Errorf("ETag %s at sequence %d", etag, in.Sequence)
	}
	return in
}

func TestTheLifeOfAnIncident(t *testing.T) {
	f := newFixture(t)
	n := f.breach("log on", "a")
	step := func(command, body string, check func(in incidentjson.Incident) bool) {
		t.Helper()
		f.clock.Pass(time.Minute)
		woken := f.woken.Load()
		in := f.post(path(n, command), body)
		if !check(in) {
			t.Fatalf("after %s: %+v", command, in)
		}
		// What was answered is what is stored.
		var stored incidentjson.Incident
		f.get(path(n, ""), &stored)
		if a, b := text(t, in), text(t, stored); a != b {
			t.Errorf("%s was answered with\n%s\nand stored is\n%s", command, a, b)
		}
		if n := f.woken.Load() - woken; n != 1 {
			t.Errorf("%s woke %d times", command, n)
		}
	}
	step("/acknowledge", "", func(in incidentjson.Incident) bool { return in.AcknowledgedBy == "ada" && in.AcknowledgedAt != nil })
	step("/acknowledge", `{}`, func(in incidentjson.Incident) bool { return in.AcknowledgedBy == "ada" && in.Sequence == 3 })
	step("/acknowledge", `{"release":true}`, func(in incidentjson.Incident) bool {
		return in.AcknowledgedBy == "" && in.AcknowledgedAt != nil && in.ReleasedAt != nil
	})
	step("/acknowledge", `{"release":false}`, func(in incidentjson.Incident) bool { return in.AcknowledgedBy == "ada" && in.ReleasedAt == nil })
	step("/notes", `{"text":"The disk of db-7 is full."}`, func(in incidentjson.Incident) bool { return in.Sequence == 6 })
	step("/priority", `{"priority":"P2","reason":"only one region"}`, func(in incidentjson.Incident) bool { return in.Priority == "P2" && in.SLOPriority == "P1" })
	step("/phase", `{"phase":"escalation","escalated_to":"database team","note":"locks"}`, func(in incidentjson.Incident) bool {
		return in.Phase == incident.PhaseEscalation && in.EscalatedTo == "database team"
	})
	step("/updates", `{"message":"We know the cause.\nA fix is on its way.","audiences":["stakeholders"]}`, func(in incidentjson.Incident) bool { return in.Sequence == 9 })
	step("/actions/hotfix", `{"state":"done","link":"https://git.example.org/1"}`, func(in incidentjson.Incident) bool {
		return in.Actions[0].State == incident.ActionDone && in.Actions[0].Link == "https://git.example.org/1"
	})
	step("/resolve", `{"note":"the alert is slow to end","message":"All works again."}`, func(in incidentjson.Incident) bool {
		return in.State == incident.StateResolved && in.NextUpdateAt == nil
	})
	step("/reopen", `{"reason":"it is not over"}`, func(in incidentjson.Incident) bool {
		return in.State == incident.StateOpen && in.Phase == incident.PhaseInvestigation
	})
	step("/resolve", `{"note":"now it is"}`, func(in incidentjson.Incident) bool { return in.Actions[1].DueAt != nil })
	f.refused(f.send("responder", "POST", path(n, "/close"), `{}`), 409, "postmortem still due")
	step("/actions/postmortem", `{"state":"waived","reason":"known cause"}`, func(in incidentjson.Incident) bool { return in.Actions[1].State == incident.ActionWaived })
	step("/close", `{"note":"done"}`, func(in incidentjson.Incident) bool {
		return in.State == incident.StateClosed && in.Phase == incident.PhaseClosure
	})
	f.refused(f.send("responder", "POST", path(n, "/reopen"), `{"reason":"again"}`), 409, "it is closed, and that is final")

	var page api.EventPage
	f.get(path(n, "/events"), &page)
	if e := page.Events[6]; e.Actor != "ada" || e.Reason != "only one region" || e.Data.From != "P1" || e.Config != "c0ffee" {
		t.Errorf("event = %+v", e)
	}
}

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWrongCommandsSayWhatWouldBeRight(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	f.breach("search", "b")
	for _, tt := range []struct {
		path, body string
		status     int
		words      string
	}{
		{path(9, "/acknowledge"), "", 404, "there is no incident INC-9"},
		{path(1, "/acknowledge"), `{"note":"x"}`, 400, `unknown field "note"; use release`},
		{path(1, "/notes"), `{"text":" "}`, 400, "text is missing"},
		{path(1, "/notes"), `{"note":"x"}`, 400, `unknown field "note"; use text`},
		{path(2, "/resolve"), `{"note":"n","message":"x"}`, 409, "P3 informs nobody"},
		{path(1, "/acknowledge?preview=yes"), "", 400, `preview "yes": use true or false`},
		{path(1, "/acknowledge?previw=true"), "", 400, `unknown parameter "previw"; use preview`},
		{path(1, "/priority"), `{"priority":"P2"}`, 400, "reason is missing"},
		{path(1, "/priority"), `{"priority":"P2","reason":"  "}`, 400, "reason is missing"},
		{path(1, "/priority"), `{"reason":"x"}`, 400, "use P1, P2, P3"},
		{path(1, "/priority"), `{"priority":"p2","reason":"x"}`, 400, `priority "p2": use P1, P2, P3`},
		{path(1, "/priority"), `{"priority":"P1","reason":"x"}`, 409, "INC-1 has priority P1 already"},
		{path(1, "/priority"), `{"Priority":"P2","reason":"x"}`, 400, `unknown field "Priority"; use priority or reason`},
		{path(1, "/priority"), `{"priority":"P2","priority":"P3","reason":"x"}`, 400, `field "priority" is there twice`},
		{path(1, "/priority"), `{"priority":2,"reason":"x"}`, 400, "priority: 2 is not a string"},
		{path(1, "/priority"), `{"priority":"P2","reason":"x"}{}`, 400, "something follows"},
		{path(1, "/priority"), `{"priority":"P2","reason":"x"`, 400, "it ends too early"},
		{path(1, "/priority"), `{"priority":"P2" "reason":"x"}`, 400, "the body is not JSON"},
		{path(1, "/priority"), `[]`, 400, `the body is not a JSON object; send {"priority": …, "reason": …}`},
		{path(1, "/priority"), `null`, 400, "the body is not a JSON object"},
		{path(1, "/priority"), "{\"reason\":\"\xff\"}", 400, "not valid UTF-8"},
		{path(1, "/phase"), `{"phase":"panic"}`, 400, "use initial-diagnosis, escalation, investigation or recovery"},
		{path(1, "/phase"), `{"phase":"escalation"}`, 400, "escalated_to is missing"},
		{path(1, "/updates"), `{"message":"x","audiences":"stakeholders"}`, 400, `audiences: "stakeholders" is not a list of strings`},
		{path(1, "/updates"), `{"message":"x","audiences":["press"]}`, 400, "P1 informs management and stakeholders"},
		{path(2, "/updates"), `{"message":"x"}`, 409, "P3 informs nobody"},
		{path(1, "/updates"), `{"message":"` + strings.Repeat("x", 9<<10) + `"}`, 400, "message is longer than 8192 bytes"},
		{path(1, "/updates"), `{"message":"` + strings.Repeat("x", 200<<10) + `"}`, 413, "131072 bytes"},
		{path(1, "/actions/party"), `{"state":"done"}`, 404, `INC-1 has no action "party"; it has hotfix and postmortem`},
		{path(1, "/actions/hotfix"), `{"state":"waived"}`, 400, "reason is missing"},
		{path(1, "/actions/hotfix"), `{"state":"done","link":"javascript:alert(1)"}`, 400, "is not an http or https URL"},
		{path(1, "/resolve"), `{}`, 400, "1 of its breaches still fire"},
		{path(1, "/close"), `{}`, 409, "it is open; resolve it first"},
		{path(1, "/reopen"), `{"reason":"x"}`, 409, "cannot reopen INC-1: it is open"},
		{path(1, "/merge"), `{"into":"41","reason":"x"}`, 400, `into: "41" is not an incident; write it as INC-42`},
		{path(1, "/merge"), `{"into":"INC-41","reason":"x"}`, 404, "there is no incident INC-41"},
		{path(1, "/merge"), `{"into":"INC-1","reason":"x"}`, 400, "cannot be merged into itself"},
		{"/api/v1/incidents", `{}`, 400, "missing"},
		{"/api/v1/incidents", `{"slo":"none","reason":"x"}`, 400, `there is no SLO "none"`},
		{"/api/v1/incidents", `{"slo":"log on","reason":"x"}`, 409, "INC-1 is open for this SLO already"},
		{"/api/v1/incidents", `{"slo":"send","team":"mail","reason":"x"}`, 400, "either slo, or use_case"},
		{"/api/v1/incidents", `{"use_case":"x","team":"nobody","priority":"P1","reason":"x"}`, 400, `team "nobody" is not in the configuration; it has mail and web`},
		{"/api/v1/incidents", `{"use_case":"x","team":"mail","priority":"P1","stakeholders":["press"],"reason":"x"}`, 400, `there is no group "press"`},
		{"/api/v1/incidents", `{"slo":"send","reason":"x","drill":"yes"}`, 400, `drill: "yes" is not true or false`},
	} {
		t.Run(tt.path+" "+tt.body[:min(len(tt.body), 60)], func(t *testing.T) {
			f.t = t
			f.refused(f.send("responder", "POST", tt.path, tt.body), tt.status, tt.words)
		})
	}
	f.t = t
	f.refused(f.send("responder", "POST", path(1, "/acknowledge"), "state=done", "Content-Type", "application/x-www-form-urlencoded"), 415, "application/json")
	f.refused(f.send("responder", "POST", path(1, "/acknowledge"), "{}", "Content-Type", "text/plain"), 415, "application/json")
	if w := f.send("responder", "POST", path(1, "/acknowledge"), "{}", "Content-Type", "application/json; charset=utf-8"); w.Code != 200 {
		t.Errorf("with a charset: %d %s", w.Code, w.Body)
	}
	if n := f.woken.Load(); n != 1 {
		t.Errorf("woken %d times", n)
	}
}

func TestAnActionMayHaveAnyName(t *testing.T) {
	f := newFixture(t)
	f.policy.Priorities[0].Actions = []incident.ActionRule{{Name: "call 100% of / all"}}
	f.breach("log on", "a")
	in := f.post("/api/v1/incidents/INC-1/actions/call%20100%25%20of%20%2F%20all", `{"state":"done"}`)
	if in.Actions[0].State != incident.ActionDone {
		t.Errorf("incident = %+v", in)
	}
}

func TestDeclaring(t *testing.T) {
	f := newFixture(t)
	w := f.send("responder", "POST", "/api/v1/incidents", `{"slo":"send","reason":"customers call"}`)
	if w.Code != 201 || w.Header().Get("Location") != "/api/v1/incidents/INC-1" {
		t.Fatalf("answered %d at %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	var in incidentjson.Incident
	f.decode(w, &in)
	if !in.Declared || in.Priority != "P2" || in.SLO != "send" || in.Breaches.Total != 0 || in.NextUpdateAt == nil {
		t.Errorf("incident = %+v", in)
	}
	if n := f.breach("send", "a"); n != 1 {
		t.Errorf("the breach went to INC-%d", n)
	}
	f.refused(f.send("responder", "POST", "/api/v1/incidents", `{"slo":"send","reason":"more customers"}`), 409, "INC-1 is open")

	if in = f.post("/api/v1/incidents", `{"use_case":"The office is dark","team":"web","priority":"P1","stakeholders":["sales"],"reason":"no power"}`); in.ID != "INC-2" || in.SLO != "" || in.UseCase != "The office is dark" {
		t.Errorf("incident = %+v", in)
	}
	if in = f.post("/api/v1/incidents", `{"slo":"send","priority":"P1","reason":"exercise","drill":true}`); in.ID != "INC-3" || !in.Drill || in.Priority != "P1" || in.Previous != nil {
		t.Errorf("drill = %+v", in)
	}
	// A drill blocks nothing and is in nobody's way.
	f.post(path(1, "/resolve"), `{"note":"over"}`)
	if in = f.post("/api/v1/incidents", `{"slo":"send","reason":"again"}`); in.ID != "INC-4" || in.Previous == nil || *in.Previous != "INC-1" {
		t.Errorf("the next = %+v", in)
	}
	f.refused(f.send("responder", "POST", path(1, "/reopen"), `{"reason":"it was the same"}`), 409, "INC-4 is open for this SLO already")
	f.post(path(3, "/resolve"), `{}`)
	f.post(path(3, "/reopen"), `{"reason":"one more exercise"}`)
}

func TestAnSLOWhoseIncidentWasMergedHasAnOpenOne(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")
	f.breach("search", "b")
	in := f.post(path(1, "/merge"), `{"into":"INC-2","reason":"the same disk"}`)
	if in.ID != "INC-1" || in.State != incident.StateClosed || *in.MergedInto != "INC-2" {
		t.Errorf("incident = %+v", in)
	}
	f.get(path(2, ""), &in)
	if in.Priority != "P2" || in.Breaches.Total != 2 || !slices.Equal(in.MergedFrom, []string{"INC-1"}) {
		t.Errorf("into = %+v", in)
	}
	f.refused(f.send("responder", "POST", "/api/v1/incidents", `{"slo":"send","reason":"x"}`), 409, "INC-2 is open for this SLO already")
}

func TestPreviewsShowAndDoNothing(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")
	before := f.send("viewer", "GET", path(1, ""), "").Body.String()
	preview := func(path, body string) api.Preview {
		t.Helper()
		w := f.send("responder", "POST", path, body, "Idempotency-Key", "k")
		if w.Code != 200 {
			t.Fatalf("preview of %s: %d %s", path, w.Code, w.Body)
		}
		var p api.Preview
		f.decode(w, &p)
		return p
	}
	p := preview(path(1, "/priority?preview=true"), `{"priority":"P1","reason":"all regions"}`)
	if len(p.Joins) != 1 || p.Joins[0] != (api.PreviewReader{Recipient: "cto@example.org", Group: "leadership", Audience: incident.AudienceManagement}) || len(p.Leaves) != 0 {
		t.Errorf("raising: %+v", p)
	}
	if len(p.Messages) == 0 || p.NextUpdateAt == nil || p.NextUpdateAt.Sub(start) > 3*time.Hour {
		t.Errorf("raising: %s", text(t, p))
	}
	p = preview(path(1, "/priority?preview=true"), `{"priority":"P3","reason":"nobody noticed"}`)
	if len(p.Joins) != 0 || len(p.Leaves) != 1 || p.Leaves[0].Recipient != "support@example.org" || p.NextUpdateAt != nil {
		t.Errorf("lowering: %s", text(t, p))
	}
	p = preview("/api/v1/incidents?preview=true", `{"use_case":"The office is dark","team":"web","priority":"P1","stakeholders":["sales"],"reason":"no power"}`)
	if len(p.Joins) != 3 || len(p.Messages) != 3 || p.Messages[0].Kind != incident.KindOpened {
		t.Errorf("declaring: %s", text(t, p))
	}
	f.refused(f.send("responder", "POST", path(1, "/close?preview=true"), `{}`), 409, "resolve it first")
	f.refused(f.send("viewer", "POST", path(1, "/priority?preview=true"), `{}`), 403, "needs the role responder")

	if after := f.send("viewer", "GET", path(1, ""), "").Body.String(); after != before {
		t.Errorf("a preview changed the incident from\n%s to\n%s", before, after)
	}
	if n := f.woken.Load(); n != 0 {
		t.Errorf("a preview woke %d times", n)
	}
	var page api.IncidentPage
	if f.get("/api/v1/incidents", &page); len(page.Incidents) != 1 {
		t.Errorf("a preview opened an incident")
	}
}

func TestThePreviewOfAMergeIsOfTheOneThatGoesOn(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")   // P2: support; on call: mail
	f.breach("log on", "b") // P1: leadership, support; on call: web
	w := f.send("responder", "POST", path(1, "/merge?preview=true"), `{"into":"INC-2","reason":"the same disk"}`)
	var p api.Preview
	f.decode(w, &p)
	for _, l := range p.Leaves {
		if l.Recipient != "mail-oncall@example.org" {
			t.Errorf("%s leaves, and reads INC-2", l.Recipient)
		}
	}
	if p.NextUpdateAt == nil {
		t.Error("no next update")
	}
}

func TestARepeatedCommandIsDoneOnce(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	send := func(as, key, path, body string) *httptest.ResponseRecorder {
		t.Helper()
		return f.send(as, "POST", path, body, "Idempotency-Key", key)
	}
	const body = `{"message":"We know the cause."}`
	first := send("responder", "k1", path(1, "/updates"), body)
	f.clock.Pass(time.Hour)
	second := send("responder", "k1", path(1, "/updates"), body)
	if first.Code != 200 || second.Code != 200 || first.Body.String() != second.Body.String() || first.Header().Get("ETag") != second.Header().Get("ETag") {
		t.Errorf("answered %d %s\nand %d %s", first.Code, first.Body, second.Code, second.Body)
	}
	if second.Header().Get("Idempotency-Replayed") != "true" || first.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("replayed: %q and %q", first.Header().Get("Idempotency-Replayed"), second.Header().Get("Idempotency-Replayed"))
	}
	if w := send("responder2", "k1", path(1, "/updates"), body); w.Code != 200 || w.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("the key of another person: %d %s", w.Code, w.Body)
	}
	var page api.EventPage
	if f.get(path(1, "/events"), &page); len(page.Events) != 4 {
		t.Errorf("%d events, want 4", len(page.Events))
	}
	f.refused(send("responder", "k1", path(1, "/updates"), `{"message":"Something else."}`), 422, "take a new one")
	f.refused(send("responder", "k1", path(1, "/acknowledge"), `{}`), 422, "take a new one")
	f.refused(send("responder", strings.Repeat("k", 256), path(1, "/acknowledge"), `{}`), 400, "1 to 255 bytes")

	// One that failed is tried again.
	f.refused(send("responder", "k2", path(1, "/close"), `{}`), 409, "resolve it first")
	f.post(path(1, "/resolve"), `{"note":"over"}`)
	f.post(path(1, "/actions/hotfix"), `{"state":"done"}`)
	f.post(path(1, "/actions/postmortem"), `{"state":"done"}`)
	if w := send("responder", "k2", path(1, "/close"), `{}`); w.Code != 200 || w.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("tried again: %d %s", w.Code, w.Body)
	}

	// Declaring a second time would be a conflict.
	for i := range 2 {
		w := send("responder", "k3", "/api/v1/incidents", `{"slo":"send","reason":"customers call"}`)
		if w.Code != 201 || w.Header().Get("Location") != "/api/v1/incidents/INC-2" {
			t.Errorf("%d: %d %s", i, w.Code, w.Body)
		}
	}
	// A precondition that held the first time is not looked at again.
	for i := range 2 {
		w := f.send("responder", "POST", path(2, "/acknowledge"), "", "Idempotency-Key", "k4", "If-Match", `"1"`)
		if w.Code != 200 {
			t.Errorf("%d: %d %s", i, w.Code, w.Body)
		}
	}
}

func TestIfMatchIsAboutPeople(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")
	f.breach("send", "b") // sequence 3
	send := func(match, body string) *httptest.ResponseRecorder {
		t.Helper()
		return f.send("responder", "POST", path(1, "/phase"), body, "If-Match", match)
	}
	if w := send(`"2"`, `{"phase":"investigation"}`); w.Code != 200 {
		t.Errorf("an alert stood in the way: %d %s", w.Code, w.Body)
	}
	f.send("responder2", "POST", path(1, "/priority"), `{"priority":"P1","reason":"all regions"}`)
	f.send("responder2", "POST", path(1, "/acknowledge"), ``)
	f.breach("send", "c")
	w := send(`"4"`, `{"phase":"recovery"}`)
	f.refused(w, 412, `meanwhile people changed INC-1: bob raised the priority from P2 to P1 (5); bob acknowledged the incident (6). Read it again, it is at 7`)
	f.refused(send(`"99"`, `{"phase":"recovery"}`), 412, `INC-1 is at 7, and has never been at 99`)
	for _, bad := range []string{`7`, `W/"7"`, `"7", "6"`, `"x"`, `""`, `"07"`, `"-1"`} {
		f.refused(send(bad, `{"phase":"recovery"}`), 400, "send one ETag")
	}
	w = f.send("responder", "POST", path(1, "/phase?preview=true"), `{"phase":"recovery"}`, "If-Match", `"4"`)
	f.refused(w, 412, "bob raised the priority")
	if w := send(`*`, `{"phase":"recovery"}`); w.Code != 200 {
		t.Errorf("*: %d %s", w.Code, w.Body)
	}
	if w := send(`"8"`, `{"phase":"investigation"}`); w.Code != 200 {
		t.Errorf("the latest: %d %s", w.Code, w.Body)
	}
}

func TestConcurrentRepetitionsAreDoneOnce(t *testing.T) {
	f := newFixture(t)
	const n = 20
	answers := make(chan *httptest.ResponseRecorder, n)
	for range n {
		go func() {
			answers <- f.send("responder", "POST", "/api/v1/incidents", `{"use_case":"The office is dark","team":"web","priority":"P1","reason":"no power"}`, "Idempotency-Key", "k")
		}()
	}
	for range n {
		if w := <-answers; w.Code != 201 || w.Header().Get("Location") != "/api/v1/incidents/INC-1" {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
	err := f.store.Read(t.Context(), func(r storage.Snapshot) error {
		all, _, err := r.Incidents(t.Context(), storage.IncidentQuery{Limit: 10})
		if len(all) != 1 {
			t.Errorf("%d incidents", len(all))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
