package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/e2e/rig"
	"sitrep/ledger"
)

// firstLived is the number of the first incident that is lived through. It stands in all that is
// stored of it, and nothing else looks like it.
const firstLived = 777_000_001

const (
	// breachesEach is how many breaches each incident of the year has, half of them from its
	// beginning.
	breachesEach = 10
	// lived is how many incidents are lived through: one of each SLO of a team.
	lived = 10
	// yearDays is on how many days there are incidents, and yearEnds how many days ago the last was.
	yearDays, yearEnds = 360, 10
)

// An alerter makes the alerts of an organisation. Those of an incident that is lived through have
// fingerprints whose first half tells which it is.
type alerter struct {
	team, slo int
	mark      string
}

func (a alerter) make(n int, status string) alert {
	made := alert{
		Status: status, StartsAt: time.Now().UTC().Truncate(time.Hour).Add(time.Duration(n) * time.Microsecond), Fingerprint: fmt.Sprintf("%s%08x", a.mark, n),
		Labels: map[string]string{
			"alertname": "ErrorBudgetBurn", "sitrep_slo": organisationSLO(a.team, a.slo), "severity": "critical", "cluster": "prod-eu",
			"namespace": unitName(a.team), "instance": fmt.Sprintf("10.0.%d.%d:8080", a.slo, n),
		},
		Annotations:  map[string]string{"summary": "The error budget burns 14.4 times as fast as it may", "description": "More than 1.44 % of requests failed within the last hour and the last five minutes"},
		GeneratorURL: "http://prometheus.example.org:9090/graph?g0.expr=slo%3Asli_error%3Aratio_rate1h",
	}
	if status == "resolved" {
		made.EndsAt = time.Now().UTC()
	}
	return made
}

// body is that of a post of the alerts from one on to before another.
func (a alerter) body(from, to int, status string) []byte {
	p := payload{Version: "4", GroupKey: `{}:{}`, Status: status, Receiver: "sitrep"}
	for n := from; n < to; n++ {
		p.Alerts = append(p.Alerts, a.make(n, status))
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return body
}

// liveThrough lets a sitrep live through one incident of each SLO of some teams, from the alert to the
// end: breaches, what people do and write, and every mail, which come to s. The first
// incident gets the number first.
func liveThrough(sitrep *rig.Sitrep, s *sink, first int, teams ...int) error {
	var incidents []alerter
	for _, team := range teams {
		for slo := range lived {
			incidents = append(incidents, alerter{team, slo, fmt.Sprintf("f00d%04d", len(incidents)+first%10_000-1)})
		}
	}
	post := func(from, to int, status string) error {
		for _, a := range incidents {
			if _, err := sitrep.Alerts(a.body(from, to, status)); err != nil {
				return err
			}
		}
		return nil
	}
	each := func(path string, body any) error {
		for i, a := range incidents {
			if strings.HasPrefix(path, "/actions") && priorityOf(a.slo) != "P1" {
				continue
			}
			if err := sitrep.Post(fmt.Sprintf("/api/v1/incidents/INC-%d%s", first+i, path), body, nil); err != nil {
				return err
			}
		}
		return nil
	}
	type fields map[string]string
	for _, step := range []struct {
		do              func() error
		onCall, readers int // mails to those who are told then
	}{
		{func() error { return post(0, breachesEach/2, "firing") }, 1, 1},
		{func() error { return each("/acknowledge", struct{}{}) }, 0, 0},
		{func() error {
			return each("/phase", fields{"phase": "investigation", "note": "The last release is looked at"})
		}, 0, 0},
		{func() error { return post(breachesEach/2, breachesEach, "firing") }, 0, 0},
		{func() error {
			return each("/updates", fields{"message": "We know the cause, and take the last release back. Customers can use the old page meanwhile."})
		}, 0, 1},
		{func() error {
			return each("/notes", fields{"text": "The new version asked for a table that was not there"})
		}, 0, 0},
		{func() error { return each("/updates", fields{"message": "The last release was taken back."}) }, 0, 1},
		{func() error { return post(0, breachesEach, "resolved") }, 0, 0},
		{func() error {
			return each("/resolve", fields{"note": "It works", "message": "All functions can be used again."})
		}, 1, 1},
		{func() error {
			return each("/actions/postmortem", fields{"state": "done", "link": "https://wiki.example.org/postmortem"})
		}, 0, 0},
		{func() error { return each("/close", fields{"note": "Done"}) }, 0, 0},
	} {
		mails := 0
		for _, a := range incidents {
			mails += step.onCall + step.readers*(mailsOf(a.slo)-1)
		}
		if err := s.after(mails, step.do); err != nil {
			return fmt.Errorf("%w\n%s", err, sitrep.Log())
		}
	}
	return untilTold(sitrep)
}

// mailsEach is how many mails an incident that is lived through has.
func mailsEach() float64 {
	sum := 0
	for slo := range lived {
		sum += 2 + 4*(mailsOf(slo)-1)
	}
	return float64(sum) / lived
}

// after does something, and waits for the mails that it brings.
func (s *sink) after(mails int, do func() error) error {
	want := s.count.Load() + int64(mails)
	if err := do(); err != nil {
		return err
	}
	if !rig.Poll(tellWithin, func() bool { return s.count.Load() >= want }) {
		return fmt.Errorf("%d mails of %d did not come within %s", want-s.count.Load(), mails, tellWithin)
	}
	return nil
}

// untilTold waits until the outcome of each mail is stored.
func untilTold(s *rig.Sitrep) error {
	return until(s, tellWithin, "the outcome of each mail is stored", func() (bool, error) {
		var pending struct {
			Deliveries []struct{} `json:"deliveries"`
		}
		err := s.Get("/api/v1/deliveries?state=pending&limit=1", &pending)
		return len(pending.Deliveries) == 0, err
	})
}

//go:embed year.sql
var yearSQL string

// A statement of yearSQL, and what it is called.
type statement struct{ name, sql string }

// yearStatements are those that make a year of what was lived through. days are the days that
// stand in it, as in 2026-01-31, in order.
func yearStatements(o organisation, incidents int, days []string) (all []statement) {
	leaves := "" // what a leaf of a kind is hashed with before it
	for _, kind := range []ledger.Kind{ledger.Event, ledger.Delivery} {
		leaves += fmt.Sprintf(` when %d then '\x00%x'`, kind, kind.String()+"\n")
	}
	refit := "$1"
	for i := range days {
		refit = fmt.Sprintf("replace(%s, '%sT', c.days[%d])", refit, days[i], i+1)
	}
	values := strings.NewReplacer(
		"{incidents}", strconv.Itoa(incidents), "{teams}", strconv.Itoa(o.teams), "{zone}", strconv.Itoa(teamsOfZone), "{first}", strconv.Itoa(firstLived),
		"{lived}", strconv.Itoa(lived), "{yearDays}", strconv.Itoa(yearDays), "{yearEnds}", strconv.Itoa(yearEnds), "{day}", days[0],
		"{days}", "'"+strings.Join(days, "','")+"'", "{refitDays}", refit, "{leaves}", leaves,
	)
	for part := range strings.SplitSeq(yearSQL, "\n-- = ") {
		name, sql, _ := strings.Cut(part, "\n")
		if strings.HasPrefix(name, "--") {
			continue // what it says of itself
		}
		all = append(all, statement{name, values.Replace(sql)})
	}
	return all
}

// multiply makes a year of incidents of those that were lived through, in the database, which no
// sitrep has meanwhile. What is said is told of each step.
func multiply(ctx context.Context, url string, o organisation, incidents int, said func(string)) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	days, err := daysIn(ctx, conn)
	if err != nil {
		return err
	}
	for _, s := range yearStatements(o, incidents, days) {
		began := time.Now()
		if _, err := conn.Exec(ctx, s.sql); err != nil {
			return fmt.Errorf("make a year, %s: %w", s.name, err)
		}
		said(fmt.Sprintf("%s: %s", s.name, time.Since(began).Round(10*time.Millisecond)))
	}
	return nil
}

var dayOf = regexp.MustCompile(`\b20\d\d-\d\d-\d\dT\d\d:`)

// daysIn returns the days that stand in what is stored of the incidents, in order.
func daysIn(ctx context.Context, conn *pgx.Conn) (days []string, err error) {
	rows, err := conn.Query(ctx, `select convert_from(body, 'LATIN1') from incidents union all select convert_from(leaf, 'LATIN1') from records where kind <> 2
		union all select convert_from(body, 'LATIN1') from agendas union all select convert_from(body, 'LATIN1') from subscriptions
		union all select convert_from(body, 'LATIN1') from deliveries union all select convert_from(body, 'LATIN1') from breaches`)
	if err != nil {
		return nil, err
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, t := range texts {
		for _, day := range dayOf.FindAllString(t, -1) {
			days = append(days, strings.TrimSuffix(day, day[len("2026-01-31"):]))
		}
	}
	slices.Sort(days)
	return slices.Compact(days), err
}
