package receiver

import (
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

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
var codes = []int{200, 400, 401, 403, 404, 405, 413, 415, 421, 503}

// newMetrics makes the metrics, with every label value at zero, and registers them
// unless reg is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	count := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	countBy := func(name, label, help string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		received:  countBy("sitrep_alerts_received_total", "status", "Valid alerts in posts, by their own status, repeats included."),
		alerts:    countBy("sitrep_alerts_total", "result", "Alerts that were answered, by what became of them."),
		cut:       count("sitrep_alerts_cut_total", "Valid alerts in posts that had more or longer labels than are kept, and lost what is beyond."),
		truncated: count("sitrep_alerts_truncated_total", "Alerts that Alertmanager left out of posts because of its max_alerts."),
		ambiguous: count("sitrep_alerts_ambiguous_total", "Alerts that more than one SLO claimed when their breach began; the first in file order got them."),
		posts:     countBy("sitrep_posts_total", "code", "Posts of alerts, by the status that they were answered with."),
		refused:   countBy("sitrep_posts_refused_total", "reason", "Posts of alerts that were refused with 4xx, which can lose a breach for good."),
		duration: f.NewHistogram(prometheus.HistogramOpts{
			Name: "sitrep_post_duration_seconds", Help: "Time from the arrival of a post to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 7.5, 10},
		}),
		inFlight: gauge("sitrep_posts_in_flight", "Posts of alerts that are being answered."),
		bytes:    gauge("sitrep_posts_in_flight_bytes", "Size of the bodies of posts that are being answered."),
	}
	for _, status := range []string{"firing", "resolved"} {
		m.received.WithLabelValues(status)
	}
	for _, o := range intake.Outcomes() {
		m.alerts.WithLabelValues(string(o))
	}
	for _, code := range codes {
		m.posts.WithLabelValues(strconv.Itoa(code))
	}
	m.posts.WithLabelValues("other")
	for _, reason := range refusedReasons {
		m.refused.WithLabelValues(reason)
	}
	return m
}

// answered counts a post.
func (m *metrics) answered(code int) {
	label := "other"
	if slices.Contains(codes, code) {
		label = strconv.Itoa(code)
	}
	m.posts.WithLabelValues(label).Inc()
}
