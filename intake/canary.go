package intake

import (
	"log/slog"
	"slices"

	"sitrep/incident"
)

// canary returns the result of an alert of the canary, and whether it says nothing new: it
// ended, belongs to another run or another sitrep, or was heard already.
func (t *triage) canary(a *incident.Alert) (Result, bool, error) {
	pulses, err := t.pulses()
	if err != nil {
		return Result{}, false, err
	}
	i := slices.IndexFunc(pulses, func(p incident.Pulse) bool { return p.Name == incident.CanaryPulse })
	news := i >= 0 && !a.Resolved && pulses[i].AwaitsCanary(a.Labels[incident.CanaryLabel])
	return Result{Result: OutcomeIgnored}, !news, nil
}

// canaryBack notes that the alert of the canary came back, and lets its mail go out.
func (t *batch) canaryBack(a *incident.Alert) error {
	pulse, err := t.CanaryPulse()
	id := a.Labels[incident.CanaryLabel]
	if err != nil || a.Resolved || !pulse.AwaitsCanary(id) {
		return err
	}
	pulse, why := pulse.HearCanary(id, t.At)
	took, late := t.At.Sub(pulse.Run.PostedAt), pulse.Run.Over()
	*t.logs = append(*t.logs, func() {
		t.log.Info("the canary is back", slog.String("component", "intake"), slog.Duration("duration", took), slog.Bool("late", late))
	})
	return t.PutPulse(pulse, why)
}
