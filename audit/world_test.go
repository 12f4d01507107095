package audit_test

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router"
	"sitrep/router/routertest"
	"sitrep/storage"
)

func hook(name string) incident.Recipient {
	sum := sha256.Sum256([]byte(name))
	return incident.Recipient{ID: "webhook:" + hex.EncodeToString(sum[:8]), Channel: incident.ChannelWebhook, Address: "https://" + name + ".example.org"}
}

// An organisation has teams of SLOs, five groups of readers, and three priorities.
func organisation(teams, slosPerTeam int) *incident.Policy {
	both := []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}
	p := &incident.Policy{
		Location: time.UTC,
		Priorities: []incident.Priority{
			{Name: "P1", Rank: 0, Summary: "Severe customer impact", Inform: both, UpdateEvery: 2 * time.Hour, Actions: []incident.ActionRule{{Name: "hotfix"}, {Name: "postmortem", Within: 2 * time.Hour}}},
			{Name: "P2", Rank: 1, Summary: "Deserves attention", Inform: both, UpdateEvery: 4 * time.Hour},
			{Name: "P3", Rank: 2, Summary: "Affects some", Inform: []incident.Audience{incident.AudienceStakeholders}, UpdateEvery: 8 * time.Hour, InformAfter: 10 * time.Minute},
		},
		Management: []string{"leadership"},
		Groups: []incident.Group{
			{Name: "leadership", Location: time.UTC, Recipients: incidenttest.Mails("cto", "product")},
			{Name: "support", Location: time.UTC, Recipients: incidenttest.Mails("support"), Quiet: []incident.Quiet{
				incidenttest.Quiet(2*60, 3*60+30, "P1"),
			}},
			{Name: "sales", Location: time.UTC, Recipients: incidenttest.Mails("sales", "gone")},
			{Name: "status-page", Location: time.UTC, Recipients: []incident.Recipient{hook("status")}},
		},
		ResolveAfter: 10 * time.Minute, ReopenWithin: time.Hour, UnknownAfter: 30 * time.Hour, RemindBefore: 15 * time.Minute, DigestAbove: 5,
		ExternalURL: "https://sitrep.example.org",
	}
	kinds := []string{"availability", "latency", "correctness"}
	for t := range teams {
		team := fmt.Sprintf("team-%02d", t+1)
		p.Teams = append(p.Teams, incidenttest.Team(team, team))
		for s := range slosPerTeam {
			n := t*slosPerTeam + s
			slo := incident.SLO{
				ID: fmt.Sprintf("%s-%s-%02d", team, kinds[n%3], s+1), UseCase: fmt.Sprintf("Customers of service %d cannot use part %d", t+1, s+1),
				SLI: kinds[n%3], Service: fmt.Sprintf("service-%d", t+1), Team: team, Priority: []string{"P1", "P2", "P3"}[n%3],
				Stakeholders: [][]string{{"support"}, {"support", "sales"}, {"sales", "status-page"}}[n%3],
			}
			slo.Key = slo.ID
			p.SLOs = append(p.SLOs, slo)
		}
	}
	return p
}

// canonical is the policy as the configuration writes it, as far as the tests need it,
// and in the public form with nothing in place of addresses.
func canonical(p *incident.Policy, public bool) []byte {
	type action struct {
		Name   string `json:"name"`
		Within string `json:"within,omitempty"`
	}
	var priorities, teams []any
	for _, q := range p.Priorities {
		actions := []action{}
		for _, a := range q.Actions {
			actions = append(actions, action{a.Name, a.Within.String()})
		}
		priorities = append(priorities, map[string]any{"name": q.Name, "summary": q.Summary, "inform": q.Inform, "update_every": q.UpdateEvery.String(), "actions": actions})
	}
	for _, t := range p.Teams {
		var slos []any
		for _, s := range p.SLOs {
			if s.Team == t.Name {
				slos = append(slos, map[string]any{"id": s.ID, "use_case": s.UseCase, "sli": s.SLI, "service": s.Service, "priority": s.Priority, "stakeholders": s.Stakeholders})
			}
		}
		teams = append(teams, map[string]any{"team": t.Name, "slos": slos})
	}
	var groups []any
	for _, g := range p.Groups {
		addresses := []string{}
		for i, r := range g.Recipients {
			address := r.Address
			if public {
				address = fmt.Sprint("address ", i+1)
			}
			addresses = append(addresses, address)
		}
		groups = append(groups, map[string]any{"name": g.Name, "email": addresses})
	}
	body, err := json.Marshal(map[string]any{"management": p.Management, "priorities": priorities, "teams": teams, "groups": groups})
	if err != nil {
		panic(err)
	}
	return body
}

// A handover is one attempt as the far end saw it.
type handover struct {
	at        time.Time
	recipient string
	taken     bool // and acknowledged
	permanent bool
	message   *incident.Message
}

// A farEnd is all mail servers and webhooks. It keeps a raw log of what it saw.
type farEnd struct {
	mu       sync.Mutex
	rendered map[string]*incident.Message
	log      []handover
	// fails says what becomes of an attempt to a recipient; nil is to take it.
	fails func(recipient string) error
	delay func() time.Duration
}

var errServer = errors.New(`connect to "smtp.example.org:587": connection refused`)

func (f *farEnd) Render(m *incident.Message) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := *m
	f.rendered[m.ID] = &kept
	return fmt.Appendf(nil, "Message-ID: <%s@sitrep.example.org>\r\nTo: %s\r\nSubject: %s\r\n\r\n%s at %s\r\n", m.ID, m.Recipient.Address, m.Kind, m.Kind, m.At.Format(time.RFC3339)), nil
}

func (f *farEnd) Send(_ context.Context, e router.Envelope, leased func(context.Context) error) error {
	if d := f.delay(); d > 0 {
		time.Sleep(d)
	}
	if err := leased(context.Background()); err != nil {
		return err
	}
	err := f.fails(e.Recipient.ID)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, handover{at: now(), recipient: e.Recipient.ID, taken: err == nil, permanent: errors.Is(err, router.ErrPermanent), message: f.rendered[e.ID]})
	return err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// A world is an organisation that lives through a plan, and notes what it did.
type world struct {
	*routertest.World
	t       testing.TB
	far     *farEnd
	rng     *rand.Rand
	plan    plan
	process *routertest.Replica
	down    []storage.Outage // times without sitrep while incidents were open
	diary   map[int64]*diary // of incidents, by number
	slo     map[string]incident.SLO
}

// A diary is what the test did to an incident, and when.
type diary struct {
	slo                                  string
	opened, started, ended, acknowledged time.Time
	closed                               time.Time // by a person
	drill, declared                      bool
	rank                                 int // of the priority with which it opened
	changes                              []change
	actions                              map[string]incident.ActionState
}

// A change is one of a priority, by its rank.
type change struct {
	at       time.Time
	from, to int
}

func newWorld(t testing.TB, open func(context.Context) (storage.Store, error), p *incident.Policy, seed uint64) *world {
	w := &world{
		World: routertest.New(t, routertest.Options{Policy: p, Open: open, Begin: now(), Poll: time.Minute}),
		t:     t, rng: rand.New(rand.NewPCG(seed, 1)), diary: map[int64]*diary{}, slo: map[string]incident.SLO{},
		far: &farEnd{rendered: map[string]*incident.Message{}, fails: func(string) error { return nil }, delay: func() time.Duration { return 0 }},
	}
	w.SendBy(w.far)
	w.load(p, "start")
	return w
}

// load puts a policy into force, as a reload does.
func (w *world) load(p *incident.Policy, actor incident.Actor) {
	whole, public := newConfig(canonical(p, false)), newConfig(canonical(p, true))
	p.Hash = whole.Hash
	w.Write(func(tx storage.Tx) error {
		return tx.PutConfig(w.t.Context(), storage.Loading{Hash: whole.Hash, At: now(), Actor: actor, Public: public.Hash}, whole, public)
	})
	w.Reload(func(now *incident.Policy) { *now = *p })
	for _, s := range p.SLOs {
		w.slo[s.ID] = s
	}
}

func newConfig(body []byte) storage.Config {
	sum := sha256.Sum256(body)
	return storage.Config{Hash: hex.EncodeToString(sum[:]), Body: body}
}

// run starts sitrep, and end stops it; the store stays open.
func (w *world) run() { w.process = w.Start() }

func (w *world) end() { w.process.Stop() }

// outage stops sitrep for a while.
func (w *world) outage(d time.Duration) {
	from := now()
	w.end()
	w.Pass(d)
	w.run()
	w.down = append(w.down, storage.Outage{From: from, To: now()})
}

// alert posts a firing or, with an end, a resolved alert, and returns its incident.
func (w *world) alert(slo string, started, ended time.Time) int64 {
	w.t.Helper()
	a := incident.Alert{
		Fingerprint: "fp-" + slo, StartsAt: started, EndsAt: ended, Resolved: !ended.IsZero(),
		Labels: map[string]string{"alertname": "ErrorBudgetBurn", "sloth_id": slo},
	}
	return w.Post(a)[0].Incident
}

// orders plans a command of a person, which the incident's state may forbid.
func (w *world) orders(at time.Time, number *int64, who incident.Actor, c command.Command) {
	w.at(at, func() { w.allowed(w.Try(who, *number, c)) })
}

// tries plans what a person does to an incident, which its state may forbid.
func (w *world) tries(at time.Time, number *int64, who incident.Actor, fn func(*storage.Change, *incident.Situation, incident.Stamp) ([]incident.Event, error)) {
	w.at(at, func() {
		w.allowed(w.Repository().Change(w.t.Context(), now(), func(c *storage.Change) error {
			s, err := c.Situation(*number)
			if err != nil {
				return err
			}
			events, err := fn(c, s, c.Stamp(who))
			if err != nil {
				return err
			}
			return c.Record(s, events...)
		}))
	})
}

func (w *world) allowed(err error) {
	if err != nil && !errors.Is(err, incident.ErrConflict) && !errors.Is(err, incident.ErrInvalid) && !errors.Is(err, incident.ErrNotFound) {
		w.t.Error(err)
	}
}

// A plan is what is to be done, by time.
type plan []step

type step struct {
	at time.Time
	do func()
}

func (p plan) Len() int           { return len(p) }
func (p plan) Less(i, k int) bool { return p[i].at.Before(p[k].at) }
func (p plan) Swap(i, k int)      { p[i], p[k] = p[k], p[i] }
func (p *plan) Push(x any)        { *p = append(*p, x.(step)) }
func (p *plan) Pop() any          { s := (*p)[len(*p)-1]; *p = (*p)[:len(*p)-1]; return s }

func (w *world) at(t time.Time, do func()) { heap.Push(&w.plan, step{t, do}) }

// live does what is planned until a time.
func (w *world) live(until time.Time) {
	for len(w.plan) > 0 && w.plan[0].at.Before(until) {
		s := heap.Pop(&w.plan).(step)
		w.Until(s.at)
		s.do()
	}
	w.Until(until)
}
