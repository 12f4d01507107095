package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

var incidentRules = []rule{
	{"an incident is read as it was put", func(f *fixture) {
		f.put(f.newIncident(1))
		changed := f.newIncident(1)
		changed.State, changed.ResolvedAt, changed.EndedAt = incident.StateResolved, f.now, f.now
		f.put(changed, f.newIncident(2))
		f.read(func(r storage.Snapshot) error {
			in, err := storage.IncidentOf(f.Context(), r, 1)
			f.equal("incident", in, *changed)
			return err
		})
	}},
	{"one that is not there is not found", func(f *fixture) {
		f.read(func(r storage.Snapshot) error {
			_, err := storage.IncidentOf(f.Context(), r, 7)
			f.fails("incident", err, incident.ErrNotFound)
			return nil
		})
	}},
	{"numbers begin at 1 and have no gaps, whatever fails", func(f *fixture) {
		next := func() (n int64) {
			f.write(func(tx storage.Tx) (err error) {
				if n, err = tx.NextNumber(f.Context()); err != nil {
					return err
				}
				return tx.PutIncidents(f.Context(), []*incident.Incident{f.newIncident(n)})
			})
			return n
		}
		f.equal("first", next(), int64(1))
		broken := errors.New("broken")
		_ = f.store.Write(f.Context(), func(tx storage.Tx) error {
			n, err := tx.NextNumber(f.Context())
			if err != nil {
				return err
			}
			if err := tx.PutIncidents(f.Context(), []*incident.Incident{f.newIncident(n)}); err != nil {
				return err
			}
			return broken
		})
		f.write(func(tx storage.Tx) error { // asks and opens none
			_, err := tx.NextNumber(f.Context())
			return err
		})
		f.equal("second", next(), int64(2))
	}},
	{"two numbers in one write differ", func(f *fixture) {
		f.write(func(tx storage.Tx) error {
			a, err := tx.NextNumber(f.Context())
			if err != nil {
				return err
			}
			b, err := tx.NextNumber(f.Context())
			f.equal("numbers", []int64{a, b}, []int64{1, 2})
			return err
		})
	}},
	{"the latest of a key is no drill", func(f *fixture) {
		long := strings.Repeat("k", 5000)
		var all []*incident.Incident
		for i := range 6 {
			in := f.newIncident(int64(i + 1))
			in.Key = []string{"a", "a", "b", "a", long, ""}[i]
			in.Drill = i == 3
			all = append(all, in)
		}
		f.put(all...)
		f.put(all[0]) // an earlier one that changes again
		f.read(func(r storage.Snapshot) error {
			latest, err := r.LatestOf(f.Context(), []string{"c", "b", "a", long + "k", long, "", "a"})
			f.equal("latest", latest, map[string]int64{"a": 2, "b": 3, long: 5, "": 6})
			return err
		})
	}},
	{"the latest of all keys that begin alike is found", func(f *fixture) {
		var all []*incident.Incident
		for i, key := range []string{"a{zone=\"1\"}", "a{zone=\"22\"}", "a", "ab{zone=\"1\"}", "a{zone=\"1\"}", "a{zone=\"333\"}"} {
			in := f.newIncident(int64(i + 1))
			in.Key, in.Drill = key, i == 5
			all = append(all, in)
		}
		f.put(all...)
		f.read(func(r storage.Snapshot) error {
			for prefix, want := range map[string]int64{"a{": 5, "ab{": 4, "b": 0, "a": 5, "a{zone=\"22": 2, strings.Repeat("a", 2000): 0} {
				got, err := r.LatestUnder(f.Context(), prefix)
				if err != nil {
					return err
				}
				f.equal(prefix, got, want)
			}
			return nil
		})
	}},
	{"a set has those incidents that are there", func(f *fixture) {
		f.put(f.newIncident(1), f.newIncident(2), f.newIncident(3))
		f.read(func(r storage.Snapshot) error {
			got, err := r.IncidentsByNumber(f.Context(), []int64{3, 7, 1, 3})
			f.equal("set", got, map[int64]*incident.Incident{1: f.newIncident(1), 3: f.newIncident(3)})
			return err
		})
	}},
	{"pages have the latest first, and each once", func(f *fixture) {
		for n := int64(1); n <= 7; n++ {
			f.put(f.newIncident(n))
		}
		f.equal("all", f.pages(storage.IncidentQuery{Limit: 3}), [][]int64{{7, 6, 5}, {4, 3, 2}, {1}})
		f.equal("fits", f.pages(storage.IncidentQuery{Limit: 7}), [][]int64{{7, 6, 5, 4, 3, 2, 1}})
	}},
	{"an empty store has one empty page", func(f *fixture) {
		f.equal("pages", f.pages(storage.IncidentQuery{Limit: 3}), [][]int64{nil})
		f.equal("open", f.pages(storage.IncidentQuery{Limit: 3, State: incident.StateOpen}), [][]int64{nil})
	}},
	{"a cursor that no page gave and a limit below 1 are invalid", func(f *fixture) {
		f.read(func(r storage.Snapshot) error {
			_, _, err := r.Incidents(f.Context(), storage.IncidentQuery{})
			f.fails("incidents", err, incident.ErrInvalid)
			_, _, err = r.Breaches(f.Context(), 1, 0, "")
			f.fails("breaches", err, incident.ErrInvalid)
			_, _, err = r.Deliveries(f.Context(), storage.DeliveryQuery{})
			f.fails("deliveries", err, incident.ErrInvalid)
			_, _, err = r.UnmappedAlerts(f.Context(), 0, "")
			f.fails("unmapped alerts", err, incident.ErrInvalid)
			_, _, err = r.Incidents(f.Context(), storage.IncidentQuery{Limit: 3, Cursor: "x"})
			f.fails("incidents", err, incident.ErrInvalid)
			return nil
		})
	}},
	{"each filter selects, and all of them together", func(f *fixture) {
		for n := int64(1); n <= 12; n++ {
			in := f.newIncident(n)
			if n%2 == 0 {
				in.State = incident.StateResolved
			}
			if n%3 == 0 {
				in.State, in.ClosedAt = incident.StateClosed, f.now
			}
			if n > 6 {
				in.Team, in.Priority.Name = "Grün", "P2"
			}
			if n == 5 {
				in.SLO, in.UseCase, in.Service = "other", "Log-on fails", "login"
			}
			f.put(in)
		}
		changed := f.newIncident(2)
		changed.State = incident.StateOpen
		f.put(changed)
		for _, c := range []struct {
			name string
			q    storage.IncidentQuery
			want []int64
		}{
			{"open", storage.IncidentQuery{State: incident.StateOpen}, []int64{11, 7, 5, 2, 1}},
			{"resolved", storage.IncidentQuery{State: incident.StateResolved}, []int64{10, 8, 4}},
			{"closed", storage.IncidentQuery{State: incident.StateClosed}, []int64{12, 9, 6, 3}},
			{"unknown state", storage.IncidentQuery{State: "x"}, nil},
			{"priority", storage.IncidentQuery{Priority: "P2"}, []int64{12, 11, 10, 9, 8, 7}},
			{"team", storage.IncidentQuery{Team: "blue"}, []int64{6, 5, 4, 3, 2, 1}},
			{"slo", storage.IncidentQuery{SLO: "other"}, []int64{5}},
			{"text of the use case", storage.IncidentQuery{Text: "LOG-ON"}, []int64{5}},
			{"text of the service", storage.IncidentQuery{Text: "ogi"}, []int64{5}},
			{"text of the team", storage.IncidentQuery{Text: "grün"}, []int64{12, 11, 10, 9, 8, 7}},
			{"text of the id", storage.IncidentQuery{Text: "inc-12"}, []int64{12}},
			{"all", storage.IncidentQuery{State: incident.StateOpen, Priority: "P2", Team: "Grün", SLO: "slo-11", Text: "notify"}, []int64{11}},
		} {
			c.q.Limit = 100
			f.equal(c.name, f.pages(c.q), [][]int64{c.want})
			c.q.Limit = 1
			var one []int64
			for _, page := range f.pages(c.q) {
				one = append(one, page...)
			}
			f.equal(c.name+", one by one", one, c.want)
		}
	}},
	{"every set of filters gives the same as a look at each, from either end", func(f *fixture) {
		teams, priorities, slos := []string{"blue", "Grün", ""}, []string{"P1", "P2", "gone"}, []string{"slo-a", "slo-b", ""}
		all := map[int64]*incident.Incident{}
		set := func(n int64, pick int) {
			in := f.newIncident(n)
			in.Team, in.Priority.Name, in.SLO = teams[pick%3], priorities[pick/3%3], slos[pick/2%3]
			in.State = []incident.State{incident.StateOpen, incident.StateResolved, incident.StateClosed}[pick/5%3]
			all[n] = in
			f.put(in)
		}
		for n := int64(1); n <= 60; n++ {
			set(n, int(n*n+n/7))
		}
		for n := int64(3); n <= 60; n += 4 { // some change in all that they are found by
			set(n, int(5*n))
		}
		for _, state := range []incident.State{"", incident.StateOpen, incident.StateResolved, incident.StateClosed} {
			for _, priority := range append([]string{""}, priorities...) {
				for _, team := range append(teams, "none") {
					for _, slo := range slos {
						for _, oldest := range []bool{false, true} {
							q := storage.IncidentQuery{State: state, Priority: priority, Team: team, SLO: slo, OldestFirst: oldest, Limit: 7}
							if team == "none" {
								q.Team, q.NoTeam = "", true
							}
							var want, got []int64
							for n := int64(1); n <= 60; n++ {
								if in := all[n]; (state == "" || in.State == state) && (priority == "" || in.Priority.Name == priority) && (team == "" || in.Team == team || team == "none" && in.Team == "") && (slo == "" || in.SLO == slo) {
									want = append(want, n)
								}
							}
							if !oldest {
								slices.Reverse(want)
							}
							for _, page := range f.pages(q) {
								got = append(got, page...)
							}
							f.equal(fmt.Sprintf("%+v", q), got, want)
						}
					}
				}
			}
		}
	}},
	{"each word of a text is found in what an incident is about, or in what people wrote", func(f *fixture) {
		long := strings.Repeat("and so on ", 800)
		for n := int64(1); n <= 40; n++ {
			in := f.newIncident(n)
			if n%2 == 0 {
				in.Labels = map[string]string{"region": "Ap-South", "zone": "ÄUSSERE"}
			}
			f.put(in)
			f.appendEvents(
				incident.Event{Incident: n, Sequence: 1, Type: incident.EventOpened, Actor: "ada", Reason: "we Saw it"},
				incident.Event{Incident: n, Sequence: 2, Type: incident.EventBreachStarted, Actor: incident.ActorAlertmanager, Data: incident.Data{Fingerprint: "saw", Why: incident.WhyListed}},
			)
		}
		f.appendEvents(
			incident.Event{Incident: 7, Sequence: 3, Type: incident.EventUpdateWritten, Actor: "ada", Data: incident.Data{Message: long + "the Broker is full", Audiences: []incident.Audience{incident.AudienceStakeholders}}},
			incident.Event{Incident: 7, Sequence: 4, Type: incident.EventPhaseChanged, Actor: "ada", Reason: "nobody is in", Data: incident.Data{From: "initial-diagnosis", To: "escalation", EscalatedTo: "bob@example.org"}},
			incident.Event{Incident: 8, Sequence: 3, Type: incident.EventUpdateWritten, Actor: "ada", Data: incident.Data{Message: "The broker runs again", Audiences: []incident.Audience{incident.AudienceStakeholders}}},
		)
		for _, c := range []struct {
			name string
			q    storage.IncidentQuery
			want []int64
		}{
			{"a word of an update", storage.IncidentQuery{Text: "BROKER"}, []int64{8, 7}},
			{"the oldest first", storage.IncidentQuery{Text: "broker", OldestFirst: true}, []int64{7, 8}},
			{"words of two events", storage.IncidentQuery{Text: " saw  broker\tfull "}, []int64{7}},
			{"a label and an update", storage.IncidentQuery{Text: "south broker"}, []int64{8}},
			{"letters that are not ASCII", storage.IncidentQuery{Text: "äussere again"}, []int64{8}},
			{"a reason", storage.IncidentQuery{Text: "nobody"}, []int64{7}},
			{"to whom it was escalated", storage.IncidentQuery{Text: "bob@example"}, []int64{7}},
			{"the SLO", storage.IncidentQuery{Text: "slo-33"}, []int64{33}},
			{"in a state", storage.IncidentQuery{Text: "saw inc-1", State: incident.StateOpen, Team: "blue", Priority: "P1"}, []int64{19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 1}},
			{"one word is nowhere", storage.IncidentQuery{Text: "broker elsewhere"}, nil},
			{"what no person wrote", storage.IncidentQuery{Text: "listed"}, nil},
			{"who wrote it", storage.IncidentQuery{Text: "ada"}, nil},
		} {
			for _, limit := range []int{100, 1} {
				c.q.Limit = limit
				var got []int64
				for _, page := range f.pages(c.q) {
					got = append(got, page...)
				}
				f.equal(fmt.Sprintf("%s, %d a page", c.name, limit), got, c.want)
			}
		}
	}},
	{"incidents are counted by state, priority and team, drills apart", func(f *fixture) {
		count := func(want ...storage.IncidentCount) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				got, err := r.CountIncidents(f.Context())
				slices.SortFunc(got, func(a, b storage.IncidentCount) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
				slices.SortFunc(want, func(a, b storage.IncidentCount) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
				f.equal("counts", got, want)
				return err
			})
		}
		const open, resolved, closed = incident.StateOpen, incident.StateResolved, incident.StateClosed
		of := func(state incident.State, drill bool, priority, team string, n int) storage.IncidentCount {
			return storage.IncidentCount{State: state, Drill: drill, Priority: priority, Team: team, Count: n}
		}
		a, b, c, drill := f.newIncident(1), f.newIncident(2), f.newIncident(3), f.newIncident(4)
		b.Team, c.State, drill.Drill = "", resolved, true
		f.put(a, b, c, drill)
		count(of(open, false, "P1", "blue", 1), of(open, false, "P1", "", 1), of(resolved, false, "P1", "blue", 1), of(open, true, "P1", "blue", 1))
		c.State, drill.State, drill.ClosedAt, b.Priority.Name, b.Team = open, incident.StateClosed, f.now, "P2", "red"
		f.put(a, b, c, drill)
		f.put(c)
		count(of(open, false, "P1", "blue", 2), of(open, false, "P2", "red", 1), of(closed, true, "P1", "blue", 1))
	}},
	{"open incidents are counted by priority, drills left out", func(f *fixture) {
		count := func(want map[string]int) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				open, err := storage.OpenIncidents(f.Context(), r)
				f.equal("open", open, want)
				return err
			})
		}
		count(map[string]int{})
		a, b, c, drill := f.newIncident(1), f.newIncident(2), f.newIncident(3), f.newIncident(4)
		c.Priority.Name, drill.Drill = "P2", true
		f.put(a, b, c, drill)
		count(map[string]int{"P1": 2, "P2": 1})
		b.Priority.Name = "P2"
		f.put(a, b)
		count(map[string]int{"P1": 1, "P2": 2})
		a.State = incident.StateResolved
		f.put(a)
		count(map[string]int{"P2": 2})
		a.State = incident.StateOpen
		f.put(a)
		b.State, b.ClosedAt = incident.StateClosed, f.now
		f.put(b)
		count(map[string]int{"P1": 1, "P2": 1})
	}},
}

// appendEvents appends to the logs of incidents.
func (f *fixture) appendEvents(events ...incident.Event) {
	f.Helper()
	for i := range events {
		events[i].Time = f.now
	}
	f.write(func(tx storage.Tx) error { return tx.AppendEvents(f.Context(), events) })
}

// pages returns the numbers of all pages of a query.
func (f *fixture) pages(q storage.IncidentQuery) (pages [][]int64) {
	f.Helper()
	f.read(func(r storage.Snapshot) error {
		for {
			page, next, err := r.Incidents(f.Context(), q)
			if err != nil {
				return err
			}
			var numbers []int64
			for _, in := range page {
				numbers = append(numbers, in.Number)
			}
			pages = append(pages, numbers)
			if q.Cursor = next; next == "" {
				return nil
			}
		}
	})
	return pages
}

var agendaRules = []rule{
	{"an agenda is read as it was put, and an empty one before", func(f *fixture) {
		a := incident.Agenda{
			Incident: 3, NextAt: f.now, RemindedActions: []string{"hotfix"},
			MissedFor: map[incident.Audience]time.Time{incident.AudienceManagement: f.now},
		}
		f.write(func(tx storage.Tx) error { return tx.PutAgendas(f.Context(), []incident.Agenda{a}) })
		f.read(func(r storage.Snapshot) error {
			got, err := r.Agendas(f.Context(), []int64{3, 4, 3})
			f.equal("agendas", got, map[int64]incident.Agenda{3: a, 4: {Incident: 4}})
			return err
		})
	}},
	{"agendas are due from NextAt on, the earliest first", func(f *fixture) {
		f.write(func(tx storage.Tx) error {
			for n, at := range map[int64]time.Time{
				1: f.now.Add(-time.Second), 2: {}, 3: f.now, 4: f.now.Add(-time.Hour), 5: f.now.Add(time.Microsecond), 6: f.now.Add(-time.Minute),
			} {
				if err := tx.PutAgendas(f.Context(), []incident.Agenda{{Incident: n, NextAt: at}}); err != nil {
					return err
				}
			}
			return nil
		})
		f.write(func(tx storage.Tx) error { return tx.PutAgendas(f.Context(), []incident.Agenda{{Incident: 6}}) })
		f.read(func(r storage.Snapshot) error {
			due, err := r.DueAgendas(f.Context(), f.now, 10)
			if err != nil {
				return err
			}
			f.equal("due", due, []int64{4, 1, 3})
			due, err = r.DueAgendas(f.Context(), f.now, 2)
			f.equal("two", due, []int64{4, 1})
			return err
		})
	}},
	{"the next due time is that of an agenda or of a claim", func(f *fixture) {
		next := func(want time.Time) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				at, err := r.NextDue(f.Context(), time.Time{})
				f.equal("next due", at, want)
				return err
			})
		}
		next(time.Time{})
		hour := f.now.Add(time.Hour)
		f.write(func(tx storage.Tx) error {
			return tx.PutAgendas(f.Context(), []incident.Agenda{{Incident: 1, NextAt: hour}})
		})
		next(hour)
		f.write(func(tx storage.Tx) error {
			return tx.PutSubscriptions(f.Context(), []incident.Subscription{f.owes(1, "a", f.now), f.owes(2, "b", hour.Add(time.Hour))}, nil)
		})
		next(f.now)
		f.write(func(tx storage.Tx) error {
			return tx.PutSubscriptions(f.Context(), []incident.Subscription{f.owes(1, "a", time.Time{})}, nil)
		})
		next(hour)
		f.write(func(tx storage.Tx) error { return tx.PutAgendas(f.Context(), []incident.Agenda{{Incident: 1}}) })
		next(hour.Add(time.Hour))
	}},
}
