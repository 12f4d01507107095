package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/app"
	"sitrep/storage"
	"sitrep/storage/bolt"
	"sitrep/storage/postgres"
)

// copyPatience is how long one page of a copy may take.
const copyPatience = time.Minute

func (c *storageCLI) declareCopy(of *kingpin.CmdClause, commands map[string]command) {
	cmd := of.Command("copy", "Copy all that is in a store to another, which is empty or not there, and compare both. No sitrep may have one of them open. What was interrupted goes on when it is run again. The key that signs the ledger is not copied.")
	cmd.Arg("from", "The store to copy: a file, or the URL of a database of PostgreSQL.").Required().StringVar(&c.from)
	cmd.Arg("to", "Where to copy it to: a file, or the URL of a database.").Required().StringVar(&c.to)
	commands[cmd.FullCommand()] = c.runCopy
}

func (c *storageCLI) runCopy(ctx context.Context) error {
	for _, store := range []string{c.from, c.to} {
		if strings.Contains(store, "://") && !postgres.IsURL(store) {
			return &usageError{fmt.Sprintf("%s: name a file, or the URL of a PostgreSQL database, which begins with postgres://", redact(store))}
		}
	}
	if c.from == c.to || !postgres.IsURL(c.from) && !postgres.IsURL(c.to) && same(c.from, c.to) {
		return &usageError{"both are the same store: name another to copy to"}
	}
	from, err := c.openFrom(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := c.openTo(ctx)
	if err != nil {
		return err
	}
	begun, p := now(), newProgress(c.env)
	done, err := storage.Copy(ctx, from, to, storage.CopyOptions{From: shown(c.from), To: shown(c.to), Progress: func(of storage.CopyProgress) {
		what := "copied"
		if of.Comparing {
			what = "compared"
		}
		p.tell(what, string(of.Kind), of.Done, of.Total)
	}})
	p.end()
	var s soundStore
	if err == nil {
		s, err = c.copied(ctx, to)
	}
	if err = errors.Join(err, to.Close()); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w; run it again to go on", err)
		}
		return err
	}
	n := int64(0)
	for _, of := range done.Items {
		n += of
	}
	c.say("%s copied to %s, and compared with it: %v; %d items in %s", shown(c.from), shown(c.to), s, n, now().Sub(begun).Round(time.Second))
	if done.Resumed > 0 {
		c.say("%d of them had been copied before", done.Resumed)
	}
	if s.signed == nil {
		return nil
	}
	where := "at the place that evidence.key_file says"
	if !postgres.IsURL(c.to) {
		where = "at " + app.KeyBeside(c.to) + ", or where evidence.key_file says"
	}
	c.say("the key that belongs to it was not copied: %s; put a copy of its file %s, before sitrep starts on it", s.key(), where)
	return nil
}

// shown is a store as it may be shown.
func shown(store string) string {
	if postgres.IsURL(store) {
		return redact(store)
	}
	return store
}

// copied says what is in a copy. All of a file is checked once more, with all by which things are
// found.
func (c *storageCLI) copied(ctx context.Context, to storage.Store) (soundStore, error) {
	if db, ok := to.(*bolt.DB); ok {
		if err := checkStore(ctx, db, c.env); err != nil {
			return soundStore{}, err
		}
	}
	return look(ctx, to, shown(c.to))
}

// openFrom opens the store that is copied.
func (c *storageCLI) openFrom(ctx context.Context) (storage.Copyable, error) {
	if postgres.IsURL(c.from) {
		return postgres.Open(ctx, c.from, postgres.Options{})
	}
	db, err := bolt.OpenReadOnly(ctx, c.from)
	if errors.Is(err, bolt.ErrLocked) {
		err = fmt.Errorf("%w: stop that one first, as what it stores meanwhile would be missing in the copy", err)
	}
	if err != nil {
		return nil, err
	}
	// What cannot be copied is said before anything is made.
	if err := db.Dump(ctx, func(storage.Dumper) error { return nil }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openTo opens the store that is copied to, and makes it if nothing is there: a file, or the
// tables of a database.
func (c *storageCLI) openTo(ctx context.Context) (storage.Copyable, error) {
	if postgres.IsURL(c.to) {
		return postgres.Open(ctx, c.to, postgres.Options{Migrate: true, Unfinished: true})
	}
	if err := os.MkdirAll(filepath.Dir(c.to), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the store: %w", err)
	}
	return bolt.Open(ctx, c.to, bolt.Options{Unfinished: true, SlowAfter: copyPatience, Fatal: func(err error) {
		fmt.Fprintf(c.env.Stderr, "sitrep: %v: run it again, which goes on\n", err)
		c.env.Die()
	}})
}
