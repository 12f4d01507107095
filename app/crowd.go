package app

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"sitrep/internal/httperr"
	"sitrep/internal/tally"
	"sitrep/receiver"
)

// What one service carries at once. It is far more than people and Alertmanagers make,
// and so little that nobody who reads slowly takes the memory.
const (
	maxConnections = 1024
	// maxServed is how many requests are served at once beside posts of alerts, which
	// have bounds of their own, and maxServedEach how many of those for one client.
	maxServed     = 256
	maxServedEach = 32
	// writeChunk of an answer must be taken within writeWithin.
	writeChunk  = 64 << 10
	writeWithin = 10 * time.Second
	// maxUntaken is how many bytes of answers may wait for those who read them slowly.
	maxUntaken = 24 << 20
)

// A crowd is all connections of a service. One that is new always gets in as long as
// another is not at work: of those the client that holds the most loses its oldest.
// Connections by which alerts came are never ended for others. An answer, too, always
// gets written: if too much waits for slow readers, the client for whom most waits loses
// the answer that waits for the longest.
type crowd struct {
	net.Listener
	log     *slog.Logger
	refused *tally.Tally
	client  func(*http.Request) string

	mu     sync.Mutex
	seats  map[*seat]struct{}
	served int
	each   map[string]int // by client
	// writing are the answers that are being written, and untaken their bytes.
	writing map[*pacedWriter]struct{}
	untaken int
}

// A seat is a connection of a crowd.
type seat struct {
	net.Conn
	crowd  *crowd
	host   string
	since  time.Time
	closed sync.Once
	// What follows is guarded by crowd.mu.
	serving int
	posts   bool
}

type seatKey struct{}

// newCrowd returns the connections that a listener accepts. A client is named by
// client.
func newCrowd(l net.Listener, client func(*http.Request) string, log *slog.Logger) *crowd {
	return &crowd{Listener: l, log: log, refused: tally.New(), client: client, seats: map[*seat]struct{}{}, each: map[string]int{}, writing: map[*pacedWriter]struct{}{}}
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				c.warn("connections cannot be accepted; look at the limit of open files", "", slog.Any("err", err))
			}
			return nil, err
		}
		if s := c.seat(conn); s != nil {
			return s, nil
		}
		_ = conn.Close()
	}
}

// seat takes a connection in, if need be for another; nil if there is no room.
func (c *crowd) seat(conn net.Conn) *seat {
	s := &seat{Conn: conn, crowd: c, host: hostOf(conn.RemoteAddr().String()), since: time.Now()}
	c.mu.Lock()
	var loser *seat
	if len(c.seats) >= maxConnections {
		if loser = c.loser(); loser == nil {
			c.mu.Unlock()
			c.warn("a connection was refused, as all are at work", s.host, slog.Int("connections", maxConnections))
			return nil
		}
		delete(c.seats, loser)
	}
	c.seats[s] = struct{}{}
	c.mu.Unlock()
	if loser != nil {
		c.warn("a connection was ended to make room", loser.host, slog.Int("connections", maxConnections))
		_ = loser.Close()
	}
	return s
}

// loser returns the connection that goes first; nil if all are at work or bring alerts.
func (c *crowd) loser() *seat {
	held := map[string]int{}
	for s := range c.seats {
		held[s.host]++
	}
	var loser *seat
	for s := range c.seats {
		if s.serving > 0 || s.posts {
			continue
		}
		if loser == nil || held[s.host] > held[loser.host] || held[s.host] == held[loser.host] && s.since.Before(loser.since) {
			loser = s
		}
	}
	return loser
}

func (c *crowd) warn(what, client string, attrs ...any) {
	if n, worth := c.refused.Count(what + "\x00" + client); worth {
		c.log.Warn(what, append([]any{slog.String("client", client), slog.Int("times", n)}, attrs...)...)
	}
}

// Close implements net.Conn.
func (s *seat) Close() error {
	s.closed.Do(func() {
		s.crowd.mu.Lock()
		delete(s.crowd.seats, s)
		s.crowd.mu.Unlock()
	})
	return s.Conn.Close()
}

// connContext is for [http.Server]: requests know the connection that they came by.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if s, ok := conn.(*seat); ok {
		return context.WithValue(ctx, seatKey{}, s)
	}
	return ctx
}

// handler bounds how much next serves at once, and how slowly answers may be taken.
func (c *crowd) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		free := r.URL.Path == receiver.Path || r.URL.Path == "/-/healthy" || r.URL.Path == "/-/ready"
		client := ""
		if !free {
			client = c.client(r)
		}
		leave, ok := c.enter(r, client, free)
		defer leave()
		paced := &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w), crowd: c, client: client}
		defer paced.done()
		if !ok {
			httperr.Write(paced, r, httperr.Status(http.StatusServiceUnavailable, "too much is asked for at this moment; try again"))
			return
		}
		next.ServeHTTP(paced, r)
	})
}

// enter notes that a request is served, until leave is called; ok is false if there
// is no room for it. What is free has bounds of its own.
func (c *crowd) enter(r *http.Request, client string, free bool) (leave func(), ok bool) {
	s, _ := r.Context().Value(seatKey{}).(*seat)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != nil {
		s.serving++
	}
	ok = free || c.served < maxServed && c.each[client] < maxServedEach
	if ok && !free {
		c.served++
		c.each[client]++
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s != nil {
			s.serving--
		}
		if !ok || free {
			return
		}
		c.served--
		if c.each[client]--; c.each[client] == 0 {
			delete(c.each, client)
		}
	}, ok
}

// posted notes that alerts came by the connection of a request from somebody who may
// post them.
func posted(r *http.Request) {
	if s, ok := r.Context().Value(seatKey{}).(*seat); ok {
		s.crowd.mu.Lock()
		s.posts = true
		s.crowd.mu.Unlock()
	}
}

// begin notes that an answer is being written of which b is held, and ends others if that
// is too much.
func (c *crowd) begin(p *pacedWriter, b []byte) {
	c.mu.Lock()
	var ended []*pacedWriter
	// What lies behind it in memory is held as well.
	p.untaken, p.since = cap(b), time.Now()
	c.untaken += p.untaken
	c.writing[p] = struct{}{}
	for c.untaken > maxUntaken {
		slow := c.slowest(p)
		if slow == nil {
			break
		}
		c.forget(slow)
		ended = append(ended, slow)
	}
	c.mu.Unlock()
	for _, slow := range ended {
		slow.end()
		c.warn("an answer was ended that nobody took, to make room", slow.client, slog.Int("bytes", maxUntaken))
	}
}

// slowest returns the answer that goes before that of p; nil if there is no other.
func (c *crowd) slowest(p *pacedWriter) *pacedWriter {
	held := map[string]int{}
	for w := range c.writing {
		held[w.client] += w.untaken
	}
	var slow *pacedWriter
	for w := range c.writing {
		if w == p {
			continue
		}
		if slow == nil || held[w.client] > held[slow.client] || held[w.client] == held[slow.client] && w.since.Before(slow.since) {
			slow = w
		}
	}
	return slow
}

// forget takes an answer out of those that are being written.
func (c *crowd) forget(p *pacedWriter) {
	if _, ok := c.writing[p]; ok {
		delete(c.writing, p)
		c.untaken -= p.untaken
	}
}

// errUntaken ends an answer that others have no room for.
var errUntaken = errors.New("the answer was not taken, and others wait")

// A pacedWriter ends an answer that nobody takes.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	crowd   *crowd
	client  string
	// What follows is guarded by crowd.mu.
	untaken int
	since   time.Time
	// mu is held while a deadline is set, so that none is set after the end.
	mu    sync.Mutex
	ended bool
}

// extend gives the client time for what is written next, and reports whether the answer
// goes on. Where the connection knows no deadlines there is none.
func (p *pacedWriter) extend() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = p.control.SetWriteDeadline(time.Now().Add(writeWithin))
	}
	return !p.ended
}

// done is for the end of the handler. What is left is written after it, and then another
// request may come by the same connection, which has no more to do with this answer.
func (p *pacedWriter) done() {
	p.extend()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}

// end ends the answer, also while it is being written, unless its handler is done.
func (p *pacedWriter) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		_ = p.control.SetWriteDeadline(time.Now().Add(-time.Second))
	}
}

// Write implements io.Writer.
func (p *pacedWriter) Write(b []byte) (int, error) {
	if len(b) > writeChunk {
		p.crowd.begin(p, b)
		defer func() {
			p.crowd.mu.Lock()
			defer p.crowd.mu.Unlock()
			p.crowd.forget(p)
		}()
	}
	written := 0
	for {
		chunk := b[:min(len(b), writeChunk)]
		if !p.extend() {
			return written, errUntaken
		}
		n, err := p.ResponseWriter.Write(chunk)
		written += n
		if b = b[len(chunk):]; err != nil || len(b) == 0 {
			return written, err
		}
	}
}

// Unwrap lets http.ResponseController reach what is beneath.
func (p *pacedWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// hostOf returns an address without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
