package receiver

import (
	"errors"
	"log/slog"

	"sitrep/incident"
	"sitrep/storage"
)

// A taking is the transaction of one post.
type taking struct {
	*storage.Change
	catalog Catalog
	log     *slog.Logger
	logs    *[]func()         // to be called after the commit
	gone    []*incident.Alert // those of the watchdog that ended
}

// take makes one alert part of what is known.
func (t *taking) take(a *incident.Alert) (Result, error) {
	same, latest, sighting, err := sight(t.Tx, a, t.At, t.Policy.Asks)
	if err != nil {
		return Result{}, err
	}
	switch sighting {
	case incident.SeenNew:
		return t.begin(a, nil, latest)
	case incident.SeenAgain:
		return t.begin(a, same, nil)
	case incident.SeenRepeat:
		return t.repeat(a, same)
	case incident.SeenEnd:
		return t.end(a, same)
	case incident.SeenEndFirst:
		return t.endFirst(a, latest)
	case incident.SeenDoubt:
		if same.DoubtedAt.IsZero() {
			same.DoubtedAt = t.At
			if err := t.Tx.PutBreach(same); err != nil {
				return Result{}, err
			}
		}
		return t.known(Stale, a, same)
	default:
		if same == nil {
			same = latest
		}
		return t.known(Stale, a, same)
	}
}

// known names the incident that goes on with the breach, and the breach's SLO.
func (t *taking) known(o Outcome, a *incident.Alert, b *incident.Breach) (Result, error) {
	if b.Incident == 0 {
		return Result{Result: o}, nil
	}
	own, err := t.Incident(b.Incident)
	if err != nil {
		return Result{}, err
	}
	s, err := t.Follow(b.Incident)
	if err != nil {
		return Result{}, err
	}
	return Result{SLO: sloOf(&own.Incident, t.catalog, a), Incident: s.Incident.Number, Result: o}, nil
}

// begin lets a breach fire: a new one, or known, which had ended or was unknown.
func (t *taking) begin(a *incident.Alert, known, before *incident.Breach) (Result, error) {
	claim := t.catalog.Lookup(a.Labels)
	slo := claim.SLO
	if known != nil && known.Incident != 0 {
		// A breach stays with what it belonged to, whatever the labels say today.
		first, err := t.Incident(known.Incident)
		if err != nil {
			return Result{}, err
		}
		s, err := t.Follow(known.Incident)
		if err != nil {
			return Result{}, err
		}
		if known.State == incident.Ended {
			if s, err = t.Goes(s); err != nil {
				return Result{}, err
			}
		}
		own := first.Incident.AsSLO(t.Policy)
		if s.Incident.State != incident.Closed && (known.State == incident.Unknown || s.Incident.Reopens(t.At, t.Policy)) {
			return t.start(a, known, s, own, Claim{}, Joined)
		}
		if _, ok := t.Policy.Priority(own.Priority); ok && own.Key != "" {
			slo, claim = own, Claim{}
		} // else nothing is left of it, and the labels say what it is today
	}
	switch {
	case claim.Ignored:
		return Result{Result: Ignored}, nil
	case claim.Watchdog:
		return Result{Result: Ignored}, t.heartbeat(a)
	case slo == nil:
		return Result{Result: Unmapped}, t.noteUnmapped(a, 0)
	}
	if slo.Unmapped && slo.UseCase == "" {
		named := *slo
		named.UseCase = headline(a)
		slo = &named
	}
	if _, err := t.endUnseen(before, a); err != nil {
		return Result{}, err
	}
	s, isNew, err := t.IncidentFor(slo, incident.Alertmanager)
	if err != nil {
		return Result{}, err
	}
	outcome := Joined
	if isNew {
		outcome = Opened
	}
	return t.start(a, known, s, slo, claim, outcome)
}

// headline says what an alert without an SLO is about.
func headline(a *incident.Alert) string {
	for _, s := range []string{a.Annotations["summary"], a.Labels["alertname"]} {
		if s != "" {
			return s
		}
	}
	return "An alert without a name"
}

// start records that the breach fires in the incident.
func (t *taking) start(a *incident.Alert, known *incident.Breach, s *incident.Situation, slo *incident.SLO, claim Claim, outcome Outcome) (Result, error) {
	in := &s.Incident
	if in.State == incident.Resolved && (known == nil || known.State != incident.Unknown) {
		outcome = Reopened
	}
	b := incident.Breach{Fingerprint: a.Fingerprint, StartsAt: a.StartsAt}
	r := Result{SLO: slo.ID, Incident: in.Number, Result: outcome, Ambiguous: claim.Ambiguous}
	if known != nil {
		b = *known
		if named, err := t.known(outcome, a, known); err != nil {
			return Result{}, err
		} else if named.Incident == r.Incident {
			r.SLO = named.SLO
		}
	}
	priority, ok := t.Policy.Priority(slo.Priority)
	if !ok {
		priority = in.Priority
	}
	if err := t.Record(s, in.Begin(t.Stamp(incident.Alertmanager), &b, priority, t.Policy)...); err != nil {
		return Result{}, err
	}
	if known == nil || b.Priority == "" {
		b.Priority = priority.Name
	}
	b.Incident, b.State, b.HeardAt = in.Number, incident.Firing, t.At
	b.DoubtedAt, b.EndHeardAt = incident.Breach{}.DoubtedAt, incident.Breach{}.EndHeardAt
	b.Labels, b.Annotations, b.GeneratorURL = a.Labels, a.Annotations, a.GeneratorURL
	if err := t.Tx.PutBreach(&b); err != nil {
		return Result{}, err
	}
	if len(claim.Ambiguous) > 0 {
		err := t.Tx.PutAmbiguity(storage.Ambiguity{At: t.At, Fingerprint: a.Fingerprint, Labels: a.Labels, SLO: slo.ID, Others: claim.Ambiguous})
		if err != nil {
			return Result{}, err
		}
	}
	if slo.Unmapped {
		r.Result = Unmapped
		if err := t.noteUnmapped(a, in.Number); err != nil {
			return Result{}, err
		}
	} else if err := t.forgetUnmapped(a.Fingerprint); err != nil {
		return Result{}, err
	}
	t.tell(outcome, in)
	return r, nil
}

// tell logs what became of an incident, once the transaction is durable.
func (t *taking) tell(o Outcome, in *incident.Incident) {
	if o != Opened && o != Reopened {
		return
	}
	id, slo, priority := in.ID(), in.SLO, in.Priority.Name
	*t.logs = append(*t.logs, func() {
		t.log.Info("incident "+string(o), slog.String("incident", id), slog.String("slo", slo), slog.String("priority", priority))
	})
}

// endUnseen ends the earlier breach of an alert that fires anew: it ended, and
// nobody said so. It returns the number of the incident, 0 if nothing ended.
func (t *taking) endUnseen(before *incident.Breach, a *incident.Alert) (int64, error) {
	if before == nil || before.State == incident.Ended || before.Incident == 0 {
		return 0, nil
	}
	s, err := t.Follow(before.Incident)
	if err != nil {
		return 0, err
	}
	end := a.StartsAt
	if end.Before(before.StartsAt) {
		end = before.StartsAt // by a clock that was wrong
	}
	if err := t.Record(s, s.Incident.End(t.Stamp(incident.Alertmanager), before, end)...); err != nil {
		return 0, err
	}
	before.State, before.EndsAt, before.EndHeardAt = incident.Ended, end, t.At
	return s.Incident.Number, t.Tx.PutBreach(before)
}

// repeat notes that a breach was heard.
func (t *taking) repeat(a *incident.Alert, b *incident.Breach) (Result, error) {
	if t.At.Sub(b.HeardAt) < hearEvery(t.Policy.UnknownAfter) {
		return t.known(Repeated, a, b)
	}
	b.HeardAt = t.At
	if err := t.Tx.PutBreach(b); err != nil {
		return Result{}, err
	}
	s, err := t.Follow(b.Incident)
	if err != nil {
		return Result{}, err
	}
	s.Agenda.LastHeardAt = t.At
	if s.Incident.Unmapped {
		if err := t.noteUnmapped(a, s.Incident.Number); err != nil {
			return Result{}, err
		}
	}
	return t.known(Repeated, a, b)
}

// end lets a breach end, or become unknown while the watchdog is away.
func (t *taking) end(a *incident.Alert, b *incident.Breach) (Result, error) {
	pulses, err := t.Pulses()
	if err != nil {
		return Result{}, err
	}
	if _, doubted := pulses.Doubting(t.Policy, b.Labels); doubted {
		if b.State == incident.Unknown {
			return t.known(Stale, a, b)
		}
		s, err := t.Follow(b.Incident)
		if err != nil {
			return Result{}, err
		}
		if err := t.Record(s, s.Incident.Lose(t.Stamp(incident.Alertmanager), b, "it was reported as ended while the watchdog is away")...); err != nil {
			return Result{}, err
		}
		b.State, b.EndsAt = incident.Unknown, a.EndsAt // copies of this end are not news
		if err := t.Tx.PutBreach(b); err != nil {
			return Result{}, err
		}
		return t.known(Resolved, a, b)
	}
	s, err := t.Follow(b.Incident)
	if err != nil {
		return Result{}, err
	}
	if err := t.Record(s, s.Incident.End(t.Stamp(incident.Alertmanager), b, a.EndsAt)...); err != nil {
		return Result{}, err
	}
	b.State, b.EndsAt, b.EndHeardAt = incident.Ended, a.EndsAt, t.At
	if err := t.Tx.PutBreach(b); err != nil {
		return Result{}, err
	}
	if s.Incident.Unmapped {
		if err := t.forgetUnmapped(a.Fingerprint); err != nil {
			return Result{}, err
		}
	}
	return t.known(Resolved, a, b)
}

// endFirst keeps the end of a breach whose firing was never seen, so that a late
// copy of that firing is known to be one. It opens nothing.
func (t *taking) endFirst(a *incident.Alert, before *incident.Breach) (Result, error) {
	claim := t.catalog.Lookup(a.Labels)
	switch {
	case claim.Ignored:
		return Result{Result: Ignored}, nil
	case claim.Watchdog:
		t.gone = append(t.gone, a)
		return Result{Result: Ignored}, nil
	case claim.SLO == nil:
		return Result{Result: Unmapped}, t.forgetUnmapped(a.Fingerprint)
	}
	number, err := t.endUnseen(before, a)
	if err != nil {
		return Result{}, err
	}
	b := incident.Breach{
		Fingerprint: a.Fingerprint, StartsAt: a.StartsAt, EndsAt: a.EndsAt, State: incident.Ended, EndHeardAt: t.At,
		Priority: claim.SLO.Priority, Labels: a.Labels, Annotations: a.Annotations, GeneratorURL: a.GeneratorURL,
	}
	if err := t.Tx.PutBreach(&b); err != nil {
		return Result{}, err
	}
	return Result{SLO: claim.SLO.ID, Incident: number, Result: Resolved, Ambiguous: claim.Ambiguous}, t.forgetUnmapped(a.Fingerprint)
}

func (t *taking) noteUnmapped(a *incident.Alert, number int64) error {
	u, err := t.Tx.Unmapped(a.Fingerprint)
	if err != nil && !errors.Is(err, incident.ErrNotFound) {
		return err
	}
	if err != nil || !u.StartsAt.Equal(a.StartsAt) {
		u = incident.UnmappedAlert{Fingerprint: a.Fingerprint, StartsAt: a.StartsAt, FirstSeenAt: t.At}
	}
	u.Labels, u.Annotations, u.HeardAt, u.Incident = a.Labels, a.Annotations, t.At, number
	return t.Tx.PutUnmapped(&u)
}

func (t *taking) forgetUnmapped(fingerprint string) error {
	if _, err := t.Tx.Unmapped(fingerprint); err != nil {
		if errors.Is(err, incident.ErrNotFound) {
			return nil
		}
		return err
	}
	return t.Tx.DeleteUnmapped(fingerprint)
}
