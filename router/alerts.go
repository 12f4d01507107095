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
	breachEvents = 400 // events, the latest
	breachLooks  = 100 // breaches that those events name
	// alertsOfDigest is of how many incidents a digest names them.
	alertsOfDigest = 50
)

// alerts returns the alerts to name in a message about the item's incident, nil if none
// are: nothing fires, or it is told that something is over.
func alerts(ctx context.Context, r storage.Snapshot, it *incident.Item) (*incident.AlertList, error) {
	switch it.Kind {
	case incident.KindOpened, incident.KindReopened, incident.KindPriority, incident.KindUpdate, incident.KindReminder:
	default:
		return nil, nil
	}
	live, err := liveBreaches(ctx, r, &it.Incident)
	if err != nil {
		return nil, err
	}
	return incident.NewAlertList(&it.Incident, live), nil
}

// liveBreaches returns the breaches of an incident, and of those merged into it, that
// fire or are unknown: all of them where there are few, else those that arrived first
// and those of which the log says last that they began.
func liveBreaches(ctx context.Context, r storage.Snapshot, in *incident.Incident) ([]incident.Breach, error) {
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
		cursor := ""
		for missing > 0 && left > 0 {
			page, next, err := r.Breaches(ctx, number, min(left, 200), cursor)
			if err != nil {
				return nil, err
			}
			for i := range page {
				add(&page[i])
			}
			left -= len(page)
			if cursor = next; cursor == "" {
				break
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
