// Package demo plays a short incident in the terminal, with the real service and the sample
// organisation of contrib, at a pace at which a night takes a minute.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/promslog"

	"sitrep/app"
	"sitrep/contrib"
)

// ErrNotEmpty is a folder for the demo in which something is already.
var ErrNotEmpty = errors.New("is not empty; name a new folder")

// Options say where the demo is played.
type Options struct {
	Dir    string // an empty folder for its files, made if it is not there; empty is a new temporary one
	Listen string // the address of its page, such as 127.0.0.1:0
	Once   bool   // end after the story, instead of keeping the page open
	Out    io.Writer
	// Die ends the process at once. It is called when the store cannot say what is true.
	Die func()
}

// pace are the pieces of the sample configuration that the demo replaces, so that what
// takes a night takes a minute. Each must be there.
func pace() [][2]string {
	return [][2]string{
		{"update_every: 2h", "update_every: 8s"},
		{"update_every: 4h", "update_every: 16s"},
		{"update_every: 8h", "update_every: 32s"},
		{"resolve_after: 10m", "resolve_after: 4s"},
		{"remind_before: 15m", "remind_before: 3s"},
		{"digest_above: 5", "digest_above: 100"},
	}
}

// Run runs the service, plays an incident on it, and tells it to Out. The files are kept.
// It returns nil when ctx ends, or with the story if once is enough.
func Run(ctx context.Context, o Options) error {
	dir, err := emptyDir(o.Dir)
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

	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", o.Listen, err)
	}
	defer listener.Close()
	external := "http://" + listener.Addr().String()
	s, err := app.New(ctx, app.Options{
		Config: filepath.Join(dir, "sitrep.yml"), Storage: filepath.Join(dir, "sitrep.db"),
		ExternalURL: external, Address: listener.Addr(), Local: responder, Die: o.Die,
	}, log)
	if err != nil {
		return err
	}
	defer s.Close()
	handler, err := s.Handler()
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
		_ = s.Wait(stopping)
	}()
	s.Start()

	st := &story{out: o.Out, url: external, dir: dir, mails: newMails(filepath.Join(dir, "outbox"), o.Out)}
	err = st.play(ctx)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(o.Out, "\nStopped. Everything is kept in %s\n", dir)
		return nil
	case err != nil:
		return fmt.Errorf("%w; the log is %s", err, logFile.Name())
	}
	st.farewell(o.Once)
	if o.Once {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return fmt.Errorf("serve on %q: %w", o.Listen, err)
	}
}

// emptyDir returns the folder of the demo as an absolute path; it is made if it is not
// there.
func emptyDir(dir string) (string, error) {
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
		err = fmt.Errorf("%q %w", dir, ErrNotEmpty)
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
			for _, r := range pace() {
				if !strings.Contains(text, r[0]) {
					return errors.New("the sample has no " + r[0])
				}
				text = strings.ReplaceAll(text, r[0], r[1])
			}
		}
		return os.WriteFile(path, []byte(text), 0o600)
	})
}
