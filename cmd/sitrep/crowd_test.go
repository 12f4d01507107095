package main

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
	p := &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w)}
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
