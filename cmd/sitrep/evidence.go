package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/audit"
	"sitrep/config"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/router"
	"sitrep/router/webhook"
	"sitrep/storage"
)

const (
	// sealEvery is how often the ledger is signed while it grows.
	sealEvery = time.Minute
	// checkFirst and checkEvery say when the checksums of the whole store are looked at.
	checkFirst = 10 * time.Minute
	checkEvery = 24 * time.Hour
)

// A notary signs the ledger, and tells a witness what was signed.
type notary struct {
	store   storage.Store
	key     *ledger.Key
	log     *slog.Logger
	inForce func() *inForce

	size     prometheus.Gauge
	sealedAt prometheus.Gauge
	failures *prometheus.CounterVec
	checked  prometheus.Gauge
}

func newNotary(store storage.Store, key *ledger.Key, log *slog.Logger, reg prometheus.Registerer, inForce func() *inForce) *notary {
	n := &notary{
		store: store, key: key, log: log.With(slog.String("component", "notary")), inForce: inForce,
		size: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sitrep_ledger_size", Help: "Leaves of the ledger that the latest checkpoint signs."}),
		sealedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sitrep_ledger_checkpoint_timestamp_seconds", Help: "When the latest checkpoint of the ledger was signed.",
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_ledger_failures_total", Help: "Failures to sign the ledger, or to tell the witness.",
		}, []string{"step"}),
		checked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sitrep_storage_last_check_successful", Help: "Whether the last look at all checksums of the store found nothing; 1 before the first.",
		}),
	}
	n.checked.Set(1)
	n.failures.WithLabelValues("sign")
	n.failures.WithLabelValues("witness")
	reg.MustRegister(n.size, n.sealedAt, n.failures, n.checked)
	return n
}

// ledgerKey returns the key that signs the ledger, and makes it at the first start.
func ledgerKey(c *config.Config, store, external string) (*ledger.Key, error) {
	path := c.Evidence.KeyPath
	if path == "" {
		path = store + ".key"
	}
	key, err := ledger.LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	host := "sitrep"
	if u, err := url.Parse(external); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	// No two ledgers share a name, not even two of one host.
	name := strings.ReplaceAll(host, ":", ".") + "/ledger-" + strings.ToLower(rand.Text()[:8])
	if key, err = ledger.GenerateKey(name); err != nil {
		return nil, err
	}
	return key, key.Save(path)
}

// run signs and tells until ctx is done, and signs once more then.
func (n *notary) run(ctx context.Context) {
	ticker := time.NewTicker(sealEvery)
	defer ticker.Stop()
	slot := n.slot(now())
	for {
		n.seal(ctx)
		if next := n.slot(now()); !next.Equal(slot) {
			if n.witness(ctx) {
				slot = next
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			n.seal(last)
			cancel()
			return
		}
	}
}

func (n *notary) seal(ctx context.Context) {
	signed, err := storage.Seal(ctx, n.store, n.key, now())
	if err != nil {
		if ctx.Err() == nil {
			n.failures.WithLabelValues("sign").Inc()
			n.log.Error("the ledger was not signed", slog.Any("err", err))
		}
		return
	}
	if c, err := ledger.ReadCheckpoint(signed); err == nil {
		n.size.Set(float64(c.Size))
		n.sealedAt.Set(float64(c.At.Unix()))
	}
}

// export writes evidence, signed by the key of the ledger.
func (n *notary) export(ctx context.Context, w io.Writer, o audit.ExportOptions) (audit.ExportSummary, error) {
	o.Key = n.key
	return audit.Export(ctx, n.store, w, o)
}

// slot is the stretch of time in which the witness is told once.
func (n *notary) slot(at time.Time) time.Time {
	w := n.inForce().config.Evidence.Witness
	if w == nil || w.Every <= 0 {
		return time.Time{}
	}
	return at.Truncate(w.Every)
}

// witness tells the one outside the latest checkpoint, and reports whether it did.
func (n *notary) witness(ctx context.Context) bool {
	f := n.inForce()
	w := f.config.Evidence.Witness
	if w == nil {
		return true
	}
	var signed []byte
	err := n.store.Read(ctx, func(r storage.Reader) (err error) {
		signed, err = r.LastCheckpoint()
		return err
	})
	if err == nil && signed != nil {
		if w.Email.Address != "" {
			err = f.mailCheckpoint(ctx, w.Email, signed, n.key.Public())
		} else {
			err = postCheckpoint(ctx, string(w.URL), signed)
		}
	}
	if err != nil {
		n.failures.WithLabelValues("witness").Inc()
		n.log.Warn("the witness was not told, it is tried again", slog.Any("err", err))
		return false
	}
	n.log.Info("witness told of the ledger")
	return true
}

// mailCheckpoint mails a checkpoint, so that it stands where the operator of sitrep
// cannot change it.
func (f *inForce) mailCheckpoint(ctx context.Context, to config.Address, signed []byte, public string) error {
	if f.mail == nil {
		return errors.New("no mail is configured")
	}
	at := now()
	id := "checkpoint." + strings.ToLower(rand.Text()[:16])
	text := fmt.Sprintf("This is what sitrep's ledger of incidents looked like on %s.\nKeep it: with it anyone can prove later that nothing before was changed:\n\n"+
		"    sitrep audit verify --checkpoint=FILE\n\nwhere FILE holds the lines below. They are signed by the key\n%s\n\n%s",
		at.Format(time.RFC3339), public, signed)
	body, err := f.letterhead.RenderNote(id, netmail.Address{Name: to.Name, Address: to.Address}, "sitrep ledger checkpoint of "+at.Format(time.DateOnly), text, at)
	if err != nil {
		return err
	}
	rcpt := incident.Recipient{ID: "witness", Channel: incident.Email, Name: to.Name, Address: to.Address}
	return f.mail.Send(ctx, router.Envelope{ID: id, Recipient: rcpt, Body: body}, func(context.Context) error { return nil })
}

// postCheckpoint posts a checkpoint as it is.
func postCheckpoint(ctx context.Context, to string, signed []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(signed))
	if err != nil {
		return fmt.Errorf("post to %s: the URL is malformed", webhook.Place(to))
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which may be a secret
		}
		return fmt.Errorf("post to %s: %w", webhook.Place(to), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("post to %s: answered %s", webhook.Place(to), resp.Status)
	}
	return nil
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
			n.checked.Set(0)
			n.log.Error("the store is damaged: restore a backup, and keep this file for whoever looks into it", slog.Any("err", err))
		default:
			n.checked.Set(1)
			n.log.Info("store checked", slog.Duration("duration", time.Since(began)))
		}
	}
}
