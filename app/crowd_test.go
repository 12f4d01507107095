package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveCrowd serves a handler behind a crowd until the test ends.
func serveCrowd(t *testing.T, h http.Handler) *crowd {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := newCrowd(l, func(r *http.Request) string { return hostOf(r.RemoteAddr) }, slog.New(slog.DiscardHandler))
	server := &http.Server{Handler: c.handler(h), ConnContext: connContext}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(c) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return c
}

// answerLine asks over a connection of its own, and returns the first line of the answer.
func answerLine(t *testing.T, conn net.Conn, path string) string {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		return err.Error()
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func dial(t *testing.T, c *crowd) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", c.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestIdleConnectionsGiveWay: whoever opens connections without end ends their own,
// not that by which alerts come, and a new one gets in.
func TestIdleConnectionsGiveWay(t *testing.T) {
	c := serveCrowd(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/alertmanager" {
			posted(r)
		}
	}))
	alertmanager := dial(t, c)
	if got := answerLine(t, alertmanager, "/alertmanager"); got != "HTTP/1.1 200 OK" {
		t.Fatal(got)
	}
	for range maxConnections + 50 {
		dial(t, c)
	}
	if got := answerLine(t, dial(t, c), "/"); got != "HTTP/1.1 200 OK" {
		t.Errorf("a new connection: %s", got)
	}
	if got := answerLine(t, alertmanager, "/alertmanager"); got != "HTTP/1.1 200 OK" {
		t.Errorf("the connection of Alertmanager: %s", got)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seats) > maxConnections {
		t.Errorf("%d connections", len(c.seats))
	}
}

// TestOneClientDoesNotTakeAll: one that asks for too much at once is told to come
// again, and alerts and health checks are taken all the same.
func TestOneClientDoesNotTakeAll(t *testing.T) {
	release := make(chan struct{})
	var begun sync.WaitGroup
	begun.Add(maxServedEach)
	c := serveCrowd(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun.Done()
			<-release
		}
	}))
	var all sync.WaitGroup
	for range maxServedEach {
		conn := dial(t, c)
		all.Go(func() {
			if got := answerLine(t, conn, "/slow"); got != "HTTP/1.1 200 OK" {
				t.Errorf("one within bounds: %s", got)
			}
		})
	}
	begun.Wait()
	for path, want := range map[string]string{
		"/": "HTTP/1.1 503 Service Unavailable", "/alertmanager": "HTTP/1.1 200 OK", "/-/healthy": "HTTP/1.1 200 OK", "/-/ready": "HTTP/1.1 200 OK",
	} {
		if got := answerLine(t, dial(t, c), path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	close(release)
	all.Wait()
	if got := answerLine(t, dial(t, c), "/"); got != "HTTP/1.1 200 OK" {
		t.Errorf("afterwards: %s", got)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.served != 0 || len(c.each) != 0 {
		t.Errorf("left behind: %d served, %v", c.served, c.each)
	}
}

// TestAnswersThatNobodyTakesEnd: each part of an answer has a deadline of its own.
func TestAnswersThatNobodyTakesEnd(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	c := newCrowd(nil, nil, slog.New(slog.DiscardHandler))
	p := &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w), crowd: c}
	before := time.Now()
	n, err := p.Write(make([]byte, 10*writeChunk+1))
	if err != nil || n != 10*writeChunk+1 || w.Body.Len() != n {
		t.Errorf("wrote %d of %d: %v", n, w.Body.Len(), err)
	}
	if len(w.set) != 11 || w.set[0].Before(before.Add(writeWithin)) || w.set[10].Before(w.set[0]) {
		t.Errorf("deadlines: %v", w.set)
	}
	w.fails = errors.New("the client is gone")
	if n, err := p.Write(make([]byte, 10*writeChunk)); n != 0 || !errors.Is(err, w.fails) {
		t.Errorf("wrote %d: %v", n, err)
	}
	if c.untaken != 0 || len(c.writing) != 0 {
		t.Errorf("left behind: %d bytes of %d answers", c.untaken, len(c.writing))
	}
}

// TestSlowAnswersGiveWay: what waits for slow readers is bounded. Of the client for whom
// most waits the oldest answer goes, and who comes later gets theirs.
func TestSlowAnswersGiveWay(t *testing.T) {
	const size = maxUntaken / 4
	c := newCrowd(nil, nil, slog.New(slog.DiscardHandler))
	results := make(chan string, 8)
	var all sync.WaitGroup
	ask := func(name, client string) {
		began := make(chan struct{})
		w := &stalled{ResponseRecorder: httptest.NewRecorder(), began: began, ended: make(chan struct{})}
		p := &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w), crowd: c, client: client}
		all.Go(func() {
			defer p.done()
			if _, err := p.Write(make([]byte, size)); err != nil {
				results <- name
			}
		})
		<-began
	}
	ask("hers", "ada")
	ask("his first", "eve")
	ask("his second", "eve")
	ask("his third", "eve")
	for _, want := range []string{"his first", "his second"} {
		ask("another", "bob")
		if got := <-results; got != want {
			t.Errorf("%s was ended; want %s", got, want)
		}
	}
	// Now hers is the oldest, and bob has most.
	ask("the last", "carol")
	if got := <-results; got != "another" {
		t.Errorf("%s was ended; want one of bob's", got)
	}
	c.mu.Lock()
	if c.untaken > maxUntaken || len(c.writing) != 4 {
		t.Errorf("%d bytes of %d answers are held", c.untaken, len(c.writing))
	}
	var left []*pacedWriter
	for p := range c.writing {
		left = append(left, p)
	}
	c.mu.Unlock()
	for _, p := range left {
		p.end()
	}
	all.Wait()
	if c.untaken != 0 || len(c.writing) != 0 {
		t.Errorf("left behind: %d bytes of %d answers", c.untaken, len(c.writing))
	}
}

// TestASlowAnswerIsCut: who does not take theirs sees that it is not whole, and the next
// who takes it gets all.
func TestASlowAnswerIsCut(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			const size = maxUntaken * 2 / 3
			c := newCrowd(nil, func(r *http.Request) string { return r.RemoteAddr }, slog.New(slog.DiscardHandler))
			server := httptest.NewUnstartedServer(c.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(make([]byte, size))
			})))
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			ask := func() io.ReadCloser {
				transport := server.Client().Transport.(*http.Transport).Clone()
				t.Cleanup(transport.CloseIdleConnections)
				resp, err := (&http.Client{Transport: transport}).Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				if resp.Proto[:6] != name[:6] || resp.StatusCode != http.StatusOK {
					t.Fatal(resp.Proto, resp.Status)
				}
				return resp.Body
			}
			slow := ask()
			defer slow.Close()
			taken := ask()
			defer taken.Close()
			if n, err := io.Copy(io.Discard, taken); n != size || err != nil {
				t.Errorf("who takes it gets %d bytes: %v", n, err)
			}
			if n, err := io.Copy(io.Discard, slow); n >= size || err == nil {
				t.Errorf("who does not gets %d bytes, which end well", n)
			}
		})
	}
}

// TestTheEndOfAnAnswerIsNotThatOfTheNext: an answer that was served is not ended any
// more, as its connection may serve another.
func TestTheEndOfAnAnswerIsNotThatOfTheNext(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	p := &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w), crowd: newCrowd(nil, nil, slog.New(slog.DiscardHandler))}
	p.done()
	p.end()
	if len(w.set) != 1 || w.set[0].Before(time.Now()) {
		t.Errorf("deadlines: %v", w.set)
	}
}

// A stalled writer takes nothing until a deadline in the past is set.
type stalled struct {
	*httptest.ResponseRecorder
	began, ended chan struct{}
}

func (s *stalled) SetWriteDeadline(t time.Time) error {
	if t.Before(time.Now()) {
		close(s.ended)
	}
	return nil
}

func (s *stalled) Write([]byte) (int, error) {
	close(s.began)
	<-s.ended
	return 0, errors.New("the deadline is over")
}

// deadlines remembers the deadlines that are set.
type deadlines struct {
	*httptest.ResponseRecorder
	set   []time.Time
	fails error
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

func (d *deadlines) Write(b []byte) (int, error) {
	if d.fails != nil {
		return 0, d.fails
	}
	return d.ResponseRecorder.Write(b)
}

// TestAnswersWithoutABodyPassLater: the deadline of one answer does not end the next
// on the same connection.
func TestAnswersWithoutABodyPassLater(t *testing.T) {
	c := serveCrowd(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/past" {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now())
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	conn := dial(t, c)
	if got := answerLine(t, conn, "/past"); got != "HTTP/1.1 200 OK" {
		t.Fatal(got)
	}
	if got := answerLine(t, conn, "/"); got != "HTTP/1.1 204 No Content" {
		t.Error(got)
	}
}
