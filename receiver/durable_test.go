package receiver_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/intake"
	"sitrep/receiver"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A catalog finds SLOs by sloth_id.
type catalog map[string]*incident.SLO

func (c catalog) Lookup(labels map[string]string) intake.Match {
	return intake.Match{SLO: c[labels["sloth_id"]]}
}

// A failing store runs what it is given and then cannot keep it.
type failing struct{ storage.Store }

func (f failing) Write(ctx context.Context, fn func(storage.Tx) error) error {
	_ = f.Store.Write(ctx, func(tx storage.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errors.New("rolled back")
	})
	return storage.ErrUnavailable
}

// To Alertmanager a 2xx means that the alerts are delivered: it must never come before
// they are kept.
func TestWhatIsNotKeptIsNotAnswered2xx(t *testing.T) {
	db, err := bolt.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	handler := durable(failing{db})
	body, err := os.Open(filepath.Join("..", "contrib", "alert.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	req := httptest.NewRequest(http.MethodPost, receiver.Path, body)
	req.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, req)
	if answer.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d: %s", answer.Code, answer.Body)
	}
	if incidents(t, db) != 0 {
		t.Error("an incident is there")
	}
}

// holding lets no transaction be committed before it is told so.
type holding struct {
	storage.Store
	commit chan struct{}
}

func (h holding) Write(ctx context.Context, fn func(storage.Tx) error) error {
	return h.Store.Write(ctx, func(tx storage.Tx) error {
		err := fn(tx)
		<-h.commit
		return err
	})
}

// An answer is a response that knows when it began.
type answer struct {
	*httptest.ResponseRecorder
	begun atomic.Bool
}

func (a *answer) WriteHeader(code int) {
	a.begun.Store(true)
	a.ResponseRecorder.WriteHeader(code)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun.Store(true)
	return a.ResponseRecorder.Write(b)
}

// TestTheAnswerWaitsForTheCommit: not a byte of it goes out while a crash would lose the
// alerts, and when it does go out they are there.
func TestTheAnswerWaitsForTheCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	text, err := os.ReadFile(filepath.Join("..", "contrib", "alert.json"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		db, err := bolt.Open(t.Context(), path, bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		store := holding{db, make(chan struct{})}
		handler := durable(store)
		req := httptest.NewRequest(http.MethodPost, receiver.Path, bytes.NewReader(text))
		req.Header.Set("Content-Type", "application/json")
		got := &answer{ResponseRecorder: httptest.NewRecorder()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			handler.ServeHTTP(got, req)
		}()
		synctest.Wait() // until the transaction is about to be committed
		if got.begun.Load() || incidents(t, db) != 0 {
			t.Error("it is answered, or kept, before the commit")
		}
		close(store.commit)
		<-done
		if got.Code != http.StatusOK || incidents(t, db) != 1 {
			t.Errorf("answered %d: %s; %d incidents are there", got.Code, got.Body, incidents(t, db))
		}
	})
}

// incidents counts those that are kept, at most two.
func incidents(t *testing.T, db *bolt.DB) (n int) {
	t.Helper()
	err := db.Read(t.Context(), func(r storage.Snapshot) error {
		page, _, err := r.Incidents(t.Context(), storage.IncidentQuery{Limit: 2})
		n = len(page)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// durable returns a receiver that keeps what it takes in a store.
func durable(store storage.Store) *receiver.Handler {
	slo := incidenttest.SLO("notifications-send-availability", "P1")
	policy := incidenttest.Policy(slo)
	return receiver.New(receiver.Options{Intake: &intake.Intake{
		Repo:    &storage.Repository{Store: store, Policy: func() *incident.Policy { return policy }},
		Catalog: func() intake.Catalog { return catalog{slo.ID: &slo} },
		Log:     slog.New(slog.DiscardHandler),
	}})
}
