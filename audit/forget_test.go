package audit_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// forget forgets the people of all that was over before a time.
func forget(t testing.TB, store storage.Store, before time.Time) {
	t.Helper()
	for more := true; more; {
		err := store.Write(t.Context(), func(tx storage.Tx) (err error) {
			more, err = storage.Forget(t.Context(), tx, before, 500)
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
		before, err := audit.MakeReport(t.Context(), w.Store(), audit.ReportOptions{Now: ev.at})
		if err != nil {
			t.Fatal(err)
		}
		forget(t, w.Store(), ev.at)
		after, err := audit.MakeReport(t.Context(), w.Store(), audit.ReportOptions{Now: ev.at})
		if err != nil {
			t.Fatal(err)
		}
		sameButForPeople(t, after, before)
		v, err := audit.Verify(t.Context(), w.Store(), audit.VerifyOptions{Keys: []string{ev.key.Public()}, Checkpoints: [][]byte{ev.earlier, ev.latest}})
		if err != nil || !v.OK() || v.Forgotten == 0 {
			t.Errorf("verified %+v, %v", v, err)
		}
		for name, pseudonyms := range map[string]bool{"as it is": false, "with pseudonyms": true} {
			b, sum := export(t, w.Store(), audit.ExportOptions{Selection: audit.Selection{Incident: 1}, Now: ev.at, Key: ev.key, Pseudonyms: pseudonyms})
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

// Who says that something was forgotten cannot put something else in its place.
func TestVerifyOfWhatWasForgotten(t *testing.T) {
	s := newSample(t, 2)
	db, err := bolt.Open(t.Context(), s.path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	policy := newPolicy()
	repo := storage.Repository{Store: db, Policy: func() *incident.Policy { return policy }}
	err = repo.Change(t.Context(), noon.Add(10*time.Hour), func(c *storage.Change) error {
		in, err := c.Situation(1)
		if err != nil {
			return err
		}
		done, err := in.Incident.ChangeAction(c.Stamp("ada"), "hotfix", incident.ActionDone, "", "")
		if err != nil {
			return err
		}
		if err := c.Record(in, done...); err != nil {
			return err
		}
		closed, err := in.Incident.Close(c.Stamp("ada"), "")
		if err != nil {
			return err
		}
		return c.Record(in, closed...)
	})
	if err != nil {
		t.Fatal(err)
	}
	var forms []storage.Config
	for i, text := range []string{"one of ada@example.org", "one of address 1", "two of ada@example.org", "two of address 1"} {
		if forms = append(forms, newConfig([]byte(text))); i%2 == 0 {
			continue
		}
		err := db.Write(t.Context(), func(tx storage.Tx) error {
			return tx.PutConfig(t.Context(), storage.Loading{Hash: forms[i-1].Hash, At: noon.Add(time.Duration(20+i) * time.Hour), Actor: "ada", Public: forms[i].Hash}, forms[i-1:]...)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	forget(t, db, noon.Add(30*time.Hour))
	if _, err := storage.SignLog(t.Context(), db, s.key, noon.Add(31*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	form := func(h hand, text string) []byte {
		for _, k := range h.keys("configs") {
			if string(h.get("configs", k)) == text {
				return k
			}
		}
		h.t.Fatalf("there is no configuration %q", text)
		return nil
	}
	for _, c := range []struct {
		name   string
		tamper func(h hand)
		want   string
	}{
		{"nothing is changed", func(hand) {}, ""},
		{
			"a name in the state", func(h hand) { h.replace("incidents", 0, `"acknowledged_by":"forgotten"`, `"acknowledged_by":"anna"`) },
			"INC-1: its state is not what its events make of it: acknowledged_by",
		},
		{
			"an author", func(h hand) { h.replace("incidents", 0, `"by":"forgotten"`, `"by":"anna"`) },
			"INC-1: its state is not what its events make of it: words",
		},
		{
			"a name in the state of what is not forgotten", func(h hand) { h.replace("incidents", 1, `"acknowledged_by":"Ünal"`, `"acknowledged_by":"anna"`) },
			"INC-2: its state is not what its events make of it: acknowledged_by",
		},
		{
			"an address of a delivery", func(h hand) { h.replace("deliveries", 0, `"address":"forgotten"`, `"address":"anna"`) },
			`delivery "0-delivered": it is not what its record says: address`,
		},
		{"a name beside an event", func(h hand) {
			r, err := storage.ParseRecord(h.get("events", h.keys("events")[2]))
			if err != nil {
				h.t.Fatal(err)
			}
			r.Salt, r.Personal = make([]byte, 16), map[string]string{"actor": "anna"}
			h.put("events", h.keys("events")[2], storage.AppendRecord(nil, r))
		}, "event INC-1/3: what is kept as actor is not what its hash in the leaf is of"},
		{
			"names of what is not closed", func(h hand) { h.forget("events", 11) },
			"event INC-2/3: its names and addresses are gone, and an incident that it is about is not closed",
		},
		{"addresses about what is not closed", func(h hand) {
			h.forget("delivery_records", 2)
			d := h.keys("deliveries")[3]
			h.put("deliveries", d, bytes.ReplaceAll(bytes.ReplaceAll(h.get("deliveries", d), []byte("email:eve@example.org"), []byte("forgotten")), []byte("eve@example.org"), []byte("forgotten")))
		}, `delivery "1-delivered": its names and addresses are gone, and an incident that it is about is not closed`},
		{
			"who resolved it, in the state of what is not closed", func(h hand) { h.replace("incidents", 1, `"resolved_by":"ada"`, `"resolved_by":"forgotten"`) },
			"INC-2: its state is not what its events make of it: resolved_by",
		},
		{
			"the configuration in force", func(h hand) { h.delete("configs", form(h, "two of ada@example.org")) },
			"it was in force, and is not there",
		},
		{
			"the public form of the one in force", func(h hand) { h.delete("configs", form(h, "two of address 1")) },
			"its public form is not there",
		},
		{
			"the public form of the one before", func(h hand) { h.delete("configs", form(h, "one of address 1")) },
			"it was in force, and is not there",
		},
		{
			"a public form is changed", func(h hand) { h.put("configs", form(h, "one of address 1"), []byte("one of address 2")) },
			"it is not the public form of the one that was in force",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.copied(t)
			s.tamper(t, func(h hand) { h.t = t; c.tamper(h) })
			v := s.verify(t, audit.VerifyOptions{})
			switch {
			case c.want == "" && (!v.OK() || v.Forgotten == 0 || v.MessagesGone != 2 || v.Leaves != v.Signed):
				t.Errorf("verified %+v", v)
			case c.want != "" && (v.OK() || !strings.Contains(v.Findings[0].String(), c.want)):
				t.Errorf("findings %v, want %q", v.Findings, c.want)
			}
		})
	}
}

// forget drops what stands beside the leaf of the n-th record of a bucket.
func (h hand) forget(bucket string, n int) {
	k := h.keys(bucket)[n]
	r, err := storage.ParseRecord(h.get(bucket, k))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Forget()
	h.put(bucket, k, storage.AppendRecord(nil, r))
}

// An export of a store whose names were deleted too early says so.
func TestAnExportOfWhatWasForgottenTooEarly(t *testing.T) {
	s := newSample(t, 2)
	for name, c := range map[string]struct {
		tamper func(h hand)
		want   string
	}{
		"an event":   {func(h hand) { h.forget("events", 2) }, "events.jsonl, line 3, event INC-1/3: its names"},
		"a delivery": {func(h hand) { h.forget("delivery_records", 0) }, `deliveries.jsonl, line 1, delivery "0-delivered": its names`},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.copied(t)
			s.tamper(t, func(h hand) { h.t = t; c.tamper(h) })
			db, err := bolt.OpenReadOnly(t.Context(), s.path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			b, _ := export(t, db, audit.ExportOptions{Now: noon.Add(40 * time.Hour), Key: s.key})
			v := verify(t, b, audit.VerifyOptions{Keys: []string{s.key.Public()}})
			if len(v.Findings) != 1 || !strings.HasPrefix(v.Findings[0].String(), c.want) {
				t.Errorf("findings %v, want %q", v.Findings, c.want)
			}
		})
	}
}
