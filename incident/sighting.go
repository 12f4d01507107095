package incident

import "time"

// A Sighting is what is to become of a breach by what was said of it: by an alert that
// was posted ([See]), or by Alertmanagers that were asked ([Breach.Weigh]).
type Sighting string

// The sightings.
const (
	SeenNew      Sighting = "new"      // a breach begins
	SeenAgain    Sighting = "again"    // one that had ended or was unknown fires
	SeenRepeat   Sighting = "repeat"   // it goes on
	SeenEnd      Sighting = "end"      // it ends
	SeenEndFirst Sighting = "endfirst" // it ended, and its firing was never seen
	SeenLater    Sighting = "later"    // it had ended, and a later end was reported
	SeenDoubt    Sighting = "doubt"    // it fires although it had ended; Alertmanagers are to be asked
	SeenLost     Sighting = "lost"     // nobody can say whether it fires
	SeenStale    Sighting = "stale"    // nothing new: an old copy, or nothing to conclude
)

// HearEvery is how often it is noted that something was heard, when silence counts after
// this long.
func HearEvery(silence time.Duration) time.Duration { return silence / 4 }

// See compares an alert that arrived at that time with the latest breach of its
// fingerprint, nil if there is none.
//
// Several senders speak of one alert, each with a memory of its own: two Prometheis
// give it startsAt seconds apart, an Alertmanager that lost its memory takes the first
// that it hears, those of a cluster send late, twice and in any order. So startsAt
// orders nothing by itself. What counts is the stretch in which the fingerprint fires.
func See(a *Alert, b *Breach, arrived time.Time, p *Policy) Sighting {
	switch {
	case b == nil && a.Resolved:
		return SeenEndFirst
	case b == nil:
		return SeenNew
	case a.Resolved:
		return seeEnd(a, b, arrived)
	}
	start, fact := a.Began(arrived)
	same := a.StartsAt.Equal(b.said())
	switch {
	case b.State == BreachEnded && !same && start.After(b.lastEnd()):
		return SeenNew
	case b.State == BreachEnded && p.Asks:
		return SeenDoubt
	case b.State == BreachEnded:
		// In doubt it fires: to lose a breach is worse than one message too many.
		return SeenAgain
	case !same && fact && start.After(b.HeardAt):
		return SeenNew
	case b.State == BreachUnknown:
		return SeenAgain
	}
	return SeenRepeat
}

// seeEnd compares the end of an alert with the latest breach of its fingerprint. It
// ends the breach, by whatever startsAt it goes, unless it was over before that began.
func seeEnd(a *Alert, b *Breach, arrived time.Time) Sighting {
	end, _ := a.end(arrived)
	switch {
	case b.State == BreachEnded && end.After(b.lastEnd()):
		return SeenLater
	case b.State == BreachEnded, end.Before(b.StartsAt):
		return SeenStale
	}
	return SeenEnd
}

// beginsEarlier returns the beginning that a firing alert gives to a breach that goes on,
// if that is earlier and lies after the end of the breach before.
func (b *Breach) beginsEarlier(a *Alert, arrived time.Time) (time.Time, bool) {
	start, fact := a.Began(arrived)
	return start, fact && start.Before(b.StartsAt) && start.After(b.EndedBefore)
}

// A Verdict is what the Alertmanagers that were asked say of a breach.
type Verdict int

// The verdicts.
const (
	VerdictCannotTell Verdict = iota // none answered, or none that would know
	VerdictListed                    // one lists its fingerprint: it fires, suppressed or not
	VerdictNotListed                 // one that would know does not list it, and none does
)

// String says it in words.
func (v Verdict) String() string {
	switch v {
	case VerdictListed:
		return "listed"
	case VerdictNotListed:
		return "not listed"
	}
	return "cannot tell"
}

// An Answer is what the Alertmanagers that were asked at one time say of each breach.
type Answer func(b *Breach) Verdict

// AskedAt returns the same answer to a question that was asked at that time: it says nothing
// of a breach that was heard to begin or to end since.
func (a Answer) AskedAt(asked time.Time) Answer {
	return func(b *Breach) Verdict {
		if latest(b.HeardAt, b.EndHeardAt).After(asked) {
			return VerdictCannotTell
		}
		return a(b)
	}
}

// Silent is the answer of nobody.
func Silent(*Breach) Verdict { return VerdictCannotTell }

// Weigh says what a verdict means for the latest breach of a fingerprint, that was asked
// about as it was quiet for too long, in doubt, or before somebody is told. The pulses
// are those of the watchdog.
func (b *Breach) Weigh(v Verdict, p *Policy, pulses Pulses, at time.Time) Sighting {
	_, doubted := pulses.Doubting(p, b.Labels)
	if doubted && v == VerdictNotListed {
		v = VerdictCannotTell // Alertmanager hears of nothing
	}
	switch b.State {
	case BreachEnded:
		if v == VerdictListed || v == VerdictCannotTell && !b.AskAt.IsZero() {
			// To lose a breach is worse than one message too many.
			return SeenAgain
		}
	case BreachUnknown:
		// Without anybody to ask, an end that was not believed holds if it does not fire
		// again soon after its watchdog is back.
		silent := b.EndDoubted() && !p.Asks && !doubted && at.Sub(latest(pulses.backAt(p, b.Labels), b.EndHeardAt)) >= p.ResolveAfter
		switch {
		case v == VerdictListed:
			return SeenAgain
		case v == VerdictNotListed, silent:
			return SeenEnd
		}
	case BreachFiring:
		switch {
		case v == VerdictListed:
			return SeenRepeat
		case v == VerdictNotListed:
			return SeenEnd
		case at.Sub(b.HeardAt) >= p.UnknownAfter:
			return SeenLost
		}
	}
	return SeenStale
}

// Disbelieved reports whether its end was reported after its watchdog, which is away, was
// last heard.
func (b *Breach) Disbelieved(p *Policy, pulses Pulses) bool {
	pulse, doubted := pulses.Doubting(p, b.Labels)
	return doubted && b.State == BreachEnded && !b.EndHeardAt.Before(pulse.HeardAt)
}

// EndDoubted reports whether it is unknown as its end was reported, and not believed.
func (b *Breach) EndDoubted() bool { return b.State == BreachUnknown && !b.EndHeardAt.IsZero() }

// askListed is how soon it is asked again about a breach that only a listing keeps open.
const askListed = time.Minute

// NoteAnswer notes that the Alertmanagers were asked about it, and when they are to be
// asked again.
//
// One that nothing but a listing keeps open is asked about again every minute, later every
// resolve_after: the end of what is silenced or inhibited is told by nobody. So is one
// that is unknown, while there is somebody to ask.
func (b *Breach) NoteAnswer(v Verdict, p *Policy, at time.Time) {
	b.AskedAt, b.AskAt = at, time.Time{}
	if v != VerdictListed {
		if p.Asks && b.State != BreachEnded {
			b.AskAt = at.Add(max(askListed, p.ResolveAfter))
		}
		return
	}
	b.HeardAt = latest(b.HeardAt, at)
	if b.ListedSince.IsZero() {
		b.ListedSince = at
	}
	again := askListed
	if at.Sub(b.ListedSince) >= p.ResolveAfter {
		again = max(askListed, p.ResolveAfter)
	}
	b.AskAt = at.Add(again)
}
