package wording

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"sitrep/incident"
)

// summaryLimit is how many characters of an alert's summary a message carries.
const summaryLimit = 240

// Alerts is [Language.Alerts] in English.
func Alerts(it *incident.Item) []incident.ListedAlert { return In(english).Alerts(it) }

// Alerts returns the alerts that a message names of an item, their texts as they are
// shown: clean, in one line each, and cut; none if it names none. One without a name has one
// that says so.
func (l *Language) Alerts(it *incident.Item) []incident.ListedAlert {
	if it.Alerts == nil {
		return nil
	}
	shown := slices.Clone(it.Alerts.Alerts)
	for i := range shown {
		a := &shown[i]
		a.Name, a.Summary, a.URL = Line(a.Name, nameLimit), Line(a.Summary, summaryLimit), Link(a.URL)
		if a.Name == "" {
			a.Name = l.say("alert.nameless")
		}
		labels := make(map[string]string, len(a.Labels))
		for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
			labels[Line(name, nameLimit)] = Line(a.Labels[name], nameLimit)
		}
		a.Labels = labels
	}
	return shown
}

// alertSection names the alerts, for those who look into them.
func alertSection(m *incident.Message, it *incident.Item, clock Clock) Section {
	l := clock.Language
	shown := l.Alerts(it)
	if len(shown) == 0 {
		return Section{}
	}
	section := Section{Heading: l.say("heading.alert")}
	if it.Alerts.Total > 1 {
		section.Heading = l.say("heading.alerts")
	}
	more := it.Alerts.Total - len(shown)
	if more > 0 {
		section.Heading = l.count("heading.latest_alerts", len(shown), "total", strconv.Itoa(it.Alerts.Total))
	}
	for i := range shown {
		a := &shown[i]
		small := l.say("alert.since", "time", clock.Full(a.StartsAt))
		if a.State == incident.BreachUnknown {
			small = l.say("alert.unknown", "said", small)
			if !a.HeardAt.IsZero() {
				small = l.say("breaches.heard", "said", small, "time", clock.Time(a.HeardAt))
			}
		}
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
			labels = append(labels, name+"="+a.Labels[name])
		}
		if len(labels) > 0 {
			small += "; " + strings.Join(labels, ", ")
		}
		section.Lines = append(section.Lines, Entry{Text: a.Name, Says: a.Summary, Small: small, URL: a.URL})
	}
	if more > 0 {
		section.Lines = append(section.Lines, Entry{Text: l.count("alerts.more", more), URL: Link(page(m, it.Incident.Number) + "#breaches")})
	}
	return section
}

// alertNames names the alerts in one line, for a digest; "" if there are none.
func (l *Language) alertNames(it *incident.Item) string {
	var names []string
	for _, a := range l.Alerts(it) {
		if !slices.Contains(names, a.Name) {
			names = append(names, a.Name)
		}
	}
	switch {
	case len(names) == 0:
		return ""
	case it.Alerts.Total == 1:
		return l.say("alerts.one", "name", names[0])
	case it.Alerts.Total > len(names):
		return l.count("alerts.of", it.Alerts.Total, "names", strings.Join(names, l.say("list.comma")))
	}
	return l.say("alerts.all", "names", l.list(names))
}

// ackEntry asks the people on call to say that they are on it, and leads to the button;
// ok is false if that is said, or nothing is to be done.
func (l *Language) ackEntry(m *incident.Message, it *incident.Item) (e Entry, ok bool) {
	in := &it.Incident
	if !m.ToOnCall() || in.State != incident.StateOpen || in.OnIt() || it.Kind == incident.KindLeft {
		return Entry{}, false
	}
	return Entry{Text: l.say("alert.ack"), Command: "sitrep incident ack " + in.ID(), URL: Link(page(m, in.Number) + ackAnchor), Button: true}, true
}

// ackAnchor is where the button "I am on it" is on an incident's page.
const ackAnchor = "#acknowledge"
