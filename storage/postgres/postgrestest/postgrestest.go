// Package postgrestest runs a real PostgreSQL for tests: in a folder of its own, and gone once the
// test binary ends.
package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a server is waited for.
const patience = time.Minute

// A Cluster is a running PostgreSQL.
type Cluster struct {
	dir    string
	port   int
	as     *syscall.SysProcAttr
	log    string
	keeper io.Closer // ends the server and removes the folder once it is closed
	server *exec.Cmd
	done   chan struct{} // closed once the server has ended
}

var (
	// The shared one does not wait for the disk: what it stored is lost with the machine alone.
	shared = sync.OnceValues(func() (*Cluster, error) { return start("off") })
	count  atomic.Int64
)

// Database returns the URL of a new, empty database, which is dropped when the test ends. The
// cluster is started once for all tests of a binary. Where there is no PostgreSQL the test is
// skipped, and with CI=true it fails.
func Database(t testing.TB) string {
	t.Helper()
	return one(t).Database(t)
}

// New is Database of one that is there until the test binary ends.
func New(t testing.TB) string {
	t.Helper()
	return one(t).create(t)
}

func one(t testing.TB) *Cluster {
	t.Helper()
	c, err := shared()
	if err != nil {
		missing(t, err)
	}
	return c
}

// Start returns a cluster of its own, with fsync, for tests that stop it. It is gone when the test
// ends.
func Start(t testing.TB) *Cluster {
	t.Helper()
	c, err := Run()
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(c.End)
	return c
}

// Run is Start for what is no test. End it, or it ends with the process.
func Run() (*Cluster, error) { return start("on") }

// End stops a cluster of Run for good, and removes it.
func (c *Cluster) End() {
	_ = c.keeper.Close()
	<-c.done
}

// PID returns the id of the server's first process, whose children all others are.
func (c *Cluster) PID() int { return c.server.Process.Pid }

func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("no PostgreSQL: %v", err)
	}
	t.Skipf("no PostgreSQL, so what it is needed for is not tested: %v", err)
}

// program finds a program of PostgreSQL.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is well-formed
	if len(found) == 0 {
		return "", fmt.Errorf("there is no %s in PATH or /usr/lib/postgresql; install the package postgresql", name)
	}
	return found[len(found)-1], nil
}

// unprivileged says as whom PostgreSQL runs, which refuses to run as root.
func unprivileged() (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return nil, errors.New("there is no user postgres or nobody that it could run as")
}

func start(fsync string) (*Cluster, error) {
	c, err := prepare("initdb", func(c *Cluster) []string {
		return []string{"-D", c.data(), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions"}
	})
	if err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\nmax_connections = 200\nfsync = %s\nmax_prepared_transactions = 0\n", c.port, c.dir, fsync)
	if fsync == "off" {
		// What outlives no crash needs no log to be restored from either.
		settings += "full_page_writes = off\nwal_level = minimal\nmax_wal_senders = 0\nmax_wal_size = 4GB\nautovacuum = off\n"
	}
	return c, c.set(settings)
}

// Standby returns a replica of the cluster, which tells it by that name what it has. It is gone when
// the test ends.
func (c *Cluster) Standby(t testing.TB, name string) *Cluster {
	t.Helper()
	s, err := prepare("pg_basebackup", func(s *Cluster) []string {
		return []string{"-D", s.data(), "--write-recovery-conf", "--checkpoint=fast", "-d", fmt.Sprintf("host=127.0.0.1 port=%d user=postgres application_name=%s", c.port, name)}
	})
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(s.End)
	if err := s.set(fmt.Sprintf("port = %d\nunix_socket_directories = '%s'\n", s.port, s.dir)); err != nil {
		t.Fatal(err)
	}
	return s
}

// Promote makes the server of Standby one that takes writes.
func (c *Cluster) Promote(t testing.TB) {
	t.Helper()
	c.Do(t, "postgres", "select pg_promote()")
}

// prepare makes the folder of a cluster, and lets a program fill it.
func prepare(name string, args func(*Cluster) []string) (*Cluster, error) {
	path, err := program(name)
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sitrep-postgres-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, as: as, log: filepath.Join(dir, "log")}
	if err := c.keep(); err != nil {
		return nil, err
	}
	if as.Credential != nil {
		if err := os.Chown(dir, int(as.Credential.Uid), int(as.Credential.Gid)); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(path, args(c)...)
	cmd.SysProcAttr, cmd.Dir = as, dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	c.port, err = freePort()
	return c, err
}

// set adds settings of the server, and starts it.
func (c *Cluster) set(settings string) error {
	f, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(settings)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return c.run()
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// keep starts what ends the server and removes the folder once this process has ended, however
// it does.
func (c *Cluster) keep() error {
	const script = `cat
pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || break
  sleep 0.2
done
rm -rf "$0"`
	cmd := exec.Command("sh", "-c", script, c.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what ends the test by its terminal does not end it
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	c.keeper = in
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// run starts the server and waits until it answers.
func (c *Cluster) run() error {
	path, err := program("postgres")
	if err != nil {
		return err
	}
	log, err := os.OpenFile(c.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(path, "-D", c.data())
	attr := *c.as
	attr.Setsid = true
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = &attr, c.dir, log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	c.server, c.done = cmd, make(chan struct{})
	done := c.done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := c.exec("select 1")
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("the server ended: %w\n%s", err, c.Log())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not answer: %w\n%s", err, c.Log())
		}
	}
}

// Log returns what the server wrote to its log.
func (c *Cluster) Log() []byte {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return fmt.Append(nil, err)
	}
	return bytes.TrimSpace(b)
}

// URL returns the URL of a database, as the owner of all.
func (c *Cluster) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.port, database)
}

// Address returns where the server listens.
func (c *Cluster) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)) }

// Database returns the URL of a new, empty database, which is dropped when the test ends.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	url := c.create(t)
	t.Cleanup(func() {
		if err := c.exec("drop database if exists " + url[strings.LastIndexByte(url, '/')+1:strings.IndexByte(url, '?')] + " with (force)"); err != nil {
			t.Logf("drop a database: %v", err)
		}
	})
	return url
}

func (c *Cluster) create(t testing.TB) string {
	t.Helper()
	url, err := c.Create()
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// Create returns the URL of a new, empty database.
func (c *Cluster) Create() (url string, err error) {
	name := "test" + strconv.FormatInt(count.Add(1), 10)
	if err := c.exec("create database " + name + " template template0 encoding 'UTF8'"); err != nil {
		return "", fmt.Errorf("create a database: %w", err)
	}
	return c.URL(name), nil
}

// exec runs a statement as the owner of all.
func (c *Cluster) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// Stop stops the server: at once, without a checkpoint and without telling anybody (immediate),
// or after it told all (fast).
func (c *Cluster) Stop(t testing.TB, immediate bool) {
	t.Helper()
	signal := syscall.SIGINT
	if immediate {
		signal = syscall.SIGQUIT
	}
	c.end(t, signal)
}

// Kill kills the server, as a power cut that spares the disk does.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	c.end(t, syscall.SIGKILL)
}

func (c *Cluster) end(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := c.server.Process.Signal(signal); err != nil {
		t.Fatalf("stop the server: %v", err)
	}
	select {
	case <-c.done:
	case <-time.After(patience):
		t.Fatalf("the server does not stop:\n%s", c.Log())
	}
}

// Start starts the server again, after it was stopped or killed.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	// What is left of a server that was killed ends when it notices, and holds its memory until then.
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := c.run()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("start the server: %v", err)
		}
	}
}

// Revive makes sure that the server runs, which may end by itself once its disk is full.
func (c *Cluster) Revive(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); c.exec("select 1") != nil; time.Sleep(20 * time.Millisecond) {
		select {
		case <-c.done:
			c.Start(t)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not answer:\n%s", c.Log())
		}
	}
}

// MoveWAL moves the log of writes (pg_wal) to a folder, such as one of Disk, and starts the server
// again.
func (c *Cluster) MoveWAL(t testing.TB, dir string) {
	t.Helper()
	c.Stop(t, false)
	wal := filepath.Join(c.data(), "pg_wal")
	if out, err := exec.Command("cp", "-a", wal+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("move the log of writes: %v\n%s", err, out)
	}
	if err := errors.Join(os.RemoveAll(wal), os.Symlink(dir, wal)); err != nil {
		t.Fatal(err)
	}
	c.Start(t)
}

// Pause stops all processes of the server where they are, as a machine that hangs does: it takes
// connections, and answers nothing.
func (c *Cluster) Pause(t testing.TB) { c.signal(t, syscall.SIGSTOP) }

// Resume lets the server go on after Pause.
func (c *Cluster) Resume(t testing.TB) { c.signal(t, syscall.SIGCONT) }

// signal signals the server and all that it started.
func (c *Cluster) signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	server := c.server.Process.Pid
	all := []int{server} // first, so that it starts no more
	if err := syscall.Kill(server, signal); err != nil {
		t.Fatalf("signal the server: %v", err)
	}
	for _, pid := range processes() {
		if fields := statOf(pid); len(fields) < 2 || fields[1] != strconv.Itoa(server) {
			continue
		}
		if !errors.Is(syscall.Kill(pid, signal), syscall.ESRCH) {
			all = append(all, pid)
		}
	}
	if len(all) == 1 {
		t.Fatal("the server has no processes that could be signalled")
	}
}

// Do carries out statements in a database, as the owner of all.
func (c *Cluster) Do(t testing.TB, database string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
