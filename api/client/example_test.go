package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"

	"github.com/gorilla/mux"

	"sitrep/api"
	"sitrep/api/client"
	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/access"
	"sitrep/internal/status"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// running starts the API on a store of its own, and returns its URL and how it is stopped.
func running() (url string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "sitrep-")
	if err != nil {
		return "", nil, err
	}
	db, err := bolt.Open(context.Background(), filepath.Join(dir, "sitrep.db"), bolt.Options{})
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	policy := incidenttest.Policy()
	handler := api.New(api.Options{
		Repo:    &storage.Repository{Store: db, Policy: func() *incident.Policy { return policy }},
		Now:     incidenttest.NewClock(incidenttest.Noon).Now,
		Service: func() status.Service { return status.Service{} },
		Logger:  slog.New(slog.DiscardHandler),
	})
	routes := mux.NewRouter().SkipClean(true).UseEncodedPath()
	guard, err := access.New(slog.New(slog.DiscardHandler), access.Rules{Tokens: []access.Token{{Name: "ada", Role: access.Responder, Token: "secret"}}})
	if err != nil {
		return "", nil, errors.Join(err, db.Close(), os.RemoveAll(dir))
	}
	handler.Register(routes, guard.Require)
	server := httptest.NewServer(routes)
	return server.URL, func() {
		server.Close()
		_ = db.Close()
		_ = os.RemoveAll(dir)
	}, nil
}

// A bearer adds the token of a person or a program to each request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// Someone declares an incident and raises its priority. Do repeats a command that was
// not answered with the same key, so that it is carried out once.
func Example() {
	server, stop, err := running()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	ctx := context.Background()
	c, err := client.New(client.Options{URL: server, HTTP: &http.Client{
		Transport:     bearer("secret"),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	in, _, err := c.Do(ctx, client.Command{Body: map[string]any{"slo": "p2", "reason": "people call"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(in.ID, in.Priority, in.UseCase)

	raise := client.Command{Incident: in.ID, Name: "priority", Body: map[string]any{"priority": "P1", "reason": "nobody can log on"}, IfMatch: in.Sequence}
	preview, _, err := c.Preview(ctx, raise)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range preview.Messages {
		fmt.Println("would tell", m.Recipient)
	}
	if in, _, err = c.Do(ctx, raise); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(in.ID, in.Priority)

	// What is forbidden says what to do.
	_, _, err = c.Do(ctx, client.Command{Incident: in.ID, Name: "close", Body: map[string]any{}})
	var problem *client.Problem
	fmt.Println(errors.As(err, &problem), err)

	open, err := c.Incidents(ctx, url.Values{"state": {"open"}}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(open.Items), "open")
	// Output:
	// INC-1 P2 Use case of p2
	// would tell cto@example.org
	// would tell oncall@example.org
	// would tell support@example.org
	// INC-1 P1
	// true cannot close INC-1: it is open; resolve it first
	// 1 open
}
