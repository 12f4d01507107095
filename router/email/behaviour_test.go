package email

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/email/mailtest"
)

// bubbled returns a client with the time limits and the pool that real servers get,
// connected without a network. It is for a bubble of testing/synctest.
func bubbled(t *testing.T, server *mailtest.Server, change func(*Config)) *SMTP {
	t.Helper()
	c := Config{Smarthost: "mail.example.org:25", Letterhead: letterhead, TLS: NoTLS, HelloName: "sitrep.example.org"}
	if change != nil {
		change(&c)
	}
	s, err := NewSMTP(c)
	if err != nil {
		t.Fatal(err)
	}
	open := make(chan struct{}, s.pool.size)
	s.dial = func(ctx context.Context) (net.Conn, error) {
		c, err := server.Dial(ctx)
		if err != nil {
			return nil, err
		}
		select {
		case open <- struct{}{}:
		default:
			t.Errorf("more than %d connections at once", cap(open))
		}
		return &counted{Conn: c, done: sync.OnceFunc(func() { <-open })}, nil
	}
	t.Cleanup(func() { s.Close(); server.Close() })
	return s
}

// A counted connection says when it is closed.
type counted struct {
	net.Conn
	done func()
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.done()
	return err
}

// writeTable has the table of behaviours in docs/reliability.md written anew.
var writeTable = flag.Bool("table", false, "write the tables of docs/reliability.md")

// TestBehaviours: what servers do, and what becomes of mails that are due at the same
// time, or one after the other. Each is a row of docs/reliability.md.
func TestBehaviours(t *testing.T) {
	var rows []mailtest.Row
	for _, tc := range []struct {
		name   string
		server mailtest.Behaviour
		config func(*Config)
		mails  int  // one after the other
		atOnce bool // or all at the same time
		// What is to come of it: how many are taken, over how many connections (0: as many
		// as it likes), in what time, and a part of each error.
		taken   int
		conns   int
		within  time.Duration
		err     string
		unknown bool // the outcome of all that are not taken
	}{
		{name: "a friendly one", mails: 20, taken: 20, conns: 1},
		{name: "a friendly one, and all at the same time", mails: 60, atOnce: true, taken: 60, within: time.Second},

		{name: "it greets after 50 s", server: doing("greeting", "wait 50s"), mails: 1, taken: 1, within: 51 * time.Second},
		{name: "it never greets", server: doing("greeting", "stall"), mails: 1, within: 61 * time.Second, err: "greeting: no answer in time"},
		{name: "EHLO takes 50 s", server: doing("EHLO", "wait 50s"), mails: 1, taken: 1, within: 51 * time.Second},
		{name: "it knows no EHLO", server: doing("EHLO", "502 what?"), mails: 2, taken: 2, conns: 1},
		{name: "MAIL takes 4 min", server: doing("MAIL", "wait 4m"), mails: 1, taken: 1, within: 241 * time.Second},
		{name: "it looks up a recipient for 4 min", server: doing("RCPT", "wait 4m"), mails: 1, taken: 1, within: 241 * time.Second},
		{name: "DATA takes 2 min", server: doing("DATA", "wait 2m"), mails: 1, taken: 1, within: 121 * time.Second},
		{name: "a filter takes 150 s after the last line", server: doing("dot", "wait 150s"), mails: 1, taken: 1, within: 151 * time.Second},
		{name: "a filter takes 9 min after the last line", server: doing("dot", "wait 9m"), mails: 1, taken: 1, within: 541 * time.Second},
		{
			name: "a step takes longer than timeout", server: doing("RCPT", "wait 45s"), config: func(c *Config) { c.Timeouts = Within(30 * time.Second) }, mails: 1,
			within: 31 * time.Second, err: "no answer in time",
		},
		{name: "it says nothing after the last line", server: doing("dot", "stall"), mails: 1, taken: 1, within: 601 * time.Second, err: "no answer in time", unknown: true},
		{name: "it drops after the last line", server: doing("dot", "cut"), mails: 1, taken: 1, conns: 1, err: "the connection was closed", unknown: true},

		{name: "two mails a connection, then 421", server: per(2, "421 4.7.0 too many messages in this connection"), mails: 7, taken: 7, conns: 4, within: time.Second},
		{name: "two mails a connection, then 452", server: per(2, "452 4.5.3 too many messages"), mails: 7, taken: 7, conns: 4, within: time.Second},
		{name: "two mails a connection, then 550", server: per(2, "550 5.7.0 too many messages"), mails: 7, taken: 7, conns: 4, within: time.Second},
		{name: "two mails a connection, then 451", server: per(2, "451 4.3.0 try another time"), mails: 7, taken: 7, conns: 4, within: time.Second},
		{name: "two mails a connection, all at the same time", server: per(2, "550 no more"), mails: 40, atOnce: true, taken: 40, within: time.Second},
		{name: "the first RCPT is cut", server: doing("RCPT", "first 1 cut"), mails: 1, conns: 1, err: `RCPT "r0@example.org": the connection was closed`},

		{name: "every MAIL is refused", server: doing("MAIL", "550 5.7.1 relaying denied"), mails: 2, conns: 2, err: "MAIL: 550 5.7.1 relaying denied"},
		{name: "one mail is refused for now", server: mailtest.Behaviour{Rcpt: func(to string) string {
			if to == "r1@example.org" {
				return "451 4.2.1 try later"
			}
			return ""
		}}, mails: 4, taken: 3, conns: 1, within: time.Second, err: `RCPT "r1@example.org": 451 4.2.1 try later`},
		{name: "one is greylisted", server: mailtest.Behaviour{Rcpt: func(to string) string {
			if to == "r1@example.org" {
				return "450 4.7.1 Greylisted, come back later"
			}
			return ""
		}}, mails: 4, taken: 3, conns: 1, within: time.Second, err: "Greylisted"},

		{name: "one mail hears 421 at its end", server: mailtest.Behaviour{Dot: func(m *mailtest.Mail) string {
			if m.To == "r1@example.org" {
				return "421 4.7.0 suspicious, try later"
			}
			return ""
		}}, mails: 6, taken: 5, within: 3 * time.Second, err: "the mail: 421 4.7.0 suspicious"},
		{name: "one recipient hears 450 4.7.1", server: mailtest.Behaviour{Rcpt: func(to string) string {
			if to == "r1@example.org" {
				return "450 4.7.1 not now"
			}
			return ""
		}}, mails: 6, taken: 5, within: 3 * time.Second, err: "450 4.7.1 not now"},

		{name: "421 to a MAIL, and the connection stays", server: staying("MAIL", "first 1 421 4.3.2 going down"), mails: 4, taken: 4, conns: 2},
		{name: "421 to a RCPT, and the connection stays", server: staying("RCPT", "first 1 421 4.3.2 going down"), mails: 4, taken: 4, conns: 2},
		{name: "421 to a DATA, and the connection stays", server: staying("DATA", "first 1 421 4.3.2 going down"), mails: 4, taken: 4, conns: 2},
		{name: "421 to a mail, and the connection stays", server: staying("dot", "first 1 421 4.3.2 going down"), mails: 4, taken: 3, conns: 2, err: "the mail: 421 4.3.2 going down"},
		{name: "421 to a RSET, and the connection stays", server: mailtest.Behaviour{Stays: true, At: map[string]string{"RSET": "421 4.3.2 going down"}, Rcpt: func(to string) string {
			if to == "r1@example.org" {
				return "451 4.2.1 try later"
			}
			return ""
		}}, mails: 4, taken: 3, conns: 2, err: "451 4.2.1 try later"},
		{
			name: "two mails a connection, then 421, and the connection stays", server: mailtest.Behaviour{Stays: true, PerConnection: 2, Beyond: "421 4.7.0 too many messages"},
			mails: 7, taken: 7, conns: 4,
		},

		{
			name: "three connections at once", server: mailtest.Behaviour{AtOnce: 3, Full: "421 4.3.2 the maximum number of concurrent connections is exceeded"},
			mails: 40, atOnce: true, taken: 40, within: 10 * time.Second,
		},
		{name: "three connections at once, and the others are cut", server: mailtest.Behaviour{AtOnce: 3}, mails: 40, atOnce: true, taken: 40, within: 10 * time.Second},
		{name: "30 mails a minute, then 450 4.7.1", server: perMinute("450 4.7.1 Error: too much mail from 192.0.2.1"), mails: 60, atOnce: true, taken: 60, within: 2 * time.Minute},
		{name: "30 mails a minute, then 454", server: perMinute("454 Throttling failure: Maximum sending rate exceeded"), mails: 60, atOnce: true, taken: 60, within: 2 * time.Minute},
		{name: "30 mails a minute, then 421", server: perMinute("421 4.7.0 try again later"), mails: 60, atOnce: true, taken: 60, within: 2 * time.Minute},
		{
			name: "30 mails a minute, and rate knows that", server: perMinute("550 you are blocked"), config: func(c *Config) { c.Rate = Rate{30, time.Minute} },
			mails: 60, atOnce: true, taken: 60, within: 62 * time.Second,
		},
		{name: "421 to every connection for a while", server: doing("greeting", "first 4 421 4.3.2 no time now"), mails: 10, atOnce: true, taken: 10, within: 40 * time.Second},
		{name: "421 to every connection", server: doing("greeting", "421 4.3.2 no time now"), mails: 3, atOnce: true, within: longestWait + time.Second, err: "421 4.3.2 no time now"},
		{name: "its rate is above all", server: doing("MAIL", "450 4.7.1 too much mail"), mails: 1, within: longestWait + time.Second, err: "MAIL: 450 4.7.1 too much mail"},
	} {
		row := mailtest.Row{Server: tc.name, Mails: tc.mails}
		run := func(t *testing.T, behaviour mailtest.Behaviour) {
			synctest.Test(t, func(t *testing.T) {
				server := mailtest.New(behaviour)
				s := bubbled(t, server, tc.config)
				start := time.Now()
				var mu sync.Mutex
				var errs []error
				send := func(i int) {
					err := s.Send(t.Context(), envelope(t, fmt.Sprintf("r%d@example.org", i)), carryOn)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						errs = append(errs, err)
					}
				}
				var wg sync.WaitGroup
				for i := range tc.mails {
					if tc.atOnce {
						wg.Go(func() { send(i) })
					} else {
						send(i)
					}
				}
				wg.Wait()
				if took := time.Since(start); tc.within > 0 && took > tc.within {
					t.Errorf("it took %v, want at most %v", took, tc.within)
				}
				refused := tc.mails - tc.taken
				if tc.unknown {
					refused = tc.mails
				}
				if len(errs) != refused {
					t.Errorf("%d errors, want %d: %v", len(errs), refused, errs)
				}
				for _, err := range errs {
					if !strings.Contains(err.Error(), tc.err) || errors.Is(err, router.ErrUnknown) != tc.unknown || errors.Is(err, router.ErrPermanent) {
						t.Errorf("error %v, want %q, unknown %v, not final", err, tc.err, tc.unknown)
					}
				}
				mails := server.Mails()
				var to []string
				for _, m := range mails {
					to = append(to, m.To)
				}
				slices.Sort(to)
				if len(mails) != tc.taken || len(slices.Compact(to)) != tc.taken {
					t.Errorf("%d mails to %d readers were taken, want one to each of %d", len(mails), len(to), tc.taken)
				}
				if conns, _ := server.Connections(); tc.conns > 0 && conns != tc.conns {
					t.Errorf("%d connections, want %d", conns, tc.conns)
				}
				row.Came, row.Late = came(tc.mails, len(mails), tc.unknown, tc.err), mailtest.Late(time.Since(start))
			})
		}
		tc.server.Offer = []string{"PIPELINING"}
		t.Run(tc.name+", commands at once", func(t *testing.T) { run(t, tc.server) })
		tc.server.Offer = nil
		t.Run(tc.name, func(t *testing.T) { run(t, tc.server) })
		rows = append(rows, row)
	}
	checkTable(t, rows)
}

// came says what came of mails for their readers, and why not more.
func came(due, taken int, unknown bool, err string) string {
	who := fmt.Sprintf("%d of them got it once", taken)
	switch {
	case taken == due && due == 1:
		who = "it came once"
	case taken == due:
		who = "each got it once"
	case taken == 0:
		who = "nobody by then"
	}
	switch {
	case err == "":
		return who
	case unknown:
		return who + ", and may come again with the same id: " + err
	}
	return who + "; tried again: " + err
}

// checkTable writes the table of docs/reliability.md if -table says so. Else it fails if
// its rows are not about these servers; times may differ.
func checkTable(t *testing.T, rows []mailtest.Row) {
	t.Helper()
	const page, name = "../../docs/reliability.md", "behaviours"
	if *writeTable && !t.Failed() {
		if err := mailtest.WriteTable(page, name, rows); err != nil {
			t.Fatal(err)
		}
	}
	written, err := mailtest.ReadTable(page, name)
	if err != nil {
		t.Fatal(err)
	}
	servers := func(rows []mailtest.Row) (out []string) {
		for _, r := range rows {
			out = append(out, fmt.Sprintf("%s (%d mails)", r.Server, r.Mails))
		}
		return out
	}
	if got, want := servers(written), servers(rows); !slices.Equal(got, want) {
		t.Errorf("docs/reliability.md has the servers\n%s\nwant\n%s\nrun go test -p 1 ./router/email ./e2e -run 'TestBehaviours|TestRealServers' -table", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// doing is a server that does something at one step.
func doing(step, act string) mailtest.Behaviour {
	return mailtest.Behaviour{At: map[string]string{step: act}}
}

// staying is one that does something at one step, and keeps the connection after a 421.
func staying(step, act string) mailtest.Behaviour {
	return mailtest.Behaviour{At: map[string]string{step: act}, Stays: true}
}

// per is one that takes so many mails over one connection.
func per(mails int, beyond string) mailtest.Behaviour {
	return mailtest.Behaviour{PerConnection: mails, Beyond: beyond}
}

// perMinute is one that takes 30 mails a minute.
func perMinute(slower string) mailtest.Behaviour {
	return mailtest.Behaviour{PerMinute: 30, Slower: slower}
}

func TestWhoWaitsHoldsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := mailtest.New(doing("RCPT", "wait 90s"))
		s := bubbled(t, server, func(c *Config) { c.MaxConnections = 1 })
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Send(t.Context(), envelope(t, "first@example.org"), carryOn); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		holds := 0
		err := s.Send(t.Context(), envelope(t, "second@example.org"), func(context.Context) error { holds++; return nil })
		wg.Wait()
		if err != nil || holds < 18 {
			t.Errorf("%v, held %d times while it waited 90 s, want each 5 s", err, holds)
		}
	})
	t.Run("and gives up once it is another's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server := mailtest.New(doing("RCPT", "wait 90s"))
			s := bubbled(t, server, func(c *Config) { c.MaxConnections = 1 })
			var wg sync.WaitGroup
			wg.Go(func() { s.Send(t.Context(), envelope(t, "first@example.org"), carryOn) })
			synctest.Wait()
			start, lost := time.Now(), errors.New("another has taken over")
			err := s.Send(t.Context(), envelope(t, "second@example.org"), func(context.Context) error { return lost })
			if !errors.Is(err, lost) || time.Since(start) > 6*time.Second {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
			wg.Wait()
			if len(server.Mails()) != 1 {
				t.Error("the second was sent all the same")
			}
		})
	})
}

func TestTheMostImportantGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := mailtest.New(mailtest.Behaviour{})
		s := bubbled(t, server, func(c *Config) { c.Rate = Rate{1, time.Minute} })
		var wg sync.WaitGroup
		for i, rank := range []int{0, 2, 1, 0} {
			e := envelope(t, fmt.Sprintf("p%d-%d@example.org", rank, i))
			e.Urgency = incident.Urgency(rank)
			wg.Go(func() { s.Send(t.Context(), e, carryOn) })
			synctest.Wait()
		}
		wg.Wait()
		var got []string
		for _, m := range server.Mails() {
			got = append(got, strings.TrimSuffix(m.To, "@example.org"))
		}
		if want := []string{"p0-0", "p0-3", "p1-2"}; !slices.Equal(got, want) {
			t.Errorf("taken in the order %v, want %v, and the last is planned anew", got, want)
		}
	})
}

func TestIdleConnectionsAreClosedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := mailtest.New(mailtest.Behaviour{})
		s := bubbled(t, server, nil)
		if err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if lines := server.Lines(); lines[len(lines)-1] != "QUIT" {
			t.Errorf("after 6 s it is still open: %q", lines)
		}
	})
}

// A mail is not bound to a connection that is being made: it goes on whichever is ready.
func TestAMailTakesTheConnectionThatIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := mailtest.New(doing("greeting", "first 1 wait 50s"))
		s := bubbled(t, server, nil)
		start := time.Now()
		var wg sync.WaitGroup
		var mu sync.Mutex
		var took []time.Duration
		for i := range 2 {
			wg.Go(func() {
				if err := s.Send(t.Context(), envelope(t, fmt.Sprintf("r%d@example.org", i)), carryOn); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(start))
			})
		}
		wg.Wait()
		if len(took) != 2 || took[1] > time.Second {
			t.Errorf("handed over after %v, want both at once, over the connection that was ready", took)
		}
	})
}

// Where a server takes commands at once it is told from whom, to whom and that a mail follows in one go. One that
// waits for the mail nevertheless, after it refused the reader, gets nothing on that connection any more.
func TestCommandsAreSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := "250 fine\r\n550 5.1.1 no such user\r\n354 go on\r\n"
		said, after := make(chan string, 1), make(chan string, 1)
		s := bubbled(t, mailtest.New(mailtest.Behaviour{}), nil)
		s.dial = func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				b := make([]byte, 4096)
				for _, reply := range []string{"220 hello\r\n", "250-hello\r\n250 PIPELINING\r\n", replies} {
					_, _ = io.WriteString(far, reply)
					n, _ := far.Read(b)
					if reply == replies {
						after <- string(b[:n])
					} else if reply != "220 hello\r\n" {
						said <- string(b[:n])
					}
				}
				far.Close()
			}()
			return near, nil
		}
		err := s.Send(t.Context(), envelope(t, "cto@example.org"), carryOn)
		if !errors.Is(err, router.ErrPermanent) {
			t.Errorf("error %v, want a final one", err)
		}
		if got, want := <-said, "MAIL FROM:<incidents@example.org>\r\nRCPT TO:<cto@example.org>\r\nDATA\r\n"; got != want {
			t.Errorf("said %q at once, want %q", got, want)
		}
		if got := <-after; got != "" {
			t.Errorf("then it said %q, want that it leaves", got)
		}
	})
}
