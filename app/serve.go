package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
)

// A Socket says where and how a service listens.
type Socket struct {
	Address string // such as 127.0.0.1:9098; port 0 is one that is free
	// WebConfig is the file of TLS settings, as in the Prometheus exporters; empty is none.
	WebConfig string
}

// Serve runs the service behind a socket until ctx is done, and reloads the configuration
// with each SIGHUP. Then it takes no more alerts, finishes what is under way within ten
// seconds, and returns nil once the store is closed.
func Serve(ctx context.Context, o Options, at Socket, log *slog.Logger) error {
	listener, err := net.Listen("tcp", at.Address)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", at.Address, err)
	}
	defer listener.Close()
	if o.ExternalURL == "" {
		o.ExternalURL = at.scheme() + "://" + reachable(listener.Addr())
	}
	o.Address = listener.Addr()
	s, err := New(ctx, o, log)
	if err != nil {
		return err
	}
	defer s.Close()
	log = s.log

	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	handler, err := s.Handler()
	if err != nil {
		return err
	}
	connections := newCrowd(listener, s.guard.Client, log)
	server := newServer(connections, handler, log)
	served := make(chan error, 1)
	go func() {
		served <- toolkit.Serve(connections, server, &toolkit.FlagConfig{WebConfigFile: &at.WebConfig}, log)
	}()
	s.Start()
	log.Info("sitrep is ready", slog.String("url", o.ExternalURL), slog.String("address", listener.Addr().String()))
	// What waits for the stop does not wait for the disk that a reload reads.
	reloading, endReloading := context.WithCancel(ctx)
	var reloads sync.WaitGroup
	reloads.Go(func() { s.reloadOn(reloading, hup) })
	defer func() {
		endReloading()
		reloads.Wait()
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve on %q: %w", at.Address, err)
	case <-ctx.Done():
	}
	log.Info("stopping: no more alerts are taken, and what is being sent is finished")
	// Intake stops first, then the deliveries; the store closes last.
	stopping, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		log.Warn("requests were cut off", slog.Any("err", err))
	}
	if err := s.Wait(stopping); err != nil {
		log.Warn("posts under way were cut off", slog.Any("err", err))
	}
	return nil
}

// newServer returns what serves a crowd, and waits for no client without end.
func newServer(connections *crowd, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: connections.handler(handler), ConnContext: connContext, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 3 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// scheme is that of the address, as far as the settings tell.
func (at Socket) scheme() string {
	if b, err := os.ReadFile(at.WebConfig); err == nil && strings.Contains(string(b), "tls_server_config") {
		return "https"
	}
	return "http"
}
