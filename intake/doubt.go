package intake

import (
	"sitrep/incident"
	"sitrep/storage"
)

// Disbelieve makes unknown what ended in the incident since the pulse that speaks for it was
// last heard, once that is away: when Prometheus dies, all that fires is reported as ended
// some minutes later.
func (i *Intake) Disbelieve(c *storage.Change, in *incident.Incident) error {
	pulses, err := c.Pulses()
	if err != nil || in.State != incident.Open || len(pulses.Away(c.Policy, nil)) == 0 {
		return err
	}
	return eachBreach(c.Tx, in, func(b *incident.Breach) error {
		if !b.Disbelieved(c.Policy, pulses) {
			return nil
		}
		current, err := latestBreach(c.Tx, b.Fingerprint)
		if err != nil || current.Ordinal != b.Ordinal {
			return err // it fires anew, so that one is over
		}
		if err := c.DoubtEnds(in); err != nil {
			return err
		}
		return c.PutBreach(in, b, in.Lose(c.Stamp(incident.Scheduler), b, incident.WhyWatchdogAway))
	})
}
