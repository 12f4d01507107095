package incident

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// GoneAfter is how long a pulse that has a name is away until it is given up.
const GoneAfter = 7 * 24 * time.Hour

// A Pulse is what is known of the watchdog: of those of its alerts that have the same
// values of the labels in by. A new one, not heard yet, is made by [Watchdog.Pulse].
type Pulse struct {
	// Name is made of those labels and their values, such as cluster="eu"; empty without
	// by. It is short, also where a value is not.
	Name   string            `json:"name,omitempty"`
	Labels map[string]string `json:"labels,omitempty"` // those in by; nil without
	// HeardAt is when it was last heard, up to a quarter of within ago; zero if never.
	HeardAt time.Time `json:"heard_at,omitzero"`
	// HeardBy is the same for each of its alerts, by fingerprint, for those that have not
	// ended and were heard as often as they should be: replicas and clusters may share one.
	HeardBy map[string]time.Time `json:"heard_by,omitempty"`
	// AwaySince is when it was last heard before it went away; zero while it is there.
	AwaySince time.Time `json:"away_since,omitzero"`
	// BackAt is when it last came back; zero if it never was away.
	BackAt time.Time `json:"back_at,omitzero"`
	// Sequence counts its goings and comings.
	Sequence int64 `json:"sequence"`
	// Untold is the last of them, if it was noted under a configuration that is not the one in
	// force: who is told of it is still to be said. Else it is empty.
	Untold Reason `json:"untold,omitempty"`
	// Run is set of the pulse of the canary alone, which is none of the watchdog's: it was heard
	// when a run arrived, and is away while runs fail.
	Run *CanaryRun `json:"canary,omitempty"`
}

// Pulse returns the pulse of an alert with those labels, as it is before it was heard. A
// label that is missing counts as an empty one.
func (w *Watchdog) Pulse(labels map[string]string) Pulse {
	var p Pulse
	parts := make([]string, len(w.By))
	for i, name := range w.By {
		if p.Labels == nil {
			p.Labels = map[string]string{}
		}
		p.Labels[name] = labels[name]
		parts[i] = name
		if !model.LegacyValidation.IsValidLabelName(name) {
			parts[i] = strconv.Quote(name)
		}
		parts[i] += "=" + strconv.Quote(shortValue(labels[name]))
	}
	p.Name = strings.Join(parts, ", ")
	return p
}

// longValue is how many bytes of a value stand in a name at most.
const longValue = 64

// shortValue returns a value that is short, and differs where the value does.
func shortValue(value string) string {
	if len(value) <= longValue {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	return strings.ToValidUTF8(value[:longValue-16], "") + "…" + hex.EncodeToString(sum[:6])
}

// Check returns the pulse as it is at that time, and whether it went away by it. One
// that was never heard counts from since, when sitrep began to listen.
func (p Pulse) Check(policy *Policy, since, at time.Time) (Pulse, bool) {
	if policy.Watchdog.Within == 0 || !p.AwaySince.IsZero() {
		return p, false
	}
	heard := latest(p.HeardAt, since)
	if at.Sub(heard) <= policy.Watchdog.Within {
		return p, false
	}
	return p.away(heard), true
}

func (p Pulse) away(since time.Time) Pulse {
	p.AwaySince, p.HeardBy = since, nil
	p.Sequence++
	return p
}

// Over reports whether nothing more is to be known of it: it is none of those that the
// policy has, or has a name and has been away for [GoneAfter], as that of a cluster that is gone.
func (p Pulse) Over(policy *Policy, at time.Time) bool {
	if p.Name == CanaryPulse {
		return policy.Canary.Every == 0
	}
	if !p.of(policy) {
		return true
	}
	return len(policy.Watchdog.By) > 0 && !p.AwaySince.IsZero() && at.Sub(p.AwaySince) >= GoneAfter
}

// of reports whether the policy has such a pulse.
func (p Pulse) of(policy *Policy) bool {
	w := &policy.Watchdog
	return w.Within != 0 && p.Name != CanaryPulse && len(p.Labels) == len(w.By) && !slices.ContainsFunc(w.By, func(name string) bool {
		_, ok := p.Labels[name]
		return !ok
	})
}

// Hear returns the pulse once an alert of it was heard, and whether it is back by that.
func (p Pulse) Hear(policy *Policy, fingerprint string, at time.Time) (Pulse, bool) {
	back := !p.AwaySince.IsZero()
	if back {
		p.AwaySince, p.BackAt = time.Time{}, at
		p.Sequence++
	}
	p.HeardBy = p.alive(policy, at)
	p.HeardBy[fingerprint] = latest(p.HeardBy[fingerprint], at)
	p.HeardAt = latest(p.HeardAt, at)
	return p, back
}

// End returns the pulse once an alert of it was reported as ended, and whether it went
// away by that: at once, unless another of its alerts is heard, or that is [Pulse.Stale].
func (p Pulse) End(policy *Policy, fingerprint string, ended, at time.Time) (Pulse, bool) {
	if p.Stale(fingerprint, ended) {
		return p, false
	}
	p.HeardBy = p.alive(policy, at)
	delete(p.HeardBy, fingerprint)
	if len(p.HeardBy) > 0 {
		return p, false
	}
	return p.away(at), true
}

// Stale reports whether it says nothing new that an alert of it ended: the pulse is away,
// was never heard and so is not known, or the report is an old copy.
func (p Pulse) Stale(fingerprint string, ended time.Time) bool {
	heard, ok := p.HeardBy[fingerprint]
	if !ok {
		heard = p.HeardAt
	}
	return !p.AwaySince.IsZero() || p.HeardAt.IsZero() && len(p.Labels) > 0 || ended.Before(heard)
}

// alive returns which of its alerts were heard as often as they should be.
func (p Pulse) alive(policy *Policy, at time.Time) map[string]time.Time {
	by := map[string]time.Time{}
	maps.Copy(by, p.HeardBy)
	maps.DeleteFunc(by, func(_ string, heard time.Time) bool { return at.Sub(heard) > policy.Watchdog.Within })
	return by
}

// Pulses are those that are known, in any order.
type Pulses []Pulse

// In returns those that the policy has. Without by it is one, heard or not; with it only
// those are known that were heard.
func (ps Pulses) In(p *Policy) Pulses {
	var out Pulses
	for _, q := range ps {
		if q.of(p) {
			out = append(out, q)
		}
	}
	if len(out) == 0 && p.Watchdog.Within != 0 && len(p.Watchdog.By) == 0 {
		out = Pulses{{}}
	}
	return out
}

// Of returns the pulse of an alert with those labels, a new one if it is not known.
func (ps Pulses) Of(p *Policy, labels map[string]string) Pulse {
	pulse := p.Watchdog.Pulse(labels)
	for _, q := range ps {
		if q.Name == pulse.Name && q.of(p) {
			return q
		}
	}
	return pulse
}

// responsible returns those that speak for a breach with those labels: its own one, none
// if that is not known; all for one that lacks a label in by.
func (ps Pulses) responsible(p *Policy, labels map[string]string) Pulses {
	all := ps.In(p)
	for _, name := range p.Watchdog.By {
		if labels[name] == "" {
			return all
		}
	}
	name := p.Watchdog.Pulse(labels).Name
	return slices.DeleteFunc(all, func(q Pulse) bool { return q.Name != name })
}

// Away returns those for which ends of a breach with those labels are not to be believed
// now. The one that was heard last the longest ago stands first.
func (ps Pulses) Away(p *Policy, labels map[string]string) Pulses {
	away := slices.DeleteFunc(ps.responsible(p, labels), func(q Pulse) bool { return q.AwaySince.IsZero() })
	slices.SortFunc(away, func(a, b Pulse) int { return cmp.Or(a.HeardAt.Compare(b.HeardAt), cmp.Compare(a.Name, b.Name)) })
	return away
}

// Doubting returns the first of [Pulses.Away]; false if there is none, and ends are
// believed.
func (ps Pulses) Doubting(p *Policy, labels map[string]string) (Pulse, bool) {
	away := ps.Away(p, labels)
	if len(away) == 0 {
		return Pulse{}, false
	}
	return away[0], true
}

// backAt returns when the last of those that speak for a breach with those labels came back;
// zero if none was away.
func (ps Pulses) backAt(p *Policy, labels map[string]string) (at time.Time) {
	for _, q := range ps.responsible(p, labels) {
		at = latest(at, q.BackAt)
	}
	return at
}

// someBack reports whether any of them is there, and when the last one came back.
func (ps Pulses) someBack(p *Policy) (at time.Time, ok bool) {
	all := ps.In(p)
	for _, q := range all {
		at, ok = latest(at, q.BackAt), ok || q.AwaySince.IsZero()
	}
	return at, ok || len(all) == 0
}

// Confirms reports whether the end of a breach with those labels, heard at ended, may
// be acted upon: there is no watchdog, or all the pulses that speak for the breach were
// heard since, and are there or stayed for as long as within after it.
func (ps Pulses) Confirms(p *Policy, labels map[string]string, ended time.Time) bool {
	for _, q := range ps.responsible(p, labels) {
		if !q.HeardAt.After(ended) || !q.AwaySince.IsZero() && !q.HeardAt.After(ended.Add(p.Watchdog.Within)) {
			return false
		}
	}
	return true
}
