package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sitrep/chain"
)

// maxRules is how many rules of one Prometheus are looked at.
const maxRules = 100_000

// A prometheus is one that is asked.
type prometheus struct {
	source
	clock    time.Time // its own, when it answered
	alerts   []*chain.Rule
	of       []*rule // what was said of each of them
	findings []chain.Finding

	external map[string]string
	relabels []relabel
	settings error // why its configuration is not known

	sends   []string           // the URLs of the Alertmanagers that it sends to
	dropped int                // how many more it found, and sends nothing
	sending error              // why that is not known
	jobs    map[string]bool    // whether any target of each is up; nil: not known
	failed  map[string]float64 // how much could not be sent lately, by the URL
	hooks   map[string]float64 // webhooks that Alertmanagers could not hand over lately, by instance
	series  error              // why it is not known whether series are there
}

// A rule as the API tells it.
type rule struct {
	Type           string            `json:"type"`
	Name           string            `json:"name"`
	Query          string            `json:"query"`
	Labels         map[string]string `json:"labels"`
	Annotations    map[string]string `json:"annotations"`
	Health         string            `json:"health"`
	LastError      string            `json:"lastError"`
	LastEvaluation time.Time         `json:"lastEvaluation"`

	interval time.Duration
}

type rulesAnswer struct {
	Data struct {
		Groups []struct {
			Name     string  `json:"name"`
			File     string  `json:"file"`
			Interval float64 `json:"interval"`
			Rules    []rule  `json:"rules"`
		} `json:"groups"`
	} `json:"data"`
}

// ask asks for the rules, and for what else is to be known. Only the rules must be answered.
func (p *prometheus) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answer, clock, err := p.askRules(ctx)
	if err != nil {
		return err
	}
	p.clock = clock
	p.external, p.relabels, p.settings = p.askSettings(ctx)
	p.sends, p.dropped, p.sending = p.askSending(ctx)
	p.jobs = nil
	if up, err := p.instant(ctx, "max by (job) (up)"); err == nil {
		p.jobs = map[string]bool{}
		for _, s := range up {
			p.jobs[s.labels["job"]] = s.value > 0
		}
	}
	// What Prometheus and Alertmanager say of themselves, where they are scraped.
	p.failed = p.counted(ctx, "alertmanager", "sum by (alertmanager) (increase(prometheus_notifications_errors_total[10m])) > 0")
	p.hooks = p.counted(ctx, "instance", `sum by (instance) (increase(alertmanager_notifications_failed_total{integration="webhook"}[30m])) > 0`)
	p.take(answer)
	return nil
}

// askRules asks for the rules, and returns what time it was there as well.
func (p *prometheus) askRules(ctx context.Context) (*rulesAnswer, time.Time, error) {
	answer := &rulesAnswer{}
	clock, err := p.get(ctx, asked{path: "/api/v1/rules", query: url.Values{"exclude_alerts": {"true"}}, most: maxRulesAnswer, into: answer})
	return answer, clock, err
}

// take makes rules of the package chain of an answer.
func (p *prometheus) take(answer *rulesAnswer) {
	rules := &chain.Rules{}
	p.of = nil
	n := 0
	for _, g := range answer.Data.Groups {
		for i := range g.Rules {
			if n++; n > maxRules {
				break
			}
			r := &g.Rules[i]
			r.interval = time.Duration(g.Interval * float64(time.Second))
			if r.Type == "recording" {
				rules.Record(r.Name, r.Query, r.Labels)
				continue
			}
			place := chain.Place{File: fmt.Sprintf("%s %s (group %s, alert %s)", p.Name(), short(g.File), short(g.Name), short(r.Name))}
			c := &chain.Rule{Place: place, Group: g.Name, Name: r.Name, Static: map[string]chain.Static{}, Annotations: r.Annotations, Expr: r.Query, ExprPlace: place}
			for name, value := range r.Labels {
				c.Static[name] = chain.Static{Value: value, Place: place}
			}
			rules.Add(c)
			p.of = append(p.of, r)
		}
	}
	rules.Infer(p.external)
	for _, c := range rules.Alerts {
		for i := range p.relabels {
			p.relabels[i].drop(c)
		}
	}
	p.alerts, p.findings = rules.Alerts, rules.Findings
	if n > maxRules {
		p.findings = append(p.findings, chain.Finding{
			Kind: chain.KindUnreadable, Severity: chain.Error, Place: chain.Place{File: p.Name()},
			Text: fmt.Sprintf("it has more than %d rules, and the rest is not looked at", maxRules),
		})
	}
}

// askSending asks where it sends alerts.
func (p *prometheus) askSending(ctx context.Context) (sends []string, dropped int, err error) {
	type target struct {
		URL string `json:"url"`
	}
	var answer struct {
		Data struct {
			Active  []target `json:"activeAlertmanagers"`
			Dropped []target `json:"droppedAlertmanagers"`
		} `json:"data"`
	}
	if _, err := p.get(ctx, asked{path: "/api/v1/alertmanagers", most: maxListAnswer, into: &answer}); err != nil {
		return nil, 0, err
	}
	for _, t := range answer.Data.Active {
		sends = append(sends, t.URL)
	}
	return sends, len(answer.Data.Dropped), nil
}

// counted returns the values of a query by a label, nil if they are not known.
func (p *prometheus) counted(ctx context.Context, by, query string) map[string]float64 {
	samples, err := p.instant(ctx, query)
	if err != nil {
		return nil
	}
	out := map[string]float64{}
	for _, s := range samples {
		out[s.labels[by]] = s.value
	}
	return out
}

// A sample is one of the answer to a query.
type sample struct {
	labels map[string]string
	value  float64
}

// instant asks a query.
func (p *prometheus) instant(ctx context.Context, query string) ([]sample, error) {
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			Type   string `json:"resultType"`
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if _, err := p.get(ctx, asked{path: "/api/v1/query", query: url.Values{"query": {query}}, most: maxListAnswer, into: &answer}); err != nil {
		return nil, err
	}
	if answer.Status != "success" || answer.Data.Type != "vector" {
		return nil, errors.New("the answer to a query is none: " + short(answer.Error))
	}
	out := make([]sample, 0, len(answer.Data.Result))
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("the answer to a query has the value %q", short(text))
		}
		out = append(out, sample{r.Metric, v})
	}
	return out, nil
}

// evaluated reports whether a rule ever was.
func (r *rule) evaluated() bool { return r.LastEvaluation.Year() > 1 }

// stale reports whether a rule should have been evaluated since, by the clock of who does.
func (r *rule) stale(clock time.Time) bool {
	return r.evaluated() && clock.Sub(r.LastEvaluation) > 3*max(r.interval, time.Minute)
}

// sameRule is equal for rules that say the same, wherever they are evaluated.
func sameRule(c *chain.Rule) string {
	text := c.Group + "\x00" + c.Name + "\x00" + c.Expr
	for _, name := range slices.Sorted(maps.Keys(c.Static)) {
		text += "\x00" + name + "\x00" + c.Static[name].Value
	}
	return text
}

// labelsKey is equal for rules whose alerts have the same labels.
func labelsKey(c *chain.Rule) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.Labels.Named)) {
		fmt.Fprintf(&b, "\x00%s=%s", name, c.Labels.Named[name])
	}
	return b.String()
}

// missing reports whether an error says that there is no such path.
func missing(err error) bool {
	var e *statusError
	return errors.As(err, &e) && e.code == http.StatusNotFound
}
