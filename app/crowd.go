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
		c.log.Warn(what, append([]any{slog.String("client", client), slog.Int("times", n)}, attrs...)...) //nolint:sloglint // one of a few
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

// hostOf returns an address without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
