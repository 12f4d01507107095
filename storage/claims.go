package storage

import (
	"context"
	"time"

	"sitrep/incident"
)

// A Claim is when an SLO last claimed an alert that opened an incident.
type Claim struct {
	Incident int64
	At       time.Time // when it opened
}

// declaredInARow is how many incidents in a row that people declared are passed over.
const declaredInARow = 20

// LastClaims returns the last claim of each SLO, by id; one that never claimed an alert is
// left out. Incidents are never deleted, and say how many breaches they had, so that holds
// when those were pruned. Of one SLO it costs the same however many incidents there are. What an
// alert of it joined after its incident was merged into another's is not seen by it.
func LastClaims(ctx context.Context, r Snapshot, slos []*incident.SLO) (map[string]Claim, error) {
	keys := make([]string, len(slos))
	for i, s := range slos {
		keys[i] = s.Key
	}
	latest, err := r.LatestOf(ctx, keys)
	if err != nil {
		return nil, err
	}
	claims := map[string]Claim{}
	for _, s := range slos {
		number := latest[s.Key]
		if len(s.Per) > 0 {
			under, err := r.LatestUnder(ctx, s.Key+"{")
			if err != nil {
				return nil, err
			}
			number = max(number, under)
		}
		for range declaredInARow {
			if number == 0 {
				break
			}
			in, err := IncidentOf(ctx, r, number)
			if err != nil {
				return nil, err
			}
			if in.Breaches.Total > 0 {
				claims[s.ID] = Claim{in.Number, in.OpenedAt}
				break
			}
			number = in.Previous
		}
	}
	return claims, nil
}
