package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sitrep/router"
)

func TestSendEncrypted(t *testing.T) {
	cert, roots := certificate(t)
	trusted := &tls.Config{RootCAs: roots}
	offer := func(s *smtp.Server, l net.Listener) net.Listener {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		return l
	}
	implicit := func(s *smtp.Server, l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	for _, tc := range []struct {
		name     string
		listen   string
		server   func(*smtp.Server, net.Listener) net.Listener
		policy   TLSPolicy
		config   *tls.Config
		want     string // part of the error
		wantMail bool
	}{
		{name: "STARTTLS is used by default", server: offer, config: trusted, wantMail: true},
		{name: "STARTTLS that is not offered is refused", want: "STARTTLS"},
		{name: "a certificate of nobody we know is refused", server: offer, want: "certificate"},
		{name: "TLS from the first byte", server: implicit, policy: ImplicitTLS, config: trusted, wantMail: true},
		{name: "TLS from the first byte where there is none", policy: ImplicitTLS, config: trusted, want: "TLS"},
		{name: "an IPv6 server", listen: "[::1]:0", server: offer, config: trusted, wantMail: true},
		{name: "without TLS where that is wanted", policy: NoTLS, wantMail: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			box := &mailbox{}
			if tc.listen == "" {
				tc.listen = "127.0.0.1:0"
			}
			addr := serve(t, box, tc.listen, tc.server)
			s := client(t, addr, func(c *Config) { c.TLS, c.TLSConfig = tc.policy, tc.config })
			e := envelope(t, "cto@example.org")
			err := s.Send(t.Context(), e, carryOn)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			if errors.Is(err, router.ErrPermanent) || errors.Is(err, router.ErrUnknown) {
				t.Errorf("%v is final or unknown, want surely failed", err)
			}
			mails := box.all()
			if tc.wantMail != (len(mails) == 1) {
				t.Fatalf("%d mails", len(mails))
			}
			if !tc.wantMail {
				return
			}
			if got := mails[0]; got.from != "incidents@example.org" || got.to != "cto@example.org" || got.body != string(e.Body) || got.tls == (tc.policy == NoTLS) {
				t.Errorf("got from %q to %q, TLS %v, same body %v", got.from, got.to, got.tls, got.body == string(e.Body))
			}
		})
	}
}

func TestLogIn(t *testing.T) {
	cert, roots := certificate(t)
	for _, tc := range []struct {
		name       string
		mechanisms []string
		password   string
		want       string
	}{
		{"by PLAIN", []string{"LOGIN", "PLAIN"}, "secret", ""},
		{"by LOGIN", []string{"LOGIN"}, "secret", ""},
		{"a wrong password", []string{"PLAIN"}, "hunter2", "535"},
		{"a mechanism that we do not speak", []string{"XOAUTH2"}, "secret", "XOAUTH2"},
		{"no log-in offered", nil, "secret", "AUTH"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			box := &mailbox{needAuth: true, mechanisms: tc.mechanisms}
			addr := serve(t, box, "127.0.0.1:0", func(s *smtp.Server, l net.Listener) net.Listener {
				s.TLSConfig, s.AllowInsecureAuth = &tls.Config{Certificates: []tls.Certificate{cert}}, false
				return l
			})
			s := client(t, addr, func(c *Config) {
				c.TLS, c.TLSConfig = StartTLS, &tls.Config{RootCAs: roots}
				c.Username, c.Password = "incidents", func() string { return tc.password }
			})
			err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
			if tc.want == "" {
				if err != nil || len(box.all()) != 1 {
					t.Fatalf("%v, %d mails", err, len(box.all()))
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(box.all()) != 0 {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			if errors.Is(err, router.ErrPermanent) || errors.Is(err, router.ErrUnknown) || strings.Contains(err.Error(), tc.password) {
				t.Errorf("%v is final, unknown, or shows the password", err)
			}
		})
	}
}

func TestLogInByCRAMMD5(t *testing.T) {
	// The example of RFC 2195, section 2.
	server := follow(t, map[string]string{
		"EHLO": "250-hi\r\n250 AUTH CRAM-MD5",
		"AUTH": "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
		"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw": "235 welcome",
	})
	s := client(t, server.addr, func(c *Config) { c.Username, c.Password = "tim", func() string { return "tanstaaftanstaaf" } })
	if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
		t.Fatal(err)
	}
}

func TestNoLogInWhereOthersListen(t *testing.T) {
	near, far := net.Pipe() // not a loopback address
	defer near.Close()
	defer far.Close()
	c := newConn(near, Timeouts{}.orDefault())
	c.extensions = map[string]string{"AUTH": "PLAIN"}
	l := logIn{username: "incidents", password: func() string { return "secret" }}
	if err := l.do(t.Context(), c); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Fatalf("error %v, want one about TLS", err)
	}
}

func TestRefusals(t *testing.T) {
	refuse := func(code int) error { return &smtp.SMTPError{Code: code, Message: "no"} }
	for _, tc := range []struct {
		name      string
		rcpt      error
		data      error
		permanent bool
	}{
		{"an address that is wrong is final at RCPT", &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no"}, nil, true},
		{"5xx at RCPT is not by itself", refuse(550), nil, false},
		{"4xx at RCPT is not", refuse(451), nil, false},
		{"an address that is wrong is final after DATA", nil, &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 10}, Message: "no"}, true},
		{"5xx after DATA is not by itself", nil, refuse(554), false},
		{"4xx after DATA is not", nil, refuse(452), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			box := &mailbox{}
			box.refuseRcpt = func(to string) error {
				if strings.HasPrefix(to, "bad") {
					return tc.rcpt
				}
				return nil
			}
			bad := true
			box.refuseData = func(string) error {
				if bad {
					return tc.data
				}
				return nil
			}
			s := client(t, serve(t, box, "127.0.0.1:0", nil), nil)
			err := s.Send(t.Context(), envelope(t, "bad@example.org"), carryOn)
			if err == nil || errors.Is(err, router.ErrPermanent) != tc.permanent || errors.Is(err, router.ErrUnknown) {
				t.Fatalf("error %v, want final %v", err, tc.permanent)
			}
			bad = false
			if again := s.Send(t.Context(), envelope(t, "good@example.org"), carryOn); again != nil {
				t.Fatalf("the next mail: %v", again)
			}
			conns := 1
			if errors.Is(err, router.ErrSetup) || errors.Is(err, router.ErrDoubtful) {
				conns = 2 // who serves the first may go on with a set-up that was mended
			}
			if mails := box.all(); len(mails) != 1 || mails[0].to != "good@example.org" || box.connections() != conns {
				t.Errorf("%d mails over %d connections, want 1 over %d", len(mails), box.connections(), conns)
			}
		})
	}
	t.Run("the words of the error", func(t *testing.T) {
		box := &mailbox{refuseRcpt: func(string) error { return refuse(550) }}
		err := client(t, serve(t, box, "127.0.0.1:0", nil), nil).Send(t.Context(), envelope(t, "ceo@example.org"), carryOn)
		if want := `RCPT "ceo@example.org": 550`; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	})
	t.Run("5xx at MAIL is not final", func(t *testing.T) {
		server := follow(t, map[string]string{"MAIL": "550 not from there"})
		err := client(t, server.addr, nil).Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
		if err == nil || errors.Is(err, router.ErrPermanent) {
			t.Errorf("error %v, want one that is not final", err)
		}
	})
}

func TestStallsEnd(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			server := follow(t, map[string]string{stage: "stall"})
			short := 100 * time.Millisecond
			s := client(t, server.addr, func(c *Config) {
				switch stage {
				case "greeting", "EHLO":
					c.Timeouts.Greeting = short
				case "DATA":
					c.Timeouts.Data = short
				case "dot":
					c.Timeouts.Final = short
				default:
					c.Timeouts.Command = short
				}
			})
			start := time.Now()
			err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("error %v, want a time-out", err)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
			if errors.Is(err, router.ErrUnknown) != (stage == "dot") || errors.Is(err, router.ErrPermanent) {
				t.Errorf("%v: unknown only after the last line", err)
			}
			if conns, _, _ := server.count(); conns != 1 {
				t.Errorf("%d connections, want 1", conns)
			}
		})
	}
	t.Run("a body that nobody reads", func(t *testing.T) {
		t.Parallel()
		server := follow(t, map[string]string{"body": "stall"})
		s := client(t, server.addr, func(c *Config) { c.Timeouts.Data, c.Timeouts.Final = 100*time.Millisecond, 100*time.Millisecond })
		e := envelope(t, "cto@example.org")
		line := []byte(strings.Repeat("x", 70) + "\r\n")
		for len(e.Body) < 16<<20 { // more than the buffers in between
			e.Body = append(e.Body, line...)
			line = append(line, line...)
			if len(line) > 1<<20 {
				line = line[:1<<20/72*72]
			}
		}
		err := s.Send(t.Context(), e, carryOn)
		if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, router.ErrUnknown) {
			t.Fatalf("error %v, want a time-out before the last line", err)
		}
	})
}

func TestCuts(t *testing.T) {
	t.Run("in the middle of the mail it is not taken", func(t *testing.T) {
		box := &mailbox{}
		addr := serve(t, box, "127.0.0.1:0", nil)
		s := client(t, addr, nil)
		calls := 0
		lost := errors.New("another has taken over")
		err := s.Send(t.Context(), envelope(t, "cto@example.org"), func(context.Context) error {
			if calls++; calls == 2 {
				return lost
			}
			return nil
		})
		if !errors.Is(err, lost) || errors.Is(err, router.ErrUnknown) || errors.Is(err, router.ErrPermanent) {
			t.Fatalf("error %v", err)
		}
		if err := s.Send(t.Context(), envelope(t, "next@example.org"), carryOn); err != nil {
			t.Fatal(err)
		}
		if mails := box.all(); len(mails) != 1 || mails[0].to != "next@example.org" || box.connections() != 2 {
			t.Errorf("%d mails over %d connections, want the second over a second", len(mails), box.connections())
		}
	})
	t.Run("before MAIL nothing is sent, and the connection stays", func(t *testing.T) {
		server := follow(t, map[string]string{})
		s := client(t, server.addr, nil)
		lost := errors.New("another has taken over")
		if err := s.Send(t.Context(), envelope(t, "cto@example.org"), func(context.Context) error { return lost }); !errors.Is(err, lost) {
			t.Fatalf("error %v", err)
		}
		if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
			t.Fatal(err)
		}
		conns, accepted, lines := server.count()
		if conns != 1 || accepted != 1 || strings.Count(lines, "MAIL") != 1 {
			t.Errorf("%d connections, %d mails:\n%s", conns, accepted, lines)
		}
	})
	t.Run("by the server while it reads, surely failed", func(t *testing.T) {
		server := follow(t, map[string]string{"RCPT": "cut"})
		err := client(t, server.addr, nil).Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
		if err == nil || errors.Is(err, router.ErrUnknown) || errors.Is(err, router.ErrPermanent) {
			t.Fatalf("error %v", err)
		}
	})
	t.Run("after the last line, unknown", func(t *testing.T) {
		server := follow(t, map[string]string{"dot": "cut"})
		err := client(t, server.addr, nil).Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
		if !errors.Is(err, router.ErrUnknown) {
			t.Fatalf("error %v, want unknown", err)
		}
		if conns, accepted, _ := server.count(); conns != 1 || accepted != 1 {
			t.Errorf("%d connections, %d mails, want no second attempt", conns, accepted)
		}
	})
	t.Run("a word that is no reply after the last line, unknown", func(t *testing.T) {
		server := follow(t, map[string]string{"dot": "what?"})
		err := client(t, server.addr, nil).Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
		if !errors.Is(err, router.ErrUnknown) {
			t.Fatalf("error %v, want unknown", err)
		}
	})
}

func TestConnectionsAreReused(t *testing.T) {
	t.Run("ten mails over one", func(t *testing.T) {
		box := &mailbox{}
		s := client(t, serve(t, box, "127.0.0.1:0", nil), nil)
		for range 10 {
			if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
				t.Fatal(err)
			}
		}
		if len(box.all()) != 10 || box.connections() != 1 {
			t.Errorf("%d mails over %d connections, want 10 over 1", len(box.all()), box.connections())
		}
	})
	t.Run("never more at once than allowed", func(t *testing.T) {
		box := &mailbox{}
		s := client(t, serve(t, box, "127.0.0.1:0", nil), func(c *Config) { c.MaxConnections = 3 })
		var wg sync.WaitGroup
		for i := range 30 {
			e := envelope(t, fmt.Sprintf("r%d@example.org", i))
			wg.Go(func() {
				if err := s.Send(t.Context(), e, carryOn); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(box.all()) != 30 || box.connections() > 3 {
			t.Errorf("%d mails over %d connections, want 30 over at most 3", len(box.all()), box.connections())
		}
	})
	for _, dead := range []string{"cut", "421 too many mails"} {
		t.Run("one that died while idle is replaced: "+dead, func(t *testing.T) {
			server := follow(t, map[string]string{})
			s := client(t, server.addr, nil)
			if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
				t.Fatal(err)
			}
			server.set("MAIL", dead)
			holds := 0
			err := s.Send(t.Context(), envelope(t, "cto@example.org"), func(context.Context) error {
				if holds++; holds == 2 {
					server.set("MAIL", "")
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if conns, accepted, _ := server.count(); conns != 2 || accepted != 2 {
				t.Errorf("%d connections, %d mails, want 2 and 2", conns, accepted)
			}
		})
	}
	t.Run("a new one that is cut at MAIL is not tried again", func(t *testing.T) {
		server := follow(t, map[string]string{"MAIL": "cut"})
		if err := client(t, server.addr, nil).Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err == nil {
			t.Fatal("no error")
		}
		if conns, _, _ := server.count(); conns != 1 {
			t.Errorf("%d connections, want 1", conns)
		}
	})
	t.Run("an idle one is closed", func(t *testing.T) {
		server := follow(t, map[string]string{})
		s := client(t, server.addr, func(c *Config) { c.IdleTimeout = 20 * time.Millisecond })
		if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		for {
			if _, _, lines := server.count(); strings.HasSuffix(lines, "QUIT") {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("it stays open")
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

func TestStalledRecipientsDelayNobody(t *testing.T) {
	box := &mailbox{}
	stalled := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Add(20)
	box.refuseRcpt = func(to string) error {
		if strings.HasPrefix(to, "slow") {
			waiting.Done()
			<-stalled
		}
		return nil
	}
	s := client(t, serve(t, box, "127.0.0.1:0", nil), func(c *Config) { c.MaxConnections = 21 })
	var wg sync.WaitGroup
	for i := range 20 {
		e := envelope(t, fmt.Sprintf("slow%d@example.org", i))
		wg.Go(func() { s.Send(t.Context(), e, carryOn) })
	}
	waiting.Wait()
	start := time.Now()
	if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	close(stalled)
	wg.Wait()
}

func TestCancel(t *testing.T) {
	for _, stage := range []string{"greeting", "RCPT", "dot"} {
		t.Run(stage, func(t *testing.T) {
			server := follow(t, map[string]string{stage: "stall"})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			start := time.Now()
			err := client(t, server.addr, nil).Send(ctx, envelope(t, "cto@example.org"), carryOn)
			if !errors.Is(err, context.Canceled) || errors.Is(err, router.ErrUnknown) != (stage == "dot") {
				t.Fatalf("error %v", err)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	t.Run("while all connections are taken", func(t *testing.T) {
		s := client(t, follow(t, nil).addr, func(c *Config) { c.MaxConnections = 1 })
		c, _, err := s.pool.take(t.Context(), 0, false, time.Now().Add(time.Minute), carryOn)
		if err != nil {
			t.Fatal(err)
		}
		defer s.pool.drop(c)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Send(ctx, envelope(t, "cto@example.org"), carryOn); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
	})
}

func TestAddressesThatAreNone(t *testing.T) {
	server := follow(t, map[string]string{})
	s := client(t, server.addr, nil)
	for _, to := range []string{
		"", "cto", "@example.org", "cto@", "a@example.org\r\nRCPT TO:<b@example.org>", "a@example.org>\r\nDATA", "a b@c d", "a@b,c@d",
		"a@ex\x00ample.org", "<a@example.org>", "\"a\r\n\"@example.org", strings.Repeat("a", 300) + "@example.org",
	} {
		err := s.Send(t.Context(), envelope(t, to), carryOn)
		if !errors.Is(err, router.ErrPermanent) {
			t.Errorf("%q: error %v, want a final one", to, err)
		}
	}
	if conns, _, lines := server.count(); conns != 0 {
		t.Errorf("something was sent:\n%s", lines)
	}
}

func TestBodiesThatAreNone(t *testing.T) {
	server := follow(t, map[string]string{})
	s := client(t, server.addr, nil)
	good := envelope(t, "cto@example.org")
	for name, body := range map[string]string{
		"empty":          "",
		"no headers":     "hello\r\n",
		"a bare LF":      strings.Replace(string(good.Body), "\r\n", "\n", 1),
		"a bare CR":      strings.Replace(string(good.Body), "Since", "Si\rnce", 1),
		"NUL":            strings.Replace(string(good.Body), "Since", "Si\x00nce", 1),
		"a smuggled end": strings.Replace(string(good.Body), "Since", "\n.\r\nMAIL FROM:<x@y>\r\n", 1),
		"a long line":    string(good.Body) + strings.Repeat("x", 999) + "\r\n",
		"no end":         string(good.Body) + "x",
	} {
		e := good
		e.Body = []byte(body)
		if err := s.Send(t.Context(), e, carryOn); !errors.Is(err, router.ErrPermanent) {
			t.Errorf("%s: error %v, want a final one", name, err)
		}
	}
	if conns, _, lines := server.count(); conns != 0 {
		t.Errorf("something was sent:\n%s", lines)
	}
}

func TestDotsAtTheBeginningOfLines(t *testing.T) {
	box := &mailbox{}
	s := client(t, serve(t, box, "127.0.0.1:0", nil), nil)
	e := envelope(t, "cto@example.org")
	e.Body = append(e.Body, ".\r\n..\r\n.QUIT\r\n"...)
	if err := s.Send(t.Context(), e, carryOn); err != nil {
		t.Fatal(err)
	}
	if mails := box.all(); len(mails) != 1 || mails[0].body != string(e.Body) {
		t.Error("the mail is not what was sent")
	}
}

func TestAddressesBeyondASCII(t *testing.T) {
	for _, tc := range []struct {
		name, to, wantTo string
		offered          bool
		want             error
	}{
		{"a local part where the server takes it", "jörg@example.org", "jörg@example.org", true, nil},
		{"a local part where it does not", "jörg@example.org", "", false, router.ErrPermanent},
		{"a domain goes as ASCII everywhere", "cto@bücher.example", "cto@xn--bcher-kva.example", false, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			box := &mailbox{}
			s := client(t, serve(t, box, "127.0.0.1:0", func(s *smtp.Server, l net.Listener) net.Listener {
				s.EnableSMTPUTF8 = tc.offered
				return l
			}), nil)
			err := s.Send(t.Context(), envelope(t, tc.to), carryOn)
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if mails := box.all(); tc.want == nil && (len(mails) != 1 || mails[0].to != tc.wantTo) {
				t.Errorf("mails %+v", mails)
			}
		})
	}
}

func TestServersThatTalkNonsense(t *testing.T) {
	for name, greeting := range map[string]string{
		"HTTP":            "HTTP/1.1 400 Bad Request",
		"a refusal":       "554 go away",
		"an endless line": strings.Repeat("x", 1<<20),
		"endless lines":   strings.Repeat("220-x\r\n", 1000),
		"changing codes":  "220-x\r\n250 y",
	} {
		t.Run(name, func(t *testing.T) {
			server := follow(t, map[string]string{"greeting": greeting})
			err := client(t, server.addr, nil).Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
			if err == nil || errors.Is(err, router.ErrPermanent) || errors.Is(err, router.ErrUnknown) || len(err.Error()) > 500 {
				t.Fatalf("error %v", err)
			}
		})
	}
	t.Run("a reply slipped in before TLS", func(t *testing.T) {
		server := follow(t, map[string]string{"EHLO": "250-hi\r\n250 STARTTLS", "STARTTLS": "220 go\r\n250 injected"})
		s := client(t, server.addr, func(c *Config) { c.TLS = StartTLS })
		err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
		if err == nil || !strings.Contains(err.Error(), "STARTTLS") {
			t.Fatalf("error %v", err)
		}
	})
}

func TestNewSMTPRefusesWhatCannotWork(t *testing.T) {
	for name, c := range map[string]Config{
		"no port":          {Smarthost: "smtp.example.org", Letterhead: letterhead},
		"no sender":        {Smarthost: "smtp.example.org:25"},
		"a strange policy": {Smarthost: "smtp.example.org:25", Letterhead: letterhead, TLS: "maybe"},
	} {
		if _, err := NewSMTP(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRefusedAtDATA(t *testing.T) {
	for answer, permanent := range map[string]bool{"550 5.1.1 no": true, "554 no": false, "503 what?": false, "451 later": false} {
		server := follow(t, map[string]string{"DATA": answer})
		s := client(t, server.addr, nil)
		err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
		if err == nil || errors.Is(err, router.ErrPermanent) != permanent || errors.Is(err, router.ErrUnknown) {
			t.Errorf("%s: error %v, want final %v", answer, err, permanent)
		}
		server.set("DATA", "")
		if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
			t.Errorf("%s: the next mail: %v", answer, err)
		}
	}
}
