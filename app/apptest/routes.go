package apptest

import (
	"log/slog"
	"net/http"
	"net/url"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/api"
	"sitrep/internal/access"
	"sitrep/receiver"
	"sitrep/web"
)

// A Route is what can be asked of a service, and the role that it needs.
type Route struct {
	Method, Path string // with {name} for what varies
	Role         access.Role
	Queries      []string // with each of its parameters
}

// Routes are all routes of a service, as its parts list them.
func Routes(t *testing.T) []Route {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	admin := &api.Admin{Gatherer: prometheus.NewRegistry(), Logger: log}
	pages, err := web.New(web.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	all := []Route{{http.MethodPost, receiver.Path, access.Receiver, nil}}
	for _, r := range append(admin.Routes(), api.New(api.Options{Logger: log}).Routes()...) {
		var queries []string
		for _, q := range r.Query {
			values := q.Values
			if len(values) == 0 {
				values = []string{"1"}
			}
			for _, v := range values {
				queries = append(queries, "?"+url.Values{q.Name: {v}}.Encode())
			}
		}
		all = append(all, Route{r.Method, r.Path, r.Role, queries})
	}
	asked := map[string][]string{
		"/groups":     {"?name=board", "?team=notifications"},
		"/deliveries": {"?recipient=cto%40example.org", "?group=board&state=failed", "?kind=opened&channel=email&from=2026-01-01"},
	}
	for _, r := range pages.Routes() {
		all = append(all, Route{r.Method, r.Path, r.Role, asked[r.Path]})
	}
	for _, r := range all {
		if r.Method == http.MethodGet {
			r.Method = http.MethodHead
			all = append(all, r)
		}
	}
	return all
}
