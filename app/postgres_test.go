package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/storage/postgres/postgrestest"
)

// A locked is a log that several write to.
type locked struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}

// on starts a service on a database.
func on(t *testing.T, url, key string, log *locked) (*remote, error) {
	t.Helper()
	r := &remote{t: t, dir: t.TempDir()}
	files := map[string]string{"sitrep.yml": organisation, "slos.yml": organisationSLOs}
	if key != "" {
		files["ledger.key"] = key
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Config: filepath.Join(r.dir, "sitrep.yml"), Storage: url, ExternalURL: "http://127.0.0.1:9098", NewKey: key == "", Die: func() { t.Error("the store gave up") }}
	var err error
	if r.Service, err = New(t.Context(), o, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		return nil, err
	}
	t.Cleanup(r.Close)
	if r.http, err = r.Handler(); err != nil {
		t.Fatal(err)
	}
	r.Start()
	return r, nil
}

// Two processes have one database: what one takes in the other knows, somebody is told, and nobody
// reads the password.
func TestTwoProcessesOnOneDatabase(t *testing.T) {
	const password = "Passw0rd-of-the-database"
	url := strings.Replace(postgrestest.Database(t), "postgres@", "postgres:"+password+"@", 1)
	var log locked
	first, err := on(t, url, "", &log)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(first.dir, "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := on(t, url, string(key), &log)
	if err != nil {
		t.Fatal(err)
	}
	both := []*remote{first, second}
	for i, r := range both {
		r.expect("POST", "/alertmanager", alert(string(rune('a'+i))), 200)
	}
	for deadline := time.Now().Add(30 * time.Second); first.mails()+second.mails() == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nobody is told\n%s", log.String())
		}
	}
	for _, r := range both {
		r.expect("GET", "/api/v1/incidents/INC-1", "", 200, `"INC-1"`)
		if w := r.ask("GET", "/api/v1/incidents/INC-2", ""); w.Code != 404 {
			t.Errorf("two alerts of one SLO opened two incidents: %d", w.Code)
		}
	}
	first.expect("GET", "/api/v1/status", "", 200, `"synchronous_commit":"on"`)
	first.expect("GET", "/metrics", "", 200, `sitrep_storage_connections{state="idle"}`, "sitrep_storage_connections_limit 16\n")
	for _, path := range []string{"/", "/api/v1/status", "/metrics", "/status", "/-/ready"} {
		for _, r := range both {
			if strings.Contains(r.ask("GET", path, "").Body.String(), password) {
				t.Errorf("%s shows the password", path)
			}
		}
	}
	if strings.Contains(log.String(), password) {
		t.Error("the log has the password")
	}
}

// A database that is not there, and one with a wrong name, are said without the password.
func TestADatabaseThatCannotBeUsed(t *testing.T) {
	const password = "Passw0rd-of-the-database"
	there := strings.Replace(postgrestest.Database(t), "postgres@", "postgres:"+password+"@", 1)
	for name, url := range map[string]string{
		"not there":   "postgres://sitrep:" + password + "@127.0.0.1:1/sitrep?sslmode=disable",
		"no database": there[:strings.LastIndexByte(there, '/')] + "/none?sslmode=disable",
		"malformed":   "postgres://sitrep:" + password + "@:x/%",
	} {
		var log locked
		if _, err := on(t, url, "", &log); err == nil || strings.Contains(err.Error()+log.String(), password) {
			t.Errorf("%s: %v\n%s", name, err, log.String())
		}
	}
}
