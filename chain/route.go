package chain

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"sitrep/internal/yamlfile"
)

// maxRoutes is how many routes are looked at.
const maxRoutes = 50_000

// An Alertmanager is what its configuration says of where alerts go.
type Alertmanager struct {
	File      string
	Root      *Route // nil if it could not be read
	Receivers map[string]*Receiver
	Inhibits  []Inhibit
	Silences  []Silence // those in force, of one that runs
	// Findings are what could not be read.
	Findings []Finding

	named  string // the receiver that is sitrep's, whatever its webhooks
	routes int
}

// A Route is a node of the tree of routes, with what it inherits.
type Route struct {
	Place          Place
	Matchers       labels.Matchers
	Receiver       string
	Continue       bool
	GroupBy        []string // "..." stands for all labels
	GroupWait      time.Duration
	GroupInterval  time.Duration
	RepeatInterval time.Duration
	// Mute and Active are the names of time intervals, which are not inherited.
	Mute, Active []string
	Routes       []*Route

	tests     []test // the matchers
	intervals Place  // of the time intervals
	timing    Place  // of repeat_interval or group_interval, or the route
	leads     bool   // it, or one below it, goes to sitrep
	reach     int    // how many of those below it there are up to the last that leads
}

// A Receiver is where notifications go.
type Receiver struct {
	Place    Place
	Name     string
	Webhooks []Webhook // sitrep's
	// Others are the URLs of other webhooks, with where they stand.
	Others []Side
	// Hidden is set if a webhook's URL is not to be seen: it stands in a file of its own, or
	// an Alertmanager that runs does not tell it.
	Hidden bool
}

// A Webhook is one of a receiver that leads to sitrep.
type Webhook struct {
	Place           Place
	SendResolved    bool
	ResolvedPlace   Place
	MaxAlerts       int
	MaxAlertsPlace  Place
	FollowRedirects bool
}

// An Inhibit is a rule by which an alert mutes others.
type Inhibit struct {
	Place          Place
	Source, Target labels.Matchers
	Equal          []string
}

// A Silence mutes the alerts that its matchers find.
type Silence struct {
	Place    Place
	Matchers labels.Matchers
	Until    time.Time
}

// ParseAlertmanager reads a configuration of Alertmanager, from a file or as one that runs tells
// it. A receiver is sitrep's if it has the name that is given; without one, if the path of one of
// its webhooks ends in /alertmanager or, where that is hidden, if sitrep is part of its name.
func ParseAlertmanager(file string, text []byte, receiver string) *Alertmanager {
	a := &Alertmanager{File: file, Receivers: map[string]*Receiver{}, named: receiver}
	docs, err := yamlfile.Read(text)
	if err != nil {
		a.Findings = append(a.Findings, unreadable(file, err))
		return a
	}
	if len(docs) == 0 || yamlfile.Get(docs[0], "route") == nil {
		a.fail(Place{File: file}, "there is no route in this file", "name Alertmanager's own configuration")
		return a
	}
	doc := docs[0]
	redirects := yamlfile.Text(doc, "global", "http_config", "follow_redirects") != "false"
	for _, n := range yamlfile.List(doc, "receivers") {
		a.receiver(n, redirects)
	}
	for _, n := range yamlfile.List(doc, "inhibit_rules") {
		a.Inhibits = append(a.Inhibits, Inhibit{
			Place:  place(file, n),
			Source: a.matchers(n, "source_match", "source_match_re", "source_matchers"),
			Target: a.matchers(n, "target_match", "target_match_re", "target_matchers"),
			Equal:  texts(yamlfile.Get(n, "equal")),
		})
	}
	a.Root = a.route(yamlfile.Get(doc, "route"), &Route{GroupWait: 30 * time.Second, GroupInterval: 5 * time.Minute, RepeatInterval: 4 * time.Hour})
	if len(a.Root.Matchers) > 0 {
		a.fail(a.Root.Place, "the root of the routes has matchers, which Alertmanager refuses", "move them to a route below it")
		a.Root.Matchers, a.Root.tests = nil, nil
	}
	return a
}

func (a *Alertmanager) fail(p Place, text, fix string) {
	a.Findings = append(a.Findings, Finding{Kind: KindUnreadable, Severity: Error, Place: p, Text: text, Fix: fix})
}

// route reads a route and those below it.
func (a *Alertmanager) route(n *yaml.Node, parent *Route) *Route {
	if a.routes++; a.routes == maxRoutes {
		a.fail(place(a.File, n), fmt.Sprintf("there are more than %d routes, and the rest is not looked at", maxRoutes), "")
	}
	r := &Route{
		Place: place(a.File, n), Receiver: parent.Receiver, GroupBy: parent.GroupBy,
		GroupWait: parent.GroupWait, GroupInterval: parent.GroupInterval, RepeatInterval: parent.RepeatInterval, timing: parent.timing,
		Matchers: a.matchers(n, "match", "match_re", "matchers"),
		Continue: yamlfile.Text(n, "continue") == "true",
		Mute:     texts(yamlfile.Get(n, "mute_time_intervals")),
		Active:   texts(yamlfile.Get(n, "active_time_intervals")),
	}
	r.tests = testsOf(r.Matchers)
	if parent.timing.File == "" {
		r.timing = r.Place
	}
	if name := yamlfile.Get(n, "receiver"); name != nil {
		r.Receiver = name.Value
		if a.Receivers[name.Value] == nil {
			a.fail(place(a.File, name), fmt.Sprintf("there is no receiver %s", quote(name.Value)), "name one of receivers")
		}
	}
	if by := yamlfile.Get(n, "group_by"); by != nil {
		r.GroupBy = texts(by)
	}
	for key, d := range map[string]*time.Duration{"group_wait": &r.GroupWait, "group_interval": &r.GroupInterval, "repeat_interval": &r.RepeatInterval} {
		v := yamlfile.Get(n, key)
		if v == nil {
			continue
		}
		got, err := model.ParseDuration(v.Value)
		if err != nil {
			a.fail(place(a.File, v), fmt.Sprintf("%s: %s is no duration", key, quote(v.Value)), "write it as 5m")
			continue
		}
		*d = time.Duration(got)
		if key == "repeat_interval" {
			r.timing = place(a.File, v)
		}
	}
	for _, key := range []string{"active_time_intervals", "mute_time_intervals"} {
		if v := yamlfile.Get(n, key); v != nil {
			r.intervals = place(a.File, v)
		}
	}
	if a.routes < maxRoutes {
		for _, c := range yamlfile.List(n, "routes") {
			r.Routes = append(r.Routes, a.route(c, r))
		}
	}
	r.leads = a.sitrep(r)
	for i, below := range r.Routes {
		if below.leads {
			r.leads, r.reach = true, i+1
		}
	}
	return r
}

// matchers reads the three ways to write matchers.
func (a *Alertmanager) matchers(n *yaml.Node, equal, regexp, list string) labels.Matchers {
	var all labels.Matchers
	for key, t := range map[string]labels.MatchType{equal: labels.MatchEqual, regexp: labels.MatchRegexp} {
		for name, value := range yamlfile.Pairs(yamlfile.Get(n, key)) {
			m, err := labels.NewMatcher(t, name.Value, value.Value)
			if err != nil {
				a.fail(place(a.File, value), fmt.Sprintf("this is no regular expression: %v", err), "amtool check-config says more")
				m = nothing(name.Value)
			}
			all = append(all, m)
		}
	}
	for _, text := range yamlfile.List(n, list) {
		ms, err := matchersOf(text.Value)
		if err != nil {
			a.fail(place(a.File, text), fmt.Sprintf("this is no matcher: %v", err), "amtool check-config says more")
			ms = labels.Matchers{nothing("alertname")}
		}
		all = append(all, ms...)
	}
	slices.SortStableFunc(all, func(x, y *labels.Matcher) int { return strings.Compare(x.Name, y.Name) })
	return all
}

// nothing is a matcher that matches no alert: what cannot be read must not seem to match.
func nothing(name string) *labels.Matcher {
	m, _ := labels.NewMatcher(labels.MatchRegexp, name, `[^\x00-\x{10FFFF}]+`)
	return m
}

// matchersOf reads matchers as Alertmanager does by default: the older syntax wins where the
// two read something else.
func matchersOf(text string) (labels.Matchers, error) {
	if older, err := labels.ParseMatchers(text); err == nil {
		return older, nil
	}
	newer, err := parse.Matchers(text)
	return labels.Matchers(newer), err
}

func texts(n *yaml.Node) []string {
	if n == nil {
		return nil
	}
	out := []string{}
	for _, c := range n.Content {
		out = append(out, c.Value)
	}
	return out
}

// hiddenURL is what Alertmanager tells in place of a secret.
const hiddenURL = "<secret>"

// receiver reads a receiver.
func (a *Alertmanager) receiver(n *yaml.Node, redirects bool) {
	name := yamlfile.Text(n, "name")
	r := &Receiver{Place: place(a.File, n), Name: name}
	if at := yamlfile.Get(n, "name"); at != nil {
		r.Place = place(a.File, at)
	}
	a.Receivers[name] = r
	for _, w := range yamlfile.List(n, "webhook_configs") {
		at, address := place(a.File, w), yamlfile.Get(w, "url")
		path := ""
		if address != nil && address.Value == hiddenURL {
			address = nil
		}
		if address != nil {
			at = place(a.File, address)
			if u, err := url.Parse(address.Value); err == nil {
				path = u.Path
			}
		}
		switch {
		case name == a.named && a.named != "", a.named == "" && strings.HasSuffix(path, "/alertmanager"):
		case a.named == "" && address == nil && strings.Contains(strings.ToLower(name), "sitrep"):
		case address == nil:
			r.Hidden = true
			continue
		default:
			r.Others = append(r.Others, Side{at, path})
			continue
		}
		h := Webhook{Place: at, SendResolved: true, FollowRedirects: redirects, ResolvedPlace: at, MaxAlertsPlace: at}
		if v := yamlfile.Get(w, "send_resolved"); v != nil {
			h.SendResolved, h.ResolvedPlace = v.Value != "false", place(a.File, v)
		}
		if v := yamlfile.Get(w, "max_alerts"); v != nil {
			h.MaxAlerts, _ = strconv.Atoi(v.Value)
			h.MaxAlertsPlace = place(a.File, v)
		}
		if own := yamlfile.Get(w, "http_config"); own != nil {
			h.FollowRedirects = yamlfile.Text(own, "follow_redirects") != "false"
		}
		r.Webhooks = append(r.Webhooks, h)
	}
}

// sitrep reports whether a route's receiver leads to sitrep.
func (a *Alertmanager) sitrep(r *Route) bool {
	rec := a.Receivers[r.Receiver]
	return rec != nil && len(rec.Webhooks) > 0
}

// A hit is a route at which alerts end up, and whether all of them do.
type hit struct {
	route *Route
	sure  bool
}

// A journey is what becomes of a rule's alerts in the tree of routes.
type journey struct {
	hits []hit
	// takers are routes that match, or may, and let no later one beside them have the alert.
	takers []taker
}

// A taker is a route that lets later ones have no alert that it matches.
type taker struct {
	route, parent *Route
	after         int // the index of the next beside it
	sure          bool
}

// travel walks the tree as Alertmanager's dispatcher does.
func (a *Alertmanager) travel(l Labels) journey {
	var j journey
	if a.Root != nil {
		j.walk(a.Root, l, true)
	}
	return j
}

// walk says whether a route matches, and notes where the alerts end up. They surely come so
// far only if sure is set.
func (j *journey) walk(r *Route, l Labels, sure bool) Verdict {
	own := l.passes(r.tests)
	if own == Never {
		return Never
	}
	sure = sure && own == Always
	rest, below := Always, Never // what of the alerts is left for the next; what a child has
	for i, c := range r.Routes {
		matched := j.walk(c, l, sure && rest == Always)
		if matched == Never {
			continue
		}
		below = max(below, min(matched, rest))
		if c.Continue {
			continue
		}
		j.takers = append(j.takers, taker{c, r, i + 1, matched == Always})
		if matched == Always {
			break
		}
		rest = Maybe
	}
	if below != Always {
		j.hits = append(j.hits, hit{r, sure && below == Never})
	}
	return own
}

// Walk returns the receivers that an alert of which all labels are known is sent to, in the
// order of the routes.
func (a *Alertmanager) Walk(set map[string]string) []string {
	var names []string
	for _, h := range a.travel(Exactly(set)).hits {
		names = append(names, h.route.Receiver)
	}
	return names
}
