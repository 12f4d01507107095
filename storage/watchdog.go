package storage

import (
	"context"
	"errors"

	"sitrep/incident"
)

// A WatchdogReader reads the pulses of the watchdog, and what its readers are owed.
type WatchdogReader interface {
	// Pulses returns the pulses of the watchdog, ordered by name: all, or those of the names. In
	// a write those of names are locked until the end, also if they are not there, and with them
	// what their readers are owed.
	Pulses(ctx context.Context, names ...string) (incident.Pulses, error)
	// Notices returns what readers are owed, about all pulses or about some: of each pulse
	// together, ordered by recipient. In a write the pulses that are named are locked until the
	// end.
	Notices(ctx context.Context, pulses ...string) ([]incident.Notice, error)
}

// A WatchdogWriter writes the pulses of the watchdog, and what its readers are owed.
type WatchdogWriter interface {
	// PutPulses stores pulses, and deletes those of the names that are gone, with their notices;
	// it is no error if there is none.
	PutPulses(ctx context.Context, put []incident.Pulse, gone []string) error
	// PutNotices stores notices, and deletes those that are gone.
	PutNotices(ctx context.Context, put, gone []incident.Notice) error
}

// PulseOf returns the pulse of the watchdog with that name, an empty one if there is none. In a
// write it is locked, as by Pulses.
func PulseOf(ctx context.Context, r WatchdogReader, name string) (incident.Pulse, error) {
	found, err := r.Pulses(ctx, name)
	if len(found) == 0 {
		return incident.Pulse{Name: name}, err
	}
	return found[0], err
}

// Pulses returns all pulses of the watchdog.
func (c *Change) Pulses() (incident.Pulses, error) {
	if c.pulses == nil {
		all, err := c.Tx.Pulses(c.Context())
		if err != nil {
			return nil, err
		}
		c.pulses = &all
	}
	return *c.pulses, nil
}

// Pulse returns the pulse of an alert with those labels, to be changed, a new one if
// there is none.
func (c *Change) Pulse(labels map[string]string) (incident.Pulse, error) {
	fresh := c.Policy.Watchdog.Pulse(labels)
	p, err := PulseOf(c.Context(), c.Tx, fresh.Name)
	p.Name, p.Labels = fresh.Name, fresh.Labels
	return p, err
}

// CanaryPulse returns the pulse of the canary, to be changed, a new one if there is none.
func (c *Change) CanaryPulse() (incident.Pulse, error) {
	p, err := PulseOf(c.Context(), c.Tx, incident.CanaryPulse)
	p.Labels = map[string]string{incident.CanaryLabel: ""} // no watchdog has it as its own
	return p, err
}

// PutPulse stores a pulse. With a reason, such as that it went away or is back, that is owed to
// its readers. Who they are is said by the configuration in force: a process that has
// another one leaves it to those who have that.
func (c *Change) PutPulse(p incident.Pulse, why incident.Reason) error {
	c.pulses = nil
	if why != "" {
		in, err := c.inForce()
		if err != nil {
			return err
		}
		if p.Untold = ""; in.behind {
			p.Untold, why = why, ""
		}
	}
	if err := c.Tx.PutPulses(c.Context(), []incident.Pulse{p}, nil); err != nil || why == "" {
		return err
	}
	notices, err := c.Tx.Notices(c.Context(), p.Name)
	if err != nil {
		return err
	}
	c.wake = true
	return c.Tx.PutNotices(c.Context(), incident.NoticesOf(notices, c.Policy, p, why, c.At), nil)
}

// ReconcileNotices drops what those are owed about a pulse who are in none of its
// groups any more, unless another configuration than that of the process is in force.
func (c *Change) ReconcileNotices(pulse string) error {
	in, err := c.inForce()
	if err != nil || in.behind {
		return err
	}
	notices, err := c.Tx.Notices(c.Context(), pulse)
	if err != nil {
		return err
	}
	left := incident.NoticesLeft(notices, c.Policy, pulse)
	if len(left) == 0 {
		return nil
	}
	return c.Tx.PutNotices(c.Context(), left, nil)
}

// Tick returns what time alone brings to an incident of a change.
func Tick(c *Change, s *incident.Situation) (incident.News, error) {
	pulses, err := c.Pulses()
	if err != nil {
		return incident.News{}, err
	}
	if err := c.flush(); err != nil {
		return incident.News{}, err // what ends in this change is to be seen
	}
	confirmed, err := Confirmed(c.Context(), c.Tx, c.Policy, &s.Incident)
	if err != nil {
		return incident.News{}, err
	}
	return s.Tick(c.Policy, pulses, confirmed, c.At), nil
}

// Confirmed reports whether the watchdog confirms that the breaches of an incident, all
// of which have ended, did end.
func Confirmed(ctx context.Context, r Snapshot, p *incident.Policy, in *incident.Incident) (bool, error) {
	if p.Watchdog.Within == 0 || in.EndedHeardAt.IsZero() {
		return true, nil
	}
	pulses, err := r.Pulses(ctx)
	if err != nil {
		return false, err
	}
	if len(p.Watchdog.By) == 0 {
		return pulses.Confirms(p, nil, in.EndedHeardAt), nil
	}
	err = EachBreach(ctx, r, in, func(b *incident.Breach) error {
		if b.State == incident.BreachEnded && !pulses.Confirms(p, b.Labels, b.EndHeardAt) {
			return errUnconfirmed
		}
		return nil
	})
	if errors.Is(err, errUnconfirmed) {
		return false, nil
	}
	return err == nil, err
}

// errUnconfirmed ends the look through breaches at the first whose end is not confirmed.
var errUnconfirmed = errors.New("an end is not confirmed")
