package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sitrep/app/apptest"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// keeper gives command lines under sitrep storage.
type keeper struct {
	*shell
	t *testing.T
}

func (s *running) keeper() *keeper {
	return &keeper{&shell{vars: map[string]string{"SITREP_URL": s.Server.URL, "SITREP_TOKEN": apptest.AdminToken}}, s.t}
}

// says gives a command line and checks its exit code, and that both outputs together have
// some words.
func (k *keeper) says(code int, words string, args ...string) string {
	k.t.Helper()
	out, errOut, got := k.run(append([]string{"storage"}, args...)...)
	out += errOut
	if got != code || !strings.Contains(out, words) {
		k.t.Errorf("%s: exit %d, want %d with %q:\n%.2000s", strings.Join(args, " "), got, code, words, out)
	}
	return out
}

func TestABackupOfARunningServiceIsRestored(t *testing.T) {
	t.Parallel()
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Start()
	s.Alert("firing", "send", "a")
	k, id := s.keeper(), s.Key().ID()
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	store := file("data/sitrep.db")

	// While posts are stored, each copy is whole and has what was answered before.
	var wg sync.WaitGroup
	var answered atomic.Int64 // posts that were, with 200
	kept := func() int {
		db, err := openStopped(t.Context(), file("backup.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var in incident.Incident
		if err := db.Read(t.Context(), func(r storage.Snapshot) (err error) {
			in, err = storage.IncidentOf(t.Context(), r, 2)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return in.Breaches.Total
	}
	stop := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				s.Alert("firing", "delay", fmt.Sprintf("load-%d", i))
				answered.Add(1)
			}
		}
	})
	s.Until("posts are answered", func() bool { return answered.Load() > 0 })
	for i := range 20 {
		before := int(answered.Load())
		out := k.says(0, "written and checked: incidents up to INC-", "backup", "--output", file("backup.db"))
		if !strings.Contains(out, "the key that belongs to it is not in it: "+id) {
			t.Fatalf("backup %d says %s", i, out)
		}
		if got := kept(); got < before {
			t.Fatalf("backup %d has %d breaches, and %d were answered before it began", i, got, before)
		}
	}
	close(stop)
	wg.Wait()
	k.says(0, "incidents up to INC-2", "backup", "--output", file("backup.db"))
	if b, err := os.ReadFile(file("backup.db")); err != nil || strings.Contains(string(b), "PRIVATE") || strings.Contains(string(b), s.Key().Secret()) {
		t.Errorf("the backup has the key: %v", err)
	}
	k.says(1, "name another file", "backup", "--output", store)
	k.says(0, "the key that belongs to it, "+id+", is not in", "check", file("backup.db"))
	k.says(0, "is in "+fmt.Sprintf("%q", store+".key"), "check", file("backup.db"), "--key-file", store+".key")
	k.says(1, "it is locked", "check", store)
	k.says(1, "it is locked", "restore", file("backup.db"), "--storage", store, "--replace")

	// Without the key, it is not restored by accident.
	other := file("other/sitrep.db")
	k.says(1, "where no file is: put the file of that key there", "restore", file("backup.db"), "--storage", other)
	if _, err := os.Stat(other); err == nil {
		t.Error("restored without its key")
	}
	k.says(0, "restored: incidents up to INC-2", "restore", file("backup.db"), "--storage", other, "--ledger.new-key")
	k.says(1, "a store is there: with --replace", "restore", file("backup.db"), "--storage", other, "--key-file", store+".key")
	out := k.says(0, "is in ", "restore", file("backup.db"), "--storage", other, "--key-file", store+".key", "--replace")
	if aside, _ := filepath.Glob(other + ".replaced-*"); len(aside) != 1 || !strings.Contains(out, aside[0]) {
		t.Errorf("moved aside: %v", aside)
	}

	// A lost store comes back, with all that the key is good for.
	o, key := s.Options, s.Key().Public()
	s.Stop()
	if err := os.Remove(store); err != nil {
		t.Fatal(err)
	}
	k.says(0, "is in ", "restore", file("backup.db"), "--storage", store)
	apptest.Restart(t, o, &apptest.Buffer{})
	if again := s.Key().Public(); again != key {
		t.Errorf("started with %s", again)
	}
	(&auditor{k.shell, t}).says(0, "complete, unchanged", "verify", "--storage", store, "--key", key)
}

func TestADamagedBackupIsNotRestored(t *testing.T) {
	t.Parallel()
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	k := s.keeper()
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	backup := file("backup.db")
	k.says(0, "written and checked", "backup", "--output", backup)
	b, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(b), "Application cannot")
	if at < 0 {
		t.Fatal("the use case is not in the file")
	}
	b[at] ^= 4
	for name, bytes := range map[string][]byte{"flipped": b, "cut": b[:len(b)/2], "empty": nil, "text": []byte("no store\n")} {
		damaged := writeFile(t, file(name), bytes)
		k.says(1, "sitrep: ", "check", damaged)
		k.says(1, "sitrep: ", "restore", damaged, "--storage", file("new/sitrep.db"), "--ledger.new-key")
	}
	if left, _ := filepath.Glob(file("new/*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if left, _ := filepath.Glob(file("new/.*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestACheckNamesAKeyThatDoesNotFit(t *testing.T) {
	t.Parallel()
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	k := s.keeper()
	store := filepath.Join(s.Dir, "data", "sitrep.db")
	id := s.Key().ID()
	s.Stop()
	k.says(0, "the key that belongs to it, "+id+", is in ", "check", store)
	stranger, err := ledger.GenerateKey("sitrep.example.org")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, store+".key", []byte(stranger.Secret()+"\n"))
	k.says(1, "the key that belongs to it, "+id+", is not the one in", "check", store)
	k.says(0, "written and checked: no incident", "backup", "--storage", store, "--output", filepath.Join(s.Dir, "backup.db"))
	k.says(2, "use one of them", "backup", "--storage", store, "--url", "http://127.0.0.1:1", "--output", "x")
	k.says(2, "--output is the store itself", "backup", "--storage", store, "--output", store)
}

func TestAStoreIsCompacted(t *testing.T) {
	t.Parallel()
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	k := s.keeper()
	store := filepath.Join(s.Dir, "data", "sitrep.db")
	k.says(1, "it is locked: process", "compact", store)
	o := s.Options
	s.Stop()
	k.says(0, "compacted: ", "compact", store)
	k.says(0, "incidents up to INC-1", "check", store)
	apptest.Restart(t, o, &apptest.Buffer{})
	k.says(1, "no such file", "compact", filepath.Join(s.Dir, "none.db"))
}

// A store that was deleted under the running service can be rescued from it.
func TestADeletedStoreIsRescued(t *testing.T) {
	t.Parallel()
	s := newRunning(t, apptest.Organisation+apptest.Access, nil)
	s.Alert("firing", "send", "a")
	k := s.keeper()
	store, rescued := filepath.Join(s.Dir, "data", "sitrep.db"), filepath.Join(s.Dir, "rescued.db")
	if err := os.Remove(store); err != nil {
		t.Fatal(err)
	}
	k.says(0, "incidents up to INC-1", "backup", "--output", rescued)
	s.Stop()
	k.says(0, "restored", "restore", rescued, "--storage", store, "--ledger.new-key")
}
