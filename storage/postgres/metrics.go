package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"sitrep/storage"
)

// A class is what a transaction is for.
type class string

const (
	classRead     class = "read"
	classWrite    class = "write"
	classClaim    class = "claim"    // leases recipients
	classSequence class = "sequence" // gives leaves their places
	classClock    class = "clock"
	classProbe    class = "probe"
	classConfirm  class = "confirm"
)

var (
	classes = []class{classRead, classWrite, classClaim, classSequence, classClock, classProbe, classConfirm}
	reasons = []string{"unavailable", "unknown", "conflict", "left", "other"}
)

// reasonOf returns why a transaction failed: the database was not there for it, nobody knows what
// became of it, it met another and is run again, who asked for it left, or something else.
func reasonOf(err error) string {
	var met *again
	switch {
	case errors.Is(err, storage.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, storage.ErrUnknown):
		return "unknown"
	case errors.As(err, &met):
		return "conflict"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "left"
	}
	return "other"
}

// Metrics are those of a store in a database.
type Metrics struct {
	seconds  *prometheus.HistogramVec
	failures *prometheus.CounterVec

	connections, most, waits, waited *prometheus.Desc
	pool                             atomic.Pointer[pgxpool.Pool] // nil before there is one
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m := &Metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sitrep_storage_transaction_duration_seconds", Help: "How long transactions of the database took, with the wait for a connection, by what they were for.",
			Buckets: prometheus.ExponentialBuckets(.001, 4, 8),
		}, []string{"class"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_storage_transaction_failures_total", Help: "Transactions of the database that failed: it was not there, the outcome is unknown, they met another and were run again, or who asked left.",
		}, []string{"class", "reason"}),
		connections: desc("sitrep_storage_connections", "Connections to the database: in use, idle, or being opened.", "state"),
		most:        desc("sitrep_storage_connections_limit", "How many connections to the database there may be."),
		waits:       desc("sitrep_storage_connection_waits_total", "Transactions that waited for a connection, as none was idle."),
		waited:      desc("sitrep_storage_connection_wait_seconds_total", "How long they waited."),
	}
	for _, c := range classes {
		m.seconds.WithLabelValues(string(c))
		for _, reason := range reasons {
			m.failures.WithLabelValues(string(c), reason)
		}
	}
	reg.MustRegister(m.seconds, m.failures, m)
	return m
}

// watch makes the connections of a pool those that are counted.
func (m *Metrics) watch(pool *pgxpool.Pool) {
	if m != nil {
		m.pool.Store(pool)
	}
}

// observe counts a transaction that is over.
func (m *Metrics) observe(s *session) {
	if m == nil {
		return
	}
	m.seconds.WithLabelValues(string(s.class)).Observe(time.Since(s.started).Seconds())
	if s.err != nil {
		m.failures.WithLabelValues(string(s.class), reasonOf(s.err)).Inc()
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.connections, m.most, m.waits, m.waited} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	pool := m.pool.Load()
	if pool == nil {
		return
	}
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	stat := pool.Stat()
	send(m.connections, prometheus.GaugeValue, float64(stat.AcquiredConns()), "acquired")
	send(m.connections, prometheus.GaugeValue, float64(stat.IdleConns()), "idle")
	send(m.connections, prometheus.GaugeValue, float64(stat.ConstructingConns()), "opening")
	send(m.most, prometheus.GaugeValue, float64(stat.MaxConns()))
	send(m.waits, prometheus.CounterValue, float64(stat.EmptyAcquireCount()))
	send(m.waited, prometheus.CounterValue, stat.EmptyAcquireWaitTime().Seconds())
}
