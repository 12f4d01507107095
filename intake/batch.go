package intake

import (
	"log/slog"

	"sitrep/incident"
	"sitrep/storage"
)

// A batch is the transaction in which something that was heard becomes known.
type batch struct {
	*storage.Change
	catalog Catalog
	log     *slog.Logger
	logs    *[]func()         // to be called after the commit
	gone    []*incident.Alert // those of the watchdog that ended
	// matches are which SLOs the firing alerts of the post belong to.
	matches map[*incident.Alert]Match
}

// prepare loads what those alerts of a post need that have news. IsFresh reports whether no breach of
// an alert was known just now.
func (t *batch) prepare(alerts []incident.Alert, news []int, isFresh func(*incident.Alert) bool) error {
	t.matches = make(map[*incident.Alert]Match, len(news))
	keys := make([]string, 0, len(news))
	var pulses, known, fresh []string
	for _, k := range news {
		a := &alerts[k]
		if isFresh(a) {
			fresh = append(fresh, a.Fingerprint)
		} else {
			known = append(known, a.Fingerprint)
		}
		if a.Resolved {
			continue
		}
		claim := t.catalog.Lookup(a.Labels)
		t.matches[a] = claim
		if claim.SLO != nil {
			keys = append(keys, claim.SLO.Key)
		}
		if claim.Watchdog {
			pulses = append(pulses, t.Policy.Watchdog.Pulse(a.Labels).Name)
		}
		if claim.Canary {
			pulses = append(pulses, incident.CanaryPulse)
		}
	}
	return t.Prepare(storage.Needs{Keys: keys, Fingerprints: known, Fresh: fresh, Pulses: pulses})
}

// match finds the SLO of an alert that fires.
func (t *batch) match(b *incident.Breach, h heard) Match {
	if h.alert == nil {
		return t.catalog.Lookup(b.Labels)
	}
	if claim, known := t.matches[h.alert]; known {
		return claim
	}
	return t.catalog.Lookup(h.alert.Labels)
}

// take makes one alert part of what is known.
func (t *batch) take(a *incident.Alert) (Result, error) {
	b, err := t.LatestBreach(a.Fingerprint)
	if err != nil {
		return Result{}, err
	}
	switch incident.See(a, b, t.At, t.Policy) {
	case incident.SeenNew:
		return t.begin(a, b)
	case incident.SeenAgain:
		return t.again(b, heard{alert: a})
	case incident.SeenRepeat:
		return t.repeat(a, b)
	case incident.SeenEnd:
		return t.end(a, b)
	case incident.SeenEndFirst:
		return t.endFirst(a)
	case incident.SeenLater:
		b.EndLater(a, t.At)
		if err := t.PutBreach(b); err != nil {
			return Result{}, err
		}
		// What ended may be an alert that no SLO claims any more.
		if err := t.DeleteUnmapped(a.Fingerprint); err != nil {
			return Result{}, err
		}
	case incident.SeenDoubt:
		if b.Doubt(t.At) {
			if err := t.PutBreach(b); err != nil {
				return Result{}, err
			}
		}
	}
	return t.known(OutcomeStale, b)
}

// known names the incident that goes on with the breach, and the breach's SLO.
func (t *batch) known(o Outcome, b *incident.Breach) (Result, error) {
	if b.Incident == 0 {
		return Result{Result: o}, nil
	}
	own, err := t.Numbered(b.Incident)
	if err != nil {
		return Result{}, err
	}
	in, err := incident.Follow(t, b.Incident)
	if err != nil {
		return Result{}, err
	}
	return Result{SLO: sloOf(own, t.catalog, b.Labels), Incident: in.Number, Result: o}, nil
}

// begin lets a new breach fire. The one before ended unseen, if it had not ended.
func (t *batch) begin(a *incident.Alert, before *incident.Breach) (Result, error) {
	if before != nil {
		if before.State != incident.BreachEnded {
			in, err := incident.Follow(t, before.Incident)
			switch {
			case err != nil:
				return Result{}, err
			// A person said that it is over while it fired, or was unknown; a startsAt that
			// moved is no end.
			case in.State == incident.StateResolved && before.State == incident.BreachUnknown:
				return t.again(before, heard{alert: a})
			case in.State == incident.StateResolved:
				return t.repeat(a, before)
			}
		}
		if err := t.supersede(before, incident.ActorAlertmanager); err != nil {
			return Result{}, err
		}
	}
	b := incident.NewBreach(a, before, t.At)
	return t.join(&b, heard{alert: a}, nil)
}

// supersede leaves a breach behind, as another one of its fingerprint begins: nothing that
// is heard concerns it any more, so that it must not go on to be counted, or to wait.
func (t *batch) supersede(b *incident.Breach, actor incident.Actor) error {
	if b.State != incident.BreachEnded {
		in, err := incident.Follow(t, b.Incident)
		if err != nil {
			return err
		}
		return t.RecordBreach(in, b, in.EndUnseen(t.Stamp(actor), b))
	}
	if b.Supersede() {
		return t.PutBreach(b)
	}
	return nil
}

// A heard is what says that a breach fires: an alert, or Alertmanagers that were asked.
type heard struct {
	alert   *incident.Alert // nil: they were asked
	verdict incident.Verdict
}

// again lets a breach fire that had ended, or was unknown: where it belongs, or in another
// incident if that is over.
func (t *batch) again(b *incident.Breach, h heard) (Result, error) {
	if b.Incident == 0 {
		return t.join(b, h, nil)
	}
	in, slo, found, err := incident.IncidentOf(t, b, t.Policy, t.At)
	switch {
	case err != nil:
		return Result{}, err
	case found:
		return t.start(in, b, h, slo, Match{}, OutcomeJoined)
	}
	// What is over keeps its breach, and a new one begins.
	a := alertOf(b, h)
	if err := t.supersede(b, t.actor(h)); err != nil {
		return Result{}, err
	}
	next := incident.NewBreach(&a, b, t.At)
	return t.join(&next, h, slo)
}

// alertOf returns the alert of a breach, as it was heard last.
func alertOf(b *incident.Breach, h heard) incident.Alert {
	if h.alert != nil {
		return *h.alert
	}
	return incident.Alert{
		Fingerprint: b.Fingerprint, StartsAt: b.StartsAt, Labels: b.Labels, Annotations: b.Annotations,
		GeneratorURL: b.GeneratorURL, Grafana: b.Grafana,
	}
}

// join lets a breach fire that belongs to no incident yet: that of the SLO or, if that is
// nil, of the one that claims the alert.
func (t *batch) join(b *incident.Breach, h heard, slo *incident.SLO) (Result, error) {
	claim := Match{SLO: slo}
	if slo == nil {
		claim = t.match(b, h)
	}
	switch {
	case claim.Canary:
		a := alertOf(b, h)
		return Result{Result: OutcomeIgnored}, t.canaryBack(&a)
	case claim.Ignored:
		return Result{Result: OutcomeIgnored}, nil
	case claim.Watchdog:
		a := alertOf(b, h)
		return Result{Result: OutcomeIgnored}, t.heartbeat(&a)
	case claim.SLO == nil:
		a := alertOf(b, h)
		return Result{Result: OutcomeUnmapped}, t.noteUnmapped(&a, 0)
	}
	if slo = claim.SLO; slo.Unmapped && slo.UseCase == "" {
		named := *slo
		named.UseCase = headline(b)
		slo = &named
	}
	in, isNew, err := t.IncidentFor(slo, t.actor(h))
	if err != nil {
		return Result{}, err
	}
	outcome := OutcomeJoined
	if isNew {
		outcome = OutcomeOpened
	}
	return t.start(in, b, h, slo, claim, outcome)
}

func (t *batch) actor(h heard) incident.Actor {
	if h.alert == nil {
		return incident.ActorScheduler
	}
	return incident.ActorAlertmanager
}

// headline says what an alert without an SLO is about.
func headline(b *incident.Breach) string {
	for _, s := range []string{b.Annotations["summary"], b.Labels["alertname"]} {
		if s != "" {
			return s
		}
	}
	return "An alert without a name"
}

// start records that the breach fires in the incident.
func (t *batch) start(in *incident.Incident, b *incident.Breach, h heard, slo *incident.SLO, claim Match, outcome Outcome) (Result, error) {
	priority, ok := t.Policy.Priority(slo.Priority)
	if !ok {
		priority = in.Priority
	}
	var why incident.Why
	if h.alert == nil && h.verdict == incident.VerdictListed {
		why = incident.WhyListed
	}
	before := in.State
	events := in.Fire(t.Stamp(t.actor(h)), b, h.alert, why, priority, t.Policy)
	if h.alert == nil {
		b.NoteAnswer(h.verdict, t.Policy, t.At)
	}
	if err := t.RecordBreach(in, b, events); err != nil {
		return Result{}, err
	}
	if before == incident.StateResolved && in.State == incident.StateOpen {
		outcome = OutcomeReopened
	}
	r, err := t.known(outcome, b)
	if err != nil {
		return Result{}, err
	}
	r.Ambiguous = claim.Ambiguous
	if claim.SLO != nil {
		r.SLO = slo.ID
	}
	if len(claim.Ambiguous) > 0 {
		t.NoteAmbiguity(storage.Ambiguity{At: t.At, Fingerprint: b.Fingerprint, Labels: b.Labels, SLO: slo.ID, Others: claim.Ambiguous})
	}
	if slo.Unmapped {
		a := alertOf(b, h)
		r.Result = OutcomeUnmapped
		if err := t.noteUnmapped(&a, in.Number); err != nil {
			return Result{}, err
		}
	} else if err := t.DeleteUnmapped(b.Fingerprint); err != nil {
		return Result{}, err
	}
	t.tell(outcome, in)
	return r, nil
}

// tell logs what became of an incident, once the transaction is durable.
func (t *batch) tell(o Outcome, in *incident.Incident) {
	if o != OutcomeOpened && o != OutcomeReopened {
		return
	}
	id, slo, priority := in.ID(), in.SLO, in.Priority.Name
	*t.logs = append(*t.logs, func() {
		t.log.Info("incident "+string(o), slog.String("incident", id), slog.String("slo", slo), slog.String("priority", priority)) //nolint:sloglint // one of a few
	})
}

// repeat notes that a breach was heard.
func (t *batch) repeat(a *incident.Alert, b *incident.Breach) (Result, error) {
	in, err := incident.Follow(t, b.Incident)
	if err != nil {
		return Result{}, err
	}
	events, news := in.Hear(t.Stamp(incident.ActorAlertmanager), b, a, t.Policy)
	if news {
		if err := t.RecordBreach(in, b, events); err != nil {
			return Result{}, err
		}
		t.Hear(in)
		if in.Unmapped {
			if err := t.noteUnmapped(a, in.Number); err != nil {
				return Result{}, err
			}
		}
	}
	return t.known(OutcomeRepeated, b)
}

// end lets a breach end, or become unknown while the watchdog is away.
func (t *batch) end(a *incident.Alert, b *incident.Breach) (Result, error) {
	pulses, err := t.Pulses()
	if err != nil {
		return Result{}, err
	}
	in, err := incident.Follow(t, b.Incident)
	if err != nil {
		return Result{}, err
	}
	stamp := t.Stamp(incident.ActorAlertmanager)
	if _, doubted := pulses.Doubting(t.Policy, b.Labels); doubted {
		events, news := in.LoseEnded(stamp, b, a)
		if !news {
			return t.known(OutcomeStale, b)
		}
		if err := t.RecordBreach(in, b, events); err != nil {
			return Result{}, err
		}
		if err := t.DoubtEnds(in); err != nil {
			return Result{}, err
		}
		return t.known(OutcomeResolved, b)
	}
	if err := t.RecordBreach(in, b, in.End(stamp, b, a)); err != nil {
		return Result{}, err
	}
	if in.Unmapped {
		if err := t.DeleteUnmapped(a.Fingerprint); err != nil {
			return Result{}, err
		}
	}
	return t.known(OutcomeResolved, b)
}

// endFirst keeps the end of a breach whose firing was never seen, so that a late copy
// of that firing is known to be one. It opens nothing.
func (t *batch) endFirst(a *incident.Alert) (Result, error) {
	claim := t.catalog.Lookup(a.Labels)
	switch {
	case claim.Ignored:
		return Result{Result: OutcomeIgnored}, nil
	case claim.Watchdog:
		t.gone = append(t.gone, a)
		return Result{Result: OutcomeIgnored}, nil
	case claim.SLO == nil:
		return Result{Result: OutcomeUnmapped}, t.DeleteUnmapped(a.Fingerprint)
	}
	b := incident.NewBreach(a, nil, t.At)
	b.EndFirst(a, claim.SLO, t.At)
	if err := t.PutBreach(&b); err != nil {
		return Result{}, err
	}
	return Result{SLO: claim.SLO.ID, Result: OutcomeResolved, Ambiguous: claim.Ambiguous}, t.DeleteUnmapped(a.Fingerprint)
}

func (t *batch) noteUnmapped(a *incident.Alert, number int64) error {
	u, err := t.Unmapped(a.Fingerprint)
	if err != nil {
		return err
	}
	if begin, fact := a.Began(t.At); u == nil || fact && !u.StartsAt.Equal(begin) {
		u = &incident.UnmappedAlert{Fingerprint: a.Fingerprint, StartsAt: begin, FirstSeenAt: t.At}
	}
	u.Labels, u.Annotations, u.HeardAt, u.Incident = a.Labels, a.Annotations, t.At, number
	t.PutUnmapped(u)
	return nil
}
