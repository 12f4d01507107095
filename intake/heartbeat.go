package intake

import "sitrep/incident"

// watchdog returns the result of an alert of the watchdog, and whether it says nothing
// that is worth a write.
func (t *triage) watchdog(a *incident.Alert) (Result, bool, error) {
	pulses, err := t.pulses()
	if err != nil {
		return Result{}, false, err
	}
	pulse := pulses.Of(t.policy, a.Labels)
	known := pulse.AwaySince.IsZero() && t.at.Sub(pulse.HeardBy[a.Fingerprint]) < incident.HearEvery(t.policy.Watchdog.Within)
	if a.Resolved {
		known = pulse.Stale(a.Fingerprint, a.EndsAt)
	}
	return Result{Result: OutcomeIgnored}, known, nil
}

// heartbeat notes that the watchdog was heard, and tells its groups if it is back.
func (t *batch) heartbeat(a *incident.Alert) error {
	pulse, err := t.Pulse(a.Labels)
	if err != nil {
		return err
	}
	pulse, back := pulse.Hear(t.Policy, a.Fingerprint, t.At)
	if back {
		return t.PutPulse(pulse, incident.DueWatchdogBack)
	}
	return t.PutPulse(pulse, "")
}

// watchdogGone notes which alerts of the watchdog ended, after those of the same post
// that fire: one of them may stand for the same pulse.
func (t *batch) watchdogGone() error {
	for _, a := range t.gone {
		pulse, err := t.Pulse(a.Labels)
		if err != nil {
			return err
		}
		if pulse.Stale(a.Fingerprint, a.EndsAt) {
			continue
		}
		pulse, gone := pulse.End(t.Policy, a.Fingerprint, a.EndsAt, t.At)
		why := incident.Reason("")
		if gone {
			why = incident.DueWatchdogAway
		}
		if err := t.PutPulse(pulse, why); err != nil {
			return err
		}
	}
	return nil
}
