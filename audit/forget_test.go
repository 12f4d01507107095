package audit_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// forget forgets the people of all that was over before a time.
func forget(t testing.TB, store *bolt.DB, before time.Time) {
	t.Helper()
	for more := true; more; {
		err := store.Write(t.Context(), func(tx storage.Tx) (err error) {
			more, err = tx.Forget(before, 500)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// sameButForPeople compares two reports in all but names, addresses and what the other
// side said.
func sameButForPeople(t testing.TB, got, want *audit.Report) {
	t.Helper()
	forms := [2]string{}
	for i, rep := range []*audit.Report{got, want} {
		r := *rep
		r.Late, r.Changes = slices.Clone(r.Late), slices.Clone(r.Changes)
		for k := range r.Late {
			r.Late[k].Recipient = ""
			if r.Late[k].Why != audit.SitrepDown {
				r.Late[k].Cause = ""
			}
		}
		for k := range r.Changes {
			r.Changes[k].By = ""
		}
		// Of one time, they are in the order of addresses.
		slices.SortStableFunc(r.Late, func(a, b audit.Lateness) int { return strings.Compare(a.Delivery, b.Delivery) })
		b, err := json.MarshalIndent(&r, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		forms[i] = string(b)
	}
	if forms[0] != forms[1] {
		a, b := strings.Split(forms[0], "\n"), strings.Split(forms[1], "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("line %d of the report is %s, want %s", i+1, strings.Join(a[max(0, i-9):i+1], "\n"), b[min(i, len(b)-1)])
			}
		}
		t.Fatal("the report is shorter")
	}
}

// Once its people are forgotten, an incident can be proven and exported as before, and
// nobody is named.
func TestWhatIsForgottenIsProvenAllTheSame(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		t := w.t
		before, err := audit.MakeReport(t.Context(), w.store, audit.ReportOptions{Now: ev.at})
		if err != nil {
			t.Fatal(err)
		}
		forget(t, w.store, ev.at)
		after, err := audit.MakeReport(t.Context(), w.store, audit.ReportOptions{Now: ev.at})
		if err != nil {
			t.Fatal(err)
		}
		sameButForPeople(t, after, before)
		v, err := audit.Verify(t.Context(), w.store, audit.VerifyOptions{Keys: []string{ev.key.Public()}, Checkpoints: [][]byte{ev.earlier, ev.latest}})
		if err != nil || !v.OK() || v.Forgotten == 0 {
			t.Errorf("verified %+v, %v", v, err)
		}
		for name, pseudonyms := range map[string]bool{"as it is": false, "with pseudonyms": true} {
			b, sum := export(t, w.store, audit.ExportOptions{Selection: audit.Selection{Incident: 1}, Now: ev.at, Key: ev.key, Pseudonyms: pseudonyms})
			v := verify(t, b, audit.VerifyOptions{Keys: []string{ev.key.Public()}, Checkpoints: [][]byte{ev.earlier}})
			if !v.OK() || sum.Messages != 0 || sum.Configs != 2 {
				t.Errorf("%s: findings %v, summary %+v", name, v.Findings, sum)
			}
			if !pseudonyms && !slices.ContainsFunc(v.Notes, func(n string) bool { return strings.Contains(n, "were forgotten") }) {
				t.Errorf("%s: notes %q", name, v.Notes)
			}
			whole := 0
			for file, content := range files(t, b) {
				if strings.HasPrefix(file, "configs/") && strings.Contains(content, "@") {
					whole++ // the one in force
					continue
				}
				for _, secret := range []string{"ada", "bob", "Liskov", "@example.org", "status.example.org"} {
					if regexp.MustCompile(`\b` + regexp.QuoteMeta(secret) + `\b`).MatchString(content) {
						t.Errorf("%s: %s has %q", name, file, secret)
					}
				}
			}
			if want := map[bool]int{false: 1, true: 0}[pseudonyms]; whole != want {
				t.Errorf("%s: %d whole configurations, want %d", name, whole, want)
			}
			if page := files(t, b)["index.html"]; !pseudonyms && (!strings.Contains(page, "forgotten 1") || !strings.Contains(page, "forgotten 2")) {
				t.Errorf("%s: readers cannot be told apart: %s", name, page)
			}
		}
	})
}
