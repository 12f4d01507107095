package web

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/command"
	"sitrep/storage"
	"sitrep/wording"
)

// severalMost is how many incidents can be chosen at once.
const severalMost = openShown

// A severalPage is the form for several incidents at once, its preview, or what became of it.
type severalPage struct {
	layout
	Do     string // updates or merge
	Error  string
	Chosen []chosen
	values url.Values

	// Of the form.
	Audiences []option

	// Of the preview.
	Says    []fact
	Quote   string
	Told    []told
	Total   int // messages
	Digests bool
	Key     string

	// Of what became of it.
	Done  int
	Again string // the query of the form with those that were refused
}

// A chosen is one of the incidents.
type chosen struct {
	row
	Seen    int64  // its sequence when it was chosen
	Now     int64  // its sequence
	Into    bool   // the others go on as this one
	Refused string // why it is not done; empty: it is
}

// A told is a person who gets messages by it.
type told struct {
	person
	Kinds []toldOf
}

// A toldOf is what a person is told, and of which incidents.
type toldOf struct {
	Kind      string
	Incidents []string
}

// Get returns what a field is filled with.
func (p *severalPage) Get(name string) string { return p.values.Get(name) }

// Merge reports whether they are to be merged.
func (p *severalPage) Merge() bool { return p.Do == "merge" }

// Hidden are all fields as they are filled in, for the preview's form.
func (p *severalPage) Hidden() []label { return (&form{values: p.values}).Hidden() }

// tooFew is the error of a form with too few incidents; nil if they are enough.
func tooFew(do string, n int) error {
	switch {
	case do == "merge" && n < 2:
		return &incident.Problem{Kind: incident.ErrInvalid, Text: "choose two incidents or more in the list: one of them goes on, the others are merged into it"}
	case n == 0:
		return &incident.Problem{Kind: incident.ErrInvalid, Text: "choose the incidents in the list first"}
	}
	return nil
}

// readSeveral returns the numbers of the incidents that were chosen, each once, and the page
// that goes on with them.
func (h *Handler) readSeveral(r *http.Request, values url.Values) (numbers []int64, p *severalPage, err error) {
	p = &severalPage{Do: "updates", values: values}
	title := "Write one update"
	if values.Get("do") == "merge" {
		p.Do, title = "merge", "Merge into one"
	}
	p.layout = h.layout(r, title)
	p.Here, p.Refresh = "Incidents", false
	for _, id := range values["incident"] {
		n, err := incident.ParseID(id)
		if err != nil {
			return nil, nil, err
		}
		if !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) > severalMost {
		return nil, nil, &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("these are %d incidents; choose %d at most", len(numbers), severalMost)}
	}
	seen := map[int64]int64{}
	for _, s := range values["seen"] {
		id, sequence, _ := strings.Cut(s, "=")
		if n, err := incident.ParseID(id); err == nil {
			seen[n], _ = strconv.ParseInt(sequence, 10, 64)
		}
	}
	err = h.Repo.Store.Read(r.Context(), func(tx storage.Snapshot) error {
		p.Chosen = nil
		found, err := tx.IncidentsByNumber(r.Context(), numbers)
		if err != nil {
			return err
		}
		var list []incident.Incident
		for _, n := range numbers {
			if found[n] == nil {
				return incident.NotThere(storage.NotFound("incident", incident.ID(n)), n)
			}
			list = append(list, *found[n])
		}
		rows, err := p.lines(r.Context(), tx, h.Repo.Tries(tx, p.clock.Now), list)
		if err != nil {
			return err
		}
		for i, row := range rows {
			p.Chosen = append(p.Chosen, chosen{row: row, Seen: cmp.Or(seen[numbers[i]], list[i].Sequence), Now: list[i].Sequence})
		}
		if p.values.Get("into") == "" && len(list) > 0 {
			// One that is open, of the highest priority, and then the earliest, is likely what the
			// others belong to.
			first := slices.MinFunc(list, func(a, b incident.Incident) int {
				return cmp.Or(last(a.State != incident.StateOpen)-last(b.State != incident.StateOpen), a.Priority.Rank-b.Priority.Rank, cmp.Compare(a.Number, b.Number))
			})
			p.choose(first.ID())
		} else {
			p.choose(p.values.Get("into"))
		}
		return nil
	})
	for _, a := range []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders} {
		p.Audiences = append(p.Audiences, option{string(a), wording.AudienceName(a), slices.Contains(values["audience"], string(a))})
	}
	return numbers, p, err
}

// choose sets which of them goes on.
func (p *severalPage) choose(id string) {
	for i := range p.Chosen {
		p.Chosen[i].Into = p.Chosen[i].ID == id
	}
}

// requests are one command for each of the incidents that something is done to.
func (p *severalPage) requests(numbers []int64, actor incident.Actor) (requests []*command.Request, of []*chosen, err error) {
	into := p.values.Get("into")
	if p.Merge() {
		if n, err := incident.ParseID(into); err != nil || !slices.Contains(numbers, n) {
			return nil, nil, &incident.Problem{Kind: incident.ErrInvalid, Text: "choose the one that goes on"}
		}
	}
	for i, n := range numbers {
		r := &command.Request{Incident: n, Actor: actor, Seen: p.Chosen[i].Seen}
		switch {
		case !p.Merge():
			u := command.Update{Message: p.values.Get("message")}
			for _, a := range p.values["audience"] {
				u.Audiences = append(u.Audiences, incident.Audience(a))
			}
			r.Command = u
		case p.Chosen[i].ID == into:
			continue
		default:
			r.Command = command.Merge{Into: into, Reason: p.values.Get("reason")}
		}
		requests, of = append(requests, r), append(of, &p.Chosen[i])
	}
	return requests, of, nil
}

// severalForm answers with the form.
func (h *Handler) severalForm(w http.ResponseWriter, r *http.Request) error {
	numbers, p, err := h.readSeveral(r, r.URL.Query())
	if err != nil {
		return err
	}
	if err := tooFew(p.Do, len(numbers)); err != nil { // nothing was sent, so nothing went wrong
		_, p.Error = explain(err)
	}
	return h.showSeveral(w, p, nil)
}

func (h *Handler) showSeveral(w http.ResponseWriter, p *severalPage, cause error) error {
	code := http.StatusOK
	if cause != nil {
		code, p.Error = explain(cause)
	}
	return h.render(w, code, "several", p)
}

// several previews what the form says or, once that is confirmed, does it: for each incident by
// a command of its own, so that one that is refused does not stop the others.
func (h *Handler) several(w http.ResponseWriter, r *http.Request) error {
	values, _, err := readForm(w, r)
	if err != nil {
		return err
	}
	numbers, p, err := h.readSeveral(r, values)
	if err != nil {
		return err
	}
	if values.Get("back") != "" {
		for i := range p.Chosen { // the preview said what had changed
			p.Chosen[i].Seen = p.Chosen[i].Now
		}
		return h.showSeveral(w, p, nil)
	}
	if err := tooFew(p.Do, len(numbers)); err != nil {
		return h.showSeveral(w, p, err)
	}
	requests, of, err := p.requests(numbers, access.From(r.Context()).Actor())
	if err != nil {
		return h.showSeveral(w, p, err)
	}
	if values.Get("confirm") != "" {
		return h.doSeveral(w, r, p, requests, of)
	}
	o, err := command.Foresee(r.Context(), h.Repo, h.Now(), requests)
	if err != nil {
		return err
	}
	refused := 0
	for i, err := range o.Refused {
		if err != nil {
			refused++
			of[i].Refused = refusal(err)
		}
	}
	if refused == len(requests) {
		return h.showSeveral(w, p, o.Refused[0])
	}
	p.foresee(o)
	p.Title, p.Key = "Preview: "+p.Title, rand.Text()
	return h.render(w, http.StatusOK, "severalpreview", p)
}

// refusal says in a line why one of several is not done.
func refusal(err error) string {
	if errors.Is(err, incident.ErrChanged) {
		return "somebody changed it since you chose it; look at it, and choose it again"
	}
	_, text := explain(err)
	return text
}

// foresee puts into words what it brings about: who is told what of which incidents.
func (p *severalPage) foresee(o *command.Outlook) {
	says := func(name, value string) {
		if value != "" {
			p.Says = append(p.Says, fact{Name: name, Value: wording.Line(value, 400)})
		}
	}
	if p.Merge() {
		says("Go on as", p.values.Get("into"))
		p.Quote, _ = wording.Block(p.values.Get("reason"), incident.MaxText)
	} else {
		var audiences []incident.Audience
		for _, a := range p.values["audience"] {
			audiences = append(audiences, incident.Audience(a))
		}
		says("Update to", cmp.Or(wording.AudienceNames(audiences), "all who are informed of each"))
		p.Quote, _ = wording.Block(p.values.Get("message"), incident.MaxText)
	}
	at := map[string]int{}
	for _, c := range p.Chosen {
		n, _ := incident.ParseID(c.ID) // it was parsed before
		for _, m := range o.Effects[n].Messages {
			i, ok := at[m.Recipient.ID]
			if !ok {
				i = len(p.Told)
				at[m.Recipient.ID] = i
				p.Told = append(p.Told, told{person: person{Recipient: m.Recipient.Address, Audience: wording.AudienceName(m.Audience), Group: m.Group, AtOnce: true}})
			}
			p.Told[i].add(kindName(m.Kind), c.ID)
			if !m.NextAt().After(p.clock.Now) {
				continue
			}
			p.Told[i].AtOnce = false
		}
	}
	for i := range p.Told {
		n := 0
		for _, k := range p.Told[i].Kinds {
			n += len(k.Incidents)
		}
		p.Total += n
		p.Digests = p.Digests || n > p.policy.DigestAbove && p.policy.DigestAbove > 0
	}
	slices.SortStableFunc(p.Told, func(a, b told) int { return strings.Compare(a.Recipient, b.Recipient) })
}

func (t *told) add(kind, id string) {
	for i := range t.Kinds {
		if t.Kinds[i].Kind == kind {
			t.Kinds[i].Incidents = append(t.Kinds[i].Incidents, id)
			return
		}
	}
	t.Kinds = append(t.Kinds, toldOf{kind, []string{id}})
}

// doSeveral carries out one command after the other, and says what became of each. The same
// form again does nothing twice.
func (h *Handler) doSeveral(w http.ResponseWriter, r *http.Request, p *severalPage, requests []*command.Request, of []*chosen) error {
	again := url.Values{"do": {p.Do}}
	var broken error // of sitrep itself: no more is tried
	for i, req := range requests {
		one := url.Values{}
		for name, v := range p.values {
			one[name] = v
		}
		one.Set("key", p.values.Get("key")+" "+of[i].ID)
		if broken == nil {
			switch _, err := h.carryOut(r, req, one); {
			case err == nil:
				p.Done++
				continue
			case mine(err):
				of[i].Refused = refusal(err)
			case p.Done == 0:
				return err
			default:
				broken = err
				h.Logger.Error("command of several not carried out", "command", req.Name(), "incident", of[i].ID, "err", err)
			}
		}
		if broken != nil {
			of[i].Refused = "it was not tried to the end, as sitrep has trouble; look at it, and send it again"
		}
		again.Add("incident", of[i].ID)
	}
	if refused := again["incident"]; len(refused) > 0 {
		if p.Merge() {
			again.Add("incident", p.values.Get("into"))
			again.Set("into", p.values.Get("into"))
		}
		p.Again = "?" + again.Encode()
	}
	p.Title = "Done: " + p.Title
	return h.render(w, http.StatusOK, "severaldone", p)
}
