package incident

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// An Audience is who is informed.
type Audience string

// The audiences, in the order in which a message names them.
const (
	AudienceManagement   Audience = "management"
	AudienceStakeholders Audience = "stakeholders"
	AudienceOnCall       Audience = "on_call" // the team; hears of every incident of its SLOs
)

// A Priority is one of at most five organisation-wide classes of incidents. It
// says which actions are due, which audiences are informed, and how often.
type Priority struct {
	Name     string       `json:"name"`
	Rank     int          `json:"rank"` // 0 is the highest
	Summary  string       `json:"summary,omitempty"`
	Criteria []string     `json:"criteria,omitempty"`
	Actions  []ActionRule `json:"actions,omitempty"`
	Inform   []Audience   `json:"inform,omitempty"` // never OnCall, which is always informed
	// UpdateEvery is the cadence. Zero if no audience is informed.
	UpdateEvery time.Duration `json:"update_every,omitempty"`
	// InformAfter is how long an incident lasts before its audiences hear of it.
	InformAfter time.Duration `json:"inform_after,omitempty"`
}

// An ActionRule is a duty that a priority brings.
type ActionRule struct {
	Name string `json:"name"`
	// Within is how long after resolving the action may take. Zero: no limit.
	Within time.Duration `json:"within,omitempty"`
}

// An SLO is a team's objective, mapped to exactly one priority.
type SLO struct {
	ID           string
	UseCase      string
	Affects      string // who is affected, in plain words; may be empty
	SLI          string
	Service      string
	Team         string
	Priority     string
	Runbook      string   // a URL, or empty
	Stakeholders []string // names of groups
	// Key tells apart what gets incidents of its own: the id, and the values of the
	// labels in incident_per. For unmapped alerts it is made of the alert's name.
	Key string
	// Per are the labels of incident_per, by which an SLO has several keys that begin with its
	// own and a brace.
	Per []string
	// Labels are the labels of incident_per with their values.
	Labels map[string]string
	// Unmapped is set for what stands in for the SLO of alerts that no SLO claims;
	// ID is empty then.
	Unmapped bool
}

// A Channel is the way by which messages reach a recipient.
type Channel string

// The channels.
const (
	ChannelEmail   Channel = "email"
	ChannelWebhook Channel = "webhook"
)

// A Recipient is one email address or one webhook.
type Recipient struct {
	// ID is the same for the same address in any group: "email:" and the address in
	// lower case, or "webhook:" and a hash of the URL. It holds no secret.
	ID      string
	Channel Channel
	// Name is the display name of an address, or empty.
	Name string
	// Address is the email address; of a webhook, its scheme and host, as its URL may
	// be a secret.
	Address string
}

// byWebhook reports whether a recipient of that ID is reached by a webhook.
func byWebhook(id string) bool { return strings.HasPrefix(id, string(ChannelWebhook)+":") }

// A Group is a named list of recipients.
type Group struct {
	Name       string
	Recipients []Recipient
	// Priorities are the names of those that it hears of; none: of all.
	Priorities []string
	Location   *time.Location // never nil
	Language   string         // of its messages, as its tag: "de"; empty is English
	Quiet      []Quiet
}

// Hears reports whether the group is told of incidents of that priority.
func (g *Group) Hears(priority string) bool {
	return len(g.Priorities) == 0 || slices.Contains(g.Priorities, priority)
}

// Quiet holds back what is sent to a group at certain times.
type Quiet struct {
	Times  []timeinterval.TimeInterval // in the group's time unless they name their own
	Unless []string                    // priorities that are not held back
}

// A Team owns SLOs and is on call for them.
type Team struct {
	Name   string
	OnCall []Recipient
}

// A Watchdog is an alert that always fires. While it does not, nothing that ends
// is believed.
type Watchdog struct {
	Within time.Duration // heard at least this often; zero: no watchdog configured
	// By are labels, sorted: each of their values is a pulse of its own. None: one pulse.
	By     []string
	Groups []string
}

// A Policy is the configuration in force, as far as the rules need it. It is
// never changed once made.
type Policy struct {
	// Hash names the version of the configuration: SHA-256 of its canonical form
	// without secrets, in hexadecimal.
	Hash       string
	Location   *time.Location // for readers without one of their own; never nil
	Priorities []Priority     // highest first
	Management []string       // the groups behind the audience management
	Groups     []Group        // in file order
	Teams      []Team         // in file order
	SLOs       []SLO          // in file order, without Labels

	ResolveAfter time.Duration
	ReopenWithin time.Duration
	UnknownAfter time.Duration
	RemindBefore time.Duration
	// DigestAbove is how many messages one recipient gets in a minute before the rest
	// is put into a digest. Zero: no digests.
	DigestAbove int

	Watchdog Watchdog
	Canary   Canary
	Drills   []Drill // in file order
	// Asks is set if there are Alertmanagers to ask whether a breach still fires.
	Asks bool
	// ExternalURL is where links in messages lead, without a slash at the end.
	ExternalURL string

	places places
}

// places are where groups, teams and the members of groups are found by name and id. A
// policy may have changed since: what is not found where it was is looked for.
type places struct {
	groups, teams map[string]int
	members       []map[string]int // of the groups, by id
}

// Index makes groups, teams and recipients be found in a time that does not grow with their
// number. It is called once the policy is complete, before others have it.
func (p *Policy) Index() {
	at := places{groups: map[string]int{}, teams: map[string]int{}}
	for i := range p.Groups {
		at.groups[p.Groups[i].Name] = i
		members := make(map[string]int, len(p.Groups[i].Recipients))
		for k := range p.Groups[i].Recipients {
			members[p.Groups[i].Recipients[k].ID] = k
		}
		at.members = append(at.members, members)
	}
	for i := range p.Teams {
		at.teams[p.Teams[i].Name] = i
	}
	p.places = at
}

// group returns the place of the group of that name, -1 if there is none.
func (p *Policy) group(name string) int {
	if i, ok := p.places.groups[name]; ok && i < len(p.Groups) && p.Groups[i].Name == name {
		return i
	}
	return slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == name })
}

// member returns the recipient of that id in the i-th group.
func (p *Policy) member(i int, id string) (Recipient, bool) {
	all := p.Groups[i].Recipients
	if i < len(p.places.members) {
		if k, ok := p.places.members[i][id]; ok && k < len(all) && all[k].ID == id {
			return all[k], true
		}
	}
	return find(all, func(r *Recipient) bool { return r.ID == id })
}

// Priority returns the priority of that name.
func (p *Policy) Priority(name string) (Priority, bool) {
	return find(p.Priorities, func(q *Priority) bool { return q.Name == name })
}

// PriorityNames returns the names of all priorities, the highest first.
func (p *Policy) PriorityNames() []string {
	return names(p.Priorities, func(q *Priority) string { return q.Name })
}

// Outranks reports whether a is a higher priority than b: as the policy orders them or,
// where it no longer has both, as they were ordered when they were copied.
func (p *Policy) Outranks(a, b Priority) bool {
	x, hasA := p.Priority(a.Name)
	y, hasB := p.Priority(b.Name)
	if hasA && hasB {
		a, b = x, y
	}
	return a.Rank < b.Rank
}

// Group returns the group of that name.
func (p *Policy) Group(name string) (Group, bool) {
	i := p.group(name)
	if i < 0 {
		return Group{}, false
	}
	return p.Groups[i], true
}

// Team returns the team of that name.
func (p *Policy) Team(name string) (Team, bool) {
	if i, ok := p.places.teams[name]; ok && i < len(p.Teams) && p.Teams[i].Name == name {
		return p.Teams[i], true
	}
	return find(p.Teams, func(t *Team) bool { return t.Name == name })
}

// TeamNames returns the names of all teams, in file order.
func (p *Policy) TeamNames() []string {
	return names(p.Teams, func(t *Team) string { return t.Name })
}

// SLO returns the SLO of that id.
func (p *Policy) SLO(id string) (SLO, bool) {
	return find(p.SLOs, func(s *SLO) bool { return s.ID == id })
}

// Recipient returns the recipient of that ID, if any group or team has it.
func (p *Policy) Recipient(id string) (r Recipient, ok bool) {
	is := func(r *Recipient) bool { return r.ID == id }
	for i := 0; i < len(p.Groups) && !ok; i++ {
		r, ok = p.member(i, id)
	}
	for i := 0; i < len(p.Teams) && !ok; i++ {
		r, ok = find(p.Teams[i].OnCall, is)
	}
	return r, ok
}

// find returns the first of a list that is meant; false if there is none.
func find[T any](list []T, is func(*T) bool) (found T, ok bool) {
	for i := range list {
		if is(&list[i]) {
			return list[i], true
		}
	}
	return found, false
}

func names[T any](list []T, name func(*T) string) []string {
	var out []string
	for i := range list {
		out = append(out, name(&list[i]))
	}
	return out
}
