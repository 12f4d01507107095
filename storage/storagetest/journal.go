package storagetest

import (
	"fmt"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

func (f *fixture) newUnmapped(fingerprint string) *incident.UnmappedAlert {
	return &incident.UnmappedAlert{
		Fingerprint: fingerprint, StartsAt: f.ago(9), Labels: map[string]string{"alertname": "Odd"},
		FirstSeenAt: f.ago(8), HeardAt: f.now, Incident: 4,
	}
}

var journalRules = []rule{
	{"unmapped alerts are kept by fingerprint", func(f *fixture) {
		f.write(func(tx storage.Tx) error {
			var all []*incident.UnmappedAlert
			for _, fp := range []string{"c", "a", "e", "b", "d", "f"} {
				all = append(all, f.newUnmapped(fp))
			}
			if err := tx.PutUnmapped(f.Context(), all, nil); err != nil {
				return err
			}
			return tx.PutUnmapped(f.Context(), nil, []string{"f", "none", "d"})
		})
		changed := f.newUnmapped("a")
		changed.Incident = 0
		f.write(func(tx storage.Tx) error { return tx.PutUnmapped(f.Context(), []*incident.UnmappedAlert{changed}, nil) })
		f.read(func(r storage.Snapshot) error {
			set, err := r.Unmapped(f.Context(), []string{"d", "a", "none", "a", "b"})
			if err != nil {
				return err
			}
			f.equal("set", set, map[string]*incident.UnmappedAlert{"a": changed, "b": f.newUnmapped("b")})
			var pages [][]string
			for cursor := ""; ; {
				page, next, err := r.UnmappedAlerts(f.Context(), 2, cursor)
				if err != nil {
					return err
				}
				var list []string
				for _, a := range page {
					list = append(list, a.Fingerprint)
				}
				pages = append(pages, list)
				if cursor = next; next == "" {
					break
				}
			}
			f.equal("pages", pages, [][]string{{"a", "b"}, {"c", "e"}})
			return nil
		})
	}},
	{"the latest hundred refusals and ambiguities are kept, the latest first", func(f *fixture) {
		var refusals []storage.Refusal
		var ambiguities []storage.Ambiguity
		for i := range 130 {
			r := storage.Refusal{At: f.now.Add(time.Duration(i)), Status: 400 + i, Client: "am", Reason: "no JSON"}
			r.At = f.ago(-i)
			a := storage.Ambiguity{At: f.ago(-i), Fingerprint: fmt.Sprint(i), Labels: map[string]string{"a": "b"}, SLO: "x", Others: []string{"y"}}
			refusals, ambiguities = append([]storage.Refusal{r}, refusals...), append([]storage.Ambiguity{a}, ambiguities...)
			f.write(func(tx storage.Tx) error {
				if err := storage.PutRefusal(f.Context(), tx, r); err != nil {
					return err
				}
				return storage.PutAmbiguities(f.Context(), tx, []storage.Ambiguity{a})
			})
		}
		f.read(func(r storage.Snapshot) error {
			gotR, err := storage.Refusals(f.Context(), r)
			if err != nil {
				return err
			}
			f.equal("refusals", gotR, refusals[:100])
			gotA, err := storage.Ambiguities(f.Context(), r)
			f.equal("ambiguities", gotA, ambiguities[:100])
			return err
		})
	}},
	{"outages are listed, the latest first", func(f *fixture) {
		var want []storage.Outage
		for i := range 5 {
			o := storage.Outage{From: f.ago(i * 10), To: f.ago(i*10 - 5)}
			want = append(want, o)
		}
		f.write(func(tx storage.Tx) error {
			for _, i := range []int{3, 1, 4, 0, 2, 2} {
				if err := storage.PutOutage(f.Context(), tx, want[i]); err != nil {
					return err
				}
			}
			return nil
		})
		f.read(func(r storage.Snapshot) error {
			all, err := storage.Outages(f.Context(), r, 10)
			if err != nil {
				return err
			}
			f.equal("outages", all, want)
			all, err = storage.Outages(f.Context(), r, 2)
			f.equal("two", all, want[:2])
			return err
		})
	}},
	{"an answer is kept for a day", func(f *fixture) {
		answer := func(key string, at time.Time) storage.Answer {
			return storage.Answer{Key: key, Request: "r", At: at, Status: 200, Body: []byte(`{"id":"INC-1"}`)}
		}
		put := func(a storage.Answer) { f.write(func(tx storage.Tx) error { return tx.PutAnswer(f.Context(), a) }) }
		there := func(key string, want bool) {
			f.Helper()
			f.read(func(r storage.Snapshot) error {
				_, err := r.Answer(f.Context(), key)
				if want != (err == nil) {
					f.Errorf("answer %q: %v", key, err)
				}
				if !want {
					f.fails("answer", err, incident.ErrNotFound)
				}
				return nil
			})
		}
		old, kept := answer("old", f.ago(24*60+1)), answer("kept", f.ago(24*60-1))
		put(old)
		put(kept)
		put(answer("again", f.ago(24*60+2)))
		put(answer("again", f.now)) // and old is too old now
		there("again", true)
		there("kept", true)
		there("old", false)
		f.read(func(r storage.Snapshot) error {
			a, err := r.Answer(f.Context(), "kept")
			f.equal("answer", a, kept)
			return err
		})
	}},
}
