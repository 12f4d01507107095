package app

import (
	"context"
	"net/http"
	"os"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"sitrep/incident"
	"sitrep/storage"
)

// What tests from outside see of the inside.
const MaxConnections = maxConnections

type Crowd = crowd

var (
	NewCrowd    = newCrowd
	NewServer   = newServer
	ConnContext = connContext
	Dial        = dial
)

func (c *crowd) Handler(next http.Handler) http.Handler { return c.handler(next) }

func (c *crowd) Connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seats)
}

func (s *Service) Client(r *http.Request) string { return s.guard.Client(r) }

func (s *Service) Router() (*mux.Router, error) { return s.router() }

func (s *Service) Store() storage.Store { return s.store }

func (s *Service) ReloadBy(ctx context.Context, actor incident.Actor) error {
	return s.reload(ctx, actor, false)
}

func (s *Service) ReloadOn(ctx context.Context, signals <-chan os.Signal) { s.reloadOn(ctx, signals) }

// RegistryOf returns the registry of a service's metrics.
func RegistryOf(s *Service) *prometheus.Registry { return s.registry }
