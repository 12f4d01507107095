package cli

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"

	"sitrep/chain/live"
	"sitrep/config"
)

// liveFlags say which Prometheus and Alertmanager that run are asked, and who asks.
type liveFlags struct {
	prometheis, alertmanagers     []string
	configured                    bool
	tokenFile, user, passwordFile string
	tls                           promconfig.TLSConfig
	timeout                       time.Duration
}

func (f *liveFlags) declare(on flagger) {
	on.Flag("prometheus", "The URL of a Prometheus that runs, to ask for its rules and how it fares; may be repeated.").PlaceHolder("URL").StringsVar(&f.prometheis)
	on.Flag("alertmanager", "The URL of an Alertmanager that runs, to ask for its configuration; repeated, an alert must come through each.").PlaceHolder("URL").StringsVar(&f.alertmanagers)
	on.Flag("live", "Ask those that the configuration names under prometheus and alertmanagers.").BoolVar(&f.configured)
	on.Flag("token-file", "A file that holds the token to show those who are asked. What the configuration says of a URL (http_config) needs no flags.").PlaceHolder("FILE").StringVar(&f.tokenFile)
	on.Flag("user", "The name to log in with there, where no token is used.").PlaceHolder("NAME").StringVar(&f.user)
	on.Flag("password-file", "A file that holds the password of --user.").PlaceHolder("FILE").StringVar(&f.passwordFile)
	declareTLS(on, &f.tls)
	on.Flag("timeout", "How long one question may take.").Default("15s").DurationVar(&f.timeout)
}

// asked reports whether anything that runs is asked.
func (f *liveFlags) asked() bool {
	return f.configured || len(f.prometheis)+len(f.alertmanagers) > 0
}

// A configured is who the configuration names to be asked.
type configured struct {
	url, receiver string
	http          *config.HTTPClient
}

// endpoints returns those who are asked. Their receiver, if it is named, is sitrep's.
func (f *liveFlags) endpoints(c *config.Config, receiver string) (prometheis, alertmanagers []live.Endpoint, err error) {
	if !f.asked() {
		return nil, nil, nil
	}
	if f.configured && len(c.Prometheus)+len(c.Alertmanagers) == 0 {
		return nil, nil, &usageError{"--live: the configuration names nobody to ask; add prometheus and alertmanagers to it, or use --prometheus and --alertmanager"}
	}
	var known []configured
	for _, p := range c.Prometheus {
		known = append(known, configured{url: string(p.URL), http: p.HTTPConfig})
	}
	if prometheis, err = f.asking("--prometheus", f.prometheis, known); err != nil {
		return nil, nil, err
	}
	known = nil
	for _, a := range c.Alertmanagers {
		known = append(known, configured{string(a.URL), cmp.Or(receiver, a.Receiver), a.HTTPConfig})
	}
	if alertmanagers, err = f.asking("--alertmanager", f.alertmanagers, known); err != nil {
		return nil, nil, err
	}
	for i := range alertmanagers {
		if e := &alertmanagers[i]; e.Grafana() && slices.ContainsFunc(f.alertmanagers, func(at string) bool { return sameURL(at, e.URL) }) {
			return nil, nil, &usageError{fmt.Sprintf("--alertmanager: %q is Grafana's own Alertmanager, which is not followed: its alerts come from rules that no Prometheus knows, and go by notification policies; name one that Prometheus sends to", redact(e.URL))}
		}
		alertmanagers[i].Receiver = cmp.Or(alertmanagers[i].Receiver, receiver)
	}
	return prometheis, alertmanagers, nil
}

// asking returns those whom a flag names and, with --live, those of the configuration. Where both
// name a URL, it is spoken to as the configuration says, unless flags say who asks.
func (f *liveFlags) asking(flag string, named []string, known []configured) ([]live.Endpoint, error) {
	plain, err := f.client()
	if err != nil {
		return nil, err
	}
	var out []live.Endpoint
	for _, at := range named {
		if u, err := url.Parse(at); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, &usageError{fmt.Sprintf("%s: %q is no http or https URL; write it as http://localhost:9090", flag, redact(at))}
		}
		if !slices.ContainsFunc(known, func(k configured) bool { return sameURL(k.url, at) }) {
			out = append(out, live.Endpoint{URL: at, Client: plain})
		}
	}
	for _, k := range known {
		if !f.configured && !slices.ContainsFunc(named, func(at string) bool { return sameURL(k.url, at) }) {
			continue
		}
		e := live.Endpoint{URL: k.url, Client: plain, Receiver: k.receiver}
		if !f.credentials() {
			if e.Client, err = k.http.New(); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Name(), err)
			}
			e.Client.Timeout = f.timeout
		}
		out = append(out, e)
	}
	return out, nil
}

func sameURL(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// credentials reports whether the flags say who asks.
func (f *liveFlags) credentials() bool { return f.tokenFile != "" || f.user != "" }

// client returns what speaks as the flags say.
func (f *liveFlags) client() (*http.Client, error) {
	c := &connection{tokenFile: f.tokenFile, user: f.user, passwordFile: f.passwordFile, tls: f.tls}
	settings, err := c.http(Environment{Getenv: func(string) string { return "" }}, &connectionFile{})
	if err != nil {
		return nil, err
	}
	settings.FollowRedirects = true
	settings.ProxyConfig.ProxyFromEnvironment = true
	if err := settings.Validate(); err != nil {
		return nil, fmt.Errorf("ask what runs: %w", err)
	}
	client, err := promconfig.NewClientFromConfig(*settings, "sitrep", promconfig.WithUserAgent("sitrep-cli"))
	if err != nil {
		return nil, fmt.Errorf("ask what runs: %w", err)
	}
	client.Timeout = f.timeout
	return client, nil
}
