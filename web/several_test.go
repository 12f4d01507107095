package web_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/internal/command"
)

// three opens incidents of three SLOs.
func three(f *fixture) (a, b, c int64) {
	return f.breach("notifications-register-availability", "a", nil), f.breach("log-on-availability", "b", nil), f.breach("search-latency", "c", nil)
}

// fields returns what the form of a class would send, as a browser does.
func (a *answer) fields(class string) url.Values {
	form := url.Values{}
	for _, f := range a.find("form") {
		if attr(f, "class") != class {
			continue
		}
		for n := range f.Descendants() {
			kind := attr(n, "type")
			if n.Data == "input" && (kind != "checkbox" && kind != "radio" || hasAttr(n, "checked")) {
				form.Add(attr(n, "name"), attr(n, "value"))
			}
		}
	}
	return form
}

func TestOneUpdateToSeveral(t *testing.T) {
	f := newFixture(t)
	x, y, z := three(f)
	for _, n := range []int64{x, y} {
		f.deliver(n, eml)
	}
	list := f.get("responder", "/?choose=all")
	chosen := list.fields("several")
	if !slices.Equal(chosen["incident"], []string{"INC-1", "INC-2", "INC-3"}) {
		t.Fatalf("chosen: %v", chosen)
	}
	a := f.get("responder", "/several?do=updates&"+chosen.Encode())
	checkPage(t, &a)
	form := a.fields("command")
	form.Set("message", "One disk is full, and everything waits for it.")
	p := f.send("responder", "POST", "/several", form)
	checkPage(t, &p)
	for _, want := range []string{
		"This is a preview", "all who are informed of each", "One disk is full", "INC-3 Search is slow: will be refused: priority P3 informs nobody",
		"cto@example.org (management, leadership) : update about INC-1 and INC-2",
	} {
		if p.Code != 200 || !strings.Contains(p.text(), want) {
			t.Errorf("%d: no %q in %s", p.Code, want, p.text())
		}
	}
	if f.incident(x).Words != nil {
		t.Fatal("a preview wrote something")
	}
	_, confirmed := p.confirm()
	back := url.Values{"back": {"yes"}}
	for name, v := range confirmed {
		if name != "confirm" {
			back[name] = v
		}
	}
	if b := f.send("responder", "POST", "/several", back); b.Code != 200 || !strings.Contains(b.Body.String(), "everything waits for it.</textarea>") || len(b.fields("command")["incident"]) != 3 {
		t.Errorf("back: %d %s", b.Code, b.text())
	}
	f.clock.Pass(time.Minute)
	f.do(y, command.Priority{Priority: "P2", Reason: "a part of them"}) // meanwhile, by another
	for range 2 {                                                       // a second time does nothing more
		d := f.send("responder", "POST", "/several", confirmed)
		checkPage(t, &d)
		for _, want := range []string{
			"on its way for 1; what was refused stands below", "INC-1 Application cannot register with notification services: done",
			"INC-2 People cannot log on: refused: somebody changed it since you chose it", "INC-3 Search is slow: refused: priority P3 informs nobody",
		} {
			if d.Code != 200 || !strings.Contains(d.text(), want) {
				t.Errorf("%d: no %q in %s", d.Code, want, d.text())
			}
		}
		again := f.get("responder", d.leads(t, "Try again with those"))
		if got := again.fields("command")["incident"]; !slices.Equal(got, []string{"INC-2", "INC-3"}) {
			t.Errorf("again: %v", got)
		}
	}
	if in := f.incident(x); in.Sequence != 3 || in.Words[incident.AudienceManagement].By != "ada" {
		t.Errorf("the first: %+v", in)
	}
	for _, n := range []int64{y, z} {
		if in := f.incident(n); in.Words != nil {
			t.Errorf("%s was written to: %+v", in.ID(), in.Words)
		}
	}
}

func TestSeveralAreMergedIntoOne(t *testing.T) {
	f := newFixture(t)
	x, y, z := three(f)
	for _, n := range []int64{x, y, z} {
		f.deliver(n, eml)
	}
	a := f.get("responder", "/several?do=merge&incident=INC-3&incident=INC-2&incident=INC-1")
	checkPage(t, &a)
	form := a.fields("command")
	if form.Get("into") != "INC-1" {
		t.Errorf("INC-1 is the highest and the first, and not offered: %v", form)
	}
	form.Set("reason", "one disk")
	p := f.send("responder", "POST", "/several", form)
	checkPage(t, &p)
	for _, want := range []string{"Go on as INC-1", "INC-1 Application cannot register with notification services: goes on", "identity-oncall@example.org (the people on call, identity) : last message about INC-3 and INC-2", "6 messages to 5 recipients"} {
		if p.Code != 200 || !strings.Contains(p.text(), want) {
			t.Errorf("%d: no %q in %s", p.Code, want, p.text())
		}
	}
	_, confirmed := p.confirm()
	d := f.send("responder", "POST", "/several", confirmed)
	if d.Code != 200 || !strings.Contains(d.text(), "2 merged.") {
		t.Errorf("%d %s", d.Code, d.text())
	}
	for _, n := range []int64{y, z} {
		if in := f.incident(n); in.MergedInto != x {
			t.Errorf("%s: %+v", in.ID(), in)
		}
	}
	if in := f.incident(x); !slices.Equal(in.MergedFrom, []int64{z, y}) || in.State != incident.StateOpen {
		t.Errorf("the one that goes on: %+v", in)
	}
}

func TestFormsForSeveralThatAreRefused(t *testing.T) {
	f := newFixture(t)
	three(f)
	many := url.Values{"do": {"merge"}}
	for n := range int64(101) {
		many.Add("incident", incident.ID(n+1))
	}
	for _, tt := range []struct {
		form url.Values
		code int
		says string
	}{
		{url.Values{"do": {"updates"}, "message": {"kept words"}}, 400, "choose the incidents in the list first"},
		{url.Values{"do": {"merge"}, "incident": {"INC-1"}, "reason": {"kept words"}}, 400, "choose two incidents or more"},
		{url.Values{"do": {"merge"}, "incident": {"INC-1", "INC-1"}, "reason": {"kept words"}}, 400, "choose two incidents or more"},
		{url.Values{"do": {"merge"}, "incident": {"INC-1", "INC-2"}, "reason": {"kept words"}, "into": {"INC-3"}}, 400, "choose the one that goes on"},
		{url.Values{"do": {"merge"}, "incident": {"INC-1", "INC-2"}, "into": {"INC-1"}}, 400, "reason is missing"},
		{url.Values{"do": {"updates"}, "incident": {"INC-1", "INC-2"}}, 400, "message is missing"},
		{many, 400, "choose 100 at most"},
		{url.Values{"do": {"updates"}, "incident": {"INC-99"}}, 404, "there is no incident INC-99"},
		{url.Values{"do": {"updates"}, "incident": {"x"}}, 400, "is not an incident"},
	} {
		a := f.send("responder", "POST", "/several", tt.form)
		if a.Code != tt.code || !strings.Contains(a.text(), tt.says) {
			t.Errorf("%v: %d %s", tt.form, a.Code, a.text())
		}
		if strings.Contains(tt.form.Encode(), "kept") && !strings.Contains(a.Body.String(), "kept words</textarea>") {
			t.Errorf("%v: what was filled in is lost", tt.form)
		}
		checkPage(t, &a)
	}
	for _, path := range []string{"/", "/?state=open"} {
		if a := f.get("viewer", path); strings.Contains(a.Body.String(), "several") || len(a.fields("several")) > 0 {
			t.Errorf("a viewer is offered to change several on %s", path)
		}
	}
}
