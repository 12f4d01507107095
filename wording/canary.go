package wording

import "sitrep/incident"

// CanaryFailed says in one English sentence how far a run of the canary came that failed.
func CanaryFailed(stage incident.CanaryStage) string { return In(english).canaryFailed(stage) }

func (l *Language) canaryFailed(stage incident.CanaryStage) string {
	switch stage {
	case incident.CanaryPrometheus:
		return l.say("canary.failed_prometheus")
	case incident.CanaryPost:
		return l.say("canary.failed_post")
	case incident.CanaryMail:
		return l.say("canary.failed_mail")
	}
	return l.say("canary.failed_route")
}

// CanaryMissing says in some English words what was missing of a run that failed.
func CanaryMissing(stage incident.CanaryStage) string {
	switch stage {
	case incident.CanaryPrometheus:
		return "a Prometheus that evaluates rules and sends alerts"
	case incident.CanaryPost:
		return "an Alertmanager that takes alerts"
	case incident.CanaryRoute:
		return "the way from Alertmanager to sitrep"
	case incident.CanaryMail:
		return "the hand-over of its mail"
	}
	return "not recorded"
}

// canaryHelp says what to do about a run that failed.
func (l *Language) canaryHelp(stage incident.CanaryStage) string {
	switch stage {
	case incident.CanaryPrometheus:
		return l.say("canary.help_prometheus")
	case incident.CanaryPost:
		return l.say("canary.help_post")
	case incident.CanaryMail:
		return l.say("canary.help_mail")
	}
	return l.say("canary.help_route")
}

// canaryTitle is the title of a message about the canary.
func (l *Language) canaryTitle(n *incident.CanaryNews) string {
	switch {
	case !n.FailedAt.IsZero():
		return l.say("canary.title_failed")
	case !n.FailingSince.IsZero() || !n.ArrivedAt.IsZero():
		return l.say("canary.title_again")
	}
	return l.say("canary.title_arrived")
}

// canaryReport says how a run of the canary went.
func canaryReport(m *incident.Message, clock Clock) *Report {
	l := clock.Language
	r := &Report{Footer: footer(m, clock), language: l}
	n := m.Canary
	if n == nil {
		n = &incident.CanaryNews{}
	}
	r.Title = l.canaryTitle(n)
	add := func(key, value string, strong bool) {
		r.Facts = append(r.Facts, Fact{Name: l.say(key), Value: value, Strong: strong})
	}
	add("fact.posted", clock.Full(n.PostedAt), true)
	if !n.HeardAt.IsZero() {
		add("fact.back", l.say("canary.back", "time", clock.Full(n.HeardAt), "duration", l.Duration(n.HeardAt.Sub(n.PostedAt))), true)
	}
	if !n.PrometheusAt.IsZero() {
		add("fact.prometheus", l.say("canary.sound", "time", clock.Full(n.PrometheusAt)), true)
	}
	if n.FailedAt.IsZero() {
		r.Status, r.Tone = l.say("canary.status_arrived"), ToneOver
		r.Lead = []string{l.say("canary.arrived")}
		if !n.FailingSince.IsZero() {
			r.Lead = append(r.Lead, l.say("canary.had_failed", "time", clock.Full(n.FailingSince)))
		}
		r.Preview = l.say("canary.preview")
		r.linkAll(m)
		return r
	}
	r.Status, r.Tone = l.say("canary.status_failed"), "rank0"
	r.Lead = []string{l.say("canary.what", "failed", l.canaryFailed(n.Stage)), l.say("canary.unseen")}
	if n.Within > 0 {
		add("fact.expected", l.say("canary.within", "duration", l.Duration(n.Within)), false)
	}
	if said := Line(n.Error, 300); said != "" {
		add("fact.last_error", said, false)
	}
	if !n.FailingSince.IsZero() && n.FailingSince.Before(n.PostedAt) {
		add("fact.failing_since", clock.Full(n.FailingSince), true)
	}
	arrived := l.say("never")
	if !n.LastArrivedAt.IsZero() {
		arrived = clock.Full(n.LastArrivedAt)
	}
	add("fact.last_arrived", arrived, true)
	r.Sections = []Section{{Heading: l.say("heading.todo"), Lines: []Entry{{Text: l.canaryHelp(n.Stage)}}}}
	r.Preview = l.canaryFailed(n.Stage)
	r.linkAll(m)
	return r
}
