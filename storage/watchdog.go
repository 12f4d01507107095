package storage

import "sitrep/incident"

// TellWatchdog makes it owed to the watchdog's groups that it went away or is back.
// The pulse itself is for the caller to store.
func (c *Change) TellWatchdog(why incident.Reason) error {
	subs, err := c.Tx.Subscriptions(0)
	if err != nil {
		return err
	}
	c.wake = true
	return c.Tx.PutSubscriptions(incident.WatchdogNewsFor(subs, c.Policy, why, c.At))
}
