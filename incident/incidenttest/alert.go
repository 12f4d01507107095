package incidenttest

import (
	"time"

	"sitrep/incident"
)

// Firing returns an alert of the SLO of that id that began at that time, as Sloth labels
// it. An empty id is an alert that no SLO claims.
func Firing(slo, fingerprint string, begin time.Time) incident.Alert {
	labels := map[string]string{"alertname": "Unclaimed"}
	if slo != "" {
		labels["alertname"], labels["sloth_id"] = slo, slo
	}
	return incident.Alert{Fingerprint: fingerprint, StartsAt: begin, Labels: labels}
}

// Ended returns the same alert when it has ended at that time.
func Ended(a incident.Alert, at time.Time) incident.Alert {
	a.Resolved, a.EndsAt = true, at
	return a
}
