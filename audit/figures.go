package audit

import (
	"slices"
	"time"
)

// A Tally counts messages by how they stand to their promises. Owed is the sum of the
// four after it.
type Tally struct {
	Owed   int `json:"owed"`
	OnTime int `json:"on_time"`
	Held   int `json:"held"`
	Late   int `json:"late"`
	Missed int `json:"missed"`
	// Causes are those of the late and the missed.
	Causes map[Cause]int `json:"causes,omitempty"`
}

// add counts n messages. An outcome that is empty counts nothing.
func (t *Tally) add(o Outcome, n int, why Cause) {
	switch o {
	case OnTime:
		t.OnTime += n
	case Held:
		t.Held += n
	case Late:
		t.Late += n
	case Missed:
		t.Missed += n
	default:
		return
	}
	t.Owed += n
	if o == Late || o == Missed {
		if t.Causes == nil {
			t.Causes = map[Cause]int{}
		}
		t.Causes[why] += n
	}
}

// Kept returns the share of what was owed that was on time or held, from 0 to 1; 1 if
// nothing was owed.
func (t Tally) Kept() float64 {
	if t.Owed == 0 {
		return 1
	}
	return float64(t.OnTime+t.Held) / float64(t.Owed)
}

// A Spread sums up durations. The median and the 90th percentile are durations that
// occurred: the smallest that is not less than that share of all.
type Spread struct {
	Count  int     `json:"count"`
	Median float64 `json:"median_seconds"`
	P90    float64 `json:"p90_seconds"`
	Max    float64 `json:"max_seconds"`
	// Without is how many have no such duration, as it has not come to that.
	Without int `json:"without"`

	all []time.Duration
}

func (s *Spread) add(d time.Duration) { s.all = append(s.all, d) }

// span adds the time between two moments, of which the second may not have come.
func (s *Spread) span(from, to time.Time) {
	if from.IsZero() || to.IsZero() {
		s.Without++
		return
	}
	s.add(max(to.Sub(from), 0))
}

func (s *Spread) finish() {
	if s.Count = len(s.all); s.Count == 0 {
		return
	}
	slices.Sort(s.all)
	rank := func(percent int) float64 { return s.all[(s.Count*percent+99)/100-1].Seconds() }
	s.Median, s.P90, s.Max = rank(50), rank(90), rank(100)
	s.all = nil
}

// ActionCounts count the actions of incidents.
type ActionCounts struct {
	Done   int `json:"done"`
	Waived int `json:"waived"`
	Open   int `json:"open"` // due, and not overdue
	// Overdue are still due after their time.
	Overdue int `json:"overdue"`
}

// Figures are what is counted and measured, of all or of a part.
type Figures struct {
	// Incidents are those that opened in the time span.
	Incidents int `json:"incidents"`
	// Openings are the first messages to readers in the audiences management and
	// stakeholders, or the first since they left, Updates all later ones, and OnCall all
	// messages to the teams, reminders too. An interval in which at least one reader of an
	// audience got no message is an update that was missed. A reader misses one opening of
	// an incident at most: what tells of it later counts as an update.
	Openings Tally `json:"openings"`
	Updates  Tally `json:"updates"`
	OnCall   Tally `json:"on_call"`
	// These count from when the incident opened; Trouble is from when the first breach
	// started to when the last one ended, by what Alertmanager said.
	Acknowledge Spread `json:"time_to_acknowledge"`
	Resolve     Spread `json:"time_to_resolve"`
	Close       Spread `json:"time_to_close"`
	Trouble     Spread `json:"length_of_trouble"`

	Raised     int          `json:"priority_raised"`
	Lowered    int          `json:"priority_lowered"`
	Reopenings int          `json:"reopenings"`
	Actions    ActionCounts `json:"actions"`
}

// Promises returns openings and updates together.
func (f *Figures) Promises() Tally {
	var t Tally
	for _, of := range []*Tally{&f.Openings, &f.Updates} {
		t.Owed += of.Owed
		t.OnTime += of.OnTime
		t.Held += of.Held
		t.Late += of.Late
		t.Missed += of.Missed
	}
	return t
}

func (f *Figures) finish() {
	for _, s := range []*Spread{&f.Acknowledge, &f.Resolve, &f.Close, &f.Trouble} {
		s.finish()
	}
}
