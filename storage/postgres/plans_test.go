package postgres_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router"
	"sitrep/router/routertest"
	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

const (
	// planRows is how many events there are while plans are looked at, unless SITREP_ROWS says
	// otherwise: the other tables have as many rows as go with that.
	planRows = 100_000
	// planLooked is through how many rows a statement may look that it does not need, and
	// planTaken how many it may take.
	planLooked, planTaken = 1000, 12_000
)

// rare is in what is asked once when the clock was set back.
var rare = []string{"where released_at > $1 and retry_at > $1", "retry_at > $1 and refused_at > $1"}

// bigTables are those that grow with what happened, or with who reads along.
var bigTables = []string{
	"incidents", "keys", "event_texts", "agendas", "breaches", "unmapped", "records", "chunks", "subscriptions", "queue", "claims",
	"deliveries", "delivery_incidents", "messages", "expired", "answers",
}

// fill is a store in which much happened before. All that is due is due in 2027 and later.
func fill(t *testing.T, database string, events int) {
	t.Helper()
	const later = "timestamptz '2027-01-01'"
	var pairs []string
	for name, n := range map[string]int{
		"events": events, "incidents": events / 40, "tenth": events / 10, "breaches": events / 4,
		"subscriptions": min(events/2, 1_000_000), "readers": min(events/4, 200_000), "unmapped": min(events/2, 100_000),
	} {
		pairs = append(pairs, "$"+name, strconv.Itoa(n))
	}
	n := strings.NewReplacer(append(pairs, "$later", later)...)
	for _, sql := range []string{
		"set synchronous_commit = off",
		"alter table chunks alter column stored set storage extended",
		`insert into incidents (number, state, priority, team, slo, drill, merged_into, text, body)
			select n, 3, 'P' || 1 + n % 3, 'team' || n % 50, 'old' || n % 1000, false, 0, 'broken', convert_to('{"number":' || n || ',"state":"closed","key":"old","priority":{"name":"P1"}}', 'UTF8')
			from generate_series(1, $incidents) n`,
		"insert into incident_counts (state, priority, team, drill, n) select state, priority, team, drill, count(*) from incidents group by 1, 2, 3, 4",
		"update numbers set last = $incidents",
		"insert into keys (key, latest) select 'old' || n, n from generate_series(1, $incidents) n",
		"insert into agendas (number, next_at, body) select n, case when n % 10 = 0 then $later + n * interval '1 s' end, '{}' from generate_series(1, $incidents) n",
		"insert into event_texts (incident, sequence, text) select n, 1, 'we look' from generate_series(1, $incidents) n",
		`insert into breaches (fingerprint, ordinal, incident, quiet_since, ask_at, body)
			select 'old' || n, 1, n % $incidents + 1, case when n % 5 = 0 then $later + n * interval '1 s' end, case when n % 50 = 0 then $later + n * interval '1 s' end,
			convert_to('{"fingerprint":"old' || n || '","state":"ended"}', 'UTF8') from generate_series(1, $breaches) n`,
		"insert into unmapped (fingerprint, body) select 'none' || n, '{}' from generate_series(1, $unmapped) n",
		"insert into records (kind, a, b, chunk, pos, leaf) select 1, i / 40 + 1, i % 40 + 1, i / 10, i % 10, '{}' from generate_series(0, $events - 1) i",
		"insert into chunks (id, n, first, stored) select i, 10, i * 10, decode(repeat('00', 1472), 'hex') from generate_series(0, $tenth - 1) i",
		"select setval('chunk_ids', $tenth)",
		"update ledger set size = $tenth * 10",
		`insert into subscriptions (incident, recipient, due_at, urgency, body)
			select i / 4 + 1, 'mail:user' || (i * 7919) % $readers || '@example.org', case when i % 3 <> 0 then $later + (i * 104729) % 172800000 * interval '1 ms' end, i % 7,
			convert_to('{"incident":' || i / 4 + 1 || ',"recipient":"mail:user' || (i * 7919) % $readers || '@example.org"}', 'UTF8')
			from generate_series(0::bigint, $subscriptions - 1) i on conflict do nothing`,
		"insert into queue (recipient, due_at) select recipient, min(due_at) from subscriptions group by 1",
		"insert into claims (recipient) select recipient from queue",
		`insert into deliveries (arrival, id, state, recipient, due_at, created_at, retry_at, audience, address, kind, channel, body)
			select i, 'd' || i, case when i % 500 = 0 then 1 else 2 + i % 3 end, 'mail:user' || (i * 31) % $readers || '@example.org', timestamptz '2026-01-01' + i * interval '5 s',
			timestamptz '2026-01-01' + i * interval '5 s', case when i % 1000 = 0 then $later end, 'g' || i % 50, 'user' || (i * 31) % $readers || '@example.org', 'opened', 'mail',
			convert_to('{"id":"d' || i || '","created_at":"2026-01-01T00:00:00Z"}', 'UTF8') from generate_series(1::bigint, $tenth) i`,
		"select setval('delivery_arrivals', $tenth)",
		`insert into delivery_incidents (arrival, place, incident, body) select arrival, 0, arrival % $incidents + 1, convert_to('{"kind":"opened"}', 'UTF8') from deliveries`,
		"insert into messages (arrival, body) select arrival, 'hello' from deliveries",
		"insert into expired (what, since, number) select k, $later + n * interval '1 min', n from generate_series(1, $incidents) n, unnest(array[ascii('p'), ascii('b'), ascii('m')]) k",
		"insert into answers (key, at, body) select 'k' || n, $later + n * interval '1 s', '{}' from generate_series(1, $incidents) n",
		"vacuum analyze",
	} {
		run(t, database, n.Replace(sql))
	}
}

// filled returns a store in which much happened before.
func filled(t *testing.T) (cluster *postgrestest.Cluster, database string) {
	t.Helper()
	events := planRows
	if s := os.Getenv("SITREP_ROWS"); s != "" {
		var err error
		if events, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	cluster = postgrestest.Start(t)
	database = cluster.Database(t)
	if _, err := postgres.Migrate(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	fill(t, database, events)
	t.Logf("filled with %d events in %s", events, time.Since(began).Round(time.Millisecond))
	return cluster, database
}

// explained is the URL of a store of whose every statement, those in functions too, the server
// logs how it went about it.
func explained(base string, more ...string) string {
	settings := append([]string{"session_preload_libraries=auto_explain", "auto_explain.log_min_duration=0", "auto_explain.log_nested_statements=on", "auto_explain.log_analyze=on", "auto_explain.log_timing=off"}, more...)
	return base + "&options=" + strings.ReplaceAll(url.QueryEscape("-c "+strings.Join(settings, " -c ")), "+", "%20")
}

// everyday does what a service does all the time, several times.
func everyday(t *testing.T, db *postgres.DB, round string) {
	t.Helper()
	ctx := t.Context()
	in := taker(t, db)
	in.Log = slog.New(slog.DiscardHandler)
	slo := in.Repo.Policy().SLOs[0].ID
	later := time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC) // when much is due
	for i := range 8 {                                   // from the sixth time on a plan may be kept
		for _, resolved := range []bool{false, true} {
			for _, n := range []int{1, 100} {
				if _, err := in.Take(ctx, postOf(slo, fmt.Sprint(round, i), n, resolved)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := db.Glance(ctx); err != nil {
			t.Fatal(err)
		}
		must(t, db.Read(ctx, func(r storage.Snapshot) error { return lists(ctx, r, later, slo) }))
		must(t, db.Write(ctx, func(tx storage.Tx) error {
			waiting, err := tx.Waiting(ctx, later, 64)
			if err != nil {
				return err
			}
			ids := make([]string, len(waiting))
			for k := range waiting {
				ids[k] = waiting[k].Recipient
			}
			leases, err := tx.TakeLeases(ctx, later, "me", time.Hour, ids)
			if err == nil && len(leases) != 64 {
				err = fmt.Errorf("%d leases", len(leases))
			}
			for k := range leases {
				if err == nil {
					err = tx.ReleaseLease(ctx, &leases[k], later, time.Time{}, "", 0)
				}
			}
			return err
		}))
		must(t, db.Write(ctx, func(tx storage.Tx) error {
			_, err := tx.EndWaits(ctx, later)
			return err
		}))
	}
}

// lists reads what people and other programs ask for.
func lists(ctx context.Context, r storage.Snapshot, at time.Time, slo string) error {
	day := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	for _, q := range []storage.IncidentQuery{
		{}, {State: incident.StateOpen}, {State: incident.StateClosed}, {Team: "team7"}, {NoTeam: true}, {SLO: slo}, {Priority: "P1", OldestFirst: true}, {Cursor: "1000"}, {State: incident.StateClosed, Team: "team7", Priority: "P2"},
	} {
		q.Limit = 20
		_, _, err := r.Incidents(ctx, q)
		note(err)
	}
	for _, q := range []storage.DeliveryQuery{
		{}, {ID: "d77"}, {Incident: 77}, {State: incident.DeliveryPending}, {Address: "user7@example.org"}, {Group: "g7"}, {From: day, To: day.Add(time.Hour)}, {Kind: incident.KindLeft}, {Message: true}, {OldestFirst: true},
	} {
		q.Limit, q.Brief = 20, true
		_, _, err := r.Deliveries(ctx, q)
		note(err)
	}
	_, err := r.CountIncidents(ctx)
	note(err)
	_, err = r.IncidentsByNumber(ctx, []int64{1, 2, 3})
	note(err)
	_, err = r.Agendas(ctx, []int64{1, 2, 3})
	note(err)
	_, err = r.Subscriptions(ctx, []int64{1, 2, 3})
	note(err)
	_, err = r.LatestOf(ctx, []string{"old1", "old2"})
	note(err)
	_, err = r.LatestUnder(ctx, "old77")
	note(err)
	_, err = r.DueAgendas(ctx, at, 500)
	note(err)
	_, err = r.NextDue(ctx, at)
	note(err)
	_, err = r.Waiting(ctx, at, 5000)
	note(err)
	_, _, err = r.Backlog(ctx, at)
	note(err)
	_, next, err := r.DueReaders(ctx, at, 100, "")
	note(err)
	_, _, err = r.DueReaders(ctx, at, 100, next)
	note(err)
	_, err = r.Backoffs(ctx, []string{"mail:user7@example.org"}, at)
	note(err)
	_, err = r.RecipientStates(ctx, []string{"mail:user7@example.org"})
	note(err)
	_, next, err = r.Breaches(ctx, 7, 10, "")
	note(err)
	_, _, err = r.Breaches(ctx, 7, 10, next)
	note(err)
	_, err = r.FirstBreaches(ctx, []int64{7, 8}, 10)
	note(err)
	for _, by := range []storage.BreachTime{storage.BreachesSilent, storage.BreachesToAsk} {
		_, err = r.DueBreaches(ctx, by, at, 100)
		note(err)
	}
	_, _, err = r.UnmappedAlerts(ctx, 100, "none5")
	note(err)
	_, err = storage.EventRecords(ctx, r, 7, 20, 10)
	note(err)
	_, err = r.RecordsSince(ctx, map[int64]int64{7: 20, 8: 30}, 10)
	note(err)
	_, err = r.Leaves(ctx, 5000, 500)
	note(err)
	_, err = r.ReadHashes(ctx, []int64{10, 1000, 5000})
	note(err)
	_, err = r.Checkpoints(ctx, -1, 10)
	note(err)
	_, err = r.Message(ctx, "d77")
	note(err)
	_, err = storage.DeliveryRecords(ctx, r, "d77")
	note(err)
	_, err = r.Expired(ctx, storage.ExpiryPeople, at, 100)
	note(err)
	_, err = r.Answer(ctx, "k7")
	note(err)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// What is asked often is found by an index, however much there is: every statement of the
// everyday, those in the functions of the database too, whether its plan is kept or made anew.
func TestBigTablesAreNotScanned(t *testing.T) {
	cluster, database := filled(t)
	cluster.Do(t, "postgres", "alter system set log_line_prefix = '%v '", "select pg_reload_conf()") // each line says of which transaction
	for _, mode := range []string{"auto", "force_generic_plan"} {
		everyday(t, open(t, explained(database, "plan_cache_mode="+mode)), mode)
	}
	synctest.Test(t, func(t *testing.T) {
		p := incidenttest.Policy()
		w := routertest.New(t, routertest.Options{Policy: p, Later: true, Poll: time.Minute, Retention: router.Retention{Breaches: time.Hour, Messages: time.Hour, Personal: time.Hour}, Open: func(ctx context.Context) (storage.Store, error) {
			db, err := postgres.Open(ctx, explained(database), postgres.Options{})
			return bubbled{db}, err
		}})
		w.Start()
		for i := range 8 {
			alert := w.Fire(p.SLOs[0].ID, fmt.Sprint("world", i))
			w.Pass(time.Minute)
			number := count(t, database, "select max(number) from incidents where state = 1")
			w.Do(number, command.Update{Message: "we look"})
			w.Pass(3 * time.Minute)
			w.Resolve(alert)
			w.Pass(time.Minute)
		}
		w.Pass(3 * time.Hour) // it closes, and what is kept of it is over
	})
	looked := 0
	for _, plan := range plans(cluster.Log()) {
		looked++
		isRare := slices.ContainsFunc(rare, func(of string) bool { return strings.Contains(string(plan), of) })
		if what := plan.wrong(); what != "" && !isRare {
			t.Errorf("%s:\n%s", what, plan)
		}
	}
	if looked < 1000 {
		t.Errorf("%d statements were explained", looked)
	}
	t.Logf("%d statements were explained", looked)
	checkLocks(t, cluster.Log())
}

// lockOrder is the order in which a write locks what others lock, too: see docs/high-availability.md.
// What is not in it is found under the lock of something that is, or is locked by nobody else.
var lockOrder = []string{"claims", "keys", "incidents", "breaches", "unmapped", "answers", "pulses", "numbers", "deliveries", "queue"}

// checkLocks looks whether each transaction in the log of a server locked in that order.
func checkLocks(t *testing.T, log []byte) {
	t.Helper()
	locked := map[string][]string{} // the tables of a transaction, in the order of the first lock
	for _, p := range plans(log) {
		who, text := p.of()
		for _, m := range planLocks.FindAllStringSubmatch(text, -1) {
			what, table := cmp.Or(m[1], m[3]), cmp.Or(m[2], m[4])
			if what == "Insert" && (table == "claims" || table == "deliveries") {
				continue // of rows that nobody knows of yet
			}
			if slices.Contains(lockOrder, table) && !slices.Contains(locked[who], table) {
				locked[who] = append(locked[who], table)
			}
		}
	}
	place := func(a, b string) int { return slices.Index(lockOrder, a) - slices.Index(lockOrder, b) }
	several := 0
	for who, tables := range locked {
		if len(tables) > 1 {
			several++
		}
		if !slices.IsSortedFunc(tables, place) {
			t.Errorf("transaction %s locks %v, want the order %v", who, tables, lockOrder)
		}
	}
	if several < 50 {
		t.Errorf("%d transactions locked more than one kind", several)
	}
}

// claimed is how many recipients are leased at once, and claimRounds how often.
const claimed, claimRounds = 64, 20

// What a process does all the time costs as little however much is due, and however many are to be
// told: the most pages that a statement may touch are given for each recipient.
func TestAClaimTouchesFewPages(t *testing.T) {
	cluster, database := filled(t)
	db := open(t, explained(database, "auto_explain.log_buffers=on"))
	at := time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC) // all is due
	ctx := t.Context()
	in := taker(t, db)
	for i := range claimRounds {
		_, err := in.Take(ctx, postOf(in.Repo.Policy().SLOs[0].ID, fmt.Sprint("p", i), 10, false))
		must(t, err)
		for deadline := time.Now().Add(patience); count(t, database, "select count(*) from chunks where first is null") > 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("leaves get no place in the log")
			}
		}
		if _, err := db.Glance(ctx); err != nil {
			t.Fatal(err)
		}
		var ids []string
		must(t, db.Read(ctx, func(r storage.Snapshot) error {
			waiting, err := r.Waiting(ctx, at, claimed)
			for k := range waiting {
				ids = append(ids, waiting[k].Recipient)
			}
			return err
		}))
		must(t, db.Write(ctx, func(tx storage.Tx) error {
			leases, err := tx.TakeLeases(ctx, at, "me", 1000*time.Hour, ids) // not over at that time
			if err == nil && len(leases) != claimed {
				err = fmt.Errorf("%d leases", len(leases))
			}
			return err
		}))
	}
	touched, took := map[string][]int{}, map[string][]float64{}
	all := plans(cluster.Log())
	for _, part := range []struct {
		what, query string
		most        int
	}{
		{"a glance", "select coalesce(g.number, 0), g.at", 4 * claimed},
		{"who waits", "select recipient, next_at from queue where next_at <= $1", 4 * claimed},
		{"how urgent that is", "select u.urgency, u.incident", 14 * claimed},
		{"the leases", "select * from take_leases", 40 * claimed},
		{"what is due", "select * from due_to", 20 * claimed},
		{"their places in the queue", "select move_in_queue", 80 * claimed},
		{"whether leaves have no place", "select exists (select from chunks where first is null)", 20},
		{"leaves without a place", "select id, hashes from chunks", 20},
		{"the places of leaves", "update chunks c set first", 100},
	} {
		for _, p := range all {
			if strings.Contains(string(p), "Query Text: "+part.query) {
				touched[part.what], took[part.what] = append(touched[part.what], p.touched()), append(took[part.what], p.took())
			}
		}
		slices.Sort(touched[part.what])
		slices.Sort(took[part.what])
		pages := touched[part.what]
		if len(pages) < claimRounds {
			t.Errorf("%s: %d statements were explained", part.what, len(pages))
			continue
		}
		most := pages[len(pages)*9/10] // a page that is full, or is cleaned up, costs more now and then
		t.Logf("%s: %d pages, %d at most; %.2f ms at the median", part.what, most, pages[len(pages)-1], took[part.what][len(pages)/2])
		if most > part.most {
			t.Errorf("%s touches %d pages, want at most %d", part.what, most, part.most)
		}
	}
}

// A bubbled store has the clock of the bubble.
type bubbled struct{ storage.Store }

func (bubbled) Clock(context.Context) (time.Time, error) {
	return time.Now().UTC().Truncate(time.Microsecond), nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A plan is how the server went about a statement.
type plan string

// plans are those in the log of a server.
func plans(log []byte) (all []plan) {
	var one []string
	for line := range strings.Lines(string(log)) {
		if rest, more := strings.CutPrefix(line, "\t"); more && one != nil {
			one = append(one, rest)
			continue
		}
		if one != nil {
			all = append(all, plan(strings.Join(one, "")))
		}
		if one = nil; strings.Contains(line, "plan:") {
			one = []string{line}
		}
	}
	if one != nil {
		all = append(all, plan(strings.Join(one, "")))
	}
	return all
}

var (
	// What stands above a scan locks the rows of its table.
	planLocks   = regexp.MustCompile(`(?s)(LockRows).*?Scan(?: Backward)?(?: using \w+)? on (?:public\.)?(\w+)|(?:(Insert|Update|Delete) on (?:public\.)?(\w+))`)
	planScan    = regexp.MustCompile(`Seq Scan on (?:public\.)?(\w+)`)
	planRemoved = regexp.MustCompile(`Rows Removed by (?:Filter|Index Recheck): (\d+)`)
	planTook    = regexp.MustCompile(`duration: ([\d.]+) ms`)
	planPages   = regexp.MustCompile(`Buffers: shared((?: (?:hit|read|dirtied|written)=\d+)+)`)
	planPage    = regexp.MustCompile(`(?:hit|read)=(\d+)`)
	planActual  = regexp.MustCompile(`Scan.* on .*actual rows=(\d+) loops=(\d+)`)
)

// of returns the transaction in which it was, and what the server did.
func (p plan) of() (transaction, text string) {
	line, text, _ := strings.Cut(string(p), "\n")
	transaction, _, _ = strings.Cut(line, " ")
	return transaction, text
}

// took returns how many milliseconds a statement took.
func (p plan) took() float64 {
	m := planTook.FindStringSubmatch(string(p))
	if m == nil {
		return 0
	}
	took, _ := strconv.ParseFloat(m[1], 64)
	return took
}

// touched returns how many pages a statement touched, with the functions that it calls.
func (p plan) touched() (n int) {
	first := planPages.FindStringSubmatch(string(p)) // of the topmost node, which counts those below too
	if first == nil {
		return 0
	}
	for _, m := range planPage.FindAllStringSubmatch(first[1], -1) {
		pages, _ := strconv.Atoi(m[1])
		n += pages
	}
	return n
}

// wrong says what is wrong with a plan, if anything is.
func (p plan) wrong() string {
	for _, m := range planScan.FindAllStringSubmatch(string(p), -1) {
		if slices.Contains(bigTables, m[1]) {
			return m[1] + " is scanned"
		}
	}
	for _, m := range planRemoved.FindAllStringSubmatch(string(p), -1) {
		if n, _ := strconv.Atoi(m[1]); n > planLooked {
			return m[1] + " rows are looked at for nothing"
		}
	}
	for _, m := range planActual.FindAllStringSubmatch(string(p), -1) {
		rows, _ := strconv.Atoi(m[1])
		loops, _ := strconv.Atoi(m[2])
		if rows*loops > planTaken {
			return fmt.Sprint(rows*loops, " rows are taken")
		}
	}
	return ""
}
