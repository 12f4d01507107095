package command

import (
	"context"
	"errors"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// An Outlook is what several requests would bring about that are carried out one after the
// other, each for itself.
type Outlook struct {
	// Refused has for each request, in order, why it would be refused; nil if it would not.
	Refused []error
	// Effects are what the others bring about, by the number of the incident. Of one that is
	// merged, those who read on in the other do not leave.
	Effects map[int64]incident.Preview
}

// Foresee returns what several requests would bring about, and does nothing. The error is one
// that no request is the reason of.
func Foresee(ctx context.Context, repo *storage.Repository, at time.Time, requests []*Request) (*Outlook, error) {
	o := &Outlook{Refused: make([]error, len(requests)), Effects: map[int64]incident.Preview{}}
	// First each alone: one that is refused may have begun, and is to leave nothing behind.
	for i, r := range requests {
		err := repo.Preview(ctx, at, func(c *storage.Change) error {
			_, err := r.Apply(c, nil)
			return err
		}, func(storage.Snapshot, []storage.Foreseen) error { return nil })
		if err != nil && !Refusal(err) {
			return nil, err
		}
		o.Refused[i] = err
	}
	for {
		again := false
		var policy *incident.Policy
		err := repo.Preview(ctx, at, func(c *storage.Change) error {
			policy = c.Policy
			for i, r := range requests {
				if o.Refused[i] != nil {
					continue
				}
				if _, err := r.Apply(c, nil); err != nil {
					if Refusal(err) { // because of one before it
						o.Refused[i], again = err, true
					}
					return err
				}
			}
			return nil
		}, func(_ storage.Snapshot, all []storage.Foreseen) error {
			o.compare(all, policy)
			return nil
		})
		if again {
			continue
		}
		return o, err
	}
}

// compare notes what becomes of each incident.
func (o *Outlook) compare(all []storage.Foreseen, policy *incident.Policy) {
	byNumber := make(map[int64]*incident.Situation, len(all))
	for i := range all {
		byNumber[all[i].After.Incident.Number] = all[i].After
	}
	for i := range all {
		s := all[i].After
		p := incident.Compare(all[i].Before, s, policy)
		if into := byNumber[s.Incident.MergedInto]; into != nil {
			var leaves []incident.PlannedReader
			for _, l := range p.Leaves {
				if sub := into.Subscription(l.Recipient.ID); sub == nil || !sub.Active {
					leaves = append(leaves, l)
				}
			}
			p.Leaves = leaves
		}
		o.Effects[s.Incident.Number] = p
	}
}

// Refusal reports whether an error says that the command cannot be carried out as it is, and
// not that something is wrong with sitrep.
func Refusal(err error) bool {
	return errors.Is(err, incident.ErrInvalid) || errors.Is(err, incident.ErrNotFound) || errors.Is(err, incident.ErrConflict) || errors.Is(err, incident.ErrChanged)
}
