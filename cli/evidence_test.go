package cli

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/app"
	"sitrep/app/apptest"
	"sitrep/audit"
)

// A ledger that two keys signed in turn, verified with both, with one, and with none.
func TestALedgerOfTwoKeysIsVerified(t *testing.T) {
	s := newRunning(t, apptest.Organisation, nil)
	first, store := s.Key(), s.Options.Storage
	s.Stop()
	if err := os.Remove(app.KeyBeside(store)); err != nil {
		t.Fatal(err)
	}
	o := s.Options
	o.NewKey = true
	apptest.Restart(t, o, &apptest.Buffer{})
	second := s.Key()
	a := &auditor{&shell{}, t}
	verify := func(code int, words string, more ...string) string {
		t.Helper()
		return a.says(code, words, append([]string{"verify", "--storage", store}, more...)...)
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

	evidence := filepath.Join(s.Dir, "evidence.zip")
	a.says(1, "nothing found", "export", "--storage", store, "--output", evidence)
}

// What a forged file says stays one line, and moves no cursor.
func TestAForgedFileCannotWriteOnTheTerminal(t *testing.T) {
	forged := "x\x1b[2J\rcomplete, unchanged and in order\n\u202ecomplete"
	var out bytes.Buffer
	c := &auditCLI{env: Environment{Stdout: &out}}
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
