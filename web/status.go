package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/internal/status"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/wording"
)

type statusPage struct {
	layout
	Service   status.Service
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
	Canary   canaryInfo
	Ledger   ledgerInfo
	Replicas []replicaInfo
	Refusals []refusalInfo
	Outages  []outageInfo
	Loadings []loadingInfo
	// MoreWarnings are those of the configuration that are not shown.
	MoreWarnings int
	CanTest      bool // may send a test mail
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

// A canaryInfo is how the canary fares.
type canaryInfo struct {
	Every                            time.Duration // zero: there is none
	Within                           time.Duration
	Arrived, Failing, Posted, Failed *moment // failed is the latest run that is over
	Took, Stage, Error               string
	Next                             *moment // a run begins; nil while one is under way
}

// canary describes the canary.
func (l *layout) canary(pulses incident.Pulses) canaryInfo {
	c := canaryInfo{Every: l.policy.Canary.Every, Within: l.policy.Canary.Within}
	p, ok := pulses.Canary(l.policy)
	if !ok {
		return c
	}
	c.Arrived, c.Failing, c.Posted, c.Failed = l.at(p.HeardAt), l.at(p.AwaySince), l.at(p.Run.PostedAt), l.at(p.Run.FailedAt)
	if p.Run.Took > 0 {
		c.Took = wording.Duration(p.Run.Took)
	}
	if !p.Run.FailedAt.IsZero() {
		c.Stage = wording.CanaryFailed(p.Run.Stage)
	}
	if !l.Stranger {
		c.Error = wording.Line(storage.WithoutAddresses(p.Run.Error), 300)
	}
	if p.Run.Over() {
		c.Next = l.at(p.NextCanary(l.policy, l.clock.Now))
	}
	return c
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

// A replicaInfo is a process that has the store.
type replicaInfo struct {
	Instance, Version string
	Self              bool
	Started, Seen     *moment
	Gone              bool   // it was not seen for a while
	Behind            bool   // its configuration is another than that of this process
	Wrong             bool   // its clock is
	Clock, Off        string // in words; Off goes before that of what it is off
}

// goneAfter is for how long a process that lives may say nothing.
const goneAfter = 3 * time.Minute

func (p *statusPage) replica(r *storage.Replica) replicaInfo {
	out := replicaInfo{
		Instance: wording.Line(r.Instance, 120), Version: r.Version, Self: r.Owner == p.Service.Owner, Started: p.at(r.StartedAt), Seen: p.at(r.SeenAt),
		Gone: p.clock.Now.Sub(r.SeenAt) > goneAfter, Behind: r.Config != p.policy.Hash, Wrong: r.Rests(), Clock: "right",
	}
	switch by := r.Skew.Abs().Round(time.Millisecond); {
	case by == 0:
	case r.Skew > 0:
		out.Clock, out.Off = by.String()+" ahead", by.String()+" ahead of"
	default:
		out.Clock, out.Off = by.String()+" behind", by.String()+" behind"
	}
	return out
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
	p.CanTest = p.Role.May(access.Admin)
	if p.Stranger {
		p.Service.HidePeople()
	}
	p.Service.Config = p.Service.Config.For(p.Role.May(access.Admin))
	p.cutProblems()
	p.Started, p.Loaded, p.Hash = p.at(p.Service.StartedAt), p.at(p.Service.Config.LoadedAt), p.policy.Hash
	p.Behind = p.at(p.Service.Config.BehindSince)
	p.Watchdog.Within = p.policy.Watchdog.Within
	p.Watchdog.Expected = p.Watchdog.Within > 0
	p.Trouble = nil // it stands below in full
	p.Ledger = ledgerInfo{Status: p.Service.Ledger, Told: p.at(p.Service.Ledger.WitnessedAt)}
	var err error
	if p.Info, err = h.Repo.Store.Info(r.Context()); err != nil {
		return err
	}
	p.Size, p.Slow = size(p.Info.Bytes), p.at(p.Info.Slow)
	return h.show(w, r, "status", &p, func(tx storage.Snapshot) error {
		p.Open, p.Replicas, p.Refusals, p.Outages, p.Loadings = nil, nil, nil, nil, nil
		return p.read(r.Context(), tx)
	})
}

// cutProblems leaves so much of what is wrong with the configuration that a page can show
// it.
func (p *statusPage) cutProblems() {
	left := room{left: textShown}
	for i, w := range p.Service.Config.Warnings {
		if !left.take(len(w)) {
			p.MoreWarnings = len(p.Service.Config.Warnings) - i
			p.Service.Config.Warnings = p.Service.Config.Warnings[:i]
			break
		}
	}
	if text := p.Service.Config.Error; len(text) > textShown {
		end := max(strings.LastIndexByte(text[:textShown], '\n'), 0)
		p.Service.Config.Error = text[:end] + "\n…"
	}
}

func (p *statusPage) read(ctx context.Context, tx storage.Snapshot) error {
	f, err := p.Service.Read(ctx, tx, p.policy, p.clock.Now)
	if err != nil {
		return err
	}
	if p.Stranger {
		f.HidePeople()
	}
	p.Ledger.Size, p.Ledger.Signed, p.Ledger.At = f.Leaves, f.Signed.Size, p.at(f.Signed.At)
	p.Due, p.DueLimit, p.Oldest = f.Due, f.Due >= 10000, p.at(f.OldestDue)
	if !f.OldestDue.IsZero() {
		p.OldestAgo = p.ago(f.OldestDue)
	}
	p.Retries = f.Retries
	p.Retries.LastError = wording.Line(p.Retries.LastError, 300)
	p.Retried, p.Servers = p.at(p.Retries.Since), nil
	for _, s := range p.Service.Servers {
		p.Servers = append(p.Servers, serverInfo{cmp.Or(s.Name, "the mail server"), p.at(s.Since), s.RefusesAll, wording.Line(s.Error, 300)})
	}
	for _, q := range p.policy.Priorities {
		p.Open = append(p.Open, openCount{q.Name, wording.Rank(q.Rank), f.Open[q.Name]})
	}
	p.Watchdog.Pulses, p.Watchdog.Away = p.pulses(f.Pulses.In(p.policy)), p.pulses(f.Pulses.Away(p.policy, nil))
	p.Canary = p.canary(f.Pulses)
	for i := range f.Replicas {
		p.Replicas = append(p.Replicas, p.replica(&f.Replicas[i]))
	}
	for _, r := range f.Refusals {
		p.Refusals = append(p.Refusals, refusalInfo{p.at(r.At), r.Status, wording.Line(r.Client, 120), wording.Line(r.Reason, 1000)})
	}
	for _, o := range f.Outages {
		p.Outages = append(p.Outages, outageInfo{p.at(o.From), p.at(o.To), wording.Duration(o.To.Sub(o.From).Abs()), o.Kind == storage.ClockSet})
	}
	loadings, err := storage.Loadings(ctx, tx)
	for _, l := range loadings[:min(len(loadings), 20)] {
		p.Loadings = append(p.Loadings, loadingInfo{p.at(l.At), l.Hash, l.Actor})
	}
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
