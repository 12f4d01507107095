package receiver_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/receiver"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// A catalog finds SLOs by sloth_id.
type catalog map[string]*incident.SLO

func (c catalog) Lookup(labels map[string]string) intake.Claim {
	return intake.Claim{SLO: c[labels["sloth_id"]]}
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
	db, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	policy := &incident.Policy{
		Location: time.UTC, Priorities: []incident.Priority{{Name: "P1"}}, ResolveAfter: time.Minute, ReopenWithin: time.Hour, UnknownAfter: 5 * time.Hour,
	}
	slo := &incident.SLO{ID: "notifications-send-availability", Key: "notifications-send-availability", UseCase: "Application cannot notify its users", Priority: "P1"}
	handler := receiver.New(receiver.Options{Intake: &intake.Intake{
		Door:    &storage.Door{Store: failing{db}, Policy: func() *incident.Policy { return policy }},
		Catalog: func() intake.Catalog { return catalog{slo.ID: slo} },
		Log:     slog.New(slog.DiscardHandler),
	}})
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
	err = db.Read(t.Context(), func(r storage.Reader) error {
		page, _, err := r.Incidents(storage.IncidentQuery{Limit: 1})
		if len(page) > 0 {
			t.Error("an incident is there")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
