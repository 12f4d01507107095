// Package simulate shows what alerts would do: which SLO and incident they belong to, who
// is told, and when. Nothing is kept or sent.
package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/app"
	"sitrep/config"
	"sitrep/incident"
	"sitrep/intake"
	"sitrep/internal/httperr"
	"sitrep/receiver"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A Simulation is what a payload does to a store in which nothing is yet. Its form in JSON
// is what sitrep simulate prints.
type Simulation struct {
	At        time.Time  `json:"at"`
	Alerts    []Alert    `json:"alerts"`
	Incidents []Incident `json:"incidents"`

	crowded []crowded
}

// An Alert is what became of one alert, and why.
type Alert struct {
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels,omitempty"`
	Status      string            `json:"status,omitempty"` // firing or resolved
	StartsAt    time.Time         `json:"starts_at,omitzero"`
	Result      intake.Outcome    `json:"result"`
	SLO         string            `json:"slo,omitempty"`
	Label       string            `json:"label,omitempty"` // by which the SLO claims it; empty: by its matchers
	Ambiguous   []string          `json:"ambiguous,omitempty"`
	IgnoredBy   string            `json:"ignored_by,omitempty"`
	Watchdog    bool              `json:"watchdog,omitempty"`
	Canary      bool              `json:"canary,omitempty"`
	Incident    int64             `json:"incident,omitempty"` // its number in the simulation
	Reason      string            `json:"reason,omitempty"`   // why it is invalid
	// DidYouMean is the id of the SLO that was probably meant by the label NearLabel of an alert
	// that none claims; both empty if there is none.
	DidYouMean string `json:"did_you_mean,omitempty"`
	NearLabel  string `json:"near_label,omitempty"`
}

// An Incident is an incident that opens, and who is told of it when.
type Incident struct {
	Number       int64             `json:"number"`
	SLO          string            `json:"slo,omitempty"`
	UseCase      string            `json:"use_case"`
	Service      string            `json:"service,omitempty"`
	Team         string            `json:"team,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Priority     string            `json:"priority"`
	Breaches     int               `json:"breaches"`
	NextUpdateAt time.Time         `json:"next_update_at,omitzero"` // the earliest time promised to a reader
	Readers      []Reader          `json:"readers"`
	NotTold      []NotTold         `json:"not_told,omitempty"`

	priority incident.Priority
	resolves time.Duration
}

// A NotTold is a group of an audience that hears of other priorities only.
type NotTold struct {
	Group string   `json:"group"`
	Hears []string `json:"hears"` // the names of the priorities
}

// A crowded recipient gets more messages at once than may come one by one.
type crowded struct {
	recipient       string
	messages, alone int
}

// Run lets a payload, as Alertmanager posts it, come in at a time through the service's own
// receiver, with a store that is thrown away, and looks at what it did. A payload that the
// receiver refuses as a whole is an error.
func Run(ctx context.Context, c *config.Config, body []byte, at time.Time) (*Simulation, error) {
	dir, err := os.MkdirTemp("", "sitrep-simulate-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	store, err := bolt.Open(ctx, filepath.Join(dir, "sitrep.db"), bolt.Options{})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	catalog := app.Catalog{Config: c}
	log := slog.New(slog.DiscardHandler)
	repo := &storage.Repository{Store: store, Policy: c.Policy}
	watch := &observer{at: at, intake: &intake.Intake{Repo: repo, Catalog: func() intake.Catalog { return catalog }, Log: log}}
	h := receiver.New(receiver.Options{Intake: watch, Keep: c.LooksAt, Logger: log, Registerer: prometheus.NewRegistry()})
	answer, err := post(ctx, h, body)
	if err != nil {
		return nil, err
	}

	sim := &Simulation{At: at, Incidents: []Incident{}}
	valid := watch.post.Alerts
	for _, a := range answer.Alerts {
		if a.Result != intake.OutcomeInvalid {
			a.explain(&valid[0], at, c)
			valid = valid[1:]
		}
		sim.Alerts = append(sim.Alerts, a.Alert)
	}
	err = store.Read(ctx, func(r storage.Snapshot) error { return sim.look(ctx, r, c.Policy()) })
	return sim, err
}

// An answeredAlert is an alert in the receiver's answer.
type answeredAlert struct {
	Alert
	Incident string `json:"incident"`
}

// post hands a payload to the receiver as if it came over the network.
func post(ctx context.Context, h *receiver.Handler, body []byte) (answer struct{ Alerts []answeredAlert }, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, receiver.Path, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	r.Header.Set("Content-Type", "application/json")
	w := &memoryWriter{header: http.Header{}}
	h.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		var p httperr.Problem
		if err := json.Unmarshal(w.body.Bytes(), &p); err != nil {
			return answer, fmt.Errorf("take the alerts: status %d", w.status)
		}
		return answer, fmt.Errorf("the alerts are refused with %d: %s", p.Status, p.Detail)
	}
	err = json.Unmarshal(w.body.Bytes(), &answer)
	return answer, err
}

// explain adds what the configuration says of the alert.
func (a *answeredAlert) explain(from *incident.Alert, at time.Time, c *config.Config) {
	a.Fingerprint, a.Labels, a.Status = from.Fingerprint, from.Labels, "firing"
	a.StartsAt, _ = from.Began(at)
	if from.Resolved {
		a.Status = "resolved"
	}
	if n, err := incident.ParseID(a.Incident); err == nil {
		a.Alert.Incident = n
	}
	m := c.Lookup(from.Labels)
	a.Label, a.Ambiguous, a.Watchdog, a.Canary = m.Label, m.Ambiguous, m.Watchdog, m.Canary
	if m.SLO != nil {
		a.SLO = m.SLO.ID
	}
	if a.Result == intake.OutcomeUnmapped {
		a.NearLabel, a.DidYouMean = c.Nearest(from.Labels)
	}
	if m.Ignored {
		a.IgnoredBy = m.IgnoredBy.String()
	}
}

// look takes in the incidents that opened, and who is told of them.
func (sim *Simulation) look(ctx context.Context, r storage.Snapshot, p *incident.Policy) error {
	var numbers []int64
	for _, a := range sim.Alerts {
		if a.Incident != 0 && !slices.Contains(numbers, a.Incident) {
			numbers = append(numbers, a.Incident)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		s, err := storage.Situation(ctx, r, n)
		if err != nil {
			return err
		}
		confirmed, err := storage.Confirmed(ctx, r, p, &s.Incident)
		if err != nil {
			return err
		}
		pulses, err := r.Pulses(ctx)
		if err != nil {
			return err
		}
		readers, err := forecast(s, p, pulses, confirmed, sim.At)
		if err != nil {
			return err
		}
		in := &s.Incident
		var notTold []NotTold
		for _, g := range incident.Unheard(in, p) {
			notTold = append(notTold, NotTold{g.Name, g.Priorities})
		}
		sim.Incidents = append(sim.Incidents, Incident{
			Number: n, SLO: in.SLO, UseCase: in.UseCase, Service: in.Service, Team: in.Team, Labels: in.Labels,
			Priority: in.Priority.Name, Breaches: in.Breaches.Total, NextUpdateAt: s.NextUpdateAt(p), Readers: readers, NotTold: notTold,
			priority: in.Priority, resolves: in.ResolveAfter,
		})
	}
	sim.crowd(p.DigestAbove)
	return nil
}

// crowd finds the recipients who get a digest.
func (sim *Simulation) crowd(above int) {
	type moment struct {
		recipient string
		minute    time.Time
	}
	counts := map[moment]int{}
	for _, in := range sim.Incidents {
		for _, r := range in.Readers {
			if len(r.Messages) == 0 {
				continue
			}
			m := moment{r.id, r.Messages[0].At.Truncate(time.Minute)}
			counts[m]++
			if counts[m] == above+1 {
				sim.crowded = append(sim.crowded, crowded{recipient: r.Recipient, alone: above})
			}
			if counts[m] > above {
				i := slices.IndexFunc(sim.crowded, func(c crowded) bool { return c.recipient == r.Recipient })
				sim.crowded[i].messages = max(sim.crowded[i].messages, counts[m])
			}
		}
	}
}

// Invalid reports whether an alert was refused.
func (sim *Simulation) Invalid() bool {
	return slices.ContainsFunc(sim.Alerts, func(a Alert) bool { return a.Result == intake.OutcomeInvalid })
}

// An observer lets posts come at a time of its own, and keeps the last.
type observer struct {
	intake receiver.Intake
	at     time.Time
	post   intake.Post
}

func (o *observer) Take(ctx context.Context, p intake.Post) ([]intake.Result, error) {
	for i := range p.Alerts {
		// What counts as the time of arrival moves with it.
		if a := &p.Alerts[i]; a.EndsAt.Equal(p.At) {
			a.EndsAt = o.at
		}
	}
	p.At = o.at
	o.post = p
	return o.intake.Take(ctx, p)
}

// A memoryWriter keeps an answer.
type memoryWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) { w.status = status }

func (w *memoryWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.body.Write(b)
}
