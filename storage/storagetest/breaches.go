package storagetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// breaches stores breaches.
func (f *fixture) breaches(all ...*incident.Breach) {
	f.Helper()
	f.write(func(tx storage.Tx) error {
		return tx.PutBreaches(f.Context(), all)
	})
}

// latestBreach returns the latest breach of a fingerprint, nil if there is none.
func (f *fixture) latestBreach(fingerprint string) (b *incident.Breach) {
	f.Helper()
	f.read(func(r storage.Snapshot) (err error) {
		b, err = storage.LatestBreach(f.Context(), r, fingerprint)
		return err
	})
	return b
}

var breachRules = []rule{
	{"a breach is read as it was put", func(f *fixture) {
		full := f.newBreach("00c0ffee00c0ffee", 1)
		full.EndsAt, full.State = f.now.Add(time.Minute), incident.BreachEnded
		full.AskAt = f.now.Add(time.Microsecond)
		full.AskedAt = f.now.Add(2 * time.Microsecond)
		full.EndHeardAt = f.now.Add(3 * time.Microsecond)
		full.Grafana, full.Ordinal = true, 7
		full.SaidStartsAt, full.SaidEndsAt, full.EndedBefore = f.now.Add(4*time.Microsecond), f.now.Add(5*time.Microsecond), f.now.Add(6*time.Microsecond)
		full.LaterEnd, full.ListedSince = f.now.Add(7*time.Microsecond), f.now.Add(8*time.Microsecond)
		full.Labels["empty"], full.Labels["long"] = "", strings.Repeat("x", 100_000)
		bare := &incident.Breach{Fingerprint: "b", StartsAt: f.now, State: incident.BreachEnded}
		odd := f.newBreach(strings.Repeat("f", 3000)+"\x00", 1)
		f.breaches(full, bare, odd)
		f.read(func(r storage.Snapshot) error {
			got, err := r.LatestBreaches(f.Context(), []string{odd.Fingerprint, full.Fingerprint, bare.Fingerprint})
			f.equal("breaches", got, map[string]*incident.Breach{full.Fingerprint: full, bare.Fingerprint: bare, odd.Fingerprint: odd})
			return err
		})
		full.Labels = nil
		full.State, full.EndsAt = incident.BreachFiring, time.Time{}
		f.breaches(full)
		f.equal("changed", f.latestBreach(full.Fingerprint), full)
	}},
	{"one that is not there is left out of a set", func(f *fixture) {
		f.breaches(f.newBreach("a", 1))
		f.read(func(r storage.Snapshot) error {
			found, err := r.LatestBreaches(f.Context(), []string{"b", "a", "c", "a"})
			f.equal("latest", found, map[string]*incident.Breach{"a": f.newBreach("a", 1)})
			return err
		})
	}},
	{"the latest of a fingerprint has the highest ordinal, and nothing happens to one before", func(f *fixture) {
		for ordinal := range int64(4) {
			b := f.newBreach("a", 10*ordinal+10)
			b.Ordinal, b.StartsAt = ordinal, f.now.Add(-time.Duration(ordinal)*time.Minute)
			f.breaches(b, f.newBreach("aa", 1))
		}
		err := f.store.Write(f.Context(), func(tx storage.Tx) error {
			b := f.newBreach("a", 10)
			b.Ordinal = 2
			return tx.PutBreaches(f.Context(), []*incident.Breach{b})
		})
		if err == nil {
			f.Error("one before the latest was changed")
		}
		f.equal("latest", f.latestBreach("a").Incident, int64(40))
		f.equal("those before are kept", f.breachPages(10, 9), [][]string{{"a"}})
	}},
	{"pages are in order of arrival, and a change keeps the place", func(f *fixture) {
		var want []string
		for i := range 7 {
			fp := fmt.Sprint(9 - i)
			want = append(want, fp)
			f.breaches(f.newBreach(fp, 1), f.newBreach("other"+fp, 2))
		}
		f.breaches(f.newBreach("9", 1))
		f.equal("pages", f.breachPages(1, 3), [][]string{want[:3], want[3:6], want[6:]})
		f.equal("one page", f.breachPages(1, 7), [][]string{want})
		f.equal("none", f.breachPages(3, 7), [][]string{nil})
		f.breaches(f.newBreach("of another", 5))
		f.read(func(r storage.Snapshot) error {
			first, err := r.FirstBreaches(f.Context(), []int64{5, 1, 3, 1}, 3)
			if err != nil {
				return err
			}
			f.equal("how many have any", len(first), 2)
			f.equal("first of one", fingerprints(first[1].Breaches), want[:3])
			f.equal("first of another", fingerprints(first[5].Breaches), []string{"of another"})
			f.equal("no more of another", first[5].Next, "")
			page, _, err := r.Breaches(f.Context(), 1, 3, first[1].Next)
			f.equal("where it goes on", fingerprints(page), want[3:6])
			if _, err := r.FirstBreaches(f.Context(), []int64{1}, 0); !errors.Is(err, incident.ErrInvalid) {
				f.Errorf("a limit of 0: %v", err)
			}
			return err
		})
	}},
	{"a glance sees what a snapshot does", func(f *fixture) {
		glance := func() storage.Glance {
			got, err := f.store.Glance(f.Context())
			if err != nil {
				f.Fatal(err)
			}
			f.read(func(r storage.Snapshot) error {
				want, err := storage.GlanceOf(f.Context(), r)
				f.equal("glance", got, want)
				return err
			})
			return got
		}
		f.equal("of nothing", glance(), storage.Glance{})
		a, b, ended := f.newBreach("a", 1), f.newBreach("b", 1), f.newBreach("c", 1)
		a.HeardAt, b.HeardAt, ended.HeardAt = f.ago(2), f.ago(5), f.ago(9)
		a.AskAt, ended.AskAt, ended.State = f.now, f.now.Add(time.Hour), incident.BreachEnded
		f.breaches(ended)
		if g := glance(); !g.Silent.IsZero() || !g.ToAsk.Equal(ended.AskAt) {
			f.Errorf("of one that ended: %+v", g)
		}
		f.breaches(a, b)
		f.subscribe(f.owes(1, "x", f.ago(3)), f.owes(2, "y", f.ago(4)))
		f.write(func(tx storage.Tx) error {
			err := tx.PutConfig(f.Context(), storage.Loading{Hash: "one", At: f.now, Actor: incident.ActorStart})
			if err != nil {
				return err
			}
			return tx.PutPulses(f.Context(), []incident.Pulse{{Name: "two", HeardAt: f.now}, {Name: "one", HeardAt: f.ago(1)}}, nil)
		})
		g := glance()
		f.equal("times", []time.Time{g.Silent, g.ToAsk, g.NextDue}, []time.Time{b.QuietSince(), a.AskAt, f.ago(4)})
		f.equal("generation and pulses", []any{g.Generation.Number, g.Generation.Hash, len(g.Pulses)}, []any{int64(1), "one", 2})
	}},
	{"a breach that moves to another incident comes last there", func(f *fixture) {
		f.breaches(f.newBreach("a", 1), f.newBreach("b", 1), f.newBreach("c", 2))
		f.breaches(f.newBreach("a", 2))
		f.equal("left", f.breachPages(1, 9), [][]string{{"b"}})
		f.equal("moved", f.breachPages(2, 9), [][]string{{"c", "a"}})
		f.equal("latest", f.latestBreach("a").Incident, int64(2))
	}},
	{"silent are those firing or unknown, quiet for longest first", func(f *fixture) {
		quiet := func(fp string, minutes int, state incident.BreachState) *incident.Breach {
			b := f.newBreach(fp, 1)
			b.HeardAt, b.State = f.now.Add(-time.Duration(minutes)*time.Minute), state
			return b
		}
		loose, asked := quiet("loose", 50, incident.BreachFiring), quiet("asked", 60, incident.BreachUnknown)
		loose.Incident = 0
		asked.AskedAt = f.now.Add(-15 * time.Minute)
		f.breaches(quiet("new", 1, incident.BreachFiring), quiet("old", 30, incident.BreachFiring), quiet("unknown", 40, incident.BreachUnknown),
			quiet("ended", 50, incident.BreachEnded), loose, asked, quiet("edge", 10, incident.BreachFiring))
		before := f.now.Add(-10 * time.Minute)
		f.equal("silent", f.silent(before, 10), []string{"unknown", "old", "asked", "edge"})
		f.equal("two", f.silent(before, 2), []string{"unknown", "old"})

		f.breaches(quiet("old", 0, incident.BreachFiring), quiet("unknown", 40, incident.BreachEnded), quiet("ended", 45, incident.BreachFiring))
		f.equal("after changes", f.silent(before, 10), []string{"ended", "asked", "edge"})
	}},
	{"to be asked about are those whose time has come", func(f *fixture) {
		toAsk := func(at time.Time, want ...string) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				list, err := r.DueBreaches(f.Context(), storage.BreachesToAsk, at, 10)
				f.equal("to ask", fingerprints(list), want)
				return err
			})
		}
		a, b, c := f.newBreach("a", 1), f.newBreach("b", 1), f.newBreach("c", 1)
		a.AskAt, b.AskAt = f.now, f.now.Add(-time.Minute)
		f.breaches(a, b, c)
		toAsk(f.now, "b", "a")
		toAsk(f.now.Add(-time.Second), "b")
		b.AskAt, c.AskAt = time.Time{}, f.now.Add(time.Second)
		f.breaches(b, c)
		toAsk(f.now, "a")
		toAsk(f.now.Add(time.Second), "a", "c")
		f.read(func(r storage.Snapshot) error {
			list, err := r.DueBreaches(f.Context(), storage.BreachesToAsk, f.now.Add(time.Hour), 1)
			f.equal("one", fingerprints(list), []string{"a"})
			return err
		})
	}},
	{"a write that fails leaves no trace in what is found", func(f *fixture) {
		f.breaches(f.newBreach("a", 1))
		broken := errors.New("broken")
		_ = f.store.Write(f.Context(), func(tx storage.Tx) error {
			b := f.newBreach("a", 2)
			b.State = incident.BreachEnded
			if err := tx.PutBreaches(f.Context(), []*incident.Breach{b}); err != nil {
				return err
			}
			return broken
		})
		f.equal("silent", f.silent(f.now, 10), []string{"a"})
		f.equal("page", f.breachPages(1, 9), [][]string{{"a"}})
	}},
}

func (f *fixture) silent(before time.Time, limit int) (list []string) {
	f.Helper()
	f.read(func(r storage.Snapshot) error {
		all, err := r.DueBreaches(f.Context(), storage.BreachesSilent, before, limit)
		list = fingerprints(all)
		return err
	})
	return list
}

func fingerprints(list []incident.Breach) (all []string) {
	for _, b := range list {
		all = append(all, b.Fingerprint)
	}
	return all
}

func (f *fixture) breachPages(number int64, limit int) (pages [][]string) {
	f.Helper()
	f.read(func(r storage.Snapshot) error {
		for cursor := ""; ; {
			page, next, err := r.Breaches(f.Context(), number, limit, cursor)
			if err != nil {
				return err
			}
			pages = append(pages, fingerprints(page))
			if cursor = next; next == "" {
				return nil
			}
		}
	})
	return pages
}
