package router

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/incident"
)

// Metrics are what the scheduler and the dispatcher count.
type Metrics struct {
	SchedulerErrors prometheus.Counter

	updatesSent     *prometheus.CounterVec
	updatesFailed   *prometheus.CounterVec
	attemptSeconds  *prometheus.HistogramVec
	latenessSeconds prometheus.Histogram
	updatesLate     prometheus.Counter
	serversFailing  *prometheus.GaugeVec
	skewSeconds     prometheus.Gauge
}

// failureReasons are why attempts fail: they are refused for good, of unknown outcome, or
// tried again, as the message was refused for now, as things are set up, or as its
// recipient or the server take nothing for now.
var failureReasons = []string{"refused", "unknown", "retried", "setup", "reader", "server", "rate"}

// reasonOf returns why an attempt failed that is tried again.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, ErrUnknown):
		return "unknown"
	case errors.Is(err, ErrSetup), errors.Is(err, ErrDoubtful):
		return "setup"
	case errors.Is(err, ErrReader):
		return "reader"
	case errors.Is(err, ErrServer):
		return "server"
	case errors.Is(err, ErrRate):
		return "rate"
	}
	return "retried"
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		SchedulerErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sitrep_scheduler_errors_total", Help: "Steps of the scheduler that failed and are tried again.",
		}),
		updatesSent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_updates_sent_total", Help: "Messages handed over, by channel and kind.",
		}, []string{"channel", "kind"}),
		updatesFailed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_updates_failed_total", Help: "Attempts that failed: refused for good, of unknown outcome, or to be retried.",
		}, []string{"channel", "reason"}),
		attemptSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sitrep_update_attempt_duration_seconds", Help: "How long attempts to hand over a message took.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 10, 30, 60},
		}, []string{"channel"}),
		latenessSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sitrep_update_lateness_seconds", Help: "From when a message was due until it was handed over.",
			Buckets: []float64{.5, 1, 5, 10, 30, 60, 120, 300, 900, 3600, 14400},
		}),
		updatesLate: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sitrep_updates_late_total", Help: "Messages handed over later than promised.",
		}),
		serversFailing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sitrep_servers_failing", Help: "Mail servers and hosts of webhooks that cannot be used, or refuse all alike.",
		}, []string{"channel"}),
	}
	m.skewSeconds = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sitrep_clock_skew_seconds", Help: "By how much the clock of this process is ahead of that of the store, as measured each minute; beyond 2 s it claims nothing.",
	})
	for _, ch := range []incident.Channel{incident.ChannelEmail, incident.ChannelWebhook} {
		for _, k := range incident.Kinds() {
			m.updatesSent.WithLabelValues(string(ch), string(k))
		}
		for _, r := range failureReasons {
			m.updatesFailed.WithLabelValues(string(ch), r)
		}
		m.attemptSeconds.WithLabelValues(string(ch))
		m.serversFailing.WithLabelValues(string(ch))
	}
	reg.MustRegister(m.SchedulerErrors, m.updatesSent, m.updatesFailed, m.attemptSeconds, m.latenessSeconds, m.updatesLate, m.serversFailing, m.skewSeconds)
	return m
}

func (m *Metrics) attempt(ch incident.Channel, took time.Duration) {
	m.attemptSeconds.WithLabelValues(string(ch)).Observe(took.Seconds())
}

func (m *Metrics) sent(d *incident.Delivery) {
	m.updatesSent.WithLabelValues(string(d.Channel), string(d.Kind)).Inc()
	m.latenessSeconds.Observe(max(d.SentAt.Sub(d.DueAt), 0).Seconds())
	if d.SentAt.After(d.Promised) {
		m.updatesLate.Inc()
	}
}

func (m *Metrics) skew(by time.Duration) { m.skewSeconds.Set(by.Seconds()) }

// failing notes which servers cannot be used.
func (m *Metrics) failing(all []ServerState) {
	count := map[incident.Channel]int{incident.ChannelEmail: 0, incident.ChannelWebhook: 0}
	for i := range all {
		count[all[i].Channel]++
	}
	for ch, n := range count {
		m.serversFailing.WithLabelValues(string(ch)).Set(float64(n))
	}
}

func (m *Metrics) failed(ch incident.Channel, reason string) {
	m.updatesFailed.WithLabelValues(string(ch), reason).Inc()
}
