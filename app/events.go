package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"sitrep/incident"
)

// eventMetrics count what happens to incidents.
type eventMetrics struct {
	events  *prometheus.CounterVec
	changes *prometheus.CounterVec
}

func newEventMetrics(reg prometheus.Registerer) *eventMetrics {
	f := promauto.With(reg)
	m := &eventMetrics{
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_incident_events_total", Help: "What happened to incidents, drills too, since the start of this process.",
		}, []string{"type"}),
		changes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "sitrep_priority_changes_total", Help: "How often the priority of an incident was raised or lowered.",
		}, []string{"from", "to"}),
	}
	for _, t := range incident.EventTypes() {
		m.events.WithLabelValues(string(t))
	}
	return m
}

// expect makes the series of all changes that are possible under the policy, so that
// the first one is a rise from zero.
func (m *eventMetrics) expect(p *incident.Policy) {
	for _, from := range p.Priorities {
		for _, to := range p.Priorities {
			if from.Name != to.Name {
				m.changes.WithLabelValues(from.Name, to.Name)
			}
		}
	}
}

// observe is told of the events of each change after its commit.
func (m *eventMetrics) observe(events []incident.Event) {
	for i := range events {
		e := &events[i]
		m.events.WithLabelValues(string(e.Type)).Inc()
		if e.Type == incident.EventPriorityChanged {
			m.changes.WithLabelValues(e.Data.From, e.Data.To).Inc()
		}
	}
}
