package chain

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// A Report is what was found along all chains.
type Report struct {
	Findings []Finding // by place
	SLOs     []Coverage
	// Alerts is how many rules raise alerts; Ignored those whose alerts the configuration ignores;
	// Others those that are no SLO's and do not surely come to sitrep.
	Alerts, Ignored, Others int
}

// Coverage is what is known of the chains of an SLO.
type Coverage struct {
	SLO   *SLO
	Links []Link
}

// A Link is a rule that feeds an SLO.
type Link struct {
	Rule *Rule
	// Claimed says whether the SLO claims its alerts, and Routed whether they come to sitrep.
	Claimed, Routed Verdict
	// Route is one by which they come, nil if there is none.
	Route *Route
}

// Errors returns how many findings are errors.
func (r *Report) Errors() int { return r.count(Error) }

// Warnings returns how many findings are warnings.
func (r *Report) Warnings() int { return r.count(Warning) }

func (r *Report) count(s Severity) int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Severity == s {
			n++
		}
	}
	return n
}

// Nearest finds the known word that was probably meant by another.
type Nearest func(word string, known []string) (string, bool)

// maxToward is how many routes to sitrep are looked at to say which was meant.
const maxToward = 50

// maxNearest is for how many findings a word that was meant is looked for.
const maxNearest = 200

// A checking is one check.
type checking struct {
	promise *Promise
	rules   *Rules
	am      *Alertmanager // nil: only the rules are known
	toward  []*Route      // its routes to sitrep, at most maxToward
	nearest Nearest
	nears   int
	claims  *claims

	report   Report
	grouped  map[groupKey]int // the findings that are one for several alerts
	fed      []bool
	excused  []bool // SLOs of whom it was said why nothing feeds them
	ignored  map[int]*Rule
	watchdog []*Rule
	mine     map[*Rule]int
}

type groupKey struct {
	kind     Kind
	place    Place
	slo      string
	severity Severity
}

// Check follows all chains. Without an Alertmanager it looks at rules and SLOs alone. The rules
// must be complete ([Rules.Infer]).
func Check(p *Promise, rules *Rules, am *Alertmanager, nearest Nearest) *Report {
	c := &checking{
		promise: p, rules: rules, am: am, nearest: nearest, claims: newClaims(p), grouped: map[groupKey]int{},
		fed: make([]bool, len(p.SLOs)), excused: make([]bool, len(p.SLOs)), ignored: map[int]*Rule{}, mine: map[*Rule]int{},
	}
	c.report.Findings = append(c.report.Findings, rules.Findings...)
	c.report.Alerts = len(rules.Alerts)
	c.report.SLOs = make([]Coverage, len(p.SLOs))
	for i := range p.SLOs {
		c.report.SLOs[i].SLO = &p.SLOs[i]
	}
	if am != nil {
		c.report.Findings = append(c.report.Findings, am.Findings...)
		c.receivers()
		if am.Root != nil {
			c.toward = am.sitrepRoutes(am.Root)
			c.toward = c.toward[:min(len(c.toward), maxToward)]
		}
	}
	for _, r := range rules.Alerts {
		c.alert(r)
	}
	if am != nil {
		c.inhibited()
		c.silenced()
	}
	c.unfed()
	c.watchdogs()
	c.canary()
	c.readers()
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int {
		return cmp.Or(a.Place.compare(b.Place), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.SLO, b.SLO))
	})
	return &c.report
}

// maxSides is how many other places a finding names.
const maxSides = 6

// add notes a finding. One of the same kind at the same place about the same SLO gets its sides
// instead.
func (c *checking) add(f Finding) {
	key := groupKey{f.Kind, f.Place, f.SLO, f.Severity}
	if i, ok := c.grouped[key]; ok {
		g := &c.report.Findings[i]
		for _, id := range f.SLOs {
			if n := len(g.SLOs); n == 0 || g.SLOs[n-1] != id {
				g.SLOs = append(g.SLOs, id)
			}
		}
		for _, s := range f.Sides {
			if len(g.Sides) < maxSides && !slices.Contains(g.Sides, s) {
				g.Sides = append(g.Sides, s)
			}
		}
		return
	}
	c.grouped[key] = len(c.report.Findings)
	c.report.Findings = append(c.report.Findings, f)
}

// alert follows the alerts of one rule.
func (c *checking) alert(r *Rule) {
	p := c.promise
	if w := p.Watchdog; w != nil && r.Labels.all(w.Match) != Never && evidentIn(r.Labels, w.Match) {
		c.watchdog = append(c.watchdog, r)
		if r.Labels.all(w.Match) == Always {
			return
		}
	}
	found, missed := c.claims.of(r.Labels)
	if v, _ := r.Labels.any(p.Ignore); v == Always {
		c.ignore(r, found)
		return
	}
	if len(found) > 0 {
		if v, _ := r.Labels.any(p.SLOs[found[0].slo].Ignore); v == Always {
			c.ignore(r, found)
			return
		}
	}
	for _, m := range missed {
		c.mismatch(r, m)
	}
	if len(found) == 0 {
		if len(missed) == 0 {
			c.unclaimed(r)
		}
		return
	}
	c.twice(r, found)
	var reach Verdict
	var by *Route
	if c.am != nil && c.am.Root != nil {
		reach, by = c.route(r, &p.SLOs[found[0].slo])
	}
	c.mine[r] = found[0].slo
	for _, f := range found {
		c.fed[f.slo] = true
		c.report.SLOs[f.slo].Links = append(c.report.SLOs[f.slo].Links, Link{r, f.verdict, reach, by})
	}
}

func evidentIn(l Labels, list []Condition) bool {
	return slices.ContainsFunc(list, func(c Condition) bool { return l.evident(c.Matchers) })
}

func (c *checking) ignore(r *Rule, found []claim) {
	c.report.Ignored++
	for _, f := range found {
		c.ignored[f.slo] = r
	}
}

// mismatch reports an SLO whose matchers refuse alerts that name it.
func (c *checking) mismatch(r *Rule, m miss) {
	s := &c.promise.SLOs[m.slo]
	c.excused[m.slo] = true
	at := s.Place
	if m.condition < len(s.Match) {
		at = s.Match[m.condition].Place
	}
	if m.matcher == nil {
		return
	}
	c.add(Finding{
		Kind: KindMismatch, Severity: Error, Place: at, SLO: s.ID,
		Text: fmt.Sprintf("SLO %s wants %s, and the alert %s %s", quote(s.ID), m.matcher, quote(r.Name), c.has(r, m.matcher.Name)),
		Fix:  c.mend(r, m.matcher), Sides: []Side{c.sideOf(r, m.matcher.Name)},
	})
}

// has says what a label of a rule's alerts is.
func (c *checking) has(r *Rule, name string) string {
	v := r.Labels.Get(name)
	if len(v.Of) == 1 && v.Of[0] == "" {
		return "has no label " + name
	}
	return fmt.Sprintf("has %s %s", name, v)
}

// mend says how a matcher could hold.
func (c *checking) mend(r *Rule, m *labels.Matcher) string {
	v := r.Labels.Get(m.Name)
	if len(v.Of) == 1 && v.Of[0] == "" {
		return "let the rule set it under labels, keep it in the expression (by), name it with --external-label if Prometheus adds it, or drop the matcher"
	}
	if m.Type == labels.MatchEqual {
		if near, ok := c.near(m.Value, v.Of); ok {
			return fmt.Sprintf("did you mean %s?", quote(near))
		}
	}
	return "let the two say the same"
}

// near finds the word that was meant, as long as not too many were looked for.
func (c *checking) near(word string, known []string) (string, bool) {
	if c.nearest == nil || c.nears >= maxNearest || word == "" {
		return "", false
	}
	c.nears++
	return c.nearest(word, known)
}

// sideOf returns where a rule decides about a label.
func (c *checking) sideOf(r *Rule, name string) Side {
	if s, ok := r.Static[name]; ok {
		return Side{s.Place, fmt.Sprintf("the label %s of the alert %s", name, quote(r.Name))}
	}
	if name == "alertname" {
		return Side{r.Place, "the alert " + quote(r.Name)}
	}
	return Side{r.ExprPlace, fmt.Sprintf("the expression of the alert %s", quote(r.Name))}
}

// side returns where a rule stands.
func side(r *Rule) Side { return Side{r.Place, "the alert " + quote(r.Name)} }

// sideOfSLO returns where an SLO stands.
func sideOfSLO(s *SLO) Side { return Side{s.Place, "the SLO " + quote(s.ID)} }

// unclaimed reports an alert that should be an SLO's.
func (c *checking) unclaimed(r *Rule) {
	label, looks := LooksLikeSLO(r, c.promise.IDLabels)
	if !looks {
		c.other(r)
		return
	}
	f := Finding{Kind: KindUnclaimed, Severity: Error, Place: r.Place, Text: fmt.Sprintf("the alert %s looks like an SLO's, and no SLO claims it", quote(r.Name))}
	v := r.Labels.Get(label)
	switch {
	case label == "":
		f.Fix = fmt.Sprintf("give it the label sitrep_slo with the id of an SLO, or an SLO the match 'alertname=%s'", quote(r.Name))
	case v.Any:
		f.Severity = Note
		f.Text = fmt.Sprintf("the alert %s has a label %s, and its value cannot be known from the rule", quote(r.Name), label)
	default:
		f.Place = c.sideOf(r, label).Place
		f.Text = fmt.Sprintf("the alert %s has %s %s, and no SLO has that id", quote(r.Name), label, v)
		f.Fix = "give an SLO that id (sitrep import writes it)"
		for _, id := range v.Of {
			if near, ok := c.near(id, c.ids()); ok {
				f.Fix = fmt.Sprintf("did you mean %s?", quote(near))
				f.Sides = append(f.Sides, sideOfSLO(&c.promise.SLOs[c.claims.byID[near]]))
			}
		}
	}
	c.add(f)
}

func (c *checking) ids() []string {
	ids := make([]string, len(c.promise.SLOs))
	for i := range c.promise.SLOs {
		ids[i] = c.promise.SLOs[i].ID
	}
	return ids
}

// other is an alert that is no SLO's. Where all of it comes to sitrep that is said.
func (c *checking) other(r *Rule) {
	if c.am != nil && c.am.Root != nil {
		for _, h := range c.am.travel(r.Labels).hits {
			if !h.sure || !c.am.sitrep(h.route) || h.route == c.am.Root {
				continue
			}
			f := Finding{
				Kind: KindUnclaimed, Severity: Warning, Place: r.Place,
				Text: fmt.Sprintf("the alert %s comes to sitrep, and no SLO claims it", quote(r.Name)),
				Fix:  "give it to an SLO, add it to ignore, or let the route leave it out", Sides: []Side{c.sideOfRoute(h.route)},
			}
			if c.promise.Unmapped {
				f.Severity = Note
				f.Fix = "it becomes an incident of unmapped"
			}
			c.add(f)
			return
		}
	}
	c.report.Others++
}

func (c *checking) sideOfRoute(r *Route) Side {
	if r == c.am.Root {
		return Side{r.Place, "the root of the routes, to receiver " + quote(r.Receiver)}
	}
	return Side{r.Place, fmt.Sprintf("the route %s to receiver %s", r.Matchers, quote(r.Receiver))}
}

// twice reports alerts that several SLOs claim.
func (c *checking) twice(r *Rule, found []claim) {
	first := found[0]
	for _, other := range found[1:] {
		if first.label != "" && other.label == first.label || min(first.verdict, other.verdict) == Never || max(first.verdict, other.verdict) != Always {
			continue
		}
		a, b := &c.promise.SLOs[first.slo], &c.promise.SLOs[other.slo]
		f := Finding{
			Kind: KindClaimedTwice, Severity: Error, Place: b.Place, SLO: b.ID,
			Text: fmt.Sprintf("SLO %s claims the alert %s, and SLO %s gets it", quote(b.ID), quote(r.Name), quote(a.ID)),
			Fix:  "let their match differ in a label", Sides: []Side{sideOfSLO(a), side(r)},
		}
		if first.verdict == Maybe || other.verdict == Maybe {
			f.Severity = Warning
			f.Text = fmt.Sprintf("SLO %s can claim the alert %s, and so can SLO %s; the first in file order gets it", quote(b.ID), quote(r.Name), quote(a.ID))
		}
		c.add(f)
	}
}

// receivers reports if no receiver leads to sitrep.
func (c *checking) receivers() {
	if c.am.Root == nil {
		return
	}
	f := Finding{
		Kind: KindReceiver, Severity: Error, Place: c.am.Root.Place,
		Text: "no receiver has a webhook to sitrep, so no alert comes to it",
		Fix:  "add webhook_configs with a url that ends in /alertmanager, or say which receiver is sitrep's with --receiver",
	}
	for _, r := range c.sorted() {
		if len(r.Webhooks) > 0 {
			return
		}
		if r.Name == c.am.named || c.am.named == "" && strings.Contains(strings.ToLower(r.Name), "sitrep") {
			f.Place = r.Place
			f.Text = fmt.Sprintf("the receiver %s has no webhook to sitrep", quote(r.Name))
			if len(r.Others) > 0 && c.am.named == "" {
				f.Place = r.Others[0].Place
				f.Text = fmt.Sprintf("the path of this webhook is %s, and sitrep takes alerts at /alertmanager", quote(r.Others[0].Text))
			}
		}
		if r.Hidden {
			f.Sides = append(f.Sides, Side{r.Place, "the receiver " + quote(r.Name) + ", whose url is not to be seen"})
		}
	}
	c.add(f)
}

// sorted returns the receivers in file order.
func (c *checking) sorted() []*Receiver {
	var out []*Receiver
	for _, r := range c.am.Receivers {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *Receiver) int { return a.Place.compare(b.Place) })
	return out
}

func (c *checking) anySitrep() bool {
	for _, r := range c.am.Receivers {
		if len(r.Webhooks) > 0 {
			return true
		}
	}
	return false
}

// route follows the alerts of an SLO through the routes, and says whether they come to sitrep.
func (c *checking) route(r *Rule, s *SLO) (Verdict, *Route) {
	if !c.anySitrep() {
		return Never, nil // and was said
	}
	j := c.am.travel(r.Labels)
	var mine, others []hit
	for _, h := range j.hits {
		if c.am.sitrep(h.route) {
			mine = append(mine, h)
		} else {
			others = append(others, h)
		}
	}
	if len(mine) == 0 {
		c.lost(r, s, &j, Error)
		return Never, nil
	}
	verdict := Always
	if len(others) > 0 && !slices.ContainsFunc(mine, func(h hit) bool { return h.sure }) {
		verdict = Maybe
		c.lost(r, s, &j, Note)
	}
	c.arrives(r, s, mine)
	return verdict, mine[0].route
}

// lost says why the alerts of an SLO do not come to sitrep, or may not.
func (c *checking) lost(r *Rule, s *SLO, j *journey, severity Severity) {
	f := Finding{Kind: KindElsewhere, Severity: severity, SLO: s.ID, Sides: []Side{side(r), sideOfSLO(s)}}
	for _, t := range j.takers {
		if t.after >= t.parent.reach || c.am.sitrep(t.route) || severity == Error && !t.sure {
			continue
		}
		next := c.leading(t.parent.Routes[t.after:t.parent.reach], r.Labels)
		if next == nil {
			continue
		}
		f.Kind, f.Place = KindSwallowed, t.route.Place
		f.Text = fmt.Sprintf("this route takes the alert %s of SLO %s to receiver %s, and the one to sitrep never sees it", quote(r.Name), quote(s.ID), quote(t.route.Receiver))
		f.Fix = "add continue: true to it, or put the route to sitrep before it"
		f.Sides = append(f.Sides, c.sideOfRoute(next))
		if severity == Note {
			f.SLO = ""
			f.Text = fmt.Sprintf("whether this route takes alerts of SLOs, such as %s, before sitrep sees them cannot be known: it asks for %s, which their rules leave open",
				quote(r.Name), strings.Join(r.Labels.unsure(t.route.Matchers), ", "))
		}
		c.add(f)
		return
	}
	route := j.hits[len(j.hits)-1].route
	for _, h := range j.hits {
		if !c.am.sitrep(h.route) && h.sure {
			route = h.route
		}
	}
	f.Place = route.Place
	f.Text = fmt.Sprintf("the alert %s of SLO %s ends here, at receiver %s, and does not come to sitrep", quote(r.Name), quote(s.ID), quote(route.Receiver))
	f.Fix = "add a route to sitrep that matches it, or add the alert to ignore if it is to be no incident"
	if severity == Note {
		f.SLO = ""
		f.Text = fmt.Sprintf("whether alerts of SLOs, such as %s, end here at receiver %s cannot be known: the route to sitrep asks for a label that their rules leave open", quote(r.Name), quote(route.Receiver))
		f.Fix = ""
	}
	if to := c.toSitrep(r.Labels); to != nil {
		said := c.sideOfRoute(to)
		if m := r.Labels.failing(to.Matchers); m != nil {
			said.Text += fmt.Sprintf(" wants %s, and the alert %s", m, c.has(r, m.Name))
		}
		f.Sides = append(f.Sides, said)
	}
	c.add(f)
}

// leading returns the first of the routes that may bring the alerts to sitrep.
func (c *checking) leading(routes []*Route, l Labels) *Route {
	for _, r := range routes {
		if !r.leads || l.passes(r.tests) == Never {
			continue
		}
		if c.am.sitrep(r) {
			return r
		}
		if below := c.leading(r.Routes, l); below != nil {
			return below
		}
	}
	return nil
}

// toSitrep returns the route to sitrep that was probably meant to match alerts: the one that
// refuses them least, and rather by a pattern than by a value that is another's.
func (c *checking) toSitrep(l Labels) *Route {
	var best *Route
	least := 0
	for _, r := range c.toward {
		refused := 0
		for _, m := range r.Matchers {
			if l.Get(m.Name).matches(m) == Never {
				refused += 2
				if m.Type == labels.MatchEqual {
					refused++
				}
			}
		}
		if best == nil || refused < least {
			best, least = r, refused
		}
	}
	return best
}

// sitrepRoutes returns all routes to sitrep.
func (a *Alertmanager) sitrepRoutes(r *Route) []*Route {
	if !r.leads {
		return nil
	}
	var out []*Route
	if a.sitrep(r) {
		out = append(out, r)
	}
	for _, below := range r.Routes {
		out = append(out, a.sitrepRoutes(below)...)
	}
	return out
}

// arrives looks at how alerts of an SLO that come to sitrep do so.
func (c *checking) arrives(r *Rule, s *SLO, hits []hit) {
	route := slices.MinFunc(hits, func(a, b hit) int {
		return cmp.Compare(a.route.RepeatInterval+a.route.GroupInterval, b.route.RepeatInterval+b.route.GroupInterval)
	}).route
	sides, about := []Side{side(r), sideOfSLO(s)}, []string{s.ID}
	p := c.promise
	if long := route.RepeatInterval + route.GroupInterval; !p.Asks && long > p.UnknownAfter {
		c.add(Finding{
			Kind: KindRepeat, Severity: Error, Place: route.timing, Sides: sides, SLOs: about,
			Text: fmt.Sprintf("an alert that goes on firing is repeated after up to %s (repeat_interval %s, looked at each group_interval %s), and sitrep takes it for unknown after %s",
				duration(long), duration(route.RepeatInterval), duration(route.GroupInterval), duration(p.UnknownAfter)),
			Fix: "write a shorter repeat_interval, a longer incidents.unknown_after, or name the alertmanagers to ask",
		})
	}
	if route.GroupInterval > p.ResolveAfter {
		c.add(Finding{
			Kind: KindInterval, Severity: Warning, Place: route.Place, Sides: sides, SLOs: about,
			Text: fmt.Sprintf("the end of an alert, and a second one of its group, are heard up to %s late (group_interval), which is longer than resolve_after, %s", duration(route.GroupInterval), duration(p.ResolveAfter)),
			Fix:  "write a shorter group_interval on the route to sitrep, such as 1m",
		})
	}
	if !slices.ContainsFunc(hits, func(h hit) bool { return len(h.route.Mute)+len(h.route.Active) == 0 }) {
		said := "it is muted in " + conjunction(route.Mute)
		if len(route.Mute) == 0 {
			said = "it is active only in " + conjunction(route.Active)
		}
		c.add(Finding{
			Kind: KindMuted, Severity: Error, Place: route.intervals, Sides: sides, SLOs: about,
			Text: fmt.Sprintf("alerts of SLOs, such as %s, do not always come to sitrep by this route: %s", quote(r.Name), said),
			Fix:  "let sitrep hear them always; when who is told is said by quiet of its groups",
		})
	}
	for _, h := range hits {
		c.webhooks(c.am.Receivers[h.route.Receiver], sides, about)
	}
}

// webhooks looks at what a receiver sends to sitrep.
func (c *checking) webhooks(r *Receiver, sides []Side, about []string) {
	for _, w := range r.Webhooks {
		if !w.SendResolved {
			c.add(Finding{
				Kind: KindResolved, Severity: Error, Place: w.ResolvedPlace, Sides: sides, SLOs: about,
				Text: "sitrep is never told that an alert ended (send_resolved: false), so its incidents do not end",
				Fix:  "write send_resolved: true, or remove the line",
			})
		}
		if w.MaxAlerts > 0 {
			c.add(Finding{
				Kind: KindTruncated, Severity: Error, Place: w.MaxAlertsPlace, Sides: sides, SLOs: about,
				Text: fmt.Sprintf("of a group of more than %d alerts the rest is left out, and sitrep never hears of it (max_alerts)", w.MaxAlerts),
				Fix:  "write max_alerts: 0, or remove the line",
			})
		}
		if w.FollowRedirects {
			c.add(Finding{
				Kind: KindRedirect, Severity: Warning, Place: w.Place, Sides: sides, SLOs: about,
				Text: "a redirect on the way to sitrep is followed, and loses the alerts",
				Fix:  "write http_config: {follow_redirects: false}, so that it is an error that Alertmanager tries again",
			})
		}
	}
}

// unfed reports SLOs that no rule feeds.
func (c *checking) unfed() {
	var index *ruleIndex
	for i := range c.promise.SLOs {
		if c.fed[i] || c.excused[i] {
			continue
		}
		s := &c.promise.SLOs[i]
		f := Finding{Kind: KindUnfed, Severity: Error, Place: s.Place, SLO: s.ID, Text: fmt.Sprintf("no rule raises an alert for SLO %s", quote(s.ID))}
		if index == nil {
			index = indexRules(c.rules.Alerts, c.promise.IDLabels)
		}
		if r, ok := c.ignored[i]; ok {
			f.Text = fmt.Sprintf("each alert of SLO %s is ignored by the configuration", quote(s.ID))
			f.Fix = "let ignore leave one"
			f.Sides = []Side{side(r)}
			c.add(f)
			continue
		}
		if len(s.Match) > 0 {
			if r, m, ok := index.almost(s); ok {
				m.slo = i
				c.mismatch(r, m)
				continue
			}
		} else if near, ok := c.near(s.ID, index.ids); ok {
			r := index.byID[near]
			f.Fix = fmt.Sprintf("did you mean %s?", quote(near))
			f.Sides = []Side{side(r)}
		}
		if f.Fix == "" {
			f.Fix = "write the rule, name its file, or give the SLO a match"
			for _, e := range s.equalities() {
				if near, ok := c.near(e.value, index.names); ok && e.name == "alertname" {
					f.Fix = fmt.Sprintf("did you mean %s?", quote(near))
					f.Sides = []Side{side(index.byName[near])}
				}
			}
		}
		c.add(f)
	}
}

// A ruleIndex finds rules that nearly fit.
type ruleIndex struct {
	byPair map[pair][]*Rule
	byID   map[string]*Rule // by the values of id labels
	ids    []string
	byName map[string]*Rule
	names  []string
}

func indexRules(rules []*Rule, idLabels []string) *ruleIndex {
	x := &ruleIndex{byPair: map[pair][]*Rule{}, byID: map[string]*Rule{}, byName: map[string]*Rule{}}
	for _, r := range rules {
		for n, v := range r.Labels.Named {
			if v.surely() && len(v.Of) == 1 {
				p := pair{n, v.Of[0]}
				x.byPair[p] = append(x.byPair[p], r)
			}
		}
		for _, l := range idLabels {
			if v := r.Labels.Get(l); v.surely() && len(v.Of) == 1 && x.byID[v.Of[0]] == nil {
				x.byID[v.Of[0]] = r
				x.ids = append(x.ids, v.Of[0])
			}
		}
		if x.byName[r.Name] == nil {
			x.byName[r.Name] = r
			x.names = append(x.names, r.Name)
		}
	}
	return x
}

// almost returns a rule whose alerts fulfil all matchers of an SLO but one.
func (x *ruleIndex) almost(s *SLO) (*Rule, miss, bool) {
	const most = 100
	equal := s.equalities()
	slices.SortStableFunc(equal, func(a, b pair) int { return len(x.byPair[a]) - len(x.byPair[b]) })
	for _, e := range equal {
		for _, r := range x.byPair[e][:min(most, len(x.byPair[e]))] {
			if n, evident, m := s.refused(r.Labels); n == 1 && evident {
				return r, m, true
			}
		}
	}
	return nil, miss{}, false
}

// inhibited reports alerts of SLOs that others can mute.
func (c *checking) inhibited() {
	sources := make([][]*Rule, len(c.am.Inhibits))
	for i := range c.am.Inhibits {
		for _, r := range c.rules.Alerts {
			if in := &c.am.Inhibits[i]; r.Labels.Holds(in.Source) != Never && r.Labels.evident(in.Source) {
				sources[i] = append(sources[i], r)
			}
		}
	}
	for _, r := range c.rules.Alerts {
		slo, ok := c.mine[r]
		if !ok {
			continue
		}
		for i := range c.am.Inhibits {
			c.inhibit(r, slo, &c.am.Inhibits[i], sources[i])
		}
	}
}

// inhibit reports if an inhibit rule can mute the alert of an SLO, by another than its own.
func (c *checking) inhibit(r *Rule, slo int, in *Inhibit, sources []*Rule) {
	target := r.Labels.Holds(in.Target)
	if target == Never || !r.Labels.evident(in.Target) && len(in.Target) > 0 {
		return
	}
	const most = 200
	s := &c.promise.SLOs[slo]
	for _, by := range sources[:min(most, len(sources))] {
		if own, ok := c.mine[by]; ok && own == slo || !agree(r.Labels, by.Labels, in.Equal) {
			continue
		}
		// What is source and target alike mutes none that is both, too.
		if r.Labels.Holds(in.Source) == Always && by.Labels.Holds(in.Target) == Always {
			continue
		}
		f := Finding{
			Kind: KindInhibited, Severity: Warning, Place: in.Place, SLO: s.ID,
			Text: fmt.Sprintf("while %s fires, the alert %s of SLO %s is muted, and sitrep hears neither that it fires nor that it ends", quote(by.Name), quote(r.Name), quote(s.ID)),
			Fix:  "let target_matchers leave alerts of SLOs out", Sides: []Side{side(r), side(by), sideOfSLO(s)},
		}
		if target == Maybe {
			f.Severity, f.SLO = Note, ""
			f.Text = fmt.Sprintf("whether %s can mute alerts of SLOs, such as %s, cannot be known: that depends on %s", quote(by.Name), quote(r.Name), strings.Join(r.Labels.unsure(in.Target), ", "))
		}
		c.add(f)
		return
	}
}

// agree reports whether two alerts can have the same values of labels.
func agree(a, b Labels, names []string) bool {
	for _, n := range names {
		v, w := a.Get(n), b.Get(n)
		if !v.Any && !w.Any && !slices.ContainsFunc(v.Of, func(s string) bool { return slices.Contains(w.Of, s) }) {
			return false
		}
	}
	return true
}

// watchdogs follows the alert that always fires.
func (c *checking) watchdogs() {
	w := c.promise.Watchdog
	if w == nil {
		return
	}
	if len(c.watchdog) == 0 {
		c.add(Finding{
			Kind: KindNoWatchdog, Severity: Error, Place: w.Place, Text: "no rule raises the watchdog, so nothing that ends would be believed",
			Fix: "add a rule that always fires, such as 'alert: Watchdog' with 'expr: vector(1)', or name its file",
		})
		return
	}
	if c.am == nil || c.am.Root == nil || !c.anySitrep() {
		return
	}
	for _, r := range c.watchdog {
		j := c.am.travel(r.Labels)
		var mine []*Route
		for _, h := range j.hits {
			if c.am.sitrep(h.route) {
				mine = append(mine, h.route)
			}
		}
		sides := []Side{side(r), {w.Place, "the watchdog"}}
		if len(mine) == 0 {
			at := j.hits[0].route
			c.add(Finding{
				Kind: KindWatchdog, Severity: Error, Place: at.Place, Sides: sides,
				Text: fmt.Sprintf("the watchdog %s goes to receiver %s, and does not come to sitrep", quote(r.Name), quote(at.Receiver)),
				Fix:  "add a route to sitrep for it, before this one",
			})
			continue
		}
		route := slices.MinFunc(mine, func(a, b *Route) int {
			return cmp.Compare(a.RepeatInterval+a.GroupInterval, b.RepeatInterval+b.GroupInterval)
		})
		if long := route.RepeatInterval + route.GroupInterval; long > w.Within {
			c.add(Finding{
				Kind: KindWatchdog, Severity: Error, Place: route.timing, Sides: sides,
				Text: fmt.Sprintf("the watchdog %s is repeated after up to %s (repeat_interval %s, looked at each group_interval %s), and sitrep misses it after %s",
					quote(r.Name), duration(long), duration(route.RepeatInterval), duration(route.GroupInterval), duration(w.Within)),
				Fix: "give it a route of its own with repeat_interval: 5m and group_interval: 5m",
			})
		}
	}
}

// canary follows the alert that sitrep itself posts.
func (c *checking) canary() {
	w := c.promise.Canary
	if w == nil || c.am == nil || c.am.Root == nil || !c.anySitrep() {
		return
	}
	j := c.am.travel(w.Labels)
	var mine []*Route
	for _, h := range j.hits {
		if c.am.sitrep(h.route) {
			mine = append(mine, h.route)
		}
	}
	sides := []Side{{w.Place, "the canary"}}
	if len(mine) == 0 {
		at := j.hits[0].route
		c.add(Finding{
			Kind: KindCanary, Severity: Error, Place: at.Place, Sides: sides,
			Text: fmt.Sprintf("the canary goes to receiver %s, and does not come back to sitrep", quote(at.Receiver)),
			Fix:  "add a route to sitrep with matchers: ['sitrep_canary=~\".+\"'] before this one, or give the canary labels that one has",
		})
		return
	}
	quickest := slices.MinFunc(mine, func(a, b *Route) int { return cmp.Compare(a.GroupWait, b.GroupWait) })
	if quickest.GroupWait >= w.Within {
		c.add(Finding{
			Kind: KindCanary, Severity: Error, Place: quickest.timing, Sides: sides,
			Text: fmt.Sprintf("the canary comes back after group_wait, %s, and is missed after %s", duration(quickest.GroupWait), duration(w.Within)),
			Fix:  "give it a route of its own with group_by: [sitrep_canary] and group_wait: 10s",
		})
	}
}

// readers reports groups that have nobody in them.
func (c *checking) readers() {
	for i := range c.promise.SLOs {
		s := &c.promise.SLOs[i]
		for _, a := range s.Audiences {
			heard := false
			for _, g := range a.Groups {
				heard = heard || g.Recipients > 0 && g.Hears
				if g.Recipients == 0 {
					c.add(Finding{
						Kind: KindUntold, Severity: Error, Place: g.Place, Sides: []Side{sideOfSLO(s)}, SLOs: []string{s.ID},
						Text: fmt.Sprintf("the group %s is to hear of incidents as %s, and has neither addresses nor webhooks", quote(g.Name), a.Name),
						Fix:  "add email or webhooks to it",
					})
				}
			}
			if !heard {
				c.add(Finding{
					Kind: KindUntold, Severity: Error, Place: s.Place, SLO: s.ID,
					Text: fmt.Sprintf("nobody of the audience %s would be told of SLO %s at %s", a.Name, quote(s.ID), s.Priority),
					Fix:  "name a group that has recipients and hears of that priority",
				})
			}
		}
	}
}

func duration(d time.Duration) string { return model.Duration(d).String() }

// quote quotes what stands in a file, cut where it is long.
func quote(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return strconv.Quote(text)
}

func conjunction(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	if n := len(quoted) - 1; n > 0 {
		return strings.Join(quoted[:n], ", ") + " and " + quoted[n]
	}
	return strings.Join(quoted, "")
}

// Reached says whether alerts of the SLO come to sitrep: at least one that it surely claims, and
// each of those.
func (c *Coverage) Reached() Verdict {
	v := Never
	sure := false
	for _, l := range c.Links {
		got := min(l.Claimed, l.Routed)
		if l.Claimed == Always && l.Routed != Always {
			return min(Maybe, max(v, got))
		}
		sure = sure || got == Always
		v = max(v, got)
	}
	if !sure {
		v = min(v, Maybe)
	}
	return v
}

// Merge returns one report of those of the same promise and rules with several Alertmanagers: an
// alert comes to sitrep if it does through each.
func Merge(reports []*Report) *Report {
	out := *reports[0]
	for _, r := range reports[1:] {
		for i := range r.Findings {
			f := r.Findings[i]
			if !slices.ContainsFunc(out.Findings, func(g Finding) bool {
				return g.Kind == f.Kind && g.Place == f.Place && g.SLO == f.SLO && g.Text == f.Text
			}) {
				out.Findings = append(out.Findings, f)
			}
		}
		for i := range r.SLOs {
			for j := range r.SLOs[i].Links {
				if l := &out.SLOs[i].Links[j]; r.SLOs[i].Links[j].Routed < l.Routed {
					*l = r.SLOs[i].Links[j]
				}
			}
		}
		out.Others = min(out.Others, r.Others)
	}
	return &out
}
