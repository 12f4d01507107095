package templates

import (
	"errors"
	"fmt"

	"sitrep/incident"
	"sitrep/incident/sample"
)

// Check tries the templates with samples of all messages, to all who may be told, and returns what is
// wrong with them: of each template the first thing, as the rest often follows from it. The
// priorities are those of the configuration, the highest first; they may be none.
func (s *Set) Check(priorities []incident.Priority) []Problem {
	var problems []Problem
	for _, name := range names {
		if !s.Defines(name) {
			continue
		}
		if p := s.try(name, priorities); p != nil {
			problems = append(problems, *p)
		}
	}
	return problems
}

// try makes messages by one template, until one cannot be made; nil if all can.
func (s *Set) try(name string, priorities []incident.Priority) *Problem {
	fails := func(kind incident.Kind, shape sample.Shape, about sample.About) *Problem {
		about.Priorities = priorities
		_, err := s.make([]string{name}, sample.Message(kind, shape, about))
		var f *Failure
		switch {
		case err == nil:
			return nil
		case errors.As(err, &f):
			f.Problem.Text = fmt.Sprintf("%s: %s (in a message of kind %s, to %s)", name, f.Problem.Text, kind, about.Audience)
			return &f.Problem
		}
		return &Problem{Text: err.Error()}
	}
	for _, shape := range sample.Shapes() {
		for _, kind := range sample.Kinds() {
			for _, audience := range sample.Audiences(kind) {
				if p := fails(kind, shape, sample.About{Audience: audience}); p != nil {
					return p
				}
			}
		}
	}
	for i := range priorities {
		if p := fails(incident.KindOpened, sample.Usual, sample.About{Audience: incident.AudienceStakeholders, Priority: i, Drill: true}); p != nil {
			return p
		}
	}
	return nil
}
