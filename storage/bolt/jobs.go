package bolt

import (
	"context"
	"fmt"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// jobPrefix is what the keys of meta begin with that hold the jobs, as JSON.
const jobPrefix = "job:"

// A keptJob is what is kept of a storage.Job.
type keptJob struct {
	Owner string    `json:"owner,omitempty"` // empty if nobody has it
	Until time.Time `json:"until,omitzero"`
	Done  time.Time `json:"done,omitzero"` // zero if it was never done
	For   string    `json:"for,omitempty"` // of what was done
}

func jobKey(j storage.Job) key { return key(jobPrefix).rest(j.Name) }

func checkJob(j storage.Job) error {
	if j.Name == "" || len(j.Name) > 200 || j.Owner == "" {
		return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("job %q of owner %q: it needs both, and a name of up to 200 bytes", j.Name, j.Owner)}
	}
	return nil
}

func (t *tx) TakeJob(_ context.Context, j storage.Job, now time.Time) (bool, error) {
	if err := checkJob(j); err != nil {
		return false, err
	}
	var kept keptJob
	if _, err := t.getJSON(bMeta, jobKey(j), &kept); err != nil {
		return false, err
	}
	another := kept.Owner != "" && kept.Owner != j.Owner && kept.Until.After(now)
	done := !kept.Done.IsZero() && kept.For == j.For && !kept.Done.After(now) && now.Sub(kept.Done) < j.Every
	if another || done {
		return false, nil
	}
	kept.Owner, kept.Until = j.Owner, now.Add(j.Lease)
	return true, t.putJSON(bMeta, jobKey(j), kept)
}

func (t *tx) EndJob(_ context.Context, j storage.Job, done time.Time) error {
	if err := checkJob(j); err != nil {
		return err
	}
	var kept keptJob
	if _, err := t.getJSON(bMeta, jobKey(j), &kept); err != nil {
		return err
	}
	if kept.Owner != j.Owner {
		return fmt.Errorf("end job %q: %w", j.Name, storage.ErrLost)
	}
	return t.putJSON(bMeta, jobKey(j), keptJob{Done: done, For: j.For})
}

// Lock does nothing: one function runs at a time.
func (t *tx) Lock(context.Context, storage.Needs) error { return nil }
