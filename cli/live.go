package cli

import (
	"fmt"
	"net/http"
	"net/url"
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

// endpoints returns those who are asked.
func (f *liveFlags) endpoints(c *config.Config, receiver string) (prometheis, alertmanagers []live.Endpoint, err error) {
	if !f.asked() {
		return nil, nil, nil
	}
	if f.configured && len(c.Prometheus)+len(c.Alertmanagers) == 0 {
		return nil, nil, &usageError{"--live: the configuration names nobody to ask; add prometheus and alertmanagers to it, or use --prometheus and --alertmanager"}
	}
	plain, err := f.client()
	if err != nil {
		return nil, nil, err
	}
	add := func(list *[]live.Endpoint, at string, h *config.HTTPClient, known bool, receiver string) error {
		e := live.Endpoint{URL: at, Client: plain, Receiver: receiver}
		if known {
			if e.Client, err = h.New(); err != nil {
				return fmt.Errorf("%s: %w", e.Name(), err)
			}
			e.Client.Timeout = f.timeout
		}
		*list = append(*list, e)
		return nil
	}
	var urls []string
	for _, p := range c.Prometheus {
		urls = append(urls, string(p.URL))
	}
	for _, at := range f.asking(f.prometheis, urls) {
		if err := checkAsked("--prometheus", at); err != nil {
			return nil, nil, err
		}
		i := indexOfURL(urls, at)
		var h *config.HTTPClient
		if i >= 0 {
			h = c.Prometheus[i].HTTPConfig
		}
		if err := add(&prometheis, at, h, i >= 0 && !f.credentials(), ""); err != nil {
			return nil, nil, err
		}
	}
	urls = nil
	for _, a := range c.Alertmanagers {
		urls = append(urls, string(a.URL))
	}
	for _, at := range f.asking(f.alertmanagers, urls) {
		if err := checkAsked("--alertmanager", at); err != nil {
			return nil, nil, err
		}
		i, name := indexOfURL(urls, at), receiver
		var h *config.HTTPClient
		if i >= 0 {
			h = c.Alertmanagers[i].HTTPConfig
			if name == "" {
				name = c.Alertmanagers[i].Receiver
			}
		}
		if err := add(&alertmanagers, at, h, i >= 0 && !f.credentials(), name); err != nil {
			return nil, nil, err
		}
	}
	return prometheis, alertmanagers, nil
}

// asking returns the URLs of flags and, if they are asked, those of the configuration.
func (f *liveFlags) asking(flags, configured []string) []string {
	out := append([]string{}, flags...)
	if f.configured {
		for _, u := range configured {
			if indexOfURL(flags, u) < 0 {
				out = append(out, u)
			}
		}
	}
	return out
}

func indexOfURL(list []string, at string) int {
	for i, u := range list {
		if strings.TrimRight(u, "/") == strings.TrimRight(at, "/") {
			return i
		}
	}
	return -1
}

func checkAsked(flag, at string) error {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return &usageError{fmt.Sprintf("%s: %q is no http or https URL; write it as http://localhost:9090", flag, redact(at))}
	}
	return nil
}

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
