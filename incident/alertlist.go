package incident

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const (
	// AlertsListed is how many alerts a message names.
	AlertsListed = 5
	// labelsListed is how many labels it names of each.
	labelsListed = 4
)

// An AlertList names the alerts of an incident's breaches that fire or are unknown,
// for those who look into them.
type AlertList struct {
	Alerts []ListedAlert // those that began last, the latest first; 1 to AlertsListed
	Total  int           // how many fire or are unknown, named or not
}

// A ListedAlert is a breach by what its alert says of itself, which is strangers'
// text.
type ListedAlert struct {
	Name    string // its label alertname, else its fingerprint
	Summary string // its annotation summary, else description, else empty
	URL     string // where it comes from; http, https or empty
	// Labels are up to four that tell it from the others; of one that is alone, those
	// that say more than the incident does.
	Labels   map[string]string
	StartsAt time.Time
	HeardAt  time.Time   // when it was last heard to fire; zero if that is not known
	State    BreachState // Firing or Unknown
}

// NewAlertList returns the list for an incident, given those of its breaches that are
// known; nil if none of them fires or is unknown.
func NewAlertList(in *Incident, breaches []Breach) *AlertList {
	var live []*Breach
	for i := range breaches {
		if b := &breaches[i]; b.State == BreachFiring || b.State == BreachUnknown {
			live = append(live, b)
		}
	}
	if len(live) == 0 {
		return nil
	}
	slices.SortFunc(live, func(a, b *Breach) int {
		return cmp.Or(b.StartsAt.Compare(a.StartsAt), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	list := &AlertList{Total: max(len(live), in.Breaches.Firing+in.Breaches.Unknown)}
	names := tellingApart(live)
	if len(live) == 1 {
		names = sayingMore(live[0], in)
	}
	for _, b := range live[:min(len(live), AlertsListed)] {
		a := ListedAlert{
			Name: cmp.Or(b.Labels["alertname"], b.Fingerprint), Summary: cmp.Or(b.Annotations["summary"], b.Annotations["description"]),
			URL: b.GeneratorURL, StartsAt: b.StartsAt, HeardAt: b.HeardAt, State: b.State, Labels: map[string]string{},
		}
		for _, name := range names {
			if v := b.Labels[name]; v != "" {
				a.Labels[name] = v
			}
		}
		list.Alerts = append(list.Alerts, a)
	}
	return list
}

// tellingApart returns the labels beside the name in which alerts differ, those with
// the most values first.
func tellingApart(alerts []*Breach) []string {
	values := map[string]map[string]int{} // by label, and how often each
	for _, b := range alerts {
		for name, v := range b.Labels {
			if values[name] == nil {
				values[name] = map[string]int{}
			}
			values[name][v]++
		}
	}
	var names []string
	for name, of := range values {
		everywhere := false // with one value
		for _, n := range of {
			everywhere = everywhere || n == len(alerts)
		}
		if name != "alertname" && !everywhere {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(len(values[b])-len(values[a]), cmp.Compare(a, b))
	})
	return names[:min(len(names), labelsListed)]
}

// sayingMore returns the labels of a lone alert that do not repeat what the incident
// or the alert's name says, and are not for a tool.
func sayingMore(b *Breach, in *Incident) []string {
	said := []string{b.Labels["alertname"], in.SLO, in.SLI, in.Service, in.Team}
	var names []string
	for name, v := range b.Labels {
		forTool := strings.HasPrefix(name, "__") || strings.HasPrefix(name, "sloth_") || strings.HasPrefix(name, "sitrep_")
		if !forTool && in.Labels[name] != v && !slices.Contains(said, v) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), labelsListed)]
}
