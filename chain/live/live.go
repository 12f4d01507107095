// Package live follows the chains of what runs: it asks Prometheus for its rules, how their
// evaluation goes and where it sends alerts, and Alertmanager for its configuration and its
// silences, and hands that to the package chain.
//
// Whoever does not answer is said not to, and what it said before counts for a while. What
// cannot be known is no finding: a chain is then [Unknown], and neither whole nor broken.
package live

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"sitrep/chain"
)

const (
	// askWithin is how long one Prometheus or Alertmanager may take for all that it is asked.
	askWithin = 20 * time.Second
	// remembered is for how long what was answered counts if nothing is answered since.
	remembered = time.Hour
)

// An Endpoint is a Prometheus or an Alertmanager that is asked.
type Endpoint struct {
	URL string // http or https; the paths of its API are added
	// Client carries TLS settings and credentials. Nil: a plain one.
	Client *http.Client
	// Receiver is the one of an Alertmanager that is sitrep's; empty: it is known by its webhook
	// or its name, see [chain.ParseAlertmanager].
	Receiver string
}

// Name returns what people call it by: its URL without a password.
func (e *Endpoint) Name() string {
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" {
		return "an endpoint"
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.Path, "/")
}

// Files are what is known beside those who are asked.
type Files struct {
	Rules         *chain.Rules // with their labels inferred; nil: none
	Alertmanagers []*chain.Alertmanager
}

// A Watcher asks what runs, and remembers the last answer of each. It asks one time after the
// other.
type Watcher struct {
	prometheis    []*prometheus
	alertmanagers []*alertmanager
	grafana       []string // names of those that are Grafana's own
	files         Files
	nearest       chain.Nearest
	asking        sync.Mutex
}

// grafanaPath is how the path of Grafana's own Alertmanager ends. Its alerts come from rules of its
// own, which no Prometheus knows.
const grafanaPath = "/api/alertmanager/grafana"

// Grafana reports whether an endpoint is Grafana's own Alertmanager, which is not followed.
func (e *Endpoint) Grafana() bool { return strings.HasSuffix(e.Name(), grafanaPath) }

// New returns a Watcher of those endpoints. Grafana's own Alertmanager is said not to be followed.
func New(prometheis, alertmanagers []Endpoint, files Files, nearest chain.Nearest) *Watcher {
	w := &Watcher{files: files, nearest: nearest}
	for _, e := range prometheis {
		w.prometheis = append(w.prometheis, &prometheus{source: source{Endpoint: withClient(e), program: "Prometheus"}})
	}
	w.alertmanagers = thatAreFollowed(alertmanagers)
	for _, e := range alertmanagers {
		if e.Grafana() {
			w.grafana = append(w.grafana, e.Name())
		}
	}
	return w
}

// thatAreFollowed leaves out Grafana's own.
func thatAreFollowed(endpoints []Endpoint) (out []*alertmanager) {
	for _, e := range endpoints {
		if !e.Grafana() {
			out = append(out, &alertmanager{source: source{Endpoint: withClient(e), program: "Alertmanager"}})
		}
	}
	return out
}

func withClient(e Endpoint) Endpoint {
	if e.Client == nil {
		e.Client = &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: askWithin, IdleConnTimeout: time.Minute}}
	}
	return e
}

// A source is one who is asked, and how that went.
type source struct {
	Endpoint
	program    string
	answeredAt time.Time // zero: never, or too long ago
	err        error     // why it did not answer the last time
}

// settle notes how asking went at a time. What was answered long ago is forgotten.
func (s *source) settle(now time.Time, err error) {
	switch s.err = err; {
	case err == nil:
		s.answeredAt = now
	case now.Sub(s.answeredAt) > remembered:
		s.answeredAt = time.Time{}
	}
}

// known reports whether there is an answer of it.
func (s *source) known() bool { return !s.answeredAt.IsZero() }

// A Source is how it went with one who was asked.
type Source struct {
	Program    string // Prometheus or Alertmanager
	Name       string
	AnsweredAt time.Time // when it last answered; zero: not, or so long ago that it does not count
	Error      string    // why it did not answer when it was last asked; empty if it did
}

// A Result is what was found at one time.
type Result struct {
	At      time.Time
	Sources []Source
	Report  *chain.Report
	Chains  []Chain // in the order of the SLOs of the promise
	// General are findings that are about no SLO alone, or all; Others those about alerts that
	// are no SLO's.
	General []chain.Finding
}

// Look asks all at once, and follows the chains of a promise. That takes at most a minute.
func (w *Watcher) Look(ctx context.Context, p *chain.Promise, now time.Time) *Result {
	w.asking.Lock()
	defer w.asking.Unlock()
	var all sync.WaitGroup
	for _, s := range w.prometheis {
		all.Go(func() { s.settle(now, s.ask(ctx)) })
	}
	for _, s := range w.alertmanagers {
		all.Go(func() { s.settle(now, s.ask(ctx)) })
	}
	all.Wait()
	l := &looking{Watcher: w, promise: p, now: now, grouped: map[findingKey]int{}, errors: map[blamed]bool{}}
	l.collect()
	l.follow()
	for i := range w.prometheis {
		l.series(ctx, w.prometheis[i])
	}
	l.judge(ctx)
	return l.result()
}

// A looking is one look at all chains.
type looking struct {
	*Watcher
	promise *chain.Promise
	now     time.Time

	rules     *chain.Rules
	sightings map[*chain.Rule][]sighting
	blind     bool // there may be rules that are not known
	report    *chain.Report
	found     []chain.Finding // beside those of the report
	grouped   map[findingKey]int
	errors    map[blamed]bool
}

// blamed is an SLO, and where an error about it stands.
type blamed struct{ slo, file string }

// A sighting is a rule at a Prometheus.
type sighting struct {
	at    *prometheus
	rule  *rule
	chain *chain.Rule
}

type findingKey struct {
	kind     chain.Kind
	severity chain.Severity
	place    chain.Place
	text     string
}

// add notes a finding about an SLO; one of the same text at the same place is about that SLO, too.
func (l *looking) add(f chain.Finding, slo string) {
	key := findingKey{f.Kind, f.Severity, f.Place, f.Text}
	if slo != "" && f.Severity == chain.Error {
		l.errors[blamed{slo, f.Place.File}] = true
	}
	if i, ok := l.grouped[key]; ok {
		// Those about one SLO come one after the other.
		if had := l.found[i].SLOs; slo != "" && (len(had) == 0 || had[len(had)-1] != slo) {
			l.found[i].SLOs = append(had, slo)
		}
		return
	}
	if slo != "" {
		f.SLOs = []string{slo}
	}
	l.grouped[key] = len(l.found)
	l.found = append(l.found, f)
}

// collect puts the rules of all into one, each once.
func (l *looking) collect() {
	l.rules, l.sightings = &chain.Rules{}, map[*chain.Rule][]sighting{}
	if l.files.Rules != nil {
		l.rules.Alerts = slices.Clone(l.files.Rules.Alerts)
		l.rules.Findings = slices.Clone(l.files.Rules.Findings)
	}
	seen := map[string]*chain.Rule{}
	for _, p := range l.prometheis {
		if !p.known() {
			l.blind = true
			continue
		}
		for i, c := range p.alerts {
			key := sameRule(c) + labelsKey(c)
			first := seen[key]
			if first == nil {
				first = c
				seen[key] = c
				l.rules.Alerts = append(l.rules.Alerts, c)
			}
			l.sightings[first] = append(l.sightings[first], sighting{p, p.of[i], c})
		}
		l.rules.Findings = append(l.rules.Findings, p.findings...)
	}
}

// follow checks the chains through each Alertmanager of which something is known.
func (l *looking) follow() {
	var reports []*chain.Report
	for _, a := range l.files.Alertmanagers {
		reports = append(reports, chain.Check(l.promise, l.rules, a, l.nearest))
	}
	for _, a := range l.alertmanagers {
		if a.known() {
			reports = append(reports, chain.Check(l.promise, l.rules, a.config, l.nearest))
		}
	}
	if len(reports) == 0 {
		reports = append(reports, chain.Check(l.promise, l.rules, nil, l.nearest))
	}
	l.report = chain.Merge(reports)
	fed := map[string]bool{}
	for i := range l.report.SLOs {
		fed[l.report.SLOs[i].SLO.ID] = len(l.report.SLOs[i].Links) > 0
	}
	missing := func(f chain.Finding) bool {
		return f.Kind == chain.KindUnfed || f.Kind == chain.KindNoWatchdog || f.Kind == chain.KindMismatch && !fed[f.SLO]
	}
	switch {
	case l.blind || l.noRules():
		// What is missing may be where nobody answered.
		l.report.Findings = slices.DeleteFunc(l.report.Findings, missing)
	case len(l.grafana) > 0:
		for i := range l.report.Findings {
			if f := &l.report.Findings[i]; missing(*f) {
				f.Severity = chain.Note
				f.Text += "; if it is one of Grafana's own rules, that is not followed"
			}
		}
	}
}

// noRules reports whether nobody was asked for rules.
func (l *looking) noRules() bool { return len(l.prometheis) == 0 && l.files.Rules == nil }

// result puts together what was found.
func (l *looking) result() *Result {
	r := &Result{At: l.now, Report: l.report}
	for _, p := range l.prometheis {
		r.Sources = append(r.Sources, p.said())
	}
	for _, a := range l.alertmanagers {
		r.Sources = append(r.Sources, a.said())
	}
	l.report.Findings = append(l.report.Findings, l.found...)
	slices.SortStableFunc(l.report.Findings, func(a, b chain.Finding) int { return strings.Compare(a.Place.File, b.Place.File) })
	r.Chains = l.chains()
	for i := range l.report.Findings {
		if f := &l.report.Findings[i]; f.SLO == "" && len(f.SLOs) == 0 {
			r.General = append(r.General, *f)
		}
	}
	return r
}

func (s *source) said() Source {
	out := Source{Program: s.program, Name: s.Name(), AnsweredAt: s.answeredAt}
	if s.err != nil {
		out.Error = s.err.Error()
	}
	return out
}
