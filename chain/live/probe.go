package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A Probe finds out whether each Prometheus does its part of a chain: it answers, evaluates rules,
// and sends alerts to one of the Alertmanagers. It is safe for use by several goroutines at once.
type Probe struct {
	prometheis    []Endpoint
	alertmanagers []Endpoint
	within        time.Duration
}

// NewProbe returns a Probe that waits for each Prometheus, and for each Alertmanager, for so long
// at most, or for 20 seconds if that is less.
func NewProbe(prometheis, alertmanagers []Endpoint, within time.Duration) *Probe {
	return &Probe{prometheis: prometheis, alertmanagers: alertmanagers, within: min(within, askWithin)}
}

// Probe asks all at once. The error says of each Prometheus what is wrong with it.
func (p *Probe) Probe(ctx context.Context) error {
	errs := make([]error, len(p.prometheis))
	var all sync.WaitGroup
	for i, e := range p.prometheis {
		all.Go(func() {
			one := &prometheus{source: source{Endpoint: withClient(e), program: "Prometheus"}}
			if err := p.sound(ctx, one); err != nil {
				errs[i] = fmt.Errorf("ask Prometheus %q: %w", one.Name(), err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// sound returns what is wrong with a Prometheus.
func (p *Probe) sound(ctx context.Context, one *prometheus) error {
	ctx, cancel := context.WithTimeout(ctx, p.within)
	defer cancel()
	answer, clock, err := one.askRules(ctx)
	if err != nil {
		return err
	}
	if err := answer.evaluated(clock); err != nil {
		return err
	}
	sends, dropped, err := one.askSending(ctx)
	switch {
	case missing(err):
		return nil // what evaluates rules like Prometheus, and does not say where it sends alerts
	case err != nil:
		return err
	case len(sends) == 0 && dropped > 0:
		return fmt.Errorf("it sends alerts to no Alertmanager, and drops %d that it found", dropped)
	case len(sends) == 0:
		return errors.New("it sends alerts to no Alertmanager")
	}
	return p.sendsTo(ctx, sends)
}

// sendsTo returns an error if none of the URLs, to which a Prometheus sends, is that of one of the
// Alertmanagers. Nothing is wrong where that cannot be known, as one does not name its cluster.
func (p *Probe) sendsTo(ctx context.Context, sends []string) error {
	alertmanagers := thatAreFollowed(p.alertmanagers)
	if len(alertmanagers) == 0 || sendsToOne(ctx, sends, alertmanagers) {
		return nil
	}
	errs := make([]error, len(alertmanagers))
	var all sync.WaitGroup
	for i, a := range alertmanagers {
		all.Go(func() { _, errs[i] = a.askStatus(ctx) })
	}
	all.Wait()
	if errors.Join(errs...) != nil || sendsToOne(ctx, sends, alertmanagers) {
		return nil
	}
	return fmt.Errorf("it sends alerts to %s, which by these names is none of alertmanagers; name there the one that it sends to, as it does", short(strings.Join(hosts(sends), ", ")))
}

// evaluated returns an error unless an alerting rule was evaluated lately, by the clock of who
// evaluates them, and with success. One that stands still while others go on is Coverage's to find.
func (a *rulesAnswer) evaluated(clock time.Time) error {
	n, lately, lastError := 0, false, ""
	var last time.Time
	for _, g := range a.Data.Groups {
		for i := range g.Rules {
			r := &g.Rules[i]
			if r.Type == "recording" {
				continue
			}
			n++
			r.interval = time.Duration(g.Interval * float64(time.Second))
			if r.LastEvaluation.After(last) {
				last = r.LastEvaluation
			}
			if !r.evaluated() || r.stale(clock) {
				continue
			}
			if lately = true; r.Health != "err" {
				return nil
			}
			lastError = r.LastError
		}
	}
	switch {
	case n == 0:
		return errors.New("it has no alerting rules")
	case lately:
		return fmt.Errorf("the evaluation of each of its alerting rules fails: %s", short(lastError))
	case last.Year() <= 1:
		return errors.New("none of its alerting rules was evaluated yet")
	}
	return fmt.Errorf("none of its alerting rules was evaluated since %s UTC", last.UTC().Format(time.DateTime))
}
