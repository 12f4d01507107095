package storage

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"sitrep/incident"
)

// earlierRecords are records as an earlier build stored them, which wrote causes,
// particulars of what is owed, and its own reasons as sentences.
func earlierRecords(t *testing.T) (records []Record) {
	t.Helper()
	b, err := os.ReadFile("testdata/earlier.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var l struct {
			Index    int64
			Salt     string
			Personal map[string]string
			Leaf     json.RawMessage
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		r := Record{Index: l.Index, Personal: l.Personal, Leaf: l.Leaf}
		if l.Salt != "" {
			if r.Salt, err = hex.DecodeString(l.Salt); err != nil {
				t.Fatal(err)
			}
		}
		records = append(records, r)
	}
	return records
}

// factsOf writes what a record says that was a sentence.
func factsOf(t *testing.T, r Record) []string {
	t.Helper()
	cause := func(c incident.Cause) string {
		switch {
		case c.Kind == "":
			return ""
		case c.Kind == incident.CauseDown:
			return fmt.Sprint(" down ", c.From.Format(time.TimeOnly), " ", c.To.Format(time.TimeOnly))
		}
		return fmt.Sprint(" ", c.Kind, " ", c.Said)
	}
	if bytes.Contains(r.Leaf, []byte(`"type"`)) {
		e, err := DecodeEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		into := ""
		if e.Data.Into != 0 {
			into = " " + incident.ID(e.Data.Into)
		}
		return []string{fmt.Sprintf("%s %q %s%s%s", e.Type, e.Reason, e.Data.Why, into, cause(e.Data.Cause))}
	}
	d, _, err := DecodeDelivery(r)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{fmt.Sprintf("%s %q %s%s", d.State, d.Error, d.Why, cause(d.Cause))}
	for _, c := range d.Covers {
		for _, o := range c.Owed {
			due := ""
			if !o.DueAt.IsZero() {
				due = o.DueAt.Format(time.TimeOnly)
			}
			if fact := fmt.Sprint(due, o.Action, o.Address); fact != "" || o.Refused > 0 {
				out = append(out, fmt.Sprintf("%s %s %t", o.Reason, fact, o.Refused > 0))
			}
		}
	}
	return out
}

func TestRecordsOfEarlierBuildsAreRead(t *testing.T) {
	said := func(who string) string {
		if who == incident.Forgotten {
			return who
		}
		return fmt.Sprintf("RCPT %q: 451 try later", who)
	}
	refused := `RCPT "gone@example.org": 550 no such user: refused for good`
	want := func(support, gone, refused string) [][]string {
		return [][]string{
			{`breach_unknown "nothing was heard of it for 3h0m0s" `},
			{`update_missed ""  said ` + said(support)},
			{`update_missed ""  down 13:59:26 19:00:00`},
			{`reopened "" breach_started`},
			{`priority_changed "" slo_priority`},
			{`closed "" merged INC-1`},
			{`closed "" no_action_due`},
			{`delivered "" `, "unfed 10:01:00 false"},
			{`delivered ""  said ` + said(support)},
			{`delivered ""  down 13:59:26 19:00:00`},
			{fmt.Sprintf(`failed %q `, refused)},
			{`delivered "" `, "undeliverable " + gone + " false"},
			{fmt.Sprintf(`failed %q `, refused), "joined  true"},
			{`delivered "" `, "action_overdue postmortem false"},
			{`superseded "" outcome_unknown`},
		}
	}
	records := earlierRecords(t)
	if all := want("support@example.org", "gone@example.org", refused); len(records) != len(all) {
		t.Fatalf("%d records, want %d", len(records), len(all))
	}
	for i, r := range records {
		leaf := bytes.Clone(r.Leaf)
		if err := r.CheckPersonal(); err != nil {
			t.Errorf("%s: %v", r.Leaf, err)
		}
		if got, want := factsOf(t, r), want("support@example.org", "gone@example.org", refused)[i]; !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", r.Leaf, got, want)
		}
		personal := r.Personal != nil
		r.Forget()
		if r.Forgotten() != personal {
			t.Errorf("%s: forgotten %t, want %t", r.Leaf, r.Forgotten(), personal)
		}
		if got, want := factsOf(t, r), want(incident.Forgotten, incident.Forgotten, incident.Forgotten)[i]; !slices.Equal(got, want) {
			t.Errorf("%s: forgotten\n got %q\nwant %q", r.Leaf, got, want)
		}
		if !bytes.Equal(leaf, r.Leaf) {
			t.Errorf("%s: is no more the leaf that was", r.Leaf)
		}
	}
}
