package receiver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/intake"
	"sitrep/storage"
)

// pipes is a listener without sockets, so that time in a bubble passes by itself.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }
func (p *pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.conns <- far
	return near
}

// serve runs a server for a test in a bubble.
func serve(t *testing.T, h http.Handler) *pipes {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: h}
	go server.Serve(p)
	t.Cleanup(func() {
		server.Close()
		time.Sleep(time.Second) // in the bubble; a connection that was cut lingers for half a second
	})
	return p
}

// send writes a request with the beginning of its body.
func send(t *testing.T, c net.Conn, length int, start []byte) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: sitrep\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", Path, length, start); err != nil {
		t.Fatal(err)
	}
}

func answerOf(t *testing.T, c net.Conn) (status int, after time.Duration) {
	t.Helper()
	start := time.Now()
	_ = c.SetReadDeadline(start.Add(time.Minute)) // Alertmanager waits for 10 s
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer after %v: %v", time.Since(start), err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, time.Since(start)
}

func TestASlowBodyIsGivenUpIn5s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(openAll)
		c := serve(t, b).dial()
		defer c.Close()
		send(t, c, MaxBody, []byte("{"))
		go func() { // a byte each second
			for {
				time.Sleep(time.Second)
				if _, err := c.Write([]byte(" ")); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if v := b.value(t, "sitrep_posts_in_flight_bytes"); v != maxStep {
			t.Errorf("%v bytes are held for a body that does not come", v)
		}
		if status, after := answerOf(t, c); status != 503 || after != readWithin {
			t.Errorf("answer %d after %v", status, after)
		}
		if v := b.value(t, "sitrep_posts_in_flight_bytes"); v != 0 {
			t.Errorf("%v bytes are still held", v)
		}
	})
}

func TestAnUnreadBodyHoldsNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, newBench(openAll)).dial()
		defer c.Close()
		fmt.Fprintf(c, "PUT %s HTTP/1.1\r\nHost: sitrep\r\nContent-Length: 1000\r\n\r\n{", Path)
		if status, after := answerOf(t, c); status != 405 || after > readWithin {
			t.Errorf("answer %d after %v", status, after)
		}
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(start) > readWithin+time.Second {
			t.Errorf("closed with %v after %v", err, time.Since(start))
		}
	})
}

// Alertmanager gives up on an answer after 10 s and posts again, so what is still held then
// must not be committed any more: a newer post may have come in between.
func TestAPostThatIsHeldMayNotBeCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			held time.Duration
			may  bool
		}{{takeWithin - time.Millisecond, true}, {takeWithin + time.Millisecond, false}, {8 * time.Second, false}} {
			var before error
			b := newBench(func(ctx context.Context, p intake.Post) ([]intake.Result, error) {
				time.Sleep(c.held)
				if before = ctx.Err(); before != nil { // as a store asks before it commits
					return nil, before
				}
				return openAll(ctx, p)
			})
			conn := serve(t, b).dial()
			data := body(good(""))
			send(t, conn, len(data), data)
			status, after := answerOf(t, conn)
			if c.may != (status == 200) || after > 8*time.Second {
				t.Errorf("held for %v: answered %d after %v", c.held, status, after)
			}
			_ = b.Wait(t.Context())
			if c.may != (before == nil) {
				t.Errorf("held for %v, before the commit: %v", c.held, before)
			}
			_ = conn.Close()
		}
	})
}

func TestTheConnectionLivesOnAfterAPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left error
		b := newBench(func(ctx context.Context, p intake.Post) ([]intake.Result, error) {
			time.Sleep(6 * time.Second) // longer than a body may take
			left = ctx.Err()
			return openAll(ctx, p)
		})
		c := serve(t, b).dial()
		defer c.Close()
		data := body(good(""))
		for range 3 {
			send(t, c, len(data), data)
			if status, after := answerOf(t, c); status != 200 || after != 6*time.Second || left != nil {
				t.Fatalf("answer %d after %v, %v", status, after, left)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestAStoreThatHangsIsAnsweredWithin8s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		over := make(chan time.Duration, 1)
		b := newBench(func(ctx context.Context, p intake.Post) ([]intake.Result, error) {
			start := time.Now()
			<-ctx.Done()
			over <- time.Since(start)
			<-hang // as in an fsync
			return openAll(ctx, p)
		})
		start := time.Now()
		w := b.do(post(body(good(""))))
		took, told := time.Since(start), <-over
		if w.Code != 503 || took >= 8*time.Second || told != takeWithin {
			t.Errorf("answer %d after %v; the intake was told after %v", w.Code, took, told)
		}
		if v := b.value(t, "sitrep_posts_in_flight_bytes"); v == 0 {
			t.Error("what hangs takes no room")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Wait(ctx); err == nil {
			t.Error("Wait does not wait")
		}
		close(hang)
		if err := b.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if v := b.value(t, "sitrep_posts_in_flight_bytes"); v != 0 {
			t.Errorf("%v bytes are still held", v)
		}
	})
}

func TestAClientThatLeavesEndsTheTaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told error
		b := newBench(func(ctx context.Context, _ intake.Post) ([]intake.Result, error) {
			<-ctx.Done()
			told = ctx.Err()
			return nil, told
		})
		c := serve(t, b).dial()
		data := body(good(""))
		send(t, c, len(data), data)
		synctest.Wait()
		c.Close()
		synctest.Wait()
		if told != context.Canceled {
			t.Errorf("the intake was told %v", told)
		}
		if !strings.Contains(b.log.String(), "level=INFO") || strings.Contains(b.log.String(), "level=ERROR") {
			t.Errorf("log %s", b.log)
		}
	})
}

func TestTooMuchAtOnceIs503AfterAShortWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := newBench(func(ctx context.Context, p intake.Post) ([]intake.Result, error) {
			<-release
			return openAll(ctx, p)
		})
		data := body(good(""))
		data = append(data, bytes.Repeat([]byte(" "), MaxBody-len(data))...)
		var first, second, third int
		var waited time.Duration
		go func() { first = b.do(post(data)).Code }()
		synctest.Wait()
		go func() { second = b.do(post(data)).Code }()
		synctest.Wait()
		if second != 503 {
			t.Errorf("a second large body: %d", second)
		}
		var small sync.WaitGroup
		for range DefaultBytesInFlight / maxStep {
			small.Go(func() { b.do(post(data[:maxStep-1])) })
		}
		synctest.Wait()
		start := time.Now()
		third = b.do(post(body(good("")))).Code
		waited = time.Since(start)
		if third != 503 || waited != waitWithin {
			t.Errorf("with no room left: %d after %v", third, waited)
		}
		close(release)
		small.Wait()
		synctest.Wait()
		if first != 200 {
			t.Errorf("the first: %d", first)
		}
		if w := b.do(post(data)); w.Code != 200 {
			t.Errorf("afterwards: %d", w.Code)
		}
		if v := b.value(t, "sitrep_posts_in_flight_bytes"); v != 0 {
			t.Errorf("%v bytes are still held", v)
		}
	})
}

func TestRecordingARefusalDelaysNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(openAll)
		record := b.refused
		b.refused = func(ctx context.Context, r storage.Refusal) {
			<-ctx.Done() // a store that hangs
			record(ctx, r)
		}
		start := time.Now()
		if w := b.do(post([]byte("x"))); w.Code != 400 || time.Since(start) != 0 {
			t.Errorf("answer %d after %v", w.Code, time.Since(start))
		}
		if err := b.Wait(t.Context()); err != nil || len(b.refusals) != 1 || time.Since(start) != recordWithin {
			t.Errorf("recorded %d after %v, %v", len(b.refusals), time.Since(start), err)
		}
	})
}
