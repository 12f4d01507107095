package incident_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// aWorld returns a world in which an incident has had some hours of a random life:
// breaches, commands, readers who cannot be reached or refuse.
func aWorld(t *testing.T, rt *rapid.T) *world {
	p := policy()
	p.Priorities[1].InformAfter = rapid.SampledFrom([]time.Duration{0, 20 * time.Minute}).Draw(rt, "inform_after")
	if rapid.Bool().Draw(rt, "quiet") {
		p.Groups[1].Quiet = []incident.Quiet{quiet(13, 16, "P1")}
	}
	w := newWorld(fatal{t, rt}, p)
	w.open(rapid.SampledFrom([]string{"P1", "P2", "P3"}).Draw(rt, "priority"))
	for range rapid.IntRange(0, 12).Draw(rt, "steps") {
		switch reader := "email:" + rapid.SampledFrom([]string{"cto", "support", "oncall"}).Draw(rt, "who") + "@example.org"; rapid.IntRange(0, 4).Draw(rt, "step") {
		case 0:
			w.down[reader] = !w.down[reader]
		case 1:
			if pl, ok := w.s.Plan(reader, w.p, w.now); ok {
				w.note(w.s.Undelivered(reader, pl.Cover, w.now, reader))
			}
		case 2:
			w.pass(time.Duration(rapid.IntRange(1, 60).Draw(rt, "minutes"))*5*time.Minute, 5*time.Minute)
		default:
			in := w.s.Incident
			w.change(w.happens(rt, &in, anything)...)
		}
	}
	return w
}

// anything is all that can happen to an incident.
var anything = []string{"fire", "end", "lose", "ack", "phase", "action", "update", "resolve", "reopen", "priority"}

// happens returns the events of one of those things, none if it cannot be.
func (w *world) happens(rt *rapid.T, in *incident.Incident, things []string) []incident.Event {
	var events []incident.Event
	ada, fingerprint := w.stamp("ada"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "alert")
	b := w.breaches[fingerprint]
	switch rapid.SampledFrom(things).Draw(rt, "what") {
	case "fire":
		if in.Reopens(w.now, w.p) {
			events = w.begin(in, fingerprint)
		}
	case "end":
		if b != nil && b.State != incident.BreachEnded {
			events = in.End(w.stamp(incident.ActorAlertmanager), b, nil)
		}
	case "lose":
		if b != nil && b.State == incident.BreachFiring {
			events = in.Lose(w.stamp(incident.ActorScheduler), b, incident.WhyQuiet)
		}
	case "ack":
		events, _ = in.Acknowledge(ada)
	case "phase":
		events, _ = in.SetPhase(ada, incident.PhaseEscalation, "", "the vendor")
	case "action":
		events, _ = in.ChangeAction(ada, "hotfix", incident.ActionDone, "", "")
	case "update":
		audiences := rapid.SampledFrom([][]incident.Audience{nil, {incident.AudienceManagement}, {incident.AudienceStakeholders}}).Draw(rt, "audiences")
		events, _ = in.WriteUpdate(ada, w.p, "news", audiences)
	case "resolve":
		events, _ = in.Resolve(ada, "over")
	case "reopen":
		events, _ = in.Reopen(ada, "not over")
	case "priority":
		events, _ = in.ChangePriority(ada, w.p, rapid.SampledFrom(w.p.Priorities).Draw(rt, "to"), "because")
	}
	return events
}

// burst returns the events of some of those things that happen now, one upon the other.
func (w *world) burst(rt *rapid.T, things []string) []incident.Event {
	var all []incident.Event
	for in := w.s.Incident; len(all) < 8 && (len(all) == 0 || rapid.Bool().Draw(rt, "more")); {
		events := w.happens(rt, &in, things)
		for _, e := range events {
			if err := in.Apply(e); err != nil {
				rt.Fatal(err)
			}
		}
		if all = append(all, events...); len(events) == 0 {
			break
		}
	}
	return all
}

func (w *world) reconcile(s *incident.Situation, news incident.News) *incident.Situation {
	after, err := incident.Reconcile(s, news, w.p, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return after
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// differ returns where two situations differ, empty if nowhere. The order in which
// something is owed does not count.
func differ(t testing.TB, a, b *incident.Situation) string {
	t.Helper()
	parts := func(s *incident.Situation) []string {
		all := []string{asJSON(t, s.Incident), asJSON(t, s.Agenda)}
		for _, sub := range s.Subscriptions {
			sub.Owed = slices.SortedFunc(slices.Values(sub.Owed), func(a, b incident.Owed) int {
				return cmp.Or(cmp.Compare(a.Reason, b.Reason), a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind))
			})
			all = append(all, asJSON(t, sub))
		}
		return all
	}
	x, y := parts(a), parts(b)
	if len(x) != len(y) {
		return strings.Join(append(x, y...), "\n")
	}
	var out string
	for i := range x {
		if x[i] != y[i] {
			out += x[i] + "\n" + y[i] + "\n\n"
		}
	}
	return out
}

// TestReconcileChangesNothing that it is given, and neither do the rules that give news.
func TestReconcileChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := aWorld(t, rt)
		news := incident.News{Events: w.burst(rt, anything)}
		for _, sub := range w.s.Subscriptions {
			if pl, ok := w.s.Plan(sub.Recipient, w.p, w.now); ok {
				news.Outcomes = append(news.Outcomes, incident.Outcome{Recipient: sub.Recipient, Cover: pl.Cover, At: w.now, Refused: rapid.Bool().Draw(rt, "refused"), Address: "it"})
			}
		}
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "later")) * time.Minute)
		was := asJSON(t, []any{w.s, news, w.p})
		tick := w.s.Tick(w.p, nil, true, w.now)
		for _, o := range news.Outcomes {
			w.s.Delivered(o.Recipient, o.Cover, w.now, incident.Cause{Kind: incident.CauseNoneFound}, w.p)
		}
		news.Nudges, news.Agenda = tick.Nudges, tick.Agenda
		before := asJSON(t, []any{w.s, news, w.p})
		after := w.reconcile(w.s, news)
		for i := range after.Subscriptions { // nothing is shared either
			for k := range after.Subscriptions[i].Owed {
				after.Subscriptions[i].Owed[k].At = time.Time{}
			}
			after.Subscriptions[i].Owed = append(after.Subscriptions[i].Owed[:0], incident.Owed{})
		}
		if got := asJSON(t, []any{w.s, news, w.p}); got != before {
			rt.Fatalf("before\n%s\nafter\n%s", before, got)
		}
		news.Nudges, news.Agenda = nil, nil
		if got := asJSON(t, []any{w.s, news, w.p}); got != was {
			rt.Fatalf("before the rules\n%s\nafter\n%s", was, got)
		}
	})
}

// TestReconcileBehind leaves who reads along as it is, whatever the policy that is not in
// force says, and what is owed to those whom it does not know.
func TestReconcileBehind(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := aWorld(t, rt)
		other := *w.p
		other.Groups = slices.Clone(w.p.Groups)
		other.Groups[rapid.IntRange(0, 1).Draw(rt, "group")].Recipients = incidenttest.Mails("ceo")
		news := incident.News{Events: w.burst(rt, anything), Behind: true}
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "later")) * time.Minute)
		after, err := incident.Reconcile(w.s, news, &other, w.now)
		if err != nil {
			rt.Fatal(err)
		}
		if len(after.Subscriptions) != len(w.s.Subscriptions) {
			rt.Fatalf("%d readers, were %d", len(after.Subscriptions), len(w.s.Subscriptions))
		}
		for i := range after.Subscriptions {
			was, is := &w.s.Subscriptions[i], &after.Subscriptions[i]
			if is.Recipient != was.Recipient || is.Active != was.Active && after.Incident.State != incident.StateClosed {
				rt.Fatalf("was %+v, is %+v", was, is)
			}
			for _, o := range is.Owed {
				if o.Kind == incident.KindOpened && !slices.ContainsFunc(was.Owed, func(b incident.Owed) bool { return b.Kind == incident.KindOpened }) && was.Told {
					rt.Fatalf("was %+v, and is owed an opening: %+v", was, is)
				}
			}
			if _, known := other.Recipient(is.Recipient); !known && !was.DueAt.IsZero() && !is.DueAt.Equal(was.DueAt) {
				rt.Fatalf("not known: was due at %v, is at %v", was.DueAt, is.DueAt)
			}
		}
		if !after.Agenda.Behind || !after.Agenda.NextAt.Equal(w.now) {
			rt.Fatalf("agenda %+v at %v", after.Agenda, w.now)
		}
		// Those who have the policy in force reconcile as if they had done all of it.
		if after.Incident.State == incident.StateOpen {
			done := w.reconcile(after, incident.News{})
			for _, r := range incident.Readers(&done.Incident, w.p) {
				if sub := done.Subscription(r.Recipient.ID); sub == nil || !sub.Active {
					rt.Fatalf("%s does not read along: %+v", r.Recipient.ID, sub)
				}
			}
			if done.Agenda.Behind {
				rt.Fatal("still to be reconciled")
			}
		}
	})
}

// TestReconcileReader comes to the same for that reader as if all were there, changes nobody
// else, and lets the rules look again no later.
func TestReconcileReader(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := aWorld(t, rt)
		w.s = w.reconcile(w.s, incident.News{Events: w.burst(rt, anything)})
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "later")) * time.Minute)
		w.s = w.reconcile(w.s, incident.News{}) // what time alone brings is not what is asked here
		for i := range w.s.Subscriptions {
			sub := w.s.Subscriptions[i]
			pl, ok := w.s.Plan(sub.Recipient, w.p, w.now)
			if !ok {
				continue
			}
			alone := *w.s
			alone.Subscriptions = []incident.Subscription{sub}
			news := alone.Delivered(sub.Recipient, pl.Cover, w.now, incident.Cause{}, w.p)
			if all := w.s.Delivered(sub.Recipient, pl.Cover, w.now, incident.Cause{}, w.p); asJSON(t, []any{all}) != asJSON(t, []any{news}) {
				rt.Fatalf("alone it is other news: %+v", news)
			}
			got, ok := incident.ReconcileReader(&alone, news, w.p, w.now)
			if !ok {
				if len(news.Events) == 0 && w.s.Incident.State != incident.StateClosed && !w.s.Agenda.Behind {
					rt.Fatalf("refused: %+v", news)
				}
				continue
			}
			want := w.reconcile(w.s, news)
			if next := got.Agenda.NextAt; !want.Agenda.NextAt.IsZero() && (next.IsZero() || next.After(want.Agenda.NextAt)) {
				rt.Fatalf("looks again at %v, want %v", next, want.Agenda.NextAt)
			}
			got.Agenda.NextAt = want.Agenda.NextAt
			all := *w.s
			all.Subscriptions = slices.Clone(w.s.Subscriptions)
			all.Subscriptions[i], all.Incident, all.Agenda = got.Subscriptions[0], got.Incident, got.Agenda
			if d := differ(t, want, &all); d != "" {
				rt.Fatalf("with all readers, and with one:\n%s", d)
			}
		}
	})
}

// TestReconcileWithoutNews changes nothing once it was done at that time.
func TestReconcileWithoutNews(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := aWorld(t, rt)
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "later")) * time.Minute)
		once := w.reconcile(w.s, incident.News{Events: w.burst(rt, anything)})
		if d := differ(t, once, w.reconcile(once, incident.News{})); d != "" {
			rt.Fatalf("once, and twice:\n%s", d)
		}
	})
}

// TestReconcileAtOnce: whether events of one moment are reconciled one by one or at once
// makes no difference while the readers stay the same. If one of the events changes them,
// or the state, each is told a message of the same kind, which may be owed for other
// reasons: who joins hears of the words of that moment by the opening, or after it.
//
// It does make a difference where the incident was in between what it was neither before
// nor after: at once, nobody hears of that.
func TestReconcileAtOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := aWorld(t, rt)
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "later")) * time.Minute)
		w.s = w.reconcile(w.s, incident.News{})
		events := w.burst(rt, anything)
		s := w.s
		var unknown, turns, troubles int
		var types []incident.EventType
		for i := range events {
			was := &s.Incident
			s = w.reconcile(s, incident.News{Events: events[i : i+1]})
			types = append(types, events[i].Type)
			switch in := &s.Incident; {
			case in.State != was.State || in.Priority.Name != was.Priority.Name:
				turns++
			case !in.TroubleSince.Equal(was.TroubleSince):
				troubles++
			}
			if !s.Incident.UnknownSince.Equal(was.UnknownSince) {
				unknown++
			}
		}
		once := w.reconcile(w.s, incident.News{Events: events})
		d := differ(t, s, once)
		switch words := slices.Contains(types, incident.EventUpdateWritten); {
		case turns == 0 && unknown < 2 && (troubles == 0 || !words):
			if d != "" {
				rt.Fatalf("%v one by one, and at once:\n%s", types, d)
			}
		case turns == 0 && unknown < 2 || turns == 1 && unknown == 0 && troubles == 0:
			for i := range once.Subscriptions {
				a, b := &s.Subscriptions[i], &once.Subscriptions[i]
				p, _ := s.Plan(a.Recipient, w.p, w.now)
				q, _ := once.Plan(a.Recipient, w.p, w.now)
				if a.Recipient != b.Recipient || a.Active != b.Active || p.Cover.Kind != q.Cover.Kind {
					rt.Fatalf("%v one by one, and at once:\n%s", types, d)
				}
			}
		}
	})
}
