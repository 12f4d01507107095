package postgres

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// states are those of incidents by their numbers.
var states = [...]incident.State{1: incident.StateOpen, 2: incident.StateResolved, 3: incident.StateClosed}

// stateNumber returns the number of a state, 0 if it is none.
func stateNumber(s incident.State) int16 {
	for n := 1; n < len(states); n++ {
		if states[n] == s {
			return int16(n)
		}
	}
	return 0
}

// A line is what incidents are listed, counted and followed by.
type line struct {
	state               int16
	drill               bool
	priority, team, slo string
	mergedInto          int64
}

func lineOf(in *incident.Incident) line {
	return line{stateNumber(in.State), in.Drill, text(in.Priority.Name), text(in.Team), text(in.SLO), in.MergedInto}
}

// A kind is what incidents are counted by.
type kind struct {
	state          int16
	drill          bool
	priority, team string
}

func (l *line) kind() kind { return kind{l.state, l.drill, l.priority, l.team} }

func (r *reader) IncidentsByNumber(ctx context.Context, numbers []int64) (map[int64]*incident.Incident, error) {
	all := make(map[int64]*incident.Incident, len(numbers))
	if len(numbers) == 0 {
		return all, nil
	}
	return all, r.each(ctx, func(rows pgx.Rows) error {
		var number int64
		var body []byte
		if err := rows.Scan(&number, &body); err != nil {
			return err
		}
		in, err := decodeIncident(number, body)
		all[number] = in
		return err
	}, "select number, body from incidents where number = any($1)", numbers)
}

func (r *reader) LatestOf(ctx context.Context, keys []string) (map[string]int64, error) {
	latest := make(map[string]int64, len(keys))
	all, of := names(keys)
	if len(all) == 0 {
		return latest, nil
	}
	return latest, r.each(ctx, func(rows pgx.Rows) error {
		var key string
		var number int64
		err := rows.Scan(&key, &number)
		latest[of[key]] = number
		return err
	}, "select key, latest from keys where key = any($1) and latest > 0", all)
}

func (r *reader) LatestUnder(ctx context.Context, prefix string) (latest int64, err error) {
	if name(prefix) != prefix {
		return 0, nil
	}
	_, err = r.one(ctx, []any{&latest}, "select coalesce(max(latest), 0) from keys where key >= $1 and key < $1 || chr(1114111)", prefix)
	return latest, err
}

func (r *reader) Incidents(ctx context.Context, q storage.IncidentQuery) (page []incident.Incident, next string, err error) {
	if err := checkLimit(q.Limit); err != nil {
		return nil, "", err
	}
	var from int64 // the last that was seen; 0 if none was
	if q.Cursor != "" {
		if from, err = parseCursor(q.Cursor); err != nil {
			return nil, "", err
		}
	}
	if q.State != "" && stateNumber(q.State) == 0 {
		return nil, "", nil
	}
	sql, args := listIncidents(&q, from)
	var numbers []int64
	err = r.each(ctx, func(rows pgx.Rows) error {
		var number int64
		var body []byte
		if err := rows.Scan(&number, &body); err != nil {
			return err
		}
		if numbers = append(numbers, number); len(numbers) > q.Limit {
			next = strconv.FormatInt(numbers[q.Limit-1], 10)
			return nil
		}
		in, err := decodeIncident(number, body)
		page = append(page, *in)
		return err
	}, sql, args...)
	return page, next, err
}

// listIncidents returns the question for a page of incidents, and one more. With a filter it is
// asked of each state and priority that there is: each answer is a stretch of an index, and is
// asked for as one, so that no other index seems better where few fit.
func listIncidents(q *storage.IncidentQuery, from int64) (sql string, args []any) {
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	order, above, below := "desc", int64(0), int64(math.MaxInt64)
	switch {
	case q.OldestFirst:
		order, above = "asc", from
	case from > 0:
		below = from
	}
	var kinds, where []string
	if q.State != "" {
		kinds = append(kinds, "state = "+arg(stateNumber(q.State)))
	}
	if q.Priority != "" {
		kinds = append(kinds, "priority = "+arg(text(q.Priority)))
	}
	columns, values := "i.state, i.priority", "k.state, k.priority"
	switch {
	case q.SLO != "":
		columns, values = "i.slo, "+columns, arg(text(q.SLO))+", "+values
		where = append(where, "i.slo <> ''")
		if q.Team != "" || q.NoTeam {
			where = append(where, "i.team = "+arg(text(q.Team)))
		}
	case q.Team != "" || q.NoTeam:
		team := arg(text(q.Team))
		kinds, columns, values = append(kinds, "team = "+team), "i.team, "+columns, team+", "+values
	case len(kinds) == 0:
		columns, values = "", ""
	}
	for _, word := range storage.SearchWords(q.Text) {
		w := arg(text(word))
		where = append(where, "(position("+w+" in i.text) > 0 or exists (select from event_texts e where e.incident = i.number and position("+w+" in e.text) > 0))")
	}
	limit := arg(q.Limit + 1)
	if columns == "" {
		where = append(where, "i.number > "+arg(above), "i.number < "+arg(below))
		return fmt.Sprintf("select i.number, i.body from incidents i where %s order by i.number %s limit %s", strings.Join(where, " and "), order, limit), args
	}
	columns, values = columns+", i.number", values+", "
	where = append(where, fmt.Sprintf("(%s) > (%s%s)", columns, values, arg(above)), fmt.Sprintf("(%s) < (%s%s)", columns, values, arg(below)))
	each := strings.ReplaceAll(columns, ",", " "+order+",") + " " + order
	return fmt.Sprintf(`select i.number, i.body from (select distinct state, priority from incident_counts where %s) k, lateral (
			select i.number, i.body from incidents i where %s order by %s limit %s) i
		order by i.number %s limit %s`, strings.Join(append(kinds, "true"), " and "), strings.Join(where, " and "), each, limit, order, limit), args
}

func (r *reader) CountIncidents(ctx context.Context) (all []storage.IncidentCount, err error) {
	err = r.each(ctx, func(rows pgx.Rows) error {
		var k kind
		var n int
		if err := rows.Scan(&k.state, &k.drill, &k.priority, &k.team, &n); err != nil {
			return err
		}
		if k.state < 1 || int(k.state) >= len(states) {
			return fmt.Errorf("read the counts of incidents: state %d: %w", k.state, storage.ErrDamaged)
		}
		all = append(all, storage.IncidentCount{State: states[k.state], Drill: k.drill, Priority: k.priority, Team: k.team, Count: n})
		return nil
	}, "select state, drill, priority, team, sum(n)::bigint from incident_counts group by state, drill, priority, team having sum(n) <> 0")
	return all, err
}

// NextNumber locks the latest number, and asks for it once.
func (t *tx) NextNumber(ctx context.Context) (int64, error) {
	if t.firstGiven == 0 {
		if _, err := t.one(ctx, []any{&t.last}, "select last from numbers for update"); err != nil {
			return 0, err
		}
		t.firstGiven = t.last + 1
	}
	t.given = max(t.given, t.last) + 1
	return t.given, nil
}

func (t *tx) PutIncidents(ctx context.Context, all []*incident.Incident) error {
	var unsure []int64
	for _, in := range all {
		if stateNumber(in.State) == 0 || in.Number < 1 {
			return fmt.Errorf("put incident %d: state %q", in.Number, in.State)
		}
		if t.firstGiven == 0 || in.Number < t.firstGiven { // else it is new, or this transaction put it
			unsure = append(unsure, in.Number)
		}
	}
	if err := t.lockIncidents(ctx, unsure); err != nil {
		return err
	}
	for _, in := range all {
		body, err := encode("incident "+in.ID(), in)
		if err != nil {
			return err
		}
		was, is := t.incidents[in.Number], &heldIncident{lineOf(in), body}
		if was == nil {
			t.sequences[in.Number] = 0
			t.putNew(in, is)
			if known, ok := t.keys[in.Key]; ok && !in.Drill {
				t.keys[in.Key] = max(known, in.Number)
			}
		} else {
			put(&t.counts, was.kind(), t.counts[was.kind()]-1)
			t.putIncident(in, is)
		}
		if is.state == stateNumber(incident.StateClosed) && (was == nil || was.state != is.state) {
			t.expireIncident(in)
		}
	}
	return nil
}

// putNew notes an incident that is stored for the first time.
func (t *tx) putNew(in *incident.Incident, is *heldIncident) {
	t.last, t.highest = max(t.last, in.Number), max(t.highest, in.Number)
	if !in.Drill {
		key := name(in.Key)
		put(&t.putKeys, key, max(t.putKeys[key], in.Number))
	}
	t.putIncident(in, is)
}

// putIncident notes an incident that is stored with all others of the transaction.
func (t *tx) putIncident(in *incident.Incident, is *heldIncident) {
	put(&t.counts, is.kind(), t.counts[is.kind()]+1)
	put(&t.putTexts, in.Number, text(string(storage.AppendIncidentText(nil, in))))
	t.incidents[in.Number] = is
	t.writes++
}

// queueIncidents queues the incidents that were put, and what follows from them: the highest
// number, the latest of keys, and how many more or fewer there are of a kind.
func (t *tx) queueIncidents() {
	if len(t.putTexts) == 0 {
		return
	}
	numbers := slices.Sorted(maps.Keys(t.putTexts))
	var s []int16
	var drills []bool
	var priorities, teams, slos, texts []string
	var merged []int64
	var bodies [][]byte
	for _, n := range numbers {
		held := t.incidents[n]
		s, drills, priorities, teams = append(s, held.state), append(drills, held.drill), append(priorities, held.priority), append(teams, held.team)
		slos, merged, bodies, texts = append(slos, held.slo), append(merged, held.mergedInto), append(bodies, held.body), append(texts, t.putTexts[n])
	}
	t.putTexts = nil
	t.exec(`insert into incidents (number, state, drill, priority, team, slo, merged_into, text, body)
		select * from unnest($1::bigint[], $2::smallint[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::bytea[])
		on conflict (number) do update set state = excluded.state, drill = excluded.drill, priority = excluded.priority, team = excluded.team,
			slo = excluded.slo, merged_into = excluded.merged_into, text = excluded.text, body = excluded.body`,
		numbers, s, drills, priorities, teams, slos, merged, texts, bodies)
	t.queueNumbers()
	t.countIncidents()
}

// queueNumbers queues the highest number of an incident, and the latest of keys, by their names.
func (t *tx) queueNumbers() {
	if t.highest > 0 {
		t.exec("update numbers set last = $1 where last < $1", t.highest)
		t.highest = 0
	}
	if len(t.putKeys) > 0 {
		keys := slices.Sorted(maps.Keys(t.putKeys))
		var numbers []int64
		for _, key := range keys {
			numbers = append(numbers, t.putKeys[key])
		}
		t.putKeys = nil
		t.exec("insert into keys (key, latest) select unnest($1::text[]), unnest($2::bigint[]) on conflict (key) do update set latest = greatest(keys.latest, excluded.latest)", keys, numbers)
	}
}

// countIncidents queues by how many there are more or fewer of kinds of incidents.
func (t *tx) countIncidents() {
	maps.DeleteFunc(t.counts, func(_ kind, n int64) bool { return n == 0 })
	if len(t.counts) == 0 {
		return
	}
	var s []int16
	var drills []bool
	var priorities, teams []string
	var by []int64
	for k, n := range t.counts {
		s, drills, priorities, teams, by = append(s, k.state), append(drills, k.drill), append(priorities, k.priority), append(teams, k.team), append(by, n)
	}
	t.counts = nil
	t.exec("insert into incident_counts (state, drill, priority, team, n) select * from unnest($1::smallint[], $2::boolean[], $3::text[], $4::text[], $5::bigint[])",
		s, drills, priorities, teams, by)
}

// expireIncident notes that an incident is over.
func (t *tx) expireIncident(in *incident.Incident) {
	t.expire(in.ClosedAt, in.Number, storage.ExpiryMessages, storage.ExpiryPeople)
	if in.MergedInto != 0 { // its breaches go on in another
		return
	}
	for _, number := range append([]int64{in.Number}, in.MergedFrom...) {
		t.expire(in.ClosedAt, number, storage.ExpiryBreaches)
	}
}

// askSequences asks for the sequences of the latest events of incidents.
func (t *tx) askSequences(numbers []int64) {
	if numbers = missing(numbers, t.sequences); len(numbers) > 0 {
		t.ask(eachRow(func(rows pgx.Rows) error {
			var number, last int64
			err := rows.Scan(&number, &last)
			t.sequences[number] = last
			return err
		}), "select q.n, coalesce((select max(b) from records where kind = $2 and a = q.n), 0) from unnest($1::bigint[]) q (n)", numbers, int16(ledger.Event))
	}
}

func (t *tx) AppendEvents(ctx context.Context, events []incident.Event) error {
	numbers := make([]int64, len(events))
	for i := range events {
		numbers[i] = events[i].Incident
	}
	t.askSequences(numbers)
	if len(missing(numbers, t.sequences)) > 0 {
		if err := t.send(ctx); err != nil {
			return err
		}
	}
	var of, sequences []int64
	var texts []string
	for i := range events {
		e := &events[i]
		if last := t.sequences[e.Incident]; e.Incident < 1 || e.Sequence != last+1 {
			return fmt.Errorf("append event %s/%d: the latest is %d", incident.ID(e.Incident), e.Sequence, last)
		}
		t.sequences[e.Incident] = e.Sequence
		r, err := storage.EncodeEvent(*e)
		if err != nil {
			return err
		}
		t.putRecord(ledger.Event, e.Incident, e.Sequence, r)
		if s := storage.EventText(e); s != "" {
			of, sequences, texts = append(of, e.Incident), append(sequences, e.Sequence), append(texts, text(s))
		}
	}
	if len(of) > 0 {
		t.exec("insert into event_texts (incident, sequence, text) select * from unnest($1::bigint[], $2::bigint[], $3::text[])", of, sequences, texts)
	}
	return nil
}

func (r *reader) Agendas(ctx context.Context, numbers []int64) (map[int64]incident.Agenda, error) {
	bodies := map[int64][]byte{}
	if len(numbers) > 0 {
		if err := r.query(ctx, scanAgendas(bodies), selectAgendas, numbers); err != nil {
			return nil, err
		}
	}
	return agendasOf(numbers, bodies)
}

const selectAgendas = "select number, body from agendas where number = any($1)"

func scanAgendas(bodies map[int64][]byte) func(pgx.Rows) error {
	return eachRow(func(rows pgx.Rows) error {
		var number int64
		var body []byte
		err := rows.Scan(&number, &body)
		bodies[number] = body
		return err
	})
}

func agendasOf(numbers []int64, bodies map[int64][]byte) (map[int64]incident.Agenda, error) {
	all := make(map[int64]incident.Agenda, len(numbers))
	for _, number := range numbers {
		a := incident.Agenda{Incident: number}
		if body := bodies[number]; body != nil {
			if err := decode("agenda of "+incident.ID(number), body, &a); err != nil {
				return nil, err
			}
		}
		all[number] = a
	}
	return all, nil
}

// Agendas remembers those of incidents that are locked, and reads the sequences of their latest
// events with them, which a change needs next.
func (t *tx) Agendas(ctx context.Context, numbers []int64) (map[int64]incident.Agenda, error) {
	asked := missing(numbers, t.agendas)
	if len(asked) > 0 {
		var locked []int64
		for _, n := range asked {
			if t.incidents[n] != nil {
				locked = append(locked, n)
			}
		}
		t.askSequences(locked)
		if err := t.query(ctx, scanAgendas(t.agendas), selectAgendas, asked); err != nil {
			return nil, err
		}
	}
	all, err := agendasOf(numbers, t.agendas)
	for _, n := range asked {
		if t.incidents[n] == nil {
			delete(t.agendas, n)
		} else if t.agendas[n] == nil {
			t.agendas[n] = nil
		}
	}
	return all, err
}

func (r *reader) DueAgendas(ctx context.Context, now time.Time, limit int) (due []int64, err error) {
	err = r.each(ctx, func(rows pgx.Rows) error {
		var number int64
		err := rows.Scan(&number)
		due = append(due, number)
		return err
	}, "select number from agendas where next_at <= $1 order by next_at, number limit $2", now, limit)
	return due, err
}

// PutAgendas is stored with all others of the transaction; of two of an incident the latter counts.
func (t *tx) PutAgendas(_ context.Context, all []incident.Agenda) error {
	for i := range all {
		a := &all[i]
		body, err := encode("agenda of "+incident.ID(a.Incident), a)
		if err != nil {
			return err
		}
		put(&t.putAgendas, a.Incident, putAgenda{moment(a.NextAt), body})
		t.writes++
		if t.incidents[a.Incident] != nil {
			t.agendas[a.Incident] = body
		}
	}
	return nil
}

// A putAgenda is an agenda that is to be stored.
type putAgenda struct {
	next *time.Time
	body []byte
}

// queueAgendas queues the agendas that were put.
func (t *tx) queueAgendas() {
	if len(t.putAgendas) == 0 {
		return
	}
	numbers := slices.Sorted(maps.Keys(t.putAgendas))
	var next []*time.Time
	var bodies [][]byte
	for _, n := range numbers {
		next, bodies = append(next, t.putAgendas[n].next), append(bodies, t.putAgendas[n].body)
	}
	t.putAgendas = nil
	t.exec(`insert into agendas (number, next_at, body) select * from unnest($1::bigint[], $2::timestamptz[], $3::bytea[])
		on conflict (number) do update set next_at = excluded.next_at, body = excluded.body`, numbers, next, bodies)
}
