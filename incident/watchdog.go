package incident

import (
	"slices"
	"time"
)

// WatchdogNewsFor returns the watchdog's subscriptions with the news that it went
// away or is back, due now or after a quiet time. What was owed before and not yet
// sent is replaced: a message says what is true when it is sent.
func WatchdogNewsFor(subs []Subscription, p *Policy, why Reason, now time.Time) []Subscription {
	var out []Subscription
	for _, r := range WatchdogReaders(p) {
		sub := Subscription{Recipient: r.Recipient.ID}
		if i := slices.IndexFunc(subs, func(s Subscription) bool { return s.Recipient == r.Recipient.ID }); i >= 0 {
			sub = subs[i]
		}
		sub.Audiences, sub.Groups, sub.Active = r.Audiences, r.Groups, true
		sub.Owed = []Owed{{Kind: KindWatchdog, Reason: why, At: now}}
		sub.DueAt = r.quietUntil(now)
		out = append(out, sub)
	}
	return out
}

// PlanWatchdog says whether the reader is to be told of the watchdog now.
func PlanWatchdog(sub *Subscription, p *Policy, pulse Pulse, now time.Time) (Planned, bool) {
	r, ok := p.reader(sub)
	if !ok || len(sub.Owed) == 0 || sub.DueAt.After(now) {
		return Planned{}, false
	}
	c := Cover{Kind: KindWatchdog, Sequence: pulse.Sequence, Owed: slices.Clone(sub.Owed), DueAt: sub.DueAt, Promised: sub.DueAt.Add(Promise)}
	return Planned{Reader: r, Cover: c}, true
}

// SettleWatchdog notes that the reader was told of the watchdog, or that it failed
// for good.
func (s *Subscription) SettleWatchdog(c Cover, at time.Time) {
	s.settle(c)
	s.Told, s.ToldSequence, s.ToldAt = true, c.Sequence, at
	if len(s.Owed) == 0 {
		s.DueAt = time.Time{}
	}
}
