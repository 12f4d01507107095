package app

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// writeChunk of an answer must be taken within writeWithin.
	writeChunk  = 64 << 10
	writeWithin = 10 * time.Second
	// maxUntaken is how many bytes of answers may wait for those who read them slowly.
	maxUntaken = 24 << 20
)

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
