package intake_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A desk takes posts over a store of its own, at times that the test names.
type desk struct {
	t     *testing.T
	slos  lookup
	repo  *storage.Repository
	taker *intake.Intake
	at    time.Time
}

type lookup map[string]*incident.SLO

func (l lookup) Lookup(labels map[string]string) intake.Match {
	if slo := l[labels["sloth_id"]]; slo != nil {
		if region := labels["region"]; region != "" {
			per := *slo
			per.Key, per.Labels = slo.Key+"{"+region+"}", map[string]string{"region": region}
			return intake.Match{SLO: &per}
		}
		return intake.Match{SLO: slo}
	}
	if labels["alertname"] == "Loose" {
		return intake.Match{SLO: l["loose"]}
	}
	return intake.Match{SLO: &incident.SLO{Key: "unmapped/" + labels["alertname"], Priority: "P1", Unmapped: true}}
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	slos := lookup{}
	for _, id := range []string{"a", "b"} {
		slo := incidenttest.SLO(id, "P1")
		slos[id] = &slo
	}
	policy := incidenttest.Policy(*slos["a"], *slos["b"])
	policy.UnknownAfter, policy.Priorities[0].Actions = 4*time.Hour, nil
	repo := &storage.Repository{Store: db, Policy: func() *incident.Policy { return policy }}
	return &desk{
		t: t, slos: slos, repo: repo, at: incidenttest.Noon,
		taker: &intake.Intake{Repo: repo, Catalog: func() intake.Catalog { return slos }, Log: slog.New(slog.DiscardHandler)},
	}
}

var firing, ended = incidenttest.Firing, incidenttest.Ended

// expect posts one alert and checks what became of it.
func (d *desk) expect(a incident.Alert, want intake.Outcome, slo string, number int64) {
	d.t.Helper()
	results, err := d.taker.Take(context.Background(), intake.Post{Alerts: []incident.Alert{a}, At: d.at})
	if err != nil {
		d.t.Fatal(err)
	}
	if r := results[0]; r.Result != want || r.SLO != slo || r.Incident != number {
		d.t.Errorf("%s of %s: %s, SLO %q, incident %d; want %s, %q, %d", a.Fingerprint, a.Labels["sloth_id"], r.Result, r.SLO, r.Incident, want, slo, number)
	}
}

func (d *desk) change(fn func(*storage.Change) error) {
	d.t.Helper()
	if err := d.repo.Change(context.Background(), d.at, fn); err != nil {
		d.t.Fatal(err)
	}
}

// merge ends one incident in favour of another.
func (d *desk) merge(from, into int64) {
	d.t.Helper()
	d.change(func(c *storage.Change) error {
		s, err := c.Situation(from)
		if err != nil {
			return err
		}
		other, err := c.Situation(into)
		if err != nil {
			return err
		}
		left, kept, err := s.Incident.Merge(c.Stamp("ada"), c.Policy, &other.Incident, "the same")
		if err != nil {
			return err
		}
		if err := c.Record(s, left...); err != nil {
			return err
		}
		return c.Record(other, kept...)
	})
}

func TestTheAnswerNamesTheAlertsOwnSLOAfterAMerge(t *testing.T) {
	d := newDesk(t)
	d.expect(firing("a", "1", d.at), intake.OutcomeOpened, "a", 1)
	d.expect(firing("b", "2", d.at), intake.OutcomeOpened, "b", 2)
	d.merge(2, 1)
	begin := d.at
	d.at = d.at.Add(time.Minute)
	d.expect(firing("b", "2", begin), intake.OutcomeRepeated, "b", 1)
	d.expect(firing("b", "3", d.at), intake.OutcomeJoined, "b", 1)
	d.expect(firing("b", "3", d.at), intake.OutcomeRepeated, "b", 1)
	d.expect(firing("a", "4", d.at), intake.OutcomeJoined, "a", 1)
	end := d.at
	d.expect(ended(firing("b", "2", begin), end), intake.OutcomeResolved, "b", 1)
	d.expect(ended(firing("b", "2", begin), end), intake.OutcomeStale, "b", 1)
	d.expect(firing("b", "2", begin), intake.OutcomeJoined, "b", 1)
	d.at = d.at.Add(2 * time.Hour) // more than unknown_after/4: this one is written
	d.expect(firing("b", "2", begin), intake.OutcomeRepeated, "b", 1)
}

func TestARepeatOfAnUnmappedAlertIsARepeatAndHeard(t *testing.T) {
	d := newDesk(t)
	a := firing("", "1", d.at)
	d.expect(a, intake.OutcomeUnmapped, "", 1)
	d.expect(a, intake.OutcomeRepeated, "", 1)
	d.at = d.at.Add(2 * time.Hour)
	d.expect(a, intake.OutcomeRepeated, "", 1)
	err := d.repo.Store.Read(context.Background(), func(r storage.Snapshot) error {
		alerts, err := r.Unmapped(t.Context(), []string{"1"})
		if u := alerts["1"]; u == nil || !u.HeardAt.Equal(d.at) {
			t.Errorf("last heard: %+v, want at %v", u, d.at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnAlertFromTheFutureDoesNotHideTheNext(t *testing.T) {
	d := newDesk(t)
	d.expect(firing("a", "1", d.at.AddDate(50, 0, 0)), intake.OutcomeOpened, "a", 1)
	d.expect(firing("a", "1", d.at.AddDate(50, 0, 0)), intake.OutcomeRepeated, "a", 1)
	d.at = d.at.Add(20 * time.Minute)
	d.expect(firing("a", "1", d.at), intake.OutcomeJoined, "a", 1)
	d.expect(firing("a", "1", d.at), intake.OutcomeRepeated, "a", 1)
	d.change(func(c *storage.Change) error {
		s, err := c.Incident(1)
		if err == nil && (s.Incident.Breaches.Firing != 1 || s.Incident.Breaches.Total != 2) {
			t.Errorf("breaches %+v, want one that fires of two", s.Incident.Breaches)
		}
		return err
	})
	d.expect(ended(firing("a", "1", d.at), d.at), intake.OutcomeResolved, "a", 1)
	// A clock that is a little ahead changes nothing.
	d.expect(firing("a", "2", d.at.Add(10*time.Minute)), intake.OutcomeJoined, "a", 1)
	d.expect(firing("a", "2", d.at), intake.OutcomeRepeated, "a", 1)
	d.at = d.at.Add(time.Minute)
	d.expect(firing("a", "2", d.at.Add(9*time.Minute)), intake.OutcomeRepeated, "a", 1)
}

func TestALaterEndNamesTheIncidentOfTheBreachThatEndedUnseen(t *testing.T) {
	d := newDesk(t)
	d.expect(firing("a", "1", d.at), intake.OutcomeOpened, "a", 1)
	d.expect(ended(firing("a", "1", d.at.Add(time.Minute)), d.at.Add(2*time.Minute)), intake.OutcomeResolved, "a", 1)
	d.expect(ended(firing("a", "9", d.at), d.at), intake.OutcomeResolved, "a", 0)
}

func TestABreachOfOneRegionJoinsWhatAPersonDeclared(t *testing.T) {
	d := newDesk(t)
	in := func(region string, a incident.Alert) incident.Alert {
		a.Labels["region"] = region
		return a
	}
	d.expect(in("eu", firing("a", "1", d.at)), intake.OutcomeOpened, "a", 1)
	d.change(func(c *storage.Change) error {
		s, err := c.New()
		if err != nil {
			return err
		}
		events, err := incident.Declare(c.Stamp("ada"), c.Policy, incident.Declaration{SLO: &c.Policy.SLOs[0], Reason: "calls"}, s.Incident.Number, 0)
		if err != nil {
			return err
		}
		return c.Record(s, events...)
	})
	d.expect(in("eu", firing("a", "2", d.at)), intake.OutcomeJoined, "a", 1)
	d.expect(in("us", firing("a", "3", d.at)), intake.OutcomeJoined, "a", 2)
	d.change(func(c *storage.Change) error {
		s, err := c.Situation(2)
		if err != nil {
			return err
		}
		events, err := s.Incident.Resolve(c.Stamp("ada"), "over")
		if err != nil {
			return err
		}
		return c.Record(s, events...)
	})
	d.expect(in("us", firing("a", "4", d.at)), intake.OutcomeReopened, "a", 2)
	d.expect(in("us", ended(firing("a", "4", d.at), d.at)), intake.OutcomeResolved, "a", 2)
	d.at = d.at.Add(3 * time.Hour)
	d.change(func(c *storage.Change) error {
		s, err := c.Situation(2)
		if err != nil {
			return err
		}
		events, err := s.Incident.Resolve(c.Stamp("ada"), "over")
		if err != nil {
			return err
		}
		return c.Record(s, events...)
	})
	d.at = d.at.Add(3 * time.Hour)
	d.expect(in("us", firing("a", "5", d.at)), intake.OutcomeOpened, "a", 3)
}

// loose is an alert that no SLO claims, until one is added.
func loose(fingerprint string, begin time.Time) incident.Alert {
	return incident.Alert{Fingerprint: fingerprint, StartsAt: begin, Labels: map[string]string{"alertname": "Loose"}}
}

// claimLoose adds an SLO for those, as a reload does.
func (d *desk) claimLoose() {
	slo := incidenttest.SLO("loose", "P1")
	d.slos["loose"] = &slo
}

func (d *desk) remap() {
	d.t.Helper()
	if err := d.taker.Remap(context.Background(), d.at); err != nil {
		d.t.Fatal(err)
	}
}

func TestAReloadMovesUnmappedAlertsThatFire(t *testing.T) {
	d := newDesk(t)
	begin := d.at
	d.expect(loose("1", begin), intake.OutcomeUnmapped, "", 0)
	d.expect(loose("2", begin), intake.OutcomeUnmapped, "", 0)
	d.at = d.at.Add(5 * time.Hour) // more than unknown_after
	d.expect(loose("2", begin), intake.OutcomeUnmapped, "", 0)
	d.claimLoose()
	d.remap()
	d.expect(loose("2", begin), intake.OutcomeRepeated, "loose", 1)
	d.change(func(c *storage.Change) error {
		s, err := c.Incident(1)
		if err == nil && s.Incident.Breaches.Total != 1 {
			t.Errorf("%d breaches: one that was not heard for hours was moved", s.Incident.Breaches.Total)
		}
		return err
	})
	d.expect(loose("1", begin), intake.OutcomeJoined, "loose", 1)
}

// An interruption is a store that lets something happen after each reading.
type interruption struct {
	storage.Store
	after func()
}

func (i *interruption) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	err := i.Store.Read(ctx, fn)
	if after := i.after; after != nil {
		i.after = nil
		after()
	}
	return err
}

func TestAnAlertThatEndsDuringAReloadIsNotMoved(t *testing.T) {
	d := newDesk(t)
	store := &interruption{Store: d.repo.Store}
	d.repo.Store = store
	a := loose("1", d.at)
	d.expect(a, intake.OutcomeUnmapped, "", 0)
	d.claimLoose()
	store.after = func() { d.expect(ended(a, d.at), intake.OutcomeResolved, "loose", 0) }
	d.remap()
	err := d.repo.Store.Read(context.Background(), func(r storage.Snapshot) error {
		open, err := storage.OpenIncidents(t.Context(), r)
		if len(open) > 0 {
			t.Errorf("open: %v", open)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
