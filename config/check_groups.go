package config

import (
	"fmt"
	"slices"
	"strings"

	"sitrep/incident"
)

func (k *checker) checkGroups() {
	s := k.main
	names := once{}
	for i, g := range k.Groups {
		path := elem("groups", i)
		if at, ok := names.repeated(g.Name, path); ok {
			s.errorf(join(path, "name"), "%q is the name of %s already; choose another", g.Name, at)
		}
		if !k.reached[i] {
			s.warnf(path, "it informs nobody; add email or webhooks")
		}
		s.checkAddresses(path, g.Recipients)
		for j, q := range g.Quiet {
			path := elem(join(path, "quiet"), j)
			if q.empty() && !s.broken(path) && !s.hasAny(path, "times", "weekdays", "days_of_month", "months", "years") {
				s.errorf(path, "it names no time; add times, weekdays, days_of_month, months or years")
			}
			for n, r := range q.Times {
				at := elem(join(path, "times"), n)
				if r.Start >= r.End && s.has(join(at, "start_time")) && s.has(join(at, "end_time")) && !s.broken(join(at, "start_time")) && !s.broken(join(at, "end_time")) {
					s.errorf(at, "it ends before it starts; over midnight write two, one until \"24:00\" and one from \"00:00\"")
				}
			}
			k.knownPriorities(s, join(path, "unless"), q.Unless)
		}
		k.checkHears(path, &g)
		k.checkQuiet(path, &g)
	}
	k.knownGroups(s, "management", k.Management)
}

// checkHears checks the list of the priorities of which a group hears.
func (k *checker) checkHears(path string, g *Group) {
	path = join(path, "priorities")
	if len(g.Priorities) == 0 && k.main.has(path) && !k.main.broken(path) {
		k.main.errorf(path, "it is empty, and would hear of nothing; name priorities, or leave it out to hear of all")
	}
	k.knownPriorities(k.main, path, g.Priorities)
}

// checkQuiet reports quiet times that together leave no minute to tell a group of a
// priority, of the watchdog or of the canary.
func (k *checker) checkQuiet(path string, g *Group) {
	s, at := k.main, join(path, "quiet")
	if len(g.Quiet) == 0 || !k.complete || s.brokenWithin(at) || s.broken(join(path, "timezone")) {
		return
	}
	group := g.plain(k.Config)
	var told, never []string
	for _, p := range k.priorities {
		switch _, silent := group.NeverTold(p); {
		case !group.Hears(p):
		case silent:
			never = append(never, p)
		default:
			told = append(told, p)
		}
	}
	advice := "let them leave some"
	switch {
	case len(never) > 0 && len(told) > 0:
		advice = fmt.Sprintf("if it is to hear of %s only, write \"priorities: [%s]\" in the group instead", conjunction(told), strings.Join(told, ", "))
	case len(never) > 0:
		advice += "; to keep the group from some priorities, use its priorities, as in \"priorities: [P1]\""
	}
	if w := k.Watchdog; w != nil && slices.Contains(w.Groups, g.Name) {
		if _, silent := group.NeverTold(""); silent {
			never = append(never, "the watchdog")
		}
	}
	if w := k.Canary; w != nil && slices.Contains(w.To, g.Name) {
		if _, silent := group.NeverTold(""); silent {
			never = append(never, "the canary")
		}
	}
	if len(never) > 0 {
		s.errorf(at, "for more than a year its quiet times leave no minute to tell it of %s; %s", conjunction(never), advice)
	}
}

func (s *source) hasAny(path string, keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return s.has(join(path, key)) })
}

// checkAddresses warns of recipients that stand twice in one list.
func (s *source) checkAddresses(path string, r Recipients) {
	seen := once{}
	for i, a := range r.Email {
		at := elem(join(path, "email"), i)
		if before, ok := seen.repeated(a.Address, at); ok {
			s.warnf(at, "%s is the address of %s already; it is told once", a.Address, before)
		}
	}
	hooks := map[Secret]bool{}
	for i, w := range r.Webhooks {
		if w.URL != "" && hooks[w.URL] {
			s.warnf(elem(join(path, "webhooks"), i), "its URL stands in this list already; it is told once")
		}
		hooks[w.URL] = true
	}
}

// checkSigning reports a URL that is to be signed with two different keys, told in two
// formats, or spoken to in two ways: it is one recipient, and would get messages that it cannot verify, or by
// a way that only one of them chose.
func (k *checker) checkSigning() {
	first := map[Secret]Webhook{}
	check := func(s *source, path string, hooks []Webhook) {
		for i, w := range hooks {
			if w.URL == "" {
				continue
			}
			before, ok := first[w.URL]
			if !ok {
				first[w.URL] = w
				continue
			}
			if before.Secret != w.Secret {
				s.errorf(elem(path, i), "the same URL stands elsewhere with another signing key, or with none; give it the same secret_file")
			}
			if before.Format != w.Format {
				s.errorf(elem(path, i), "the same URL stands elsewhere with another format, or with none; give it the same")
			}
			if !before.HTTPConfig.same(w.HTTPConfig) {
				s.errorf(elem(path, i), "the same URL stands elsewhere with another http_config, or with none; give it the same")
			}
		}
	}
	for i, g := range k.Groups {
		check(k.main, join(elem("groups", i), "webhooks"), g.Webhooks)
	}
	for i, t := range k.Teams {
		check(k.teams[i], "on_call.webhooks", t.OnCall.Webhooks)
	}
}

// unreached reports whether groups, all of them known, have no recipient.
func (k *checker) unreached(names []string) bool {
	for _, n := range names {
		i := slices.Index(k.groups, n)
		if i < 0 || k.reached[i] {
			return false
		}
	}
	return true
}

// unheard reports whether groups, all of them known, have recipients but none of them hears
// of a priority.
func (k *checker) unheard(names []string, priority string) bool {
	some := false
	for _, n := range names {
		i := slices.Index(k.groups, n)
		if i < 0 {
			return false
		}
		hears := incident.Group{Priorities: k.Groups[i].Priorities}
		if k.reached[i] && hears.Hears(priority) {
			return false
		}
		some = some || k.reached[i]
	}
	return some
}
