package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"sitrep/incident"
	"sitrep/internal/httperr"
	"sitrep/storage"
	"sitrep/web/wiki"
	"sitrep/wording"
)

const (
	// comingShown is of how many incidents the page of a group says what it will be told.
	comingShown = 50
	// comingRead is how many readers to whom something will be due are looked at for that, and
	// comingAtOnce how many at once.
	comingRead   = 5000
	comingAtOnce = 1000
	// membersShown is how many addresses the page of a group shows.
	membersShown = 500
	// membersOpen is how many stand there without being unfolded.
	membersOpen = 8
)

// A groupLink is the name of a group or of a team, and where its page is; no address if the
// configuration no longer has it.
type groupLink struct{ Name, Link string }

// groupLink returns the link of a group; of those on call, of the team.
func (l *layout) groupLink(name string, team bool) groupLink {
	key := ""
	if team {
		if _, ok := l.policy.Team(name); ok {
			key = "team"
		}
	} else if _, ok := l.policy.Group(name); ok {
		key = "name"
	}
	if key == "" {
		return groupLink{Name: name}
	}
	return groupLink{name, l.Root + "groups?" + url.Values{key: {name}}.Encode()}
}

// groupLinks returns the links of the groups of a reader, of which the last is the team if it is
// on call.
func (l *layout) groupLinks(names []string, audiences []incident.Audience) []groupLink {
	onCall := slices.Contains(audiences, incident.AudienceOnCall)
	var links []groupLink
	for i, name := range names {
		links = append(links, l.groupLink(name, onCall && i == len(names)-1))
	}
	return links
}

// Group returns the link of a group for a template, Team that of a team.
func (l *layout) Group(name string) groupLink { return l.groupLink(name, false) }

// A groupPage is that of a group or of a team, or without a name the list of all.
type groupPage struct {
	layout
	Name          string
	OnCall        bool       // it is a team
	Groups, Teams []groupSum // of the list

	Members     []string
	MemberCount int
	Management  bool
	By          []string // the priorities of which management hears, if it is behind that
	Hears       []string // the priorities that it is told of; none: of all
	Timezone    string
	Language    string // of its messages, in English
	Quiet       []string
	SLOs        []sloInfo
	SLOCount    int
	Stakes      int // of how many SLOs it is among the stakeholders
	Coming      []comingRow
	// ComingCut is set if there may be more to come than is shown.
	ComingCut bool
	History   []toldRow
	Rest      string // the query of all that it was told
}

// A groupSum is a group in the list of all.
type groupSum struct {
	groupLink
	Members, SLOs int
	Management    bool
}

// A comingRow is what members of a group will be told next of an incident.
type comingRow struct {
	Incident incidentLink
	Headline string
	Kind     string
	At       *moment // the first
	Count    int
	Overdue  bool
	Try      *moment
}

func (h *Handler) group(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p := groupPage{layout: h.layout(r, "Groups"), Name: q.Get("name")}
	if team := q.Get("team"); p.Name == "" && team != "" {
		p.Name, p.OnCall = team, true
	}
	if p.Name == "" {
		p.list()
		p.Refresh = false
		return h.render(w, http.StatusOK, "group", &p)
	}
	var g incident.Group
	var ok bool
	if p.OnCall {
		p.Title = "Team " + p.Name
		var t incident.Team
		t, ok = p.policy.Team(p.Name)
		g = incident.Group{Name: t.Name, Recipients: t.OnCall, Location: p.policy.Location}
	} else {
		p.Title = "Group " + p.Name
		g, ok = p.policy.Group(p.Name)
	}
	if !ok {
		return httperr.Statusf(http.StatusNotFound, "the configuration has no %s %q; the page Groups lists all", map[bool]string{false: "group", true: "team"}[p.OnCall], p.Name)
	}
	p.describe(&g)
	return h.show(w, r, "group", &p, func(tx storage.Snapshot) error {
		if err := p.readComing(r.Context(), tx, h.Repo.Tries(tx, p.clock.Now), &g); err != nil {
			return err
		}
		var err error
		var next string
		p.History, next, err = p.readTold(r.Context(), tx, storage.DeliveryQuery{Group: p.Name}, 0)
		p.Rest = ""
		if next != "" {
			p.Rest = "?" + url.Values{"group": {p.Name}, "cursor": {next}}.Encode()
		}
		return err
	})
}

// Fold reports whether the members are too many to stand open.
func (p *groupPage) Fold() bool { return len(p.Members) > membersOpen }

// list lists all groups and teams.
func (p *groupPage) list() {
	slos := map[string]int{}
	teams := map[string]int{}
	for i := range p.policy.SLOs {
		teams[p.policy.SLOs[i].Team]++
		for _, name := range p.policy.SLOs[i].Stakeholders {
			slos[name]++
		}
	}
	for i := range p.policy.Groups {
		g := &p.policy.Groups[i]
		p.Groups = append(p.Groups, groupSum{p.groupLink(g.Name, false), len(g.Recipients), slos[g.Name], slices.Contains(p.policy.Management, g.Name)})
	}
	for i := range p.policy.Teams {
		t := &p.policy.Teams[i]
		p.Teams = append(p.Teams, groupSum{groupLink: p.groupLink(t.Name, true), Members: len(t.OnCall), SLOs: teams[t.Name]})
	}
}

// describe says what the configuration says of the group.
func (p *groupPage) describe(g *incident.Group) {
	of := wiki.GroupOf(g, p.policy)
	p.MemberCount, p.Timezone, p.Quiet, p.Hears = len(g.Recipients), of.Timezone, of.Quiet, of.Hears
	p.Language = wording.In(g.Language).Name()
	if !p.Stranger {
		p.Members = of.Recipients[:min(len(of.Recipients), membersShown)]
	}
	p.Management = of.Management && !p.OnCall
	for i := range p.policy.Priorities {
		if q := &p.policy.Priorities[i]; p.Management && slices.Contains(q.Inform, incident.AudienceManagement) && g.Hears(q.Name) {
			p.By = append(p.By, q.Name)
		}
	}
	for i := range p.policy.SLOs {
		s := &p.policy.SLOs[i]
		stake := !p.OnCall && slices.Contains(s.Stakeholders, p.Name)
		if stake {
			p.Stakes++
		}
		if p.OnCall && s.Team == p.Name || stake || slices.Contains(p.By, s.Priority) {
			if p.SLOCount++; p.SLOCount <= slosShown {
				p.SLOs = append(p.SLOs, p.sloInfo(s))
			}
		}
	}
}

// readsBy reports whether a subscription is that of a member, by the group that the page is of.
func (p *groupPage) readsBy(s *incident.Subscription) bool {
	at := slices.Index(s.Groups, p.Name)
	onCall := slices.Contains(s.Audiences, incident.AudienceOnCall)
	if p.OnCall { // it stands last, also beside a group of the same name
		return onCall && len(s.Groups) > 0 && s.Groups[len(s.Groups)-1] == p.Name
	}
	return at >= 0 && !(onCall && at == len(s.Groups)-1)
}

// readComing reads what the members will be told next, if nothing happens before, what comes
// first first. It finds the incidents by the members to whom something will be due.
func (p *groupPage) readComing(ctx context.Context, tx storage.Snapshot, tries *storage.Tries, g *incident.Group) error {
	p.Coming, p.ComingCut = nil, false
	members := map[string]bool{}
	for i := range g.Recipients {
		members[g.Recipients[i].ID] = true
	}
	var numbers []int64
	known := map[int64]bool{}
	horizon := p.clock.Now.AddDate(10, 0, 0)
	for n, cursor := 0, ""; ; n += comingAtOnce {
		if n == comingRead || len(numbers) >= comingShown {
			p.ComingCut = true
			break
		}
		page, next, err := tx.DueReaders(ctx, horizon, comingAtOnce, cursor)
		if err != nil {
			return err
		}
		for _, d := range page {
			if members[d.Recipient] && !known[d.Incident] {
				known[d.Incident] = true
				numbers = append(numbers, d.Incident)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(numbers) > comingShown {
		numbers, p.ComingCut = numbers[:comingShown], true
	}
	for _, number := range numbers {
		s, err := storage.Situation(ctx, tx, number)
		if err != nil {
			return err
		}
		if err := tries.Note(ctx, s); err != nil {
			return err
		}
		p.foresee(s)
	}
	return nil
}

// foresee adds what the members will be told of an incident, each kind in a row.
func (p *groupPage) foresee(s *incident.Situation) {
	first := len(p.Coming)
	for _, f := range s.Forecast(p.policy) {
		if sub := s.Subscription(f.Recipient.ID); sub == nil || !p.readsBy(sub) {
			continue
		}
		kind := kindName(f.Kind)
		at := slices.IndexFunc(p.Coming[first:], func(c comingRow) bool { return c.Kind == kind })
		if at < 0 {
			p.Coming = append(p.Coming, comingRow{
				Incident: incidentLink{p.Root, s.Incident.ID()}, Headline: wording.Headline(&s.Incident), Kind: kind, At: p.at(f.At),
				Overdue: p.clock.Now.Sub(f.At) > incident.Promise, Try: p.at(f.TryAt),
			})
			at = len(p.Coming) - 1 - first
		}
		p.Coming[first+at].Count++
	}
}
