package router

import (
	"context"
	"slices"

	"sitrep/incident"
	"sitrep/storage"
)

// How far is looked for the alerts that a message names, so that its cost does not
// grow with the breaches of an incident.
const (
	breachesRead = 800 // breaches, the first to arrive first
	breachPage   = 200 // of them at once
	breachEvents = 400 // events, the latest
	breachLooks  = 100 // breaches that those events name
	// alertsOfDigest is of how many incidents a digest names them.
	alertsOfDigest = 50
)

// namesAlerts reports whether the alerts of the incident are named to who is told: to those on call,
// and not where something is over.
func (t *told) namesAlerts() bool {
	switch t.item.Kind {
	case incident.KindOpened, incident.KindReopened, incident.KindPriority, incident.KindUpdate, incident.KindReminder:
		return slices.Contains(t.planned.Reader.Audiences, incident.AudienceOnCall)
	}
	return false
}

// addAlerts adds to items the alerts that a message names of their incidents, if any fire. Those of
// an incident are read once, however many are told of it.
func addAlerts(ctx context.Context, r storage.Snapshot, items []*incident.Item) error {
	each := map[int64]*incident.Item{} // one of each incident
	var numbers []int64
	for _, it := range items {
		if each[it.Incident.Number] == nil {
			each[it.Incident.Number] = it
			numbers = append(append(numbers, it.Incident.Number), it.Incident.MergedFrom...)
		}
	}
	if len(numbers) == 0 {
		return nil
	}
	first, err := r.FirstBreaches(ctx, numbers, breachPage)
	if err != nil {
		return err
	}
	for _, it := range each {
		live, err := liveBreaches(ctx, r, &it.Incident, first)
		if err != nil {
			return err
		}
		it.Alerts = incident.NewAlertList(&it.Incident, live)
	}
	for _, it := range items {
		it.Alerts = each[it.Incident.Number].Alerts
	}
	return nil
}

// liveBreaches returns the breaches of an incident, and of those merged into it, that
// fire or are unknown: all of them where there are few, else those that arrived first
// and those of which the log says last that they began. The first pages were read.
func liveBreaches(ctx context.Context, r storage.Snapshot, in *incident.Incident, first map[int64]storage.BreachPage) ([]incident.Breach, error) {
	var live []incident.Breach
	numbers := append([]int64{in.Number}, in.MergedFrom...)
	seen := map[string]bool{}
	missing := in.Breaches.Firing + in.Breaches.Unknown
	add := func(b *incident.Breach) {
		if b.State == incident.BreachEnded || seen[b.Fingerprint] || !slices.Contains(numbers, b.Incident) {
			return
		}
		seen[b.Fingerprint] = true
		live = append(live, *b)
		missing--
	}
	left := breachesRead
	for _, number := range numbers {
		for page := first[number]; missing > 0 && left > 0; {
			some := page.Breaches[:min(left, len(page.Breaches))]
			for i := range some {
				add(&some[i])
			}
			if left -= len(some); page.Next == "" || missing <= 0 || left == 0 {
				break
			}
			var err error
			if page.Breaches, page.Next, err = r.Breaches(ctx, number, min(left, breachPage), page.Next); err != nil {
				return nil, err
			}
		}
	}
	if missing <= 0 {
		return live, nil
	}
	events, err := storage.EventsOf(ctx, r, in.Number, max(0, in.Sequence-breachEvents), breachEvents)
	if err != nil {
		return nil, err
	}
	var began []string // fingerprints, those that the log says last first
	for _, e := range slices.Backward(events) {
		if fp := e.Data.Fingerprint; e.Type == incident.EventBreachStarted && len(began) < breachLooks && !slices.Contains(began, fp) {
			began = append(began, fp)
		}
	}
	latest, err := r.LatestBreaches(ctx, began)
	if err != nil {
		return nil, err
	}
	for _, fp := range began {
		if b := latest[fp]; b != nil && missing > 0 {
			add(b)
		}
	}
	return live, nil
}
