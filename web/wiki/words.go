package wiki

import (
	"fmt"
	"strings"

	"sitrep/wording"
)

// title names a priority and what it means.
func (q *Priority) title() string {
	if q.Summary == "" {
		return q.Name
	}
	return q.Name + ": " + q.Summary
}

// promise says in sentences who is informed, when and how often.
func (q *Priority) promise() string {
	if len(q.Audiences) == 0 {
		return "Informed: the team on call alone."
	}
	var who []string
	for _, a := range q.Audiences {
		who = append(who, a.String())
	}
	text := "Informed: " + strings.Join(who, ", ") + ". "
	if q.InformAfter == "" {
		text += "They are told at once"
	} else {
		text += "They are told of an incident that lasts longer than " + q.InformAfter
	}
	return text + ", then get an update at least every " + q.UpdateEvery + ", and hear when it is over."
}

func audienceNames(q *Priority) string {
	if len(q.Audiences) == 0 {
		return "the team on call"
	}
	var names []string
	for _, a := range q.Audiences {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

// recipients says who is in the group.
func (g *Group) recipients(o Options) string {
	if o.Addresses {
		return strings.Join(g.Recipients, ", ")
	}
	return fmt.Sprint(len(g.Recipients))
}

// informedAs says by which audiences the group is informed.
func (g *Group) informedAs() string {
	var as []string
	if g.Management {
		as = append(as, "management")
	}
	switch {
	case g.SLOs == 1:
		as = append(as, "stakeholders of 1 SLO")
	case g.SLOs > 1:
		as = append(as, fmt.Sprintf("stakeholders of %d SLOs", g.SLOs))
	}
	text := strings.Join(as, ", ")
	if len(g.Hears) > 0 {
		text += ", of " + wording.List(g.Hears) + " only"
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
