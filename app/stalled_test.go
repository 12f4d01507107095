package app_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sitrep/app"
	"sitrep/app/apptest"
)

// TestSlowClientsHoldUpNobody: as many connections as there may be are held by clients
// that say nothing, begin a request and do not go on, send a body that does not come, or
// have asked and stay. Alerts, people and health checks are served all the same.
func TestSlowClientsHoldUpNobody(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	handler, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	discard := slog.New(slog.DiscardHandler)
	c := app.NewCrowd(l, s.Client, discard)
	server := app.NewServer(c, handler, discard)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(c) }()
	t.Cleanup(func() { _ = server.Close(); <-done })

	ask := func(conn net.Conn, request string) string {
		t.Helper()
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			return err.Error()
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err.Error()
		}
		return answer.Status
	}
	request := func(method, path, token, body string, length int) string {
		head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", method, path, length)
		if token != "" {
			head += "Authorization: Bearer " + token + "\r\n"
		}
		return head + "\r\n" + body
	}
	alert := apptest.AlertBody("firing", "send", "a")
	post := request("POST", "/alertmanager", apptest.ReceiverToken, alert, len(alert))
	look := request("GET", "/api/v1/incidents", apptest.ViewerToken, "", 0)
	alertmanager := app.Dial(t, c)
	if got := ask(alertmanager, post); got != "200 OK" {
		t.Fatal(got)
	}
	for _, slow := range []struct {
		name, says string
		asks       bool // and reads the answer
		n          int
	}{
		{"clients that say nothing", "", false, app.MaxConnections},
		{"heads that do not end", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: a", false, app.MaxConnections},
		{"long heads that do not end", "GET / HTTP/1.1\r\nX-Slow: " + strings.Repeat("a", 8<<10), false, app.MaxConnections},
		{"bodies of strangers for the receiver", request("POST", "/alertmanager", "", "{", 1000), false, app.MaxConnections},
		{"bodies of strangers for the API", request("POST", "/api/v1/incidents", "", "{", 1000), false, app.MaxConnections},
		{"bodies of strangers for a page", request("POST", "/declare", "", "a", 1000), false, app.MaxConnections},
		{"bodies of an Alertmanager", request("POST", "/alertmanager", apptest.ReceiverToken, "{", 1000), false, 50},
		{"clients that have asked and stay", request("GET", "/-/healthy", "", "", 0), true, app.MaxConnections},
	} {
		for range slow.n {
			conn := app.Dial(t, c)
			if slow.asks {
				_ = ask(conn, slow.says) // one of the others may have taken its place
				continue
			}
			_, _ = io.WriteString(conn, slow.says)
		}
		for what, of := range map[string]struct {
			conn    net.Conn
			request string
		}{
			"the Alertmanager that was there": {alertmanager, post}, "another Alertmanager": {app.Dial(t, c), post},
			"somebody who looks": {app.Dial(t, c), look}, "a health check": {app.Dial(t, c), request("GET", "/-/healthy", "", "", 0)},
		} {
			if got := ask(of.conn, of.request); got != "200 OK" {
				t.Errorf("with %s, %s: %s", slow.name, what, got)
			}
		}
	}
	if n := c.Connections(); n > app.MaxConnections {
		t.Errorf("%d connections", n)
	}
}

// TestTheServerWaitsForNobody: what the server waits for has an end.
func TestTheServerWaitsForNobody(t *testing.T) {
	s := app.NewServer(app.NewCrowd(nil, nil, nil), nil, slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 10*time.Second || s.IdleTimeout <= 0 || s.IdleTimeout > 3*time.Minute || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("heads within %v and %d bytes, idle for %v", s.ReadHeaderTimeout, s.MaxHeaderBytes, s.IdleTimeout)
	}
}
