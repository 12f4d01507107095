package alertmanagers

import (
	"time"

	"sitrep/incident"
)

// An Answer is what the Alertmanagers said at one time. The zero Answer knows
// nothing.
type Answer struct {
	Asked, Answered int // Alertmanagers
	reports         []*report
}

// A report is what one Alertmanager said.
type report struct {
	firing    map[string]struct{} // by fingerprint
	startedAt time.Time           // zero: not known
	at        time.Time           // when it said so, by its own clock
}

// Reports returns what is known of the breach with that fingerprint, which was last
// heard to fire at heardAt.
//
// One that lists it wins over all that do not, whatever startsAt it gives it: each
// sender has its own. Otherwise the silence of an Alertmanager counts only if it has
// run since heardAt, or for ten minutes: it forgets all alerts when it restarts,
// until Prometheus sends them again. Where one is in that position, it does not
// matter that others are not, or did not answer.
func (a Answer) Reports(fingerprint string, heardAt time.Time) incident.Verdict {
	verdict := incident.VerdictCannotTell
	for _, r := range a.reports {
		if _, ok := r.firing[fingerprint]; ok {
			return incident.VerdictListed
		}
		if r.knows(heardAt) {
			verdict = incident.VerdictNotListed
		}
	}
	return verdict
}

// knows reports whether the Alertmanager would list what was heard to fire at
// heardAt, if it still fires.
func (r *report) knows(heardAt time.Time) bool {
	return !r.startedAt.After(heardAt) || r.at.Sub(r.startedAt) >= informed
}
