package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/contrib"
	"sitrep/incident"
	"sitrep/storage"
)

// A replica has another configuration than the one in force: it says so at once, and after ten
// minutes it is not ready, also if the same files are loaded again and again; until it is given
// the other ones.
func TestAReplicaThatStaysBehindIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, contrib.Sample); err != nil {
			t.Fatal(err)
		}
		s, err := New(t.Context(), Options{
			Config: filepath.Join(dir, "sitrep.yml"), Storage: filepath.Join(dir, "sitrep.db"), ExternalURL: "http://127.0.0.1:9098",
			Die: func() { t.Error("the store gave up") },
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		h, err := s.Handler()
		if err != nil {
			t.Fatal(err)
		}
		get := func(path string) (int, string) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:9098"+path, nil)
			r.RemoteAddr = "127.0.0.1:4711"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		expect := func(ready int, since time.Time) {
			t.Helper()
			code, text := get("/-/ready")
			if code != ready || code != 200 && !strings.Contains(text, "give this process the same files and reload it") {
				t.Errorf("ready: %d %s, want %d", code, text, ready)
			}
			var status struct {
				Config struct {
					BehindSince time.Time `json:"behind_since"`
				}
			}
			code, text = get("/api/v1/status")
			if err := json.Unmarshal([]byte(text), &status); err != nil || code != 200 || !status.Config.BehindSince.Equal(since) {
				t.Errorf("status: %d, %v, behind since %v, want %v", code, err, status.Config.BehindSince, since)
			}
			metric := "sitrep_config_behind 0\n"
			if !since.IsZero() {
				metric = "sitrep_config_behind 1\n"
			}
			if _, text := get("/metrics"); !strings.Contains(text, metric) {
				t.Errorf("no %q among the metrics", metric)
			}
			if code, text := get("/status"); code != 200 || strings.Contains(text, "Another configuration has been in force since") == since.IsZero() {
				t.Errorf("the page is %d, and says it is behind: %v", code, since.IsZero())
			}
		}
		reload := func() {
			t.Helper()
			if err := s.reload(t.Context(), incident.ActorSignal, false); err != nil {
				t.Fatal(err)
			}
		}
		newest := strings.Repeat("b", 64)
		other := &storage.Repository{Store: s.store, Policy: func() *incident.Policy { return &incident.Policy{Hash: newest} }}
		expect(200, time.Time{})
		time.Sleep(time.Hour)
		expect(200, time.Time{})

		since := now()
		err = s.store.Write(t.Context(), func(tx storage.Tx) error {
			_, err := storage.EnterConfig(t.Context(), tx, "another", storage.Loading{Hash: newest, At: now(), Actor: incident.ActorStart})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(200, since)
		for time.Since(since) < behindFor {
			if _, err := other.KeepUp(t.Context(), "another", now()); err != nil {
				t.Fatal(err)
			}
			reload()
			expect(200, since)
			time.Sleep(storage.GenerationEvery)
		}
		expect(503, since)

		// It gets a configuration that is the newest.
		file := filepath.Join(dir, "sitrep.yml")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, bytes.Replace(b, []byte("\ntimezone: UTC\n"), []byte("\ntimezone: Europe/Berlin\n"), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		reload()
		expect(200, time.Time{})
	})
}
