package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/internal/httperr"
	"sitrep/storage"
	"sitrep/wording"
)

// A formPage is one form alone: asked for, or come back with what is wrong.
type formPage struct {
	layout
	ID, Headline string
	Priority     string
	Tone         string
	Form         *form
	// Changes are what people did since the form was opened.
	Changes []eventInfo
	Forbids string // the state of the incident does not allow it
}

// A previewPage shows what a command would bring about.
type previewPage struct {
	layout
	ID, Headline string
	Form         *form
	Do           string
	Key          string
	Says         []fact // what is asked
	Quotes       []quoteInfo
	Joins        []person
	Leaves       []person
	Messages     []person
	Rendered     []renderedInfo
	Later        []laterInfo
	// Stays is set if what was written stays inside, and no message follows that shows it.
	Stays bool
	Next  *moment
}

// A quoteInfo is what a person wrote, and who reads it.
type quoteInfo struct{ Text, Reads string }

// A renderedInfo is a message as it would go out.
type renderedInfo struct {
	Number        int // from 1
	To, Kind      string
	Who           []person
	Subject, Text string
	HTML          bool
	JSON          string
}

// A laterInfo is what readers are told of it with their next message.
type laterInfo struct {
	Who   string
	Lines []string
}

// A person is somebody whom a command concerns.
type person struct {
	Recipient, Audience, Group string
	Kind                       string
	At                         *moment
	AtOnce                     bool
}

// changesShown is how much of what people did meanwhile a form shows.
const changesShown = 20

// commandForm returns the handler of a command's form alone.
func (h *Handler) commandForm(c commandInfo) httperr.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		n, err := number(r)
		if err != nil {
			return httperr.Wrap(http.StatusNotFound, err.Error(), err)
		}
		return h.showForm(w, r, c, n, nil, 0, nil)
	}
}

// showForm answers with a form alone. With cause, it says what is wrong.
func (h *Handler) showForm(w http.ResponseWriter, r *http.Request, c commandInfo, n int64, values url.Values, seen int64, cause error) error {
	p := formPage{layout: h.layout(r, c.Title+": "+incident.ID(n))}
	p.Refresh = false
	code := http.StatusOK
	err := h.Repo.Store.Read(r.Context(), func(tx storage.Snapshot) error {
		in, err := storage.IncidentOf(r.Context(), tx, n)
		if err != nil {
			return incident.NotThere(err, n)
		}
		p.ID, p.Headline, p.Priority, p.Tone = in.ID(), wording.Headline(&in), in.Priority.Name, tone(&in)
		p.Form, p.Changes, p.Forbids = newForm(c, &p.layout, &in, values), nil, ""
		if c.Slug == "merge" {
			if p.Form.Others, err = others(r.Context(), tx, n); err != nil {
				return err
			}
		}
		if cause == nil && !c.fits(&in, p.actor) {
			p.Forbids = fmt.Sprintf("%s is %s; this is not possible now.", in.ID(), in.State)
			switch {
			case in.State != incident.StateOpen:
			case c.Slug == "acknowledge":
				p.Forbids = fmt.Sprintf("You are on %s already.", in.ID())
			case c.Slug == "release":
				p.Forbids = fmt.Sprintf("You are not on %s: %s.", in.ID(), wording.OnIt(&in, p.clock))
			}
		}
		if errors.Is(cause, incident.ErrChanged) {
			p.Changes, err = p.since(r.Context(), tx, &in, seen)
		}
		return err
	})
	if err != nil {
		return err
	}
	if cause != nil {
		code, p.Form.Error = explain(cause)
		p.Title = "Not done: " + p.Title
	}
	return h.render(w, code, "form", &p)
}

// since returns the latest that people did after that sequence, the latest first.
func (l *layout) since(ctx context.Context, tx storage.Snapshot, in *incident.Incident, seen int64) ([]eventInfo, error) {
	var changes []eventInfo
	for after := seen; after < in.Sequence; {
		events, err := storage.EventsOf(ctx, tx, in.Number, after, 1000)
		if err != nil || len(events) == 0 {
			return changes, err
		}
		for i := range events {
			if events[i].Actor.Person() {
				changes = append(changes[max(len(changes)-changesShown+1, 0):], l.event(&events[i]))
			}
			after = events[i].Sequence
		}
	}
	slices.Reverse(changes)
	return changes, nil
}

// explain says what is wrong with a command, in words for the person who gave it.
func explain(err error) (code int, text string) {
	p := httperr.Of(err)
	if errors.Is(err, incident.ErrChanged) {
		return p.Status, "Somebody changed the incident since you opened the form, so nothing was done. What changed stands above. If your command is still right, preview it again."
	}
	if errors.Is(err, command.ErrKeyUsed) {
		return p.Status, "this preview was used for another command; preview yours again"
	}
	return p.Status, wording.Line(p.Detail, 1000)
}

// mine reports whether the person who gave a command can do something about an error.
func mine(err error) bool {
	code := httperr.Of(err).Status
	return err != nil && code >= 400 && code < 500 && code != http.StatusRequestEntityTooLarge
}

// command returns the handler of a command: it previews what the form says, or, once
// that is confirmed, does it.
func (h *Handler) command(c commandInfo) httperr.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		n, err := number(r)
		if err != nil {
			return httperr.Wrap(http.StatusNotFound, err.Error(), err)
		}
		values, seen, err := readForm(w, r)
		if err != nil {
			return err
		}
		if values.Get("back") != "" {
			return h.showForm(w, r, c, n, values, seen, nil)
		}
		req := &command.Request{Command: c.parse(values), Incident: n, Actor: access.From(r.Context()).Actor(), Seen: seen}
		if note, ok := req.Command.(command.Note); ok {
			// What others did meanwhile makes a note no less true. Sent twice, it is kept once.
			req.Seen = 0
			values.Set("key", fmt.Sprintf("note %d %s", seen, note.Text))
		}
		if values.Get("confirm") == "" {
			if n := values.Get("show"); n != "" {
				return h.showHTML(w, r, req, n)
			}
			err = h.preview(w, r, c, req, values)
		} else if _, err = h.carryOut(r, req, values); err == nil {
			return redirect(w, "../"+incident.ID(n)+"?done="+c.Slug)
		}
		if mine(err) {
			return h.showForm(w, r, c, n, values, seen, err)
		}
		return err
	}
}

func (h *Handler) preview(w http.ResponseWriter, r *http.Request, c commandInfo, req *command.Request, values url.Values) error {
	p := previewPage{layout: h.layout(r, "Preview: "+c.Title+", "+incident.ID(req.Incident)), Do: c.Do, Key: rand.Text()}
	err := h.Repo.Store.Read(r.Context(), func(tx storage.Snapshot) error {
		in, err := storage.IncidentOf(r.Context(), tx, req.Incident)
		if err != nil {
			return incident.NotThere(err, req.Incident)
		}
		p.ID, p.Headline, p.Form = in.ID(), wording.Headline(&in), newForm(c, &p.layout, &in, values)
		return nil
	})
	if err != nil {
		return err
	}
	if req.Seen != 0 {
		p.Form.Seen = req.Seen
	}
	p.says(req.Command)
	return h.showPreview(w, r, req, &p)
}

// showPreview asks what the command would bring about, and answers with it.
func (h *Handler) showPreview(w http.ResponseWriter, r *http.Request, req *command.Request, p *previewPage) error {
	found, err := req.Preview(r.Context(), h.Repo, h.Now(), h.Teller)
	if err != nil {
		return err
	}
	people := func(planned []incident.PlannedReader) []person {
		var all []person
		for _, r := range planned {
			all = append(all, person{r.Recipient.Address, wording.AudienceName(r.Audience), r.Group, kindName(r.Kind), p.at(r.NextAt()), !r.NextAt().After(p.clock.Now)})
		}
		return all
	}
	p.Joins, p.Leaves, p.Messages = people(found.Joins), people(found.Leaves), people(found.Messages)
	p.Next = p.at(found.NextUpdateAt)
	for i := range found.Rendered {
		m := &found.Rendered[i]
		info := renderedInfo{
			Number: i + 1, To: wording.AudienceNames(m.Audiences), Kind: kindName(m.Kind),
			Subject: m.Subject, Text: m.Text, HTML: m.HTML != "",
		}
		if m.JSON != nil {
			info.JSON = pretty(m.JSON)
		}
		for k, n := range found.Shown {
			if n == i {
				info.Who = append(info.Who, p.Messages[k])
			}
		}
		p.Rendered = append(p.Rendered, info)
	}
	for _, l := range found.Later {
		p.Later = append(p.Later, laterInfo{wording.AudienceNames(l.Audiences), l.Lines})
	}
	p.Stays = len(p.Messages)+len(p.Later) == 0 && len(p.Quotes) > 0
	return h.render(w, http.StatusOK, "preview", p)
}

// showHTML answers with the HTML of one of the mails that a preview shows, by its number, for
// a frame. Nothing is kept of a preview: it is made once more.
func (h *Handler) showHTML(w http.ResponseWriter, r *http.Request, req *command.Request, number string) error {
	found, err := req.Preview(r.Context(), h.Repo, h.Now(), h.Teller)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(found.Rendered) || found.Rendered[n-1].HTML == "" {
		return httperr.Status(http.StatusNotFound, "the preview has no such mail any more; preview it again")
	}
	framed(w, found.Rendered[n-1].HTML)
	return nil
}

// says puts into words what is asked.
func (p *previewPage) says(c command.Command) {
	add := func(name, value string) {
		if value = wording.Line(value, 400); value != "" {
			p.Says = append(p.Says, fact{Name: name, Value: value})
		}
	}
	quote := func(field, text string) {
		if text, _ = wording.Block(text, incident.MaxText); text != "" {
			p.Quotes = append(p.Quotes, quoteInfo{text, p.Form.Reads(field)})
		}
	}
	switch c := c.(type) {
	case command.Acknowledge:
		if c.Release {
			add("On it", "nobody any more")
		}
	case command.Note:
		quote("text", c.Text)
	case command.Update:
		add("Update to", cmp.Or(wording.AudienceNames(c.Audiences), "all who are informed"))
		if len(c.Audiences) > 0 {
			p.Form.informs = c.Audiences
		}
		quote("message", c.Message)
	case command.Priority:
		add("Priority", p.Form.Now+" → "+c.Priority)
		quote("reason", c.Reason)
	case command.Phase:
		add("Phase", wording.PhaseName(c.Phase))
		add("Escalated to", c.EscalatedTo)
		quote("note", c.Note)
	case command.Action:
		add("Action", c.Name)
		add("Becomes", string(c.State))
		add("Link", c.Link)
		quote("reason", c.Reason)
	case command.Resolve:
		quote("note", c.Note)
		quote("message", c.Message)
	case command.Close:
		quote("note", c.Note)
	case command.Reopen:
		quote("reason", c.Reason)
	case command.Merge:
		add("Goes on as", c.Into)
		quote("reason", c.Reason)
	case command.Declare:
		add("SLO", c.SLO)
		add("What is broken", c.UseCase)
		add("Team", c.Team)
		add("Priority", c.Priority)
		add("Stakeholders", wording.List(c.Stakeholders))
		if c.Drill {
			add("Drill", "yes: every message says so")
		}
		quote("reason", c.Reason)
	}
}

// carryOut does what was asked, once for each key of a form, and returns the number of
// the incident.
func (h *Handler) carryOut(r *http.Request, req *command.Request, values url.Values) (int64, error) {
	asked := url.Values{}
	for name, v := range values {
		if name != "seen" {
			asked[name] = v
		}
	}
	req.Once = command.Once{Space: "page", Key: values.Get("key"), Asked: []string{r.URL.Path, asked.Encode()}}
	given, err := req.Execute(r.Context(), h.Repo, h.Now(), func(_ *storage.Change, s *incident.Situation) (command.Result, error) {
		return command.Result{Status: http.StatusSeeOther, Body: []byte(s.Incident.ID())}, nil
	})
	if err != nil {
		return 0, err
	}
	if !given.Replayed {
		h.Logger.Info("command carried out", "command", req.Name(), "incident", string(given.Body), "actor", req.Actor)
	}
	return incident.ParseID(string(given.Body))
}

// others are the incidents into which one may be merged, the latest first.
func others(ctx context.Context, tx storage.Snapshot, but int64) ([]option, error) {
	var all []option
	for _, state := range []incident.State{incident.StateOpen, incident.StateResolved} {
		found, _, err := tx.Incidents(ctx, storage.IncidentQuery{State: state, Limit: 50})
		if err != nil {
			return nil, err
		}
		for i := range found {
			if in := &found[i]; in.Number != but {
				all = append(all, option{Value: in.ID(), Text: wording.Headline(in)})
			}
		}
	}
	return all, nil
}
