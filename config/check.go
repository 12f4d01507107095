package config

import (
	"slices"
	"strings"
)

// A checker finds what is wrong with a config beyond its form. Names that could
// not be read are empty here; they were reported already.
type checker struct {
	*Config
	main       *source
	teams      []*source // beside Config.Teams
	priorities []string  // their names
	groups     []string
	reached    []bool // beside groups: whether they have recipients, as far as can be told
	// complete is set if all priorities could be read: only then can one be unknown.
	complete bool
}

// check reports what is wrong with the config beyond its form.
func (l *loading) check(main *source, teams []*source, c *Config) {
	k := &checker{Config: c, main: main, teams: teams, complete: !main.broken("priorities")}
	for _, p := range c.Priorities {
		k.priorities = append(k.priorities, p.Name)
	}
	for i, g := range c.Groups {
		k.groups = append(k.groups, g.Name)
		k.reached = append(k.reached, !g.none() || main.brokenWithin(elem("groups", i)))
	}
	k.checkMail()
	k.checkPriorities()
	k.checkGroups()
	k.checkSigning()
	k.checkIncidents()
	k.checkTeams()
	k.checkOverlap()
	k.checkAlerts()
	k.checkAlertmanagers()
	k.checkPrometheus()
	k.checkCanary()
	k.checkEvidence()
	k.checkAccess()
}

// fold makes names comparable that people would read as the same.
func fold(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

// An once remembers where each name stood first.
type once map[string]string

// repeated returns where the name stood before, and keeps the first place.
func (o once) repeated(name, path string) (string, bool) {
	if name == "" {
		return "", false
	}
	if before, ok := o[fold(name)]; ok {
		return before, true
	}
	o[fold(name)] = path
	return "", false
}

// firstAddress returns where the first email address stands.
func (k *checker) firstAddress() (*source, string) {
	for i, g := range k.Groups {
		if len(g.Email) > 0 {
			return k.main, join(elem("groups", i), "email")
		}
	}
	if w := k.Evidence.Witness; w != nil && w.Email.Address != "" {
		return k.main, "evidence.witness.email"
	}
	for i, t := range k.Teams {
		if len(t.OnCall.Email) > 0 {
			return k.teams[i], "on_call.email"
		}
	}
	return nil, ""
}

// knownGroups reports names that no group has, and names that stand there twice.
func (k *checker) knownGroups(s *source, path string, names []string) {
	k.known(s, path, names, "no group", k.groups)
}

func (k *checker) knownPriorities(s *source, path string, names []string) {
	if k.complete {
		k.known(s, path, names, "unknown priority", k.priorities)
	}
}

func (k *checker) known(s *source, path string, names []string, what string, known []string) {
	for i, n := range names {
		switch {
		case n == "":
		case n == Unchosen && !slices.Contains(known, n):
			s.errorf(elem(path, i), "%s is chosen yet; %s", strings.Replace(what, "unknown", "no", 1), suggest("", real(known)))
		case !slices.Contains(known, n):
			s.errorf(elem(path, i), "%s %q; %s", what, shorten(n), suggest(n, real(known)))
		case slices.Contains(names[:i], n):
			s.errorf(elem(path, i), "%q stands there twice; keep one", n)
		}
	}
}

// real leaves out the names that could not be read.
func real(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" })
}
