package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/incident"
	"sitrep/storage"
)

// metrics are those about the service as a whole. What stands in the store is read
// when it is asked for.
type metrics struct {
	s *Service

	commitSeconds  prometheus.Histogram
	commitGathered prometheus.Histogram

	open, due, oldest, overdue, overdueFor, away, canaryAt, canaryTook, canaryFailing, canaryRuns, bytes, free, writable, reloadOK, reloadAt, behind, configHash, buildInfo, chains, chainBroken, chainFindings, chainsAt *prometheus.Desc
}

func newMetrics(s *Service) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m := &metrics{
		s: s,
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sitrep_storage_commit_duration_seconds", Help: "How long commits took, with the sync to disk.",
			Buckets: prometheus.ExponentialBuckets(.0001, 4, 9),
		}),
		commitGathered: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sitrep_storage_commit_writes", Help: "How many writes shared one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		open:          desc("sitrep_incidents_open", "Open incidents, drills left out.", "priority"),
		due:           desc("sitrep_updates_due", "Messages that are due and not yet handed over, up to 10,000."),
		oldest:        desc("sitrep_updates_oldest_due_timestamp_seconds", "When the message that is due for the longest became due; 0 if none is."),
		overdue:       desc("sitrep_updates_overdue", "Messages that wait beyond their promise, up to 10,000."),
		overdueFor:    desc("sitrep_updates_overdue_seconds", "How long the first of the messages that wait beyond their promise has waited beyond it; 0 if none does."),
		away:          desc("sitrep_watchdog_away", "How many pulses of the watchdog are away; 0 without a watchdog."),
		canaryAt:      desc("sitrep_canary_last_success_timestamp_seconds", "When the canary last arrived; 0 if it never did, or there is none."),
		canaryTook:    desc("sitrep_canary_duration_seconds", "How long the canary took that arrived last, from the post to Alertmanager to the hand-over of its mail; 0 if none did."),
		canaryFailing: desc("sitrep_canary_failing", "Whether the latest run of the canary that is over did not arrive; 0 without a canary."),
		canaryRuns:    desc("sitrep_canary_runs_total", "Runs of the canary that are over, since it was configured.", "outcome"),
		bytes:         desc("sitrep_storage_size_bytes", "Size of the store on disk."),
		writable:      desc("sitrep_storage_writable", "Whether something can be stored, as far as is known: 0 while the disk is full, the file of the store is gone, or its database does not answer."),
		free:          desc("sitrep_storage_free_bytes", "Free space of the disk that the store is on."),
		reloadOK:      desc("sitrep_config_last_reload_successful", "Whether the last attempt to load the configuration succeeded."),
		reloadAt:      desc("sitrep_config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded."),
		behind:        desc("sitrep_config_behind", "Whether another configuration than that of this process is in force."),
		configHash:    desc("sitrep_config_info", "The configuration in force.", "hash"),
		chains:        desc("sitrep_chains", "SLOs by how it is with their chain from the rule to the recipients, as last looked at.", "state"),
		chainBroken:   desc("sitrep_chain_broken", "SLOs whose chain is broken, up to 100.", "chain"),
		chainFindings: desc("sitrep_chain_findings", "Errors and warnings along the chains, by what they are about.", "kind"),
		chainsAt:      desc("sitrep_chains_checked_timestamp_seconds", "When the chains were last looked at; 0: not yet."),
		buildInfo:     desc("sitrep_build_info", "What runs.", "version", "revision", "goversion"),
	}
	s.registry.MustRegister(m.commitSeconds, m.commitGathered, m)
	return m
}

// commit is told of each commit of the store.
func (m *metrics) commit(gathered int, took time.Duration) {
	m.commitSeconds.Observe(took.Seconds())
	m.commitGathered.Observe(float64(gathered))
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.open, m.due, m.oldest, m.overdue, m.overdueFor, m.away, m.canaryAt, m.canaryTook, m.canaryFailing, m.canaryRuns, m.bytes, m.free, m.writable, m.reloadOK, m.reloadAt, m.behind, m.configHash, m.buildInfo, m.chains, m.chainBroken, m.chainFindings, m.chainsAt} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	v, revision, goVersion := Build()
	gauge(m.buildInfo, 1, v, revision, goVersion)
	state := m.s.reloader.State()
	is := map[bool]float64{true: 1}
	gauge(m.reloadOK, is[state.LastError == nil])
	gauge(m.reloadAt, float64(state.LoadedAt.UnixMilli())/1000)
	if state.Hash != "" {
		gauge(m.configHash, 1, state.Hash)
	}
	m.collectChains(gauge)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if info, err := m.s.store.Info(ctx); err == nil {
		gauge(m.bytes, float64(info.Bytes))
		gauge(m.writable, is[info.Trouble == nil])
	}
	if m.s.store.free != nil {
		if free, err := m.s.store.free(); err == nil {
			gauge(m.free, float64(free))
		}
	}
	var open map[string]int
	var due, overdue int
	var oldest, first time.Time
	at := now()
	away, isBehind := 0, false
	var canary incident.Pulse
	err := m.s.store.Read(ctx, func(r storage.Snapshot) (err error) {
		if open, err = storage.OpenIncidents(ctx, r); err != nil {
			return err
		}
		if isBehind, err = m.s.repo.Behind(ctx, r); err != nil {
			return err
		}
		if due, oldest, err = r.Backlog(ctx, at); err != nil {
			return err
		}
		if overdue, first, err = r.Backlog(ctx, at.Add(-incident.Promise)); err != nil {
			return err
		}
		pulses, err := r.Pulses(ctx)
		away = len(pulses.Away(m.s.policy(), nil))
		canary, _ = pulses.Canary(m.s.policy())
		return err
	})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(m.due, err)
		return
	}
	behind := 0.0
	if isBehind {
		behind = 1
	}
	gauge(m.behind, behind)
	for _, p := range m.s.policy().Priorities {
		gauge(m.open, float64(open[p.Name]), p.Name)
		delete(open, p.Name)
	}
	for name, n := range open {
		gauge(m.open, float64(n), name)
	}
	gauge(m.due, float64(due))
	gauge(m.oldest, float64(max(oldest.UnixMilli(), 0))/1000)
	gauge(m.overdue, float64(overdue))
	waited := 0.0
	if overdue > 0 {
		waited = at.Add(-incident.Promise).Sub(first).Seconds()
	}
	gauge(m.overdueFor, waited)
	gauge(m.away, float64(away))
	run := canary.Run
	if run == nil {
		run = &incident.CanaryRun{}
	}
	gauge(m.canaryAt, float64(max(canary.HeardAt.UnixMilli(), 0))/1000)
	gauge(m.canaryTook, run.Took.Seconds())
	gauge(m.canaryFailing, is[!canary.AwaySince.IsZero()])
	for outcome, n := range map[string]int64{"arrived": run.Arrived, "failed": run.Failed} {
		ch <- prometheus.MustNewConstMetric(m.canaryRuns, prometheus.CounterValue, float64(n), outcome)
	}
}

// collectChains says how it is with the chains.
func (m *metrics) collectChains(gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	r := m.s.coverage()
	gauge(m.chainsAt, float64(max(r.At.UnixMilli(), 0))/1000)
	for _, state := range live.States() {
		gauge(m.chains, float64(r.Counts[state]), string(state))
	}
	for _, kind := range chain.Kinds() {
		gauge(m.chainFindings, float64(r.Findings[kind]), string(kind))
	}
	named := 0
	// The label is not slo: an alert with that would be taken for one of that SLO.
	r.Broken(m.s.policy(), func(slo string) {
		if named++; named <= maxBrokenNamed {
			gauge(m.chainBroken, 1, slo)
		}
	})
}
