// Package alertmanagers asks Alertmanagers which alerts they know to be firing, and posts the
// canary to them.
//
// Alertmanager's webhook is silent about an alert that is silenced, whose route is
// gone, or whose resolution was lost. Its API is not: what fires is listed there,
// suppressed or not. But silence there can have other causes too: an Alertmanager
// that does not answer, or one that started a moment ago and has not been told by
// Prometheus yet. So an [Answer] has three verdicts: one that lists an alert is
// believed before all others, and that something no longer fires is only said where
// none lists it and at least one is in a position to know.
//
// Grafana's own Alertmanager is asked in the same way, but it is another world: what
// it says and what the others say are two answers.
package alertmanagers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultTimeout is how long one Alertmanager may take to answer in full.
	DefaultTimeout = 30 * time.Second
	// maxAnswer is how many bytes an answer may have: about 300,000 alerts.
	maxAnswer = 512 << 20
	// informed is how long after its start an Alertmanager has surely been told of all
	// that fires: Prometheus sends again each 75 s or so, with slow rules each few
	// minutes.
	informed = 10 * time.Minute
	// grafanaPath is how the path of Grafana's own Alertmanager ends.
	grafanaPath = "/api/alertmanager/grafana"
)

// An Endpoint is one Alertmanager. It is Grafana's own if the path of its URL ends in
// /api/alertmanager/grafana.
type Endpoint struct {
	URL string // http or https; /api/v2/alerts is added to its path
	// Client carries TLS settings and credentials. Nil: a plain one.
	Client *http.Client
}

// A Client asks all Alertmanagers that are configured. It is safe for use by
// several goroutines at once.
type Client struct {
	endpoints []Endpoint
	timeout   time.Duration
}

// New returns a Client that asks each of the endpoints.
func New(endpoints []Endpoint) *Client {
	c := &Client{endpoints: make([]Endpoint, 0, len(endpoints)), timeout: DefaultTimeout}
	for _, e := range endpoints {
		if e.Client == nil {
			e.Client = &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: DefaultTimeout, IdleConnTimeout: time.Minute}}
		}
		c.endpoints = append(c.endpoints, e)
	}
	return c
}

// Answers is what the Alertmanagers said at one time: Grafana's own, and the others.
type Answers struct {
	Grafana, Others Answer
}

// of returns the answer that an endpoint has a part in.
func (a *Answers) of(e Endpoint) *Answer {
	if e.grafana() {
		return &a.Grafana
	}
	return &a.Others
}

// grafana reports whether it is Grafana's own Alertmanager.
func (e Endpoint) grafana() bool {
	u, err := url.Parse(e.URL)
	return err == nil && strings.HasSuffix(strings.TrimRight(u.Path, "/"), grafanaPath)
}

// Firing asks all Alertmanagers at once what fires, and returns when each has
// answered or failed. The answers can always be used; the error names those that
// did not answer, by scheme and host alone.
func (c *Client) Firing(ctx context.Context) (Answers, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	reports := make([]*report, len(c.endpoints))
	errs := make([]error, len(c.endpoints))
	var wg sync.WaitGroup
	for i, e := range c.endpoints {
		wg.Go(func() {
			r, err := ask(ctx, e)
			if err != nil {
				errs[i] = fmt.Errorf("ask Alertmanager %q: %w", place(e.URL), err)
				return
			}
			reports[i] = r
		})
	}
	wg.Wait()
	var answers Answers
	for i, e := range c.endpoints {
		a := answers.of(e)
		a.Asked++
		if reports[i] != nil {
			a.Answered++
			a.reports = append(a.reports, reports[i])
		}
	}
	return answers, errors.Join(errs...)
}

// ask returns what one Alertmanager says.
func ask(ctx context.Context, e Endpoint) (*report, error) {
	// Its start is asked first: one that restarts between the two questions is then
	// taken for older than it is, for no longer than they take.
	startedAt, err := started(ctx, e)
	if err != nil {
		return nil, err
	}
	resp, err := get(ctx, e, "/api/v2/alerts")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s", resp.Status)
	}
	now := clock(resp)
	firing, err := decode(http.MaxBytesReader(nil, resp.Body, maxAnswer), now)
	if err != nil {
		return nil, fmt.Errorf("read what fires: %w", bare(err))
	}
	return &report{firing: firing, startedAt: startedAt, at: now}, nil
}

// get asks for one path of an Alertmanager.
func get(ctx context.Context, e Endpoint, path string) (*http.Response, error) {
	req, err := request(ctx, e, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.Client.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	return resp, nil
}

// request makes a request for one path of an Alertmanager.
func request(ctx context.Context, e Endpoint, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, e.URL, body)
	if err != nil || req.URL.Host == "" {
		return nil, errors.New("its URL is not an http or https URL")
	}
	req.URL.Path = strings.TrimRight(req.URL.Path, "/") + path
	req.URL.RawPath = ""
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// clock returns what the Alertmanager's own clock said when it answered, as its
// times compare with that and not with ours.
func clock(resp *http.Response) time.Time {
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return t.UTC()
	}
	return time.Now().UTC()
}

// bare returns err without the URL that net/http puts before it.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// place returns the scheme and host of a URL.
func place(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "alertmanager"
	}
	return u.Scheme + "://" + u.Host
}
