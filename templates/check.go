package templates

import (
	"errors"
	"fmt"
	"slices"

	"sitrep/incident"
	"sitrep/incident/sample"
)

// Check tries the templates with samples of all messages, to all who may be told, and returns what is
// wrong with them: of each template the first thing, as the rest often follows from it. The
// priorities are those of the configuration, the highest first; they may be none.
func (s *Set) Check(priorities []incident.Priority) []Problem {
	sound := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !s.Defines(name) })
	var problems []Problem
	try := func(kind incident.Kind, shape sample.Shape, about sample.About) {
		if len(sound) == 0 { // samples are dear, and mostly there are no templates
			return
		}
		about.Priorities = priorities
		t := &telling{m: sample.Message(kind, shape, about)}
		sound = slices.DeleteFunc(sound, func(name string) bool {
			_, err := s.make([]string{name}, t)
			if err == nil {
				return false
			}
			p := Problem{Text: err.Error()}
			var f *Failure
			if errors.As(err, &f) {
				p = f.Problem
				p.Text = fmt.Sprintf("%s: %s (a message of kind %s to %s)", name, p.Text, kind, about.Audience)
			}
			problems = append(problems, p)
			return true
		})
	}
	for _, shape := range sample.Shapes() {
		for _, kind := range sample.Kinds() {
			for _, audience := range sample.Audiences(kind) {
				try(kind, shape, sample.About{Audience: audience})
			}
		}
	}
	for i := range priorities {
		try(incident.KindOpened, sample.Usual, sample.About{Audience: incident.AudienceStakeholders, Priority: i, Drill: true})
	}
	return problems
}
