package alertmanagers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/router/alertmanagers"
)

// A peer is a fake Alertmanager.
type peer struct {
	path    string            // of its API; "": /am
	alerts  func(w io.Writer) // nil: none fire
	uptime  string            // nothing: no status is served
	now     string            // its own clock
	status  int               // 0: 200
	handler http.HandlerFunc  // instead of all that
}

const noAlerts = "[]\n"

func serve(t *testing.T, p peer) alertmanagers.Endpoint {
	t.Helper()
	if p.path == "" {
		p.path = "/am"
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.now != "" {
			w.Header().Set("Date", day(t, p.now).Format(http.TimeFormat))
		}
		switch {
		case p.handler != nil:
			p.handler(w, r)
		case r.URL.Path == p.path+"/api/v2/status" && p.uptime != "":
			fmt.Fprintf(w, `{"uptime":%q}`, day(t, p.uptime).Format(time.RFC3339Nano))
		case r.URL.Path != p.path+"/api/v2/alerts":
			http.NotFound(w, r)
		case p.status != 0:
			w.WriteHeader(p.status)
		case p.alerts == nil:
			io.WriteString(w, noAlerts)
		default:
			p.alerts(w)
		}
	}))
	t.Cleanup(srv.Close)
	return alertmanagers.Endpoint{URL: srv.URL + p.path + "/"}
}

// day returns a time of the day on which the answers in testdata were recorded.
func day(t *testing.T, clock string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, "2026-11-23T"+clock+"Z")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func recorded(t *testing.T, name string) func(io.Writer) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return func(w io.Writer) { w.Write(b) }
}

func TestReports(t *testing.T) {
	const register, send, ticket = "e85487102342dbcf", "d0c596f201017d0e", "ecae81bd6c77f967"
	silenced := recorded(t, "silenced-member.alerts")
	tests := []struct {
		name        string
		peers       []peer
		fingerprint string
		want        incident.Verdict
	}{
		{"active is firing", []peer{{alerts: silenced, now: "13:50:00"}}, send, incident.VerdictListed},
		{"silenced is firing", []peer{{alerts: silenced, now: "13:50:00"}}, register, incident.VerdictListed},
		{
			"silenced in 0.25 is firing",
			[]peer{{alerts: recorded(t, "silenced-member-0.25.alerts"), now: "13:50:00"}},
			register, incident.VerdictListed,
		},
		{
			"inhibited is firing",
			[]peer{{alerts: recorded(t, "inhibited.alerts-inhibited"), now: "13:50:00"}},
			ticket, incident.VerdictListed,
		},
		{
			"before the first flush it is firing",
			[]peer{{alerts: recorded(t, "unprocessed.alerts-before-first-flush"), now: "13:50:00"}},
			register, incident.VerdictListed,
		},
		{"with any startsAt it is firing", []peer{{alerts: list(send, "9999-01-01T00:00:00Z"), now: "13:50:00"}}, send, incident.VerdictListed},
		{"without startsAt it is firing", []peer{{alerts: list(send, ""), now: "13:50:00"}}, send, incident.VerdictListed},
		{"what ended by its clock is not firing", []peer{{alerts: silenced, now: "13:53:32"}}, send, incident.VerdictNotListed},
		{"another fingerprint is not reported", []peer{{alerts: silenced, now: "13:50:00"}}, ticket, incident.VerdictNotListed},
		{"nobody reports it", []peer{{}, {}, {}}, send, incident.VerdictNotListed},
		{
			"one that reports it wins",
			[]peer{{now: "13:50:00"}, {alerts: silenced, now: "13:50:00"}, {status: 500}},
			send, incident.VerdictListed,
		},
		{
			"one that was cut off and says that it ended does not win",
			[]peer{{alerts: silenced, now: "13:53:32"}, {alerts: silenced, now: "13:50:00"}},
			send, incident.VerdictListed,
		},
		{"one of three does not answer", []peer{{}, {status: 503}, {}}, send, incident.VerdictNotListed},
		{"two of three do not answer", []peer{{status: 401}, {status: 503}, {}}, send, incident.VerdictNotListed},
		{"none answers", []peer{{status: 503}, {status: 401}}, send, incident.VerdictCannotTell},
		{"nobody is asked", nil, send, incident.VerdictCannotTell},
		{"restarted since it was heard", []peer{{uptime: "13:50:00.5", now: "13:51:00"}}, send, incident.VerdictCannotTell},
		{"restarted long ago", []peer{{uptime: "13:50:00.5", now: "14:00:01"}}, send, incident.VerdictNotListed},
		{"runs since before it was heard", []peer{{uptime: "13:49:59", now: "13:51:00"}}, send, incident.VerdictNotListed},
		{
			"one restarted, another runs since before it was heard",
			[]peer{{uptime: "13:50:00.5", now: "13:51:00"}, {uptime: "13:49:59", now: "13:51:00"}},
			send, incident.VerdictNotListed,
		},
		{
			"one restarted, and none else answers",
			[]peer{{uptime: "13:50:00.5", now: "13:51:00"}, {status: 503}},
			send, incident.VerdictCannotTell,
		},
		{
			"restarted, and lists it",
			[]peer{{alerts: silenced, uptime: "13:50:00.5", now: "13:51:00"}, {uptime: "13:49:59", now: "13:51:00"}},
			send, incident.VerdictListed,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var endpoints []alertmanagers.Endpoint
			for _, p := range tt.peers {
				endpoints = append(endpoints, serve(t, p))
			}
			answers, err := alertmanagers.New(endpoints).Firing(t.Context())
			answer := answers.Others
			if got := answer.Reports(tt.fingerprint, day(t, "13:50:00")); got != tt.want {
				t.Errorf("got %s (%+v, %v), want %s", got, answer, err, tt.want)
			}
			if (err == nil) != (answer.Answered == answer.Asked) || answer.Asked != len(tt.peers) {
				t.Errorf("got %d of %d answers and %v", answer.Answered, answer.Asked, err)
			}
		})
	}
}

// list returns an answer with one alert that fires until 14:00, since startsAt if it
// says so.
func list(fingerprint, startsAt string) func(io.Writer) {
	alert := map[string]string{"fingerprint": fingerprint, "endsAt": "2026-11-23T14:00:00Z"}
	if startsAt != "" {
		alert["startsAt"] = startsAt
	}
	return func(w io.Writer) { _ = json.NewEncoder(w).Encode([]any{alert}) }
}

func TestRecordedAnswerIsReadInFull(t *testing.T) {
	answers, err := alertmanagers.New([]alertmanagers.Endpoint{serve(t, peer{alerts: recorded(t, "real.alerts"), now: "13:39:10"})}).Firing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, fingerprint := range []string{
		"0ac594b7dd716024", "70e926cf6140fce2", "ba9e0cb9065df264", "c3bd83f00880947c", "c7d462b2beb879d4", "d0c596f201017d0e", "e85487102342dbcf",
	} {
		if got := answers.Others.Reports(fingerprint, day(t, "13:39:00")); got != incident.VerdictListed {
			t.Errorf("%s: got %s, want firing", fingerprint, got)
		}
	}
}

// TestWrongAnswerIsNoAnswer: taken for a list that lacks alerts, it would end breaches.
func TestWrongAnswerIsNoAnswer(t *testing.T) {
	whole := `[{"fingerprint":"a","startsAt":"2026-11-23T13:00:00.000Z","endsAt":"2026-11-23T14:00:00.000Z"}]`
	tests := map[string]string{
		"empty":                  "",
		"cut short":              whole[:len(whole)-1],
		"cut inside an alert":    whole[:40],
		"a page":                 "<html>Log in</html>",
		"an object":              `{"alerts":[]}`,
		"null":                   "null",
		"no fingerprint":         `[{"startsAt":"2026-11-23T13:00:00.000Z"}]`,
		"a time that is none":    `[{"fingerprint":"a","endsAt":"yesterday"}]`,
		"a list of other things": `["a"]`,
		"a list in which one is": whole[:len(whole)-1] + `,7]`,
		"a number for it":        `[{"fingerprint":7}]`,
		"a wrong word":           `[{"fingerprint":"a","x":yes}]`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			e := serve(t, peer{now: "13:30:00", alerts: func(w io.Writer) { io.WriteString(w, body) }})
			answers, err := alertmanagers.New([]alertmanagers.Endpoint{e}).Firing(t.Context())
			answer := answers.Others
			if err == nil || answer.Answered != 0 {
				t.Errorf("got %d answers and %v", answer.Answered, err)
			}
			if got := answer.Reports("a", day(t, "13:20:00")); got != incident.VerdictCannotTell {
				t.Errorf("got %s, want unknown", got)
			}
		})
	}
}

func TestSlowOneDelaysNoLongerThanTheContext(t *testing.T) {
	slow := serve(t, peer{handler: func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	quick := serve(t, peer{alerts: recorded(t, "silenced-member.alerts"), now: "13:50:00"})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	answers, err := alertmanagers.New([]alertmanagers.Endpoint{slow, quick}).Firing(ctx)
	answer := answers.Others
	if err == nil || answer.Answered != 1 {
		t.Errorf("got %d answers and %v", answer.Answered, err)
	}
	if got := answer.Reports("d0c596f201017d0e", day(t, "13:49:00")); got != incident.VerdictListed {
		t.Errorf("got %s, want firing", got)
	}
}

func TestErrorsShowOnlySchemeAndHost(t *testing.T) {
	_, err := alertmanagers.New([]alertmanagers.Endpoint{
		{URL: "http://ada:s3cret@127.0.0.1:1/T0KEN"}, {URL: "::s3cret"}, {URL: "ftp://127.0.0.1/s3cret"},
	}).Firing(t.Context())
	if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "T0KEN") {
		t.Errorf("got %v", err)
	}
}

func TestHundredThousandAlerts(t *testing.T) {
	const n = 100_000
	var body bytes.Buffer
	sep := "["
	for i := range n {
		fmt.Fprintf(&body, `%s{"annotations":{"summary":"Application cannot notify its users"},"endsAt":"2026-11-23T13:34:00.000Z","fingerprint":"%016x",`+
			`"receivers":[{"name":"sitrep"}],"startsAt":"2026-11-23T13:00:00.%03dZ","status":{"inhibitedBy":[],"silencedBy":[],"state":"active"},`+
			`"labels":{"alertname":"A","instance":"%d"}}`, sep, i, i%1000, i)
		sep = ","
	}
	body.WriteString("]\n")
	e := serve(t, peer{now: "13:30:00", alerts: func(w io.Writer) { w.Write(body.Bytes()) }})
	before := live()
	answers, err := alertmanagers.New([]alertmanagers.Endpoint{e}).Firing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if kept := live() - before; kept > 100*n {
		t.Errorf("the answer keeps %d bytes for each alert", kept/n)
	}
	heard := day(t, "13:29:00")
	for i := range n {
		if got := answers.Others.Reports(fmt.Sprintf("%016x", i), heard); got != incident.VerdictListed {
			t.Fatalf("alert %d: got %s, want firing", i, got)
		}
	}
	if got := answers.Others.Reports(fmt.Sprintf("%016x", n), heard); got != incident.VerdictNotListed {
		t.Errorf("got %s, want not reported", got)
	}
}

// live returns how many bytes are in use.
func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestGrafanaIsAskedAboutItsOwn: each kind of Alertmanager is asked about what came
// from its kind alone, however it ends.
func TestGrafanaIsAskedAboutItsOwn(t *testing.T) {
	lists := recorded(t, "silenced-member.alerts")
	const send = "d0c596f201017d0e"
	grafana := peer{path: "/sub/api/alertmanager/grafana", now: "13:50:00"}
	grafanaLists, other, otherLists := grafana, peer{now: "13:50:00"}, peer{alerts: lists, now: "13:50:00"}
	grafanaLists.alerts = lists
	silent := grafana
	silent.status = 503
	tests := []struct {
		name               string
		peers              []peer
		ofGrafana, ofOther incident.Verdict
	}{
		{"Grafana lists it", []peer{grafanaLists, other}, incident.VerdictListed, incident.VerdictNotListed},
		{"an Alertmanager lists it", []peer{grafana, otherLists}, incident.VerdictNotListed, incident.VerdictListed},
		{"Grafana does not answer", []peer{silent, other}, incident.VerdictCannotTell, incident.VerdictNotListed},
		{"there is only Grafana", []peer{grafana}, incident.VerdictNotListed, incident.VerdictCannotTell},
		{"there is no Grafana", []peer{other}, incident.VerdictCannotTell, incident.VerdictNotListed},
		{"there is another that is not of Grafana", []peer{{path: "/api/alertmanager/grafana/mimir", now: "13:50:00"}}, incident.VerdictCannotTell, incident.VerdictNotListed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var endpoints []alertmanagers.Endpoint
			for _, p := range tt.peers {
				endpoints = append(endpoints, serve(t, p))
			}
			ask, _ := alertmanagers.New(endpoints).Ask(t.Context())
			for fromGrafana, want := range map[bool]incident.Verdict{true: tt.ofGrafana, false: tt.ofOther} {
				b := incident.Breach{Fingerprint: send, HeardAt: day(t, "13:49:00"), Grafana: fromGrafana}
				if got := ask(&b); got != want {
					t.Errorf("from Grafana %v: got %v, want %v", fromGrafana, got, want)
				}
			}
		})
	}
}

// TestAsk: what was doubted was heard to fire at that time, so an Alertmanager that
// started later is in no position to deny it.
func TestAsk(t *testing.T) {
	c := alertmanagers.New([]alertmanagers.Endpoint{serve(t, peer{alerts: recorded(t, "silenced-member.alerts"), uptime: "13:48:40", now: "13:50:00"})})
	ask, err := c.Ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		b    incident.Breach
		want incident.Verdict
	}{
		{"listed", incident.Breach{Fingerprint: "d0c596f201017d0e", StartsAt: day(t, "13:48:31.3")}, incident.VerdictListed},
		{"not listed", incident.Breach{Fingerprint: "x", HeardAt: day(t, "13:49:00")}, incident.VerdictNotListed},
		{"heard before it started", incident.Breach{Fingerprint: "x", HeardAt: day(t, "13:48:30")}, incident.VerdictCannotTell},
		{"doubted since", incident.Breach{Fingerprint: "x", State: incident.BreachEnded, HeardAt: day(t, "13:48:30"), AskAt: day(t, "13:48:50")}, incident.VerdictNotListed},
		{"doubted before", incident.Breach{Fingerprint: "x", State: incident.BreachEnded, AskAt: day(t, "13:48:30")}, incident.VerdictCannotTell},
	}
	for _, tt := range tests {
		if got := ask(&tt.b); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
