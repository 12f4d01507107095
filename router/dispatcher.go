package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

const (
	// lease is how long a lease holds without being extended. After a crash nobody
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
	// digestFull is how many incidents are a digest's worth, and digestLook how soon it is looked
	// again whether there are as many. As many as digestMany are one once nothing came for so
	// long: what is left of a storm waits for no more.
	digestFull = 900
	digestMany = 100
	digestLook = 5 * time.Second
	// waitingLimit is among how many recipients the most urgent are found, and claimLimit
	// how many are claimed at once.
	waitingLimit = 5000
	claimLimit   = 256
	// planAtOnce is to how many recipients messages are planned on one snapshot.
	planAtOnce = 64
	// tellEvents is how many of the latest events of an incident a message can tell, and digestEvents
	// how many a digest can, which has a few lines for each.
	tellEvents   = 500
	digestEvents = 100
)

// A Dispatcher carries out what is due: it records the attempt, sends, and records
// the outcome. Each recipient is served by itself, and each server has hands of its own,
// so a slow one delays nobody else. A message that is refused for now waits by itself;
// what speaks of a recipient or a server holds that back.
type Dispatcher struct {
	Repo *storage.Repository
	// Sender returns the sender of a channel; false if none is configured.
	Sender func(incident.Channel) (Sender, bool)
	// Owner names this process in leases. It differs between processes.
	Owner string
	// Hands is how many recipients of one server are served at once: of the mail server, or
	// of the webhooks of one host. Zero: 64.
	Hands int
	// Grace is how long a delivery that is under way may go on when the service stops.
	// Zero: 10 s.
	Grace   time.Duration
	Log     *slog.Logger
	Metrics *Metrics

	serving sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
	free    func()

	toldTeams time.Time // when it was last looked for teams to tell, see tellTeams

	mu        sync.Mutex
	stopping  bool               // nobody is leased any more in what others write, see Claim
	beginning map[string]bool    // recipients who are about to be leased
	turns     map[string]*turn   // by recipient, of those who are told more than one message
	toPlan    parties            // whose messages are to be planned
	planning  bool               // that is under way
	servers   map[string]*server // by channel and name
	routed    *incident.Policy   // that routes was made of
	routes    map[string]*server // by recipient
}

// start lets it work; free is called when a hand becomes free.
func (d *Dispatcher) start(free func()) {
	if d.Hands == 0 {
		d.Hands = 64
	}
	if d.Grace == 0 {
		d.Grace = 10 * time.Second
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.free = free
	d.mu.Lock()
	d.servers = map[string]*server{}
	d.stopping = false
	d.mu.Unlock()
}

// stop waits for the deliveries that are under way, up to Grace.
func (d *Dispatcher) stop() {
	d.mu.Lock()
	d.stopping = true
	d.mu.Unlock()
	timer := time.AfterFunc(d.Grace, d.cancel)
	d.serving.Wait()
	timer.Stop()
	d.cancel()
}

// server returns the one by which a recipient is reached. Those who are no longer
// configured have one together, as nothing is sent to them.
func (d *Dispatcher) server(recipient string) *server {
	policy := d.Repo.Policy()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.routed != policy {
		d.routed, d.routes = policy, map[string]*server{}
		add := func(all []incident.Recipient) {
			for _, r := range all {
				name := ""
				if r.Channel == incident.ChannelWebhook {
					name = r.Address // scheme and host
				}
				d.routes[r.ID] = d.serverOf(r.Channel, name)
			}
		}
		for i := range policy.Groups {
			add(policy.Groups[i].Recipients)
		}
		for i := range policy.Teams {
			add(policy.Teams[i].OnCall)
		}
	}
	if s, ok := d.routes[recipient]; ok {
		return s
	}
	return d.serverOf("", "")
}

func (d *Dispatcher) serverOf(channel incident.Channel, name string) *server {
	key := string(channel) + " " + name
	s := d.servers[key]
	if s == nil {
		s = newServer(channel, name, d.Hands)
		d.servers[key] = s
	}
	return s
}

// Servers says of each server that cannot be used, or refuses all alike, how it fares:
// the mail server first, then hosts of webhooks by name.
func (d *Dispatcher) Servers() []ServerState {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []ServerState
	for _, key := range slices.Sorted(maps.Keys(d.servers)) {
		if st := d.servers[key].state(); !st.FailingSince.IsZero() {
			out = append(out, st)
		}
	}
	return out
}

// ServerRetryAt returns until when the server of a recipient is held back; zero if it is not. It
// may be called before the dispatcher runs.
func (d *Dispatcher) ServerRetryAt(recipient string) time.Time {
	d.mu.Lock()
	running := d.servers != nil
	d.mu.Unlock()
	if !running {
		return time.Time{}
	}
	_, later := d.server(recipient).free(time.Now())
	return later.UTC().Truncate(time.Microsecond)
}

// A line are those who wait, in the order in which they are claimed, and by what servers they
// are reached.
type line struct {
	waiting []storage.Waiting
	servers map[*server]bool
}

// line puts those in order who were found waiting: the most urgent first. Whoever is about to be
// leased since before is left out.
func (d *Dispatcher) line(waiting []storage.Waiting) line {
	l := line{servers: map[*server]bool{}}
	waiting = slices.DeleteFunc(waiting, func(w storage.Waiting) bool { return d.isBeginning(w.Recipient) })
	rank := make(map[string]int, len(waiting))
	for _, w := range waiting {
		rank[w.Recipient] = int(w.Urgency)
		srv := d.server(w.Recipient)
		l.servers[srv] = true
		if srv.foundOut(w.Recipient) {
			rank[w.Recipient] = int(incident.LeastUrgent) + 1
		}
	}
	slices.SortStableFunc(waiting, func(a, b storage.Waiting) int { return cmp.Compare(rank[a.Recipient], rank[b.Recipient]) })
	l.waiting = waiting
	return l
}

// claim takes the first of a line out of it, of each server as many as it has hands free, and
// serves each. It returns whether there may be more to claim, and when a server that is held back
// is to be tried again; zero if none is waited for.
func (d *Dispatcher) claim(l *line) (more bool, next time.Time) {
	waiting := l.waiting
	if len(waiting) == 0 {
		return false, time.Time{}
	}
	hands, next := l.hands(time.Now())
	more = len(waiting) == waitingLimit
	taken := 0
	var parties parties
	rest := waiting[:0]
	for i, w := range waiting {
		if taken == claimLimit || len(hands) == 0 {
			more = more || len(hands) > 0
			rest = append(rest, waiting[i:]...)
			break
		}
		srv := d.server(w.Recipient)
		if hands[srv] == 0 {
			rest = append(rest, w) // a hand that becomes free wakes the scheduler
			continue
		}
		if hands[srv]--; hands[srv] == 0 {
			delete(hands, srv)
		}
		taken++
		srv.take(1)
		d.begin(w.Recipient)
		parties.add(w, srv)
	}
	l.waiting = rest
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range parties {
		if p.some[0].Incident == 0 {
			d.serving.Go(func() { d.serve(p) })
			continue
		}
		d.toPlan = append(d.toPlan, p)
		if !d.planning {
			d.planning = true
			d.serving.Go(d.planAll)
		}
	}
	return more && taken > 0, next
}

// planAll plans the messages of all parties that wait for that, many on one snapshot where many do,
// and serves each.
func (d *Dispatcher) planAll() {
	for {
		d.mu.Lock()
		n, recipients := 0, 0
		for n < len(d.toPlan) && recipients < planAtOnce {
			recipients += len(d.toPlan[n].some)
			n++
		}
		part := slices.Clone(d.toPlan[:n])
		d.toPlan = slices.Delete(d.toPlan, 0, n)
		d.planning = n > 0
		d.mu.Unlock()
		if n == 0 {
			return
		}
		// Whose message is not planned is planned for under the lease: what is wrong is said there.
		_ = d.Repo.Store.Read(d.ctx, func(r storage.Snapshot) error { return d.plan(d.ctx, r, part, now()) })
		for _, p := range part {
			d.serving.Go(func() { d.serve(p) })
		}
	}
}

// plan plans the one message that is due to each of the parties, as of one time. Where there is
// nothing to tell, none is.
func (d *Dispatcher) plan(ctx context.Context, r storage.Snapshot, all parties, at time.Time) error {
	var matters []matter
	for _, p := range all {
		for _, w := range p.some {
			matters = append(matters, matter{w.Recipient, []int64{w.Incident}})
		}
	}
	drafts, err := d.drafts(ctx, r, matters, at)
	if err != nil {
		return err
	}
	for _, p := range all {
		p.drafts = make(map[string]*draft, len(p.some))
		for i, w := range p.some {
			if len(drafts[i].delivery.Covers) > 0 {
				p.drafts[w.Recipient] = drafts[i]
			}
		}
		drafts = drafts[len(p.some):]
	}
	return nil
}

// A party are those to whom the same incident is due, and nothing else: they are told of it
// together. Of the others each is one.
type party struct {
	server *server
	some   []storage.Waiting
	// drafts are the messages that were planned, by recipient; none of who is planned for under the lease.
	drafts map[string]*draft
}

func (p *party) recipients() []string {
	ids := make([]string, len(p.some))
	for i := range p.some {
		ids[i] = p.some[i].Recipient
	}
	return ids
}

type parties []*party

// partySize is how many are told together: others who write wait for their transaction.
const partySize = 32

func (all *parties) add(w storage.Waiting, srv *server) {
	if w.Incident != 0 {
		for _, p := range slices.Backward(*all) {
			if p.server == srv && p.some[0].Incident == w.Incident {
				if len(p.some) < partySize {
					p.some = append(p.some, w)
					return
				}
				break
			}
		}
	}
	*all = append(*all, &party{server: srv, some: []storage.Waiting{w}})
}

// hands returns how many hands the servers have free, of those that have any, and when one that is
// held back is to be tried again; zero if none is.
func (l *line) hands(at time.Time) (hands map[*server]int, next time.Time) {
	hands = make(map[*server]int, len(l.servers))
	for s := range l.servers {
		n, later := s.free(at)
		if n > 0 {
			hands[s] = n
		}
		if !later.IsZero() && (next.IsZero() || later.Before(next)) {
			next = later
		}
	}
	return hands, next
}

// begin notes that a recipient is about to be leased, and begun that it is, or is not to be: a
// round in between must not choose it again.
func (d *Dispatcher) begin(recipient string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.beginning == nil {
		d.beginning = map[string]bool{}
	}
	d.beginning[recipient] = true
}

func (d *Dispatcher) begun(recipient string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.beginning, recipient)
}

func (d *Dispatcher) isBeginning(recipient string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.beginning[recipient]
}

// A turn is what one recipient is told under one lease.
type turn struct {
	*storage.Lease
	server *server
	sent   []time.Time // of the latest messages, those of this turn too
	// openings are the latest that were messages of their own, those of this turn too.
	openings []storage.Opening
	busy     bool // a message was not made, see errBusy
	// refused is what was refused in this turn, or may have arrived.
	refused  map[subject]bool
	verdicts map[string]bool   // on doubtful deliveries, by id
	retries  map[int]time.Time // when that is tried again, by the number of attempts
	// last is set if the lease ends with the message under way once that was told, and
	// released once it has.
	last, released bool
	// hurried is set if an opening of the first priority became due to the recipient since, that
	// this process knows of, and between while such are told.
	hurried atomic.Bool
	between bool
}

// A leased is a recipient whose lease was taken. If one message is all that is due, the draft was
// planned before and is recorded; else it is nil.
type leased struct {
	*turn
	draft *draft
}

// lease takes the leases of a party, of all of them or of none; those whose lease cannot be had
// are left out. The messages that were planned for them are recorded in the same transaction, where
// they are all that is due.
func (d *Dispatcher) lease(ctx context.Context, p *party) (taken []leased, err error) {
	at, number := now(), p.some[0].Incident
	d.renderAll(p.drafts)
	ctx = storage.Together(ctx)
	err = d.Repo.Store.Write(ctx, func(tx storage.Tx) error {
		var alone []string
		var err error
		if taken, alone, err = d.take(ctx, tx, p, number, at); err != nil {
			return err
		}
		var planned []*draft
		for _, id := range alone {
			if dr := p.drafts[id]; dr != nil {
				planned = append(planned, dr)
			}
		}
		if len(planned) == 0 {
			return nil
		}
		fresh, err := allUnchanged(ctx, tx, false, planned...)
		if err != nil {
			return err
		}
		return record(ctx, tx, taken, fresh)
	})
	return taken, err
}

// take takes the leases of a party in a transaction, and returns those to whom a message about one
// incident is all that is due, too.
func (d *Dispatcher) take(ctx context.Context, tx storage.Tx, p *party, number int64, at time.Time) (taken []leased, alone []string, err error) {
	leases, err := tx.TakeLeases(ctx, at, d.Owner, lease, p.recipients())
	for i := range leases {
		c := newTurn(&leases[i], p.server)
		taken = append(taken, leased{turn: c})
		if number != 0 && c.isAll(number, d.Repo.Policy(), at) {
			alone = append(alone, c.Recipient)
		}
	}
	return taken, alone, err
}

// record records the attempts at drafts under the leases of their recipients.
func record(ctx context.Context, tx storage.Tx, taken []leased, drafts []*draft) error {
	for i := range taken {
		k := slices.IndexFunc(drafts, func(dr *draft) bool { return dr.delivery.Recipient == taken[i].Recipient })
		if k < 0 {
			continue
		}
		taken[i].draft = drafts[k]
		if err := tx.PutDelivery(ctx, &drafts[k].delivery, drafts[k].body); err != nil {
			return err
		}
	}
	return nil
}

// renderAll renders drafts for their first attempt. What cannot be rendered is left out: what is
// wrong is said to who plans for one alone.
func (d *Dispatcher) renderAll(drafts map[string]*draft) {
	maps.DeleteFunc(drafts, func(_ string, dr *draft) bool {
		dr.delivery.Attempts = 1
		return d.render(dr) != nil
	})
}

// isAll reports whether a message about one incident is all that is due under the lease, and may
// go out by itself.
func (c *turn) isAll(number int64, p *incident.Policy, at time.Time) bool {
	return c.Settling == nil && len(c.Pending)+len(c.Notices) == 0 && len(c.Subscriptions) == 1 && c.Subscriptions[0].Incident == number && c.mayGoAlone(&c.Subscriptions[0], p, at)
}

func newTurn(l *storage.Lease, srv *server) *turn {
	return &turn{Lease: l, server: srv, sent: l.Sent, openings: l.Openings, refused: map[subject]bool{}, retries: map[int]time.Time{}, verdicts: map[string]bool{}}
}

// firstUrgency is that of what begins at the first priority.
func firstUrgency(p *incident.Policy) incident.Urgency {
	if len(p.Priorities) == 0 {
		return incident.MostUrgent
	}
	return incident.UrgencyOf(incident.KindOpened, p.Priorities[0])
}

// aloneFirst returns how many openings of the first priority may go out by themselves, whatever
// else went out.
func (c *turn) aloneFirst(p *incident.Policy, at time.Time) int {
	if p.DigestAbove <= 0 || len(p.Priorities) == 0 {
		return math.MaxInt
	}
	recent := 0
	for _, o := range c.openings {
		if o.Priority == p.Priorities[0].Name && at.Sub(o.At) < minute {
			recent++
		}
	}
	return max(p.DigestAbove-recent, 0)
}

// opensFirst reports whether a subscription is owed an opening of the first priority.
func opensFirst(sub *incident.Subscription, p *incident.Policy) bool {
	return sub.Urgency == firstUrgency(p) && sub.IsOpening()
}

// mayGoAlone reports whether the one message that is due may go out by itself.
func (c *turn) mayGoAlone(sub *incident.Subscription, p *incident.Policy, at time.Time) bool {
	return c.alone(p, at) > 0 || opensFirst(sub, p) && c.aloneFirst(p, at) > 0
}

// alone returns how many messages may go out by themselves before the rest is a digest, of the
// many that there can be.
func (c *turn) alone(p *incident.Policy, at time.Time) int {
	if p.DigestAbove <= 0 {
		return math.MaxInt
	}
	recent := 0
	for _, t := range c.sent {
		if at.Sub(t) < minute {
			recent++
		}
	}
	return max(p.DigestAbove-recent, 0)
}

// serve leases a party, tells each all that is due, and gives the lease back. One message,
// as mostly, is two transactions: it is recorded with the lease, and its outcome with the end of
// that.
func (d *Dispatcher) serve(p *party) {
	taken, err := d.lease(d.ctx, p)
	if err != nil && len(p.some) > 1 && !errors.Is(err, storage.ErrUnavailable) && d.ctx.Err() == nil {
		// It may be about one of them: that must not keep the others.
		for _, w := range p.some {
			d.serving.Go(func() { d.serve(&party{server: p.server, some: []storage.Waiting{w}}) })
		}
		return
	}
	for _, id := range p.recipients() {
		d.begun(id)
	}
	if err != nil {
		taken = nil
		d.Log.Warn("recipient not leased, it is tried again", slog.String("component", "dispatcher"), slog.Any("err", err))
	}
	// Whoever is left out is leased by another, or nothing is due; that is tried again in the next
	// round that time or news brings.
	p.server.take(len(taken) - len(p.some))
	for _, one := range taken {
		d.serving.Go(func() {
			d.carryOut(one.turn, one.draft)
			p.server.take(-1)
			d.free()
		})
	}
}

// carryOut tells a recipient who is leased all that is due, the draft first if that is recorded,
// and gives the lease back.
func (d *Dispatcher) carryOut(c *turn, dr *draft) {
	ctx := d.ctx
	log := d.Log.With(slog.String("component", "dispatcher"))
	var retryAt time.Time
	var err error
	if dr != nil {
		c.last = true
		err = d.attempt(ctx, c, dr.sender, &dr.delivery, dr.message.Recipient, dr.body, false)
	} else {
		end := d.keepTurn(c)
		retryAt, err = d.tell(ctx, c)
		end()
	}
	if c.released {
		return
	}
	why := ""
	switch {
	case errors.Is(err, storage.ErrLost):
		log.Warn("another took over", slog.Int64("attempt", c.Attempt))
		return
	case errors.Is(err, ErrServer), errors.Is(err, ErrRate):
		// The server is held back, and for others than those who found that out no longer.
		retryAt, why = now().Add(backoff(c.Failures+1, longestSetupWait)), err.Error()
		log.Warn("server cannot be used, it is tried again", slog.String("channel", string(c.server.channel)), slog.Any("err", err))
	case err != nil:
		// It speaks of the recipient, or the store failed.
		wait := asked(err)
		if wait == 0 {
			wait = backoff(c.Failures+1, longestWait)
		}
		retryAt, why = now().Add(wait), err.Error()
		log.Warn("delivery failed, it is tried again", slog.Int("attempt", c.Failures+1), slog.Time("retry", retryAt), slog.Any("err", err))
	}
	var yields incident.Urgency
	if why == "" && !retryAt.IsZero() { // a digest waits for more
		yields = firstUrgency(d.Repo.Policy()) + 1
	}
	if c.busy && retryAt.IsZero() {
		retryAt = now().Add(time.Second)
	}
	ctx = context.WithoutCancel(ctx)
	err = d.Repo.Store.Write(ctx, func(tx storage.Tx) error { return tx.ReleaseLease(ctx, c.Lease, now(), retryAt, why, yields) })
	if err != nil && !errors.Is(err, storage.ErrLost) {
		log.Warn("claim not given back, it ends by itself", slog.Any("err", err))
	}
}

// keepTurn lets others hurry a turn, until end is called.
func (d *Dispatcher) keepTurn(c *turn) (end func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turns == nil {
		d.turns = map[string]*turn{}
	}
	d.turns[c.Recipient] = c
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.turns[c.Recipient] == c {
			delete(d.turns, c.Recipient)
		}
	}
}

// tell sends what is owed to the recipient: first what was not refused before, then what
// is tried again. If it returns a time, nothing more is to be sent before that. An error
// ends the turn; a message that is refused for now does not.
func (d *Dispatcher) tell(ctx context.Context, c *turn) (retryAt time.Time, err error) {
	if c.Settling != nil {
		return time.Time{}, d.finishSettling(ctx, c) // what is due then is for the next lease
	}
	retries := map[subject]incident.Delivery{}
	for i := range c.Pending {
		del := &c.Pending[i]
		if !del.Replan || c.condemned(del) {
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
	before, fresh := c.triedBefore()
	before.retries, fresh.retries = retries, retries
	if retryAt, err = d.tellAll(ctx, c, fresh); err != nil {
		return time.Time{}, err
	}
	for i := range c.Pending {
		del := &c.Pending[i]
		switch {
		case c.condemned(del):
			err = d.outcome(ctx, c, del, false, fmt.Errorf("%s (others are taken): %w", del.Error, ErrPermanent))
		case !del.Replan:
			err = d.again(ctx, c, del)
		}
		if err != nil {
			return time.Time{}, err
		}
	}
	later, err := d.tellAll(ctx, c, before)
	if err != nil {
		return time.Time{}, err
	}
	if retryAt.IsZero() && later.IsZero() {
		for _, del := range retries {
			if err := d.withdraw(ctx, c, &del, incident.WhyToldOrOver); err != nil {
				return time.Time{}, err
			}
		}
	}
	if retryAt.IsZero() || !later.IsZero() && later.Before(retryAt) {
		retryAt = later
	}
	return retryAt, nil
}

// condemned reports whether a refusal that may be final is: then nothing is tried.
func (c *turn) condemned(del *incident.Delivery) bool {
	if !del.Doubtful {
		return false
	}
	verdict, known := c.verdicts[del.ID]
	if !known { // one for the turn
		verdict = c.server.condemns(c.Recipient, now().Sub(del.RefusedAt))
		c.verdicts[del.ID] = verdict
	}
	return verdict
}

// A load is a part of what is due to a recipient.
type load struct {
	subscriptions []incident.Subscription
	notices       []incident.Notice
	// retries are deliveries that failed: a message that is tried again takes the place, and
	// the id, of the one for the same incident or pulse.
	retries map[subject]incident.Delivery
}

// triedBefore parts what is due: what a message was to tell that was refused, or may have
// arrived, and all else. The latter goes first, whatever a server makes of the former.
func (c *turn) triedBefore() (before, fresh load) {
	tried := map[subject]bool{}
	for i := range c.Pending {
		if del := &c.Pending[i]; del.Replan && del.RefusedAt.IsZero() {
			continue // it was not refused: the server could not be used
		}
		for _, cover := range c.Pending[i].Covers {
			tried[subjectOfCover(&cover)] = true
		}
	}
	for _, s := range c.Subscriptions {
		into := &fresh
		if tried[subject{incident: s.Incident}] {
			into = &before
		}
		into.subscriptions = append(into.subscriptions, s)
	}
	for _, n := range c.Notices {
		into := &fresh
		if tried[subject{ofPulse: true, pulse: n.Pulse}] {
			into = &before
		}
		into.notices = append(into.notices, n)
	}
	return before, fresh
}

// tellAll sends a load.
func (d *Dispatcher) tellAll(ctx context.Context, c *turn, l load) (time.Time, error) {
	for _, n := range l.notices {
		if c.refused[subject{ofPulse: true, pulse: n.Pulse}] {
			continue
		}
		err := d.send(ctx, c, l.retries, func(r storage.Snapshot, at time.Time) (*draft, error) {
			return d.pulseDraft(ctx, r, n.Pulse, c.Recipient, at)
		})
		if err != nil {
			return time.Time{}, err
		}
	}
	return d.tellIncidents(ctx, c, l)
}

// tellIncidents sends one message for each incident, up to digest_above in a
// minute, and one digest for what is beyond: at once the first time, and later in that
// minute when some time was given for more to come. The most urgent goes first, and as many
// openings of the first priority go by themselves whatever else went out.
func (d *Dispatcher) tellIncidents(ctx context.Context, c *turn, l load) (time.Time, error) {
	due := slices.DeleteFunc(l.subscriptions, func(s incident.Subscription) bool { return c.refused[subject{incident: s.Incident}] })
	if len(due) == 0 {
		return time.Time{}, nil
	}
	rank := func(s *incident.Subscription) int { // of what is as urgent, openings come first
		if s.IsOpening() {
			return 2 * int(s.Urgency)
		}
		return 2*int(s.Urgency) + 1
	}
	slices.SortStableFunc(due, func(a, b incident.Subscription) int { return cmp.Compare(rank(&a), rank(&b)) })
	policy := d.Repo.Policy()
	first := 0 // openings of the first priority
	for budget := c.aloneFirst(policy, now()); first < min(budget, len(due)) && opensFirst(&due[first], policy); {
		first++
	}
	others := c.alone(policy, now())
	alone := min(max(first, others), len(due))
	for _, sub := range due[:alone] {
		err := d.send(ctx, c, l.retries, func(r storage.Snapshot, at time.Time) (*draft, error) {
			return d.incidentDraft(ctx, r, c.Recipient, []int64{sub.Incident}, at)
		})
		if err != nil {
			return time.Time{}, err
		}
	}
	due = due[alone:]
	if len(due) == 0 {
		return time.Time{}, nil
	}
	byDue := func(a, b incident.Subscription) int { return a.DueAt.Compare(b.DueAt) }
	earliest, latest := slices.MinFunc(due, byDue).DueAt, slices.MaxFunc(due, byDue).DueAt
	enough := len(due) >= digestFull || len(due) >= digestMany && !latest.Add(digestLook).After(now())
	if wait := earliest.Add(digestWait); (others == 0 || len(due) == 1) && !enough && wait.After(now()) {
		if soon := now().Add(digestLook); soon.Before(wait) {
			return soon, nil
		}
		return wait, nil
	}
	var beyond []int64
	for _, sub := range due {
		beyond = append(beyond, sub.Incident)
	}
	return time.Time{}, d.send(ctx, c, l.retries, func(r storage.Snapshot, at time.Time) (*draft, error) {
		return d.incidentDraft(ctx, r, c.Recipient, beyond, at)
	})
}
