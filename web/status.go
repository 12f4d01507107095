package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/wording"
)

type statusPage struct {
	layout
	Service   Service
	Started   *moment
	Hash      string
	Loaded    *moment
	Behind    *moment // since when
	Info      storage.Info
	Size      string
	Slow      *moment
	Due       int
	DueLimit  bool
	Oldest    *moment
	OldestAgo string
	Retries   storage.Retries
	Retried   *moment // since when
	Servers   []serverInfo
	Open      []openCount
	Watchdog  struct {
		Expected bool
		Within   time.Duration
		Pulses   []pulseInfo
		Away     []pulseInfo // those of them
	}
	Ledger   ledgerInfo
	Refusals []refusalInfo
	Outages  []outageInfo
	Loadings []loadingInfo
	// MoreWarnings are those of the configuration that are not shown.
	MoreWarnings int
}

// A pulseInfo is a pulse of the watchdog.
type pulseInfo struct {
	Name        string // in words; empty if there is one
	Heard, Away *moment
}

// pulses describes pulses, ordered as they are.
func (l *layout) pulses(all incident.Pulses) (list []pulseInfo) {
	for _, p := range all {
		list = append(list, pulseInfo{wording.Pulse(p.Labels), l.at(p.HeardAt), l.at(p.AwaySince)})
	}
	return list
}

type ledgerInfo struct {
	ledger.Status
	Size, Signed int64 // leaves
	At           *moment
	Told         *moment
}

type openCount struct {
	Priority, Tone string
	Count          int
}

// A serverInfo is a server that cannot be used, or refuses all alike.
type serverInfo struct {
	Name       string
	Since      *moment
	RefusesAll bool
	Error      string
}

type refusalInfo struct {
	At             *moment
	Status         int
	Client, Reason string
}

type outageInfo struct {
	From, To *moment
	Lasted   string
	ClockSet bool // then no time passed
}

type loadingInfo struct {
	At    *moment
	Hash  string
	Actor incident.Actor
}

func (h *Handler) status(w http.ResponseWriter, r *http.Request) error {
	p := statusPage{layout: h.layout(r, "Status"), Service: h.Service()}
	if !p.Role.May(access.Admin) {
		p.Service.ConfigError, p.Service.Warnings = p.Service.ConfigPlaces, p.Service.WarningPlaces
	}
	p.cutProblems()
	p.Started, p.Loaded, p.Hash = p.at(p.Service.StartedAt), p.at(p.Service.LoadedAt), p.policy.Hash
	p.Behind = p.at(p.Service.BehindSince)
	p.Watchdog.Within = p.policy.Watchdog.Within
	p.Watchdog.Expected = p.Watchdog.Within > 0
	p.Trouble = nil // it stands below in full
	p.Ledger = ledgerInfo{Status: p.Service.Ledger, Told: p.at(p.Service.Ledger.WitnessedAt)}
	var err error
	if p.Info, err = h.Repo.Store.Info(r.Context()); err != nil {
		return err
	}
	p.Size, p.Slow = size(p.Info.Bytes), p.at(p.Info.Slow)
	err = h.Repo.Store.Read(r.Context(), func(tx storage.Snapshot) error {
		p.Open, p.Refusals, p.Outages, p.Loadings = nil, nil, nil, nil
		return p.read(r.Context(), tx)
	})
	if err != nil {
		return err
	}
	return h.render(w, http.StatusOK, "status", &p)
}

// cutProblems leaves so much of what is wrong with the configuration that a page can show
// it.
func (p *statusPage) cutProblems() {
	left := room{left: textShown}
	for i, w := range p.Service.Warnings {
		if !left.take(len(w)) {
			p.MoreWarnings = len(p.Service.Warnings) - i
			p.Service.Warnings = p.Service.Warnings[:i]
			break
		}
	}
	if text := p.Service.ConfigError; len(text) > textShown {
		end := max(strings.LastIndexByte(text[:textShown], '\n'), 0)
		p.Service.ConfigError = text[:end] + "\n…"
	}
}

func (p *statusPage) read(ctx context.Context, tx storage.Snapshot) error {
	if err := p.readLedger(ctx, tx); err != nil {
		return err
	}
	due, oldest, err := tx.Backlog(ctx, p.clock.Now)
	if err != nil {
		return err
	}
	p.Due, p.DueLimit, p.Oldest = due, due >= 10000, p.at(oldest)
	if !oldest.IsZero() {
		p.OldestAgo = p.ago(oldest)
	}
	if p.Retries, err = storage.ReadRetries(ctx, tx); err != nil {
		return err
	}
	p.Retries.LastError = wording.Line(p.Retries.LastError, 300)
	p.Retried, p.Servers = p.at(p.Retries.Since), nil
	for _, s := range p.Service.Servers {
		p.Servers = append(p.Servers, serverInfo{s.Name, p.at(s.Since), s.RefusesAll, wording.Line(s.Error, 300)})
	}
	open, err := tx.OpenIncidents(ctx)
	if err != nil {
		return err
	}
	for _, q := range p.policy.Priorities {
		p.Open = append(p.Open, openCount{q.Name, rank(q.Rank), open[q.Name]})
	}
	pulses, err := tx.Pulses(ctx)
	if err != nil {
		return err
	}
	p.Watchdog.Pulses, p.Watchdog.Away = p.pulses(pulses.In(p.policy)), p.pulses(pulses.Away(p.policy, nil))
	refusals, err := storage.Refusals(ctx, tx)
	if err != nil {
		return err
	}
	for _, f := range refusals {
		p.Refusals = append(p.Refusals, refusalInfo{p.at(f.At), f.Status, wording.Line(f.Client, 120), wording.Line(f.Reason, 1000)})
	}
	outages, err := storage.Outages(ctx, tx, 20)
	if err != nil {
		return err
	}
	for _, o := range outages {
		p.Outages = append(p.Outages, outageInfo{p.at(o.From), p.at(o.To), wording.Duration(o.To.Sub(o.From).Abs()), o.Kind == storage.ClockSet})
	}
	loadings, err := storage.Loadings(ctx, tx)
	for _, l := range loadings[:min(len(loadings), 20)] {
		p.Loadings = append(p.Loadings, loadingInfo{p.at(l.At), l.Hash, l.Actor})
	}
	return err
}

// readLedger reads how far the ledger goes, and how far it is signed.
func (p *statusPage) readLedger(ctx context.Context, tx storage.Snapshot) error {
	head, err := tx.LogHead(ctx)
	if p.Ledger.Size = head.Size; err != nil || head.Signed == nil {
		return err
	}
	c, err := ledger.ReadCheckpoint(head.Signed)
	p.Ledger.Signed, p.Ledger.At = c.Size, p.at(c.At)
	return err
}

// size writes a number of bytes.
func size(n int64) string {
	unit, f := "bytes", float64(n)
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		unit, f = next, f/1024
	}
	if unit == "bytes" {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}
