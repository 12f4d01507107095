package intake

import "sitrep/incident"

// heartbeat notes that the watchdog was heard, and tells its groups if it is back.
func (t *taking) heartbeat() error {
	pulse, err := t.Tx.Pulse()
	if err != nil {
		return err
	}
	pulse, back := pulse.Hear(t.At)
	if back {
		if err := t.TellWatchdog(incident.DueWatchdogBack); err != nil {
			return err
		}
	}
	return t.Tx.PutPulse(pulse)
}

// watchdogGone notes that the watchdog was reported as ended: it is away at once,
// unless it was heard after that end.
func (t *taking) watchdogGone(a *incident.Alert) error {
	pulse, err := t.Tx.Pulse()
	if err != nil || !pulse.AwaySince.IsZero() || a.EndsAt.Before(pulse.HeardAt) {
		return err
	}
	pulse.AwaySince, pulse.Sequence = t.At, pulse.Sequence+1
	if err := t.TellWatchdog(incident.DueWatchdogAway); err != nil {
		return err
	}
	return t.Tx.PutPulse(pulse)
}
