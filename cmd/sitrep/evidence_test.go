package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A restart is a service that is stopped and started again, with what happened to its
// files in between.
type restart struct {
	t   *testing.T
	dir string
	log syncBuffer
}

// newRestart returns one whose service ran once, and signed its ledger.
func newRestart(t *testing.T, config string) *restart {
	t.Helper()
	r := &restart{t: t, dir: t.TempDir()}
	for name, text := range map[string]string{"sitrep.yml": config, "slos.yml": organisationSLOs} {
		if err := os.WriteFile(r.file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.starts(options{})
	return r
}

func (r *restart) file(name string) string { return filepath.Join(r.dir, name) }

func (r *restart) start(o options) error {
	o.config, o.storage, o.external = r.file("sitrep.yml"), r.file("sitrep.db"), "http://127.0.0.1:1"
	o.die = func() { r.t.Error("the store gave up") }
	s, err := newService(r.t.Context(), o, logTo(&r.log))
	if err == nil {
		s.close()
	}
	return err
}

func (r *restart) starts(o options) {
	r.t.Helper()
	if err := r.start(o); err != nil {
		r.t.Fatal(err)
	}
}

// refuses starts, and expects an error with these words.
func (r *restart) refuses(words ...string) {
	r.t.Helper()
	err := r.start(options{})
	if err == nil {
		r.t.Fatal("it started")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			r.t.Errorf("no %q in: %v", w, err)
		}
	}
}

func (r *restart) move(from, to string) {
	r.t.Helper()
	if err := os.Rename(r.file(from), r.file(to)); err != nil {
		r.t.Fatal(err)
	}
}

// signers are the keys of the checkpoints in the store, in order.
func (r *restart) signers() []string {
	r.t.Helper()
	db, err := bolt.OpenReadOnly(r.file("sitrep.db"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	var ids []string
	err = db.Read(r.t.Context(), func(tx storage.Reader) error {
		all, err := tx.Checkpoints(-1, 100)
		for _, signed := range all {
			ids = append(ids, signer(signed))
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return ids
}

func TestAStoreWithoutItsKeyDoesNotStart(t *testing.T) {
	r := newRestart(t, organisation)
	key, err := ledger.LoadKey(r.file("sitrep.db.key"))
	if err != nil {
		t.Fatal(err)
	}
	r.move("sitrep.db.key", "kept.key")
	r.refuses(`was signed by the key `+key.ID(), "where no file is", "put the file of that key back", "--ledger.new-key")
	if _, err := os.Stat(r.file("sitrep.db.key")); err == nil {
		t.Error("a key was made")
	}
	r.move("kept.key", "sitrep.db.key")
	r.starts(options{})
	if got := r.signers(); len(got) != 2 || got[0] != key.ID() || got[1] != key.ID() {
		t.Errorf("signed by %v", got)
	}
}

func TestANewKeyGoesOnWhereItIsAllowed(t *testing.T) {
	r := newRestart(t, organisation)
	r.move("sitrep.db.key", "first.key")
	r.starts(options{newKey: true})
	got := r.signers()
	if len(got) != 2 || got[0] == got[1] {
		t.Fatalf("signed by %v", got)
	}
	if !strings.Contains(r.log.String(), "was signed by another key until now") || !strings.Contains(r.log.String(), got[0]) {
		t.Errorf("logged %s", &r.log)
	}
	r.starts(options{}) // it is the last checkpoint's now

	// The first one is another by now.
	r.move("sitrep.db.key", "second.key")
	r.move("first.key", "sitrep.db.key")
	r.refuses(`was signed by the key `+got[1], "is not the one in", got[0], "--ledger.new-key")
	r.starts(options{newKey: true})
	if all := r.signers(); all[len(all)-1] != got[0] {
		t.Errorf("signed by %v", all)
	}
}

func TestAKeyThatMovedIsFound(t *testing.T) {
	r := newRestart(t, organisation)
	if err := os.WriteFile(r.file("sitrep.yml"), []byte(organisation+"evidence: {key_file: keys/ledger}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.refuses("move the file of that key, ", "sitrep.db.key")
}

func TestAKeyWithoutItsStoreDoesNotStart(t *testing.T) {
	r := newRestart(t, organisation)
	r.move("sitrep.db", "lost.db")
	r.refuses("there is no store", "the key", "of one that was there", "sitrep storage restore", "--storage.new")
	if _, err := os.Stat(r.file("sitrep.db")); err == nil {
		t.Error("a store was made")
	}
	r.starts(options{newStore: true})
	if got := r.signers(); len(got) != 1 {
		t.Errorf("signed by %v", got)
	}
}

// A key that somebody else made may be there before the first start.
func TestAKeyThatSitrepDidNotMakeNeedsNoStore(t *testing.T) {
	r := newRestart(t, organisation+"evidence: {key_file: ledger.key}\n")
	for _, name := range []string{"sitrep.db", "ledger.key"} {
		r.move(name, "old-"+name)
	}
	key, err := ledger.GenerateKey("sitrep.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Save(r.file("ledger.key")); err != nil {
		t.Fatal(err)
	}
	r.starts(options{})
	if got := r.signers(); len(got) != 1 || got[0] != key.ID() {
		t.Errorf("signed by %v", got)
	}
}

func TestANameOfALedgerIsKnownAsMade(t *testing.T) {
	for range 100 {
		if name := ledgerName("https://sitrep.example.org"); !madeName.MatchString(name) {
			t.Errorf("%s", name)
		}
	}
}
