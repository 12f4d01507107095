package incident_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

func TestAnIncidentTellsItsReaders(t *testing.T) {
	person := incident.Actor("ada")
	tests := map[string]func(w *world){
		"the audiences hear of the opening, at the cadence, and of the end": func(w *world) {
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.pass(time.Hour+44*time.Minute, time.Minute)
			w.expect()
			w.pass(time.Minute, time.Minute)
			w.expect("oncall reminder")
			w.pass(15*time.Minute, time.Minute)
			w.expect("cto update", "support update")
			w.end("a")
			w.pass(9*time.Minute, time.Minute)
			w.expect()
			w.pass(time.Minute, time.Minute)
			w.expect("cto resolved", "support resolved", "oncall resolved")
			w.pass(48*time.Hour, 10*time.Minute)
			w.expect()
		},
		"a priority lowered says goodbye to management and keeps stakeholders": func(w *world) {
			w.open("P2")
			w.expect("cto opened", "support opened", "oncall opened")
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[2], "a workaround exists"))
			w.expect("cto left", "support priority", "oncall priority")
			w.pass(8*time.Hour, time.Minute)
			w.expect("oncall reminder", "support update")
		},
		"a group hears of its priorities only, and joins and leaves by them": func(w *world) {
			w.p.Groups = append(w.p.Groups, incidenttest.Group("sales", "sales"))
			w.p.Groups[0].Priorities, w.p.Groups[2].Priorities = []string{"P1"}, []string{"P1", "P2"}
			w.open("P3")
			w.s.Incident.Stakeholders = []string{"support", "sales"}
			w.expect("support opened", "oncall opened")
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[1], "more customers"))
			w.expect("sales opened", "support priority", "oncall priority")
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[0], "most customers"))
			w.expect("cto opened", "sales priority", "support priority", "oncall priority")
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[1], "some customers"))
			pl, _ := w.s.Plan("email:cto@example.org", w.p, w.now)
			if item := w.s.Item(&pl, nil, w.p, nil); !slices.Equal(item.Hears, []string{"P1"}) {
				w.t.Errorf("who leaves hears of %q, want P1", item.Hears)
			}
			w.expect("cto left", "sales priority", "support priority", "oncall priority")
			w.end("a")
			w.pass(10*time.Minute, time.Minute)
			w.expect("sales resolved", "support resolved", "oncall resolved")
		},
		"one in two groups hears of the priorities of both": func(w *world) {
			w.p.Groups = append(w.p.Groups, incidenttest.Group("sales", "cto"))
			w.p.Groups[0].Priorities, w.p.Groups[2].Priorities = []string{"P1"}, []string{"P3"}
			w.open("P3")
			w.expect("support opened", "oncall opened")
			w.s.Incident.Stakeholders = []string{"support", "sales"}
			w.change()
			w.expect("cto opened")
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[0], "most customers"))
			w.expect("cto priority", "support priority", "oncall priority")
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[1], "fewer"))
			w.expect("cto left", "support priority", "oncall priority")
		},
		"a priority raised briefs those who join": func(w *world) {
			w.open("P3")
			w.expect("support opened", "oncall opened")
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[0], "most customers"))
			w.expect("cto opened", "support priority", "oncall priority")
			w.pass(2*time.Hour, time.Minute)
			w.expect("oncall reminder", "cto update", "support update")
		},
		"raised and lowered while the mail server is down, each ends with the truth in one message": func(w *world) {
			w.open("P2")
			w.expect("cto opened", "support opened", "oncall opened")
			for _, r := range []string{"email:cto@example.org", "email:support@example.org"} {
				w.down[r] = true
			}
			for _, i := range []int{2, 0, 2, 0, 2} {
				w.pass(7*time.Minute, time.Minute)
				w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[i], "thinking"))
			}
			w.tick()
			w.take()
			w.down = map[string]bool{}
			w.expect("cto left", "support priority")
		},
		"a reader who leaves and comes back before being told stays": func(w *world) {
			w.open("P2")
			w.expect("cto opened", "support opened", "oncall opened")
			w.down["email:cto@example.org"] = true
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[2], "down"))
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[0], "up"))
			w.tick()
			w.take()
			w.down = map[string]bool{}
			w.expect("cto priority")
		},
		"an update by a person goes out at once and starts the cadence anew": func(w *world) {
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.pass(time.Hour, time.Minute)
			w.must(w.s.Incident.WriteUpdate(w.stamp(person), w.p, "We restart the queue.", []incident.Audience{incident.AudienceStakeholders}))
			w.expect("support update")
			w.pass(time.Hour, time.Minute)
			w.expect("oncall reminder", "cto update")
			w.pass(time.Hour, time.Minute)
			w.expect("oncall reminder", "support update")
		},
		"flapping inside resolve_after is no news": func(w *world) {
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			for range 5 {
				w.pass(3*time.Minute, time.Minute)
				w.end("a")
				w.pass(3*time.Minute, time.Minute)
				w.fire("a")
			}
			w.expect()
		},
		"a breach soon after resolving reopens, and the wait doubles": func(w *world) {
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.end("a")
			w.pass(10*time.Minute, time.Minute)
			w.expect("cto resolved", "support resolved", "oncall resolved")
			w.pass(30*time.Minute, time.Minute)
			w.fire("b")
			w.expect("cto reopened", "support reopened", "oncall reopened")
			w.end("b")
			w.pass(19*time.Minute, time.Minute)
			w.expect()
			w.pass(time.Minute, time.Minute)
			w.expect("cto resolved", "support resolved", "oncall resolved")
		},
		"resolved and reopened while the mail server is down is one message, and it says reopened": func(w *world) {
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.down["email:cto@example.org"] = true
			w.end("a")
			w.pass(10*time.Minute, time.Minute)
			w.fire("b")
			w.take()
			w.down = map[string]bool{}
			w.expect("cto reopened", "support reopened", "oncall reopened")
		},
		"opened and over while the mail server is down is one message with the whole story": func(w *world) {
			w.down["email:cto@example.org"] = true
			w.open("P1")
			w.expect("support opened", "oncall opened")
			w.end("a")
			w.pass(30*time.Minute, time.Minute)
			w.take()
			w.down = map[string]bool{}
			w.expect("cto resolved")
		},
		"inform_after: only the team is told at first": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.open("P2")
			w.expect("oncall opened")
			w.pass(29*time.Minute, time.Minute)
			w.expect()
			w.pass(time.Minute, time.Minute)
			w.expect("cto opened", "support opened")
		},
		"inform_after: what is over before is told to nobody but the team": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.open("P2")
			w.expect("oncall opened")
			w.pass(5*time.Minute, time.Minute)
			w.end("a")
			w.pass(5*time.Hour, time.Minute)
			w.expect("oncall resolved")
		},
		"inform_after: over when the wait ends, and back before it resolves": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.open("P2")
			w.expect("oncall opened")
			w.pass(25*time.Minute, time.Minute)
			w.end("a")
			w.pass(7*time.Minute, time.Minute)
			w.expect()
			w.fire("a")
			w.expect("cto opened", "support opened")
		},
		"inform_after: a person's update ends the wait for those addressed": func(w *world) {
			w.p.Priorities[1].InformAfter = 30 * time.Minute
			w.open("P2")
			w.expect("oncall opened")
			w.must(w.s.Incident.WriteUpdate(w.stamp(person), w.p, "Mails are late.", []incident.Audience{incident.AudienceManagement}))
			w.expect("cto opened")
		},
		"quiet hours hold back, and their end is the due time": func(w *world) {
			w.p.Groups[1].Quiet = []incident.Quiet{quiet(14, 16, "P1")}
			w.open("P3") // 12:00 in Berlin
			w.expect("support opened", "oncall opened")
			w.pass(150*time.Minute, time.Minute)
			w.must(w.s.Incident.WriteUpdate(w.stamp(person), w.p, "Nearly there.", nil))
			w.expect()
			w.pass(89*time.Minute, time.Minute)
			w.expect()
			w.pass(time.Minute, time.Minute)
			if s := w.sent; len(s) != 1 || !s[0].due.Equal(t0.Add(4*time.Hour)) || !s[0].cover.Deferred {
				w.t.Errorf("sent %+v", s)
			}
			w.expect("support update")
		},
		"quiet hours that are new move no promise in silence": func(w *world) {
			w.open("P2")
			w.expect("cto opened", "support opened", "oncall opened")
			w.pass(time.Hour, time.Minute)
			changed := *w.p
			changed.Groups = slices.Clone(w.p.Groups)
			changed.Groups[1].Quiet = []incident.Quiet{quiet(15, 18)} // from four hours after the opening
			w.p = &changed
			w.change()
			w.expect("support update")
			if by := w.s.Subscription("email:support@example.org").NextBy; !by.After(w.now.Add(5 * time.Hour)) {
				w.t.Errorf("the next is promised by %v", by)
			}
			w.change()
			w.expect()
			w.pass(2*time.Hour+46*time.Minute, time.Minute)
			w.expect("oncall reminder")
			w.pass(14*time.Minute, time.Minute)
			w.expect("cto update")
		},
		"quiet hours do not hold back the lowering of a priority that they exempt": func(w *world) {
			w.p.Groups[1].Quiet = []incident.Quiet{quiet(12, 16, "P1")}
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[2], "not so bad"))
			w.expect("cto left", "support priority", "oncall priority")
		},
		"an hour without a mail server ends in one update, and half an interval of quiet": func(w *world) {
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.down["email:cto@example.org"] = true
			w.pass(2*time.Hour+80*time.Minute, time.Minute)
			w.take()
			w.down = map[string]bool{}
			w.expect("cto update")
			w.pass(59*time.Minute, time.Minute)
			if len(w.sent) > 0 && w.sent[0].to == "cto@example.org" {
				w.t.Errorf("too soon: %+v", w.sent[0])
			}
			w.pass(time.Minute, time.Minute)
			var got bool
			for _, s := range w.sent {
				got = got || s.to == "cto@example.org"
			}
			if !got {
				w.t.Error("no update after half an interval")
			}
		},
		"intervals missed are an event with the cause": func(w *world) {
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.down["email:cto@example.org"] = true
			w.pass(6*time.Hour+30*time.Minute, time.Minute)
			w.down = map[string]bool{}
			w.tick()
			last := w.log[len(w.log)-1]
			if last.Type != incident.EventUpdateMissed || last.Data.Missed != 2 || !last.Data.DueAt.Equal(t0.Add(2*time.Hour)) || last.Data.Cause.Kind == "" {
				w.t.Errorf("got %+v", last)
			}
		},
		"all unknown: the team is asked, and updates pause after a day with a word": func(w *world) {
			w.open("P3")
			w.expect("support opened", "oncall opened")
			w.lose("a")
			w.expect("oncall reminder")
			w.pass(23*time.Hour+50*time.Minute, time.Minute)
			w.take()
			w.pass(10*time.Minute, time.Minute)
			w.expect("support update", "oncall update")
			w.pass(100*time.Hour, 10*time.Minute)
			w.expect()
			w.fire("b")
			w.expect("support update", "oncall update")
			w.pass(8*time.Hour, time.Minute)
			w.expect("oncall reminder", "support update")
		},
		"resolved by hand while breaches fire: the team is reminded, nobody else": func(w *world) {
			w.open("P2")
			w.expect("cto opened", "support opened", "oncall opened")
			w.must(w.s.Incident.Resolve(w.stamp(person), "the alert is wrong"))
			w.expect("cto resolved", "support resolved", "oncall resolved")
			w.pass(4*time.Hour, time.Minute)
			w.expect("oncall reminder")
			if w.s.Incident.State != incident.StateResolved {
				w.t.Error("it closed while a breach fires")
			}
			w.end("a")
			w.pass(time.Hour, time.Minute)
			w.expect()
			if w.s.Incident.State != incident.StateClosed {
				w.t.Errorf("state %s", w.s.Incident.State)
			}
		},
		"someone taken out of the configuration gets nothing more": func(w *world) {
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.p.Groups[0].Recipients = []incident.Recipient{incidenttest.Mail("ceo")}
			w.change()
			w.expect("ceo opened")
			w.pass(2*time.Hour, time.Minute)
			w.expect("oncall reminder", "ceo update", "support update")
		},
		"one address in two audiences gets one message": func(w *world) {
			w.p.Teams[0].OnCall = append(w.p.Teams[0].OnCall, incidenttest.Mail("support"))
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
		},
		"an action that is overdue is told to the team, once": func(w *world) {
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.end("a")
			w.pass(10*time.Minute, time.Minute)
			w.expect("cto resolved", "support resolved", "oncall resolved")
			w.pass(200*time.Hour, 10*time.Minute)
			w.expect("oncall reminder")
			if err := w.do(w.s.Incident.Close(w.stamp(person), "")); !errors.Is(err, incident.ErrConflict) {
				w.t.Errorf("closing with actions due: %v", err)
			}
			w.must(w.s.Incident.ChangeAction(w.stamp(person), "hotfix", incident.ActionDone, "", ""))
			w.must(w.s.Incident.ChangeAction(w.stamp(person), "postmortem", incident.ActionWaived, "", "nothing to learn"))
			w.must(w.s.Incident.Close(w.stamp(person), ""))
		},
		"a correction of a resolved incident's priority is told to nobody": func(w *world) {
			w.open("P2")
			w.expect("cto opened", "support opened", "oncall opened")
			w.end("a")
			w.pass(10*time.Minute, time.Minute)
			w.expect("cto resolved", "support resolved", "oncall resolved")
			w.must(w.s.Incident.ChangePriority(w.stamp(person), w.p, w.p.Priorities[0], "it was worse"))
			w.expect()
			if len(w.s.Incident.Actions) != 2 || w.s.Incident.Actions[1].DueAt.IsZero() {
				w.t.Errorf("actions %+v", w.s.Incident.Actions)
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(newWorld(t, policy())) })
	}
}

// TestTheFoldIsTheState checks, for random sequences of commands, alerts and time,
// what always holds: the state is the fold of its events, counts are right, and
// nobody is told twice at once.
func TestTheFoldIsTheState(t *testing.T) { rapid.Check(t, aLife) }

// FuzzLifecycle is TestTheFoldIsTheState with sequences that are looked for.
func FuzzLifecycle(f *testing.F) { f.Fuzz(rapid.MakeFuzz(aLife)) }

// aLife is one such sequence.
func aLife(rt *rapid.T) {
	p := policy()
	p.Priorities[1].InformAfter = rapid.SampledFrom([]time.Duration{0, 20 * time.Minute}).Draw(rt, "inform_after")
	w := newWorld(nil, p)
	w.t = fatal{nil, rt}
	w.open(rapid.SampledFrom([]string{"P1", "P2", "P3"}).Draw(rt, "priority"))
	fingerprint := rapid.SampledFrom([]string{"a", "b", "c"})
	in := func() *incident.Incident { return &w.s.Incident }
	person := incident.Actor("ada")
	do := func(events []incident.Event, err error) {
		if err := w.do(events, err); err != nil && !errors.Is(err, incident.ErrConflict) && !errors.Is(err, incident.ErrInvalid) && !errors.Is(err, incident.ErrNotFound) {
			rt.Fatal(err)
		}
	}
	rt.Repeat(map[string]func(*rapid.T){
		"fire": func(rt *rapid.T) {
			if in().Reopens(w.now, p) {
				w.fire(fingerprint.Draw(rt, "alert"))
			}
		},
		"end":  func(rt *rapid.T) { w.end(fingerprint.Draw(rt, "alert")) },
		"lose": func(rt *rapid.T) { w.lose(fingerprint.Draw(rt, "alert")) },
		"priority": func(rt *rapid.T) {
			do(in().ChangePriority(w.stamp(person), w.p, rapid.SampledFrom(p.Priorities).Draw(rt, "to"), "because"))
		},
		"update":  func(*rapid.T) { do(in().WriteUpdate(w.stamp(person), p, "news", nil)) },
		"ack":     func(*rapid.T) { do(in().Acknowledge(w.stamp(person))) },
		"phase":   func(*rapid.T) { do(in().SetPhase(w.stamp(person), incident.PhaseEscalation, "", "the vendor")) },
		"resolve": func(*rapid.T) { do(in().Resolve(w.stamp(person), "over")) },
		"reopen":  func(*rapid.T) { do(in().Reopen(w.stamp(person), "not over")) },
		"action":  func(*rapid.T) { do(in().ChangeAction(w.stamp(person), "hotfix", incident.ActionDone, "", "")) },
		"down": func(rt *rapid.T) {
			w.down["email:"+rapid.SampledFrom([]string{"cto", "support", "oncall"}).Draw(rt, "who")+"@example.org"] = rapid.Bool().Draw(rt, "down")
		},
		"time": func(rt *rapid.T) {
			w.pass(time.Duration(rapid.IntRange(1, 300).Draw(rt, "minutes"))*time.Minute, 5*time.Minute)
		},
		"": func(rt *rapid.T) {
			w.tick()
			var fold incident.Incident
			for _, e := range w.log {
				if err := fold.Apply(e); err != nil {
					rt.Fatal(err)
				}
			}
			if !reflect.DeepEqual(fold, *in()) {
				rt.Fatalf("fold\n%+v\nstate\n%+v", fold, *in())
			}
			checkInvariants(rt, w)
		},
	})
}

func checkInvariants(rt *rapid.T, w *world) {
	in := &w.s.Incident
	counts := incident.Counts{}
	for _, b := range w.breaches {
		switch b.State {
		case incident.BreachFiring:
			counts.Firing++
		case incident.BreachUnknown:
			counts.Unknown++
		}
	}
	if in.Breaches.Firing != counts.Firing || in.Breaches.Unknown != counts.Unknown {
		rt.Fatalf("counts %+v, breaches %+v", in.Breaches, counts)
	}
	for _, sub := range w.s.Subscriptions {
		if w.down[sub.Recipient] {
			continue
		}
		if !sub.DueAt.IsZero() && !sub.DueAt.After(w.now) {
			rt.Fatalf("still due: %+v", sub)
		}
		onCall := len(sub.Audiences) == 1 && sub.Audiences[0] == incident.AudienceOnCall
		if in.State == incident.StateOpen && sub.Active && sub.Told && !onCall && sub.CadenceAt.IsZero() && w.s.Agenda.PausedFor.IsZero() {
			rt.Fatalf("told, and no next update: %+v", sub)
		}
		if sub.Told && sub.ToldPriority != in.Priority.Name && in.State == incident.StateOpen && sub.Active {
			rt.Fatalf("%s knows of %s, it is %s", sub.Recipient, sub.ToldPriority, in.Priority.Name)
		}
		if sub.Told && !sub.Active && in.State == incident.StateOpen {
			rt.Fatalf("left without a farewell: %+v", sub)
		}
	}
	for i, s := range w.sent {
		for _, other := range w.sent[:i] {
			if s.to == other.to && s.at.Equal(other.at) {
				rt.Fatalf("%s got %s and %s at once", s.to, other.kind, s.kind)
			}
		}
	}
	w.sent = nil
}

// fatal lets the world end a rapid check.
type fatal struct {
	testing.TB
	rt *rapid.T
}

func (f fatal) Helper()                      {}
func (f fatal) Fatal(args ...any)            { f.rt.Fatal(args...) }
func (f fatal) Fatalf(s string, args ...any) { f.rt.Fatalf(s, args...) }
func (f fatal) Errorf(s string, args ...any) { f.rt.Fatalf(s, args...) }
