package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/storage"
	"sitrep/storage/postgres/postgrestest"
)

// A ballast takes room of a disk.
type ballast struct{ path string }

// fillUp takes all room of a disk that is left.
func (b ballast) fillUp(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for piece := 1 << 20; piece > 0; {
		if _, err := f.Write(make([]byte, piece)); err != nil {
			piece /= 2
		}
	}
}

// give gives some room back, in bytes.
func (b ballast) give(t *testing.T, n int64) {
	t.Helper()
	info, err := os.Stat(b.path)
	if err == nil {
		err = os.Truncate(b.path, info.Size()-n)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until done returns true, which is asked again and again.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// The disk of the database is full, that of its tables or that of its log of writes: alerts are
// answered 503 and the process is not ready, it says why, and all goes on once there is room. What was
// taken is there.
func TestTheDiskOfTheDatabaseIsFull(t *testing.T) {
	for _, full := range []struct {
		name    string
		prepare func(t *testing.T, c *postgrestest.Cluster, disk string)
		// press is done while it is full, until that is noticed.
		press func(c *postgrestest.Cluster)
		words []string // one of which says why
		// little is how many bytes are room for something small.
		little int64
	}{
		{"of its tables", func(t *testing.T, c *postgrestest.Cluster, disk string) {
			c.Do(t, "postgres", "create tablespace small location '"+disk+"'", "create database sitrep tablespace small")
		}, func(*postgrestest.Cluster) {}, []string{"No space left on device"}, 24 << 10},
		{"of its log of writes", func(t *testing.T, c *postgrestest.Cluster, disk string) {
			c.Do(t, "postgres", "alter system set min_wal_size = '32MB'", "alter system set max_wal_size = '64MB'", "create database sitrep")
			c.MoveWAL(t, disk)
		}, func(c *postgrestest.Cluster) {
			// So that it needs a new file soon. It fails once there is none, and then the server ends.
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if conn, err := pgx.Connect(ctx, c.URL("postgres")); err == nil {
				_, _ = conn.Exec(ctx, "select pg_switch_wal()")
				_ = conn.Close(ctx)
			}
		}, []string{"No space left on device", "the database cannot be reached", "the database cannot be used", "terminating connection", "the commit was sent and not answered"}, 0},
	} {
		t.Run(full.name, func(t *testing.T) {
			t.Parallel()
			cluster := postgrestest.Start(t)
			disk, err := cluster.Disk(t, 128<<20)
			if err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("a small disk: %v", err)
				}
				t.Skipf("a small disk needs root: %v", err)
			}
			full.prepare(t, cluster, disk)
			var log locked
			r, err := on(t, cluster.URL("sitrep"), "", &log)
			if err != nil {
				t.Fatal(err)
			}
			taken := map[string]bool{}
			n := 0
			post := func() int {
				n++
				fingerprint := fmt.Sprintf("%016x", n)
				code := r.ask("POST", "/alertmanager", alert(fingerprint)).Code
				taken[fingerprint] = code == 200
				return code
			}
			eventually(t, "an alert is taken", func() bool { return post() == 200 })
			filled := ballast{filepath.Join(disk, "ballast")}
			filled.fillUp(t)
			eventually(t, "an alert is answered 503", func() bool {
				full.press(cluster)
				return post() == 503
			})
			eventually(t, "it is not ready, and says why", func() bool {
				if w := r.ask("GET", "/-/ready", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "nothing can be stored") {
					return false
				}
				status := r.ask("GET", "/api/v1/status", "").Body.String() + log.String()
				for _, words := range full.words {
					if strings.Contains(status, words) {
						return true
					}
				}
				return false
			})
			if full.little > 0 { // what is small finds room, which says nothing of what is not
				filled.give(t, full.little)
				eventually(t, "something small is stored", func() bool {
					return r.Service.store.Write(t.Context(), func(tx storage.Tx) error {
						return tx.PutAlive(t.Context(), storage.Replica{Owner: "small", SeenAt: time.Now()})
					}) == nil
				})
				if w := r.ask("GET", "/-/ready", ""); w.Code != 503 {
					t.Errorf("it is ready once something small found room: %d", w.Code)
				}
				filled.fillUp(t)
			}
			if w := r.ask("GET", "/-/healthy", ""); w.Code != 200 {
				t.Errorf("whoever restarts processes is told %d", w.Code)
			}
			r.expect("GET", "/metrics", "", 200, "sitrep_storage_writable 0\n")
			if code := post(); code != 503 {
				t.Errorf("while there is no room an alert is answered %d", code)
			}
			if err := os.Remove(filled.path); err != nil {
				t.Fatal(err)
			}
			cluster.Revive(t)
			eventually(t, "it is ready", func() bool { return r.ask("GET", "/-/ready", "").Code == 200 })
			r.expect("GET", "/metrics", "", 200, "sitrep_storage_writable 1\n")
			eventually(t, "an alert is taken again", func() bool { return post() == 200 })
			conn, err := pgx.Connect(t.Context(), cluster.URL("sitrep"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
			for fingerprint, was := range taken {
				var there bool
				if err := conn.QueryRow(t.Context(), "select exists (select from breaches where fingerprint = $1)", fingerprint).Scan(&there); err != nil {
					t.Fatal(err)
				}
				if was && !there {
					t.Errorf("%s was taken, and is gone", fingerprint)
				}
			}
		})
	}
}
