package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"

	"sitrep/contrib"
)

// demoFlags are the flags of demo.
type demoFlags struct {
	dir    string
	listen string
	once   bool
}

func declareDemo(app *kingpin.Application, env environment, commands map[string]command) {
	f := &demoFlags{}
	cmd := app.Command("demo", "Play a short incident with the real service and the sample organisation. Needs no other server.")
	cmd.Flag("dir", "An empty folder for its files; default is a new temporary one. It is kept.").StringVar(&f.dir)
	cmd.Flag("listen", "Where its page is; default is a free port of this machine.").Default("127.0.0.1:0").StringVar(&f.listen)
	cmd.Flag("once", "End after the story, instead of keeping the page open.").BoolVar(&f.once)
	commands[cmd.FullCommand()] = func(ctx context.Context) error { return demo(ctx, env, f) }
}

// demoPace are the pieces of the sample configuration that the demo replaces, so
// that what takes a night takes a minute. Each must be there.
func demoPace() [][2]string {
	return [][2]string{
		{"update_every: 2h", "update_every: 8s"},
		{"update_every: 4h", "update_every: 16s"},
		{"update_every: 8h", "update_every: 32s"},
		{"resolve_after: 10m", "resolve_after: 4s"},
		{"remind_before: 15m", "remind_before: 3s"},
		{"digest_above: 5", "digest_above: 100"},
	}
}

// demo runs the service, and plays an incident on it.
func demo(ctx context.Context, env environment, f *demoFlags) error {
	dir, err := demoDir(f.dir)
	if err != nil {
		return err
	}
	if err := writeSample(dir); err != nil {
		return fmt.Errorf("write the sample configuration: %w", err)
	}
	logFile, err := os.Create(filepath.Join(dir, "sitrep.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	log := promslog.New(&promslog.Config{Writer: logFile})

	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", f.listen, err)
	}
	defer listener.Close()
	external := "http://" + listener.Addr().String()
	s, err := newService(ctx, options{
		config: filepath.Join(dir, "sitrep.yml"), storage: filepath.Join(dir, "sitrep.db"),
		external: external, loopback: onLoopback(listener.Addr(), external), die: env.die,
	}, log)
	if err != nil {
		return err
	}
	defer s.close()
	handler, err := s.handler()
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		stopping, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(stopping)
		_ = s.receiver.Wait(stopping)
	}()
	s.start()

	st := &story{out: env.stdout, url: external, dir: dir, mails: newMails(filepath.Join(dir, "outbox"), env.stdout)}
	err = st.play(ctx)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(env.stdout, "\nStopped. Everything is kept in %s\n", dir)
		return nil
	case err != nil:
		return fmt.Errorf("%w; the log is %s", err, logFile.Name())
	}
	st.farewell(f.once)
	if f.once {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return fmt.Errorf("serve on %q: %w", f.listen, err)
	}
}

// demoDir returns the folder of the demo as an absolute path; it is made if it is
// not there, and must be empty.
func demoDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "sitrep-demo-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = &usageError{fmt.Sprintf("--dir=%q is not empty; name a new folder", dir)}
	}
	return dir, err
}

// writeSample writes the sample configuration, at the demo's pace.
func writeSample(dir string) error {
	return fs.WalkDir(contrib.Sample, ".", func(name string, d fs.DirEntry, err error) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(path, 0o750)
		}
		b, err := contrib.Sample.ReadFile(name)
		if err != nil {
			return err
		}
		text := string(b)
		if name == "sitrep.yml" {
			for _, r := range demoPace() {
				if !strings.Contains(text, r[0]) {
					return errors.New("the sample has no " + r[0])
				}
				text = strings.ReplaceAll(text, r[0], r[1])
			}
		}
		return os.WriteFile(path, []byte(text), 0o600)
	})
}
