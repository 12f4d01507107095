package alertmanagers

import "time"

// A Verdict says what is known of one breach.
type Verdict string

// The verdicts.
const (
	// Firing: at least one Alertmanager lists it.
	Firing Verdict = "firing"
	// NotReported: all Alertmanagers answered, each would know of it, and none lists it.
	NotReported Verdict = "not reported"
	// Unknown: nobody lists it, but not everybody is in a position to know.
	Unknown Verdict = "unknown"
)

// An Answer is what the Alertmanagers said at one time. The zero Answer knows
// nothing.
type Answer struct {
	Asked, Answered int // Alertmanagers
	reports         []*report
}

// A report is what one Alertmanager said.
type report struct {
	firing    map[string]int64 // startsAt in milliseconds, by fingerprint
	startedAt time.Time        // zero: not known
	at        time.Time        // when it said so, by its own clock
}

// Reports returns what is known of the breach with that fingerprint and startsAt,
// which was last heard to fire at heardAt.
//
// One that lists it wins over all that do not. Otherwise an Alertmanager's silence
// counts only if it has run since heardAt, or for ten minutes: it forgets all
// alerts when it restarts, until Prometheus sends them again. The same fingerprint
// listed with an earlier startsAt fires since before this breach, which so goes on;
// with a later one, another breach began and this one is over.
func (a Answer) Reports(fingerprint string, startsAt, heardAt time.Time) Verdict {
	know := 0
	for _, r := range a.reports {
		since, ok := r.firing[fingerprint]
		// The API cuts startsAt to milliseconds, so ours is cut too.
		if ok && since <= startsAt.UnixMilli() {
			return Firing
		}
		if ok || !r.startedAt.After(heardAt) || r.at.Sub(r.startedAt) >= settled {
			know++
		}
	}
	if a.Asked > 0 && know == a.Asked {
		return NotReported
	}
	return Unknown
}
