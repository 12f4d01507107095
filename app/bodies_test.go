package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestABodyThatNeverComesHoldsNoConnection(t *testing.T) {
	const within = 50 * time.Millisecond
	left := make(chan error, 1)
	server := httptest.NewServer(boundBodies(within, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/unread":
			w.WriteHeader(http.StatusUnauthorized)
		case "/read":
			if _, err := io.ReadAll(r.Body); err == nil {
				t.Error("a body that did not come was read")
			}
			w.WriteHeader(http.StatusBadRequest)
		case "/slow":
			if b, err := io.ReadAll(r.Body); err != nil || string(b) != "{}" {
				t.Errorf("read %q, %v", b, err)
			}
			// The client is still there when the time for the body is over.
			select {
			case <-r.Context().Done():
				left <- r.Context().Err()
			case <-time.After(4 * within):
				left <- nil
			}
		}
	})))
	defer server.Close()
	ask := func(path string, length int) *http.Response {
		t.Helper()
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{}", path, length)
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		_ = answer.Body.Close()
		return answer
	}
	if a := ask("/unread", 1000); a.StatusCode != http.StatusUnauthorized || !a.Close {
		t.Errorf("refused unread: %d, close %v", a.StatusCode, a.Close)
	}
	if a := ask("/read", 1000); a.StatusCode != http.StatusBadRequest {
		t.Errorf("read in vain: %d", a.StatusCode)
	}
	if a := ask("/slow", 2); a.StatusCode != http.StatusOK {
		t.Errorf("answered late: %d", a.StatusCode)
	}
	if err := <-left; err != nil {
		t.Errorf("a client that waits counts as gone: %v", err)
	}
}
