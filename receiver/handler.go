package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"sitrep/intake"
	"sitrep/internal/httperr"
	"sitrep/internal/tally"
	"sitrep/storage"
)

// Path is where Alertmanager posts.
const Path = "/alertmanager"

// Alertmanager cuts an answer after 10 s and sends again. These are counted from
// the arrival of a post, but for the last.
const (
	readWithin   = 5 * time.Second         // the body has come
	takeWithin   = 7 * time.Second         // the commit has begun
	answerWithin = 7500 * time.Millisecond // it is answered, done or not
	waitWithin   = time.Second             // for room
	recordWithin = 5 * time.Second         // a refusal is recorded
)

// DefaultBytesInFlight is the bound of [Options] if it names none.
const DefaultBytesInFlight = 64 << 20

var (
	errGone = errors.New("the client has left")
	errSlow = errors.New("the store did not answer in time")
)

// Options are what a [Handler] needs.
type Options struct {
	Intake Intake
	// Refused records a post that was answered with 4xx. It runs beside the answer,
	// for up to 5 s, and rarely enough that a flood of refusals does no harm. May be
	// nil.
	Refused func(ctx context.Context, r storage.Refusal)
	// Keep reports whether the SLO of an alert may be found by a label of that name. Such
	// labels are kept where others are beyond bounds, and cut. It is called at any time,
	// by many at once. If nil, none is kept.
	Keep func(label string) bool
	// Client says who posts: the name of a token, or an address. If nil it is the
	// address of the connection.
	Client func(r *http.Request) string
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer gets the metrics. May be nil.
	Registerer prometheus.Registerer
	// BytesInFlight bounds the bodies that are read and worked on at once; more are
	// answered 503. 0 is DefaultBytesInFlight, and the least is MaxBody+1. What is
	// made of a body takes about as much again, and of the worst one nine times that.
	BytesInFlight int64
}

// A Handler answers what is posted to [Path]. Who posts is checked around it.
//
// A post is answered within 8 s: 200 once its changes are durable, 503 if it
// should come again, or 4xx if that would be of no use.
type Handler struct {
	intake   Intake
	refused  func(context.Context, storage.Refusal)
	client   func(*http.Request) string
	log      *slog.Logger
	metrics  *metrics
	budget   *budget
	buffers  buffers
	decoders sync.Pool
	// recordings bounds the rate of Refused.
	recordings *rate.Limiter
	// strangers counts the posts of those who may not post, and strangerRecordings
	// bounds the rate of Refused for them: they must not push out what others lost.
	strangers          *tally.Tally
	strangerRecordings *rate.Limiter
	// running are the posts and recordings under way.
	running sync.WaitGroup
}

var _ http.Handler = (*Handler)(nil)

// New returns a handler.
func New(o Options) *Handler {
	h := &Handler{
		intake:     o.Intake,
		refused:    o.Refused,
		client:     o.Client,
		log:        o.Logger,
		metrics:    newMetrics(o.Registerer),
		recordings: rate.NewLimiter(2, 20),
		strangers:  tally.New(), strangerRecordings: rate.NewLimiter(rate.Every(10*time.Minute), 5),
	}
	if h.client == nil {
		h.client = address
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.log = h.log.With("component", "receiver")
	if o.BytesInFlight == 0 {
		o.BytesInFlight = DefaultBytesInFlight
	}
	h.budget = &budget{room: semaphore.NewWeighted(max(o.BytesInFlight, MaxBody+1)), wait: waitWithin, gauge: h.metrics.bytes}
	h.decoders.New = func() any { return newDecoder(o.Keep) }
	return h
}

// Mount returns a handler that gives posts what is meant for [Path], and next all
// else. It stands before every router: one that cleans paths or adds slashes
// would answer a redirect, and lose the alerts.
func Mount(posts, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == Path || path.Clean("/"+r.URL.Path) == Path {
			posts.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	h.metrics.inFlight.Inc()
	code := http.StatusServiceUnavailable
	defer func() {
		h.metrics.inFlight.Dec()
		h.metrics.answered(code)
		h.metrics.duration.Observe(time.Since(arrived).Seconds())
	}()
	p, results, err := h.serve(w, r, arrived)
	if err != nil {
		code = h.fail(w, r, err)
		return
	}
	for i := range results {
		h.metrics.alerts.WithLabelValues(string(results[i].Result)).Inc()
		if len(results[i].Ambiguous) > 0 {
			h.metrics.ambiguous.Inc()
		}
	}
	code = http.StatusOK
	// Only now: to Alertmanager a 2xx means "delivered", and it stays quiet until the
	// group changes or repeat_interval passes.
	writeAnswer(w, p, results)
}

// Wait returns when all that the answered requests left under way is done: posts
// that took too long, and records of refusals. It is called once no more requests
// come, before the store is closed. The error is that of ctx.
func (h *Handler) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		h.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve reads, decodes and hands on. The error is a *refusal for what is answered
// with 4xx; all others are 503.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, arrived time.Time) (payload, []intake.Result, error) {
	control := http.NewResponseController(w)
	// Where the connection knows no deadlines, the server's own have to do. It stays
	// for what the server reads of a body that is refused unread.
	_ = control.SetReadDeadline(arrived.Add(readWithin))
	if err := check(r); err != nil {
		return payload{}, nil, err
	}
	ctx, cancel := context.WithDeadline(r.Context(), arrived.Add(takeWithin))
	held, err := h.budget.claim(ctx, firstStep(r))
	if err != nil {
		cancel()
		return payload{}, nil, err
	}
	release := func() { held.release(); cancel() }
	handed := false
	defer func() {
		if !handed {
			release()
		}
	}()
	p, err := h.receive(r, held, arrived)
	if err != nil {
		return payload{}, nil, err
	}
	// The deadline would end the watch for a client that leaves.
	_ = control.SetReadDeadline(time.Time{})
	if ctx.Err() != nil {
		return payload{}, nil, errGone
	}
	handed = true
	results, err := h.take(ctx, release, intake.Post{Alerts: p.alerts, At: arrived.UTC().Truncate(time.Microsecond), Source: h.client(r)}, arrived)
	return p, results, err
}

// receive reads a body and decodes it.
func (h *Handler) receive(r *http.Request, held *reservation, arrived time.Time) (payload, error) {
	buf, err := readBody(h.buffers.get(), r, held)
	defer h.buffers.put(buf)
	if err != nil {
		return payload{}, err
	}
	d := h.decoders.Get().(*decoder)
	p, err := d.decode(buf, arrived.UTC().Truncate(time.Microsecond))
	h.decoders.Put(d)
	if err != nil {
		return payload{}, err
	}
	h.count(r, p)
	switch {
	case len(p.alerts) > 0:
		return p, nil
	case len(p.faults) == 0:
		return p, &refusal{http.StatusBadRequest, refusedEmpty, "the payload has no alerts"}
	case len(p.faults) == 1:
		return p, &refusal{http.StatusBadRequest, refusedInvalid, "the only alert is invalid: " + p.faults[0].text}
	default:
		return p, &refusal{http.StatusBadRequest, refusedInvalid, fmt.Sprintf("all %d alerts are invalid; the first: %s", len(p.faults), p.faults[0].text)}
	}
}

// count counts the alerts of a payload, and logs what is missing in it.
func (h *Handler) count(r *http.Request, p payload) {
	resolved := 0
	for i := range p.alerts {
		if p.alerts[i].Resolved {
			resolved++
		}
	}
	h.metrics.received.WithLabelValues("resolved").Add(float64(resolved))
	h.metrics.received.WithLabelValues("firing").Add(float64(len(p.alerts) - resolved))
	if len(p.faults) > 0 {
		h.metrics.alerts.WithLabelValues(string(intake.OutcomeInvalid)).Add(float64(len(p.faults)))
		h.log.WarnContext(r.Context(), "alerts are invalid and passed over", "client", h.client(r), "alerts", len(p.faults),
			"index", p.faults[0].index, "fingerprint", p.faults[0].fingerprint, "err", p.faults[0].text)
	}
	if p.cut > 0 {
		h.metrics.cut.Add(float64(p.cut))
		h.log.DebugContext(r.Context(), "alerts have more or longer labels than are kept; what is beyond was cut off",
			"client", h.client(r), "alerts", p.cut, "fingerprint", p.alerts[p.firstCut].Fingerprint)
	}
	if p.truncated > 0 {
		h.metrics.truncated.Add(float64(p.truncated))
		h.log.WarnContext(r.Context(), "alerts were left out because of max_alerts, and are not known here",
			"client", h.client(r), "alerts", p.truncated)
	}
}

// take hands a post to the intake and waits for it, but never for longer than the
// client would. release is called once the intake is done.
func (h *Handler) take(ctx context.Context, release func(), p intake.Post, arrived time.Time) ([]intake.Result, error) {
	type taken struct {
		results []intake.Result
		err     error
	}
	done := make(chan taken, 1)
	h.running.Go(func() {
		var t taken
		defer func() {
			if cause := recover(); cause != nil {
				h.log.ErrorContext(ctx, "intake panicked", "err", fmt.Sprint(cause), "stack", string(debug.Stack()))
				t = taken{nil, fmt.Errorf("intake panicked: %v", cause)}
			}
			release()
			done <- t
		}()
		t.results, t.err = h.intake.Take(ctx, p)
	})
	late := time.NewTimer(time.Until(arrived.Add(answerWithin)))
	defer late.Stop()
	select {
	case t := <-done:
		if t.err != nil {
			return nil, t.err
		}
		if len(t.results) != len(p.Alerts) {
			return nil, fmt.Errorf("intake gave %d results for %d alerts", len(t.results), len(p.Alerts))
		}
		return t.results, nil
	case <-late.C:
		// It may be stored yet. The post comes again, and finds it then.
		return nil, errSlow
	}
}

// fail answers what went wrong, and returns the status.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) int {
	if why, ok := errors.AsType[*refusal](err); ok {
		h.refuse(r, why)
		answer := &httperr.Error{Code: why.status, Text: why.text}
		switch why.reason {
		case refusedMethod:
			answer.Header = http.Header{"Allow": {http.MethodPost}}
		case refusedSize:
			answer.Header = http.Header{"Connection": {"close"}}
		}
		httperr.Write(w, r, answer)
		return why.status
	}
	text := "the alerts could not be stored; send them again"
	level := slog.LevelError
	switch {
	case errors.Is(err, errBusy):
		text, level = "too many posts at once; send it again", slog.LevelWarn
	case r.Context().Err() != nil:
		text, level = "the client has left", slog.LevelInfo
	case errors.Is(err, errBody):
		text, level = "the body did not come whole; send it again", slog.LevelWarn
	case errors.Is(err, storage.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		level = slog.LevelWarn
	}
	h.log.Log(r.Context(), level, "post not taken, it will come again", "client", h.client(r), "err", err, "request", httperr.RequestID(r.Context()))
	// Alertmanager comes again within a second whatever this says.
	httperr.Write(w, r, &httperr.Error{Code: http.StatusServiceUnavailable, Text: text, Header: http.Header{"Retry-After": {"1"}}, Err: err})
	return http.StatusServiceUnavailable
}

// address returns the address that a request came from, without the port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
