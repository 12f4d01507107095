package router_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router/routertest"
	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

// A wire counts what goes to a database.
type wire struct {
	mu         sync.Mutex
	trips      int
	statements map[string]int
}

func (w *wire) trace(statements []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trips++
	for _, sql := range statements {
		w.statements[sql]++
	}
}

// reset begins to count anew, and returns how much there was.
func (w *wire) reset() (trips int, statements map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	trips, statements = w.trips, w.statements
	w.trips, w.statements = 0, map[string]int{}
	return trips, statements
}

// wired returns what opens a new database, and counts what goes there.
func wired(t *testing.T) (*wire, func(context.Context) (storage.Store, error)) {
	t.Helper()
	return wiredTo(t, postgrestest.Database(t))
}

// wiredTo is wired with a database that has nothing yet.
func wiredTo(t *testing.T, url string) (*wire, func(context.Context) (storage.Store, error)) {
	t.Helper()
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	w := &wire{statements: map[string]int{}}
	return w, func(ctx context.Context) (storage.Store, error) {
		db, err := postgres.Open(ctx, url, postgres.Options{Trace: w.trace})
		return bubbled{db}, err
	}
}

// frequent lists statements, the most frequent first.
func frequent(statements map[string]int) string {
	var b strings.Builder
	for _, sql := range slices.SortedFunc(maps.Keys(statements), func(a, b string) int { return statements[b] - statements[a] }) {
		fmt.Fprintf(&b, "\n%5d %.100s", statements[sql], strings.Join(strings.Fields(sql), " "))
	}
	return b.String()
}

// A replica that has nothing to do asks little: once a second whether that is still so. What the
// service does beside that, such as to sign the log, is to find room in two statements a second.
func TestAnIdleReplicaAsksADatabaseLittle(t *testing.T) {
	cluster := postgrestest.Start(t)
	// The server's log has also what the trace is not told of: that a connection was tried.
	wire, open := wiredTo(t, cluster.Database(t)+"&options=-c%20log_statement%3Dall")
	sent := func() int {
		return bytes.Count(cluster.Log(), []byte("LOG:  statement: ")) + bytes.Count(cluster.Log(), []byte("LOG:  execute "))
	}
	synctest.Test(t, func(t *testing.T) {
		// Each look comes a little late, as on a machine.
		w := newWorld(t, routertest.Options{Open: open, Poll: time.Second + time.Millisecond})
		w.Start()
		w.Fire("p1", "a")
		w.Pass(2 * time.Minute)
		wire.reset()
		before := sent()
		const minutes = 5
		w.Pass(minutes * time.Minute)
		_, statements := wire.reset()
		if n := sent() - before; n > 90*minutes || n < 59*minutes {
			t.Errorf("%d statements in %d minutes, 1 to 1.5 a second are asked:%s", n, minutes, frequent(statements))
		} else {
			t.Logf("%d statements in %d minutes", n, minutes)
		}
	})
}

// A message that is all that is due takes few round trips from what makes it due to its record.
func TestAMessageTakesFewRoundTrips(t *testing.T) {
	const most = 33 // with what gives its leaves their places in the log, which may take them in one go or in two
	wire, open := wired(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: ctoAlone(), Open: open, Poll: time.Hour})
		w.Start()
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Expect("cto opened")
		wire.reset()
		w.Do(1, command.Update{Message: "we look"})
		w.Pass(time.Second)
		w.Expect("cto update")
		if trips, statements := wire.reset(); trips > most {
			t.Errorf("%d round trips, at most %d are needed:%s", trips, most, frequent(statements))
		} else {
			t.Logf("%d round trips", trips)
		}
	})
}

// Messages to many readers share round trips, statements and transactions.
func TestManyMessagesShareRoundTrips(t *testing.T) {
	const readers, most, mostStatements = 300, 3 * 300, 7 * 300
	wire, open := wired(t)
	synctest.Test(t, func(t *testing.T) {
		p := ctoAlone()
		p.Groups[0].Recipients = nil
		for i := range readers {
			p.Groups[0].Recipients = append(p.Groups[0].Recipients, incidenttest.Mail(fmt.Sprint("reader-", i)))
		}
		p.Index()
		w := newWorld(t, routertest.Options{Policy: p, Open: open, Poll: time.Hour})
		w.Start()
		w.Pass(time.Minute)
		wire.reset()
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		trips, statements := wire.reset()
		all := 0
		for _, n := range statements {
			all += n
		}
		if n := len(w.Mails()); n != readers {
			t.Errorf("%d were told", n)
		}
		if trips > most || all > mostStatements {
			t.Errorf("%d round trips with %d statements, at most %d and %d are needed:%s", trips, all, most, mostStatements, frequent(statements))
		} else {
			t.Logf("%d round trips, %d statements", trips, all)
		}
	})
}

// A digest of many takes as many round trips as one of a few.
func TestADigestTakesFewRoundTrips(t *testing.T) {
	wire, open := wired(t)
	digest := func(n int) (trips int, statements map[string]int) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, routertest.Options{Open: open, Poll: time.Hour})
			alerts := w.many("storm", n)
			w.Start()
			w.Pass(time.Minute)
			wire.reset()
			w.Post(alerts...)
			w.Pass(2 * time.Minute)
			trips, statements = wire.reset()
			told := 0
			for _, m := range w.Mails() {
				if m.Kind == incident.KindDigest {
					told = max(told, len(m.Items))
				}
			}
			if told < n*3/4 {
				t.Errorf("a digest of %d, of %d", told, n)
			}
			w.Stop()
		})
		return trips, statements
	}
	few, _ := digest(20)
	many, statements := digest(100)
	if many > few+few/5 {
		t.Errorf("of 20 %d round trips, of 100 %d:%s", few, many, frequent(statements))
	}
}
