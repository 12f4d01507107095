package router

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

const (
	// lease is how long a claim holds without being extended. After a crash nobody
	// sends to its recipient for that long.
	lease = 30 * time.Second
	// leaseMargin is how much of the lease has to be left for a step that cannot be
	// taken back.
	leaseMargin = 10 * time.Second
	// minute is the window of digest_above.
	minute = time.Minute
	// digestWait is how long the first of what is beyond digest_above waits for more, if
	// there is no digest's worth of it yet. An opening stays within its promise.
	digestWait = 40 * time.Second
	// tellEvents is how many of the latest events a message can tell.
	tellEvents = 500
)

// A Dispatcher carries out what is due: it records the attempt, sends, and records
// the outcome. Each recipient is served by itself, so a slow one delays nobody
// else.
type Dispatcher struct {
	Door *storage.Door
	// Sender returns the sender of a channel; false if none is configured.
	Sender func(incident.Channel) (Sender, bool)
	// Owner names this process in claims. It differs between processes.
	Owner string
	// Hands is how many recipients are served at once. Zero: 64.
	Hands int
	// Grace is how long a delivery that is under way may go on when the service stops.
	// Zero: 10 s.
	Grace   time.Duration
	Log     *slog.Logger
	Metrics *Metrics

	free    chan struct{}
	serving sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
	wake    func()
}

func (d *Dispatcher) start(wake func()) {
	if d.Hands == 0 {
		d.Hands = 64
	}
	if d.Grace == 0 {
		d.Grace = 10 * time.Second
	}
	d.free = make(chan struct{}, d.Hands)
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.wake = wake
}

// stop waits for the deliveries that are under way, up to Grace.
func (d *Dispatcher) stop() {
	timer := time.AfterFunc(d.Grace, d.cancel)
	d.serving.Wait()
	timer.Stop()
	d.cancel()
}

// busy reports whether all hands are full.
func (d *Dispatcher) busy() bool { return len(d.free) == d.Hands }

// claim takes as many recipients to whom something is due as there are hands free,
// and serves each. It reports whether there may be more.
func (d *Dispatcher) claim(ctx context.Context, at time.Time) (more bool, err error) {
	hands := d.Hands - len(d.free)
	if hands == 0 {
		return false, nil // one that becomes free wakes the scheduler
	}
	var due bool
	err = d.Door.Store.Read(ctx, func(r storage.Reader) error {
		next, err := r.NextDue()
		due = !next.IsZero() && !next.After(at)
		return err
	})
	if err != nil || !due {
		return false, err
	}
	var claims []storage.Claim
	err = d.Door.Store.Write(ctx, func(tx storage.Tx) (err error) {
		claims, err = tx.ClaimDue(at, d.Owner, lease, hands)
		return err
	})
	if err != nil {
		return false, err
	}
	for i := range claims {
		d.free <- struct{}{}
		d.serving.Add(1)
		go func() {
			defer d.serving.Done()
			defer func() {
				<-d.free
				d.wake()
			}()
			d.serve(&claims[i])
		}()
	}
	return len(claims) == hands, nil
}

// serve tells one recipient all that is due, and gives the claim back.
func (d *Dispatcher) serve(c *storage.Claim) {
	ctx := d.ctx
	retryAt, err := d.tell(ctx, c)
	why := ""
	log := d.Log.With(slog.String("component", "dispatcher"))
	switch {
	case errors.Is(err, storage.ErrLost):
		log.Warn("another took over", slog.Int64("attempt", c.Attempt))
		return
	case err != nil:
		// An attempt failed, and that is recorded where it matters; or the store did.
		retryAt, why = now().Add(backoff(c.Failures+1)), err.Error()
		log.Warn("delivery failed, it is tried again", slog.Int("attempt", c.Failures+1), slog.Time("retry", retryAt), slog.Any("err", err))
	}
	err = d.Door.Store.Write(context.WithoutCancel(ctx), func(tx storage.Tx) error { return tx.Release(c, now(), retryAt, why) })
	if err != nil && !errors.Is(err, storage.ErrLost) {
		log.Warn("claim not given back, it ends by itself", slog.Any("err", err))
	}
}

// tell sends what is owed to the recipient, the unsettled first. If it returns a
// time, nothing more is to be sent before that.
func (d *Dispatcher) tell(ctx context.Context, c *storage.Claim) (retryAt time.Time, err error) {
	retries := map[subject]incident.Delivery{}
	for i := range c.Unsettled {
		del := &c.Unsettled[i]
		if !del.Replan {
			if err := d.again(ctx, c, del); err != nil {
				return time.Time{}, err
			}
			continue
		}
		about := subjectOf(del)
		if _, taken := retries[about]; taken {
			if err := d.withdraw(ctx, c, del, incident.WhyToldWithAnother); err != nil {
				return time.Time{}, err
			}
			continue
		}
		retries[about] = *del
	}
	retryAt, err = d.tellAll(ctx, c, retries)
	if err != nil || !retryAt.IsZero() {
		return retryAt, err
	}
	for _, del := range retries {
		if err := d.withdraw(ctx, c, &del, incident.WhyToldOrOver); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, nil
}

// tellAll sends what is due. A message that is tried again takes the place, and the
// id, of the one among the retries that failed for the same incident or pulse.
func (d *Dispatcher) tellAll(ctx context.Context, c *storage.Claim, retries map[subject]incident.Delivery) (time.Time, error) {
	for _, n := range c.Notices {
		err := d.send(ctx, c, retries, func(r storage.Reader, at time.Time) (*draft, error) {
			return d.watchdogDraft(r, n.Pulse, c.Recipient, at)
		})
		if err != nil {
			return time.Time{}, err
		}
	}
	return d.tellIncidents(ctx, c, retries)
}

// tellIncidents sends one message for each incident, up to digest_above in a
// minute, and one digest for what is beyond: at once the first time, and later in that
// minute when some time was given for more to come.
func (d *Dispatcher) tellIncidents(ctx context.Context, c *storage.Claim, retries map[subject]incident.Delivery) (time.Time, error) {
	due := slices.Clone(c.Subscriptions) // the longest due first
	recent := 0
	for _, t := range c.Sent {
		if now().Sub(t) < minute {
			recent++
		}
	}
	alone := len(due)
	if above := d.Door.Policy().DigestAbove; above > 0 {
		alone = min(max(above-recent, 0), len(due))
	}
	if 0 < alone && alone < len(due) {
		if err := d.sortByPriority(ctx, due); err != nil {
			return time.Time{}, err
		}
	}
	for _, sub := range due[:alone] {
		err := d.send(ctx, c, retries, func(r storage.Reader, at time.Time) (*draft, error) {
			return d.incidentDraft(r, c.Recipient, []int64{sub.Incident}, at)
		})
		if err != nil {
			return time.Time{}, err
		}
	}
	due = due[alone:]
	if len(due) == 0 {
		return time.Time{}, nil
	}
	if wait := due[0].DueAt.Add(digestWait); (alone == 0 || len(due) == 1) && wait.After(now()) {
		return wait, nil
	}
	var beyond []int64
	for _, sub := range due {
		beyond = append(beyond, sub.Incident)
	}
	return time.Time{}, d.send(ctx, c, retries, func(r storage.Reader, at time.Time) (*draft, error) {
		return d.incidentDraft(r, c.Recipient, beyond, at)
	})
}

// sortByPriority puts those of the highest priority first: of many, they are told in
// messages of their own.
func (d *Dispatcher) sortByPriority(ctx context.Context, due []incident.Subscription) error {
	rank := map[int64]int{}
	err := d.Door.Store.Read(ctx, func(r storage.Reader) error {
		for i := range due {
			in, err := r.Incident(due[i].Incident)
			if err != nil {
				return err
			}
			rank[in.Number] = in.Priority.Rank
		}
		return nil
	})
	slices.SortStableFunc(due, func(a, b incident.Subscription) int { return cmp.Compare(rank[a.Incident], rank[b.Incident]) })
	return err
}
