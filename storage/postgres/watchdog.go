package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
)

func (r *reader) Pulses(ctx context.Context, of ...string) (all incident.Pulses, err error) {
	where, args := "body is not null", []any(nil)
	if len(of) > 0 {
		keys, _ := names(of)
		where, args = where+" and key = any ($1)", append(args, keys)
	}
	var bodies [][]byte
	err = r.each(ctx, func(rows pgx.Rows) error {
		var body []byte
		err := rows.Scan(&body)
		bodies = append(bodies, body)
		return err
	}, `select body from pulses where `+where, args...)
	if err != nil {
		return nil, err
	}
	return decodePulses(bodies)
}

// decodePulses returns pulses in the order of their names.
func decodePulses(bodies [][]byte) (all incident.Pulses, err error) {
	for _, body := range bodies {
		var p incident.Pulse
		if err := decode("pulse", body, &p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b incident.Pulse) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (t *tx) Pulses(ctx context.Context, of ...string) (incident.Pulses, error) {
	t.lockPulses(of)
	return t.reader.Pulses(ctx, of...)
}

// lockPulses locks pulses, in order, also those that are not there.
func (t *tx) lockPulses(of []string) {
	if len(of) == 0 {
		return
	}
	keys, _ := names(of)
	t.exec(`insert into pulses (key) select k from unnest($1::text[]) k order by k collate "C"
		on conflict (key) do update set key = excluded.key where false`, keys)
}

func (t *tx) PutPulses(ctx context.Context, all []incident.Pulse, gone []string) error {
	for i := range all {
		body, err := encode("pulse", &all[i])
		if err != nil {
			return err
		}
		t.exec(`insert into pulses (key, body) values ($1, $2) on conflict (key) do update set body = excluded.body`, name(all[i].Name), body)
	}
	if len(gone) == 0 {
		return nil
	}
	t.lockPulses(gone)
	keys, _ := names(gone)
	t.exec(`delete from pulses where key = any ($1)`, keys)
	return t.each(ctx, func(rows pgx.Rows) error {
		var recipient string
		err := rows.Scan(&recipient)
		t.moved(recipient)
		return err
	}, `delete from notices where pulse = any ($1) returning recipient`, keys)
}

func (r *reader) Notices(ctx context.Context, pulses ...string) (all []incident.Notice, err error) {
	where, args := "", []any(nil)
	if len(pulses) > 0 {
		keys, _ := names(pulses)
		where, args = " where pulse = any ($1)", append(args, keys)
	}
	err = r.each(ctx, func(rows pgx.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		var n incident.Notice
		err := decode("notice", body, &n)
		all = append(all, n)
		return err
	}, `select body from notices`+where, args...)
	slices.SortFunc(all, func(a, b incident.Notice) int {
		return cmp.Or(cmp.Compare(a.Pulse, b.Pulse), cmp.Compare(a.Recipient, b.Recipient))
	})
	return all, err
}

func (t *tx) Notices(ctx context.Context, pulses ...string) ([]incident.Notice, error) {
	t.lockPulses(pulses)
	return t.reader.Notices(ctx, pulses...)
}

func (t *tx) PutNotices(_ context.Context, all, gone []incident.Notice) error {
	if n := len(all); n > 0 {
		pulses, ids, due, bodies := make([]string, 0, n), make([]string, 0, n), make([]*time.Time, 0, n), make([][]byte, 0, n)
		seen := make(map[[2]string]bool, n)
		for i := n - 1; i >= 0; i-- { // of two of one reader the latter
			notice := &all[i]
			if key := [2]string{notice.Pulse, notice.Recipient}; seen[key] {
				continue
			} else {
				seen[key] = true
			}
			body, err := encode("notice", notice)
			if err != nil {
				return err
			}
			pulses, ids, due, bodies = append(pulses, name(notice.Pulse)), append(ids, text(notice.Recipient)), append(due, moment(notice.DueAt)), append(bodies, body)
			t.moved(notice.Recipient)
		}
		t.exec(`insert into notices (pulse, recipient, due_at, body)
			select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::bytea[])
			on conflict (pulse, recipient) do update set due_at = excluded.due_at, body = excluded.body`, pulses, ids, due, bodies)
	}
	if n := len(gone); n > 0 {
		pulses, ids := make([]string, n), make([]string, n)
		for i := range gone {
			pulses[i], ids[i] = name(gone[i].Pulse), text(gone[i].Recipient)
			if !gone[i].DueAt.IsZero() {
				t.moved(gone[i].Recipient)
			}
		}
		t.exec(`delete from notices n using unnest($1::text[], $2::text[]) g(pulse, recipient)
			where n.pulse = g.pulse and n.recipient = g.recipient`, pulses, ids)
	}
	return nil
}
