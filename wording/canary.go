package wording

import (
	"fmt"

	"sitrep/incident"
)

// CanaryFailed says in one sentence how far a run of the canary came that failed.
func CanaryFailed(stage incident.CanaryStage) string {
	switch stage {
	case incident.CanaryPrometheus:
		return "A Prometheus does not answer, evaluates no rules, or sends alerts to none of the Alertmanagers that are configured."
	case incident.CanaryPost:
		return "No Alertmanager took its alert."
	case incident.CanaryMail:
		return "Its alert came back, and its mail was not handed over in time."
	}
	return "Alertmanager took its alert, which did not come back to sitrep in time."
}

// CanaryMissing says in some words what was missing of a run that failed.
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
func canaryHelp(stage incident.CanaryStage) string {
	switch stage {
	case incident.CanaryPrometheus:
		return "See whether Prometheus runs, evaluates its rules (its page Rules) and sends alerts to Alertmanager (its page Status), and whether sitrep reaches it. The page Coverage says which SLOs go by it."
	case incident.CanaryPost:
		return "See whether Alertmanager runs and sitrep reaches it: the URL and http_config in alertmanagers."
	case incident.CanaryMail:
		return "See on the status page why mail does not go out, and send a test mail: sitrep mail test."
	}
	return "See whether Alertmanager's route still brings alerts to sitrep, its webhook has the right URL and token, and nothing mutes it."
}

// canaryTitle is the title of a message about the canary.
func canaryTitle(n *incident.CanaryNews) string {
	switch {
	case !n.FailedAt.IsZero():
		return "The canary did not arrive: alerts or mails may be lost"
	case !n.FailingSince.IsZero() || !n.ArrivedAt.IsZero():
		return "The canary arrives again"
	}
	return "The canary arrived"
}

// canaryReport says how a run of the canary went.
func canaryReport(m *incident.Message, clock Clock) *Report {
	r := &Report{Footer: footer(m, clock)}
	n := m.Canary
	if n == nil {
		n = &incident.CanaryNews{}
	}
	r.Title = canaryTitle(n)
	r.Facts = []Fact{{"Posted", clock.Full(n.PostedAt), true}}
	if !n.HeardAt.IsZero() {
		r.Facts = append(r.Facts, Fact{"Back", fmt.Sprintf("%s, after %s", clock.Full(n.HeardAt), Duration(n.HeardAt.Sub(n.PostedAt))), true})
	}
	if !n.PrometheusAt.IsZero() {
		r.Facts = append(r.Facts, Fact{"Prometheus", "found sound " + clock.Full(n.PrometheusAt), true})
	}
	if n.FailedAt.IsZero() {
		r.Status, r.Tone = "Canary · Arrived", ToneOver
		r.Lead = []string{"Nothing is broken. sitrep posted an alert of its own to Alertmanager, it came back, and this message is the end of that way."}
		if !n.FailingSince.IsZero() {
			r.Lead = append(r.Lead, "Runs had failed since "+clock.Full(n.FailingSince)+".")
		}
		r.Preview = "Nothing is broken: alerts reach sitrep, and mails go out."
		r.linkAll(m)
		return r
	}
	r.Status, r.Tone = "Canary · Not arrived", "rank0"
	r.Lead = []string{
		"sitrep posts an alert of its own, to see whether it comes back and ends as a mail. " + CanaryFailed(n.Stage),
		"Until it arrives, new trouble may go unseen, or nobody may be told of it.",
	}
	if n.Within > 0 {
		r.Facts = append(r.Facts, Fact{"Expected", "within " + Duration(n.Within), false})
	}
	if said := Line(n.Error, 300); said != "" {
		r.Facts = append(r.Facts, Fact{"Last error", said, false})
	}
	if !n.FailingSince.IsZero() && n.FailingSince.Before(n.PostedAt) {
		r.Facts = append(r.Facts, Fact{"Failing since", clock.Full(n.FailingSince), true})
	}
	arrived := "never"
	if !n.LastArrivedAt.IsZero() {
		arrived = clock.Full(n.LastArrivedAt)
	}
	r.Facts = append(r.Facts, Fact{"Last arrived", arrived, true})
	r.Sections = []Section{{Heading: "What to do", Lines: []Entry{{Text: canaryHelp(n.Stage)}}}}
	r.Preview = CanaryFailed(n.Stage)
	r.linkAll(m)
	return r
}
