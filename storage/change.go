package storage

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"sitrep/incident"
)

// A Repository is how incidents are changed, by alerts, people and time alike.
type Repository struct {
	Store  Store
	Policy func() *incident.Policy // in force
	// Wake hints that something may be due. It is lost without harm.
	Wake func()
	// Observe is told of an incident's events after their commit, in order; nil if
	// nobody counts. A process that ends in between has told of none.
	Observe func(events []incident.Event)
	// ServerRetryAt returns until when the server of a recipient is held back, as this process
	// knows; zero if it is not. Nil if this process sends nothing.
	ServerRetryAt func(recipient string) time.Time
	// Claim may lease, in the transaction of a change, those to whom the change made something
	// due at once, and record what is attempted: it saves the one that would do so. It is asked
	// last, and must not wait. It returns what is called once the transaction was kept or was
	// not, nil if nobody was leased. An error costs the change nothing but one more run, without
	// it. It breaks the order of locks, and so is for an engine with one writer; nil: all is
	// found later by who sends.
	Claim func(ctx context.Context, tx Tx, due []incident.Subscription) (end func(kept bool), err error)
}

// Change runs fn, and stores the incidents that it changed with their events and
// subscriptions in the same transaction, or nothing. The function may run more
// than once. It returns after the commit.
func (repo *Repository) Change(ctx context.Context, at time.Time, fn func(*Change) error) error {
	at = at.UTC().Truncate(time.Microsecond)
	var done *Change
	claims := claims{claim: repo.Claim}
	write := func() error {
		return repo.Store.Write(ctx, func(tx Tx) error {
			claims.begin()
			c := repo.newChange(ctx, tx, at)
			if err := fn(c); err != nil {
				return err
			}
			done = c
			if err := c.store(); err != nil {
				return err
			}
			return claims.make(ctx, tx, c.due)
		})
	}
	err := write()
	if errors.Is(err, errClaim) {
		claims.claim = nil
		err = write()
	}
	claims.end(err == nil)
	if err != nil {
		return err
	}
	for _, n := range done.order {
		if events := done.loaded[n].news.Events; len(events) > 0 && repo.Observe != nil {
			repo.Observe(events)
		}
	}
	if (done.changed || done.wake) && repo.Wake != nil {
		repo.Wake()
	}
	return nil
}

// A Foreseen is what would become of one incident.
type Foreseen struct {
	Before, After *incident.Situation
	// Events are what would happen to it.
	Events []incident.Event
}

// Preview runs fn as Change does and stores nothing. Then look is given what would become of
// the incidents, in the order in which they were asked for, and the snapshot on which that
// is seen; the situations after have their Tries. Both functions may run more than once.
func (repo *Repository) Preview(ctx context.Context, at time.Time, fn func(*Change) error, look func(Snapshot, []Foreseen) error) error {
	at = at.UTC().Truncate(time.Microsecond)
	return repo.Store.Read(ctx, func(r Snapshot) error {
		c := repo.newChange(ctx, preview{Snapshot: r}, at)
		if err := fn(c); err != nil {
			return err
		}
		var all []Foreseen
		var after []*incident.Situation
		for _, n := range c.order {
			l := c.loaded[n]
			s, err := c.after(l)
			if err != nil {
				return err
			}
			all, after = append(all, Foreseen{Before: l.was, After: s, Events: l.news.Events}), append(after, s)
		}
		if err := repo.Tries(r, at).Note(ctx, after...); err != nil {
			return err
		}
		return look(r, all)
	})
}

// A Change is a transaction in which incidents change. What it reads of incidents and
// breaches it keeps, and what it writes of them it gathers and stores at the end, in sets.
type Change struct {
	Tx     Tx
	Policy *incident.Policy
	At     time.Time

	repo   *Repository
	ctx    context.Context // of the transaction, that ends with it
	last   time.Time       // of the latest event of what is loaded
	force  *force          // once it was asked for
	loaded map[int64]*loaded
	order  []int64          // of those in loaded
	latest map[string]int64 // latest incidents of keys that were asked for, 0 if there is none
	given  int64            // the number of the incident that was opened last, 0 if none was
	wake   bool
	// changed is set if somebody may be owed something by it. Who was told is not, before the
	// next scheduled update.
	changed bool
	pulses  *incident.Pulses        // once they were asked for
	due     []incident.Subscription // of those that were stored, to whom something is due now

	breaches    breaches
	unmapped    unmapped
	ambiguities []Ambiguity
}

func (repo *Repository) newChange(ctx context.Context, tx Tx, at time.Time) *Change {
	return &Change{Tx: tx, Policy: repo.Policy(), At: at, repo: repo, ctx: ctx, loaded: map[int64]*loaded{}}
}

type loaded struct {
	was *incident.Situation
	// now is what the function sees: the state and the agenda with the news, and the
	// readers as they were.
	now   *incident.Situation
	news  incident.News
	isNew bool
	// readers is set once the subscriptions are there; reader is whose is there alone.
	readers bool
	reader  string
	// alone is what follows for that one, if no other is concerned.
	alone *incident.Situation
}

// Context returns the context of the transaction, for all that is asked of Tx.
func (c *Change) Context() context.Context { return c.ctx }

// ahead is by how much events may be later than now: as far as clocks of two machines differ,
// or one is corrected. What lies further ahead was dated by a clock that was wrong, and what
// happens to other incidents is not to be dated by that.
const ahead = 5 * time.Minute

// Stamp says that the actor decides now or, if the clock is behind, when the latest happened
// of what the change has loaded, so that nothing comes before what it follows on.
func (c *Change) Stamp(actor incident.Actor) incident.Stamp {
	at := c.At
	if c.last.After(at) && c.last.Sub(at) <= ahead {
		at = c.last
	}
	return incident.Stamp{At: at, Actor: actor, Config: c.Policy.Hash}
}

// A force is the configuration in force, and whether that of this process is another.
type force struct {
	Generation
	behind bool
}

func (c *Change) inForce() (force, error) {
	if c.force == nil {
		g, behind, err := c.repo.generation(c.Context(), c.Tx)
		if err != nil {
			return force{}, err
		}
		c.force = &force{g, behind}
	}
	return *c.force, nil
}

// Situation returns an incident with all that changes with it. It changes by [Change.Record]
// and [Change.Note]; the readers follow at the end. What is set in its agenda is stored too.
func (c *Change) Situation(number int64) (*incident.Situation, error) {
	if _, err := c.Incident(number); err != nil {
		return nil, err
	}
	l := c.loaded[number]
	return l.now, c.loadReaders(l)
}

// Reader is Situation with one reader alone, for what became of messages to it: what that costs
// does not grow with the others. At the end they are there if need be.
func (c *Change) Reader(number int64, recipient string) (*incident.Situation, error) {
	s, err := c.Incident(number)
	if err != nil {
		return nil, err
	}
	l := c.loaded[number]
	if l.readers || l.reader == recipient {
		return s, nil
	}
	if l.reader != "" {
		return s, c.loadReaders(l)
	}
	return s, c.loadReader(recipient, number)
}

// LoadReader loads what [Change.Reader] returns of incidents, in sets.
func (c *Change) LoadReader(numbers []int64, recipient string) error {
	var unknown []int64
	for _, n := range numbers {
		if c.loaded[n] == nil {
			unknown = append(unknown, n)
		}
	}
	found, err := c.Tx.IncidentsByNumber(c.Context(), unknown)
	if err != nil {
		return err
	}
	if err := c.load(found); err != nil {
		return err
	}
	var without []int64
	for _, n := range numbers {
		if l := c.loaded[n]; l != nil && !l.readers && l.reader == "" {
			without = append(without, n)
		}
	}
	return c.loadReader(recipient, without...)
}

// LoadReaders loads the readers of incidents, in sets, so that they follow at the end. Those that
// are not loaded are left out.
func (c *Change) LoadReaders(numbers []int64) error {
	var of []*loaded
	for _, n := range numbers {
		if l := c.loaded[n]; l != nil {
			of = append(of, l)
		}
	}
	return c.loadReaders(of...)
}

// loadReader loads one reader of incidents of which none is loaded.
func (c *Change) loadReader(recipient string, numbers ...int64) error {
	subs, err := c.Tx.Subscriptions(c.Context(), numbers, recipient)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		l := c.loaded[n]
		l.was.Subscriptions, l.now.Subscriptions, l.reader = subs[n], subs[n], recipient
	}
	return nil
}

// Incident is Situation without the readers, for events that come in great numbers
// and mostly do not concern them. At the end they are there if need be.
func (c *Change) Incident(number int64) (*incident.Situation, error) {
	if c.loaded[number] == nil {
		found, err := c.Tx.IncidentsByNumber(c.Context(), []int64{number})
		if err != nil {
			return nil, err
		}
		if err := c.load(found); err != nil {
			return nil, err
		}
	}
	l, ok := c.loaded[number]
	if !ok {
		return nil, NotFound("incident", incident.ID(number))
	}
	return l.now, nil
}

// loadIncidents loads those of the numbers that are not loaded, and what they were merged
// into, in order.
func (c *Change) loadIncidents(numbers []int64) error {
	numbers = slices.DeleteFunc(numbers, func(n int64) bool { return c.loaded[n] != nil })
	slices.Sort(numbers)
	found, err := IncidentsFollowed(c.Context(), c.Tx, slices.Compact(numbers))
	if err != nil {
		return err
	}
	return c.load(found)
}

// load loads what belongs to incidents that were found.
func (c *Change) load(found map[int64]*incident.Incident) error {
	if len(found) == 0 {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(found))
	agendas, err := c.Tx.Agendas(c.Context(), numbers)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if c.loaded[n] == nil {
			c.keep(incident.Situation{Incident: *found[n], Agenda: agendas[n]}, false)
		}
	}
	return nil
}

// loadReaders loads the readers of incidents that do not have them.
func (c *Change) loadReaders(of ...*loaded) error {
	of = slices.DeleteFunc(of, func(l *loaded) bool { return l.readers })
	if len(of) == 0 {
		return nil
	}
	numbers := make([]int64, len(of))
	for i, l := range of {
		numbers[i] = l.was.Incident.Number
	}
	subs, err := c.Tx.Subscriptions(c.Context(), numbers)
	if err != nil {
		return err
	}
	for i, l := range of {
		l.was.Subscriptions, l.now.Subscriptions, l.readers = subs[numbers[i]], subs[numbers[i]], true
	}
	return nil
}

// New returns the situation of an incident that does not exist yet, with a number
// of its own.
func (c *Change) New() (*incident.Situation, error) {
	if c.given == 0 {
		next, err := c.Tx.NextNumber(c.Context())
		if err != nil {
			return nil, err
		}
		c.given = next - 1
	}
	c.given++ // nobody else is given one until this change is stored
	return c.keep(incident.Situation{Incident: incident.Incident{Number: c.given}, Agenda: incident.Agenda{Incident: c.given}}, true), nil
}

// keep keeps the situation as it was, and returns the one that changes.
func (c *Change) keep(was incident.Situation, isNew bool) *incident.Situation {
	now := was
	c.last = latestOf(c.last, was.Incident.ChangedAt)
	c.loaded[was.Incident.Number] = &loaded{was: &was, now: &now, isNew: isNew, readers: isNew}
	c.order = append(c.order, was.Incident.Number)
	return &now
}

// Record makes the events part of the incident, at once: those that follow build on its
// state. What readers are owed because of them is reconciled at the end.
func (c *Change) Record(s *incident.Situation, events ...incident.Event) error {
	return c.Note(s, incident.News{Events: events})
}

// Note makes news part of the incident, as Record does of events.
func (c *Change) Note(s *incident.Situation, news incident.News) error {
	for i := range news.Events {
		if err := s.Incident.Apply(news.Events[i]); err != nil {
			return err
		}
		c.last = latestOf(c.last, news.Events[i].Time)
	}
	if news.Agenda != nil {
		s.Agenda = *news.Agenda
	}
	c.loaded[s.Incident.Number].news.Add(news)
	return nil
}

// After returns the incident as it will be stored if nothing more happens to it, with its
// Tries.
func (c *Change) After(s *incident.Situation) (*incident.Situation, error) {
	after, err := c.after(c.loaded[s.Incident.Number])
	if err != nil {
		return nil, err
	}
	return after, c.repo.Tries(c.Tx, c.At).Note(c.Context(), after)
}

func (c *Change) after(l *loaded) (*incident.Situation, error) {
	if err := c.loadReaders(l); err != nil {
		return nil, err
	}
	in, err := c.inForce()
	if err != nil {
		return nil, err
	}
	news := l.news
	news.Agenda, news.Behind = &l.now.Agenda, in.behind
	s, err := incident.Reconcile(l.was, news, c.Policy, c.At)
	if err == nil && !in.behind {
		s.Agenda.Generation = in.Number
	}
	return s, err
}

// afterReader is after where that concerns the one reader alone that is loaded.
func (c *Change) afterReader(l *loaded) (*incident.Situation, bool, error) {
	in, err := c.inForce()
	if err != nil {
		return nil, false, err
	}
	news := l.news
	news.Agenda, news.Behind = &l.now.Agenda, in.behind
	s, ok := incident.ReconcileReader(l.was, news, c.Policy, c.At)
	return s, ok, nil
}

// store stores what changed, and what follows from it for the readers.
func (c *Change) store() error {
	var changed, concerned []*loaded
	alone := 0
	for _, n := range c.order {
		l := c.loaded[n]
		if l.isNew && len(l.news.Events) == 0 {
			continue
		}
		changed = append(changed, l)
		if l.reader != "" && !l.readers {
			after, ok, err := c.afterReader(l)
			if err != nil {
				return err
			}
			if ok {
				l.alone = after
				alone++
				continue
			}
		}
		if l.readers || l.news.Concerns(l.was) {
			concerned = append(concerned, l)
		}
	}
	c.changed = alone < len(c.order)
	if err := c.loadReaders(slices.Clone(concerned)...); err != nil {
		return err
	}
	total := 0
	for _, l := range changed {
		total += len(l.news.Events)
	}
	var out struct {
		incidents     []*incident.Incident
		events        []incident.Event
		subscriptions []incident.Subscription
		agendas       []incident.Agenda
	}
	for _, l := range changed {
		after := l.now
		if l.alone != nil {
			after = l.alone
		} else if l.readers {
			var err error
			if after, err = c.after(l); err != nil {
				return err
			}
		}
		if len(l.news.Events) > 0 {
			out.incidents = append(out.incidents, &after.Incident)
			if len(out.events) == 0 && len(l.news.Events) == total {
				out.events = l.news.Events
			} else {
				out.events = append(slices.Grow(out.events, total-len(out.events)), l.news.Events...)
			}
		}
		out.subscriptions = append(out.subscriptions, changedSubscriptions(l.was, after)...)
		if !reflect.DeepEqual(l.was.Agenda, after.Agenda) {
			out.agendas = append(out.agendas, after.Agenda)
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	if len(out.incidents) > 0 {
		if err := c.Tx.PutIncidents(c.Context(), out.incidents); err != nil {
			return err
		}
		if err := c.Tx.AppendEvents(c.Context(), out.events); err != nil {
			return err
		}
	}
	if len(out.subscriptions) > 0 {
		if err := c.Tx.PutSubscriptions(c.Context(), out.subscriptions, nil); err != nil {
			return err
		}
		for i := range out.subscriptions {
			if at := out.subscriptions[i].DueAt; !at.IsZero() && !at.After(c.At) {
				c.due = append(c.due, out.subscriptions[i])
			}
		}
	}
	if len(out.agendas) > 0 {
		return c.Tx.PutAgendas(c.Context(), out.agendas)
	}
	return nil
}

// changedSubscriptions returns those that are new or different.
func changedSubscriptions(was, now *incident.Situation) []incident.Subscription {
	var out []incident.Subscription
	for i := range now.Subscriptions {
		sub := &now.Subscriptions[i]
		if before := was.Subscription(sub.Recipient); before == nil || !equal(before, sub) {
			out = append(out, *sub)
		}
	}
	return out
}

func equal(a, b *incident.Subscription) bool {
	x, y := *a, *b
	if !slices.Equal(x.Owed, y.Owed) || !slices.Equal(x.Audiences, y.Audiences) || !slices.Equal(x.Groups, y.Groups) {
		return false
	}
	x.Owed, y.Owed, x.Audiences, y.Audiences, x.Groups, y.Groups = nil, nil, nil, nil, nil, nil
	return reflect.DeepEqual(x, y)
}

// Situation reads an incident with all that changes with it.
func Situation(ctx context.Context, r Snapshot, number int64) (*incident.Situation, error) {
	all, err := Situations(ctx, r, []int64{number})
	return all[number], err
}

// Situations reads incidents with all that changes with them, or of the readers those
// recipients alone. Each incident has to be there.
func Situations(ctx context.Context, r Snapshot, numbers []int64, recipients ...string) (map[int64]*incident.Situation, error) {
	found, err := r.IncidentsByNumber(ctx, numbers)
	if err != nil {
		return nil, err
	}
	list := make([]incident.Incident, 0, len(numbers))
	for _, n := range numbers {
		if found[n] == nil {
			return nil, NotFound("incident", incident.ID(n))
		}
		list = append(list, *found[n])
	}
	situations, err := SituationsOf(ctx, r, list, recipients...)
	if err != nil {
		return nil, err
	}
	all := make(map[int64]*incident.Situation, len(numbers))
	for _, s := range situations {
		all[s.Incident.Number] = s
	}
	return all, nil
}

// SituationsOf reads what changes together with incidents that were read before, in their
// order; of the readers those recipients alone, or all if none is named.
func SituationsOf(ctx context.Context, r Snapshot, list []incident.Incident, recipients ...string) ([]*incident.Situation, error) {
	numbers := make([]int64, len(list))
	for i := range list {
		numbers[i] = list[i].Number
	}
	subs, err := r.Subscriptions(ctx, numbers, recipients...)
	if err != nil {
		return nil, err
	}
	agendas, err := r.Agendas(ctx, numbers)
	if err != nil {
		return nil, err
	}
	all := make([]*incident.Situation, len(list))
	for i := range list {
		all[i] = &incident.Situation{Incident: list[i], Subscriptions: subs[numbers[i]], Agenda: agendas[numbers[i]]}
	}
	return all, nil
}
