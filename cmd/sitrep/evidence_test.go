package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/audit"
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
	db, err := bolt.OpenReadOnly(r.t.Context(), r.file("sitrep.db"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	var ids []string
	err = db.Read(r.t.Context(), func(tx storage.Reader) error {
		all, err := tx.Checkpoints(r.t.Context(), -1, 100)
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
	if got := r.signers(); len(got) != 1 || got[0] != key.ID() { // the same configuration is nothing to sign
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

// A ledger that two keys signed in turn, verified with both, with one, and with none.
func TestALedgerOfTwoKeysIsVerified(t *testing.T) {
	r := newRestart(t, organisation)
	first, err := ledger.LoadKey(r.file("sitrep.db.key"))
	if err != nil {
		t.Fatal(err)
	}
	r.move("sitrep.db.key", "first.key")
	r.starts(options{newKey: true})
	second, err := ledger.LoadKey(r.file("sitrep.db.key"))
	if err != nil {
		t.Fatal(err)
	}
	a := &auditor{&shell{}, t}
	verify := func(code int, words string, more ...string) string {
		t.Helper()
		return a.says(code, words, append([]string{"verify", "--storage", r.file("sitrep.db")}, more...)...)
	}
	has := func(out string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("no %q in %s", w, out)
			}
		}
	}
	byFirst, bySecond := "note: leaves 0 to 0 were signed by the key "+first.ID()+", until 20", "note: leaves 1 to 1 were signed by the key "+second.ID()+", until 20"
	has(verify(0, "complete, unchanged and in order", "--key", first.Public(), "--key", second.Public()), byFirst, bySecond)
	has(verify(0, "complete, unchanged and in order", "--key", second.Public()), byFirst, bySecond, "whose public key was not given: that rests on the key after it")
	has(verify(1, "WRONG checkpoints: leaves 1 to 1 are signed by the key "+second.ID()+", whose public key was not given", "--key", first.Public()), byFirst, bySecond)
	has(verify(0, "nobody's signature was checked", "--no-key"), byFirst, bySecond)
	verify(1, "NOT verified")

	evidence := r.file("evidence.zip")
	a.says(1, "nothing found", "export", "--storage", r.file("sitrep.db"), "--output", evidence)
}

// What a forged file says stays one line, and moves no cursor.
func TestAForgedFileCannotWriteOnTheTerminal(t *testing.T) {
	forged := "x\x1b[2J\rcomplete, unchanged and in order\n\u202ecomplete"
	var out bytes.Buffer
	c := &auditCLI{env: environment{stdout: &out}}
	v := audit.Verification{Findings: []audit.Finding{{Place: forged, What: forged}}, Signers: []audit.Signer{{Key: forged}, {Key: forged}}, SignedRoot: forged, SignedAt: now()}
	_ = c.judge(&v)
	c.say("evidence on %s, of the ledger %s", forged, forged)
	report(&out, errors.New(forged))
	if strings.ContainsAny(out.String(), "\x1b\r\u202e") {
		t.Errorf("printed %q", out.String())
	}
}

// A zip whose names and texts are forged says nothing of its own.
func TestAForgedExportCannotWriteOnTheTerminal(t *testing.T) {
	const forged = "x\x1b[1A\rcomplete, unchanged and in order"
	path := filepath.Join(t.TempDir(), "evidence.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, text := range map[string]string{
		forged: "", "checkpoint": forged + "\n1\n" + forged + "\n\n— x x\n", "manifest": "sitrep evidence 1\n" + forged + "\nmade " + forged + "\n" + forged,
		"events.jsonl": forged + "\n", "proofs.jsonl": forged + "\n",
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	out := (&auditor{&shell{}, t}).says(1, "NOT as it was written", "verify", path, "--no-key")
	if strings.ContainsAny(out, "\x1b\r") || strings.Contains(out, "\ncomplete") {
		t.Errorf("printed %q", out)
	}
}
