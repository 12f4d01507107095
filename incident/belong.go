package incident

import "time"

// Incidents finds incidents, for the rules that say to which one a breach belongs.
type Incidents interface {
	// Numbered returns the incident of that number.
	Numbered(number int64) (*Incident, error)
	// Latest returns the latest incident of a key that is no drill, nil if there is none.
	Latest(key string) (*Incident, error)
}

// Follow returns the incident that goes on in place of the one of that number: itself if
// it was not merged.
func Follow(find Incidents, number int64) (*Incident, error) {
	for {
		in, err := find.Numbered(number)
		if err != nil || in.MergedInto == 0 {
			return in, err
		}
		number = in.MergedInto
	}
}

// Reopens reports whether a breach at that time belongs to the incident: it is
// open, or was resolved no longer than reopen_within ago.
func (in *Incident) Reopens(at time.Time, p *Policy) bool {
	switch in.State {
	case StateOpen:
		return true
	case StateResolved:
		return at.Sub(in.ResolvedAt) <= p.ReopenWithin
	}
	return false
}

// IncidentFor returns the incident that a breach of the SLO belongs to: the open one, or
// the one resolved no longer than reopen_within ago, or what a person declared for the SLO
// as a whole. Nil: a new one is to be opened, that follows on the previous, 0 if none.
func IncidentFor(find Incidents, slo *SLO, p *Policy, at time.Time) (in *Incident, previous int64, err error) {
	first, err := find.Latest(slo.Key)
	if err != nil {
		return nil, 0, err
	}
	if first != nil {
		previous = first.Number
		last, err := Follow(find, previous)
		if err != nil {
			return nil, 0, err
		}
		if last, err = goesOn(find, last); err != nil {
			return nil, 0, err
		}
		if last.Reopens(at, p) {
			return last, previous, nil
		}
	}
	in, err = declaredFor(find, slo, p, at)
	return in, previous, err
}

// IncidentOf returns the incident in which a breach fires again that belonged to the one
// of that number, by which SLO it does, and whether that is all: else the incident is
// over, and the breach is looked up again, by that SLO if there is one.
//
// A breach stays with what it belonged to, whatever the labels of its alert say today.
func IncidentOf(find Incidents, b *Breach, p *Policy, at time.Time) (in *Incident, slo *SLO, found bool, err error) {
	first, err := find.Numbered(b.Incident)
	if err != nil {
		return nil, nil, false, err
	}
	if in, err = Follow(find, b.Incident); err != nil {
		return nil, nil, false, err
	}
	if b.State == BreachEnded {
		if in, err = goesOn(find, in); err != nil {
			return nil, nil, false, err
		}
	}
	slo = first.AsSLO(p)
	if in.State != StateClosed && (b.State == BreachUnknown || in.Reopens(at, p)) {
		return in, slo, true, nil
	}
	if _, ok := p.Priority(slo.Priority); !ok || slo.Key == "" {
		slo = nil // nothing is left of it
	}
	return nil, slo, false, nil
}

// goesOn returns the incident in which a breach goes on that fires again and belonged to
// this one: this one, unless it is over and another is open for the same SLO.
func goesOn(find Incidents, in *Incident) (*Incident, error) {
	if in.State == StateOpen || in.Key == "" || in.Drill {
		return in, nil
	}
	first, err := find.Latest(in.Key)
	if err != nil || first == nil {
		return in, err
	}
	other, err := Follow(find, first.Number)
	if err != nil {
		return nil, err
	}
	if other.State == StateOpen {
		return other, nil
	}
	return in, nil
}

// declaredFor returns the incident that a person declared for an SLO that has one for
// each value of some labels: it is about all of them. Nil if there is none that goes on.
func declaredFor(find Incidents, slo *SLO, p *Policy, at time.Time) (*Incident, error) {
	if len(slo.Labels) == 0 {
		return nil, nil
	}
	whole, ok := p.SLO(slo.ID)
	if !ok || whole.Key == slo.Key {
		return nil, nil
	}
	first, err := find.Latest(whole.Key)
	if err != nil || first == nil || !first.Declared {
		return nil, err
	}
	in, err := Follow(find, first.Number)
	if err != nil || !in.Reopens(at, p) {
		return nil, err
	}
	return in, nil
}
