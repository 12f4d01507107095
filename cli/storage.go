package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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

// storageCLI are the commands under sitrep storage, and their flags.
type storageCLI struct {
	env        Environment
	connection connection
	storage    string
	output     string
	backup     string
	keyFile    string
	replace    bool
	newKey     bool
	rebuild    bool
	from, to   string
	external   string
}

func declareStorage(parser *kingpin.Application, env Environment, commands map[string]command) {
	c := &storageCLI{env: env}
	of := parser.Command("storage", "Back the store up, check a copy of it, put one back, and make its file smaller.")

	backup := of.Command("backup", "Write a copy of the store of a running sitrep, or of a file that none has open, and check it. The key that signs the ledger is not in it.")
	c.connection.declare(backup)
	backup.GetFlag("timeout").Default("1h")
	backup.Flag("storage", "The file of a store that no sitrep has open; else a running sitrep is asked.").PlaceHolder("FILE").StringVar(&c.storage)
	backup.Flag("output", "The file to write, in place of an earlier backup; - is standard output, and is not checked.").PlaceHolder("FILE").Required().StringVar(&c.output)
	commands[backup.FullCommand()] = c.runBackup

	restore := of.Command("restore", "Check a backup, and put it in the place of the store of a sitrep that is stopped.")
	restore.Arg("backup", "The backup.").Required().StringVar(&c.backup)
	restore.Flag("storage", "Where the store belongs.").PlaceHolder("FILE").Required().StringVar(&c.storage)
	restore.Flag("key-file", "The key that signs its ledger; default is the file beside the store.").PlaceHolder("FILE").StringVar(&c.keyFile)
	restore.Flag("replace", "Move a store that is there aside.").BoolVar(&c.replace)
	restore.Flag("ledger.new-key", "Restore it without its key; serve needs the same flag then.").BoolVar(&c.newKey)
	commands[restore.FullCommand()] = c.runRestore

	check := of.Command("check", "Read all of a store that no sitrep has open, or of a backup, and say whether it is sound and which key belongs to it.")
	check.Arg("file", "The store.").Required().StringVar(&c.storage)
	check.Flag("key-file", "The key that signs its ledger; default is the file beside the store.").PlaceHolder("FILE").StringVar(&c.keyFile)
	commands[check.FullCommand()] = c.runCheck

	compact := of.Command("compact", "Give back the room in the file of a store that is free, as after much was deleted. No sitrep may have it open; beside it there has to be room for a copy.")
	compact.Arg("file", "The store.").Required().StringVar(&c.storage)
	compact.Flag("rebuild", "Make anew what finds breaches by their fingerprints, where check says that breach_recent or breach_runs is damaged.").BoolVar(&c.rebuild)
	commands[compact.FullCommand()] = c.runCompact

	migrate := of.Command("migrate", "Bring the schema of a PostgreSQL database up to date, as a user who may do that, where the one that sitrep runs as may not.")
	migrate.Arg("url", "The URL of the database.").Required().StringVar(&c.storage)
	commands[migrate.FullCommand()] = c.runMigrate

	newKey := of.Command("new-key", "Make a key for the ledger, for processes that share a database: each needs the file, with the same bytes, where evidence.key_file says. A sitrep with a file of its own makes one by itself.")
	newKey.Arg("file", "The file to write; none may be there.").Required().StringVar(&c.keyFile)
	newKey.Flag("web.external-url", "Where links in messages lead, as for serve: its host is in the name of the key.").PlaceHolder("URL").StringVar(&c.external)
	commands[newKey.FullCommand()] = c.runNewKey

	c.declareCopy(of, commands)
}

// runNewKey makes a key, and prints the public one.
func (c *storageCLI) runNewKey(context.Context) error {
	external, err := externalURL(c.external)
	if err != nil {
		return err
	}
	key, err := app.MakeKey(c.keyFile, external)
	if err != nil {
		return err
	}
	c.say("%s written; keep a copy of it, and give auditors the public key: %s", c.keyFile, key.Public())
	return nil
}

// runMigrate brings the schema of a database up to date.
func (c *storageCLI) runMigrate(ctx context.Context) error {
	if !postgres.IsURL(c.storage) {
		return &usageError{"this is not the URL of a PostgreSQL database, which begins with postgres://; a file is brought up to date when sitrep opens it"}
	}
	version, err := postgres.Migrate(ctx, c.storage)
	if err != nil {
		return err
	}
	c.say("the schema is of version %d", version)
	return nil
}

// inFile refuses the URL of a database, for commands that work on the file of a store.
func inFile(paths ...string) error {
	for _, path := range paths {
		if postgres.IsURL(path) {
			return &usageError{fmt.Sprintf("%s is in a database: what this does for the file of a store is done for a database by the tools that come with it, such as pg_dump, pg_restore and pg_amcheck", postgres.Name(path))}
		}
	}
	return nil
}

// A soundStore is what is said of the file of a store that was found to be sound.
type soundStore struct {
	latest int64 // number of the latest incident; 0 if there is none
	leaves int64
	signed []byte // the last checkpoint; nil if there is none
	at     ledger.Checkpoint
}

// inspect reads all of a store, and says how far it is. The error says what is wrong with it.
func inspect(ctx context.Context, path string, env Environment) (s soundStore, err error) {
	db, err := openStopped(ctx, path)
	if err != nil {
		return s, err
	}
	defer db.Close()
	if err := checkStore(ctx, db, env); err != nil {
		return s, err
	}
	return look(ctx, db, path)
}

// checkStore reads all of a store that is open, and says how far it is.
func checkStore(ctx context.Context, db *bolt.DB, env Environment) error {
	p := newProgress(env)
	defer p.end()
	return db.CheckTelling(ctx, func(done, total int64) { p.tell("checked", audit.Bytes, done, total) })
}

// look says what is in a store that is open.
func look(ctx context.Context, store storage.Store, path string) (s soundStore, err error) {
	err = store.Read(ctx, func(r storage.Snapshot) (err error) {
		page, _, err := r.Incidents(ctx, storage.IncidentQuery{Limit: 1})
		if err != nil {
			return err
		}
		if len(page) > 0 {
			s.latest = page[0].Number
		}
		head, err := r.LogHead(ctx)
		if s.leaves = head.Size; err != nil {
			return err
		}
		s.signed, s.at, err = storage.LastSigned(ctx, r)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("check store %q: %w", path, err)
	}
	return s, nil
}

// openStopped opens a store to read that no sitrep has open.
func openStopped(ctx context.Context, path string) (*bolt.DB, error) {
	db, err := bolt.OpenReadOnly(ctx, path)
	if errors.Is(err, bolt.ErrLocked) {
		return nil, fmt.Errorf("%w; if a sitrep runs on it, ask that one with --url", err)
	}
	return db, err
}

// String says what is in the store.
func (s soundStore) String() string {
	what := "no incident"
	if s.latest > 0 {
		what = "incidents up to " + incident.ID(s.latest)
	}
	what += ", " + wording.Count(int(s.leaves), "record")
	if s.signed == nil {
		return what + ", none of them signed"
	}
	return fmt.Sprintf("%s, of which %d are signed, last at %s", what, s.at.Size, s.at.At.Format(time.RFC3339))
}

// key names the key that belongs to the store.
func (s soundStore) key() string { return wording.Line(app.Signer(s.signed), 300) }

func (c *storageCLI) say(format string, args ...any) {
	fmt.Fprintf(c.env.Stdout, format+"\n", args...)
}

func (c *storageCLI) runBackup(ctx context.Context) error {
	if err := inFile(c.storage, c.output); err != nil {
		return err
	}
	if c.storage != "" && c.connection.url != "" {
		return &usageError{"--storage reads a file and --url asks a running sitrep: use one of them"}
	}
	if c.output == "-" {
		if err := c.copyStore(ctx, c.env.Stdout); err != nil {
			return err
		}
		fmt.Fprintln(c.env.Stderr, "note: sitrep storage check says of the copy whether it is whole, and which key belongs to it")
		return nil
	}
	if err := c.spare(ctx); err != nil {
		return err
	}
	var s soundStore
	err := placeFile(c.output, true, func(w io.Writer) error { return c.copyStore(ctx, w) }, func(made string) (err error) {
		s, err = inspect(ctx, made, c.env)
		return err
	})
	if err != nil {
		return fmt.Errorf("back up to %q: %w", c.output, err)
	}
	c.say("%s written and checked: %v", c.output, s)
	if s.signed != nil {
		c.say("the key that belongs to it is not in it: %s; keep a copy of its file apart from the backup", s.key())
	}
	return nil
}

// spare refuses to write a backup over a store that is in use, or may be again.
func (c *storageCLI) spare(ctx context.Context) error {
	if same(c.output, c.storage) {
		return &usageError{"--output is the store itself: name another file"}
	}
	db, err := bolt.OpenReadOnly(ctx, c.output)
	if err == nil {
		err = db.Close()
	}
	if errors.Is(err, bolt.ErrLocked) {
		return fmt.Errorf("back up to %q: that is a store in use (%w): name another file", c.output, err)
	}
	if _, err := os.Lstat(app.KeyBeside(c.output)); err == nil {
		return fmt.Errorf("back up to %q: that is a store, as its key is beside it: name another file", c.output)
	}
	return nil
}

// copyStore writes a copy of the store that is meant.
func (c *storageCLI) copyStore(ctx context.Context, w io.Writer) error {
	p := newProgress(c.env)
	if c.storage == "" {
		speaks, err := c.connection.client(c.env)
		if err != nil {
			return err
		}
		to, end := p.answer(w)
		defer end()
		return speaks.Download(ctx, "/backup", nil, api.BackupMedia, to)
	}
	db, err := openStopped(ctx, c.storage)
	if err != nil {
		return err
	}
	defer p.end()
	return errors.Join(copyOf(ctx, db, w, p), db.Close())
}

func copyOf(ctx context.Context, db *bolt.DB, w io.Writer, p *progress) error {
	return db.Backup(ctx, func(_ storage.Snapshot, size int64) (io.Writer, error) { return p.writer(w, "copied", size), nil })
}

func (c *storageCLI) runRestore(ctx context.Context) error {
	if err := inFile(c.storage, c.backup); err != nil {
		return err
	}
	if same(c.backup, c.storage) {
		return &usageError{"the backup is the store itself: name another file"}
	}
	if err := c.vacant(ctx); err != nil {
		return err
	}
	db, err := openStopped(ctx, c.backup)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := os.MkdirAll(filepath.Dir(c.storage), 0o700); err != nil {
		return fmt.Errorf("make the folder of the store: %w", err)
	}
	var s soundStore
	aside := ""
	p := newProgress(c.env)
	err = placeFile(c.storage, false, func(w io.Writer) error {
		defer p.end()
		return copyOf(ctx, db, w, p)
	}, func(made string) (err error) {
		if s, err = inspect(ctx, made, c.env); err != nil {
			return err
		}
		if fits, why := c.keyOf(s); !fits && !c.newKey {
			return fmt.Errorf("%s: put the file of that key there, or name it with --key-file; with --ledger.new-key it is restored without, and serve needs that flag too", why)
		}
		if _, err := os.Lstat(c.storage); err == nil {
			aside = c.storage + ".replaced-" + now().Format("20060102T150405Z")
			return os.Rename(c.storage, aside)
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("restore %q: %w", c.backup, err)
		if aside != "" {
			err = fmt.Errorf("%w; the store that was there is %q now", err, aside)
		}
		return err
	}
	if aside != "" {
		c.say("the store that was there is %s now", aside)
	}
	c.say("%s restored: %v", c.storage, s)
	if s.signed != nil {
		_, how := c.keyOf(s)
		c.say("%s", how)
	}
	return nil
}

// vacant says why no store may be put in place.
func (c *storageCLI) vacant(ctx context.Context) error {
	if _, err := os.Lstat(c.storage); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !c.replace {
		return fmt.Errorf("restore to %q: a store is there: with --replace it is moved aside", c.storage)
	}
	db, err := bolt.OpenReadOnly(ctx, c.storage)
	if err == nil {
		err = db.Close()
	}
	if errors.Is(err, bolt.ErrLocked) {
		return fmt.Errorf("restore to %q: %w: stop it first", c.storage, err)
	}
	return nil // whatever is wrong with it, it is only moved
}

// keyOf reports whether the file that should hold the key of the store does, and says so.
func (c *storageCLI) keyOf(s soundStore) (bool, string) {
	path := c.keyFile
	if path == "" {
		path = app.KeyBeside(c.storage)
	}
	key, err := ledger.LoadKey(path)
	switch {
	case s.signed == nil:
		return true, "no key belongs to it yet"
	case errors.Is(err, fs.ErrNotExist):
		return false, fmt.Sprintf("the key that belongs to it, %s, is not in %q, where no file is", s.key(), path)
	case err != nil:
		return false, fmt.Sprintf("the key that belongs to it is %s; %v", s.key(), err)
	case !app.SignedBy(s.signed, key):
		return false, fmt.Sprintf("the key that belongs to it, %s, is not the one in %q, %s", s.key(), path, key.ID())
	}
	return true, fmt.Sprintf("the key that belongs to it, %s, is in %q", s.key(), path)
}

func (c *storageCLI) runCheck(ctx context.Context) error {
	if err := inFile(c.storage); err != nil {
		return err
	}
	s, err := inspect(ctx, c.storage, c.env)
	if err != nil {
		return err
	}
	c.say("%s is sound: %v", c.storage, s)
	fits, how := c.keyOf(s)
	c.say("%s", how)
	_, absent := os.Stat(app.KeyBeside(c.storage))
	if !fits && (c.keyFile != "" || absent == nil) { // beside a backup there is none
		return errFound
	}
	return nil
}

func (c *storageCLI) runCompact(ctx context.Context) error {
	if err := inFile(c.storage); err != nil {
		return err
	}
	p := newProgress(c.env)
	done, err := bolt.Compact(ctx, c.storage, bolt.CompactOptions{Rebuild: c.rebuild, Progress: func(comparing bool, done, total int64) {
		what := "copied"
		if comparing {
			what = "compared with the copy"
		}
		p.tell(what, audit.Bytes, done, total)
	}})
	p.end()
	if errors.Is(err, bolt.ErrLocked) {
		return fmt.Errorf("%w; if a sitrep runs on it, stop that one first", err)
	}
	if err != nil {
		return err
	}
	c.say("%s compacted: %s before, %s now", c.storage, mebibytes(done.Before), mebibytes(done.After))
	return nil
}

// mebibytes says how much that is.
func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
