package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/web/wiki"
	"sitrep/wording"
)

// slosShown is how many SLOs, and how many alerts that none claims, a page shows at most.
const slosShown = 200

type prioritiesPage struct {
	layout
	Priorities []priorityInfo
	Groups     []wiki.Group // those that somebody informs
	Versions   []versionInfo
	Earlier    string // the query of the versions before; empty: none
}

// priorityInfo is a priority as the organisation reads it.
type priorityInfo struct {
	Name, Tone, Summary     string
	Criteria                []string
	Actions                 []string
	Audiences               []audienceInfo
	UpdateEvery, InformWait time.Duration
}

// audienceInfo is an audience and the groups behind it.
type audienceInfo struct {
	Name   string
	Groups []string
	Links  []groupLink // of the groups, on the page of what is in force
	BySLO  bool        // each SLO picks its groups
}

func (h *Handler) priorities(w http.ResponseWriter, r *http.Request) error {
	p := prioritiesPage{layout: h.layout(r, "Priorities")}
	for i := range p.policy.Priorities {
		info := infoOf(&p.policy.Priorities[i], p.policy)
		for k := range info.Audiences {
			info.Audiences[k].Links = p.groupLinks(info.Audiences[k].Groups, nil)
		}
		p.Priorities = append(p.Priorities, info)
	}
	p.Groups = wiki.Groups(p.policy)
	for i := range p.Groups {
		if p.Stranger {
			p.Groups[i].Recipients = nil
		}
	}
	// It changes with a reload alone, and its history takes some reading.
	p.Refresh = false
	return h.show(w, r, "priorities", &p, func(tx storage.Snapshot) error { return p.readHistory(r.Context(), tx, r.URL.Query()) })
}

func infoOf(q *incident.Priority, policy *incident.Policy) priorityInfo {
	info := priorityInfo{
		Name: q.Name, Tone: wording.Rank(q.Rank), Summary: q.Summary, Criteria: q.Criteria,
		UpdateEvery: q.UpdateEvery, InformWait: q.InformAfter,
	}
	for _, a := range q.Actions {
		text := a.Name
		if a.Within > 0 {
			text += ", within " + wording.Duration(a.Within) + " after resolving"
		}
		info.Actions = append(info.Actions, text)
	}
	for _, a := range q.Inform {
		one := audienceInfo{Name: wording.AudienceName(a), BySLO: a == incident.AudienceStakeholders}
		if a == incident.AudienceManagement {
			if one.Groups = wiki.Management(q, policy); len(one.Groups) == 0 {
				one.Name += ", none of whose groups hears of it"
			}
		}
		info.Audiences = append(info.Audiences, one)
	}
	return info
}

type slosPage struct {
	layout
	Team, Text    string
	TeamNames     []string
	Teams         []teamInfo
	Total         int
	Previous      string // queries of other pages; empty: there is none
	Next          string
	Unmapped      []alertInfo
	UnmappedMore  bool
	Ambiguous     []ambiguityInfo
	AmbiguousMore bool
}

type teamInfo struct {
	Name   string
	Link   groupLink
	OnCall []string
	SLOs   []sloInfo
}

type sloInfo struct {
	ID, UseCase, Affects, SLI, Service, Priority, Tone, Runbook string
	Stakeholders                                                []groupLink
	Claimed                                                     *moment // when it last claimed an alert; nil: never
	LastIncident                                                string
}

// readClaims says when each SLO last claimed an alert.
func (p *slosPage) readClaims(ctx context.Context, tx storage.Snapshot, shown []*incident.SLO) error {
	claims, err := storage.LastClaims(ctx, tx, shown)
	for i := range p.Teams {
		for j := range p.Teams[i].SLOs {
			info := &p.Teams[i].SLOs[j]
			info.Claimed, info.LastIncident = nil, ""
			if c, ok := claims[info.ID]; ok {
				info.Claimed, info.LastIncident = p.at(c.At), incident.ID(c.Incident)
			}
		}
	}
	return err
}

type alertInfo struct {
	Name, Incident string
	// Near is the label that is nearly the id of an SLO, and Meant that id; empty if none is.
	Near         label
	Meant        string
	Labels       []label
	Since, Heard *moment
}

type ambiguityInfo struct {
	At     *moment
	Labels []label
	SLO    string
	Others []string
}

type label struct{ Name, Value string }

func (h *Handler) slos(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p := slosPage{layout: h.layout(r, "SLOs"), Team: q.Get("team"), Text: q.Get("q")}
	p.TeamNames = p.policy.TeamNames()
	page, _ := strconv.Atoi(q.Get("page"))
	page = min(max(page, 1), 1+len(p.policy.SLOs)/slosShown)
	found := p.find()
	p.Total = len(found)
	from := min((page-1)*slosShown, len(found))
	to := min(from+slosShown, len(found))
	other := func(n int) string {
		q.Set("page", strconv.Itoa(n))
		return "?" + q.Encode()
	}
	if page > 1 {
		p.Previous = other(page - 1)
	}
	if to < len(found) {
		p.Next = other(page + 1)
	}
	p.byTeam(found[from:to])
	return h.show(w, r, "slos", &p, func(tx storage.Snapshot) error {
		if err := p.readClaims(r.Context(), tx, found[from:to]); err != nil {
			return err
		}
		if err := p.readUnmapped(r.Context(), tx, h.Nearest); err != nil {
			return err
		}
		return p.readAmbiguous(r.Context(), tx)
	})
}

// readUnmapped reads the alerts that no SLO claims.
func (p *slosPage) readUnmapped(ctx context.Context, tx storage.Snapshot, near func(map[string]string) (string, string)) error {
	p.Unmapped, p.UnmappedMore = nil, false
	left := room{left: textShown}
	for cursor := ""; ; {
		alerts, next, err := tx.UnmappedAlerts(ctx, oneAtATime, cursor)
		if err != nil {
			return err
		}
		for _, a := range alerts {
			info := alertInfo{Name: wording.Line(a.Labels["alertname"], 200), Labels: labels(a.Labels, "alertname"), Since: p.at(a.StartsAt), Heard: p.at(a.HeardAt)}
			if a.Incident != 0 {
				info.Incident = incident.ID(a.Incident)
			}
			if name, id := near(a.Labels); id != "" {
				info.Near, info.Meant = label{wording.Line(name, 120), wording.Line(a.Labels[name], 200)}, id
			}
			if len(p.Unmapped) == slosShown || !left.take(sizeOf(info.Labels)) {
				p.UnmappedMore = true
				return nil
			}
			p.Unmapped = append(p.Unmapped, info)
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

// readAmbiguous reads the latest alerts that several SLOs claimed.
func (p *slosPage) readAmbiguous(ctx context.Context, tx storage.Snapshot) error {
	p.Ambiguous, p.AmbiguousMore = nil, false
	ambiguities, err := storage.Ambiguities(ctx, tx)
	left := room{left: textShown}
	for _, a := range ambiguities {
		info := ambiguityInfo{p.at(a.At), labels(a.Labels), a.SLO, a.Others}
		if !left.take(sizeOf(info.Labels)) {
			p.AmbiguousMore = true
			break
		}
		p.Ambiguous = append(p.Ambiguous, info)
	}
	return err
}

// find returns the SLOs that were asked for, ordered by team as the files are.
func (p *slosPage) find() []*incident.SLO {
	var found []*incident.SLO
	text := strings.ToLower(p.Text)
	for i := range p.policy.SLOs {
		s := &p.policy.SLOs[i]
		if p.Team != "" && s.Team != p.Team {
			continue
		}
		if text == "" || strings.Contains(strings.ToLower(s.ID+"\n"+s.UseCase+"\n"+s.Affects+"\n"+s.Service+"\n"+s.Team), text) {
			found = append(found, s)
		}
	}
	order := map[string]int{}
	for i, t := range p.policy.Teams {
		order[t.Name] = i
	}
	slices.SortStableFunc(found, func(a, b *incident.SLO) int { return order[a.Team] - order[b.Team] })
	return found
}

func (p *slosPage) byTeam(found []*incident.SLO) {
	for _, s := range found {
		if n := len(p.Teams); n == 0 || p.Teams[n-1].Name != s.Team {
			info := teamInfo{Name: s.Team, Link: p.groupLink(s.Team, true)}
			if t, ok := p.policy.Team(s.Team); ok {
				for _, rcpt := range t.OnCall {
					if !p.Stranger {
						info.OnCall = append(info.OnCall, rcpt.Address)
					}
				}
			}
			p.Teams = append(p.Teams, info)
		}
		t := &p.Teams[len(p.Teams)-1]
		t.SLOs = append(t.SLOs, p.sloInfo(s))
	}
}

// sloInfo describes an SLO, but for what it claimed.
func (l *layout) sloInfo(s *incident.SLO) sloInfo {
	info := sloInfo{ID: s.ID, UseCase: s.UseCase, Affects: s.Affects, SLI: s.SLI, Service: s.Service, Priority: s.Priority, Tone: "over", Runbook: wording.Link(s.Runbook)}
	if q, ok := l.policy.Priority(s.Priority); ok {
		info.Tone = wording.Rank(q.Rank)
	}
	texts := wiki.Stakeholders(s, l.policy)
	for i, name := range s.Stakeholders {
		link := l.groupLink(name, false)
		link.Name = texts[i]
		info.Stakeholders = append(info.Stakeholders, link)
	}
	return info
}

// labels are the labels of an alert by name, without those left out.
func labels(m map[string]string, without ...string) []label {
	var all []label
	for name, value := range m {
		if !slices.Contains(without, name) {
			all = append(all, label{wording.Line(name, 120), wording.Line(value, 2000)})
		}
	}
	slices.SortFunc(all, func(a, b label) int { return strings.Compare(a.Name, b.Name) })
	return all
}
