package app_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/app"
	"sitrep/app/apptest"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

func TestTheStatusSaysWhyAPostWasRefused(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	if code, _ := s.Ask(apptest.ViewerToken, "POST", "/alertmanager", apptest.AlertBody("firing", "send", "00000000000000a1")); code != http.StatusForbidden {
		t.Fatalf("a viewer's post: %d", code)
	}
	s.Until("the refusal is shown", func() bool {
		_, status := s.Ask(apptest.ViewerToken, "GET", "/api/v1/status", "")
		return strings.Contains(status, "this needs the role receiver, and grafana has the role viewer")
	})
}

// TestServeEndsWithItsContext: it answers where it says that it does, and leaves a store
// that another can open, with all signed.
func TestServeEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"sitrep.yml": apptest.Organisation, "slos.yml": apptest.SLOs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := app.Options{
		Config: filepath.Join(dir, "sitrep.yml"), Storage: filepath.Join(dir, "data", "sitrep.db"),
		Die: func() { t.Error("the store gave up") },
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- app.Serve(ctx, o, app.Socket{Address: "127.0.0.1:0"}, slog.New(&readyHandler{ready: ready}))
	}()
	select {
	case at := <-ready:
		resp, err := http.Get(at + "/-/ready")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("ready: %s", resp.Status)
		}
	case err := <-ended:
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	db, err := bolt.OpenReadOnly(t.Context(), o.Storage)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Read(t.Context(), func(r storage.Snapshot) error {
		head, err := r.LogHead(t.Context())
		if err != nil {
			return err
		}
		_, signed, err := storage.LastSigned(t.Context(), r)
		if head.Size == 0 || signed.Size != head.Size {
			t.Errorf("%d of %d leaves are signed", signed.Size, head.Size)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A readyHandler tells the URL of a service that says it is ready.
type readyHandler struct {
	slog.Handler
	ready chan<- string
}

func (h *readyHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *readyHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *readyHandler) WithGroup(string) slog.Handler            { return h }

func (h *readyHandler) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if r.Message == "sitrep is ready" && a.Key == "url" {
			h.ready <- a.Value.String()
		}
		return true
	})
	return nil
}

func TestAnAddressThatIsTakenIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = app.Serve(t.Context(), app.Options{}, app.Socket{Address: l.Addr().String()}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), `listen on "`+l.Addr().String()+`"`) {
		t.Errorf("error %v", err)
	}
}
