package api_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sitrep/api"
	"sitrep/audit"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

func TestReportsComeInThreeForms(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	f.clock.Pass(3 * time.Hour)
	var rep audit.Report
	header := f.get("/api/v1/audit/report", &rep)
	if rep.Total.Incidents != 1 || rep.ByPriority["P1"] == nil || !rep.From.Equal(start) || !rep.To.Equal(f.clock.Now()) {
		t.Errorf("report = %+v", rep)
	}
	for format, want := range map[string]struct{ media, body string }{
		"":     {"application/json", `"by_priority"`},
		"json": {"application/json", `"by_priority"`},
		"csv":  {"text/csv; charset=utf-8", "P1"},
		"html": {"text/html; charset=utf-8", "<!doctype html>"},
	} {
		w := f.send("viewer", "GET", "/api/v1/audit/report?format="+format, "")
		if w.Code != 200 || w.Header().Get("Content-Type") != want.media || !strings.Contains(strings.ToLower(w.Body.String()), strings.ToLower(want.body)) {
			t.Errorf("%s: %d %v\n%s", format, w.Code, w.Header(), w.Body)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", format, w.Header())
		}
		csp := w.Header().Get("Content-Security-Policy")
		switch {
		case format != "html" && csp != "":
			t.Errorf("%s: Content-Security-Policy %q", format, csp)
		case format == "html" && !strings.HasPrefix(csp, "default-src 'none'; style-src 'unsafe-inline';"):
			t.Errorf("a report may load what it likes: %q", csp)
		case format == "html" && strings.Contains(w.Body.String(), "<script"):
			t.Error("the report has a script")
		case format == "csv":
			if _, err := csv.NewReader(w.Body).ReadAll(); err != nil || !strings.Contains(w.Header().Get("Content-Disposition"), "sitrep-report.csv") {
				t.Errorf("%v, %v", err, w.Header())
			}
		}
	}
	if header.Get("Content-Length") == "" {
		t.Error("its length is not said")
	}
}

func TestSpansOfReports(t *testing.T) {
	f := newFixture(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	f.policy.Location = berlin
	f.breach("log on", "a") // on 2 March, 10:00 in Berlin
	f.clock.Pass(48 * time.Hour)
	for query, want := range map[string]struct {
		incidents int
		from      string
	}{
		"from=2026-03-02&to=2026-03-03":                     {1, "2026-03-01T23:00:00Z"},
		"from=2026-03-03":                                   {0, "2026-03-02T23:00:00Z"},
		"from=2026-03-02T09:00:00Z&to=2026-03-02T09:00:01Z": {1, "2026-03-02T09:00:00Z"},
		"from=2026-03-02T10:00:01%2B01:00":                  {0, "2026-03-02T09:00:01Z"},
		"from=&to=":                                         {1, ""},
	} {
		var rep audit.Report
		f.get("/api/v1/audit/report?"+query, &rep)
		if rep.Total.Incidents != want.incidents || want.from != "" && rep.From.UTC().Format(time.RFC3339) != want.from {
			t.Errorf("%s: %d incidents, from %v", query, rep.Total.Incidents, rep.From)
		}
	}
	for query, want := range map[string]string{
		"to=2026-03-02":   "to 2026-03-02T00:00:00+01:00 is not after the first record: write a time after 2026-03-02T10:00:00+01:00",
		"from=2026-03-05": "from 2026-03-05T00:00:00+01:00 is in the future: write a time before now, 2026-03-04T10:00:00+01:00",
	} {
		if w := f.send("admin", "GET", "/api/v1/audit/report?"+query, ""); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

// export returns an export that must succeed.
func (f *fixture) export(query string) []byte {
	f.t.Helper()
	w := f.send("admin", "GET", "/api/v1/audit/export?"+query, "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/zip" || !strings.Contains(w.Header().Get("Content-Disposition"), `"evidence.zip"`) {
		f.t.Fatalf("export %s: %d %v %s", query, w.Code, w.Header(), w.Body)
	}
	return w.Body.Bytes()
}

func (f *fixture) verify(b []byte, o audit.VerifyOptions) audit.ExportVerification {
	f.t.Helper()
	v, err := audit.VerifyExport(f.t.Context(), bytes.NewReader(b), int64(len(b)), o)
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

func TestExportsSelectAndVerify(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")
	f.clock.Pass(time.Hour)
	f.breach("log on", "b")
	f.clock.Pass(time.Hour)
	for query, want := range map[string]int{
		"": 2, "incident=INC-2": 1, "incident=inc-1": 1, "team=mail": 1, "priority=P1": 1, "team=web&priority=P1&from=2026-03-02&to=2026-03-03": 1,
		"to=2026-03-02T09:30:00Z": 1, "pseudonyms=false": 2, "incident=&team=&priority=&from=&to=&pseudonyms=&checkpoint=": 2,
	} {
		v := f.verify(f.export(query), audit.VerifyOptions{Keys: []string{f.key.Public()}})
		if !v.OK() || v.Incidents != want || len(v.Notes) != 0 || v.Waiting != 0 {
			t.Errorf("%s: %d incidents, findings %v, notes %v", query, v.Incidents, v.Findings, v.Notes)
		}
	}
	z, err := zip.NewReader(bytes.NewReader(f.export("pseudonyms=true")), int64(len(f.export("pseudonyms=true"))))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range z.File {
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil || bytes.Contains(b, []byte("@example.org")) {
			t.Errorf("%s has an address, %v", file.Name, err)
		}
	}
}

// A checkpoint that was kept elsewhere is neither the last of its day nor among the
// latest, so only an export that is asked for with it proves the growth since.
func TestAnExportProvesTheGrowthSinceACheckpoint(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	var head storage.LogHead
	var root ledger.Hash
	if err := f.store.Read(t.Context(), func(r storage.Snapshot) (err error) {
		if head, err = r.LogHead(t.Context()); err != nil {
			return err
		}
		root, err = ledger.RootAt(head.Size, storage.Hashes(t.Context(), r))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	kept, err := f.key.Sign(ledger.Checkpoint{Size: head.Size, Root: root, At: f.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if w := f.send("responder", "POST", path(1, "/updates"), `{"message":"we look into it"}`); w.Code != 200 {
		t.Fatalf("update: %d %s", w.Code, w.Body)
	}
	o := audit.VerifyOptions{Keys: []string{f.key.Public()}, Checkpoints: [][]byte{kept}}
	if v := f.verify(f.export(""), o); v.OK() || !strings.Contains(v.Findings[0].What, "ask for one that was made with this checkpoint") {
		t.Errorf("without it: %v", v.Findings)
	}
	if v := f.verify(f.export("checkpoint="+url.QueryEscape(string(kept))), o); !v.OK() {
		t.Errorf("with it: %v", v.Findings)
	}
}

func TestWrongQuestionsOfAuditors(t *testing.T) {
	f := newFixture(t)
	f.refused(f.send("admin", "GET", "/api/v1/audit/export", ""), 404, "nothing found: there is no incident yet")
	f.breach("log on", "a")
	for _, tt := range []struct {
		path   string
		status int
		words  string
	}{
		{"report?format=pdf", 400, `format "pdf": use json, csv or html`},
		{"report?from=yesterday", 400, `from "yesterday": write a day as 2026-07-01, or a time as 2026-07-01T08:00:00Z`},
		{"report?to=2026-13-01", 400, `to "2026-13-01": write a day`},
		{"report?from=2026-07-01&to=2026-07-01", 400, "from 2026-07-01 is not before to 2026-07-01"},
		{"report?from=2026-07-02&to=2026-07-01", 400, "from 2026-07-02 is not before to 2026-07-01"},
		{"report?team=web", 400, `unknown parameter "team"; use format, from or to`},
		{"export?format=zip", 400, `unknown parameter "format"`},
		{"export?incident=42", 400, `"42" is not an incident; write it as INC-42`},
		{"export?from=2026-07-02&to=2026-07-01", 400, "is not before"},
		{"export?pseudonyms=yes", 400, `pseudonyms "yes": use true or false`},
		{"export?checkpoint=abc", 400, "checkpoint: there is none in it"},
		{"export?incident=INC-1&incident=INC-2", 400, "is there 2 times"},
		{"export?incident=INC-99", 404, "nothing found: there is no INC-99"},
		{"export?incident=INC-1&team=mail", 404, "nothing found: there is no INC-1 of team mail"},
		{"export?priority=P9", 404, "nothing found: there are no incidents with priority P9"},
		{"export?from=2027-01-01", 200, ""}, // it is still open
		{"export?to=2026-03-01", 404, "nothing found: there are no incidents up to 1 March 2026, 00:00 UTC"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			f.t = t
			w := f.send("admin", "GET", "/api/v1/audit/"+tt.path, "")
			if tt.status == 200 {
				if w.Code != 200 {
					t.Errorf("answered %d %s", w.Code, w.Body)
				}
				return
			}
			f.refused(w, tt.status, tt.words)
		})
	}
}

func TestWhoMayAskForEvidence(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	for _, tt := range []struct {
		as             string
		report, export int
	}{{"", 401, 401}, {"receiver", 403, 403}, {"viewer", 200, 403}, {"responder", 200, 403}, {"admin", 200, 200}} {
		if w := f.send(tt.as, "GET", "/api/v1/audit/report", ""); w.Code != tt.report {
			t.Errorf("report as %q: %d", tt.as, w.Code)
		}
		if w := f.send(tt.as, "GET", "/api/v1/audit/export", ""); w.Code != tt.export {
			t.Errorf("export as %q: %d", tt.as, w.Code)
		}
	}
}

// Who has left waits for nothing, and takes no turn.
func TestWhoLeavesGetsNoReport(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	r := httptest.NewRequestWithContext(cancelled(t), http.MethodGet, "http://sitrep.example.org/api/v1/audit/report", nil)
	r.Header.Set("Authorization", "Bearer viewer")
	w := httptest.NewRecorder()
	f.http.ServeHTTP(w, r)
	f.refused(w, 503, "the request was given up")
	if w := f.send("viewer", "GET", "/api/v1/audit/report", ""); w.Code != 200 {
		t.Errorf("the next one: %d", w.Code)
	}
}

func TestTheStatusShowsTheLedger(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	var s api.Status
	f.get("/api/v1/status", &s)
	if s.Ledger.Size != 2 || s.Ledger.Checkpoint.At != nil || s.Ledger.PublicKey != f.key.Public() ||
		s.Ledger.Witness.Name != "audit@example.org" || s.Ledger.Witness.Every != "1d" || s.Ledger.Witness.ToldAt != nil {
		t.Errorf("ledger = %+v", s.Ledger)
	}
	if _, err := storage.SignLog(t.Context(), f.store, f.key, f.clock.Now()); err != nil {
		t.Fatal(err)
	}
	f.breach("log on", "b")
	f.get("/api/v1/status", &s)
	if s.Ledger.Size != 3 || s.Ledger.Checkpoint.Size != 2 || !s.Ledger.Checkpoint.At.Equal(f.clock.Now()) {
		t.Errorf("ledger = %+v", s.Ledger)
	}
}

func TestParseSpan(t *testing.T) {
	tokyo := time.FixedZone("JST", 9*3600)
	from, to, err := api.ParseSpan("2026-07-01", "2026-07-01T00:00:00Z", tokyo)
	if err != nil || !from.Equal(time.Date(2026, 6, 30, 15, 0, 0, 0, time.UTC)) || !to.Equal(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)) || from.Location() != time.UTC {
		t.Errorf("%v %v %v", from, to, err)
	}
	for _, s := range []string{"2026-7-1", "2026-02-30", "01.07.2026", "2026-07-01 08:00", "2026-07-01T08:00:00", " "} {
		if _, _, err := api.ParseSpan(s, "", time.UTC); !errors.Is(err, incident.ErrInvalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// cancelled is the context of a client that has left.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
