package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/storage"
)

// intakeFunc is an Intake.
type intakeFunc func(ctx context.Context, p intake.Post) ([]intake.Result, error)

func (f intakeFunc) Take(ctx context.Context, p intake.Post) ([]intake.Result, error) {
	return f(ctx, p)
}

// openAll opens INC-1 for the first alert and so on.
func openAll(_ context.Context, p intake.Post) ([]intake.Result, error) {
	results := make([]intake.Result, len(p.Alerts))
	for i := range results {
		results[i] = intake.Result{SLO: p.Alerts[i].Labels["sloth_id"], Incident: int64(i + 1), Result: intake.OutcomeOpened}
	}
	return results, nil
}

// A bench is a handler with all that it reports.
type bench struct {
	*Handler
	registry *prometheus.Registry
	log      *bytes.Buffer
	refusals chan storage.Refusal
}

func newBench(intake intakeFunc) *bench {
	b := &bench{registry: prometheus.NewPedanticRegistry(), log: &bytes.Buffer{}, refusals: make(chan storage.Refusal, 1000)}
	b.Handler = New(Options{
		Intake:     intake,
		Refused:    func(_ context.Context, r storage.Refusal) { b.refusals <- r },
		Keep:       keep,
		Logger:     slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: b.registry,
	})
	return b
}

func post(data []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(data))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Alertmanager/0.34.2")
	return r
}

func (b *bench) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

// value returns a metric's value; labels are as in the text format.
func (b *bench) value(t *testing.T, name string) float64 {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			full := f.GetName()
			for _, l := range m.GetLabel() {
				full += fmt.Sprintf("{%s=%q}", l.GetName(), l.GetValue())
			}
			if full == name {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestTheAnswerNamesEachAlert(t *testing.T) {
	var got intake.Post
	b := newBench(func(_ context.Context, p intake.Post) ([]intake.Result, error) {
		got = p
		return []intake.Result{
			{SLO: "s", Incident: 42, Result: intake.OutcomeJoined, Ambiguous: []string{"other", `"quoted"`}},
			{Result: intake.OutcomeUnmapped},
		}, nil
	})
	w := b.do(post([]byte(`{"version":"4","truncatedAlerts":3,"alerts":[null,` + good("") + `,` + good("-status") + `,` + good(`"status":"resolved"`) + `]}`)))
	want := `{"alerts":[` +
		`{"fingerprint":"","slo":"","incident":"","result":"invalid","ambiguous":[],"reason":"the alert is not an object"},` +
		`{"fingerprint":"42298cea74f37eb2","slo":"s","incident":"INC-42","result":"joined","ambiguous":["other","\"quoted\""]},` +
		`{"fingerprint":"42298cea74f37eb2","slo":"","incident":"","result":"invalid","ambiguous":[],"reason":"status is missing"},` +
		`{"fingerprint":"42298cea74f37eb2","slo":"","incident":"","result":"unmapped","ambiguous":[]}]}` + "\n"
	if w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("answer %d %v\n got %s\nwant %s", w.Code, w.Header(), w.Body, want)
	}
	if len(got.Alerts) != 2 || got.Source != "192.0.2.1" || got.At.IsZero() || got.At.Nanosecond()%1000 != 0 {
		t.Errorf("post %+v", got)
	}
	for name, want := range map[string]float64{
		`sitrep_posts_total{code="200"}`:                  1,
		`sitrep_alerts_received_total{status="firing"}`:   1,
		`sitrep_alerts_received_total{status="resolved"}`: 1,
		`sitrep_alerts_total{result="invalid"}`:           2,
		`sitrep_alerts_total{result="joined"}`:            1,
		`sitrep_alerts_total{result="unmapped"}`:          1,
		`sitrep_alerts_truncated_total`:                   3,
		`sitrep_alerts_ambiguous_total`:                   1,
		`sitrep_posts_in_flight`:                          0,
		`sitrep_posts_in_flight_bytes`:                    0,
	} {
		if v := b.value(t, name); v != want {
			t.Errorf("%s = %v, want %v", name, v, want)
		}
	}
}

func TestRealPayloadsAreTaken(t *testing.T) {
	b := newBench(openAll)
	for _, name := range realPayloads(t) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := 200
		if strings.Contains(name, "custom-payload") {
			want = 400
		}
		if w := b.do(post(data)); w.Code != want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestRefusedPostsAreAnsweredCountedLoggedAndRecorded(t *testing.T) {
	with := func(change func(*http.Request)) *http.Request {
		r := post(body(good("")))
		change(r)
		return r
	}
	endless := func(n int64) *http.Request {
		r := post(nil)
		r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeros{}, n)), -1
		return r
	}
	tests := []struct {
		name   string
		r      *http.Request
		status int
		reason string
		detail string
	}{
		{"a slash at the end", with(func(r *http.Request) { r.URL.Path += "/" }), 404, refusedPath, `nothing at "/alertmanager/"; post to /alertmanager`},
		{"two slashes", with(func(r *http.Request) { r.URL.Path = "/" + r.URL.Path }), 404, refusedPath, `nothing at "//alertmanager"`},
		{"a redirected post", httptest.NewRequest("GET", Path, nil), 405, refusedMethod, `"GET" is not POST`},
		{"a PUT", with(func(r *http.Request) { r.Method = "PUT" }), 405, refusedMethod, `"PUT" is not POST`},
		{"an OPTIONS", with(func(r *http.Request) { r.Method = "OPTIONS" }), 405, refusedMethod, `"OPTIONS" is not POST`},
		{"no content type", with(func(r *http.Request) { r.Header.Del("Content-Type") }), 415, refusedType, `the content type is ""; send application/json`},
		{"a form", with(func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }), 415, refusedType, "send application/json"},
		{"a relative of JSON", with(func(r *http.Request) { r.Header.Set("Content-Type", "application/json5") }), 415, refusedType, "send application/json"},
		{"a compressed body", with(func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }), 415, refusedEncoding, "without Content-Encoding"},
		{"any encoding", with(func(r *http.Request) { r.Header.Set("Content-Encoding", "identity") }), 415, refusedEncoding, "without Content-Encoding"},
		{"a body that says it is too large", with(func(r *http.Request) { r.ContentLength = MaxBody + 1 }), 413, refusedSize, "larger than 32 MiB"},
		{"a body that is too large", endless(MaxBody + 1), 413, refusedSize, "larger than 32 MiB"},
		{"a body without end", endless(1 << 40), 413, refusedSize, "larger than 32 MiB"},
		{"a body that is too large for one around it", with(func(r *http.Request) { r.Body = http.MaxBytesReader(nil, r.Body, 10) }), 413, refusedSize, "larger than"},
		{"no JSON", post([]byte("x")), 400, refusedSyntax, "not JSON"},
		{"no payload", post([]byte("{}")), 400, refusedPayload, `no "version"`},
		{"a payload without alerts", post(body()), 400, refusedEmpty, "no alerts"},
		{"the only alert is invalid", post(body(good("-status"))), 400, refusedInvalid, "the only alert is invalid: status is missing"},
		{"all alerts are invalid", post(body(good("-labels"), "null")), 400, refusedInvalid, "all 2 alerts are invalid; the first: labels are missing"},
		{"too many alerts", post(body(strings.Repeat("{},", MaxAlerts) + "{}")), 413, refusedAlerts, "more than 50000 alerts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(func(context.Context, intake.Post) ([]intake.Result, error) {
				t.Error("taken")
				return nil, nil
			})
			w := b.do(tt.r)
			var problem struct{ Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("no problem: %v %s", err, w.Body)
			}
			if w.Code != tt.status || !strings.Contains(problem.Detail, tt.detail) {
				t.Errorf("got %d %q, want %d …%q…", w.Code, problem.Detail, tt.status, tt.detail)
			}
			if allow := w.Header().Get("Allow"); (allow == "POST") != (tt.status == 405) {
				t.Errorf("Allow: %q", allow)
			}
			if w.Header().Get("Location") != "" || w.Header().Get("Retry-After") != "" {
				t.Errorf("headers %v", w.Header())
			}
			if v := b.value(t, fmt.Sprintf("sitrep_posts_refused_total{reason=%q}", tt.reason)); v != 1 {
				t.Errorf("counted %v", v)
			}
			if v := b.value(t, fmt.Sprintf("sitrep_posts_total{code=\"%d\"}", tt.status)); v != 1 {
				t.Errorf("counted as answered %v", v)
			}
			if v := b.value(t, "sitrep_posts_in_flight_bytes"); v != 0 {
				t.Errorf("%v bytes are still held", v)
			}
			if !strings.Contains(b.log.String(), "reason="+tt.reason) {
				t.Errorf("log %s", b.log)
			}
			record := <-b.refusals
			if record.Status != tt.status || record.Reason != problem.Detail || record.Client != "192.0.2.1" || record.At.IsZero() {
				t.Errorf("record %+v", record)
			}
		})
	}
}

// zeros is a body that never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestContentTypesThatAreTaken(t *testing.T) {
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/json; charset"} {
		r := post(body(good("")))
		r.Header.Set("Content-Type", kind)
		if w := newBench(openAll).do(r); w.Code != 200 {
			t.Errorf("%q: %d %s", kind, w.Code, w.Body)
		}
	}
}

func TestBodiesOfAllSizesAreRead(t *testing.T) {
	for _, n := range []int{minStep - 1, minStep, minStep + 1, maxStep - 1, maxStep, maxStep + 1, 3*maxStep + 7, MaxBody} {
		data := body(good(""))
		data = append(data, bytes.Repeat([]byte(" "), n-len(data))...)
		for _, announced := range []bool{true, false} {
			b := newBench(openAll)
			r := post(data)
			if !announced {
				r.ContentLength = -1
			}
			if w := b.do(r); w.Code != 200 {
				t.Errorf("%d bytes, announced %v: %d %s", n, announced, w.Code, w.Body)
			}
			if v := b.value(t, "sitrep_posts_in_flight_bytes"); v != 0 {
				t.Errorf("%v bytes are still held", v)
			}
		}
	}
}

func TestWhatARetryMayCureIs503(t *testing.T) {
	tests := []struct {
		name   string
		intake intakeFunc
		log    string
	}{
		{"the store is not there", func(context.Context, intake.Post) ([]intake.Result, error) {
			return nil, fmt.Errorf("write: %w", storage.ErrUnavailable)
		}, "level=WARN"},
		{"a conflict", func(context.Context, intake.Post) ([]intake.Result, error) { return nil, incident.ErrConflict }, "level=ERROR"},
		{"an error that would be 4xx elsewhere", func(context.Context, intake.Post) ([]intake.Result, error) {
			return nil, &incident.Problem{Kind: incident.ErrInvalid, Text: "secret"}
		}, "level=ERROR"},
		{"any error", func(context.Context, intake.Post) ([]intake.Result, error) { return nil, errors.New("secret") }, "level=ERROR"},
		{"a panic", func(context.Context, intake.Post) ([]intake.Result, error) { panic("secret") }, "intake panicked"},
		{"results for other alerts", func(context.Context, intake.Post) ([]intake.Result, error) { return nil, nil }, "0 results for 1 alerts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(tt.intake)
			w := b.do(post(body(good(""))))
			if w.Code != 503 || w.Header().Get("Retry-After") != "1" || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("answer %d %v %s", w.Code, w.Header(), w.Body)
			}
			if !strings.Contains(b.log.String(), tt.log) || !strings.Contains(b.log.String(), "it will come again") {
				t.Errorf("log %s", b.log)
			}
			if v := b.value(t, `sitrep_posts_total{code="503"}`); v != 1 {
				t.Errorf("counted %v", v)
			}
			if len(b.refusals) > 0 || b.value(t, "sitrep_posts_in_flight_bytes") != 0 {
				t.Error("it left something behind")
			}
		})
	}
}

func TestABodyThatBreaksOffIs503(t *testing.T) {
	r := post(body(good("")))
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"version":"4"`), errReader{io.ErrUnexpectedEOF}))
	if w := newBench(openAll).do(r); w.Code != 503 {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestAPostWhoseClientHasLeftIsNotTaken(t *testing.T) {
	b := newBench(func(context.Context, intake.Post) ([]intake.Result, error) {
		t.Error("taken")
		return nil, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	r := post(nil)
	data := bytes.NewReader(body(good("")))
	r.Body = io.NopCloser(io.MultiReader(data, readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF })))
	b.do(r.WithContext(ctx))
	if v := b.value(t, `sitrep_posts_total{code="503"}`); v != 1 {
		t.Errorf("counted %v", v)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestMountLeavesNothingToRouters(t *testing.T) {
	redirects := http.NewServeMux()
	redirects.Handle(Path+"/", http.NotFoundHandler())
	redirects.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := Mount(newBench(openAll), redirects)
	for path, want := range map[string]int{
		Path: 200, Path + "/": 404, "/" + Path: 404, "/x/.." + Path: 404, Path + "/.": 404, Path + "/x/..": 404, "/alertmanage%72": 200,
		"/": 418, "/alertmanagers": 418, "/api/v1/incidents": 418,
	} {
		r := post(body(good("")))
		r = r.WithContext(context.Background())
		parsed, err := http.NewRequest(http.MethodPost, "http://sitrep.example"+path, r.Body)
		if err != nil {
			t.Fatal(err)
		}
		parsed.Header = r.Header
		w := httptest.NewRecorder()
		h.ServeHTTP(w, parsed)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

func TestAFloodOfRefusalsIsCountedButNotAllRecorded(t *testing.T) {
	b := newBench(openAll)
	const n = 500
	for range n {
		b.Refused(post(nil), 401, "nobody knows who posts")
	}
	if err := b.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if v := b.value(t, `sitrep_posts_refused_total{reason="access"}`); v != n {
		t.Errorf("counted %v", v)
	}
	if v := b.value(t, `sitrep_posts_total{code="401"}`); v != n {
		t.Errorf("answered %v", v)
	}
	if got := len(b.refusals); got < 1 || got > 5 {
		t.Errorf("recorded %d", got)
	}
	if lines := strings.Count(b.log.String(), "\n"); lines != 9 { // the first, and powers of two
		t.Errorf("%d lines in the log", lines)
	}
	// What a known sender loses is recorded all the same.
	for len(b.refusals) > 0 {
		<-b.refusals
	}
	b.ServeHTTP(httptest.NewRecorder(), post([]byte("no JSON")))
	if err := b.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(b.refusals) != 1 || strings.Count(b.log.String(), "\n") < 10 {
		t.Errorf("a real refusal is lost: %d recorded", len(b.refusals))
	}
	// What comes again is none.
	b.Refused(post(nil), 503, "too many are logging in")
	if v := b.value(t, `sitrep_posts_refused_total{reason="access"}`); v != n || len(b.refusals) != 1 {
		t.Errorf("a 503 counts as refused: %v", v)
	}
}

func TestMetricsStartAtZeroAndAreClean(t *testing.T) {
	b := newBench(openAll)
	problems, err := testutil.GatherAndLint(b.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", err, problems)
	}
	for name, want := range map[string]int{
		"sitrep_alerts_received_total": 2, "sitrep_alerts_total": 9, "sitrep_posts_total": 11, "sitrep_posts_refused_total": 11,
		"sitrep_alerts_truncated_total": 1, "sitrep_alerts_cut_total": 1, "sitrep_alerts_ambiguous_total": 1, "sitrep_post_duration_seconds": 1, "sitrep_posts_in_flight": 1, "sitrep_posts_in_flight_bytes": 1,
	} {
		if got, err := testutil.GatherAndCount(b.registry, name); err != nil || got != want {
			t.Errorf("%s: %d series, %v; want %d", name, got, err, want)
		}
	}
}
