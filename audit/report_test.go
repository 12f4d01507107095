package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router"
)

// reportWorld lets a small organisation live from a time on.
func reportWorld(t *testing.T, from time.Time, then func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(from))
		w := newWorld(t, nil, organisation(2, 3), 5)
		then(w)
	})
}

func makeReport(t testing.TB, w *world, o audit.ReportOptions) *audit.Report {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now()
	}
	rep, err := audit.MakeReport(t.Context(), w.Store(), o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// An outage over the end of a month leaves missed intervals in both, each where it was
// due, also where the cadence came with a configuration that is no longer in force.
func TestReportCountsMissedIntervalsWhereTheyWereDue(t *testing.T) {
	reportWorld(t, time.Date(2000, 1, 31, 18, 59, 0, 0, time.UTC), func(w *world) {
		var down atomic.Bool
		w.far.fails = func(recipient string) error {
			if down.Load() && recipient[:6] == "email:" {
				return errServer
			}
			return nil
		}
		w.run()
		slo, start := w.Policy().SLOs[0].ID, time.Date(2000, 1, 31, 19, 0, 0, 0, time.UTC)
		month := time.Date(2000, 2, 1, 0, 0, 0, 0, time.UTC)
		w.at(start, func() { w.alert(slo, start, time.Time{}) })
		w.at(start.Add(30*time.Minute), func() {
			// An hour instead of the two that the incident keeps as its definition.
			p := *w.Policy()
			p.Priorities = append([]incident.Priority(nil), p.Priorities...)
			p.Priorities[0].UpdateEvery = time.Hour
			w.load(&p, "grace")
		})
		w.at(start.Add(90*time.Minute), func() { down.Store(true) })
		w.at(start.Add(630*time.Minute), func() { down.Store(false) })
		w.live(start.Add(11 * time.Hour))
		w.end()

		// The update of 21:00 comes at 5:30, a message of each hour from then on is missed,
		// by management and by stakeholders.
		rep := makeReport(t, w, audit.ReportOptions{})
		for name, want := range map[string]int{"2000-01": 2 * 3, "2000-02": 2 * 5} {
			if got := rep.ByMonth[name].Updates.Missed; got != want {
				t.Errorf("%s: %d missed, want %d", name, got, want)
			}
		}
		for _, part := range []struct {
			from, to  time.Time
			intervals int
			first     time.Time
		}{
			{time.Time{}, month, 3, start.Add(2 * time.Hour)},
			{month, time.Time{}, 5, month},
		} {
			rep := makeReport(t, w, audit.ReportOptions{From: part.from, To: part.to})
			rows := 0
			for _, l := range rep.Late {
				if l.Outcome == audit.Missed {
					rows++
					if l.Intervals != part.intervals || !l.DueAt.Equal(part.first) {
						t.Errorf("from %v to %v: %d intervals from %v on, want %d from %v on", part.from, part.to, l.Intervals, l.DueAt, part.intervals, part.first)
					}
				}
			}
			if rows != 2 || rep.Total.Updates.Missed != 2*part.intervals {
				t.Errorf("from %v to %v: %d rows, %d missed", part.from, part.to, rows, rep.Total.Updates.Missed)
			}
		}

		// The webhook of others, and a reader of the same audience, may have had theirs.
		var page bytes.Buffer
		if err := rep.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"at least one reader of stakeholders", "Messages and intervals", "in which at least one reader of an audience got no message"} {
			if !strings.Contains(page.String(), want) {
				t.Errorf("the page does not say %q", want)
			}
		}
	})
}

// A mailbox that is gone misses one opening of an incident; each attempt to tell it
// again is an update. What is still owed to it is one too.
func TestReportCountsOneMissedOpeningForEachReader(t *testing.T) {
	reportWorld(t, time.Date(2000, 3, 1, 8, 0, 0, 0, time.UTC), func(w *world) {
		back := false
		w.far.fails = func(recipient string) error {
			if recipient == incidenttest.Mail("gone").ID && !back {
				return fmt.Errorf("RCPT %q: 550 no such user: %w", recipient, router.ErrPermanent)
			}
			return nil
		}
		w.run()
		// SLO 1 is of P2, an update every four hours, for sales and the one who is gone too.
		slo, start := w.Policy().SLOs[1].ID, now()
		number := int64(0)
		w.at(start, func() { number = w.alert(slo, start, time.Time{}) })
		w.live(start.Add(9 * time.Hour))
		rep := makeReport(t, w, audit.ReportOptions{})
		kept := rep.Total.Openings.OnTime
		if o, u := rep.Total.Openings, rep.Total.Updates; o.Missed != 1 || u.Missed != 2 || u.Causes[audit.Refused] != 2 || o.Owed != kept+1 {
			t.Errorf("after three attempts: openings %+v, updates %+v", o, u)
		}
		// A span that begins later counts the same attempts as the same.
		if part := makeReport(t, w, audit.ReportOptions{From: start.Add(time.Hour)}); part.Total.Openings.Owed != 0 || part.Total.Updates.Missed != 2 {
			t.Errorf("from later on: openings %+v, updates %+v", part.Total.Openings, part.Total.Updates)
		}
		for _, l := range rep.Late {
			if l.Kind != incident.KindOpened || l.Recipient != incidenttest.Mail("gone").Address {
				t.Errorf("late %+v", l)
			}
		}
		w.end()
		time.Sleep(4 * time.Hour)
		if u := makeReport(t, w, audit.ReportOptions{}).Total; u.Openings.Late != 0 || u.Updates.Late == 0 {
			t.Errorf("while it is owed: openings %+v, updates %+v", u.Openings, u.Updates)
		}
		back = true
		w.run()
		time.Sleep(time.Minute)
		w.orders(now(), &number, "ada", command.Resolve{Note: "it works again"})
		w.live(now().Add(time.Minute))
		w.end()
		rep = makeReport(t, w, audit.ReportOptions{})
		if o := rep.Total.Openings; o.Missed != 1 || o.Owed != kept+1 || o.OnTime != kept {
			t.Errorf("at the end: openings %+v", o)
		}
	})
}

// What is known of a store that was stopped does not change with the clock.
func TestReportOfAStoppedStoreIsAsOfWhenItWasLastWritten(t *testing.T) {
	reportWorld(t, time.Date(2000, 4, 1, 8, 0, 0, 0, time.UTC), func(w *world) {
		if at, err := audit.LastWritten(t.Context(), w.Store()); err != nil || !at.Equal(now()) {
			t.Errorf("with a configuration and nothing else it was written at %v, %v; want %v", at, err, now())
		}
		var down atomic.Bool
		w.far.fails = func(string) error {
			if down.Load() {
				return errServer
			}
			return nil
		}
		w.run()
		slo, start := w.Policy().SLOs[0].ID, now()
		w.at(start, func() { w.alert(slo, start, time.Time{}) })
		w.at(start.Add(119*time.Minute), func() { down.Store(true) })
		w.live(start.Add(2*time.Hour + 20*time.Second)) // the update is due, and not late
		w.end()
		other := w.Policy().SLOs[3].ID
		w.alert(other, now(), time.Time{}) // nobody is told any more

		asOf, err := audit.LastWritten(t.Context(), w.Store())
		if err != nil || !asOf.Equal(now()) {
			t.Fatalf("last written at %v, %v; it is %v", asOf, err, now())
		}
		first := makeReport(t, w, audit.ReportOptions{AsOf: asOf})
		if first.Total.Incidents != 2 || len(first.Late) != 0 || !first.AsOf.Equal(asOf) {
			t.Errorf("%d incidents, late %+v, as of %v", first.Total.Incidents, first.Late, first.AsOf)
		}
		time.Sleep(400 * time.Hour)
		later := makeReport(t, w, audit.ReportOptions{AsOf: asOf})
		if later.MadeAt.Equal(first.MadeAt) {
			t.Error("it is the same report")
		}
		later.MadeAt = first.MadeAt
		for _, write := range []func(*audit.Report, io.Writer) error{(*audit.Report).WriteHTML, (*audit.Report).WriteJSON, (*audit.Report).WriteCSV} {
			var one, two bytes.Buffer
			if err := errors.Join(write(first, &one), write(later, &two)); err != nil || one.String() != two.String() {
				t.Errorf("it changed with time (%v):\n%s\n%s", err, one.String(), two.String())
			}
		}
		if live := makeReport(t, w, audit.ReportOptions{}); live.Total.Updates.Late == 0 || !live.AsOf.IsZero() {
			t.Errorf("of one that runs: %+v, as of %v", live.Total.Updates, live.AsOf)
		}
	})
}

// A time span of which nothing can be known is no report.
func TestReportRefusesSpansOfWhichNothingIsKnown(t *testing.T) {
	reportWorld(t, time.Date(2000, 5, 1, 8, 0, 0, 0, time.UTC), func(w *world) {
		first := now()
		time.Sleep(time.Hour)
		asOf := now()
		time.Sleep(time.Hour)
		for name, tt := range map[string]struct {
			o    audit.ReportOptions
			want string
		}{
			"from in the future": {audit.ReportOptions{From: now().Add(time.Second)}, "from 2000-05-01T10:00:01Z is in the future: write a time before now, 2000-05-01T10:00:00Z"},
			"from after the end": {audit.ReportOptions{From: asOf.Add(time.Second), AsOf: asOf}, "from 2000-05-01T09:00:01Z is later than all that is known: write a time before the store was last written, 2000-05-01T09:00:00Z"},
			"to before all":      {audit.ReportOptions{To: first}, "to 2000-05-01T08:00:00Z is not after the first record: write a time after 2000-05-01T08:00:00Z"},
			"from now on":        {audit.ReportOptions{From: now()}, ""},
			"both before all":    {audit.ReportOptions{From: first.Add(-time.Hour), To: first}, ""},
		} {
			tt.o.Now = now()
			_, err := audit.MakeReport(t.Context(), w.Store(), tt.o)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want || !errors.Is(err, incident.ErrInvalid)) {
				t.Errorf("%s: %v, want %q", name, err, tt.want)
			}
		}
	})
}

// Each number of the page leads to what it counts: to rows of the page itself, and from there to
// sitrep's pages, where it is known where those are.
func TestTheNumbersOfAReportLeadToWhatTheyCount(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		const url = "https://sitrep.example.org"
		links := func(o audit.ReportOptions, hide bool) (string, []string) {
			o.Now = ev.at
			rep, err := audit.MakeReport(t.Context(), w.Store(), o)
			if err != nil {
				t.Fatal(err)
			}
			if hide {
				rep.HidePeople()
			}
			var page bytes.Buffer
			if err := rep.WriteHTML(&page); err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, href := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page.String(), -1) {
				to := html.UnescapeString(href[1])
				all = append(all, to)
				if name, ok := strings.CutPrefix(to, "#"); ok && strings.Count(page.String(), `id="`+name+`"`) != 1 {
					t.Errorf("%s leads nowhere", to)
				}
			}
			return page.String(), all
		}
		page, all := links(audit.ReportOptions{URL: url}, false)
		for _, want := range []string{
			"#incidents", "#opened-1", "#opened-2", "#late", url + "/incidents/INC-1", url + "/incidents/INC-2", url + "/incidents/INC-4",
			url + "/deliveries?from=2000-01-01T00%3A00%3A00Z&to=2000-01-01T18%3A00%3A00Z", url + "/deliveries?from=2000-01-01T00%3A00%3A00Z&group=team-01&to=2000-01-01T18%3A00%3A00Z",
		} {
			if !slices.Contains(all, want) {
				t.Errorf("nothing leads to %s in %q", want, all)
			}
		}
		if !slices.ContainsFunc(all, func(to string) bool { return strings.HasPrefix(to, url+"/incidents/INC-1/messages/") }) {
			t.Errorf("nothing leads to a late message in %q", all)
		}
		// Those that are counted, and no drill.
		rows := regexp.MustCompile(`(?s)<section id="incidents">.*?</section>`).FindString(page)
		for id, want := range map[string]bool{"INC-1": true, "INC-2": true, "INC-3": false, "INC-4": true} {
			if got := strings.Contains(rows, ">"+id+"</a></td><td class=\"what\""); got != want {
				t.Errorf("%s is listed: %t in %s", id, got, rows)
			}
		}
		if _, all := links(audit.ReportOptions{URL: url}, true); slices.ContainsFunc(all, func(to string) bool { return strings.Contains(to, "/messages/") }) {
			t.Errorf("a stranger is led to messages: %q", all)
		}
		page, all = links(audit.ReportOptions{}, false)
		if slices.ContainsFunc(all, func(to string) bool { return !strings.HasPrefix(to, "#") }) || !strings.Contains(page, "INC-4") {
			t.Errorf("without an address it leads to %q", all)
		}
	})
}
