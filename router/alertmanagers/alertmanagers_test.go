package alertmanagers_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/router/alertmanagers"
)

// A peer is a fake Alertmanager.
type peer struct {
	alerts  func(w io.Writer) // nil: none fire
	uptime  string            // nothing: no status is served
	now     string            // its own clock
	status  int               // 0: 200
	handler http.HandlerFunc  // instead of all that
}

const noAlerts = "[]\n"

func serve(t *testing.T, p peer) alertmanagers.Endpoint {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.now != "" {
			w.Header().Set("Date", day(t, p.now).Format(http.TimeFormat))
		}
		switch {
		case p.handler != nil:
			p.handler(w, r)
		case r.URL.Path == "/am/api/v2/status" && p.uptime != "":
			fmt.Fprintf(w, `{"uptime":%q}`, day(t, p.uptime).Format(time.RFC3339Nano))
		case r.URL.Path != "/am/api/v2/alerts":
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
	return alertmanagers.Endpoint{URL: srv.URL + "/am/"}
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
		startsAt    string
		want        alertmanagers.Verdict
	}{
		{"active is firing", []peer{{alerts: silenced, now: "13:50:00"}}, send, "13:48:31.300", alertmanagers.Firing},
		{"silenced is firing", []peer{{alerts: silenced, now: "13:50:00"}}, register, "13:48:31.299", alertmanagers.Firing},
		{
			"silenced in 0.25 is firing",
			[]peer{{alerts: recorded(t, "silenced-member-0.25.alerts"), now: "13:50:00"}},
			register, "13:48:22.653", alertmanagers.Firing,
		},
		{
			"inhibited is firing",
			[]peer{{alerts: recorded(t, "inhibited.alerts-inhibited"), now: "13:50:00"}},
			ticket, "13:48:43.823", alertmanagers.Firing,
		},
		{
			"before the first flush it is firing",
			[]peer{{alerts: recorded(t, "unprocessed.alerts-before-first-flush"), now: "13:50:00"}},
			register, "13:49:18.571", alertmanagers.Firing,
		},
		{"startsAt is compared in milliseconds", []peer{{alerts: silenced, now: "13:50:00"}}, send, "13:48:31.300999", alertmanagers.Firing},
		{"what ended by its clock is not firing", []peer{{alerts: silenced, now: "13:53:32"}}, send, "13:48:31.300", alertmanagers.NotReported},
		{"another fingerprint is not reported", []peer{{alerts: silenced, now: "13:50:00"}}, ticket, "13:48:31.300", alertmanagers.NotReported},
		{"fires since before: still firing", []peer{{alerts: silenced, now: "13:50:00"}}, send, "13:49:00", alertmanagers.Firing},
		{"fires from later on: this breach is over", []peer{{alerts: silenced, now: "13:50:00"}}, send, "13:40:00", alertmanagers.NotReported},
		{"nobody reports it", []peer{{}, {}, {}}, send, "13:48:31.300", alertmanagers.NotReported},
		{
			"one that reports it wins",
			[]peer{{now: "13:50:00"}, {alerts: silenced, now: "13:50:00"}, {status: 500}},
			send, "13:48:31.300", alertmanagers.Firing,
		},
		{"one of three does not answer", []peer{{}, {status: 503}, {}}, send, "13:48:31.300", alertmanagers.Unknown},
		{"none answers", []peer{{status: 503}, {status: 401}}, send, "13:48:31.300", alertmanagers.Unknown},
		{"nobody is asked", nil, send, "13:48:31.300", alertmanagers.Unknown},
		{"restarted since it was heard", []peer{{uptime: "13:50:00.5", now: "13:51:00"}}, send, "13:48:31.300", alertmanagers.Unknown},
		{"restarted long ago", []peer{{uptime: "13:50:00.5", now: "14:00:01"}}, send, "13:48:31.300", alertmanagers.NotReported},
		{"runs since before it was heard", []peer{{uptime: "13:49:59", now: "13:51:00"}}, send, "13:48:31.300", alertmanagers.NotReported},
		{
			"restarted, but knows that it fires from later on",
			[]peer{{alerts: silenced, uptime: "13:50:00.5", now: "13:51:00"}},
			send, "13:40:00", alertmanagers.NotReported,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var endpoints []alertmanagers.Endpoint
			for _, p := range tt.peers {
				endpoints = append(endpoints, serve(t, p))
			}
			answer, err := alertmanagers.New(endpoints).Firing(t.Context())
			if got := answer.Reports(tt.fingerprint, day(t, tt.startsAt), day(t, "13:50:00")); got != tt.want {
				t.Errorf("got %s (%+v, %v), want %s", got, answer, err, tt.want)
			}
			if (err == nil) != (answer.Answered == answer.Asked) || answer.Asked != len(tt.peers) {
				t.Errorf("got %d of %d answers and %v", answer.Answered, answer.Asked, err)
			}
		})
	}
}

func TestRecordedAnswerIsReadInFull(t *testing.T) {
	answer, err := alertmanagers.New([]alertmanagers.Endpoint{serve(t, peer{alerts: recorded(t, "real.alerts"), now: "13:39:10"})}).Firing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for fingerprint, startsAt := range map[string]string{
		"0ac594b7dd716024": "13:35:28.384", "70e926cf6140fce2": "13:35:20.886", "ba9e0cb9065df264": "13:35:28.384",
		"c3bd83f00880947c": "13:37:14.297", "c7d462b2beb879d4": "13:35:21.559", "d0c596f201017d0e": "13:35:21.559", "e85487102342dbcf": "13:35:18.252",
	} {
		if got := answer.Reports(fingerprint, day(t, startsAt), day(t, "13:39:00")); got != alertmanagers.Firing {
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
		"no startsAt":            `[{"fingerprint":"a"}]`,
		"a time that is none":    `[{"fingerprint":"a","startsAt":"yesterday"}]`,
		"a list of other things": `["a"]`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			e := serve(t, peer{now: "13:30:00", alerts: func(w io.Writer) { io.WriteString(w, body) }})
			answer, err := alertmanagers.New([]alertmanagers.Endpoint{e}).Firing(t.Context())
			if err == nil || answer.Answered != 0 {
				t.Errorf("got %d answers and %v", answer.Answered, err)
			}
			if got := answer.Reports("a", day(t, "13:00:00"), day(t, "13:20:00")); got != alertmanagers.Unknown {
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
	answer, err := alertmanagers.New([]alertmanagers.Endpoint{slow, quick}).Firing(ctx)
	if err == nil || answer.Answered != 1 {
		t.Errorf("got %d answers and %v", answer.Answered, err)
	}
	if got := answer.Reports("d0c596f201017d0e", day(t, "13:48:31.3"), day(t, "13:49:00")); got != alertmanagers.Firing {
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
	e := serve(t, peer{now: "13:30:00", alerts: func(w io.Writer) {
		sep := "["
		for i := range n {
			fmt.Fprintf(w, `%s{"annotations":{"summary":"Application cannot notify its users"},"endsAt":"2026-11-23T13:34:00.000Z","fingerprint":"%016x",`+
				`"receivers":[{"name":"sitrep"}],"startsAt":"2026-11-23T13:00:00.%03dZ","status":{"inhibitedBy":[],"silencedBy":[],"state":"active"},`+
				`"labels":{"alertname":"A","instance":"%d"}}`, sep, i, i%1000, i)
			sep = ","
		}
		io.WriteString(w, "]\n")
	}})
	answer, err := alertmanagers.New([]alertmanagers.Endpoint{e}).Firing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start, heard := day(t, "13:00:00"), day(t, "13:29:00")
	for i := range n {
		at := start.Add(time.Duration(i%1000)*time.Millisecond + 456*time.Microsecond)
		if got := answer.Reports(fmt.Sprintf("%016x", i), at, heard); got != alertmanagers.Firing {
			t.Fatalf("alert %d: got %s, want firing", i, got)
		}
	}
	if got := answer.Reports(fmt.Sprintf("%016x", n), start, heard); got != alertmanagers.NotReported {
		t.Errorf("got %s, want not reported", got)
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
		{"listed", incident.Breach{Fingerprint: "d0c596f201017d0e", StartsAt: day(t, "13:48:31.3")}, incident.Listed},
		{"not listed", incident.Breach{Fingerprint: "x", HeardAt: day(t, "13:49:00")}, incident.NotListed},
		{"heard before it started", incident.Breach{Fingerprint: "x", HeardAt: day(t, "13:48:30")}, incident.CannotTell},
		{"doubted since", incident.Breach{Fingerprint: "x", State: incident.Ended, HeardAt: day(t, "13:48:30"), AskAt: day(t, "13:48:50")}, incident.NotListed},
		{"doubted before", incident.Breach{Fingerprint: "x", State: incident.Ended, AskAt: day(t, "13:48:30")}, incident.CannotTell},
	}
	for _, tt := range tests {
		if got := ask(&tt.b); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
