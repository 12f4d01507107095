package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/app"
	"sitrep/app/apptest"
)

const (
	// slowReaders ask and then read nothing; each is a client of its own.
	slowReaders = 40
	// slowHold is how many bytes all of them together may keep alive.
	slowHold = 32 << 20
)

// TestSlowReadersHoldLittle: whoever asks for the largest there is and does not read it
// takes neither the memory nor the place of others.
func TestSlowReadersHoldLittle(t *testing.T) {
	files, config := largeConfig()
	s := apptest.New(t, config, files)
	fillLarge(t, s)
	for _, path := range []string{
		"/api/v1/incidents/INC-1/breaches?limit=1000",
		"/api/v1/unmapped?limit=1000",
		"/api/v1/slos",
	} {
		t.Run(path, func(t *testing.T) {
			l := serveSlow(t, s.Server.Config.Handler)
			before := liveBytes()
			for range slowReaders {
				l.askAndWait(path)
			}
			l.wait(func() bool { return l.writing+l.done == slowReaders })
			if held := liveBytes() - before; held > slowHold {
				t.Errorf("%d who do not read hold %d MiB; want at most %d", slowReaders, held>>20, slowHold>>20)
			} else {
				t.Logf("%d who do not read hold %.1f MiB", slowReaders, float64(held)/(1<<20))
			}
			for _, other := range []string{"/", "/api/v1/incidents", path} {
				resp, err := http.Get("http://" + l.Addr().String() + other)
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK || err != nil || n == 0 {
					t.Errorf("another client gets %s of %s: %d bytes, %v", resp.Status, other, n, err)
				}
			}
		})
	}
}

// liveBytes is how much of the heap is in use.
func liveBytes() int64 {
	runtime.GC()
	runtime.GC() // what pools kept goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// largeConfig is the configuration of an apptest.Organisation with thousands of SLOs that are
// described at length. Nobody is sent anything.
func largeConfig() (files map[string]string, config string) {
	files = map[string]string{}
	words := strings.Repeat("what customers cannot do ", 40)
	for f := range 6 {
		var b strings.Builder
		fmt.Fprintf(&b, "team: team-%d\non_call: {email: [oncall@example.org]}\nstakeholders: [support]\nslos:\n", f)
		for i := range 300 {
			fmt.Fprintf(&b, "  - {id: slo-%d-%d, use_case: %q, priority: P2}\n", f, i, words)
		}
		files[fmt.Sprintf("more/%d.yml", f)] = b.String()
	}
	return files, strings.Replace(apptest.Organisation, "slo_files: [slos.yml]", "slo_files: [slos.yml, more/*.yml]", 1)
}

// fillLarge lets the store have breaches, events and alerts without an SLO that are as
// large as they may be.
func fillLarge(t *testing.T, s *apptest.Service) {
	t.Helper()
	type alert map[string]any
	for i := range 8 {
		for _, slo := range []string{"send", "nobody's"} {
			var alerts []alert
			for j := range 16 {
				name := fmt.Sprintf("%s-%d-%d", slo, i, j)
				labels := map[string]string{"alertname": "Burn", "instance": name, "sitrep_slo": slo}
				annotations := map[string]string{}
				for k := range 30 {
					labels[fmt.Sprintf("label_%d", k)] = strings.Repeat("<l> ", 500)
					annotations[fmt.Sprintf("annotation_%d", k)] = strings.Repeat("<a> ", 500)
				}
				alerts = append(alerts, alert{
					"status": "firing", "labels": labels, "annotations": annotations, "fingerprint": name,
					"startsAt": "2026-01-02T03:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
				})
			}
			body, err := json.Marshal(map[string]any{"version": "4", "groupKey": "g", "status": "firing", "receiver": "sitrep", "alerts": alerts})
			if err != nil {
				t.Fatal(err)
			}
			if code, text := s.Ask("", "POST", "/alertmanager", string(body)); code != http.StatusOK {
				t.Fatalf("post: %d %s", code, text)
			}
		}
	}
	message, err := json.Marshal(map[string]any{"message": strings.Repeat("<we are on it> ", 500), "audiences": []string{"management"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		if code, text := s.Ask("", "POST", "/api/v1/incidents/INC-1/updates", string(message)); code != http.StatusOK {
			t.Fatalf("update: %d %s", code, text)
		}
	}
}

// A slowServer serves clients that do not read.
type slowServer struct {
	*app.Crowd
	t   *testing.T
	mu  sync.Mutex
	now *sync.Cond // that the two below change
	// writing and done are how many answers are being written now, and have ended.
	writing, done int
}

// count counts answers.
func (s *slowServer) count(writing, done int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing, s.done = s.writing+writing, s.done+done
	s.now.Broadcast()
}

// wait waits until the counts are as wanted.
func (s *slowServer) wait(wanted func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !wanted() {
		s.now.Wait()
	}
}

// serveSlow serves a handler as serve does until the test ends. Each connection is a
// client of its own, and nobody is cut for being slow while the test looks.
func serveSlow(t *testing.T, h http.Handler) *slowServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &slowServer{t: t}
	s.now = sync.NewCond(&s.mu)
	s.Crowd = app.NewCrowd(l, func(r *http.Request) string { return r.RemoteAddr }, apptest.Logger(io.Discard))
	inner := s.Handler(h)
	server := &http.Server{ConnContext: app.ConnContext, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.count(0, 1)
		inner.ServeHTTP(&patientWriter{ResponseWriter: w, s: s}, r)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(s.Crowd) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
		s.wait(func() bool { return s.done >= slowReaders }) // they hold nothing when the next begin
	})
	return s
}

// askAndWait asks, and reads nothing of the answer.
func (s *slowServer) askAndWait(path string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		s.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, s.Addr()); err != nil {
		s.t.Fatal(err)
	}
}

// A patientWriter knows no deadlines but those that are over.
type patientWriter struct {
	http.ResponseWriter
	s *slowServer
}

func (w *patientWriter) Write(b []byte) (int, error) {
	w.s.count(1, 0)
	defer w.s.count(-1, 0)
	return w.ResponseWriter.Write(b)
}

func (w *patientWriter) SetWriteDeadline(t time.Time) error {
	if t.After(time.Now()) {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t)
}
