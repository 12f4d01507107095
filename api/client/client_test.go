package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/api/client"
)

// A far is the other side: it answers each request as the next of its answers says.
type far struct {
	t     *testing.T
	waits []time.Duration

	mu      sync.Mutex
	answers []string
	seen    []*http.Request
	bodies  []string
}

// requests returns what was asked so far.
func (f *far) requests() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

func (f *far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen, f.bodies = append(f.seen, r), append(f.bodies, string(body))
	answer := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	switch answer {
	case "cut":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			f.t.Error(err)
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	case "half":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"id":`)
	case "503":
		w.Header().Set("Retry-After", "2")
		problem(w, 503, "the disk is full; make room")
	case "proxy":
		http.Error(w, "<h1>Bad gateway</h1>", http.StatusBadGateway)
	case "login":
		http.Redirect(w, r, "https://login.example.org/?next=x", http.StatusFound)
	case "page":
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<h1>It works</h1>")
	case "409":
		problem(w, 409, "it is closed, and that is final")
	case "500":
		problem(w, 500, "internal error")
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}
}

func problem(w http.ResponseWriter, code int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"type":"about:blank","title":"t","status":%d,"detail":%q,"instance":"urn:sitrep:request:ABC"}`, code, detail)
}

// client returns a client that speaks with f and does not wait.
func (f *far) client(t *testing.T, path string) *client.Client {
	t.Helper()
	f.t = t
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	h := server.Client()
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c, err := client.New(client.Options{URL: server.URL + path, HTTP: h, Wait: func(_ context.Context, d time.Duration) error {
		f.waits = append(f.waits, d)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const incident7 = `{"id":"INC-7","sequence":3}`

func TestACommandIsSentAgainWithTheSameKey(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answers  []string
		requests int
		words    string // of the error; empty: done
		unknown  bool
	}{
		{"at once", []string{incident7}, 1, "", false},
		{"the connection is reset", []string{"cut", "cut", incident7}, 3, "", false},
		{"the answer breaks off", []string{"half", incident7}, 2, "", false},
		{"sitrep has no room", []string{"503", incident7}, 2, "", false},
		{"sitrep has no room for long", []string{"503"}, 5, "the disk is full; make room (request ABC in its log)", false},
		{"a proxy does not reach it", []string{"proxy", incident7}, 2, "", false},
		{"no answer ever comes", []string{"cut"}, 5, "no answer came, so it is not known whether this was done", true},
		{"an answer was lost before there was no room", []string{"cut", "503"}, 5, "not known whether this was done", true},
		{"the state forbids it", []string{"409"}, 1, "it is closed, and that is final", false},
		{"the state forbids it after a lost answer", []string{"cut", "409"}, 2, "it is closed, and that is final", false},
		{"something is wrong with sitrep", []string{"500"}, 1, "internal error (request ABC in its log)", false},
		{"a log-in page", []string{"login"}, 1, `leads to "https://login.example.org/?next=x"; give the URL of sitrep itself`, false},
		{"another server", []string{"page"}, 1, `answered 200 OK with "text/html", which is no answer of sitrep's API; look at the URL`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &far{answers: tt.answers}
			in, _, err := f.client(t, "/prefix/").Do(t.Context(), client.Command{
				Incident: "INC-7", Name: "actions/hot%20fix%2Fnow", Body: map[string]string{"state": "done"}, IfMatch: 12,
			})
			var unknown *client.UnknownError
			switch {
			case tt.words == "" && (err != nil || in.ID != "INC-7"):
				t.Fatalf("got %+v, %v", in, err)
			case tt.words != "" && (err == nil || !strings.Contains(err.Error(), tt.words)):
				t.Fatalf("got error %v, want %q", err, tt.words)
			case errors.As(err, &unknown) != tt.unknown:
				t.Fatalf("unknown is %v: %v", !tt.unknown, err)
			}
			seen := f.requests()
			if len(seen) != tt.requests {
				t.Errorf("%d requests, want %d", len(seen), tt.requests)
			}
			key := seen[0].Header.Get("Idempotency-Key")
			if unknown != nil && unknown.Key != key {
				t.Errorf("key %q, sent was %q", unknown.Key, key)
			}
			for i, r := range seen {
				if r.Header.Get("Idempotency-Key") != key || len(key) < 16 || r.Header.Get("If-Match") != `"12"` || f.bodies[i] != `{"state":"done"}` ||
					r.URL.EscapedPath() != "/prefix/api/v1/incidents/INC-7/actions/hot%20fix%2Fnow" || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("request %d: %s %v %s", i, r.URL, r.Header, f.bodies[i])
				}
			}
			if tt.name == "sitrep has no room" && !slices.Equal(f.waits, []time.Duration{2 * time.Second}) {
				t.Errorf("waited %v, and sitrep asked for 2s", f.waits)
			}
		})
	}
}

func TestTwoCommandsHaveTwoKeys(t *testing.T) {
	f := &far{answers: []string{incident7}}
	c := f.client(t, "")
	for range 2 {
		if _, _, err := c.Do(t.Context(), client.Command{Incident: "INC-7", Name: "acknowledge"}); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := f.requests()[0].Header.Get("Idempotency-Key"), f.requests()[1].Header.Get("Idempotency-Key"); a == b {
		t.Errorf("both have %q", a)
	}
	if _, _, err := c.Preview(t.Context(), client.Command{Incident: "INC-7", Name: "acknowledge", Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if r := f.requests()[2]; r.URL.RawQuery != "preview=true" || r.Header.Get("Idempotency-Key") != "" {
		t.Errorf("preview: %s %v", r.URL, r.Header)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	_ = l.Close()
	waits := 0
	c, err := client.New(client.Options{URL: "http://ada:secret@" + at, HTTP: http.DefaultClient, Wait: func(context.Context, time.Duration) error { waits++; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.Do(t.Context(), client.Command{Incident: "INC-7", Name: "acknowledge"})
	var unknown *client.UnknownError
	if err == nil || errors.As(err, &unknown) || waits != 2 || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v after %d waits", err, waits)
	}
}

func TestListsAreReadPageByPage(t *testing.T) {
	page := func(from, n int, next string) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(`{"id":"INC-%d","new_field":1}`, from-i))
		}
		return fmt.Sprintf(`{"incidents":[%s],"next":%q}`, strings.Join(items, ","), next)
	}
	f := &far{answers: []string{page(9, 4, "c1"), page(5, 4, "c2"), page(1, 1, "")}}
	got, err := f.client(t, "").Incidents(t.Context(), url.Values{"state": {"open"}}, 0)
	if err != nil || len(got.Items) != 9 || got.Items[8].ID != "INC-1" || got.Next != "" || string(got.Raw[0]) != `{"id":"INC-9","new_field":1}` {
		t.Errorf("got %+v, %v", got, err)
	}
	if q := f.requests()[2].URL.RawQuery; q != "cursor=c2&limit=1000&state=open" {
		t.Errorf("third query %q", q)
	}

	f = &far{answers: []string{page(9, 4, "c1"), page(5, 2, "c2")}}
	got, err = f.client(t, "").Incidents(t.Context(), nil, 6)
	if err != nil || len(got.Items) != 6 || got.Next != "c2" || f.requests()[1].URL.RawQuery != "cursor=c1&limit=2" {
		t.Errorf("got %d up to %q, %v", len(got.Items), got.Next, err)
	}
}

func TestURLs(t *testing.T) {
	for _, bad := range []string{"", "sitrep.example.org", "ftp://x", "http://", "http://x/?a=b", "http://x/#y", "http://[::1"} {
		if _, err := client.New(client.Options{URL: bad}); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

func TestWhoGivesUpIsToldWhatIsUnknown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &far{answers: []string{"cut"}}
	c := f.client(t, "")
	cancel()
	_, _, err := c.Do(ctx, client.Command{Incident: "INC-7", Name: "acknowledge"})
	if err == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestDownloads(t *testing.T) {
	for name, tt := range map[string]struct{ answer, media, want, err string }{
		"what was asked for":  {"page", "text/html", "<h1>It works</h1>", ""},
		"something else":      {"page", "application/zip", "", `answered 200 OK with "text/html", which is no answer of sitrep's API`},
		"JSON for a zip":      {`{"a":1}`, "application/zip", "", `answered 200 OK with "application/json", which is no answer of sitrep's API`},
		"a refusal":           {"409", "application/zip", "", "it is closed, and that is final"},
		"busy":                {"503", "application/zip", "", "the disk is full; make room"},
		"a proxy":             {"proxy", "application/zip", "", "a proxy answered 502"},
		"a way to log in":     {"login", "application/zip", "", "give the URL of sitrep itself"},
		"an answer cut short": {"half", "application/json", `{"id":`, "unexpected EOF"},
		"no answer":           {"cut", "application/zip", "", "ask http://"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &far{t: t, answers: []string{tt.answer}}
			var got strings.Builder
			err := f.client(t, "/below").Download(t.Context(), "/audit/export", url.Values{"from": {"2026-07-01"}}, tt.media, &got)
			if got.String() != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %q, %v", &got, err)
			}
			asked := f.requests()
			if len(asked) != 1 || asked[0].URL.RequestURI() != "/below/api/v1/audit/export?from=2026-07-01" {
				t.Errorf("asked %d times, %v", len(asked), asked[0].URL)
			}
		})
	}
}
