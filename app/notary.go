package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"sitrep/audit"
	"sitrep/config"
	"sitrep/ledger"
	"sitrep/storage"
)

const (
	// sealEvery is how often the ledger is signed while it grows, and how often a
	// witness who was not reached is tried again.
	signEvery = time.Minute
	// lastSeal and witnessWithin bound how long the last signing before the end, and
	// telling the witness, may take.
	lastSign      = 5 * time.Second
	witnessWithin = 30 * time.Second
	// checkFirst and checkEvery say when the checksums of the whole store are looked at.
	checkFirst = 10 * time.Minute
	checkEvery = 24 * time.Hour
)

// A notary signs the ledger, and tells a witness what was signed.
type notary struct {
	store storage.Store
	owner string // of the process, for jobs
	key   *ledger.Key
	// mayBeNew allows to go on, once, after what another key signed.
	mayBeNew atomic.Bool
	log      *slog.Logger
	// config returns the configuration in force.
	config func() *config.Config
	// rests reports whether the clock of this process is wrong: then others sign. Nil: it never is.
	rests func() bool
	// tell brings a signed checkpoint to the witness.
	tell func(ctx context.Context, w *config.Witness, signed []byte) error
	// lastRun is when sitrep was last known to run before this; zero if never.
	lastRun time.Time

	mu        sync.Mutex
	witnessed time.Time // when the witness was last told; zero if not in this run
	failed    error     // why the last attempt failed; nil if it did not

	size      prometheus.Gauge
	signedAt  prometheus.Gauge
	toldAt    prometheus.Gauge
	failures  *prometheus.CounterVec
	checkedOK prometheus.Gauge
}

// newNotary gives a notary its metrics.
func newNotary(n *notary, reg prometheus.Registerer) *notary {
	n.log = n.log.With(slog.String("component", "notary"))
	f := promauto.With(reg)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	n.size = gauge("sitrep_ledger_size", "Leaves of the ledger that the latest checkpoint signs.")
	n.signedAt = gauge("sitrep_ledger_checkpoint_timestamp_seconds", "When the latest checkpoint of the ledger was signed.")
	n.toldAt = gauge("sitrep_ledger_witness_timestamp_seconds", "When the witness was last told; 0 if not since the start.")
	n.failures = f.NewCounterVec(prometheus.CounterOpts{
		Name: "sitrep_ledger_failures_total", Help: "Failures to sign the ledger, or to tell the witness.",
	}, []string{"step"})
	n.checkedOK = gauge("sitrep_storage_last_check_successful", "Whether the last look at all checksums of the store found nothing; 1 before the first.")
	n.checkedOK.Set(1)
	n.failures.WithLabelValues("sign")
	n.failures.WithLabelValues("witness")
	return n
}

// begin looks when sitrep last ran on the store. It is called before anything else writes.
func (n *notary) begin(ctx context.Context) error {
	return n.store.Read(ctx, func(r storage.Snapshot) (err error) {
		n.lastRun, err = r.Alive(ctx)
		return err
	})
}

// run signs and tells until ctx is done.
func (n *notary) run(ctx context.Context) {
	ticker := time.NewTicker(signEvery)
	defer ticker.Stop()
	// Who ran in the same slot of time has told the witness.
	told := n.slot(n.lastRun)
	// Half of the time, so that no tick comes too soon.
	job := storage.Job{Name: "sign", Owner: n.owner, Lease: signEvery, Every: signEvery / 2}
	for {
		if at := now(); n.rests == nil || !n.rests() {
			signed, err := n.noted(ctx, func() ([]byte, error) { return storage.SignLogOnce(ctx, n.store, n.key, at, job) })
			if slot := n.slot(at); err == nil && signed != nil && !slot.IsZero() && !slot.Equal(told) && n.witnessOnce(ctx, signed, slot, at) {
				told = slot
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// end signs what came last.
func (n *notary) end() {
	if n.rests != nil && n.rests() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastSign)
	defer cancel()
	_, _ = n.sign(ctx) // logged there
}

// sign signs the ledger as it stands, and returns its latest checkpoint.
func (n *notary) sign(ctx context.Context) ([]byte, error) {
	return n.noted(ctx, func() ([]byte, error) { return storage.SignLog(ctx, n.store, n.key, now()) })
}

// noted notes what became of signing.
func (n *notary) noted(ctx context.Context, sign func() ([]byte, error)) ([]byte, error) {
	err := n.mine(ctx)
	var signed []byte
	if err == nil {
		signed, err = sign()
	}
	if err != nil {
		if ctx.Err() == nil {
			n.failures.WithLabelValues("sign").Inc()
			n.log.Error("the ledger was not signed", slog.Any("err", err))
		}
		return nil, err
	}
	if c, err := ledger.ReadCheckpoint(signed); err == nil {
		n.size.Set(float64(c.Size))
		n.signedAt.Set(float64(c.At.Unix()))
	}
	return signed, nil
}

// errOtherKey is a ledger that another process signs with another key.
var errOtherKey = errors.New("another key has signed the ledger since: give this process the file of that key, and start it again")

// mine makes sure that the ledger is this key's to sign: keys that sign in turn prove nothing.
func (n *notary) mine(ctx context.Context) error {
	latest, err := lastSigned(ctx, n.store)
	if err != nil {
		return err
	}
	if SignedBy(latest, n.key) {
		n.mayBeNew.Store(false)
	} else if !n.mayBeNew.Load() {
		return fmt.Errorf("%w (it is %s)", errOtherKey, Signer(latest))
	}
	return nil
}

// export writes evidence, signed by the key of the ledger as it is now. A ledger that
// does not go on from what was signed before is not signed again.
func (n *notary) export(ctx context.Context, w io.Writer, o audit.ExportOptions) (audit.ExportSummary, error) {
	if _, err := n.sign(ctx); errors.Is(err, storage.ErrDamaged) || errors.Is(err, errOtherKey) {
		return audit.ExportSummary{}, err
	}
	o.Key = n.key
	return audit.Export(ctx, n.store, w, o)
}

// slot is the stretch of time in which the witness is told once; zero if nobody is.
func (n *notary) slot(at time.Time) time.Time {
	w := n.config().Evidence.Witness
	if w == nil || w.Every <= 0 {
		return time.Time{}
	}
	return at.Truncate(w.Every)
}

// witnessOnce tells the witness in a slot of time unless another process does or did, and
// reports whether that was done. Where that cannot be found out it is better told twice.
func (n *notary) witnessOnce(ctx context.Context, signed []byte, slot, at time.Time) (told bool) {
	j := storage.Job{Name: "witness", Owner: n.owner, Lease: 2 * witnessWithin, Every: math.MaxInt64, For: slot.Format(time.RFC3339)}
	asked := false
	_, err := storage.DoJob(ctx, n.store, j, at, func() (bool, error) {
		asked, told = true, n.witness(ctx, signed)
		return !told, nil
	})
	if err != nil && !asked {
		return n.witness(ctx, signed)
	}
	return told
}

// witness tells the one outside a checkpoint, and reports whether that was done.
func (n *notary) witness(ctx context.Context, signed []byte) bool {
	w := n.config().Evidence.Witness
	if w == nil {
		return false
	}
	within, cancel := context.WithTimeout(ctx, witnessWithin)
	defer cancel()
	err := n.tell(within, w, signed)
	if err != nil && ctx.Err() != nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed = err; err != nil {
		n.failures.WithLabelValues("witness").Inc()
		n.log.Warn("the witness was not told, it is tried again", slog.Any("err", err))
		return false
	}
	n.witnessed = now()
	n.toldAt.Set(float64(n.witnessed.Unix()))
	n.log.Info("witness told of the ledger")
	return true
}

// describe says what is known of the ledger beside what the store holds.
func (n *notary) describe() ledger.Status {
	w := n.config().Evidence.Witness
	out := ledger.Status{PublicKey: n.key.Public(), Witness: witnessName(w)}
	if w == nil {
		return out
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	out.Every, out.WitnessedAt = w.Every, n.witnessed
	if n.failed != nil {
		out.WitnessError = n.failed.Error()
	}
	return out
}

// check looks at all checksums of the store now and then.
func (n *notary) check(ctx context.Context, check func(context.Context) error) {
	timer := time.NewTimer(checkFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(checkEvery)
		began := time.Now()
		err := check(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			n.checkedOK.Set(0)
			n.log.Error("the store is damaged: restore a backup, and keep this file for whoever looks into it", slog.Any("err", err))
		default:
			n.checkedOK.Set(1)
			n.log.Info("store checked", slog.Duration("duration", time.Since(began)))
		}
	}
}
