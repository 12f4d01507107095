package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/api"
	"sitrep/audit"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage/bolt"
)

// auditCLI are the commands under sitrep audit, and their flags.
type auditCLI struct {
	env        environment
	connection connection
	storage    string
	output     string

	incident, from, to, team, priority string
	pseudonyms                         bool

	format string

	file        string
	keys        []string
	checkpoints []string
}

func declareAudit(app *kingpin.Application, env environment, commands map[string]command) {
	c := &auditCLI{env: env}
	of := app.Command("audit", "Hand out evidence, verify it, and report how promises were kept.")
	c.connection.declare(of)
	of.Flag("storage", "The file of a store that no sitrep has open, or a backup; else a running sitrep is asked.").PlaceHolder("FILE").StringVar(&c.storage)

	export := of.Command("export", "Write the evidence on incidents as one zip.")
	export.Flag("output", "The file to write.").Default("evidence.zip").StringVar(&c.output)
	export.Flag("incident", "One incident.").PlaceHolder("INC-42").StringVar(&c.incident)
	export.Flag("team", "Those of a team.").StringVar(&c.team)
	export.Flag("priority", "Those that had the priority at some time.").StringVar(&c.priority)
	export.Flag("pseudonyms", "Replace names and addresses, and leave out messages.").BoolVar(&c.pseudonyms)
	c.span(export)
	commands[export.FullCommand()] = c.export

	report := of.Command("report", "Report how the promises of a stretch of time were kept.")
	report.Flag("format", "html, csv or json.").Default("html").EnumVar(&c.format, "html", "csv", "json")
	report.Flag("output", "The file to write; - is standard output.").Default("-").StringVar(&c.output)
	c.span(report)
	commands[report.FullCommand()] = c.report

	verify := of.Command("verify", "Verify an export, or a store: that it is complete, unchanged and in order.")
	verify.Arg("file", "The export. Without it, the store is verified, or an export of all that a running sitrep has.").StringVar(&c.file)
	verify.Flag("key", "The public key of the ledger, or a file that holds it; may be repeated.").PlaceHolder("KEY").StringsVar(&c.keys)
	verify.Flag("checkpoint", "A file with a checkpoint that was kept elsewhere, from a mail or an earlier export; may be repeated.").PlaceHolder("FILE").StringsVar(&c.checkpoints)
	commands[verify.FullCommand()] = c.verify

	key := of.Command("key", "Print the public key of a store's ledger, for auditors.")
	commands[key.FullCommand()] = c.printKey
}

func (c *auditCLI) span(cmd *kingpin.CmdClause) {
	cmd.Flag("from", "The first day, as 2026-07-01, or a time as in RFC 3339; default is the first record.").StringVar(&c.from)
	cmd.Flag("to", "The day after the last, or a time; default is now.").StringVar(&c.to)
}

// query is what a running sitrep is asked with.
func (c *auditCLI) query(more map[string]string) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"from": c.from, "to": c.to} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, value := range more {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// open opens the store that --storage names, to read.
func (c *auditCLI) open() (*bolt.DB, error) {
	db, err := bolt.OpenReadOnly(c.storage)
	if err != nil {
		return nil, fmt.Errorf("%w; if a sitrep runs on it, ask that one with --url", err)
	}
	return db, nil
}

// key returns the key beside the store, nil if there is none.
func (c *auditCLI) key() (*ledger.Key, error) {
	k, err := ledger.LoadKey(c.storage + ".key")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return k, err
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
	if s.From, s.To, err = api.ParseSpan(c.from, c.to, time.UTC); err != nil {
		return s, &usageError{"--" + err.Error()}
	}
	return s, nil
}

// write writes a file in one go: it is there whole, or as it was before.
func (c *auditCLI) write(fill func(io.Writer) error) error {
	if c.output == "-" {
		return fill(c.env.stdout)
	}
	f, err := os.CreateTemp(filepath.Dir(c.output), filepath.Base(c.output)+".*")
	if err != nil {
		return fmt.Errorf("write %q: %w", c.output, err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.output); err != nil {
		return fmt.Errorf("write %q: %w", c.output, err)
	}
	return nil
}

func (c *auditCLI) export(ctx context.Context) error {
	s, err := c.selection()
	if err != nil {
		return err
	}
	var said string
	err = c.write(func(w io.Writer) error {
		if c.storage == "" {
			speaks, err := c.connection.client(c.env)
			if err != nil {
				return err
			}
			more := map[string]string{"team": c.team, "priority": c.priority}
			if s.Incident != 0 {
				more["incident"] = incident.ID(s.Incident)
			}
			if c.pseudonyms {
				more["pseudonyms"] = "true"
			}
			return speaks.Download(ctx, "/audit/export", c.query(more), w)
		}
		db, err := c.open()
		if err != nil {
			return err
		}
		defer db.Close()
		key, err := c.key()
		if err != nil {
			return err
		}
		v, _, _ := build()
		sum, err := audit.Export(ctx, db, w, audit.ExportOptions{Selection: s, Now: now(), Key: key, Version: v, Pseudonyms: c.pseudonyms})
		if errors.Is(err, audit.ErrNothing) {
			return fmt.Errorf("nothing found: there is no incident of %s", s)
		}
		said = fmt.Sprintf(": %s, %s, %s", count(sum.Incidents, "incident"), count(sum.Events, "event"), count(sum.Messages, "message"))
		return err
	})
	if err != nil {
		return err
	}
	if c.output != "-" {
		fmt.Fprintf(c.env.stdout, "%s written%s\n", c.output, said)
	}
	return nil
}

func (c *auditCLI) report(ctx context.Context) error {
	return c.write(func(w io.Writer) error {
		if c.storage == "" {
			speaks, err := c.connection.client(c.env)
			if err != nil {
				return err
			}
			return speaks.Download(ctx, "/audit/report", c.query(map[string]string{"format": c.format}), w)
		}
		from, to, err := api.ParseSpan(c.from, c.to, time.UTC)
		if err != nil {
			return &usageError{"--" + err.Error()}
		}
		db, err := c.open()
		if err != nil {
			return err
		}
		defer db.Close()
		v, _, _ := build()
		rep, err := audit.MakeReport(ctx, db, audit.ReportOptions{From: from, To: to, Now: now(), Version: v})
		if err != nil {
			return err
		}
		return rep.Write(w, c.format)
	})
}

// verifyOptions reads the keys and checkpoints that the auditor has.
func (c *auditCLI) verifyOptions() (o audit.VerifyOptions, err error) {
	for _, key := range c.keys {
		// A public key is a name, a hash and base64, with plus signs between; a file's name
		// rarely is.
		if b, err := os.ReadFile(key); err == nil {
			key = string(b)
		}
		key = strings.TrimSpace(key)
		if strings.HasPrefix(key, "PRIVATE+KEY+") {
			k, err := ledger.ParseKey(key)
			if err != nil {
				return o, err
			}
			key = k.Public()
		}
		o.Keys = append(o.Keys, key)
	}
	for _, file := range c.checkpoints {
		b, err := os.ReadFile(file)
		if err != nil {
			return o, fmt.Errorf("read checkpoint: %w", err)
		}
		o.Checkpoints = append(o.Checkpoints, b)
	}
	return o, nil
}

func (c *auditCLI) verify(ctx context.Context) error {
	o, err := c.verifyOptions()
	if err != nil {
		return err
	}
	if c.file == "" && c.storage != "" {
		return c.verifyStore(ctx, o)
	}
	file := c.file
	if file == "" {
		f, err := os.CreateTemp("", "sitrep-export-*.zip")
		if err != nil {
			return fmt.Errorf("make a file for the export: %w", err)
		}
		defer os.Remove(f.Name())
		speaks, err := c.connection.client(c.env)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if err := errors.Join(speaks.Download(ctx, "/audit/export", nil, f), f.Close()); err != nil {
			return err
		}
		file = f.Name()
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read export: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read export: %w", err)
	}
	v, err := audit.VerifyExport(ctx, f, info.Size(), o)
	if err != nil {
		return err
	}
	if v.Selection != "" {
		fmt.Fprintf(c.env.stdout, "evidence on %s, of the ledger %s\n", v.Selection, v.Origin)
	}
	for _, note := range v.Notes {
		fmt.Fprintf(c.env.stdout, "note: %s\n", note)
	}
	return c.judge(&v.Verification)
}

func (c *auditCLI) verifyStore(ctx context.Context, o audit.VerifyOptions) error {
	db, err := c.open()
	if err != nil {
		return err
	}
	defer db.Close()
	if len(o.Keys) == 0 {
		key, err := c.key()
		if err != nil {
			return err
		}
		if key == nil {
			return &usageError{fmt.Sprintf("there is no key file %s.key: give the public key of the ledger with --key", c.storage)}
		}
		fmt.Fprintf(c.env.stdout, "note: the key is the one beside the store; one who can change the store can have it too. Give yours with --key.\n")
		o.Keys = append(o.Keys, key.Public())
	}
	v, err := audit.Verify(ctx, db, o)
	if err != nil {
		return err
	}
	return c.judge(&v)
}

// judge prints what came out.
func (c *auditCLI) judge(v *audit.Verification) error {
	for _, f := range v.Findings {
		fmt.Fprintf(c.env.stdout, "WRONG %s\n", f)
	}
	fmt.Fprintf(c.env.stdout, "%s of %s, %s, %s, %s\n", count(v.Events, "event"), count(v.Incidents, "incident"),
		count(v.Deliveries, "delivery record"), count(v.Messages, "message"), count(v.Configs, "configuration"))
	if !v.SignedAt.IsZero() {
		fmt.Fprintf(c.env.stdout, "signed at %s: %d leaves, root %s\n", v.SignedAt.Format(time.RFC3339), v.Signed, v.Root)
	}
	if !v.OK() {
		fmt.Fprintf(c.env.stdout, "NOT as it was written: %s\n", count(len(v.Findings), "finding"))
		return errFound
	}
	fmt.Fprintln(c.env.stdout, "complete, unchanged and in order")
	return nil
}

func (c *auditCLI) printKey(context.Context) error {
	if c.storage == "" {
		return &usageError{"name the store: sitrep audit key --storage=FILE; a running sitrep shows the key in its exports"}
	}
	key, err := c.key()
	if err != nil {
		return err
	}
	if key == nil {
		return fmt.Errorf("there is no key file %s.key; a configuration with evidence.key_file has it elsewhere", c.storage)
	}
	fmt.Fprintln(c.env.stdout, key.Public())
	return nil
}
