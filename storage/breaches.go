package storage

import "sitrep/incident"

// breachPage is how many breaches EachBreach reads in one go.
const breachPage = 500

// EachBreach calls fn for each breach of the incident, and of those merged into it, until
// it returns an error, and returns that.
func EachBreach(r Reader, in *incident.Incident, fn func(*incident.Breach) error) error {
	for _, number := range append([]int64{in.Number}, in.MergedFrom...) {
		for cursor := ""; ; {
			page, next, err := r.Breaches(number, breachPage, cursor)
			if err != nil {
				return err
			}
			for i := range page {
				if err := fn(&page[i]); err != nil {
					return err
				}
			}
			if cursor = next; cursor == "" {
				break
			}
		}
	}
	return nil
}
