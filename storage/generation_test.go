package storage_test

import (
	"slices"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A rollout is a store that two processes have, each with a configuration of its own.
type rollout struct {
	*signedStore
	before, after *storage.Repository // of the configuration before, and of the one that comes
}

func address(name string) incident.Recipient {
	return incident.Recipient{ID: "email:" + name, Channel: incident.ChannelEmail, Address: name}
}

// configured is a configuration with those managers.
func configured(hash string, managers ...string) *incident.Policy {
	g := incident.Group{Name: "leadership", Location: time.UTC}
	for _, name := range managers {
		g.Recipients = append(g.Recipients, address(name))
	}
	inform := []incident.Audience{incident.AudienceManagement}
	return &incident.Policy{
		Hash: hash, Location: time.UTC, Management: []string{"leadership"}, Groups: []incident.Group{g},
		Priorities: []incident.Priority{
			{Name: "P1", Inform: inform, UpdateEvery: time.Hour}, {Name: "P2", Rank: 1, Inform: inform, UpdateEvery: time.Hour}, {Name: "P3", Rank: 2, UpdateEvery: time.Hour},
		},
		Teams:        []incident.Team{{Name: "blue"}},
		ResolveAfter: 10 * time.Minute, ReopenWithin: time.Hour,
	}
}

func newRollout(t *testing.T) *rollout {
	r := &rollout{signedStore: newSigned(t)}
	repo := func(p *incident.Policy) *storage.Repository {
		return &storage.Repository{Store: r.store, Policy: func() *incident.Policy { return p }}
	}
	r.before, r.after = repo(configured("before", "ann", "bob")), repo(configured("after", "bob", "cid"))
	return r
}

// enter loads the configuration of a process, and returns the generation in force then.
func (r *rollout) enter(owner string, d *storage.Repository) (g storage.Generation) {
	r.Helper()
	r.write(func(tx storage.Tx) (err error) {
		g, err = storage.EnterConfig(r.Context(), tx, owner, storage.Loading{Hash: d.Policy().Hash, At: r.at, Actor: incident.ActorStart})
		return err
	})
	return g
}

func (r *rollout) behind(d *storage.Repository, owner string, want bool) {
	r.Helper()
	got, err := d.KeepUp(r.Context(), owner, r.at)
	if err != nil || got != want {
		r.Errorf("%s at %s is behind: %v, %v", owner, r.at.Format(time.TimeOnly), got, err)
	}
	if r.read(d) != want {
		r.Errorf("%s at %s is behind as it is read: %v", owner, r.at.Format(time.TimeOnly), !want)
	}
}

func (r *rollout) read(d *storage.Repository) (behind bool) {
	r.Helper()
	err := r.store.Read(r.Context(), func(x storage.Snapshot) (err error) {
		behind, err = d.Behind(r.Context(), x)
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return behind
}

func (r *rollout) loadings() (hashes []string) {
	r.Helper()
	err := r.store.Read(r.Context(), func(x storage.Snapshot) error {
		all, err := storage.Loadings(r.Context(), x)
		for _, l := range slices.Backward(all) {
			hashes = append(hashes, l.Hash)
		}
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return hashes
}

// declare opens an incident, and returns its number.
func (r *rollout) declare(d *storage.Repository) (number int64) {
	r.Helper()
	err := d.Change(r.Context(), r.at, func(c *storage.Change) error {
		s, err := c.New()
		if err != nil {
			return err
		}
		number = s.Incident.Number
		events, err := incident.Declare(c.Stamp("ada"), c.Policy, incident.Declaration{UseCase: "Nobody can log on", Team: "blue", Priority: "P1", Reason: "seen"}, number, 0)
		if err != nil {
			return err
		}
		return c.Record(s, events...)
	})
	if err != nil {
		r.Fatal(err)
	}
	return number
}

func (r *rollout) change(d *storage.Repository, number int64, fn func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error)) {
	r.Helper()
	r.at = r.at.Add(time.Second)
	err := d.Change(r.Context(), r.at, func(c *storage.Change) error {
		s, err := c.Situation(number)
		if err != nil || fn == nil {
			return err
		}
		events, err := fn(&s.Incident, c.Stamp("ada"), c.Policy)
		if err != nil {
			return err
		}
		return c.Record(s, events...)
	})
	if err != nil {
		r.Fatal(err)
	}
}

// told notes that all got what is owed to them.
func (r *rollout) told(d *storage.Repository, number int64) {
	r.Helper()
	err := d.Change(r.Context(), r.at, func(c *storage.Change) error {
		s, err := c.Situation(number)
		if err != nil {
			return err
		}
		for i := range s.Subscriptions {
			sub := &s.Subscriptions[i]
			if planned, ok := s.Plan(sub.Recipient, c.Policy, c.At); ok {
				if err := c.Note(s, s.Delivered(sub.Recipient, planned.Cover, c.At, incident.Cause{}, c.Policy)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rollout) situation(number int64) (s *incident.Situation) {
	r.Helper()
	err := r.store.Read(r.Context(), func(x storage.Snapshot) (err error) {
		s, err = storage.Situation(r.Context(), x, number)
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// readers checks who reads along, and what each is owed.
func (r *rollout) readers(number int64, want map[string][]incident.Kind) {
	r.Helper()
	got := map[string][]incident.Kind{}
	for _, sub := range r.situation(number).Subscriptions {
		if !sub.Active && len(sub.Owed) == 0 {
			continue
		}
		got[sub.Recipient] = nil
		for _, o := range sub.Owed {
			got[sub.Recipient] = append(got[sub.Recipient], o.Kind)
		}
	}
	if len(got) != len(want) {
		r.Errorf("at %s readers %v, want %v", r.at.Format(time.TimeOnly), got, want)
		return
	}
	for who, kinds := range want {
		if !slices.Equal(got["email:"+who], kinds) {
			r.Errorf("at %s %s is owed %v, want %v", r.at.Format(time.TimeOnly), who, got["email:"+who], kinds)
		}
	}
}

func raise(to string) func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
	return func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
		q, _ := p.Priority(to)
		return in.ChangePriority(s, p, q, "seen")
	}
}

func TestWhoIsBehindChangesNoReaders(t *testing.T) {
	r := newRollout(t)
	r.enter("one", r.before)
	number := r.declare(r.before)
	r.readers(number, map[string][]incident.Kind{"ann": {incident.KindOpened}, "bob": {incident.KindOpened}})
	r.told(r.before, number)
	if g := r.enter("two", r.after); g.Number != 2 {
		t.Fatalf("in force %+v", g)
	}

	// Both change it in turn, before those who have the newest looked at all.
	r.change(r.before, number, raise("P2"))
	r.readers(number, map[string][]incident.Kind{"ann": {incident.KindPriority}, "bob": {incident.KindPriority}})
	if a := r.situation(number).Agenda; a.Generation != 1 || !a.Behind || a.NextAt.After(r.at) {
		t.Errorf("agenda %+v", a)
	}
	r.change(r.after, number, nil)
	r.readers(number, map[string][]incident.Kind{"bob": {incident.KindPriority}, "cid": {incident.KindOpened}})
	if a := r.situation(number).Agenda; a.Generation != 2 || a.Behind {
		t.Errorf("agenda %+v", a)
	}
	r.told(r.after, number)
	for i := range 7 {
		repo := []*storage.Repository{r.before, r.after}[i%2]
		r.change(repo, number, func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
			return in.WriteUpdate(s, p, "we look", nil)
		})
		r.readers(number, map[string][]incident.Kind{"bob": {incident.KindUpdate}, "cid": {incident.KindUpdate}})
		r.change(r.before, number, nil)
		s := r.situation(number)
		if sub := s.Subscription("email:cid"); sub.DueAt.IsZero() || s.Agenda.NextAt.IsZero() || s.Agenda.NextAt.After(r.at) {
			t.Errorf("cid, who is not known there, is due at %v, and looked at again at %v", sub.DueAt, s.Agenda.NextAt)
		}
		r.change(r.after, number, nil)
		if sub := r.situation(number).Subscription("email:cid"); sub.DueAt.IsZero() || sub.DueAt.After(r.at) {
			t.Errorf("cid is due at %v", sub.DueAt)
		}
		r.told(r.after, number)
	}
}

func TestWhatIsOpenedByOneWhoIsBehindIsToldByTheOthers(t *testing.T) {
	r := newRollout(t)
	r.enter("one", r.before)
	r.enter("two", r.after)
	number := r.declare(r.before)
	r.readers(number, nil)
	var due []int64
	err := r.store.Read(t.Context(), func(x storage.Snapshot) (err error) {
		due, err = x.DueAgendas(t.Context(), r.at, 10)
		return err
	})
	if err != nil || !slices.Equal(due, []int64{number}) {
		t.Errorf("due %v, %v", due, err)
	}
	r.change(r.after, number, nil)
	r.readers(number, map[string][]incident.Kind{"bob": {incident.KindOpened}, "cid": {incident.KindOpened}})
	for _, sub := range r.situation(number).Subscriptions {
		if sub.Owed[0].Reason != incident.DueOpened || sub.DueAt.After(r.at) {
			t.Errorf("%s is owed %+v at %v", sub.Recipient, sub.Owed, sub.DueAt)
		}
	}
}

// Readers whom the one before does not know hear of a merge all the same.
func TestAMergeByOneWhoIsBehindIsToldToAllReaders(t *testing.T) {
	r := newRollout(t)
	r.enter("one", r.before)
	r.enter("two", r.after)
	from, into := r.declare(r.after), r.declare(r.after)
	r.told(r.after, from)
	r.told(r.after, into)
	r.at = r.at.Add(time.Minute)
	err := r.before.Change(t.Context(), r.at, func(c *storage.Change) error {
		a, err := c.Situation(from)
		if err != nil {
			return err
		}
		b, err := c.Situation(into)
		if err != nil {
			return err
		}
		away, to, err := a.Incident.Merge(c.Stamp("ada"), c.Policy, &b.Incident, "one")
		if err != nil {
			return err
		}
		if err := c.Record(a, away...); err != nil {
			return err
		}
		return c.Record(b, to...)
	})
	if err != nil {
		t.Fatal(err)
	}
	r.change(r.after, from, nil)
	r.readers(from, map[string][]incident.Kind{"bob": {incident.KindLeft}, "cid": {incident.KindLeft}})
	for _, sub := range r.situation(from).Subscriptions {
		if sub.DueAt.IsZero() || sub.DueAt.After(r.at) {
			t.Errorf("%s is due at %v", sub.Recipient, sub.DueAt)
		}
	}
}

func TestAnOlderConfigurationComesIntoForceOnceNobodyHasTheNewest(t *testing.T) {
	r := newRollout(t)
	r.behind(r.before, "one", false) // nothing was loaded
	r.enter("one", r.before)
	r.enter("two", r.after)
	for range 10 {
		r.behind(r.after, "two", false)
		r.at = r.at.Add(storage.GenerationEvery)
		r.behind(r.before, "one", true)
	}
	// Two stops. It said last 20 s ago that it lives.
	r.at = r.at.Add(39 * time.Second)
	r.behind(r.before, "one", true)
	r.at = r.at.Add(time.Second)
	r.behind(r.before, "one", false)
	r.behind(r.after, "two", true)
	if got := r.loadings(); !slices.Equal(got, []string{"before", "after", "before"}) {
		t.Errorf("loadings %q", got)
	}
	for range 10 { // and stays in force
		r.at = r.at.Add(storage.GenerationEvery)
		r.behind(r.after, "two", true)
		r.behind(r.before, "one", false)
	}
}

func TestSinceWhenAProcessIsBehind(t *testing.T) {
	r := newRollout(t)
	began := r.at
	since := func(had time.Time) (at time.Time) {
		t.Helper()
		err := r.store.Read(t.Context(), func(x storage.Snapshot) (err error) {
			at, err = r.before.BehindSince(t.Context(), x, had)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if at := since(began); !at.IsZero() {
		t.Errorf("behind nothing since %v", at)
	}
	r.enter("one", r.before)
	if at := since(began); !at.IsZero() {
		t.Errorf("the newest is behind since %v", at)
	}
	r.at = began.Add(time.Minute)
	r.enter("two", r.after)
	if at := since(began); !at.Equal(r.at) {
		t.Errorf("behind since %v, and the newest came at %v", at, r.at)
	}
	if started := began.Add(time.Hour); !since(started).Equal(started) {
		t.Errorf("one that started later is behind since %v", since(started))
	}
}

// A reload stores the newest a moment before it is in force in the process itself.
func TestAProcessDoesNotOvertakeItsOwnReload(t *testing.T) {
	r := newRollout(t)
	r.enter("one", r.before)
	r.enter("one", r.after)
	r.behind(r.before, "one", true)
	r.behind(r.after, "one", false)
	if g := r.enter("one", r.before); g.Number != 3 || g.Hash != "before" {
		t.Errorf("taken back: in force %+v", g)
	}
	r.at = r.at.Add(time.Hour)
	r.enter("two", r.before)
	if got := r.loadings(); !slices.Equal(got, []string{"before", "after", "before"}) {
		t.Errorf("loadings %q", got)
	}
}

func TestAClockThatIsBehindOrdersNothingAnew(t *testing.T) {
	for back, want := range map[time.Duration]time.Duration{0: 0, 18 * time.Second: 0, 5 * time.Minute: 0, -time.Minute: time.Minute, 2 * time.Hour: -2 * time.Hour} {
		r := newRollout(t)
		first, second := r.declare(r.before), r.declare(r.before)
		began := r.at
		r.at = began.Add(-back)
		var at time.Time
		err := r.after.Change(t.Context(), r.at, func(c *storage.Change) error {
			if _, err := c.Situation(first); err != nil {
				return err
			}
			s, err := c.New()
			if err != nil {
				return err
			}
			stamp := c.Stamp("ada")
			at = stamp.At
			events, err := incident.Declare(stamp, c.Policy, incident.Declaration{UseCase: "It goes on", Team: "blue", Priority: "P1", Reason: "seen"}, s.Incident.Number, first)
			if err != nil {
				return err
			}
			return c.Record(s, events...)
		})
		// What was far ahead was dated wrongly, and a new incident is not.
		if err != nil || at.Sub(began) != want {
			t.Errorf("set back by %v: the next began %v after the first, want %v (%v)", back, at.Sub(began), want, err)
		}
		// But the history of one incident goes on, by whatever clock.
		r.at = began.Add(-back)
		r.change(r.after, second, func(in *incident.Incident, s incident.Stamp, _ *incident.Policy) ([]incident.Event, error) {
			return in.Acknowledge(s)
		})
		if in := r.situation(second).Incident; in.AcknowledgedAt.Before(in.OpenedAt) {
			t.Errorf("set back by %v: acknowledged %v before it opened", back, in.OpenedAt.Sub(in.AcknowledgedAt))
		}
	}
}
