package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"sitrep/incident"
)

var actionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (k *checker) checkPriorities() {
	s := k.main
	if len(k.Priorities) == 0 && s.has("priorities") && !s.broken("priorities") {
		s.errorf("priorities", "there must be at least one; write [{name: P1, inform: [stakeholders], update_every: 2h}]")
	}
	names, criteria := once{}, once{}
	for i, p := range k.Priorities {
		path := elem("priorities", i)
		if i == maxPriorities {
			s.errorf(path, "there are %d priorities; at most %d can be told apart, so merge some", len(k.Priorities), maxPriorities)
		}
		if at, ok := names.repeated(p.Name, path); ok {
			s.errorf(join(path, "name"), "%q is the name of %s already; choose another", p.Name, at)
		}
		for j, text := range p.Criteria {
			path := elem(join(path, "criteria"), j)
			if j == maxCriteria {
				s.errorf(path, "there are %d criteria; at most %d can be gone through in time, so merge some", len(p.Criteria), maxCriteria)
			}
			if at, ok := criteria.repeated(text, path); ok {
				s.errorf(path, "%q stands at %s already; a criterion decides for one priority", shorten(text), at)
			}
		}
		actions := once{}
		for j, a := range p.Actions {
			path := elem(join(path, "actions"), j)
			if a.Name != "" && !actionName.MatchString(a.Name) {
				s.errorf(path, "%q is not a name for an action; use letters, digits, dots, dashes and underscores", shorten(a.Name))
			}
			if _, ok := actions.repeated(a.Name, path); ok {
				s.errorf(path, "%q stands there twice; keep one", a.Name)
			}
		}
		k.checkInform(path, p)
	}
}

// checkInform checks who is informed of a priority, and how often.
func (k *checker) checkInform(path string, p Priority) {
	s, every := k.main, join(path, "update_every")
	for j, a := range p.Inform {
		path := elem(join(path, "inform"), j)
		if a != "" && slices.Contains(p.Inform[:j], a) {
			s.errorf(path, "%q stands there twice; keep one", a)
		}
		if a == incident.AudienceManagement && k.unreached(k.Management) {
			s.errorf(path, "nobody would be informed, as management has no recipient; name groups that have some in the list management")
		}
		if a == incident.AudienceManagement && k.unheard(k.Management, p.Name) {
			s.warnf(path, "nobody of management is informed, as none of its groups hears of %s; add it to the priorities of one", p.Name)
		}
	}
	switch {
	case len(p.Inform) > 0 && !s.has(every):
		s.errorf(every, "it is missing; say how often %s are informed, as in \"update_every: 2h\"", strings.Join(texts(p.Inform), " and "))
	case len(p.Inform) > 0 && p.UpdateEvery == 0 && !s.broken(every):
		s.errorf(every, "it must be longer than nothing; write 2h")
	case len(p.Inform) == 0 && p.UpdateEvery > 0 && !s.has(join(path, "inform")):
		s.warnf(every, "it does nothing, as nobody is informed; add inform, or remove it")
	case len(p.Inform) > 0 && p.UpdateEvery > 0 && k.Incidents.RemindBefore >= p.UpdateEvery:
		s.warnf(every, "incidents.remind_before, %s, is not shorter than this, so the team is never reminded; make it shorter",
			model.Duration(k.Incidents.RemindBefore))
	}
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}
