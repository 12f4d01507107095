package config

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"sitrep/incident"
)

// The bounds of how often the canary flies, and how long it may take.
const (
	canaryAtLeast  = time.Minute
	canaryAtMost   = 31 * day
	canaryShortest = 10 * time.Second
	// canaryHasty is a time in which Alertmanager may not come to post at all.
	canaryHasty = 2 * time.Minute
)

// A Canary is an alert of sitrep's own that is posted now and then, to see whether it comes
// back and ends as a mail.
type Canary struct {
	Every        time.Duration     `yaml:"every" bounds:"1m to 31d" doc:"How often it is posted. Each time is a mail." eg:"1d"`
	Within       time.Duration     `yaml:"within" bounds:"10s or more" doc:"How long it may take from the post to the hand-over of its mail, at most half of every. Alertmanager itself waits for group_wait, which is 30s where nothing else is said."`
	Alertmanager URL               `yaml:"alertmanager" doc:"The URL of the one of alertmanagers to which it is posted; else it goes to all of them but Grafana's, as Prometheus posts to all members of a cluster." eg:"http://alertmanager.example:9093"`
	Labels       map[string]string `yaml:"labels" doc:"Labels that its alert has beside alertname and sitrep_canary, so that it takes the same route as your alerts." eg:"{sloth_severity: page}"`
	// SkipPrometheus is false where nothing is said: to ask is what finds a dead one.
	SkipPrometheus bool     `yaml:"skip_prometheus" doc:"Leave out of it how the Prometheis under prometheus fare. Else a run arrives only if each of them answers, evaluates rules, and sends alerts to one of alertmanagers."`
	To             []string `yaml:"to,required" doc:"The names of the groups that get its mail, and are told when it does not arrive." eg:"[sre]"`
}

// Posted returns those of the Alertmanagers to which the canary is posted.
func (c *Config) Posted() []Alertmanager {
	var out []Alertmanager
	if c.Canary == nil {
		return nil
	}
	for _, a := range c.Alertmanagers {
		if c.Canary.Alertmanager == "" && !a.grafana() || c.Canary.Alertmanager != "" && a.plain() == plainURL(c.Canary.Alertmanager) {
			out = append(out, a)
		}
	}
	return out
}

func plainURL(u URL) string { return strings.TrimRight(string(u), "/") }

func (a *Alertmanager) plain() string { return plainURL(a.URL) }

// grafana reports whether it is Grafana's own, which takes no alerts from outside.
func (a *Alertmanager) grafana() bool {
	return strings.HasSuffix(a.plain(), "/api/alertmanager/grafana")
}

// checkCanary checks what it needs to fly.
func (k *checker) checkCanary() {
	c, s := k.Canary, k.main
	if c == nil {
		return
	}
	const every, within = "canary.every", "canary.within"
	fine := !s.broken(every) && !s.broken(within)
	switch {
	case fine && c.Every < canaryAtLeast:
		s.errorf(every, "%s is too often; write %s or more", model.Duration(c.Every), model.Duration(canaryAtLeast))
	case fine && c.Every > canaryAtMost:
		s.errorf(every, "%s is too rare: what is dead would not be known for so long; write 1d", model.Duration(c.Every))
	case fine && c.Within < canaryShortest:
		s.errorf(within, "%s is too short; write %s or more", model.Duration(c.Within), model.Duration(canaryHasty))
	case fine && c.Within > c.Every/2:
		s.errorf(within, "%s is more than half of every, %s, so one would hardly be over when the next begins; write %s or less", model.Duration(c.Within), model.Duration(c.Every), model.Duration(c.Every/2))
	}
	if fine && c.Within >= canaryShortest && c.Within < canaryHasty {
		s.warnf(within, "%s may be too short: Alertmanager waits for group_wait, 30s where nothing else is said, and a mail server may let a mail wait; write %s or more", model.Duration(c.Within), model.Duration(canaryHasty))
	}
	k.knownGroups(s, "canary.to", c.To)
	if k.unreached(c.To) && !s.broken("canary.to") && s.has("canary.to") {
		s.errorf("canary.to", "nobody would get its mail; name groups that have recipients")
	}
	switch {
	case len(k.Alertmanagers) == 0 && !s.broken("alertmanagers"):
		s.errorf("canary", "there is no Alertmanager to post it to; add alertmanagers")
	case c.Alertmanager != "" && len(k.Posted()) == 0:
		s.errorf("canary.alertmanager", "it is the URL of none of alertmanagers; add it there, with how it is spoken to")
	case len(k.Posted()) == 0 && !s.broken("alertmanagers"):
		s.errorf("canary", "all of alertmanagers are Grafana's own, which take no alerts from outside; add one that does")
	case slices.ContainsFunc(k.Posted(), func(a Alertmanager) bool { return a.grafana() }):
		s.errorf("canary.alertmanager", "Grafana's own Alertmanager takes no alerts from outside; name another")
	}
	for name := range c.Labels {
		switch path := join("canary.labels", name); {
		case name == model.AlertNameLabel || name == incident.CanaryLabel:
			s.errorf(path, "%q is set by sitrep; remove it", name)
		case !isLabelName(name):
			s.errorf(path, "%q is not the name of a label; write the name alone, such as severity", shorten(name))
		}
	}
}
