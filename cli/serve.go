package cli

import (
	"context"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"

	"sitrep/app"
	"sitrep/storage/postgres"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	options   app.Options
	socket    app.Socket
	external  string
	logLevel  string
	logFormat string
}

func declareServe(parser *kingpin.Application, env Environment, commands map[string]command) {
	f := &serveFlags{options: app.Options{Die: env.Die}}
	cmd := parser.Command("serve", "Run the service.")
	cmd.Flag("config.file", "The configuration.").Default("sitrep.yml").StringVar(&f.options.Config)
	cmd.Flag("storage", "The file in which everything is kept, made at the first start; or the URL of a PostgreSQL database that several sitreps may share, with the password in PGPASSWORD or a passfile.").Default("data/sitrep.db").StringVar(&f.options.Storage)
	cmd.Flag("storage.new", "Make an empty store though the key of one that was there is beside it.").BoolVar(&f.options.NewStore)
	cmd.Flag("ledger.new-key", "Go on with another key than the one that signed the ledger last; evidence shows it, and auditors need both public keys.").BoolVar(&f.options.NewKey)
	cmd.Flag("web.listen-address", "Where to listen for alerts, the API and the pages.").Default("127.0.0.1:9098").StringVar(&f.socket.Address)
	cmd.Flag("web.external-url", "Where links in messages lead; default is the listen address.").StringVar(&f.external)
	cmd.Flag("web.config.file", "TLS settings, as in the Prometheus exporters.").StringVar(&f.socket.WebConfig)
	cmd.Flag("log.level", "debug, info, warn or error.").Default("info").EnumVar(&f.logLevel, promslog.LevelFlagOptions...)
	cmd.Flag("log.format", "logfmt or json.").Default("logfmt").EnumVar(&f.logFormat, promslog.FormatFlagOptions...)
	commands[cmd.FullCommand()] = func(ctx context.Context) error { return serve(ctx, env, f) }
}

// gcPercent is how much the heap grows until it is collected, unless GOGC says
// otherwise. What lives is little, as all is in the store, and posts make much that
// dies at once: of 100 an eighth of all work would be collecting. With a large
// configuration, which lives, it is less.
const gcPercent = 300

// serve runs the service until ctx is done.
func serve(ctx context.Context, env Environment, f *serveFlags) error {
	if env.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
		f.options.GCPercent = gcPercent
	}
	log, err := newLogger(env, f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	if strings.Contains(f.options.Storage, "://") && !postgres.IsURL(f.options.Storage) {
		return &usageError{fmt.Sprintf("--storage=%s: name a file, or the URL of a PostgreSQL database, which begins with postgres://", redact(f.options.Storage))}
	}
	if f.options.ExternalURL, err = externalURL(f.external); err != nil {
		return err
	}
	return app.Serve(ctx, f.options, f.socket, log)
}

// externalURL checks --web.external-url, and returns it without a slash at the end.
func externalURL(given string) (string, error) {
	if given == "" {
		return "", nil
	}
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", &usageError{fmt.Sprintf("--web.external-url=%q is not a plain http or https URL, such as https://sitrep.example.org", given)}
	}
	return strings.TrimRight(u.String(), "/"), nil
}
