package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sitrep/config"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// An office is a notary with a store and a witness of its own, in virtual time.
type office struct {
	*notary
	t       *testing.T
	store   *bolt.DB
	inForce atomic.Pointer[config.Config]
	log     bytes.Buffer // of which slog writes one line at a time

	mu    sync.Mutex
	told  []visit
	fails error
	loads int
}

// A visit is that the witness was told.
type visit struct {
	at   time.Time
	size int64
}

func newOffice(t *testing.T, every time.Duration) *office {
	t.Helper()
	o := &office{t: t}
	o.load(every)
	var err error
	if o.store, err = bolt.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"), bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.store.Close(); err != nil {
			t.Error(err)
		}
	})
	key, err := ledger.GenerateKey("sitrep.example.org/ledger")
	if err != nil {
		t.Fatal(err)
	}
	o.notary = newNotary(&notary{
		owner: "test",
		store: o.store, key: key, log: slog.New(slog.NewTextHandler(&o.log, nil)), config: o.inForce.Load, tell: o.tell,
	}, prometheus.NewRegistry())
	return o
}

// load puts a configuration into force whose witness is told so often; never if 0.
func (o *office) load(every time.Duration) {
	c := &config.Config{}
	if every > 0 {
		c.Evidence.Witness = &config.Witness{Email: config.Address{Address: "audit@example.org"}, Every: every}
	}
	o.inForce.Store(c)
}

func (o *office) tell(_ context.Context, _ *config.Witness, signed []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fails != nil {
		return o.fails
	}
	c, err := ledger.OpenCheckpoint(signed, o.key.Public())
	if err != nil {
		o.t.Errorf("the witness cannot verify it: %v", err)
	}
	o.told = append(o.told, visit{now(), c.Size})
	return nil
}

func (o *office) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fails = err
}

// visits are when the witness was told, and of how many leaves, since the last call.
func (o *office) visits() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for _, v := range o.told {
		all = append(all, fmt.Sprintf("%s:%d", v.at.Format("02T15:04"), v.size))
	}
	o.told = nil
	return strings.Join(all, " ")
}

// work adds a leaf to the ledger.
func (o *office) work() {
	o.t.Helper()
	o.loads++
	hash := fmt.Sprint(o.loads)
	err := o.store.Write(context.Background(), func(tx storage.Tx) error {
		return tx.PutConfig(o.t.Context(), storage.Loading{Hash: hash, At: now(), Actor: "ada"}, storage.Config{Hash: hash, Body: []byte("{}")})
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// pass lets time pass while the notary works.
func (o *office) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// open lets the notary work until the function that is returned is called.
func (o *office) open() (closing func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.run(ctx)
	}()
	synctest.Wait()
	return func() {
		cancel()
		<-done
		o.end()
	}
}

// signed is how many leaves the latest checkpoint signs, and how many there are.
func (o *office) signed() string {
	o.t.Helper()
	var head storage.LogHead
	err := o.store.Read(context.Background(), func(r storage.Snapshot) (err error) {
		head, err = r.LogHead(o.t.Context())
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	c, err := ledger.OpenCheckpoint(head.Signed, o.key.Public())
	if err != nil {
		o.t.Fatal(err)
	}
	return fmt.Sprintf("%d of %d", c.Size, head.Size)
}

func (o *office) want(what, got, want string) {
	o.t.Helper()
	if got != want {
		o.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// The bubbles begin at midnight of 1 January 2000, UTC.

func TestTheLedgerIsSignedEachMinuteWhileItGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		o.work()
		stop := o.open()
		o.want("at the start", o.signed(), "1 of 1")
		o.work()
		o.pass(59 * time.Second)
		o.want("within the minute", o.signed(), "1 of 2")
		o.pass(time.Second)
		o.want("after it", o.signed(), "2 of 2")
		before := testutil.ToFloat64(o.signedAt)
		o.pass(time.Hour)
		if after := testutil.ToFloat64(o.signedAt); after != before {
			t.Error("it was signed again though it did not grow")
		}
		o.work()
		stop()
		o.want("at the end", o.signed(), "3 of 3")
		o.want("no witness", o.visits(), "")
	})
}

func TestTheWitnessIsToldOncePerSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 6*time.Hour)
		o.work()
		stop := o.open()
		o.want("at the first start", o.visits(), "01T00:00:1")
		o.work()
		o.pass(5*time.Hour + 59*time.Minute)
		o.want("within the slot", o.visits(), "")
		o.work()
		o.pass(time.Minute)
		o.want("in the next, with all that there is", o.visits(), "01T06:00:3")
		o.pass(24 * time.Hour)
		o.want("each, though nothing happened", o.visits(), "01T12:00:3 01T18:00:3 02T00:00:3 02T06:00:3")
		if d := o.describe(); d.Witness != "audit@example.org" || d.Every != 6*time.Hour || d.WitnessedAt.Format("02T15:04") != "02T06:00" {
			t.Errorf("described as %+v", d)
		}
		stop()

		// Another run in the same slot has nothing to tell; one in a later has.
		for _, c := range []struct {
			after         time.Duration
			lastRun, want string
		}{{0, "02T06:30", ""}, {6 * time.Hour, "02T11:59", "02T12:00:3"}} {
			time.Sleep(c.after)
			var err error
			if o.lastRun, err = time.Parse("2006-01-02T15:04", "2000-01-"+c.lastRun); err != nil {
				t.Fatal(err)
			}
			stop = o.open()
			o.want("after a run at "+c.lastRun, o.visits(), c.want)
			stop()
		}
	})
}

func TestAWitnessWhoIsNotReachedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 24*time.Hour)
		o.work()
		o.fail(errors.New("no such host"))
		stop := o.open()
		defer stop()
		o.pass(10*time.Minute + 30*time.Second)
		if n := testutil.ToFloat64(o.failures.WithLabelValues("witness")); n != 11 {
			t.Errorf("counted %v failures", n)
		}
		if d := o.describe(); d.WitnessError != "no such host" || !d.WitnessedAt.IsZero() {
			t.Errorf("described as %+v", d)
		}
		if !strings.Contains(o.log.String(), `level=WARN msg="the witness was not told, it is tried again" component=notary err="no such host"`) {
			t.Errorf("logged %s", &o.log)
		}
		o.work()
		o.fail(nil)
		o.pass(time.Minute)
		o.want("then", o.visits(), "01T00:11:2")
		o.pass(24 * time.Hour)
		o.want("and in the next slot", o.visits(), "02T00:00:2")
		if d := o.describe(); d.WitnessError != "" {
			t.Errorf("described as %+v", d)
		}
		if n := testutil.ToFloat64(o.failures.WithLabelValues("sign")); n != 0 {
			t.Errorf("counted %v failures to sign", n)
		}
	})
}

func TestAWitnessMayComeWithAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		o.work()
		stop := o.open()
		defer stop()
		o.pass(90 * time.Second)
		o.load(time.Hour)
		o.pass(time.Minute)
		o.want("with the next signing", o.visits(), "01T00:02:1")
		o.load(0)
		o.pass(5 * time.Hour)
		o.want("gone again", o.visits(), "")
	})
}

// A ledger that does not go on from what was signed is not signed, nobody is told, and
// nothing is exported.
func TestALedgerThatWasRewrittenIsNotSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, time.Hour)
		o.work()
		forged, err := o.key.Sign(ledger.Checkpoint{Size: 1, Root: ledger.Hash{1}, At: now()})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.store.Write(t.Context(), func(tx storage.Tx) error { return tx.PutCheckpoint(t.Context(), 1, forged) }); err != nil {
			t.Fatal(err)
		}
		stop := o.open()
		defer stop()
		o.pass(time.Minute)
		o.want("the witness", o.visits(), "")
		if n := testutil.ToFloat64(o.failures.WithLabelValues("sign")); n != 2 || !strings.Contains(o.log.String(), "level=ERROR") {
			t.Errorf("counted %v failures, logged %s", n, &o.log)
		}
	})
}

// A fullStore takes nothing.
type fullStore struct{ storage.Store }

func (f fullStore) Write(ctx context.Context, fn func(storage.Tx) error) error {
	_ = f.Store.Write(ctx, func(tx storage.Tx) error { return errors.Join(fn(tx), storage.ErrUnavailable) })
	return storage.ErrUnavailable
}

// The witness is told of no checkpoint that was not kept.
func TestTheWitnessIsToldOfNothingThatWasNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, time.Hour)
		o.work()
		kept := o.notary.store
		o.notary.store = fullStore{kept}
		stop := o.open()
		defer stop()
		o.pass(90 * time.Second)
		o.want("while nothing is kept", o.visits(), "")
		if d := o.describe(); !d.WitnessedAt.IsZero() {
			t.Errorf("described as %+v", d)
		}
	})
}

func TestPostingToAWitness(t *testing.T) {
	var status int
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := new(strings.Builder)
		_, _ = fmt.Fprint(b, r.Method, " ", r.Header.Get("Content-Type"))
		got = append(got, b.String())
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	url := server.URL + "/secret-path?key=secret-key"
	client, err := new(config.Witness).HTTPConfig.NewPoster()
	if err != nil {
		t.Fatal(err)
	}
	for _, status = range []int{200, 202, 302, 404, 500} {
		err := postCheckpoint(t.Context(), client, url, []byte("x"))
		if (err == nil) != (status < 300) || err != nil && (!strings.Contains(err.Error(), server.URL) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%d: %v", status, err)
		}
	}
	if len(got) != 5 || got[0] != "POST text/plain; charset=utf-8" {
		t.Errorf("asked %q", got)
	}
	server.Close()
	if err := postCheckpoint(t.Context(), client, url, []byte("x")); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
}
