package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A sink is a mail server that takes all mails at once, and notes when each of a few readers
// had one.
type sink struct {
	listener net.Listener
	count    atomic.Int64

	mu      sync.Mutex
	last    time.Time                 // when it took the latest
	watched map[string]chan time.Time // by address, up to its first dash if it has one, and by priority
}

func newSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listener: l, watched: map[string]chan time.Time{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s, nil
}

func (s *sink) address() string { return s.listener.Addr().String() }

// watch returns when mails of a priority come to an address, or to all that begin like that and have
// a dash then; up to 1,000 that were not asked for. A digest's priority is the highest in it.
func (s *sink) watch(address, priority string) <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan time.Time, 1000)
	s.watched[address+" "+priority] = c
	return c
}

// latest returns when it took the latest mail.
func (s *sink) latest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *sink) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	say := func(line string) { _, _ = io.WriteString(c, line+"\r\n") }
	say("220 sink")
	to := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " "); strings.ToUpper(verb) {
		case "EHLO":
			say("250-sink\r\n250-8BITMIME\r\n250 PIPELINING")
		case "RCPT":
			_, to, _ = strings.Cut(rest, "<")
			to, _, _ = strings.Cut(to, ">")
			say("250 ok")
		case "DATA":
			say("354 go on")
			priority := ""
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
				if rest, ok := strings.CutPrefix(line, "X-Sitrep-Priority: "); ok {
					priority = strings.TrimSpace(rest)
				}
			}
			s.took(to, priority)
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *sink) took(to, priority string) {
	at := time.Now()
	s.count.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = at
	if begin, _, ok := strings.Cut(to, "-"); ok {
		to = begin
	}
	if c := s.watched[to+" "+priority]; c != nil {
		select {
		case c <- at:
		default:
		}
	}
}

// rawSMTP returns how many mails a second the sink takes from that many senders, who keep their
// connections or dial for each mail.
func rawSMTP(s *sink, senders, mails int, kept bool) (float64, error) {
	body := []byte("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 100))
	left := atomic.Int64{}
	left.Store(int64(mails))
	errs := make(chan error, senders)
	began := time.Now()
	for range senders {
		go func() { errs <- sendRaw(s.address(), body, &left, kept) }()
	}
	for range senders {
		if err := <-errs; err != nil {
			return 0, err
		}
	}
	return float64(mails) / time.Since(began).Seconds(), nil
}

func sendRaw(address string, body []byte, left *atomic.Int64, kept bool) error {
	var c *smtp.Client
	for left.Add(-1) >= 0 {
		if c == nil {
			var err error
			if c, err = smtp.Dial(address); err != nil {
				return err
			}
		}
		if err := sendOne(c, body); err != nil {
			return fmt.Errorf("raw SMTP: %w", err)
		}
		if !kept {
			if err := c.Quit(); err != nil {
				return err
			}
			c = nil
		}
	}
	if c != nil {
		return c.Quit()
	}
	return nil
}

func sendOne(c *smtp.Client, body []byte) error {
	if err := c.Mail("a@example.org"); err != nil {
		return err
	}
	if err := c.Rcpt("raw@example.org"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Close()
}
