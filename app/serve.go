package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"sitrep/incident"
	"sitrep/router/wording"
	"sitrep/storage/bolt"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	config    string
	storage   string
	listen    string
	external  string
	webConfig string
	logLevel  string
	logFormat string
	newStore  bool
	newKey    bool
}

func declareServe(app *kingpin.Application, env environment, commands map[string]command) {
	f := &serveFlags{}
	cmd := app.Command("serve", "Run the service.")
	cmd.Flag("config.file", "The configuration.").Default("sitrep.yml").StringVar(&f.config)
	cmd.Flag("storage", "The file in which everything is kept; made at the first start.").Default("data/sitrep.db").StringVar(&f.storage)
	cmd.Flag("storage.new", "Make an empty store though the key of one that was there is beside it.").BoolVar(&f.newStore)
	cmd.Flag("ledger.new-key", "Go on with another key than the one that signed the ledger last; evidence shows it, and auditors need both public keys.").BoolVar(&f.newKey)
	cmd.Flag("web.listen-address", "Where to listen for alerts, the API and the pages.").Default("127.0.0.1:9098").StringVar(&f.listen)
	cmd.Flag("web.external-url", "Where links in messages lead; default is the listen address.").StringVar(&f.external)
	cmd.Flag("web.config.file", "TLS settings, as in the Prometheus exporters.").StringVar(&f.webConfig)
	cmd.Flag("log.level", "debug, info, warn or error.").Default("info").EnumVar(&f.logLevel, promslog.LevelFlagOptions...)
	cmd.Flag("log.format", "logfmt or json.").Default("logfmt").EnumVar(&f.logFormat, promslog.FormatFlagOptions...)
	commands[cmd.FullCommand()] = func(ctx context.Context) error { return serve(ctx, env, f) }
}

// newLogger returns a logger to stderr.
func newLogger(env environment, level, format string) (*slog.Logger, error) {
	c := promslog.Config{Level: promslog.NewLevel(), Format: promslog.NewFormat(), Writer: env.stderr}
	if err := c.Level.Set(level); err != nil {
		return nil, &usageError{err.Error()}
	}
	if err := c.Format.Set(format); err != nil {
		return nil, &usageError{err.Error()}
	}
	if format == "json" { // as logfmt does by itself
		c.Writer = jsonLines{env.stderr}
	}
	return promslog.New(&c), nil
}

// jsonLines are written so that nothing in them moves the cursor of who reads the log.
type jsonLines struct{ w io.Writer }

// Write implements io.Writer. It is given one line.
func (j jsonLines) Write(line []byte) (int, error) {
	if _, err := j.w.Write(wording.EscapeJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// gcPercent is how much the heap grows until it is collected, unless GOGC says
// otherwise. What lives is little, as all is in the store, and posts make much that
// dies at once: of 100 an eighth of all work would be collecting.
const gcPercent = 300

// serve runs the service until ctx is done.
func serve(ctx context.Context, env environment, f *serveFlags) error {
	if env.getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log, err := newLogger(env, f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	if strings.Contains(f.storage, "://") {
		return &usageError{fmt.Sprintf("--storage=%s: this version keeps everything in one file; name a file", redact(f.storage))}
	}
	external, err := externalURL(f)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", f.listen, err)
	}
	defer listener.Close()
	if external == "" {
		external = scheme(f) + "://" + reachable(listener.Addr())
	}

	s, err := newService(ctx, options{
		config: f.config, storage: f.storage, external: external, hosts: hosts(listener.Addr()), loopback: onLoopback(listener.Addr(), external), die: env.die,
		newStore: f.newStore, newKey: f.newKey,
	}, log)
	if err != nil {
		return err
	}
	defer s.close()

	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	handler, err := s.handler()
	if err != nil {
		return err
	}
	connections := newCrowd(listener, s.guard.Client, log)
	server := newServer(connections, handler, log)
	served := make(chan error, 1)
	go func() {
		served <- toolkit.Serve(connections, server, &toolkit.FlagConfig{WebConfigFile: &f.webConfig}, log)
	}()
	s.start()
	log.Info("sitrep is ready", slog.String("url", external), slog.String("address", listener.Addr().String()))
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
		return fmt.Errorf("serve on %q: %w", f.listen, err)
	case <-ctx.Done():
	}
	log.Info("stopping: no more alerts are taken, and what is being sent is finished")
	// Intake stops first, then the deliveries; the store closes last.
	stopping, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		log.Warn("requests were cut off", slog.Any("err", err))
	}
	if err := s.receiver.Wait(stopping); err != nil {
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

// reloadOn reloads with each signal until ctx is done.
func (s *service) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
			_ = s.reload(ctx, incident.Signal, false) // logged there
		case <-ctx.Done():
			return
		}
	}
}

// reachable is what links name to reach the address: the machine's name where it stands
// for all of its addresses.
func reachable(addr net.Addr) string {
	if a, err := netip.ParseAddrPort(addr.String()); err == nil && a.Addr().IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			return net.JoinHostPort(name, strconv.Itoa(int(a.Port())))
		}
	}
	return addr.String()
}

// hosts are by what a service that listens there is known.
func hosts(addr net.Addr) []string {
	return []string{addr.String(), reachable(addr)}
}

// scheme is that of the listen address, as far as the flags tell.
func scheme(f *serveFlags) string {
	if f.webConfig == "" {
		return "http"
	}
	if b, err := os.ReadFile(f.webConfig); err == nil && strings.Contains(string(b), "tls_server_config") {
		return "https"
	}
	return "http"
}

// externalURL checks --web.external-url, and returns it without a slash at the end.
func externalURL(f *serveFlags) (string, error) {
	if f.external == "" {
		return "", nil
	}
	u, err := url.Parse(f.external)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", &usageError{fmt.Sprintf("--web.external-url=%q is not a plain http or https URL, such as https://sitrep.example.org", f.external)}
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// onLoopback says why the service can be reached from elsewhere; nil if it cannot.
func onLoopback(listen net.Addr, external string) error {
	host, _, _ := net.SplitHostPort(listen.String())
	if !isLoopback(host) {
		return fmt.Errorf("--web.listen-address %s can be reached from other machines, and the configuration has no access: add tokens and users to access, or listen on 127.0.0.1", listen)
	}
	u, err := url.Parse(external)
	if err == nil && !isLoopback(u.Hostname()) {
		return fmt.Errorf("--web.external-url %s is not on this machine, and the configuration has no access: add tokens and users to access", external)
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback()
}

// redact hides what a URL may hold of a password.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "<url>"
	}
	return u.Redacted()
}

// openStore opens the store, in a folder that is made if it is not there.
func openStore(ctx context.Context, path string, o bolt.Options) (*bolt.DB, error) {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		if err := os.MkdirAll(path[:i], 0o700); err != nil {
			return nil, fmt.Errorf("make the folder of the store: %w", err)
		}
	}
	db, err := bolt.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return db, nil
}

var errStopping = errors.New("sitrep is stopping")

// origin returns the origin of a URL, as browsers name it.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host
}
