package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// An away store is one that does not answer for a while, as a database does that is started
// again or whose network is cut.
type away struct {
	storage.Store
	is atomic.Bool
}

func (a *away) err() error {
	if a.is.Load() {
		return fmt.Errorf("connect to the database: refused: %w", storage.ErrUnavailable)
	}
	return nil
}

func (a *away) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	if err := a.err(); err != nil {
		return err
	}
	return a.Store.Read(ctx, fn)
}

func (a *away) Write(ctx context.Context, fn func(storage.Tx) error) error {
	if err := a.err(); err != nil {
		return err
	}
	return a.Store.Write(ctx, fn)
}

func (a *away) Clock(ctx context.Context) (time.Time, error) {
	if err := a.err(); err != nil {
		return time.Time{}, err
	}
	return a.Store.Clock(ctx)
}

func (a *away) Info(ctx context.Context) (storage.Info, error) {
	info, err := a.Store.Info(ctx)
	info.Shared, info.Trouble = true, a.err()
	return info, err
}

// organisation is a small one that writes its mails into files.
const organisation = `
mail: {directory: outbox, from: incidents@example.org}
priorities: [{name: P1, summary: Severe, inform: [stakeholders], update_every: 2h}]
groups: [{name: support, email: [support@example.org]}]
slo_files: [slos.yml]
evidence: {key_file: ledger.key}
`

const organisationSLOs = `
team: blue
on_call: {email: [oncall@example.org]}
stakeholders: [support]
slos: [{id: send, use_case: Nobody can send, sli: availability, service: mail, priority: P1}]
`

// A service that others share its store with, on one that may be away.
type remote struct {
	*Service
	t     *testing.T
	dir   string
	store *away
	http  http.Handler
}

func newRemote(t *testing.T, o Options, log io.Writer) (*remote, error) {
	t.Helper()
	r := &remote{t: t, dir: t.TempDir()}
	for name, text := range map[string]string{"sitrep.yml": organisation, "slos.yml": organisationSLOs} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.Config, o.Storage, o.ExternalURL = filepath.Join(r.dir, "sitrep.yml"), filepath.Join(r.dir, "sitrep.db"), "http://127.0.0.1:9098"
	o.Die = func() { t.Error("the store gave up") }
	var err error
	r.Service, err = newService(t.Context(), o, slog.New(slog.NewTextHandler(log, nil)), func(ctx context.Context, o *Options, m *metrics, log *slog.Logger) (*engine, error) {
		e, err := openEngine(ctx, o, m, log)
		if err != nil {
			return nil, err
		}
		r.store = &away{Store: e}
		return &engine{Store: r.store}, nil // as a database has it
	})
	if err != nil {
		return nil, err
	}
	if r.http, err = r.Handler(); err != nil {
		t.Fatal(err)
	}
	return r, nil
}

func (r *remote) ask(method, path, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(r.t.Context(), method, "http://127.0.0.1:9098"+path, strings.NewReader(body))
	req.RemoteAddr = "127.0.0.1:4711"
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	r.http.ServeHTTP(w, req)
	return w
}

func (r *remote) expect(method, path, body string, code int, words ...string) {
	r.t.Helper()
	w := r.ask(method, path, body)
	if w.Code != code {
		r.t.Errorf("%s %s: %d %.300s, want %d", method, path, w.Code, w.Body, code)
	}
	if code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		r.t.Errorf("%s %s: it does not say when to try again", method, path)
	}
	for _, word := range words {
		if !strings.Contains(w.Body.String(), word) {
			r.t.Errorf("%s %s: no %q in %.600s", method, path, word, w.Body)
		}
	}
}

func alert(fingerprint string) string {
	return fmt.Sprintf(`{"version":"4","alerts":[{"status":"firing","fingerprint":%q,"labels":{"alertname":"Down","sitrep_slo":"send"},"startsAt":%q}]}`,
		fingerprint, time.Now().UTC().Format(time.RFC3339Nano))
}

func (r *remote) mails() int {
	all, err := filepath.Glob(filepath.Join(r.dir, "outbox", "*.eml"))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(all)
}

// signed is how many leaves the latest checkpoint signs, and how many there are.
func (r *remote) signed() (signed, size int64) {
	r.t.Helper()
	err := r.store.Read(r.t.Context(), func(s storage.Snapshot) error {
		head, err := s.LogHead(r.t.Context())
		if err != nil || head.Signed == nil {
			return err
		}
		c, err := ledger.ReadCheckpoint(head.Signed)
		signed, size = c.Size, head.Size
		return err
	})
	if err != nil {
		r.t.Error(err)
	}
	return signed, size
}

// While the store is away posts are to be sent again, and sitrep is not ready; once it is back
// all goes on by itself: what is posted, what is due, and what is signed.
func TestAStoreThatIsAwayForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // of which slog writes one line at a time
		r, err := newRemote(t, Options{NewKey: true}, &log)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.scheduler.Steady = func() time.Duration { return time.Since(began) } // the machine's goes on by real time
		r.Start()
		r.expect("POST", "/alertmanager", alert("a"), 200, `"opened"`)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := r.mails(); n != 2 {
			t.Errorf("%d mails before", n)
		}
		r.expect("GET", "/api/v1/status", "", 200, `"replicas":[{"instance":"`+r.options.instance()+`","self":true,`, `"config":"`+r.policy().Hash+`"`, `"wrong":false`)
		r.expect("GET", "/metrics", "", 200, "sitrep_clock_skew_seconds 0\n")
		for _, length := range []time.Duration{2 * time.Second, 10 * time.Minute, 3 * time.Hour} {
			before, _ := r.signed()
			r.store.is.Store(true)
			end := time.Now().Add(length)
			for time.Now().Before(end) {
				r.expect("POST", "/alertmanager", alert(length.String()), 503)
				r.expect("GET", "/-/ready", "", 503, "nothing can be stored")
				r.expect("GET", "/-/healthy", "", 200)
				r.expect("GET", "/api/v1/incidents", "", 503)
				r.expect("GET", "/", "", 503)
				r.expect("GET", "/metrics", "", 200, "sitrep_storage_writable 0\n", "sitrep_build_info")
				r.expect("POST", "/api/v1/incidents/INC-1/notes", `{"text":"we look"}`, 503)
				time.Sleep(length / 10)
			}
			if err := r.reload(t.Context(), incident.ActorSignal, false); !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("reload: %v", err)
			}
			r.store.is.Store(false)
			time.Sleep(3 * time.Second)
			r.expect("POST", "/alertmanager", alert(length.String()), 200, `"joined"`)
			r.expect("POST", "/api/v1/incidents/INC-1/notes", `{"text":"we look"}`, 200)
			r.expect("GET", "/-/ready", "", 200)
			r.expect("GET", "/metrics", "", 200, "sitrep_storage_writable 1\n", "sitrep_incidents_open{priority=\"P1\"} 1\n")
			time.Sleep(2 * time.Minute)
			if after, size := r.signed(); after <= before || after != size {
				t.Errorf("signed are %d of %d, after %d", after, size, before)
			}
			if err := r.reload(t.Context(), incident.ActorSignal, false); err != nil {
				t.Error(err)
			}
		}
		if n := r.mails(); n < 3 { // the scheduled update that was due while it was away
			t.Errorf("%d mails after", n)
		}
		var outages []storage.Outage
		err = r.store.Read(t.Context(), func(s storage.Snapshot) (err error) {
			outages, err = storage.Outages(t.Context(), s, 10)
			return err
		})
		if err != nil || len(outages) != 2 {
			t.Errorf("%+v, %v", outages, err)
		}
		r.Close()
		text := log.String()
		for _, word := range []string{"nothing can be stored, and alerts are refused until it can be", "things can be stored again", "instance="} {
			if !strings.Contains(text, word) {
				t.Errorf("the log has no %q", word)
			}
		}
		for line := range strings.Lines(text) {
			if !strings.Contains(line, "instance=") {
				t.Errorf("it does not say which process: %s", line)
			}
		}
	})
}

func TestProcessesThatShareAStoreHaveOneKey(t *testing.T) {
	key, err := ledger.GenerateKey("sitrep.example.org/ledger")
	if err != nil {
		t.Fatal(err)
	}
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	file := filepath.Join(dir, "ledger.key")
	f := &keyFile{path: file, store: "db.example.org/sitrep", shared: true}
	if _, err := f.load(log); err == nil || !strings.Contains(err.Error(), "evidence.key_file") {
		t.Errorf("where the configuration names none: %v", err)
	}
	f.named = true
	if _, err := f.load(log); err == nil || !strings.Contains(err.Error(), "sitrep storage new-key") {
		t.Errorf("where there is none: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it made one")
	}
	f.mayBeNew = true
	made, err := f.load(log)
	if err != nil {
		t.Fatal(err)
	}
	f.mayBeNew = false
	if again, err := f.load(log); err != nil || again.ID() != made.ID() {
		t.Errorf("the next start: %v", err)
	}
	if f.latest, err = key.Sign(ledger.Checkpoint{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.load(log); err == nil || !strings.Contains(err.Error(), "--ledger.new-key") {
		t.Errorf("with another key than the last checkpoint's: %v", err)
	}
}

// A process that is started with another key takes the ledger over: those that run with the
// one before sign no longer, and say so.
func TestKeysDoNotSignInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		grow := func() {
			t.Helper()
			err := o.store.Write(t.Context(), func(tx storage.Tx) error {
				return tx.PutConfig(t.Context(), storage.Loading{Hash: strings.Repeat("a", 64), At: now(), Actor: "ada"})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		grow()
		if _, err := o.sign(t.Context()); err != nil {
			t.Fatal(err)
		}
		other, err := ledger.GenerateKey("sitrep.example.org/ledger2")
		if err != nil {
			t.Fatal(err)
		}
		old := o.key
		o.key = other
		grow()
		if _, err := o.sign(t.Context()); !errors.Is(err, errOtherKey) {
			t.Errorf("a key that nobody allowed: %v", err)
		}
		o.mayBeNew.Store(true)
		for range 2 {
			if signed, err := o.sign(t.Context()); err != nil || !SignedBy(signed, other) {
				t.Errorf("the new key: %v", err)
			}
			grow()
		}
		o.key = old
		if _, err := o.sign(t.Context()); !errors.Is(err, errOtherKey) {
			t.Errorf("the old key: %v", err)
		}
	})
}
