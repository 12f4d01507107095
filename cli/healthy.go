package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"sitrep/internal/access"

	"github.com/alecthomas/kingpin/v2"
	promconfig "github.com/prometheus/common/config"
)

// healthyWithin is how long the answer may take.
const healthyWithin = 5 * time.Second

func declareHealthy(parser *kingpin.Application, env Environment, commands map[string]command) {
	h := &health{}
	cmd := parser.Command("healthy", "Ask a running service whether it is healthy, for a container that has nothing else to ask with.")
	base := cmd.Flag("url", "Where it runs; default is SITREP_URL, else "+defaultURL+", by TLS if it listens so.").PlaceHolder("URL").String()
	declareTLS(cmd, &h.tls)
	commands[cmd.FullCommand()] = func(ctx context.Context) error {
		return h.ask(ctx, strings.TrimRight(cmp.Or(*base, env.Getenv("SITREP_URL"), defaultURL), "/")+"/-/healthy")
	}
}

// A health is a question whether a service is healthy.
type health struct{ tls promconfig.TLSConfig }

// ask asks the URL, and fails unless the answer is 200. It shows no secret and believes
// nothing but that, so a service on this machine that listens by TLS is asked so whatever
// its certificate is, unless the flags say what to trust.
func (h *health) ask(ctx context.Context, at string) error {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" {
		return &usageError{fmt.Sprintf("--url: %q is no URL such as %s", redact(at), defaultURL)}
	}
	ctx, cancel := context.WithTimeout(ctx, healthyWithin)
	defer cancel()
	config := h.tls
	local := isLocal(u.Hostname())
	if local && config.CAFile == "" && config.ServerName == "" {
		config.InsecureSkipVerify = true
	}
	client, err := promconfig.NewClientFromConfig(promconfig.HTTPClientConfig{TLSConfig: config, EnableHTTP2: true}, "sitrep", promconfig.WithUserAgent("sitrep-cli"))
	if err != nil {
		return fmt.Errorf("ask %s: %w", u.Redacted(), err)
	}
	defer client.CloseIdleConnections()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	err = get(ctx, client, u)
	if errors.Is(err, errSpeaksTLS) && local {
		u.Scheme = "https"
		err = get(ctx, client, u)
	}
	return err
}

// isLocal reports whether a host is this machine.
func isLocal(host string) bool {
	a, err := netip.ParseAddr(host)
	return access.LoopbackHost(host) || err == nil && a.IsUnspecified()
}

// errSpeaksTLS is a server that was asked without TLS and wants it.
var errSpeaksTLS = errors.New("it listens by TLS; write https")

// get asks a URL, and fails unless the answer is 200.
func get(ctx context.Context, client *http.Client, u *url.URL) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return &usageError{"--url: " + err.Error()}
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode == http.StatusBadRequest && strings.Contains(string(text), "Client sent an HTTP request to an HTTPS server") { // as net/http says it
		return fmt.Errorf("get %q: %w", u.Redacted(), errSpeaksTLS)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("get %q: %s", u.Redacted(), answer.Status)
	}
	return nil
}
