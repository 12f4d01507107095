package postgres

import (
	"context"
	"fmt"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

func checkJob(j storage.Job) error {
	if j.Name == "" || len(j.Name) > 200 || j.Owner == "" {
		return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("job %q of owner %q: it needs both, and a name of up to 200 bytes", j.Name, j.Owner)}
	}
	return nil
}

func (t *tx) TakeJob(ctx context.Context, j storage.Job, now time.Time) (taken bool, err error) {
	if err := checkJob(j); err != nil {
		return false, err
	}
	t.exec(`insert into jobs (name) values ($1) on conflict (name) do update set name = excluded.name where false`, name(j.Name))
	return t.one(ctx, []any{&taken}, `update jobs set owner = $2, until = clock_timestamp() + $3::interval
		where name = $1 and not (owner is not null and owner <> $2 and until > clock_timestamp())
			and not (done_at is not null and done_for = $4 and done_at <= $5 and done_at > $6)
		returning true`, name(j.Name), name(j.Owner), j.Lease, []byte(j.For), now.Add(2*storage.MostSkew), now.Add(-j.Every))
}

func (t *tx) EndJob(ctx context.Context, j storage.Job, done time.Time) error {
	if err := checkJob(j); err != nil {
		return err
	}
	var ended bool
	if _, err := t.one(ctx, []any{&ended}, `update jobs set owner = null, until = null, done_at = $3, done_for = $4
		where name = $1 and owner = $2 returning true`, name(j.Name), name(j.Owner), moment(done), []byte(j.For)); err != nil {
		return err
	}
	if !ended {
		return fmt.Errorf("end job %q: %w", j.Name, storage.ErrLost)
	}
	return nil
}
