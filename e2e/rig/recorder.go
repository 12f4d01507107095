package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Recorder stands between Alertmanagers and a sitrep: it keeps each body that comes,
// and passes it on. URL is what takes the place of the sitrep's.
type Recorder struct {
	URL string

	to     *Sitrep
	server *http.Server

	mu     sync.Mutex
	shift  time.Duration
	bodies []Body
}

// A Body is one that an Alertmanager sent.
type Body struct {
	Raw    []byte // as it was passed on
	Alerts []BodyAlert
}

// A BodyAlert is one alert of a body.
type BodyAlert struct {
	Status      string    `json:"status"`
	Fingerprint string    `json:"fingerprint"`
	StartsAt    time.Time `json:"startsAt"`
	EndsAt      time.Time `json:"endsAt"`
}

// NewRecorder starts a recorder in front of a sitrep.
func NewRecorder(to *Sitrep) (*Recorder, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Recorder{URL: "http://" + l.Addr().String(), to: to}
	r.server = &http.Server{Handler: r}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

// Close stops it.
func (r *Recorder) Close() { r.server.Close() }

// Shift moves the times of all alerts that come from now on by d, as if the clock of
// their sender were that much fast.
func (r *Recorder) Shift(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shift = d
}

// Bodies returns all that were taken, in order.
func (r *Recorder) Bodies() []Body {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Body(nil), r.bodies...)
}

// Heard returns the alerts of all bodies that were taken, in order.
func (r *Recorder) Heard() (alerts []BodyAlert) {
	for _, b := range r.Bodies() {
		alerts = append(alerts, b.Alerts...)
	}
	return alerts
}

func (r *Recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	shift := r.shift
	r.mu.Unlock()
	if raw, err = shifted(raw, shift); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b := Body{Raw: raw}
	var content struct {
		Alerts []BodyAlert `json:"alerts"`
	}
	if err := json.Unmarshal(raw, &content); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.Alerts = content.Alerts
	status, answer, err := r.pass(req.Context(), req, raw)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if status == http.StatusOK {
		r.mu.Lock()
		r.bodies = append(r.bodies, b)
		r.mu.Unlock()
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

// pass passes a body on, with the path and the headers of the request.
func (r *Recorder) pass(ctx context.Context, req *http.Request, raw []byte) (status int, answer []byte, err error) {
	out, err := http.NewRequestWithContext(ctx, req.Method, r.to.URL()+req.URL.Path, bytes.NewReader(raw))
	if err != nil {
		return 0, nil, err
	}
	for _, name := range []string{"Authorization", "Content-Type", "User-Agent"} {
		out.Header.Set(name, req.Header.Get(name))
	}
	resp, err := (&http.Client{Transport: direct}).Do(out)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// shifted moves the times of the alerts of a body.
func shifted(raw []byte, by time.Duration) ([]byte, error) {
	if by == 0 {
		return raw, nil
	}
	var body map[string]json.RawMessage
	var alerts []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body["alerts"], &alerts); err != nil {
		return nil, err
	}
	for _, a := range alerts {
		for _, name := range []string{"startsAt", "endsAt"} {
			var t time.Time
			if err := json.Unmarshal(a[name], &t); err != nil {
				return nil, err
			}
			if t.IsZero() {
				continue
			}
			moved, err := json.Marshal(t.Add(by))
			if err != nil {
				return nil, err
			}
			a[name] = moved
		}
	}
	var err error
	if body["alerts"], err = json.Marshal(alerts); err != nil {
		return nil, err
	}
	return json.Marshal(body)
}
