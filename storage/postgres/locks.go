package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// selectReachedAgendas has no parameter, so that its plan is kept.
var selectReachedAgendas = fmt.Sprintf(`select i.number, a.body, coalesce((select max(b) from records where kind = %d and a = i.number), 0)
	from unnest(current_setting('sitrep.reached')::bigint[]) i (number) left join agendas a on a.number = i.number`, ledger.Event)

// Lock implements storage.Locker, in one round trip as a rule: what is locked is read, too.
func (t *tx) Lock(ctx context.Context, n storage.Needs) error {
	if locked, err := t.together.lock(n); locked || err != nil {
		return err
	}
	return t.lock(ctx, n)
}

func (t *tx) lock(ctx context.Context, n storage.Needs) error {
	leases, _ := texts(n.Leases)
	t.queueClaims(leases)
	keys := missing(n.Keys, t.keys)
	t.queueKeys(keys)
	led, _ := names(missing(n.Fingerprints, t.breaches)) // those whose breaches may lead to incidents
	fingerprints, of := names(missing(slices.Concat(n.Fingerprints, n.Fresh), t.breaches))
	slices.Sort(fingerprints)
	incidents := missing(n.Incidents, t.incidents)
	reached := slices.Clone(keys) // those that lead to incidents that may not be locked
	for _, key := range n.Keys {
		if number := t.keys[key]; number != 0 && t.incidents[number] == nil {
			reached = append(reached, key)
		}
	}
	if len(reached)+len(led)+len(incidents) > 0 {
		all, _ := names(reached)
		t.exec(`with recursive reached (number) as (
				select number from (
					select unnest($1::bigint[])
					union all select latest from keys where key = any($2)
					union all select b.incident from unnest($3::text[]) f (fingerprint), lateral (
						select incident from breaches where fingerprint = f.fingerprint and not old order by ordinal desc limit 1) b
				) n (number) where number <> 0
				union select m.merged_into from reached r, lateral (
					select merged_into from incidents where number = r.number limit 1) m where m.merged_into <> 0
			) select set_config('sitrep.reached', array(select number from reached)::text, true)`,
			incidents, all, led)
		t.ask(eachRow(t.holdIncident), `select `+incidentColumns+` from incidents where number = any(current_setting('sitrep.reached')::bigint[]) order by number for update`)
		// What belongs to them is read by statements of their own, once they are locked.
		t.ask(t.holdAgendas, selectReachedAgendas)
	}
	t.queueSubscriptions(n.Readers)
	if len(fingerprints) > 0 {
		t.queueBreaches(fingerprints, of)
		t.queueUnmapped(lockUnmapped, fingerprints, of)
	}
	t.lockPulses(n.Pulses)
	t.queueGeneration()
	if err := t.send(ctx); err != nil {
		return err
	}
	// What was moved or merged while this waited.
	for {
		var more []int64
		for _, held := range t.incidents {
			more = append(more, held.mergedInto)
		}
		for _, fp := range slices.Concat(n.Fingerprints, n.Fresh) {
			if b := t.breaches[fp]; b != nil {
				more = append(more, b.incident)
			}
		}
		before := len(t.incidents)
		if err := t.lockIncidents(ctx, more); err != nil || len(t.incidents) == before {
			return err
		}
	}
}

// queueKeys asks for keys that are not locked yet, and locks them.
func (t *tx) queueKeys(keys []string) {
	if len(keys) == 0 {
		return
	}
	all, of := names(keys)
	slices.Sort(all)
	t.exec("insert into keys (key) select unnest($1::text[]) on conflict do nothing", all)
	t.ask(eachRow(func(rows pgx.Rows) error {
		var key string
		var latest int64
		err := rows.Scan(&key, &latest)
		t.keys[of[key]] = latest
		return err
	}), "select key, latest from keys where key = any($1) order by key for update", all)
}

func (t *tx) LatestOf(ctx context.Context, keys []string) (map[string]int64, error) {
	t.queueKeys(missing(keys, t.keys))
	if err := t.send(ctx); err != nil {
		return nil, err
	}
	all := make(map[string]int64, len(keys))
	for _, key := range keys {
		if number := t.keys[key]; number != 0 {
			all[key] = number
		}
	}
	return all, nil
}

// incidentColumns are what holdIncident reads.
const incidentColumns = "number, state, drill, priority, team, slo, merged_into, body"

func (t *tx) holdIncident(rows pgx.Rows) error {
	var number int64
	held := new(heldIncident)
	l := &held.line
	err := rows.Scan(&number, &l.state, &l.drill, &l.priority, &l.team, &l.slo, &l.mergedInto, &held.body)
	t.incidents[number] = held
	return err
}

// lockIncidents locks and reads those of the incidents that are there and are not held yet.
func (t *tx) lockIncidents(ctx context.Context, numbers []int64) error {
	numbers = slices.DeleteFunc(missing(numbers, t.incidents), func(n int64) bool { return n == 0 })
	if len(numbers) == 0 {
		return nil
	}
	return t.each(ctx, t.holdIncident, "select "+incidentColumns+" from incidents where number = any($1) order by number for update", numbers)
}

func (t *tx) IncidentsByNumber(ctx context.Context, numbers []int64) (map[int64]*incident.Incident, error) {
	if err := t.lockIncidents(ctx, numbers); err != nil {
		return nil, err
	}
	all := make(map[int64]*incident.Incident, len(numbers))
	for _, number := range numbers {
		held := t.incidents[number]
		if held == nil || all[number] != nil {
			continue
		}
		in, err := decodeIncident(number, held.body)
		if err != nil {
			return nil, err
		}
		all[number] = in
	}
	return all, nil
}

// holdAgendas reads agendas of incidents, and the sequences of their latest events. Of one that
// is not locked it holds nothing.
func (t *tx) holdAgendas(rows pgx.Rows) error {
	return eachRow(func(rows pgx.Rows) error {
		var number, last int64
		var body []byte
		err := rows.Scan(&number, &body, &last)
		if t.incidents[number] == nil {
			return err
		}
		t.agendas[number] = body
		if _, known := t.sequences[number]; !known {
			t.sequences[number] = last
		}
		return err
	})(rows)
}
