package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sitrep/api"
	"sitrep/ledger"
)

// keeper gives command lines under sitrep storage.
type keeper struct {
	*shell
	t *testing.T
}

func (s *testService) keeper() *keeper {
	return &keeper{&shell{vars: map[string]string{"SITREP_URL": s.server.URL, "SITREP_TOKEN": adminToken}}, s.t}
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
	s := newTestService(t, organisation+organisationAccess, nil)
	s.start()
	s.alert("firing", "send", "a")
	k, id := s.keeper(), s.notary.key.ID()
	file := func(name string) string { return filepath.Join(s.dir, name) }
	store := file("data/sitrep.db")

	// While posts are stored, each copy is whole and has what was answered before.
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				s.alert("firing", "delay", fmt.Sprintf("load-%d", i))
			}
		}
	})
	for i := range 20 {
		out := k.says(0, "written and checked: incidents up to INC-", "backup", "--output", file("backup.db"))
		if !strings.Contains(out, "the key that belongs to it is not in it: "+id) {
			t.Fatalf("backup %d says %s", i, out)
		}
	}
	close(stop)
	wg.Wait()
	k.says(0, "incidents up to INC-2", "backup", "--output", file("backup.db"))
	if b, err := os.ReadFile(file("backup.db")); err != nil || strings.Contains(string(b), "PRIVATE") || strings.Contains(string(b), s.notary.key.Secret()) {
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
	o, key := s.options, s.notary.key.Public()
	s.finish()
	if err := os.Remove(store); err != nil {
		t.Fatal(err)
	}
	k.says(0, "is in ", "restore", file("backup.db"), "--storage", store)
	if again := startAgain(t, o, &syncBuffer{}); again != key {
		t.Errorf("started with %s", again)
	}
	(&auditor{k.shell, t}).says(0, "complete, unchanged", "verify", "--storage", store, "--key", key)
}

func TestADamagedBackupIsNotRestored(t *testing.T) {
	t.Parallel()
	s := newTestService(t, organisation+organisationAccess, nil)
	s.alert("firing", "send", "a")
	k := s.keeper()
	file := func(name string) string { return filepath.Join(s.dir, name) }
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
	s := newTestService(t, organisation+organisationAccess, nil)
	k := s.keeper()
	store := filepath.Join(s.dir, "data", "sitrep.db")
	id := s.notary.key.ID()
	s.finish()
	k.says(0, "the key that belongs to it, "+id+", is in ", "check", store)
	stranger, err := ledger.GenerateKey("sitrep.example.org")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, store+".key", []byte(stranger.Secret()+"\n"))
	k.says(1, "the key that belongs to it, "+id+", is not the one in", "check", store)
	k.says(0, "written and checked: no incident", "backup", "--storage", store, "--output", filepath.Join(s.dir, "backup.db"))
	k.says(2, "use one of them", "backup", "--storage", store, "--url", "http://127.0.0.1:1", "--output", "x")
	k.says(2, "--output is the store itself", "backup", "--storage", store, "--output", store)
}

// A store that was deleted under the running service can be rescued from it.
func TestADeletedStoreIsRescued(t *testing.T) {
	t.Parallel()
	s := newTestService(t, organisation+organisationAccess, nil)
	s.alert("firing", "send", "a")
	k := s.keeper()
	store, rescued := filepath.Join(s.dir, "data", "sitrep.db"), filepath.Join(s.dir, "rescued.db")
	if err := os.Remove(store); err != nil {
		t.Fatal(err)
	}
	k.says(0, "incidents up to INC-1", "backup", "--output", rescued)
	s.finish()
	k.says(0, "restored", "restore", rescued, "--storage", store, "--ledger.new-key")
}

func TestTheAnswerNamesTheKeyOfABackup(t *testing.T) {
	t.Parallel()
	s := newTestService(t, organisation+organisationAccess, nil)
	ask := func(method, token string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, s.server.URL+"/api/v1/backup", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := s.server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
	for _, method := range []string{"GET", "HEAD"} {
		resp := ask(method, adminToken)
		if resp.StatusCode != 200 || resp.Header.Get(api.KeyHeader) != s.notary.key.Public() || resp.ContentLength < 1000 || resp.Header.Get("Content-Type") != api.BackupMedia {
			t.Errorf("%s: %s %v", method, resp.Status, resp.Header)
		}
		for _, token := range []string{viewerToken, responderToken, receiverToken} {
			if resp := ask(method, token); resp.StatusCode != 403 {
				t.Errorf("%s as %s: %s", method, token, resp.Status)
			}
		}
	}
}
