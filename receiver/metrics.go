package receiver

import (
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/intake"
)

type metrics struct {
	received  *prometheus.CounterVec
	alerts    *prometheus.CounterVec
	cut       prometheus.Counter
	truncated prometheus.Counter
	ambiguous prometheus.Counter
	posts     *prometheus.CounterVec
	refused   *prometheus.CounterVec
	duration  prometheus.Histogram
	inFlight  prometheus.Gauge
	bytes     prometheus.Gauge
}

// codes are the statuses that posts are answered with, here or by the check of
// who posts before it.
func codes() []int { return []int{200, 400, 401, 403, 404, 405, 413, 415, 421, 503} }

// newMetrics makes the metrics, with every label value at zero, and registers them
// unless reg is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_alerts_received_total",
			Help: "Valid alerts in posts, by their own status, repeats included.",
		}, []string{"status"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_alerts_total",
			Help: "Alerts that were answered, by what became of them.",
		}, []string{"result"}),
		cut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sitrep_alerts_cut_total",
			Help: "Valid alerts in posts that had more or longer labels than are kept, and lost what is beyond.",
		}),
		truncated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sitrep_alerts_truncated_total",
			Help: "Alerts that Alertmanager left out of posts because of its max_alerts.",
		}),
		ambiguous: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sitrep_alerts_ambiguous_total",
			Help: "Alerts that more than one SLO claimed when their breach began; the first in file order got them.",
		}),
		posts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_posts_total",
			Help: "Posts of alerts, by the status that they were answered with.",
		}, []string{"code"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_posts_refused_total",
			Help: "Posts of alerts that were refused with 4xx, which can lose a breach for good.",
		}, []string{"reason"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sitrep_post_duration_seconds",
			Help:    "Time from the arrival of a post to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 7.5, 10},
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sitrep_posts_in_flight",
			Help: "Posts of alerts that are being answered.",
		}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sitrep_posts_in_flight_bytes",
			Help: "Size of the bodies of posts that are being answered.",
		}),
	}
	for _, status := range []string{"firing", "resolved"} {
		m.received.WithLabelValues(status)
	}
	for _, o := range intake.Outcomes() {
		m.alerts.WithLabelValues(string(o))
	}
	for _, code := range codes() {
		m.posts.WithLabelValues(strconv.Itoa(code))
	}
	m.posts.WithLabelValues("other")
	for _, reason := range refusedReasons() {
		m.refused.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(m.received, m.alerts, m.cut, m.truncated, m.ambiguous, m.posts, m.refused, m.duration, m.inFlight, m.bytes)
	}
	return m
}

// answered counts a post.
func (m *metrics) answered(code int) {
	label := "other"
	if slices.Contains(codes(), code) {
		label = strconv.Itoa(code)
	}
	m.posts.WithLabelValues(label).Inc()
}
