package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/wording"
)

// A Command is one of the types of this package: what to do to an incident.
type Command interface {
	// lock reads what the command depends on, which locks it until the end.
	lock(c *storage.Change, number int64) error
	// do does it, and returns the incident that it changed or opened.
	do(c *storage.Change, number int64, stamp incident.Stamp) (*incident.Situation, error)
}

// A Request is a command of a person.
type Request struct {
	Command Command
	// Incident is the number of the one that it is about; 0 for Declare.
	Incident int64
	Actor    incident.Actor
	// Seen is the sequence that the incident had when the person decided; 0 if that
	// does not matter.
	Seen int64
	// Once is by what Execute knows a repetition.
	Once Once
}

// Name returns what the command is called in the log, such as priority.
func (r *Request) Name() string {
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", r.Command), "command."))
}

// Apply carries the command out within a change, and returns the incident that it
// changed or opened. The errors are of the kinds of package incident; ErrChanged
// if a person changed the incident since it was seen.
//
// When what the command depends on is locked, and before anything is done, begin is
// called, if it is not nil; an error of it ends the change.
func (r *Request) Apply(c *storage.Change, begin func() error) (*incident.Situation, error) {
	if r.Actor == "" {
		return nil, errors.New("a command from nobody: its route asks for no role")
	}
	if err := r.Command.lock(c, r.Incident); err != nil {
		return nil, err
	}
	if begin != nil {
		if err := begin(); err != nil {
			return nil, err
		}
	}
	if r.Seen != 0 && r.Incident != 0 {
		if err := unchanged(c.Context(), c.Tx, r.Incident, r.Seen); err != nil {
			return nil, err
		}
	}
	return r.Command.do(c, r.Incident, c.Stamp(r.Actor))
}

// unchanged refuses a command if a person changed the incident since it was seen. What
// alerts and time did meanwhile does not count.
func unchanged(ctx context.Context, r storage.Snapshot, number, seen int64) error {
	in, err := storage.IncidentOf(ctx, r, number)
	if err != nil {
		return err
	}
	if seen > in.Sequence {
		return &incident.Problem{Kind: incident.ErrChanged, Text: fmt.Sprintf("%s is at %d, and has never been at %d; read it again", in.ID(), in.Sequence, seen)}
	}
	var changes []string
	for after := seen; after < in.Sequence; {
		events, err := storage.EventsOf(ctx, r, number, after, 1000)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return fmt.Errorf("read %s: no event after %d, and it is at %d", in.ID(), after, in.Sequence)
		}
		for _, e := range events {
			if e.Actor.Person() {
				changes = append(changes, said(&e))
			}
			after = e.Sequence
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if n := len(changes) - 5; n > 0 {
		changes = append([]string{fmt.Sprintf("%d more", n)}, changes[n:]...)
	}
	return &incident.Problem{Kind: incident.ErrChanged, Text: fmt.Sprintf("meanwhile people changed %s: %s. Read it again, it is at %d",
		in.ID(), strings.Join(changes, "; "), in.Sequence)}
}

// said says in a few words what a person did.
func said(e *incident.Event) string {
	what := wording.Describer{Apart: true}.Event(e)
	return fmt.Sprintf("%s (%d)", strings.TrimSuffix(what, "."), e.Sequence)
}

// situation returns an incident, or an error that says there is none.
func situation(c *storage.Change, number int64) (*incident.Situation, error) {
	s, err := c.Situation(number)
	return s, incident.NotThere(err, number)
}

// noneOpen returns the number of the latest incident of a key, 0 if there is none, or
// an error if that, or what it was merged into, is open and not the one given.
func noneOpen(c *storage.Change, key string, but int64) (int64, error) {
	if key == "" {
		return 0, nil
	}
	latest, err := c.Latest(key)
	if err != nil || latest == nil {
		return 0, err
	}
	in, err := incident.Follow(c, latest.Number)
	if err != nil {
		return 0, err
	}
	if in.State == incident.StateOpen && in.Number != but {
		return 0, &incident.Problem{Kind: incident.ErrConflict, Text: in.ID() + " is open for this SLO already; go on with that one"}
	}
	return in.Number, nil
}

// priority returns a priority by name, or an error that names them all.
func priority(p *incident.Policy, name string) (incident.Priority, error) {
	if q, ok := p.Priority(name); ok {
		return q, nil
	}
	text := fmt.Sprintf("priority %q: use %s", name, strings.Join(p.PriorityNames(), ", "))
	return incident.Priority{}, &incident.Problem{Kind: incident.ErrInvalid, Text: text}
}

// slo returns an SLO by id.
func slo(p *incident.Policy, id string) (*incident.SLO, error) {
	if found, ok := p.SLO(id); ok {
		return &found, nil
	}
	return nil, &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("there is no SLO %q in the configuration", id)}
}
