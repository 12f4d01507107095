package bolt_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// found returns the numbers of the incidents that a query finds.
func found(t testing.TB, r storage.Snapshot, q storage.IncidentQuery) []int64 {
	t.Helper()
	q.Limit = 100
	page, _, err := r.Incidents(t.Context(), q)
	if err != nil {
		t.Error(err)
	}
	var numbers []int64
	for i := range page {
		numbers = append(numbers, page[i].Number)
	}
	return numbers
}

// In a store that sitrep wrote before it listed incidents by anything but their state, they are
// found by all, also if it was ended while it brought the store up. Of the first the people
// were forgotten; the fourth was merged into the second; the fifth is a drill.
func TestTheIncidentsOfAnOlderStoreAreListed(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "sitrep.db")
		unpack(t, "testdata/version3.db.gz", path)
		if stopped {
			bolt.StopUpgrade(t, path, 3)
		}
		old, err := bolt.OpenReadOnly(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := old.Check(t.Context()); err != nil {
			t.Errorf("before: %v", err)
		}
		mustRead(t, old, func(r storage.Snapshot) error {
			if all := found(t, r, storage.IncidentQuery{}); !slices.Equal(all, []int64{5, 4, 3, 2, 1}) {
				t.Errorf("before: %v", all)
			}
			if _, _, err := r.Incidents(t.Context(), storage.IncidentQuery{Team: "identity", Limit: 1}); err == nil || !strings.Contains(err.Error(), "start sitrep with it once") {
				t.Errorf("by team before: %v", err)
			}
			return nil
		})
		wasOver := over(t, old)
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			db := openAt(t, path)
			if err := db.Check(t.Context()); err != nil {
				t.Error(err)
			}
			mustRead(t, db, func(r storage.Snapshot) error {
				for _, c := range []struct {
					q    storage.IncidentQuery
					want []int64
				}{
					{storage.IncidentQuery{}, []int64{5, 4, 3, 2, 1}},
					{storage.IncidentQuery{State: incident.StateOpen}, []int64{5, 2}},
					{storage.IncidentQuery{State: incident.StateClosed}, []int64{4, 1}},
					{storage.IncidentQuery{Priority: "P1"}, []int64{3, 2, 1}},
					{storage.IncidentQuery{Team: "identity", OldestFirst: true}, []int64{3, 4, 5}},
					{storage.IncidentQuery{SLO: "search-latency"}, []int64{4}},
					{storage.IncidentQuery{Text: "broker"}, []int64{1}},
					{storage.IncidentQuery{Text: "queue restart"}, []int64{1}},
					{storage.IncidentQuery{Text: "bob@example.org"}, nil},
					{storage.IncidentQuery{Text: "EU-central disk"}, []int64{4}},
					{storage.IncidentQuery{Text: "drill"}, []int64{5}},
				} {
					if got := found(t, r, c.q); !slices.Equal(got, c.want) {
						t.Errorf("%+v: %v, want %v", c.q, got, c.want)
					}
				}
				open, err := storage.OpenIncidents(t.Context(), r)
				if fmt.Sprint(open) != "map[P1:1]" {
					t.Errorf("open: %v", open)
				}
				counts, _ := r.CountIncidents(t.Context())
				n := 0
				for _, c := range counts {
					n += c.Count
				}
				if n != 5 {
					t.Errorf("counts %+v", counts)
				}
				return err
			})
			if got := over(t, db); got != wasOver {
				t.Errorf("%s of what is over are left, there were %s", got, wasOver)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// over returns what is over and will go.
func over(t *testing.T, db *bolt.DB) (text string) {
	t.Helper()
	mustRead(t, db, func(r storage.Snapshot) error {
		for _, what := range []storage.Expiry{storage.ExpiryBreaches, storage.ExpiryMessages, storage.ExpiryPeople} {
			expired, err := r.Expired(t.Context(), what, noon.AddDate(10, 0, 0), 10)
			if err != nil {
				return err
			}
			for _, e := range expired {
				text += fmt.Sprintf("%c%d ", what, e.Number)
			}
		}
		return nil
	})
	return text
}

// manyIncidents opens a store of so many open incidents of 50 teams; one in 500 has
// a label of its own.
func manyIncidents(t testing.TB, many int) *bolt.DB {
	t.Helper()
	db := open(t, bolt.Options{})
	const piece = 2000
	for n := 0; n < many; n += piece {
		var all []*incident.Incident
		var events []incident.Event
		for i := n + 1; i <= min(n+piece, many); i++ {
			in := &incident.Incident{
				Number: int64(i), Sequence: 2, Key: fmt.Sprint("slo-", i), SLO: fmt.Sprint("slo-", i%1000), UseCase: "Application cannot register with notification services",
				Service: "notifications", Team: fmt.Sprint("team-", i%50), State: incident.StateOpen, Priority: incident.Priority{Name: fmt.Sprint("P", 1+i%3), Summary: strings.Repeat("x", 1000)},
			}
			if i%500 == 7 {
				in.Labels = map[string]string{"region": "ap-south"}
			}
			all = append(all, in)
			events = append(events,
				incident.Event{Incident: in.Number, Sequence: 1, Type: incident.EventOpened, Time: noon, Data: incident.Data{Opening: &incident.Opening{Key: in.Key}}},
				incident.Event{Incident: in.Number, Sequence: 2, Type: incident.EventUpdateWritten, Time: noon, Actor: "ada", Data: incident.Data{Message: "We look at the brokers of the region; a workaround is in the wiki."}})
		}
		mustWrite(t, db, func(tx storage.Tx) error {
			if err := tx.PutIncidents(t.Context(), all); err != nil {
				return err
			}
			return tx.AppendEvents(t.Context(), events)
		})
	}
	return db
}

// lists are what is asked of many incidents.
var lists = []struct {
	name string
	q    storage.IncidentQuery
}{
	{"state", storage.IncidentQuery{State: incident.StateOpen}},
	{"priority", storage.IncidentQuery{Priority: "P1", State: incident.StateOpen}},
	{"team", storage.IncidentQuery{Team: "team-7"}},
	{"priority-deep", storage.IncidentQuery{Priority: "P1", State: incident.StateOpen, Cursor: "500"}},
	{"few-of-many", storage.IncidentQuery{SLO: "slo-7", Priority: "P2", State: incident.StateOpen}},
	{"none", storage.IncidentQuery{State: incident.StateClosed, Team: "team-7"}},
	{"text-of-few", storage.IncidentQuery{Text: "ap-south"}},
	{"text-of-none", storage.IncidentQuery{Text: "cannot elsewhere", State: incident.StateOpen}},
	{"text-of-team", storage.IncidentQuery{Text: "elsewhere", Team: "team-7"}},
}

// What a list costs does not grow with the incidents that it leaves out.
func TestListsDoNotReadWhatTheyLeaveOut(t *testing.T) {
	of := func(many int) (allocs []float64) {
		db := manyIncidents(t, many)
		for _, list := range lists {
			q := list.q
			q.Limit = 2
			allocs = append(allocs, testing.AllocsPerRun(3, func() {
				mustRead(t, db, func(r storage.Snapshot) error {
					_, _, err := r.Incidents(t.Context(), q)
					return err
				})
			}))
		}
		return allocs
	}
	few, many := of(1000), of(4000)
	for i, list := range lists {
		// A tree that is deeper costs some more.
		if many[i] > 1.5*few[i]+20 {
			t.Errorf("%s: %.0f allocations among 4000, %.0f among 1000", list.name, many[i], few[i])
		}
	}
}

// BenchmarkIncidents lists 50 of 100,000 incidents that are open.
func BenchmarkIncidents(b *testing.B) {
	db := manyIncidents(b, 100_000)
	for _, list := range lists {
		b.Run(list.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q := list.q
				q.Limit = 50
				err := db.Read(b.Context(), func(r storage.Snapshot) error {
					_, _, err := r.Incidents(b.Context(), q)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
