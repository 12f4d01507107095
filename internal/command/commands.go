package command

import (
	"errors"
	"fmt"

	"sitrep/incident"
	"sitrep/storage"
)

// Acknowledge says that somebody is on it, who takes it over if another is; or gives it
// back.
type Acknowledge struct {
	existing
	Release bool `json:"release"`
}

func (a Acknowledge) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	return change(c, number, func(in *incident.Incident) ([]incident.Event, error) {
		if a.Release {
			return in.Release(stamp)
		}
		return in.Acknowledge(stamp)
	})
}

// Note keeps words that stay inside.
type Note struct {
	existing
	Text string `json:"text"`
}

func (n Note) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	return change(c, number, func(in *incident.Incident) ([]incident.Event, error) { return in.WriteNote(stamp, n.Text) })
}

// Priority raises or lowers the priority.
type Priority struct {
	existing
	Priority string `json:"priority"`
	Reason   string `json:"reason"`
}

func (p Priority) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	return change(c, number, func(in *incident.Incident) ([]incident.Event, error) {
		to, err := priority(c.Policy, p.Priority)
		if err != nil {
			return nil, err
		}
		return in.ChangePriority(stamp, c.Policy, to, p.Reason)
	})
}

// Phase says at which step the response is.
type Phase struct {
	existing
	Phase       incident.Phase `json:"phase"`
	Note        string         `json:"note"`
	EscalatedTo string         `json:"escalated_to"` // with phase escalation
}

func (p Phase) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	return change(c, number, func(in *incident.Incident) ([]incident.Event, error) {
		return in.SetPhase(stamp, p.Phase, p.Note, p.EscalatedTo)
	})
}

// Update is what the team says; no audiences are all of the incident's.
type Update struct {
	existing
	Message   string              `json:"message"`
	Audiences []incident.Audience `json:"audiences"`
}

func (u Update) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	return change(c, number, func(in *incident.Incident) ([]incident.Event, error) {
		return in.WriteUpdate(stamp, c.Policy, u.Message, u.Audiences)
	})
}

// Action says that an action is done or, with a reason, waived.
type Action struct {
	existing
	Name   string               `json:"-"`
	State  incident.ActionState `json:"state"`
	Link   string               `json:"link"`
	Reason string               `json:"reason"`
}

func (a Action) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	return change(c, number, func(in *incident.Incident) ([]incident.Event, error) {
		return in.ChangeAction(stamp, a.Name, a.State, a.Link, a.Reason)
	})
}

// Resolve says that it is over. While breaches fire, the note says why nevertheless. The
// message is words to the audiences, who get them with the message that it is over.
type Resolve struct {
	existing
	Note    string `json:"note"`
	Message string `json:"message"`
}

func (r Resolve) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	return change(c, number, func(in *incident.Incident) ([]incident.Event, error) {
		return in.ResolveTelling(stamp, c.Policy, r.Note, r.Message)
	})
}

// Close ends an incident for good.
type Close struct {
	existing
	Note string `json:"note"`
}

func (cl Close) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	return change(c, number, func(in *incident.Incident) ([]incident.Event, error) { return in.Close(stamp, cl.Note) })
}

// Reopen takes resolving back.
type Reopen struct {
	existing
	Reason string `json:"reason"`
}

func (r Reopen) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	return change(c, number, func(in *incident.Incident) ([]incident.Event, error) {
		events, err := in.Reopen(stamp, r.Reason)
		if err != nil || in.Drill {
			return events, err
		}
		latest, err := noneOpen(c, in.Key, in.Number)
		if err == nil && latest != 0 && latest != in.Number {
			// Breaches of the SLO look for the latest: two would be open.
			err = &incident.Problem{Kind: incident.ErrConflict, Text: fmt.Sprintf("%s came after %s for this SLO: reopen that one, or declare a new incident", incident.ID(latest), in.ID())}
		}
		return events, err
	})
}

// Merge ends an incident in favour of another.
type Merge struct {
	existing
	Into   string `json:"into"` // such as INC-41
	Reason string `json:"reason"`
}

// lock locks both.
func (m Merge) lock(c *storage.Change, number int64) error {
	if n, err := incident.ParseID(m.Into); err == nil {
		if err := c.Lock(storage.Needs{Incidents: []int64{number, n}}); err != nil {
			return err
		}
	}
	return m.existing.lock(c, number)
}

func (m Merge) do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error) {
	n, err := incident.ParseID(m.Into)
	if err != nil {
		return nil, &incident.Problem{Kind: incident.ErrInvalid, Text: "into: " + err.Error()}
	}
	into, err := situation(c, n)
	if err != nil {
		return nil, err
	}
	s, err := situation(c, number)
	if err != nil {
		return nil, err
	}
	stamp = c.Stamp(stamp.Actor) // after both
	from, to, err := s.Incident.Merge(stamp, c.Policy, &into.Incident, m.Reason)
	if err != nil {
		return nil, err
	}
	return s, errors.Join(c.Record(s, from...), c.Record(into, to...))
}

// Declare opens an incident: about an SLO, or in its own words.
type Declare struct {
	SLO          string   `json:"slo"`
	UseCase      string   `json:"use_case"`
	Team         string   `json:"team"`
	Priority     string   `json:"priority"` // with an SLO, its own if empty
	Stakeholders []string `json:"stakeholders"`
	Reason       string   `json:"reason"`
	Drill        bool     `json:"drill"`
}

// lock locks the SLO's key, so that no two open an incident for it.
func (d Declare) lock(c *storage.Change, _ int64) error {
	if d.SLO == "" || d.Drill {
		return nil
	}
	about, err := slo(c.Policy, d.SLO)
	if err == nil {
		err = c.Lock(storage.Needs{Keys: []string{about.Key}})
	}
	return err
}

func (d Declare) do(c *storage.Change, _ int64, stamp incident.Stamp) (*incident.Situation, error) {
	declaration := incident.Declaration{
		UseCase: d.UseCase, Team: d.Team, Priority: d.Priority,
		Stakeholders: d.Stakeholders, Reason: d.Reason, Drill: d.Drill,
	}
	var previous int64
	if d.SLO != "" {
		about, err := slo(c.Policy, d.SLO)
		if err != nil {
			return nil, err
		}
		declaration.SLO = about
		if !d.Drill {
			if previous, err = noneOpen(c, about.Key, 0); err != nil {
				return nil, err
			}
		}
	}
	s, err := c.New()
	if err != nil {
		return nil, err
	}
	stamp = c.Stamp(stamp.Actor) // after the previous one
	events, err := incident.Declare(stamp, c.Policy, declaration, s.Incident.Number, previous)
	if err != nil {
		return nil, err
	}
	return s, c.Record(s, events...)
}

// existing is part of the commands on an incident that exists.
type existing struct{}

func (existing) lock(c *storage.Change, number int64) error {
	_, err := situation(c, number)
	return err
}

// change records the events that fn decides on; none is not a change.
func change(c *storage.Change, number int64, fn func(*incident.Incident) ([]incident.Event, error)) (*incident.Situation, error) {
	s, err := situation(c, number)
	if err != nil {
		return nil, err
	}
	events, err := fn(&s.Incident)
	if err != nil || len(events) == 0 {
		return s, err
	}
	return s, c.Record(s, events...)
}
