package intake

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// atOnce is how many breaches one transaction concludes on, or one page has.
const atOnce = 500

// Conclude makes an answer of the Alertmanagers part of each breach that waited for one when
// they were asked: those that were quiet for too long, and those whose AskAt had come.
func (i *Intake) Conclude(ctx context.Context, asked, at time.Time, answer incident.Answer) error {
	for before := []string(nil); ; {
		waiting, err := i.Waiting(ctx, asked, atOnce)
		if err != nil || len(waiting) == 0 {
			return err
		}
		if slices.Equal(waiting, before) {
			return fmt.Errorf("the breaches of %q and %d others go on to wait although they were concluded on", waiting[0], len(waiting)-1)
		}
		before = waiting
		err = i.change(ctx, at, func(t *batch) error {
			if err := t.Prepare(storage.Needs{Fingerprints: waiting}); err != nil {
				return err
			}
			for _, fingerprint := range waiting {
				b, err := t.LatestBreach(fingerprint)
				if err != nil {
					return err
				}
				if err := t.conclude(b, answer(b)); err != nil {
					return fmt.Errorf("conclude on the breach of %q: %w", fingerprint, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// Waiting returns the fingerprints of up to limit breaches that wait for an answer of the
// Alertmanagers at that time.
func (i *Intake) Waiting(ctx context.Context, at time.Time, limit int) (fingerprints []string, err error) {
	silence := i.Repo.Policy().UnknownAfter
	err = i.Repo.Store.Read(ctx, func(r storage.Snapshot) error {
		silent, err := r.DueBreaches(ctx, storage.BreachesSilent, at.Add(-silence), limit)
		if err != nil {
			return err
		}
		asked, err := r.DueBreaches(ctx, storage.BreachesToAsk, at, limit)
		fingerprints = nil
		for _, b := range slices.Concat(silent, asked) {
			if !slices.Contains(fingerprints, b.Fingerprint) {
				fingerprints = append(fingerprints, b.Fingerprint)
			}
		}
		return err
	})
	return fingerprints, err
}

// conclude makes a verdict part of a breach that waits for one. It may have been heard of
// meanwhile.
func (t *batch) conclude(b *incident.Breach, v incident.Verdict) error {
	pulses, err := t.Pulses()
	if err != nil {
		return err
	}
	sighting := b.Weigh(v, t.Policy, pulses, t.At)
	if sighting == incident.SeenAgain {
		_, err := t.again(b, heard{verdict: v})
		if err != nil || b.State == incident.BreachFiring {
			return err
		}
		// Nothing claims it any more, or another breach began in its place.
		current, err := t.LatestBreach(b.Fingerprint)
		if err != nil || current.Ordinal != b.Ordinal {
			return err
		}
	}
	if b.Incident == 0 {
		b.NoteAnswer(v, t.Policy, t.At)
		return t.PutBreach(b)
	}
	in, err := incident.Follow(t, b.Incident)
	if err != nil {
		return err
	}
	var events []incident.Event
	stamp := t.Stamp(incident.ActorScheduler)
	switch sighting {
	case incident.SeenRepeat:
		t.Hear(in)
	case incident.SeenEnd:
		events = in.End(stamp, b, nil)
		if in.Unmapped {
			if err := t.DeleteUnmapped(b.Fingerprint); err != nil {
				return err
			}
		}
	case incident.SeenLost:
		events = in.Lose(stamp, b, incident.WhyQuiet)
	}
	b.NoteAnswer(v, t.Policy, t.At)
	return t.RecordBreach(in, b, events)
}

// confirmTries is how often it is tried to confirm an incident that goes on to change.
const confirmTries = 3

// Confirm makes an answer part of all breaches of an incident before somebody is told that
// it is over, or goes on: one that is listed keeps it open. Then time does its part. The
// answer may be one that cannot tell.
//
// An incident that changes all the while is not confirmed: the rules ask again.
func (i *Intake) Confirm(ctx context.Context, at time.Time, number int64, answer incident.Answer) error {
	for range confirmTries {
		said, err := i.survey(ctx, at, number, answer)
		if err != nil {
			return fmt.Errorf("confirm %s: %w", incident.ID(number), err)
		}
		done, err := i.confirm(ctx, at, number, answer, &said)
		if err != nil {
			return fmt.Errorf("confirm %s: %w", incident.ID(number), err)
		}
		if done {
			return nil
		}
	}
	return nil
}

// confirm makes an answer part of the breaches that a survey found, some of them in each
// transaction, and lets time do its part in the last. It reports false once the incident
// changed meanwhile.
func (i *Intake) confirm(ctx context.Context, at time.Time, number int64, answer incident.Answer, said *survey) (done bool, err error) {
	for {
		part := said.news[:min(atOnce, len(said.news))]
		last := len(part) == len(said.news)
		sequence, unchanged := said.sequence, false
		var events []incident.Event
		err := i.change(ctx, at, func(t *batch) error {
			events = nil
			if err := t.Prepare(storage.Needs{Fingerprints: part, Incidents: []int64{number}}); err != nil {
				return err
			}
			s, err := t.Incident(number)
			if err != nil {
				return err
			}
			if unchanged = s.Incident.Sequence == said.sequence; !unchanged {
				return nil
			}
			for _, fingerprint := range part {
				b, err := t.LatestBreach(fingerprint)
				if err != nil {
					return err
				}
				if !s.Incident.Has(b) {
					continue
				}
				if err := t.conclude(b, answer(b)); err != nil {
					return fmt.Errorf("conclude on the breach of %q: %w", fingerprint, err)
				}
			}
			if last {
				if events, err = t.passTime(number, said); err != nil {
					return err
				}
			}
			sequence = s.Incident.Sequence
			return nil
		})
		if err != nil || !unchanged {
			return false, err
		}
		if last {
			for _, e := range events {
				i.Log.Info("incident "+string(e.Type), slog.String("component", "intake"), slog.String("incident", incident.ID(number)), slog.String("actor", string(e.Actor))) //nolint:sloglint // one of a few
			}
			return true, nil
		}
		said.sequence, said.news = sequence, said.news[len(part):]
	}
}

// passTime lets time do its part in an incident about all of whose breaches the Alertmanagers
// were asked. It returns the events that came of it.
func (t *batch) passTime(number int64, said *survey) ([]incident.Event, error) {
	s, err := t.Situation(number)
	if err != nil {
		return nil, err
	}
	s.Agenda.AnsweredAt, s.Agenda.Unanswered = t.At, said.unanswered
	if !said.doubted && !s.Agenda.EndsDoubtedAt.After(t.At) {
		s.Agenda.EndsDoubtedAt = time.Time{}
	}
	news, err := storage.Tick(t.Change, s)
	if err != nil {
		return nil, err
	}
	return news.Events, t.Note(s, news)
}

// A survey is what an answer says of all breaches of an incident.
type survey struct {
	sequence   int64    // of the incident, when its breaches were looked through
	news       []string // fingerprints of those to which something is to happen
	unanswered bool     // nobody could tell of one that had ended
	doubted    bool     // there are ends that are still not believed
}

// survey looks through all breaches of an incident, on a snapshot.
func (i *Intake) survey(ctx context.Context, at time.Time, number int64, answer incident.Answer) (said survey, err error) {
	policy := i.Repo.Policy()
	err = i.Repo.Store.Read(ctx, func(r storage.Snapshot) error {
		said = survey{}
		var maybe []storage.BreachID // something is to happen to those that are the latest of their fingerprints
		in, err := storage.IncidentOf(ctx, r, number)
		if err != nil {
			return err
		}
		pulses, err := r.Pulses(ctx)
		if err != nil {
			return err
		}
		said.sequence = in.Sequence
		err = storage.EachBreach(ctx, r, &in, func(b *incident.Breach) error {
			v := answer(b)
			said.unanswered = said.unanswered || b.State == incident.BreachEnded && v == incident.VerdictCannotTell
			if b.Weigh(v, policy, pulses, at) == incident.SeenStale {
				said.doubted = said.doubted || b.EndDoubted()
				return nil
			}
			maybe = append(maybe, storage.BreachID{Fingerprint: b.Fingerprint, Ordinal: b.Ordinal})
			return nil
		})
		if err != nil {
			return err
		}
		for part := range slices.Chunk(maybe, atOnce) {
			fingerprints := make([]string, len(part))
			for i := range part {
				fingerprints[i] = part[i].Fingerprint
			}
			current, err := r.LatestBreaches(ctx, fingerprints)
			if err != nil {
				return err
			}
			for i := range part {
				if b := current[part[i].Fingerprint]; b != nil && b.Ordinal == part[i].Ordinal {
					said.news = append(said.news, b.Fingerprint)
				}
			}
		}
		return nil
	})
	return said, err
}
