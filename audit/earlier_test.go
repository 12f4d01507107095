package audit_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/incident/incidentjson"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// earlierStore returns a store that an earlier build wrote, which kept causes, particulars
// of what is owed, and its own reasons as sentences.
func earlierStore(t *testing.T) *bolt.DB {
	t.Helper()
	f, err := os.Open("testdata/earlier/store.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "earlier.db")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, z); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(t.Context(), path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// earlierNow is when the store of the earlier build ends.
var earlierNow = time.Date(2000, time.January, 1, 23, 55, 0, 0, time.UTC)

func earlierFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "earlier", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What an earlier build proved is still proven: by its export, by its store, and by an
// export that is made of its store today.
func TestEvidenceOfAnEarlierBuildVerifies(t *testing.T) {
	key := string(earlierFile(t, "key.pub"))
	keys := audit.VerifyOptions{Keys: []string{key}}
	v := verify(t, earlierFile(t, "evidence.zip"), keys)
	if len(v.Findings) > 0 {
		t.Errorf("its export: %v", v.Findings)
	}
	db := earlierStore(t)
	if err := db.Check(t.Context()); err != nil {
		t.Errorf("its store: %v", err)
	}
	stored, err := audit.Verify(t.Context(), db, keys)
	if err != nil || len(stored.Findings) > 0 {
		t.Errorf("its store: %v, %v", stored.Findings, err)
	}
	for _, pseudonyms := range []bool{false, true} {
		again, _ := export(t, db, audit.ExportOptions{Now: earlierNow, Location: time.UTC, Pseudonyms: pseudonyms})
		if v := verify(t, again, keys); len(v.Findings) > 0 {
			t.Errorf("exported again, pseudonyms %t: %v", pseudonyms, v.Findings)
		}
		for name, text := range files(t, again) {
			if pseudonyms && strings.Contains(text, "gone@example.org") {
				t.Errorf("%s names gone@example.org", name)
			}
		}
		// The lines of what was recorded are those that the earlier build wrote.
		if before := files(t, earlierFile(t, "evidence.zip")); !pseudonyms {
			for _, name := range []string{"events.jsonl", "deliveries.jsonl"} {
				if got := files(t, again)[name]; got != before[name] {
					t.Errorf("%s is not as it was", name)
				}
			}
		}
	}
}

func TestTheReportOfAnEarlierStoreIsTheSame(t *testing.T) {
	rep, err := audit.MakeReport(t.Context(), earlierStore(t), audit.ReportOptions{Now: earlierNow, AsOf: earlierNow})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(rep, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, earlierFile(t, "report.json")) {
		t.Errorf("got %s", got)
	}
}

// Tools read of an event what they read before: reasons and causes in the same words.
func TestEventsOfAnEarlierStoreSayTheSame(t *testing.T) {
	var want []map[string]any
	if err := json.Unmarshal(earlierFile(t, "events.json"), &want); err != nil {
		t.Fatal(err)
	}
	var all []incidentjson.Event
	err := earlierStore(t).Read(t.Context(), func(r storage.Snapshot) error {
		for n := range int64(4) {
			events, err := storage.EventsOf(t.Context(), r, n+1, 0, 1000)
			if err != nil {
				return err
			}
			all = append(all, incidentjson.FromEvents(events)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	codes := map[any]int{}
	for _, e := range got {
		data := e["data"].(map[string]any)
		codes[data["why"]]++
		codes[data["cause_kind"]]++
		if data["why"] == "breach_started" && e["reason"] == "an alert fires" {
			e["reason"] = "a breach started" // as it was said before audiences were told of alerts
		}
		for _, added := range []string{"why", "cause_kind", "down_from", "down_to"} {
			delete(data, added)
		}
		if e["type"] == "closed" {
			delete(data, "into") // which was in words before
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for _, code := range []string{"breach_started", "slo_priority", "merged", "no_action_due", "down", "said"} {
		if codes[code] == 0 {
			t.Errorf("no event has the code %s", code)
		}
	}
}
