package live

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"sitrep/chain"
)

// each calls do with each rule that feeds an SLO, at a Prometheus; at all if that is nil.
func (l *looking) each(p *prometheus, do func(slo *chain.SLO, s sighting)) {
	for i := range l.report.SLOs {
		c := &l.report.SLOs[i]
		for _, link := range c.Links {
			for _, s := range l.sightings[link.Rule] {
				if p == nil || s.at == p {
					do(c.SLO, s)
				}
			}
		}
	}
}

// judge looks at all that is known but for the labels and the routes.
func (l *looking) judge(ctx context.Context) {
	for _, p := range l.prometheis {
		p.judge(l)
	}
	for _, a := range l.alertmanagers {
		a.judge(l)
	}
	for _, name := range l.grafana {
		l.add(chain.Finding{
			Kind: chain.KindGrafana, Severity: chain.Note, Place: chain.Place{File: name},
			Text: "Grafana's own Alertmanager is not followed: its alerts come from rules that no Prometheus knows, and go by notification policies",
		}, "")
	}
	reached := map[*prometheus]bool{}
	for _, p := range l.prometheis {
		reached[p] = len(l.alertmanagers) == 0 || p.sending != nil || sendsToOne(ctx, p.sends, l.alertmanagers)
	}
	l.each(nil, func(slo *chain.SLO, s sighting) {
		for _, f := range unhealthy(s) {
			l.blame(f, slo)
		}
		l.sent(s, slo, reached[s.at])
	})
	l.soften()
}

// judge reports what is to be known of a Prometheus.
func (p *prometheus) judge(l *looking) {
	place := chain.Place{File: p.Name()}
	if p.err != nil {
		l.add(unanswered(&p.source), "")
	}
	if !p.known() {
		return
	}
	note := func(kind chain.Kind, what string, err error) {
		if err != nil {
			l.add(chain.Finding{Kind: kind, Severity: chain.Note, Place: place, Text: fmt.Sprintf("%s: %v", what, err)}, "")
		}
	}
	if !missing(p.settings) {
		note(chain.KindUnanswered, "the labels that it adds to alerts are not known", p.settings)
	}
	if !missing(p.sending) {
		note(chain.KindUnanswered, "where it sends alerts is not known", p.sending)
	}
	note(chain.KindUnanswered, "whether all series are there that rules look at is not known", p.series)
	for i := range p.relabels {
		if !p.relabels[i].followed() {
			l.add(chain.Finding{
				Kind: chain.KindRelabelled, Severity: chain.Note, Place: place,
				Text: fmt.Sprintf("it changes the labels of alerts before it sends them (alert_relabel_configs, action %s), and that is not followed", short(p.relabels[i].action)),
			}, "")
		}
	}
	for _, instance := range keys(p.hooks) {
		l.add(chain.Finding{
			Kind: chain.KindHooks, Severity: chain.Warning, Place: chain.Place{File: cmp.Or(short(instance), p.Name())},
			Text: fmt.Sprintf("this Alertmanager failed to hand over webhooks about %.0f times in the last half hour, perhaps those to sitrep", p.hooks[instance]),
			Fix:  "its log says which and why; look whether it reaches sitrep, and at its token",
		}, "")
	}
	l.watchdogs(p)
}

// watchdogs looks at how the watchdog is evaluated.
func (l *looking) watchdogs(p *prometheus) {
	w := l.promise.Watchdog
	if w == nil {
		return
	}
	for i, c := range p.alerts {
		if slices.ContainsFunc(w.Match, func(m chain.Condition) bool { return c.Labels.Holds(m.Matchers) != chain.Always }) {
			continue
		}
		for _, f := range unhealthy(sighting{p, p.of[i], c}) {
			f.Text = "of the watchdog: " + f.Text
			l.add(f, "")
		}
	}
}

// blame notes a finding about an SLO, with where that stands.
func (l *looking) blame(f chain.Finding, slo *chain.SLO) {
	f.Sides = []chain.Side{{Place: slo.Place, Text: fmt.Sprintf("the SLO %q", slo.ID)}}
	l.add(f, slo.ID)
}

// unhealthy returns what is wrong with the evaluation of a rule.
func unhealthy(s sighting) []chain.Finding {
	var out []chain.Finding
	r, p := s.rule, s.at
	at := s.chain.Place
	switch {
	case r.Health == "err":
		out = append(out, chain.Finding{
			Kind: chain.KindFailing, Severity: chain.Error, Place: at,
			Text: fmt.Sprintf("the evaluation of the alert %q fails: %s", short(r.Name), short(r.LastError)), Fix: "mend its expression, so that it can fire again",
		})
	case r.stale(p.clock):
		out = append(out, chain.Finding{
			Kind: chain.KindStale, Severity: chain.Error, Place: at,
			Text: fmt.Sprintf("the alert %q was last evaluated at %s UTC, and should be every %s", short(r.Name), r.LastEvaluation.UTC().Format(time.DateTime), r.interval),
			Fix:  "look whether Prometheus is overloaded, or its group takes longer than its interval",
		})
	case r.Health == "unknown":
		out = append(out, chain.Finding{
			Kind: chain.KindStale, Severity: chain.Note, Place: at, Text: fmt.Sprintf("the alert %q was not evaluated yet", short(r.Name)),
		})
	}
	selectors := s.chain.Selectors()
	if p.jobs != nil && len(selectors) > 0 && !slices.ContainsFunc(selectors, func(sel chain.Selector) bool {
		up, known := p.jobs[sel.Job]
		return sel.Job == "" || !known || up
	}) {
		out = append(out, chain.Finding{
			Kind: chain.KindTargets, Severity: chain.Error, Place: at,
			Text: fmt.Sprintf("all targets of the job %q are down, and the alert %q looks at nothing else", short(selectors[0].Job), short(r.Name)),
			Fix:  "look why they cannot be scraped; until they can, the alert cannot fire",
		})
	}
	return out
}

// sent reports if the alerts of a rule do not go to the Alertmanagers that are asked.
func (l *looking) sent(s sighting, slo *chain.SLO, reached bool) {
	p := s.at
	for i := range p.relabels {
		if p.relabels[i].loses(s.chain) == chain.Always {
			l.blame(chain.Finding{
				Kind: chain.KindRelabelled, Severity: chain.Error, Place: chain.Place{File: p.Name()},
				Text: fmt.Sprintf("its alert_relabel_configs (action %s) drop the alert %q, so it is never sent", p.relabels[i].action, short(s.chain.Name)),
				Fix:  "let them leave alerts of SLOs alone",
			}, slo)
		}
	}
	f := chain.Finding{Kind: chain.KindUnsent, Severity: chain.Error, Place: chain.Place{File: p.Name()}}
	switch {
	case p.sending != nil:
		return
	case len(p.sends) == 0:
		f.Text, f.Fix = "it sends alerts to no Alertmanager", "name one under alerting in its configuration"
		if p.dropped > 0 {
			f.Text += fmt.Sprintf(", and drops %d that it found", p.dropped)
		}
	case !reached:
		f.Severity = chain.Warning
		f.Text = fmt.Sprintf("it sends alerts to %s, and by these names to none of the Alertmanagers that are asked", short(strings.Join(hosts(p.sends), ", ")))
		f.Fix = "ask those that it sends to, or let it send to these"
	default:
		for _, to := range keys(p.failed) {
			l.add(chain.Finding{
				Kind: chain.KindUnsent, Severity: chain.Warning, Place: chain.Place{File: p.Name()},
				Text: fmt.Sprintf("in the last 10 minutes alerts could not be sent to %s", short(strings.Join(hosts([]string{to}), ""))),
				Fix:  "look whether that Alertmanager runs, and whether Prometheus reaches it",
			}, slo.ID)
		}
		return
	}
	l.add(f, slo.ID)
}

// hosts returns host and port of URLs.
func hosts(urls []string) []string {
	var out []string
	for _, raw := range urls {
		if u, err := url.Parse(raw); err == nil && u.Host != "" {
			out = append(out, u.Host)
		}
	}
	return out
}

// sendsToOne reports whether one of the URLs to which a Prometheus sends is that of one of the
// Alertmanagers that are asked: by the same name, the same address, or as a member of its cluster.
func sendsToOne(ctx context.Context, sends []string, alertmanagers []*alertmanager) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	asked := map[string]bool{} // host and port, or the host of a member
	for _, a := range alertmanagers {
		u, err := url.Parse(a.URL)
		if err != nil {
			continue
		}
		asked[hostAndPort(u)] = true
		for _, ip := range lookUp(ctx, u.Hostname()) {
			asked[net.JoinHostPort(ip, portOf(u))] = true
		}
		for _, m := range a.members {
			if host, _, err := net.SplitHostPort(m); err == nil {
				asked[host] = true
			}
		}
	}
	for _, raw := range sends {
		u, err := url.Parse(raw)
		if err != nil {
			continue
		}
		if asked[hostAndPort(u)] || slices.ContainsFunc(lookUp(ctx, u.Hostname()), func(ip string) bool { return asked[ip] || asked[net.JoinHostPort(ip, portOf(u))] }) {
			return true
		}
	}
	return false
}

func hostAndPort(u *url.URL) string {
	return net.JoinHostPort(strings.ToLower(u.Hostname()), portOf(u))
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// lookUp returns the addresses of a host, if they are known soon.
func lookUp(ctx context.Context, host string) []string {
	if net.ParseIP(host) != nil {
		return []string{host}
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil
	}
	return ips
}

// soften makes warnings of what goes wrong with the rules of an SLO at one Prometheus while
// others evaluate each of these rules, and all goes well there.
func (l *looking) soften() {
	well := map[string]map[string]bool{} // by SLO: by rule whether it goes well somewhere
	l.each(nil, func(slo *chain.SLO, s sighting) {
		if well[slo.ID] == nil {
			well[slo.ID] = map[string]bool{}
		}
		key := sameRule(s.chain)
		well[slo.ID][key] = well[slo.ID][key] || !l.errors[blamed{slo.ID, s.chain.Place.File}] && !l.errors[blamed{slo.ID, s.at.Name()}]
	})
	fails := map[string]bool{}
	for id, rules := range well {
		for _, good := range rules {
			fails[id] = fails[id] || !good
		}
	}
	for i := range l.found {
		f := &l.found[i]
		if f.Severity != chain.Error || len(f.SLOs) == 0 {
			continue
		}
		softer := *f
		softer.Severity, softer.SLOs = chain.Warning, nil
		softer.Text += "; all goes well with it at another Prometheus"
		var failing []string
		for _, id := range f.SLOs {
			if fails[id] {
				failing = append(failing, id)
			} else {
				softer.SLOs = append(softer.SLOs, id)
			}
		}
		switch {
		case len(failing) == 0:
			*f = softer
		case len(softer.SLOs) > 0:
			f.SLOs = failing
			l.found = append(l.found, softer)
		}
	}
}
