package webhook_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sitrep/router/webhook"
)

// proxy answers each request with the same words and closes. It returns its URL, and the
// first lines of the requests that it read.
func proxy(t *testing.T, answer string) (*url.URL, <-chan string) {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	requests := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				req, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				io.Copy(io.Discard, req.Body)
				requests <- req.Method
				io.WriteString(c, answer)
			}()
		}
	}()
	return must(url.Parse("http://" + l.Addr().String())), requests
}

// through returns a sender whose only endpoint lies behind a proxy.
func through(to string, by *url.URL, timeout time.Duration) *webhook.Sender {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyURL(by)}}
	return webhook.New(webhook.Options{
		Endpoints: func(string) (webhook.Endpoint, bool) { return webhook.Endpoint{URL: to, Client: client}, true },
		Timeout:   timeout,
	})
}

func TestWhatAProxyAnswersToTheMessage(t *testing.T) {
	for status, want := range map[int]string{
		200: "taken", 204: "taken",
		407: "reader",    // it wants to be logged in to: the set-up, not the message
		403: "failed",    // it may forbid the place
		404: "failed",    // it finds no such place
		421: "failed",    // the request came to a wrong place
		502: "unknown",   // the answer was cut, or there was none
		503: "failed",    // no connection to the place
		504: "unknown",   // no answer in time
		511: "failed",    // it wants to be logged in to, of whole networks
		413: "permanent", // larger than it lets through
		400: "permanent", // as of the place
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			by, requests := proxy(t, fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 0\r\nProxy-Authenticate: Basic realm=x\r\n\r\n", status, http.StatusText(status)))
			err := through("http://hooks.example"+secretPath, by, 5*time.Second).Send(t.Context(), envelope("id", "{}"), nil)
			if got := kind(err); got != want {
				t.Errorf("got %s (%v), want %s", got, err, want)
			}
			if got := <-requests; got != http.MethodPost {
				t.Errorf("the proxy got %s", got)
			}
			noSecret(t, err)
		})
	}
}

// What a proxy answers to CONNECT speaks of the proxy, and never of the message, which it
// has not seen.
func TestWhatAProxyAnswersToCONNECT(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 401 Unauthorized\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n\r\n",
		"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n",
		"HTTP/1.1 410 Gone\r\n\r\n", "HTTP/1.1 413 Too Large\r\n\r\n", "HTTP/1.1 429 Too Many Requests\r\n\r\n",
		"HTTP/1.1 500 Internal Server Error\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n\r\n",
		"HTTP/1.1 504 Gateway Timeout\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 403\r\n\r\n", "220 mail.example.org ESMTP\r\n", "",
	} {
		name, _, _ := strings.Cut(answer, "\r")
		t.Run(name, func(t *testing.T) {
			by, requests := proxy(t, answer)
			err := through("https://hooks.example"+secretPath, by, 5*time.Second).Send(t.Context(), envelope("id", "{}"), nil)
			if got := kind(err); got != "reader" {
				t.Errorf("got %s (%v), want one that speaks of the way there", got, err)
			}
			if got := <-requests; got != http.MethodConnect {
				t.Errorf("the proxy got %s", got)
			}
			if err != nil && !strings.Contains(err.Error(), "no connection: ") {
				t.Errorf("got %q", err)
			}
			noSecret(t, err)
		})
	}
}

func TestAProxyThatNeverAnswersCONNECTHasSeenNoMessage(t *testing.T) {
	l := must(net.Listen("tcp", "127.0.0.1:0")) // the kernel accepts
	defer l.Close()
	err := through("https://hooks.example"+secretPath, must(url.Parse("http://"+l.Addr().String())), 300*time.Millisecond).
		Send(t.Context(), envelope("id", "{}"), nil)
	if got := kind(err); got != "reader" {
		t.Errorf("got %s (%v)", got, err)
	}
	noSecret(t, err)
}
