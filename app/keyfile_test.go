package app_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sitrep/app"
	"sitrep/app/apptest"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A restart is a service that is stopped and started again, with what happened to its
// files in between.
type restart struct {
	t   *testing.T
	dir string
	log apptest.Buffer
}

// newRestart returns one whose service ran once, and signed its ledger.
func newRestart(t *testing.T, config string) *restart {
	t.Helper()
	r := &restart{t: t, dir: t.TempDir()}
	for name, text := range map[string]string{"sitrep.yml": config, "slos.yml": apptest.SLOs} {
		if err := os.WriteFile(r.file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.starts(app.Options{})
	return r
}

func (r *restart) file(name string) string { return filepath.Join(r.dir, name) }

func (r *restart) start(o app.Options) error {
	o.Config, o.Storage, o.ExternalURL = r.file("sitrep.yml"), r.file("sitrep.db"), "http://127.0.0.1:1"
	o.Die = func() { r.t.Error("the store gave up") }
	s, err := app.New(r.t.Context(), o, apptest.Logger(&r.log))
	if err == nil {
		s.Close()
	}
	return err
}

func (r *restart) starts(o app.Options) {
	r.t.Helper()
	if err := r.start(o); err != nil {
		r.t.Fatal(err)
	}
}

// refuses starts, and expects an error with these words.
func (r *restart) refuses(words ...string) {
	r.t.Helper()
	err := r.start(app.Options{})
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
	db, err := bolt.OpenReadOnly(r.t.Context(), r.file("sitrep.db"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	var ids []string
	err = db.Read(r.t.Context(), func(tx storage.Snapshot) error {
		all, err := tx.Checkpoints(r.t.Context(), -1, 100)
		for _, signed := range all {
			ids = append(ids, app.Signer(signed))
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return ids
}

func TestAStoreWithoutItsKeyDoesNotStart(t *testing.T) {
	r := newRestart(t, apptest.Organisation)
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
	r.starts(app.Options{})
	if got := r.signers(); len(got) != 1 || got[0] != key.ID() { // the same configuration is nothing to sign
		t.Errorf("signed by %v", got)
	}
}

func TestANewKeyGoesOnWhereItIsAllowed(t *testing.T) {
	r := newRestart(t, apptest.Organisation)
	r.move("sitrep.db.key", "first.key")
	r.starts(app.Options{NewKey: true})
	got := r.signers()
	if len(got) != 2 || got[0] == got[1] {
		t.Fatalf("signed by %v", got)
	}
	if !strings.Contains(r.log.String(), "was signed by another key until now") || !strings.Contains(r.log.String(), got[0]) {
		t.Errorf("logged %s", &r.log)
	}
	r.starts(app.Options{}) // it is the last checkpoint's now

	// The first one is another by now.
	r.move("sitrep.db.key", "second.key")
	r.move("first.key", "sitrep.db.key")
	r.refuses(`was signed by the key `+got[1], "is not the one in", got[0], "--ledger.new-key")
	r.starts(app.Options{NewKey: true})
	if all := r.signers(); all[len(all)-1] != got[0] {
		t.Errorf("signed by %v", all)
	}
}

func TestAKeyThatMovedIsFound(t *testing.T) {
	r := newRestart(t, apptest.Organisation)
	if err := os.WriteFile(r.file("sitrep.yml"), []byte(apptest.Organisation+"evidence: {key_file: keys/ledger}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.refuses("move the file of that key, ", "sitrep.db.key")
}

func TestAKeyWithoutItsStoreDoesNotStart(t *testing.T) {
	r := newRestart(t, apptest.Organisation)
	r.move("sitrep.db", "lost.db")
	r.refuses("there is no store", "the key", "of one that was there", "sitrep storage restore", "--storage.new")
	if _, err := os.Stat(r.file("sitrep.db")); err == nil {
		t.Error("a store was made")
	}
	r.starts(app.Options{NewStore: true})
	if got := r.signers(); len(got) != 1 {
		t.Errorf("signed by %v", got)
	}
}

// A key that somebody else made may be there before the first start.
func TestAKeyThatSitrepDidNotMakeNeedsNoStore(t *testing.T) {
	r := newRestart(t, apptest.Organisation+"evidence: {key_file: ledger.key}\n")
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
	r.starts(app.Options{})
	if got := r.signers(); len(got) != 1 || got[0] != key.ID() {
		t.Errorf("signed by %v", got)
	}
}

func TestTheKeyOfTheLedgerIsMadeOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ config, file string }{
		"beside the store":               {"", "data/sitrep.db.key"},
		"where the configuration has it": {"evidence: {key_file: keys/of/ledger}\n", "keys/of/ledger"},
	} {
		t.Run(name, func(t *testing.T) {
			s := apptest.New(t, apptest.Organisation+apptest.Access+tt.config, nil)
			path := filepath.Join(s.Dir, tt.file)
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("%v, %v", info, err)
			}
			public, made := publicKey(t, path), "a key for the ledger was made"
			if !regexp.MustCompile(`^127\.0\.0\.1/ledger-[a-z2-7]{8}\+`).MatchString(public) || !strings.Contains(s.Log.String(), made) || strings.Contains(s.Log.String(), "PRIVATE") {
				t.Errorf("key %s, log %s", public, s.Log)
			}
			s.Alert("firing", "send", "a")
			o, log := s.Options, &apptest.Buffer{}
			s.Stop()

			apptest.Restart(t, o, log)
			if again := publicKey(t, path); again != public || strings.Contains(log.String(), made) || strings.Contains(log.String(), "another key") {
				t.Errorf("the second start has %s, and said %s", again, log)
			}
			// A key that is lost cannot sign again: another goes on where that is allowed,
			// which is said aloud.
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			o.NewKey = true
			apptest.Restart(t, o, log)
			if another := publicKey(t, path); another == public || !strings.Contains(log.String(), `level=WARN msg="the ledger was signed by another key until now`) {
				t.Errorf("without its file it has %s, and said %s", another, log)
			}
			if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := app.New(t.Context(), o, apptest.Logger(log)); err == nil || !strings.Contains(err.Error(), "no private key of a note") {
				t.Errorf("with nonsense in it: %v", err)
			}
		})
	}
}

// publicKey is that of the key in a file.
func publicKey(t *testing.T, path string) string {
	t.Helper()
	key, err := ledger.LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}
