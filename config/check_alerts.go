package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/common/model"
	"golang.org/x/mod/sumdb/note"

	"sitrep/incident"
)

const (
	// usualRepeat is Alertmanager's repeat_interval where nothing else is said.
	usualRepeat = 4 * time.Hour
	// repeatSlack is how much later a repeat may come: Alertmanager looks at a group
	// each group_interval, of 5 minutes where nothing else is said, and may have to
	// try again.
	repeatSlack = 15 * time.Minute
)

func (k *checker) checkIncidents() {
	s, in := k.main, k.Incidents
	for _, d := range []struct {
		key  string
		zero bool
		eg   string
	}{
		{"incidents.resolve_after", in.ResolveAfter == 0, "10m"},
		{"incidents.unknown_after", in.UnknownAfter == 0, "5h"},
		{"retention.breaches", k.Retention.Breaches == 0, "400d"},
		{"retention.messages", k.Retention.Messages == 0, "400d"},
		{"retention.personal", k.Retention.Personal == 0, "1100d"},
		{"watchdog.within", k.Watchdog != nil && k.Watchdog.Within == 0, "15m"},
	} {
		if d.zero && s.has(d.key) && !s.broken(d.key) {
			s.errorf(d.key, "it must be longer than nothing; write %s", d.eg)
		}
	}
	if u := in.UnknownAfter; u > 0 && u < usualRepeat+repeatSlack && !s.has("alertmanagers") && s.has("incidents.unknown_after") && !s.broken("incidents.unknown_after") {
		s.warnf("incidents.unknown_after", "%s is too short for Alertmanager's usual repeat_interval of %s, so breaches would be called unknown between two repeats; "+
			"write 5h, add alertmanagers, which are asked then, or see to it that repeat_interval is shorter", model.Duration(u), model.Duration(usualRepeat))
	}
	if m, p := k.Retention.Messages, k.Retention.Personal; m > p && !s.broken("retention.messages") && !s.broken("retention.personal") {
		s.errorf("retention.messages", "%s is longer than personal, and each message holds its recipient's address; write %s or less", model.Duration(m), model.Duration(p))
	}
	if in.DigestAbove < 1 && s.has("incidents.digest_above") && !s.broken("incidents.digest_above") {
		s.errorf("incidents.digest_above", "%d is less than 1; write how many messages one recipient may get in a minute, such as 5", in.DigestAbove)
	}
}

// checkAlerts checks what becomes of alerts that are not an SLO's.
func (k *checker) checkAlerts() {
	s := k.main
	seen := once{}
	for _, l := range idLabels {
		seen[l] = "those that are tried anyway"
	}
	for i, l := range k.SLOLabels {
		if before, ok := seen.repeated(l, elem("slo_labels", i)); ok {
			s.errorf(elem("slo_labels", i), "%q is among %s; remove it", l, before)
		}
	}
	if u := k.Unmapped; u != nil {
		k.knownGroups(s, "unmapped.groups", u.Groups)
		i := slices.Index(k.priorities, u.Priority)
		switch {
		case u.Priority == "":
			if len(u.Groups) > 0 && !s.has("unmapped.priority") {
				s.warnf("unmapped.groups", "they are told nothing, as unmapped alerts have no priority; add priority")
			}
		case i < 0 && k.complete:
			s.errorf("unmapped.priority", "unknown priority %q; %s", shorten(u.Priority), suggest(u.Priority, real(k.priorities)))
		case i >= 0 && slices.Contains(k.Priorities[i].Inform, incident.AudienceStakeholders) && k.unreached(u.Groups):
			s.errorf("unmapped.groups", "nobody would be informed: %s informs stakeholders; name groups that have recipients", u.Priority)
		case i >= 0 && slices.Contains(k.Priorities[i].Inform, incident.AudienceStakeholders) && k.unheard(u.Groups, u.Priority):
			s.warnf("unmapped.groups", "nobody is informed of them, as none of the groups hears of %s; add it to the priorities of one, or name another group", u.Priority)
		case i >= 0 && len(k.Priorities[i].Inform) == 0:
			s.warnf("unmapped.priority", "nobody is informed of them, as %s informs no audience; choose another priority", u.Priority)
		}
	}
	if w := k.Watchdog; w != nil {
		if w.Match != nil && len(w.Match) == 0 {
			s.errorf("watchdog.match", "it is empty; write a matcher, such as 'alertname=\"Watchdog\"'")
		}
		for i, label := range w.By {
			switch path := elem("watchdog.by", i); {
			case label == "": // found by the decoder
			case slices.Contains(w.By[:i], label):
				s.errorf(path, "%q stands there twice; keep one", label)
			case !isLabelName(label):
				s.errorf(path, "%q is not the name of a label; write the name alone, such as cluster", shorten(label))
			}
		}
		k.knownGroups(s, "watchdog.groups", w.Groups)
		if k.unreached(w.Groups) && !s.broken("watchdog.groups") {
			s.warnf("watchdog.groups", "nobody is told when the watchdog goes away; name groups that have recipients")
		}
	}
}

// isLabelName reports whether people would write that as the name of a label: not a
// matcher, and no list of names.
func isLabelName(name string) bool {
	return model.UTF8Validation.IsValidLabelName(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`={}",!~`, r)
	})
}

// checkAlertmanagers reports those that would be asked twice. One URL may stand for
// several tenants, so it is only the same if how it is spoken to is, too; those with
// certificates count as different.
func (k *checker) checkAlertmanagers() {
	for i, a := range k.Alertmanagers {
		j := slices.IndexFunc(k.Alertmanagers[:i], func(b Alertmanager) bool {
			return a.URL != "" && a.plain() == b.plain() && reflect.DeepEqual(a.HTTPConfig, b.HTTPConfig)
		})
		if j >= 0 {
			k.main.errorf(join(elem("alertmanagers", i), "url"), "it is the URL of %s already; remove one", elem("alertmanagers", j))
		}
	}
}

// checkPrometheus reports those that would be asked twice.
func (k *checker) checkPrometheus() {
	for i, p := range k.Prometheus {
		j := slices.IndexFunc(k.Prometheus[:i], func(q Prometheus) bool {
			return p.URL != "" && strings.TrimRight(string(p.URL), "/") == strings.TrimRight(string(q.URL), "/") && reflect.DeepEqual(p.HTTPConfig, q.HTTPConfig)
		})
		if j >= 0 {
			k.main.errorf(join(elem("prometheus", i), "url"), "it is the URL of %s already; remove one", elem("prometheus", j))
		}
	}
}

func (k *checker) checkEvidence() {
	w, s := k.Evidence.Witness, k.main
	if key := k.Evidence.Key; key != "" {
		if _, err := note.NewSigner(string(key)); err != nil {
			s.errorf("evidence.key_file", "the file holds no private key of a note, which begins with PRIVATE+KEY+; name a file that is not there yet, and one is made")
		}
	}
	if w == nil {
		return
	}
	const path = "evidence.witness"
	switch email, url := s.has(path+".email"), s.has(path+".url"); {
	case email && url:
		s.errorf(path, "it has both email and url; keep one")
	case !email && !url:
		s.errorf(path, "it does not say who is told; add email or url")
	}
	if w.URL != "" {
		if err := checkSecretURL(string(w.URL)); err != nil {
			s.errorf(path+".url", "%v", err)
		}
	}
	if at := join(path, "http_config"); s.has(at) && !s.has(path+".url") {
		s.errorf(at, "it is for a witness with url, and there is none; add url, or remove this")
	}
	if w.Every == 0 && !s.broken(path+".every") {
		s.errorf(path+".every", "it must be longer than nothing; write 1d")
	}
}
