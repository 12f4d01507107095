package web

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"

	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/wording"
)

// slosOffered is how many SLOs the form offers in a list; where there are more, their
// id is typed, and the browser helps.
const slosOffered = 300

type declarePage struct {
	layout
	Free     bool // of the two forms, the one that was sent
	Error    string
	values   url.Values
	SLOs     []sloGroup
	Typed    bool // the id of the SLO is typed
	Priority []option
	Infos    []priorityInfo
	Teams    []option
	Groups   []option
}

type sloGroup struct {
	Team string
	SLOs []option
}

// Get returns what a field is filled with.
func (p *declarePage) Get(name string) string { return p.values.Get(name) }

// Reads says who reads what is written in a field.
func (p *declarePage) Reads(name string) string {
	readers, _ := incident.ReadersOf("declare", name)
	return wording.ReadBy(readers)
}

func (h *Handler) declareForm(w http.ResponseWriter, r *http.Request) error {
	return h.showDeclare(w, r, r.URL.Query(), nil)
}

func (h *Handler) showDeclare(w http.ResponseWriter, r *http.Request, values url.Values, cause error) error {
	p := declarePage{layout: h.layout(r, "Declare an incident"), values: values, Free: values.Get("form") == "free"}
	p.Refresh = false
	code := http.StatusOK
	if cause != nil {
		code, p.Error = explain(cause)
		p.Title = "Not done: " + p.Title
	}
	p.Typed = len(p.policy.SLOs) > slosOffered
	for _, s := range p.policy.SLOs[:min(len(p.policy.SLOs), 2000)] {
		one := option{s.ID, s.UseCase + " (" + s.Priority + ")", values.Get("slo") == s.ID}
		if n := len(p.SLOs); n == 0 || p.SLOs[n-1].Team != s.Team {
			p.SLOs = append(p.SLOs, sloGroup{Team: s.Team})
		}
		g := &p.SLOs[len(p.SLOs)-1]
		g.SLOs = append(g.SLOs, one)
	}
	for i := range p.policy.Priorities {
		q := &p.policy.Priorities[i]
		text := q.Name
		if q.Summary != "" {
			text += ": " + q.Summary
		}
		p.Priority = append(p.Priority, option{q.Name, text, values.Get("priority") == q.Name})
		p.Infos = append(p.Infos, infoOf(q, p.policy))
	}
	for _, t := range p.policy.Teams {
		p.Teams = append(p.Teams, option{t.Name, t.Name, values.Get("team") == t.Name})
	}
	for _, g := range p.policy.Groups {
		p.Groups = append(p.Groups, option{g.Name, g.Name, slices.Contains(values["stakeholders"], g.Name)})
	}
	return h.render(w, code, "declare", &p)
}

func (h *Handler) declare(w http.ResponseWriter, r *http.Request) error {
	values, _, err := readForm(w, r)
	if err != nil {
		return err
	}
	if values.Get("back") != "" {
		return h.showDeclare(w, r, values, nil)
	}
	cmd := command.Declare{Priority: values.Get("priority"), Reason: values.Get("reason"), Drill: values.Get("drill") != ""}
	if values.Get("form") == "free" {
		cmd.UseCase, cmd.Team, cmd.Stakeholders = values.Get("use_case"), values.Get("team"), values["stakeholders"]
	} else if cmd.SLO = values.Get("slo"); cmd.SLO == "" {
		return h.showDeclare(w, r, values, &incident.Problem{Kind: incident.ErrInvalid, Text: "choose the SLO, or use the form for what no SLO covers"})
	}
	req := &command.Request{Command: cmd, Actor: access.From(r.Context()).Actor()}
	var number int64
	if values.Get("confirm") == "" {
		p := &previewPage{layout: h.layout(r, "Preview: declare an incident"), Do: "Open the incident", Key: rand.Text()}
		if n := values.Get("show"); n != "" {
			return h.showHTML(w, r, req, n)
		}
		p.Form = &form{Slug: "declare", Title: "Declare an incident", Action: "declare", Root: p.Root, values: values, command: "declare"}
		p.says(cmd)
		err = h.showPreview(w, r, req, p)
	} else if number, err = h.carryOut(r, req, values); err == nil {
		return redirect(w, "./incidents/"+incident.ID(number)+"?done=declare")
	}
	if mine(err) {
		return h.showDeclare(w, r, values, err)
	}
	return err
}
