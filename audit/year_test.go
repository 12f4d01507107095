package audit_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router"
	"sitrep/router/routertest"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

var keepIn = flag.String("keep", "", "keep the report and the export in this folder, to look at them")

var wholeYear = flag.Bool("year", false, "make the year of 2,000 incidents instead of a smaller one")

// A size is how much of a year there is. Between the times of each month in which
// something happens sitrep is stopped, so that the test does not wait for it.
type size struct {
	teams, slos, incidents int // incidents a month
	hours                  int // a month
}

func yearSize() size {
	if *wholeYear {
		return size{teams: 10, slos: 20, incidents: 167, hours: 60}
	}
	return size{teams: 10, slos: 20, incidents: 18, hours: 10}
}

// Every figure of the report on a year is computed again from what the far ends saw,
// and from what the test did.
func TestTheFiguresOfAYearAreThoseOfTheFarEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	path := filepath.Join(routertest.Dir(t), "year.db")
	key := testKey(t, "sitrep.example.org/ledger")
	var end time.Time
	synctest.Test(t, func(t *testing.T) {
		w := makeYear(t, path, yearSize())
		rep, err := audit.MakeReport(t.Context(), w.Store(), audit.ReportOptions{Now: now()})
		if err != nil {
			t.Fatal(err)
		}
		a := newAccountant(t, w)
		a.audit()
		compareTallies(t, a, rep)
		compareLives(t, w, rep)
		keepReport(t, rep)
		end = now()
		if _, err := storage.SignLog(t.Context(), w.Store(), key, end); err != nil {
			t.Fatal(err)
		}
	})
	// Outside the bubble the clock is real.
	store, err := bolt.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	measure := func(what string, fn func()) {
		began := time.Now()
		fn()
		t.Logf("%s took %v", what, time.Since(began).Round(time.Millisecond))
	}
	var rep *audit.Report
	measure("the report", func() {
		var err error
		if rep, err = audit.MakeReport(t.Context(), store, audit.ReportOptions{Now: end}); err != nil {
			t.Fatal(err)
		}
		for _, write := range []func(io.Writer) error{rep.WriteHTML, rep.WriteCSV, rep.WriteJSON} {
			if err := write(io.Discard); err != nil {
				t.Error(err)
			}
		}
	})
	var zip bytes.Buffer
	measure("the export of all", func() {
		sum, err := audit.Export(t.Context(), store, &zip, audit.ExportOptions{Now: end, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v, %d bytes", sum, zip.Len())
	})
	checkLinks(t, files(t, zip.Bytes()))
	measure("the export of one incident", func() {
		if _, err := audit.Export(t.Context(), store, io.Discard, audit.ExportOptions{Selection: audit.Selection{Incident: 1}, Now: end, Key: key}); err != nil {
			t.Fatal(err)
		}
	})
	measure("verifying the export of all", func() {
		if v := verify(t, zip.Bytes(), audit.VerifyOptions{Keys: []string{key.Public()}}); !v.OK() {
			t.Errorf("findings %v", v.Findings)
		}
	})

	// Without names and addresses the figures are the same.
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if store, err = bolt.Open(t.Context(), path, bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	measure("forgetting all people", func() { forget(t, store, end) })
	later, err := audit.MakeReport(t.Context(), store, audit.ReportOptions{Now: end})
	if err != nil {
		t.Fatal(err)
	}
	sameButForPeople(t, later, rep)
	v, err := audit.Verify(t.Context(), store, audit.VerifyOptions{Keys: []string{key.Public()}})
	if err != nil || !v.OK() || v.Forgotten == 0 {
		t.Errorf("verified %+v, %v", v, err)
	}
}

// compareTallies compares what was owed and how it came.
func compareTallies(t *testing.T, a *accountant, rep *audit.Report) {
	t.Helper()
	got := books{{"total", ""}: &rep.Total, {"drill", ""}: &rep.Drills}
	for by, figures := range map[string]map[string]*audit.Figures{"priority": rep.ByPriority, "team": rep.ByTeam, "month": rep.ByMonth} {
		for name, f := range figures {
			got[part{by, name}] = f
		}
	}
	for p, want := range a.all {
		f := got[p]
		if f == nil {
			t.Errorf("%v is not in the report", p)
			continue
		}
		for what, pair := range map[string][2]audit.Tally{
			"openings": {f.Openings, want.Openings}, "updates": {f.Updates, want.Updates}, "on call": {f.OnCall, want.OnCall},
		} {
			if !reflect.DeepEqual(pair[0], pair[1]) {
				t.Errorf("%s of %s %s:\n got %+v\nwant %+v", what, p.by, p.name, pair[0], pair[1])
			}
		}
	}
	for p, f := range got {
		if a.all[p] == nil && f.Openings.Owed+f.Updates.Owed+f.OnCall.Owed > 0 {
			t.Errorf("%v is only in the report", p)
		}
	}
	if total := rep.Total; total.Openings.Held == 0 || total.Openings.Late == 0 || total.Openings.Missed == 0 || total.Updates.Held == 0 || total.Updates.Late == 0 || total.Updates.Missed == 0 || total.OnCall.Late == 0 || rep.Drills.Openings.Owed == 0 {
		t.Errorf("the year is too quiet to show anything: %+v", total)
	}
}

// A window is a time in which a far end, or all that have mail, does not answer.
type window struct {
	from, to time.Time
	only     string // empty: all mail
}

// makeYear lets an organisation live through a year.
func makeYear(t testing.TB, path string, s size) *world {
	w := newWorld(t, routertest.File(path), organisation(s.teams, s.slos), 7)
	var windows []window
	refused := window{only: incidenttest.Mail("gone").ID}
	w.far.delay = func() time.Duration { return time.Duration(rand.IntN(1500)) * time.Millisecond }
	w.far.fails = func(recipient string) error {
		at := now()
		for _, o := range windows {
			if !at.Before(o.from) && at.Before(o.to) && (o.only == recipient || o.only == "" && recipient[:6] == "email:") {
				return errServer
			}
		}
		if recipient == refused.only && !at.Before(refused.from) && at.Before(refused.to) {
			return fmt.Errorf("RCPT %q: 550 no such user: %w", recipient, router.ErrPermanent)
		}
		if rand.IntN(300) == 0 {
			return fmt.Errorf("connection lost after the final dot: %w", router.ErrUnknown)
		}
		return nil
	}
	year := now().Year()
	var stopped time.Time
	for month := time.January; month <= time.December; month++ {
		start := time.Date(year, month, 2, 0, 30, 0, 0, time.UTC)
		if month == time.April {
			start = start.Add(-150 * time.Minute) // four hours before a quiet time
		}
		end := start.Add(time.Duration(s.hours) * time.Hour)
		time.Sleep(time.Until(start))
		windows = windows[:0]
		hour := func(h float64) time.Time { return start.Add(time.Duration(h * float64(time.Hour))) }
		switch month {
		case time.February:
			windows = append(windows, window{from: hour(2), to: hour(2.7)})
		case time.May:
			windows = append(windows, window{from: hour(4), to: hour(9)})
		case time.September:
			windows = append(windows, window{from: hour(3), to: hour(3.5), only: hook("status").ID}, window{from: hour(5), to: hour(6), only: incidenttest.Mail("cto").ID})
		case time.March:
			refused.from, refused.to = hour(1), end
		case time.July:
			// The definitions change: three hours instead of four, and an SLO is more important.
			p := *w.Policy()
			p.Priorities = append([]incident.Priority(nil), p.Priorities...)
			p.Priorities[1].UpdateEvery = 3 * time.Hour
			p.SLOs = append([]incident.SLO(nil), p.SLOs...)
			p.SLOs[2].Priority = "P2"
			w.load(&p, "grace")
		}
		w.run()
		if !stopped.IsZero() {
			w.down = append(w.down, storage.Outage{From: stopped, To: now()})
		}
		switch month {
		case time.October:
			w.at(hour(2.5), func() { w.outage(50 * time.Minute) })
		case time.December:
			// At the end of the year something is under way, and a webhook does not answer.
			windows = append(windows, window{from: end.Add(-time.Hour), to: end.Add(time.Hour), only: hook("status").ID})
			slo, at := w.Policy().SLOs[5].ID, end.Add(-25*time.Minute)
			w.at(at, func() { w.diary[w.alert(slo, at, time.Time{})] = &diary{slo: slo, rank: 2, opened: now(), started: at} })
		}
		slos := w.rng.Perm(len(w.Policy().SLOs))
		if month == time.April {
			// The next updates of these fall into a quiet time. They leave the chances of all
			// others as they are.
			chances := w.rng
			w.rng = rand.New(rand.NewPCG(7, 4))
			for _, n := range slos[s.incidents:][:20] {
				if n%3 == 1 {
					w.lasts(hour(0).Add(time.Duration(180+n)*time.Second), w.Policy().SLOs[n].ID, 7*time.Hour)
				}
			}
			w.rng = chances
		}
		for i, n := range slos[:s.incidents] {
			// They begin early enough for the longest to be over at the end.
			at := start.Add(time.Duration(w.rng.Float64() * float64(time.Duration(s.hours-7)*time.Hour))).Truncate(time.Microsecond)
			w.story(at, w.Policy().SLOs[n].ID, i)
		}
		w.live(end)
		w.end()
		stopped = now()
	}
	return w
}

func (w *world) minutes(low, high int) time.Duration {
	return time.Duration(low)*time.Minute + time.Duration(w.rng.IntN((high-low)*60))*time.Second
}

// story plans the life of one incident.
func (w *world) story(at time.Time, slo string, i int) {
	if i%9 == 8 {
		w.declared(at, slo, i%18 == 17)
		return
	}
	// An alert that lasts less than ten minutes, and is of P3, reaches only the team.
	length := w.minutes(3, 9)
	switch r := w.rng.IntN(10); {
	case r >= 9:
		length = w.minutes(180, 300)
	case r >= 6:
		length = w.minutes(60, 180)
	case r >= 2:
		length = w.minutes(15, 50)
	}
	w.lasts(at, slo, length)
}

// lasts plans the life of an incident by how long its alert fires.
func (w *world) lasts(at time.Time, slo string, length time.Duration) {
	var number int64
	heard := at.Add(time.Duration(20+w.rng.IntN(40)) * time.Second)
	w.at(heard, func() {
		number = w.alert(slo, at, time.Time{})
		priority, _ := w.Policy().Priority(w.slo[slo].Priority)
		w.diary[number] = &diary{slo: slo, rank: priority.Rank, opened: now(), started: at, actions: map[string]incident.ActionState{}}
	})
	ended := at.Add(length)
	w.at(ended.Add(30*time.Second), func() {
		w.alert(slo, at, ended)
		w.diary[number].ended = ended
	})
	w.people(heard, ended, &number)
	if w.rng.IntN(12) == 0 && w.slo[slo].Priority != "P3" {
		again := ended.Add(25 * time.Minute)
		w.at(again.Add(20*time.Second), func() { w.alert(slo, again, time.Time{}) })
		over := again.Add(w.minutes(12, 20))
		w.at(over.Add(20*time.Second), func() {
			w.alert(slo, again, over)
			w.diary[number].ended = over
		})
	}
}

// people plans what people do to an incident.
func (w *world) people(heard, ended time.Time, number *int64) {
	who := []incident.Actor{"ada", "bob", "grace"}[w.rng.IntN(3)]
	if w.rng.IntN(5) > 0 {
		w.tries(heard.Add(w.minutes(1, 20)), number, who, func(_ *storage.Change, s *incident.Situation, stamp incident.Stamp) ([]incident.Event, error) {
			events, err := s.Incident.Acknowledge(stamp)
			if len(events) > 0 {
				w.diary[*number].acknowledged = stamp.At
			}
			return events, err
		})
	}
	if w.rng.IntN(3) == 0 {
		w.orders(heard.Add(w.minutes(3, 25)), number, who, command.Phase{Phase: incident.PhaseInvestigation, Note: "looking at the logs"})
	}
	if w.rng.IntN(8) == 0 {
		w.orders(heard.Add(w.minutes(26, 40)), number, who, command.Phase{Phase: incident.PhaseEscalation, EscalatedTo: "platform team"})
	}
	// While all is quiet and not yet resolved, the teams do nothing.
	awake := func(at time.Time) bool { return at.Before(ended) || at.After(ended.Add(11*time.Minute)) }
	if at := heard.Add(w.minutes(12, 50)); w.rng.IntN(4) == 0 && awake(at) {
		w.orders(at, number, who, command.Update{Message: "We found the cause and are rolling back."})
	}
	at := heard.Add(w.minutes(12, 60))
	if quiet(incidenttest.Mail("support").ID, at).After(at) {
		at = quiet(incidenttest.Mail("support").ID, at).Add(time.Minute) // nobody decides that at night
	}
	if w.rng.IntN(6) == 0 && awake(at) {
		to := w.rng.IntN(3)
		w.tries(at, number, who, func(c *storage.Change, s *incident.Situation, stamp incident.Stamp) ([]incident.Event, error) {
			from := s.Incident.Priority.Rank
			events, err := s.Incident.ChangePriority(stamp, c.Policy, c.Policy.Priorities[to], "it looks different now")
			if err == nil {
				w.diary[*number].changes = append(w.diary[*number].changes, change{stamp.At, from, to})
			}
			return events, err
		})
	}
	hotfix, postmortem := w.rng.IntN(10) > 0, w.rng.IntN(4)
	w.tries(ended.Add(w.minutes(40, 60)), number, who, func(_ *storage.Change, s *incident.Situation, stamp incident.Stamp) ([]incident.Event, error) {
		if !hotfix || s.Incident.State != incident.StateResolved {
			return nil, nil
		}
		return w.action(*number, s, stamp, "hotfix", incident.ActionDone, "https://git.example.org/fix", "")
	})
	w.tries(ended.Add(w.minutes(61, 100)), number, who, func(_ *storage.Change, s *incident.Situation, stamp incident.Stamp) ([]incident.Event, error) {
		switch {
		case s.Incident.State != incident.StateResolved || postmortem == 3:
			return nil, nil
		case postmortem == 2:
			return w.action(*number, s, stamp, "postmortem", incident.ActionWaived, "", "the cause is known and gone")
		}
		return w.action(*number, s, stamp, "postmortem", incident.ActionDone, "https://wiki.example.org/pm", "")
	})
	w.tries(ended.Add(110*time.Minute), number, who, func(_ *storage.Change, s *incident.Situation, stamp incident.Stamp) ([]incident.Event, error) {
		events, err := s.Incident.Close(stamp, "all is done")
		if err == nil {
			w.diary[*number].closed = stamp.At
		}
		return events, err
	})
}

func (w *world) action(number int64, s *incident.Situation, stamp incident.Stamp, name string, to incident.ActionState, link, reason string) ([]incident.Event, error) {
	events, err := s.Incident.ChangeAction(stamp, name, to, link, reason)
	if err == nil {
		w.diary[number].actions[name] = to
	}
	return events, err
}

// declared plans an incident that a person opens and resolves.
func (w *world) declared(at time.Time, slo string, drill bool) {
	var number int64
	w.at(at, func() {
		err := w.Repository().Change(w.t.Context(), now(), func(c *storage.Change) error {
			s, err := c.New()
			if err != nil {
				return err
			}
			one := w.slo[slo]
			events, err := incident.Declare(c.Stamp("ada"), c.Policy, incident.Declaration{SLO: &one, Priority: "P1", Reason: "customers call", Drill: drill}, s.Incident.Number, 0)
			if err != nil {
				return err
			}
			number = s.Incident.Number
			return c.Record(s, events...)
		})
		if err != nil {
			w.t.Error(err)
		}
		w.diary[number] = &diary{slo: slo, opened: now(), started: now(), drill: drill, declared: true, actions: map[string]incident.ActionState{}}
	})
	w.orders(at.Add(w.minutes(130, 200)), &number, "ada", command.Resolve{Note: "it works again"})
}
