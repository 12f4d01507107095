package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/api"
	"sitrep/app"
	"sitrep/audit"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/storage/postgres"
	"sitrep/wording"
)

// auditCLI are the commands under sitrep audit, and their flags.
type auditCLI struct {
	env        Environment
	connection connection
	storage    string
	output     string

	incident, from, to, team, priority string
	pseudonyms                         bool

	format string

	file        string
	keys        []string
	noKey       bool
	checkpoints []string
}

func declareAudit(parser *kingpin.Application, env Environment, commands map[string]command) {
	c := &auditCLI{env: env}
	of := parser.Command("audit", "Hand out evidence, verify it, and report how promises were kept.")
	c.connection.declare(of)
	of.GetFlag("timeout").Default("10m") // evidence on a year takes longer than a command
	of.Flag("storage", "The file of a store that no sitrep has open, a backup, or the URL of a PostgreSQL database, of which to select is enough; else a running sitrep is asked.").PlaceHolder("FILE").StringVar(&c.storage)

	export := of.Command("export", "Write the evidence on incidents as one zip.")
	export.Flag("output", "The file to write; - is standard output.").Default("evidence.zip").StringVar(&c.output)
	export.Flag("incident", "One incident, with those merged into it.").PlaceHolder("INC-42").StringVar(&c.incident)
	export.Flag("team", "Those of a team.").StringVar(&c.team)
	export.Flag("priority", "Those that had the priority at some time.").StringVar(&c.priority)
	export.Flag("pseudonyms", "Replace names and addresses, and leave out messages.").BoolVar(&c.pseudonyms)
	c.span(export)
	c.kept(export, "The export proves that the ledger only grew since")
	commands[export.FullCommand()] = c.export

	report := of.Command("report", "Report how the promises of a stretch of time were kept.")
	report.Flag("format", "html, csv or json.").Default("html").EnumVar(&c.format, "html", "csv", "json")
	report.Flag("output", "The file to write; - is standard output.").Default("-").StringVar(&c.output)
	c.span(report)
	commands[report.FullCommand()] = c.report

	verify := of.Command("verify", "Verify an export, or a store: that it is complete, unchanged and in order, and signed by --key.")
	verify.Arg("file", "The export. Without it, the store is verified, or an export of all that a running sitrep has.").StringVar(&c.file)
	verify.Flag("key", "The public key of the ledger, or a file that holds it; may be repeated.").PlaceHolder("KEY").StringsVar(&c.keys)
	verify.Flag("no-key", "Say only whether it is consistent in itself: nobody's signature is checked, and anybody can have made it.").BoolVar(&c.noKey)
	c.kept(verify, "The ledger must have only grown since")
	commands[verify.FullCommand()] = c.verify

	key := of.Command("key", "Print the public key of the ledger, for auditors.")
	commands[key.FullCommand()] = c.printKey
}

func (c *auditCLI) span(cmd *kingpin.CmdClause) {
	cmd.Flag("from", "The first day, as 2026-07-01, or a time as in RFC 3339; default is the first record.").StringVar(&c.from)
	cmd.Flag("to", "The day after the last, or a time; default is now.").StringVar(&c.to)
}

func (c *auditCLI) kept(cmd *kingpin.CmdClause, what string) {
	cmd.Flag("checkpoint", "A file with a checkpoint that was kept elsewhere, such as a mail or one of an earlier export. "+what+". May be repeated.").
		PlaceHolder("FILE").StringsVar(&c.checkpoints)
}

// source says what is wrong with where the evidence should come from.
func (c *auditCLI) source() error {
	if c.storage != "" && c.connection.url != "" {
		return &usageError{"--storage reads a file and --url asks a running sitrep: use one of them"}
	}
	return nil
}

// progress says how far something is, but beside a report that a program reads.
func (c *auditCLI) progress() *progress {
	p := newProgress(c.env)
	p.none = c.format == "json"
	return p
}

// download asks a running sitrep, with those parameters that are not empty.
func (c *auditCLI) download(ctx context.Context, path string, parameters map[string]string, media string, w io.Writer) error {
	speaks, err := c.connection.client(c.env)
	if err != nil {
		return err
	}
	q := url.Values{}
	for name, value := range parameters {
		if value != "" {
			q.Set(name, value)
		}
	}
	to, end := c.progress().answer(w)
	defer end()
	return speaks.Download(ctx, path, q, media, to)
}

// open opens the store that --storage names, to read.
func (c *auditCLI) open(ctx context.Context) (storage.Store, error) {
	if postgres.IsURL(c.storage) {
		return postgres.Open(ctx, c.storage, postgres.Options{ReadOnly: true})
	}
	db, err := bolt.OpenReadOnly(ctx, c.storage)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, storage.ErrDamaged) && !errors.Is(err, storage.ErrNewer) {
		return nil, fmt.Errorf("%w; if a sitrep runs on it, ask that one with --url", err)
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// key returns the key beside the store, nil if there is none.
func (c *auditCLI) key() (*ledger.Key, error) {
	if postgres.IsURL(c.storage) {
		return nil, nil
	}
	k, err := ledger.LoadKey(app.KeyBeside(c.storage))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return k, err
}

// zoneOf is the time zone of the configuration that was last in force, as days begin
// there where a running sitrep is asked.
func zoneOf(ctx context.Context, db storage.Store) (loc *time.Location, err error) {
	loc = time.UTC
	err = db.Read(ctx, func(r storage.Snapshot) error {
		loadings, err := storage.Loadings(ctx, r)
		if err != nil || len(loadings) == 0 {
			return err
		}
		latest, err := r.Config(ctx, loadings[0].Hash)
		if err != nil {
			return err
		}
		var form struct {
			Timezone string `json:"timezone"`
		}
		if json.Unmarshal(latest.Body, &form) == nil && form.Timezone != "" {
			if l, err := time.LoadLocation(form.Timezone); err == nil {
				loc = l
			}
		}
		return nil
	})
	return loc, err
}

// checkSpan says what is wrong with --from or --to before anything is asked.
func (c *auditCLI) checkSpan(loc *time.Location) (from, to time.Time, err error) {
	if loc == nil { // sitrep knows where days begin, and compares
		if _, _, err = api.ParseSpan(c.from, "", time.UTC); err == nil {
			_, _, err = api.ParseSpan("", c.to, time.UTC)
		}
	} else {
		from, to, err = api.ParseSpan(c.from, c.to, loc)
	}
	if err != nil {
		return from, to, &usageError{"--" + err.Error()}
	}
	return from, to, nil
}

// begun says what is wrong with --from or --to of a report, as far as that is known
// before anything is asked: no day of the world begins more than 14 hours before it does
// in UTC.
func (c *auditCLI) begun(now time.Time) error {
	if _, _, err := c.checkSpan(nil); err != nil {
		return err
	}
	from, _, err := api.ParseSpan(c.from, "", time.FixedZone("", 14*60*60))
	if err == nil && from.After(now) {
		err = &usageError{fmt.Sprintf("--from %s is in the future: write a day that has begun, such as %s, or a time before now", c.from, now.Format(time.DateOnly))}
	}
	return err
}

func (c *auditCLI) selection() (s audit.Selection, err error) {
	s = audit.Selection{Team: c.team, Priority: c.priority}
	if c.incident != "" {
		id, err := parseID(c.incident)
		if err != nil {
			return s, err
		}
		if s.Incident, err = incident.ParseID(id); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (c *auditCLI) export(ctx context.Context) error {
	s, err := c.selection()
	if err == nil {
		err = c.source()
	}
	if err == nil {
		_, _, err = c.checkSpan(nil)
	}
	if err != nil {
		return err
	}
	kept, err := c.keptCheckpoints()
	if err != nil {
		return err
	}
	said := ""
	err = write(c.output, c.env.Stdout, func(w io.Writer) error {
		if c.storage != "" {
			said, err = c.exportStore(ctx, s, kept, w)
			return err
		}
		more := map[string]string{"team": c.team, "priority": c.priority, "from": c.from, "to": c.to, "checkpoint": string(inOneText(kept))}
		if s.Incident != 0 {
			more["incident"] = incident.ID(s.Incident)
		}
		if c.pseudonyms {
			more["pseudonyms"] = "true"
		}
		return c.download(ctx, "/audit/export", more, "application/zip", w)
	})
	if err != nil {
		return err
	}
	if c.output != "-" {
		fmt.Fprintf(c.env.Stdout, "%s written%s\n", c.output, said)
	}
	return nil
}

// exportStore exports from a file, and says what there was.
func (c *auditCLI) exportStore(ctx context.Context, s audit.Selection, kept [][]byte, w io.Writer) (string, error) {
	db, err := c.open(ctx)
	if err != nil {
		return "", err
	}
	defer db.Close()
	loc, err := zoneOf(ctx, db)
	if err != nil {
		return "", err
	}
	if s.From, s.To, err = c.checkSpan(loc); err != nil {
		return "", err
	}
	key, err := c.key()
	if err != nil {
		return "", err
	}
	v, _, _ := app.Build()
	p := c.progress()
	sum, err := audit.Export(ctx, db, w, audit.ExportOptions{
		Selection: s, Now: now(), Location: loc, Key: key, Version: v, Pseudonyms: c.pseudonyms, Earlier: kept, Progress: p.of("exported"),
	})
	p.end()
	if errors.Is(err, audit.ErrNothing) {
		return "", errors.New(api.NothingFound(s))
	}
	said := fmt.Sprintf(": %s, %s, %s", wording.Count(sum.Incidents, "incident"), wording.Count(sum.Events, "event"), wording.Count(sum.Messages, "message"))
	if sum.Waiting > 0 {
		said += fmt.Sprintf("\nnote: %s newer than the latest checkpoint; nothing proves them yet, as there is no key beside the store", wording.Count(sum.Waiting, "record"))
	}
	return said, err
}

func (c *auditCLI) report(ctx context.Context) error {
	err := c.source()
	if err == nil {
		err = c.begun(now())
	}
	if err != nil {
		return err
	}
	err = write(c.output, c.env.Stdout, func(w io.Writer) error {
		if c.storage != "" {
			return c.reportStore(ctx, w)
		}
		media := map[string]string{"html": "text/html", "csv": "text/csv", "json": "application/json"}[c.format]
		q := map[string]string{"format": c.format, "from": c.from, "to": c.to}
		if c.output != "-" {
			return c.download(ctx, "/audit/report", q, media, w)
		}
		// What is printed may be another program's.
		var b bytes.Buffer
		err := c.download(ctx, "/audit/report", q, media, &b)
		_, printed := wording.Shown(w).Write(b.Bytes())
		return errors.Join(err, printed)
	})
	if err == nil && c.output != "-" {
		fmt.Fprintf(c.env.Stdout, "%s written\n", c.output)
	}
	return err
}

func (c *auditCLI) reportStore(ctx context.Context, w io.Writer) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	loc, err := zoneOf(ctx, db)
	if err != nil {
		return err
	}
	from, to, err := c.checkSpan(loc)
	if err != nil {
		return err
	}
	asOf, err := audit.LastWritten(ctx, db)
	if err != nil {
		return err
	}
	v, _, _ := app.Build()
	p := c.progress()
	rep, err := audit.MakeReport(ctx, db, audit.ReportOptions{From: from, To: to, Now: now(), AsOf: asOf, Location: loc, Version: v, Progress: p.of("read")})
	p.end()
	if errors.Is(err, incident.ErrInvalid) && !errors.Is(err, storage.ErrDamaged) {
		return &usageError{"--" + err.Error()}
	}
	if err != nil {
		return err
	}
	return rep.Write(w, c.format)
}

func (c *auditCLI) printKey(ctx context.Context) error {
	if err := c.source(); err != nil {
		return err
	}
	if c.storage == "" {
		return c.askKey(ctx)
	}
	key, err := c.key()
	if err != nil {
		return err
	}
	if key == nil && postgres.IsURL(c.storage) {
		return &usageError{"no key is kept beside a database: ask a running sitrep with --url"}
	}
	if key == nil {
		return fmt.Errorf("there is no key file %q; a configuration with evidence.key_file has it elsewhere", app.KeyBeside(c.storage))
	}
	fmt.Fprintln(c.env.Stdout, key.Public())
	return nil
}

// askKey prints the key that a running sitrep signs with.
func (c *auditCLI) askKey(ctx context.Context) error {
	speaks, err := c.connection.client(c.env)
	if err != nil {
		return err
	}
	body, err := speaks.Get(ctx, "/status", nil)
	if err != nil {
		return err
	}
	var s api.Status
	if err := json.Unmarshal(body, &s); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	fmt.Fprintln(c.env.Stdout, wording.Line(s.Ledger.PublicKey, longestLine))
	return nil
}
