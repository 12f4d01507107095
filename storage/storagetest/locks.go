package storagetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// policy is that of an organisation with one SLO.
func policy() *incident.Policy {
	p1 := incident.Priority{Name: "P1", Inform: []incident.Audience{incident.AudienceManagement}, UpdateEvery: 2 * time.Hour}
	return &incident.Policy{
		Hash: "c0ffee", Location: time.UTC, Priorities: []incident.Priority{p1}, Management: []string{"leadership"},
		Groups:       []incident.Group{{Name: "leadership", Location: time.UTC, Recipients: []incident.Recipient{{ID: "email:cto@example.org", Channel: incident.ChannelEmail, Address: "cto@example.org"}}}},
		SLOs:         []incident.SLO{slo},
		ResolveAfter: 10 * time.Minute, ReopenWithin: time.Hour, UnknownAfter: 5 * time.Hour,
	}
}

var slo = incident.SLO{ID: "register", Key: "register", UseCase: "Nobody can register", SLI: "availability", Service: "web", Team: "blue", Priority: "P1"}

func repo(s storage.Store) *storage.Repository {
	p := policy()
	return &storage.Repository{Store: s, Policy: func() *incident.Policy { return p }}
}

// open stores an incident of that key in a write.
func (f *fixture) open(tx storage.Tx, key string) (int64, error) {
	n, err := tx.NextNumber(f.Context())
	if err != nil {
		return 0, err
	}
	in := f.newIncident(n)
	in.Key = key
	return n, tx.PutIncidents(f.Context(), []*incident.Incident{in})
}

// numbers are those of all incidents, the first first.
func (f *fixture) numbers() (all []int64) {
	f.Helper()
	f.read(func(r storage.Snapshot) error {
		page, _, err := r.Incidents(f.Context(), storage.IncidentQuery{Limit: 1000})
		for i := range page {
			all = append([]int64{page[i].Number}, all...)
		}
		return err
	})
	return all
}

func upTo(n int) (all []int64) {
	for i := range n {
		all = append(all, int64(i+1))
	}
	return all
}

// Of bbolt both writers are one, and wait for each other anyway.
var writerRules = []rule{
	{"writers that reach a few incidents in any order and in all ways get done, and none is lost", func(f *fixture) {
		const writers, rounds, keys = 16, 12, 5
		// Each key has an incident with a breach, and one that was merged into it has another.
		var incidents []*incident.Incident
		var breaches []*incident.Breach
		for k := int64(1); k <= keys; k++ {
			merged := f.newIncident(keys + k)
			merged.State, merged.ClosedAt, merged.MergedInto = incident.StateClosed, f.now, k
			incidents = append(incidents, f.newIncident(k), merged)
			breaches = append(breaches, f.newBreach(fmt.Sprint("own-", k), k), f.newBreach(fmt.Sprint("merged-", k), keys+k))
		}
		f.put(incidents...)
		f.write(func(tx storage.Tx) error { return tx.PutBreaches(f.Context(), breaches) })
		for range rounds {
			f.writeEach(writers, func(i int, tx storage.Tx) error {
				var n storage.Needs
				reached := map[int64]bool{}
				for _, k := range rand.Perm(keys)[:3] {
					k := int64(k + 1)
					reached[k] = true
					switch rand.IntN(6) {
					case 0:
						n.Keys = append(n.Keys, fmt.Sprint("slo-", k))
					case 1:
						n.Fingerprints = append(n.Fingerprints, fmt.Sprint("own-", k))
					case 2:
						n.Fingerprints = append(n.Fingerprints, fmt.Sprint("merged-", k))
					case 3:
						n.Incidents = append(n.Incidents, k)
					case 4:
						n.Incidents = append(n.Incidents, keys+k)
					case 5: // one that began since nobody knew of it
						n.Keys, n.Fresh = append(n.Keys, fmt.Sprint("slo-", k)), append(n.Fresh, fmt.Sprint("own-", k))
					}
				}
				alerts := slices.Concat(n.Fingerprints, n.Fresh)
				if err := tx.Lock(f.Context(), n); err != nil {
					return err
				}
				numbers := n.Incidents
				latest, err := tx.LatestOf(f.Context(), n.Keys)
				if err != nil {
					return err
				}
				for _, number := range latest {
					numbers = append(numbers, number)
				}
				known, err := tx.LatestBreaches(f.Context(), alerts)
				if err != nil {
					return err
				}
				for _, b := range known {
					numbers = append(numbers, b.Incident)
				}
				found, err := storage.IncidentsFollowed(f.Context(), tx, numbers)
				if err != nil {
					return err
				}
				var changed []*incident.Incident
				for number := range reached {
					in := found[number]
					if in == nil {
						return fmt.Errorf("incident %d is not reached by %+v", number, n)
					}
					in.Sequence++
					changed = append(changed, in)
				}
				if err := tx.PutIncidents(f.Context(), changed); err != nil {
					return err
				}
				for _, fp := range alerts {
					known[fp].HeardAt = known[fp].HeardAt.Add(time.Second)
					if err := tx.PutBreaches(f.Context(), []*incident.Breach{known[fp]}); err != nil {
						return err
					}
				}
				if i%4 != 3 {
					return nil
				}
				_, err = f.open(tx, fmt.Sprint("new-", i)) // the number last
				return err
			})
		}
		changes := int64(0)
		f.read(func(r storage.Snapshot) error {
			all, err := r.IncidentsByNumber(f.Context(), upTo(keys))
			for _, in := range all {
				changes += in.Sequence - 1
			}
			return err
		})
		f.equal("changes", changes, int64(3*writers*rounds))
		f.equal("numbers", f.numbers(), upTo(2*keys+writers*rounds/4))
	}},
	{"two that take in the same new alert at once leave one breach, in one incident", func(f *fixture) {
		a := &incident.Alert{Fingerprint: "a", StartsAt: f.ago(1), Labels: map[string]string{"alertname": "Down"}}
		var began atomic.Int64
		f.each(16, func(_ int, s storage.Store) {
			fires := false
			err := repo(s).Change(f.Context(), f.now, func(c *storage.Change) error {
				fires = false
				if err := c.Prepare(storage.Needs{Keys: []string{slo.Key}, Fingerprints: []string{a.Fingerprint}}); err != nil {
					return err
				}
				if b, err := c.LatestBreach(a.Fingerprint); err != nil || b != nil {
					return err
				}
				in, _, err := c.IncidentFor(&slo, incident.ActorAlertmanager)
				if err != nil {
					return err
				}
				b := incident.NewBreach(a, nil, c.At)
				fires = true
				return c.RecordBreach(in, &b, in.Fire(c.Stamp(incident.ActorAlertmanager), &b, a, "", c.Policy.Priorities[0], c.Policy))
			})
			if err != nil {
				f.Errorf("take: %v", err)
			}
			if fires {
				began.Add(1)
			}
		})
		f.equal("began", began.Load(), int64(1))
		f.equal("incidents", f.numbers(), upTo(1))
		f.read(func(r storage.Snapshot) error {
			page, _, err := r.Breaches(f.Context(), 1, 10, "")
			f.equal("breaches", len(page), 1)
			if err != nil {
				return err
			}
			events, err := storage.EventsOf(f.Context(), r, 1, 0, 10)
			f.equal("events", len(events), 2)
			return err
		})
	}},
	{"two that hear at once of an end whose beginning nobody saw leave one breach", func(f *fixture) {
		a := &incident.Alert{Fingerprint: "a", StartsAt: f.ago(2), Resolved: true, EndsAt: f.ago(1), Labels: map[string]string{"alertname": "Down"}}
		var began atomic.Int64
		f.each(16, func(_ int, s storage.Store) {
			first := false
			err := repo(s).Change(f.Context(), f.now, func(c *storage.Change) error {
				first = false
				if err := c.Prepare(storage.Needs{Fingerprints: []string{a.Fingerprint}}); err != nil {
					return err
				}
				if b, err := c.LatestBreach(a.Fingerprint); err != nil || b != nil {
					return err
				}
				b := incident.NewBreach(a, nil, c.At)
				b.EndFirst(a, &slo, c.At)
				first = true
				return c.PutBreach(&b)
			})
			if err != nil {
				f.Errorf("take: %v", err)
			}
			if first {
				began.Add(1)
			}
		})
		f.equal("first", began.Load(), int64(1))
	}},
	{"an alert that is not as fresh as it seemed leads to its incident all the same", func(f *fixture) {
		merged := f.newIncident(2)
		merged.State, merged.ClosedAt, merged.MergedInto = incident.StateClosed, f.now, 1
		f.put(f.newIncident(1), merged)
		f.breaches(f.newBreach("a", 2))
		f.writeEach(8, func(_ int, tx storage.Tx) error {
			if err := tx.Lock(f.Context(), storage.Needs{Fresh: []string{"a", "none"}}); err != nil {
				return err
			}
			found, err := tx.IncidentsByNumber(f.Context(), []int64{1})
			if err != nil {
				return err
			}
			found[1].Sequence++
			return tx.PutIncidents(f.Context(), []*incident.Incident{found[1]})
		})
		f.read(func(r storage.Snapshot) error {
			found, err := r.IncidentsByNumber(f.Context(), []int64{1})
			f.equal("changes", found[1].Sequence-f.newIncident(1).Sequence, int64(8))
			return err
		})
		err := repo(f.store).Change(f.Context(), f.now, func(c *storage.Change) error {
			if err := c.Prepare(storage.Needs{Fresh: []string{"a"}}); err != nil {
				return err
			}
			b, err := c.LatestBreach("a")
			if err == nil && b == nil {
				f.Error("its breach is not there")
			}
			return err
		})
		if err != nil {
			f.Error(err)
		}
	}},
	{"of two changes of a pulse none is lost", func(f *fixture) {
		f.writeEach(20, func(i int, tx storage.Tx) error {
			if i%4 < 2 {
				if err := tx.Lock(f.Context(), storage.Needs{Pulses: []string{"us", "eu"}}); err != nil {
					return err
				}
			}
			p, err := storage.PulseOf(f.Context(), tx, "eu")
			if err != nil {
				return err
			}
			p.Sequence++
			return tx.PutPulses(f.Context(), []incident.Pulse{p}, nil)
		})
		f.read(func(r storage.Snapshot) error {
			p, err := storage.PulseOf(f.Context(), r, "eu")
			f.equal("sequence", p.Sequence, int64(20))
			return err
		})
	}},
	{"of two changes of what readers are owed about a pulse none is lost", func(f *fixture) {
		f.notify(f.notice("eu", "a", f.now))
		f.writeEach(20, func(i int, tx storage.Tx) error {
			notices, err := tx.Notices(f.Context(), "eu")
			if err != nil {
				return err
			}
			notices[0].DueAt = notices[0].DueAt.Add(time.Second)
			return tx.PutNotices(f.Context(), append(notices[:1], f.notice("eu", fmt.Sprint("b", i), f.now)), nil)
		})
		all := f.notices("eu")
		f.equal("notices", len(all), 21)
		f.equal("due", all[0].DueAt, f.now.Add(20*time.Second))
	}},
	{"a command with one key is carried out once, whoever gets it", func(f *fixture) {
		const key = "k"
		f.writeEach(16, func(_ int, tx storage.Tx) error {
			_, err := tx.Answer(f.Context(), key)
			if !errors.Is(err, incident.ErrNotFound) {
				return err
			}
			if _, err := f.open(tx, "declared"); err != nil {
				return err
			}
			return tx.PutAnswer(f.Context(), storage.Answer{Key: key, Request: "r", At: f.now, Status: 201})
		})
		f.equal("declared", f.numbers(), upTo(1))
	}},
	{"numbers have no gaps, whoever opens and whoever fails", func(f *fixture) {
		broken := errors.New("broken")
		f.each(32, func(i int, s storage.Store) {
			err := s.Write(f.Context(), func(tx storage.Tx) error {
				for range 1 + i%2 {
					if _, err := f.open(tx, fmt.Sprint(i)); err != nil {
						return err
					}
				}
				if i%4 == 3 {
					return broken
				}
				return nil
			})
			if want := map[bool]error{true: broken}[i%4 == 3]; !errors.Is(err, want) {
				f.Errorf("open %d: %v", i, err)
			}
		})
		f.equal("numbers", f.numbers(), upTo(8+2*8+8))
	}},
	{"what is done by a clock that is behind comes after what it follows on", func(f *fixture) {
		ahead, behind := f.now, f.now.Add(-18*time.Second)
		declare := func(s storage.Store, at time.Time, previous int64) {
			f.Helper()
			err := repo(s).Change(f.Context(), at, func(c *storage.Change) error {
				if err := c.Prepare(storage.Needs{Keys: []string{slo.Key}}); err != nil {
					return err
				}
				next, err := c.New()
				if err != nil {
					return err
				}
				d := incident.Declaration{SLO: &slo, Reason: "it is down"}
				events, err := incident.Declare(c.Stamp("ada"), c.Policy, d, next.Incident.Number, previous)
				if err != nil {
					return err
				}
				return c.Record(next, events...)
			})
			if err != nil {
				f.Fatal(err)
			}
		}
		declare(f.store, ahead, 0)
		for _, do := range []func(in *incident.Incident, s incident.Stamp) ([]incident.Event, error){
			func(in *incident.Incident, s incident.Stamp) ([]incident.Event, error) { return in.Acknowledge(s) },
			func(in *incident.Incident, s incident.Stamp) ([]incident.Event, error) { return in.Resolve(s, "over") },
		} {
			err := repo(f.other).Change(f.Context(), behind, func(c *storage.Change) error {
				s, err := c.Situation(1)
				if err != nil {
					return err
				}
				events, err := do(&s.Incident, c.Stamp("bob"))
				if err != nil {
					return err
				}
				return c.Record(s, events...)
			})
			if err != nil {
				f.Fatal(err)
			}
		}
		declare(f.other, behind, 1)
		f.read(func(r storage.Snapshot) error {
			last := time.Time{}
			for number := int64(1); number <= 2; number++ {
				events, err := storage.EventsOf(f.Context(), r, number, 0, 10)
				if err != nil || len(events) == 0 {
					f.Errorf("events of %d: %v, %v", number, events, err)
				}
				for _, e := range events {
					if e.Time.Before(last) {
						f.Errorf("%d/%d %s at %v, after %v", e.Incident, e.Sequence, e.Type, e.Time, last)
					}
					last = e.Time
				}
			}
			return nil
		})
	}},
}
