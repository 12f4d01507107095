package webhook_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"sitrep/router"
	"sitrep/router/webhook"
)

// FuzzReply has a webhook answer whatever: what is said of it is one line without the
// secret of its URL, and it is not waited for without end.
func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 429 Slow\r\nRetry-After: 99999999999\r\n\r\n", "HTTP/1.1 503 x\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 302 x\r\nLocation: http://evil.example/\x1b[2J\r\n\r\n", "HTTP/1.1 302 x\r\nLocation: %zz\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 999 \x1b[31m\r\n\r\n", "", "x",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 410 Gone\r\nX: " + strings.Repeat("a", 9000) + "\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 200 OK\r\nA\x00: b\r\n\r\n", "SSH-2.0-\u202e\r\n", strings.Repeat("\xee", 9000),
	} {
		f.Add([]byte(s), "")
	}
	for _, s := range []string{
		"ok", "invalid_payload", `{"id":"web.incoming_webhook.invalid.app_error"}`, `{"error":{"code":"WorkflowNotFound"}}`, `{"id":"` + secretPath + `"}`, secretPath, "\x1b[2J", "[" + strings.Repeat("[", 9000), "\"\xff",
	} {
		for _, format := range []string{"slack", "teams", "mattermost"} {
			f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"+s), format)
			f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"+s), format)
		}
	}
	f.Fuzz(func(t *testing.T, reply []byte, format string) {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				here, there := net.Pipe()
				go func() {
					defer there.Close()
					r, err := http.ReadRequest(bufio.NewReader(there))
					if err == nil {
						r.Body.Close()
					}
					_, _ = there.Write(reply)
				}()
				return here, nil
			},
		}}
		s := webhook.New(webhook.Options{
			Endpoints: func(string) (webhook.Endpoint, bool) {
				return webhook.Endpoint{URL: "http://hooks.example.org" + secretPath, Format: webhook.Format(format), Client: client}, true
			},
			Timeout: 10 * time.Second,
			Now:     time.Now,
		})
		err := s.Send(t.Context(), envelope("id", "{}"), nil)
		if err == nil {
			return
		}
		if text := err.Error(); strings.Contains(text, "T0KEN") || strings.Contains(text, "s3cret") || len(text) > 2000 || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("it says %q", text)
		}
		if later, ok := errors.AsType[*router.Later](err); ok && (later.Wait < 0 || later.Wait > 24*time.Hour) {
			t.Errorf("it is waited for %v", later.Wait)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Error("it was waited for until the end")
		}
	})
}
