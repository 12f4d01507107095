package router

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// plansPerMessage is how often a message is planned anew because something
// happened in between, before its turn is given up. The last time it goes out as it is
// if only what it need not tell has happened: in a storm of breaches the next message
// tells of those.
const plansPerMessage = 5

// errBusy is a message whose incident changed each time it was planned.
var errBusy = errors.New("the incident changes faster than it can be told")

func randomText() string { return rand.Text()[:12] }

// send plans a message, records the attempt, makes it, and records the outcome. An error
// ends the turn of the recipient.
func (d *Dispatcher) send(ctx context.Context, c *turn, retries map[subject]incident.Delivery, plan func(storage.Snapshot, time.Time) (*draft, error)) error {
	for plans := 1; plans <= plansPerMessage; plans++ {
		if err := d.letBy(ctx, c, nil); err != nil {
			return err
		}
		at := now()
		var dr *draft
		err := d.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
			dr, err = plan(r, at)
			return err
		})
		if err != nil {
			return err
		}
		if err := d.skipIdle(ctx, dr.idle); err != nil {
			return err
		}
		if err := d.skipIdlePulses(ctx, c.Recipient, dr.idlePulses); err != nil {
			return err
		}
		c.busy = c.busy || dr.left
		if len(dr.delivery.Covers) == 0 {
			return nil
		}
		about := subjectOf(&dr.delivery)
		if before, ok := retries[about]; ok {
			dr.replace(&before)
		}
		if err := d.render(dr); errors.Is(err, ErrPermanent) {
			return d.outcome(ctx, c, &dr.delivery, false, err)
		} else if err != nil {
			return err
		}
		if len(dr.delivery.Covers) > 1 { // that took its time
			if err := d.letBy(ctx, c, dr.delivery.Covers); err != nil {
				return err
			}
		}
		dr.delivery.Attempts++
		fresh := false
		err = d.Repo.Store.Write(ctx, func(tx storage.Tx) (err error) {
			if fresh, err = dr.unchanged(ctx, tx, plans == plansPerMessage); err != nil || !fresh {
				return err
			}
			if err := tx.ExtendLease(ctx, c.Lease, at, lease); err != nil {
				return err
			}
			if err := beginNotice(ctx, tx, &dr.delivery); err != nil {
				return err
			}
			return tx.PutDelivery(ctx, &dr.delivery, dr.body)
		})
		if err != nil {
			return err
		}
		if fresh {
			delete(retries, about)
			return d.attempt(ctx, c, dr.sender, &dr.delivery, dr.message.Recipient, dr.body, false)
		}
	}
	d.Log.Warn("message not made, it is tried again", slog.String("component", "dispatcher"), slog.Any("err", errBusy))
	c.busy = true
	return nil
}

// urgency returns how urgent a message is.
func (c *turn) urgency(del *incident.Delivery) incident.Urgency {
	covers := make(map[int64]bool, len(del.Covers))
	for i := range del.Covers {
		if del.Covers[i].OfPulse() {
			return incident.MostUrgent
		}
		covers[del.Covers[i].Incident] = true
	}
	most := incident.LeastUrgent
	for i := range c.Subscriptions {
		if s := &c.Subscriptions[i]; covers[s.Incident] {
			most = min(most, s.Urgency)
		}
	}
	return most
}

// again repeats an attempt of unknown outcome, with the same id and bytes, as long
// as it is still the news. Someone taken out of the configuration meanwhile gets
// nothing more.
func (d *Dispatcher) again(ctx context.Context, c *turn, del *incident.Delivery) error {
	var body []byte
	news := false
	err := d.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
		if news, err = d.isNews(ctx, r, del); err != nil || !news {
			return err
		}
		body, err = r.Message(ctx, del.ID)
		return err
	})
	if err != nil {
		return err
	}
	sender, ok := d.Sender(del.Channel)
	rcpt, known := d.Repo.Policy().Recipient(del.Recipient)
	if !ok || !known {
		return d.withdraw(ctx, c, del, incident.WhyNotConfigured)
	}
	if !news {
		return d.withdraw(ctx, c, del, incident.WhyOutcomeUnknown)
	}
	at := now()
	del.Attempts++
	del.RetryAt, del.RefusedAt, del.Doubtful = time.Time{}, time.Time{}, false
	err = d.Repo.Store.Write(ctx, func(tx storage.Tx) error {
		if err := tx.ExtendLease(ctx, c.Lease, at, lease); err != nil {
			return err
		}
		return tx.PutDelivery(ctx, del, nil)
	})
	if err != nil {
		return err
	}
	return d.attempt(ctx, c, sender, del, rcpt, body, true)
}

// repeatFor is how long the same bytes are sent again.
const repeatFor = 10 * time.Minute

// isNews reports whether a message that was made before says what a new one would.
func (d *Dispatcher) isNews(ctx context.Context, r storage.Snapshot, del *incident.Delivery) (bool, error) {
	at := now()
	if at.Sub(del.CreatedAt) > repeatFor {
		return false, nil
	}
	all, err := storage.Situations(ctx, r, covered(del.Covers), del.Recipient)
	if err != nil {
		return false, err
	}
	for _, cover := range del.Covers {
		if !cover.NextBy.IsZero() && !cover.NextBy.After(at) {
			return false, nil // it promises what is over
		}
		if cover.OfPulse() {
			n, err := noticeOf(ctx, r, cover.Pulse, del.Recipient)
			if err != nil {
				return false, err
			}
			if _, _, ok := n.Plan(d.Repo.Policy(), incident.Pulse{}, at); !ok || !slices.ContainsFunc(cover.Owed, n.Owes) {
				return false, nil
			}
			continue
		}
		planned, ok := all[cover.Incident].Plan(del.Recipient, d.Repo.Policy(), at)
		if !ok || !slices.Equal(planned.Cover.Owed, cover.Owed) {
			return false, nil
		}
	}
	return true, nil
}

// attempt makes one attempt and records what became of it. It repeats one of unknown
// outcome, or does not.
func (d *Dispatcher) attempt(ctx context.Context, c *turn, sender Sender, del *incident.Delivery, rcpt incident.Recipient, body []byte, repeats bool) error {
	began := time.Now()
	g := d.keeper(ctx, c.Lease)
	err := sender.Send(g.ctx, Envelope{ID: del.ID, Recipient: rcpt, Body: body, Urgency: c.urgency(del)}, g.check)
	if lost := g.release(); err != nil && lost != nil {
		err = lost
	}
	d.Metrics.attempt(del.Channel, time.Since(began))
	if errors.Is(err, storage.ErrLost) {
		return err
	}
	if ctx.Err() == nil {
		if c.server.outcome(del.Recipient, began, err) {
			d.Metrics.failing(d.Servers())
		}
	}
	return d.outcome(context.WithoutCancel(ctx), c, del, repeats, err)
}

// covered are the incidents that are told of.
func covered(covers []incident.Cover) (numbers []int64) {
	for i := range covers {
		if c := &covers[i]; !c.OfPulse() {
			numbers = append(numbers, c.Incident)
		}
	}
	return numbers
}

// ends reports whether an attempt ends the turn of its recipient, as it speaks of more than
// the message.
func ends(sent error) bool {
	return errors.Is(sent, ErrServer) || errors.Is(sent, ErrRate) || errors.Is(sent, ErrReader)
}

// outcome records what became of an attempt. It returns an error if nothing more is to be
// sent to the recipient in this turn.
func (d *Dispatcher) outcome(ctx context.Context, c *turn, del *incident.Delivery, repeats bool, sent error) error {
	at := now()
	log := d.Log.With(slog.String("component", "dispatcher"), slog.String("update", del.ID), slog.String("incident", subjectOf(del).id()),
		slog.String("channel", string(del.Channel)), slog.String("group", del.Group), slog.Int("attempt", del.Attempts))
	done := *del
	done.RetryAt, done.RefusedAt, done.Doubtful = time.Time{}, time.Time{}, false
	doubtful := errors.Is(sent, ErrDoubtful)
	switch {
	case sent == nil:
		done.State, done.SentAt, done.FinishedAt, done.Error = incident.DeliveryDelivered, at, at, ""
	case errors.Is(sent, ErrPermanent), doubtful && c.server.condemns(del.Recipient, 0):
		done.State, done.FinishedAt, done.Error, done.Replan = incident.DeliveryFailed, at, sent.Error(), false
	default:
		done.Error = sent.Error()
		// An earlier attempt may have been taken: then its id never stands for other bytes.
		done.Replan = !repeats && !errors.Is(sent, ErrUnknown)
		if !ends(sent) {
			done.RefusedAt, done.RetryAt, done.Doubtful = at, c.retryAt(sent, done.Attempts, at), doubtful
		}
	}
	reasons := why{message: del.Error, server: c.server.why(at.Sub(del.DueAt))}
	if c.Failures > 0 {
		reasons.reader = c.LastError
	}
	// Of many incidents, those beyond the first are settled after that, so why the message was
	// late, which is part of its record, is found out before.
	var known incident.Cause
	if len(done.Covers) > settlePiece && done.State == incident.DeliveryDelivered {
		err := d.Repo.Store.Read(ctx, func(r storage.Snapshot) (err error) {
			known, err = causeOf(ctx, r, reasons, &done, at)
			return err
		})
		if err != nil {
			return fmt.Errorf("record outcome of %s: %w", del.ID, err)
		}
	}
	needs := storage.Needs{Leases: []string{c.Recipient}}
	if done.State != incident.DeliveryPending {
		needs.Incidents = covered(done.Covers[:min(settlePiece, len(done.Covers))])
		for _, number := range needs.Incidents {
			needs.Readers = append(needs.Readers, storage.Reader{Incident: number, Recipient: done.Recipient})
		}
	}
	ctx = storage.Together(ctx)
	err := d.Repo.Change(ctx, at, func(ch *storage.Change) error {
		if err := ch.Lock(needs); err != nil {
			return err
		}
		if err := ch.Tx.ExtendLease(ctx, c.Lease, at, lease); err != nil {
			return err
		}
		done.Cause = known
		if err := d.settlePart(ch, c, reasons, &done, 0, at); err != nil {
			return err
		}
		if err := ch.Tx.PutDelivery(ctx, &done, nil); err != nil || !c.last || sent != nil {
			return err
		}
		return ch.Tx.ReleaseLease(ctx, c.Lease, at, time.Time{}, "", 0)
	})
	if err != nil {
		return fmt.Errorf("record outcome of %s: %w", del.ID, err)
	}
	switch done.State {
	case incident.DeliveryDelivered:
		c.sent, c.released = append(c.sent, at), c.last
		if done.Kind == incident.KindOpened && len(done.Covers) == 1 {
			c.openings = append(c.openings, storage.Opening{At: at, Priority: done.Covers[0].Priority})
		}
		d.Metrics.sent(&done)
		log.Info("update sent", slog.String("kind", string(done.Kind)), slog.Time("due", done.DueAt), slog.Duration("late", max(at.Sub(done.DueAt), 0)))
		return d.settle(ctx, c, &done, settlePiece)
	case incident.DeliveryFailed:
		d.Metrics.failed(done.Channel, "refused")
		log.Error("update refused for good", slog.String("kind", string(done.Kind)), slog.Any("err", sent))
		return d.settle(ctx, c, &done, settlePiece)
	}
	d.Metrics.failed(done.Channel, reasonOf(sent))
	if ends(sent) {
		return sent
	}
	for i := range done.Covers {
		c.refused[subjectOfCover(&done.Covers[i])] = true
	}
	log.Warn("delivery failed, it is tried again", slog.Time("retry", done.RetryAt), slog.Any("err", sent))
	return nil
}

// retryAt returns when a message is tried again that was refused for now, or of unknown
// outcome. Those that fail alike in one turn come again together, so that a digest of them
// stays one.
func (c *turn) retryAt(sent error, attempts int, at time.Time) time.Time {
	if wait := asked(sent); wait > 0 {
		return at.Add(wait)
	}
	wait := backoff(attempts, longestWait)
	if errors.Is(sent, ErrSetup) || errors.Is(sent, ErrDoubtful) {
		wait = backoff(attempts, longestSetupWait)
	}
	attempts = min(attempts, 6) // from there on the waits are the longest
	if same := c.retries[attempts]; same.Sub(at) < wait/2 || same.Sub(at) > wait+wait/2 {
		c.retries[attempts] = at.Add(wait)
	}
	return c.retries[attempts]
}

// skipIdle sets the due times right where nothing is to be told after all.
func (d *Dispatcher) skipIdle(ctx context.Context, idle []int64) error {
	for part := range slices.Chunk(idle, settlePiece) {
		err := d.Repo.Change(ctx, now(), func(ch *storage.Change) error {
			if err := ch.Prepare(storage.Needs{Incidents: part}); err != nil {
				return err
			}
			return ch.LoadReaders(part)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// withdraw gives up a message to someone who is no longer to be told.
func (d *Dispatcher) withdraw(ctx context.Context, c *turn, del *incident.Delivery, why incident.Why) error {
	at := now()
	del.State, del.FinishedAt, del.Error, del.Why, del.Replan = incident.DeliverySuperseded, at, "", why, false
	del.RetryAt, del.RefusedAt, del.Doubtful = time.Time{}, time.Time{}, false
	return d.Repo.Change(ctx, at, func(ch *storage.Change) error {
		if err := ch.Tx.ExtendLease(ctx, c.Lease, at, lease); err != nil {
			return err
		}
		return ch.Tx.PutDelivery(ctx, del, nil)
	})
}
