package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bouncer starts a pgbouncer in transaction mode before the server, and returns what makes the URL
// of a database one that leads through it. It is gone when the test ends. Where there is none the
// test is skipped, and with CI=true it fails.
func (c *Cluster) Bouncer(t testing.TB) (through func(url string) string) {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		if path = "/usr/sbin/pgbouncer"; os.Getenv("CI") == "true" {
			t.Fatalf("no pgbouncer: %v", err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Skipf("no pgbouncer, so nothing is tested through one: %v", err)
		}
	}
	dir, err := os.MkdirTemp(c.dir, "bouncer")
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	config, log := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "log")
	for name, text := range map[string]string{
		config: fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 6
server_idle_timeout = 5
max_client_conn = 500
`, c.port, port, filepath.Join(dir, "users")),
		filepath.Join(dir, "users"): "\"postgres\" \"\"\n\"sitrep\" \"\"\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(path, config)
	attr := *c.as
	attr.Setsid = true
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = &attr, dir, out, out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start pgbouncer: %v", err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		<-done
	})
	from, to := c.Address(), net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	through = func(url string) string { return strings.Replace(url, from, to, 1) }
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := ping(through(c.URL("postgres")))
		if err == nil {
			return through
		}
		select {
		case <-done:
			deadline = time.Time{}
		default:
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log)
			t.Fatalf("pgbouncer does not answer: %v\n%s", err, bytes.TrimSpace(said))
		}
	}
}

func ping(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "select 1")
	return err
}

// Bouncer is that of the cluster that all tests of a binary share.
func Bouncer(t testing.TB) (through func(url string) string) {
	t.Helper()
	return one(t).Bouncer(t)
}
