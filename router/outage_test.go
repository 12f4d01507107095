package router_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router"
	"sitrep/router/routertest"
	"sitrep/storage"
)

func TestThreeHoursWithoutAMailServerAreOneMessage(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Expect("cto opened", "support opened", "oncall opened")

		w.Until(noon.Add(time.Hour + 30*time.Minute))
		w.Behave(routertest.Refuse(routertest.ErrDown))
		back := noon.Add(4*time.Hour + 30*time.Minute)
		w.Until(back)
		w.Mails()
		w.Attempts()
		w.Behave(nil)
		w.Pass(2 * time.Minute)
		mails := w.Expect("cto update", "support update")
		for _, try := range w.Attempts() {
			if try.Began.Sub(back) > 2*time.Minute {
				t.Errorf("first attempt for %s %v after the return", try.To, try.Began.Sub(back))
			}
		}
		for _, m := range mails {
			if !m.First().LateSince.Equal(noon.Add(2*time.Hour + time.Minute)) {
				t.Errorf("%s is told that it is late since %v", m.To, m.First().LateSince)
			}
		}
		missed := w.Events(1, incident.EventUpdateMissed)
		if len(missed) != 2 {
			t.Fatalf("events %+v, want one for each audience", missed)
		}
		for _, e := range missed {
			if e.Data.Missed != 1 || !e.Data.DueAt.Equal(noon.Add(2*time.Hour)) || !strings.Contains(e.Data.Cause.Said, "the mail server is down") {
				t.Errorf("event %+v", e.Data)
			}
		}
		// After half an interval of quiet it goes on, and nothing follows from the events.
		w.Until(back.Add(time.Hour - time.Second))
		w.Expect()
		w.Pass(2*time.Minute + time.Second)
		w.Expect("cto update", "support update")
	})
}

func TestARestartKeepsEveryDueTime(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Post(w.Alert("p1", "a"), w.Alert("p3", "b"))
		w.Pass(time.Minute)
		w.Expect("cto opened", "support opened", "support opened", "oncall opened", "oncall opened")
		for i := range 5 {
			w.Pass(17 * time.Minute)
			before := fmt.Sprintf("%+v %+v", w.Situation(1), w.Situation(2))
			w.Stop()
			w.Pass(time.Duration(i) * time.Minute)
			w.Start()
			w.Pass(time.Minute)
			if after := fmt.Sprintf("%+v %+v", w.Situation(1), w.Situation(2)); after != before {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
		}
		w.Expect()
		w.Until(noon.Add(2*time.Hour + time.Second))
		for _, m := range w.Expect("cto update", "support update") {
			if m.Taken.Sub(noon.Add(2*time.Hour)) > time.Second {
				t.Errorf("%s got its update at %v", m.To, m.Taken)
			}
		}
		if tries := w.Attempts(); len(tries) != 7 {
			t.Errorf("%d attempts", len(tries))
		}
	})
}

func TestDownForFiveHoursIsOneMessageWithTheCause(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Mails()
		w.Stop()
		w.Pass(5 * time.Hour)
		w.Start()
		w.Pass(10 * time.Second)
		w.Expect("cto update", "support update")
		for _, e := range w.Events(1, incident.EventUpdateMissed) {
			if e.Data.Cause.Kind != incident.CauseDown || e.Data.Cause.From.Sub(noon).Abs() > 24*time.Hour || e.Data.Missed != 1 {
				t.Errorf("event %+v", e.Data)
			}
		}
	})
}

// A crashing store is one whose process ends: from then on nothing is written.
type crashing struct {
	storage.Store
	dead chan struct{}
}

var errDead = errors.New("the process is gone")

func (c *crashing) Write(ctx context.Context, fn func(storage.Tx) error) error {
	select {
	case <-c.dead:
		return errDead
	default:
		return c.Store.Write(ctx, fn)
	}
}

func TestACrashWhileSendingRepeatsTheSameMessageOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy()
		p.Priorities[0].Inform, p.Management = []incident.Audience{incident.AudienceManagement}, []string{"leadership"}
		p.Teams[0].OnCall = nil
		w := newWorld(t, routertest.Options{Policy: p})
		c := &crashing{w.Store(), make(chan struct{})}
		w.StartReplica(routertest.Process{Store: c})
		w.Behave(func(*routertest.Mail) error { close(c.dead); return nil }) // taken, and then the end
		w.Fire("p1", "a")
		w.Pass(5 * time.Second)
		w.Behave(nil)
		w.Stop()

		w.Start()
		w.Pass(2 * time.Minute)
		w.ExpectAttempts(2, "cto")
		if d := w.Deliveries(); len(d) != 1 || d[0].State != incident.DeliveryDelivered || d[0].Attempts != 2 {
			t.Errorf("deliveries %+v", d)
		}
		w.Mails()
		w.Until(noon.Add(2*time.Hour + 2*time.Second))
		w.Expect("cto update")
	})
}

func TestAnUnknownOutcomeIsRepeatedWithTheSameBytes(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		n := 0
		w.Behave(func(m *routertest.Mail) error {
			if m.To != "cto" {
				return nil
			}
			if n++; n < 4 {
				return fmt.Errorf("the answer never came: %w", routertest.ErrTaken)
			}
			return nil
		})
		w.Fire("p1", "a")
		w.Pass(10 * time.Second)
		// What alerts do meanwhile is not a reason to write anew.
		w.Fire("p1", "b")
		w.Pass(5 * time.Minute)
		w.ExpectAttempts(4, "cto")
		for _, d := range w.Deliveries() {
			if d.State != incident.DeliveryDelivered {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

func TestAnUnknownOutcomeGivesWayToNews(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Lie("support"))
		w.Fire("p1", "a")
		w.Pass(4 * time.Second)
		w.Mails()
		w.Do(1, command.Priority{Priority: "P2", Reason: "not so bad"})
		w.Behave(nil)
		w.Pass(2 * time.Minute)
		// The reader may have had the opening, or not: it is told of it as if not.
		w.Expect("cto priority", "oncall priority", "support opened")
		states := map[incident.DeliveryState]int{}
		for _, d := range w.Deliveries() {
			states[d.State]++
		}
		if states[incident.DeliveryPending] != 0 || states[incident.DeliverySuperseded] != 1 {
			t.Errorf("deliveries %v", states)
		}
	})
}

func TestAnOpeningThatFailsForGoodIsToldToTheTeam(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(func(m *routertest.Mail) error {
			if m.To == "cto" {
				time.Sleep(time.Second)
				return fmt.Errorf("550 no such user: %w", router.ErrPermanent)
			}
			return nil
		})
		w.Fire("p1", "a")
		w.Pass(30 * time.Minute)
		mails := w.Expect("support opened", "oncall opened", "oncall reminder")
		for _, m := range mails {
			if m.Kind == incident.KindReminder && (m.First().Reasons[0].Reason != incident.DueUndeliverable || m.First().Reasons[0].Address != "cto@example.org") {
				t.Errorf("reminder %+v", m.First().Reasons)
			}
		}
		if tries := w.Attempts(); len(tries) != 4 {
			t.Errorf("%d attempts", len(tries))
		}
		w.Behave(nil)
		w.Until(noon.Add(2*time.Hour + time.Second))
		w.Expect("cto opened", "support update")
		w.Until(noon.Add(4*time.Hour + time.Second))
		w.Expect("cto update", "support update")
	})
}

func TestATeamThatCannotBeReachedIsNotTriedForEver(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(fmt.Errorf("550 no such user: %w", router.ErrPermanent), "oncall"))
		w.Fire("p1", "a")
		w.Pass(time.Hour)
		w.Expect("support opened", "cto opened")
		if tries := w.Attempts(); len(tries) != 3 {
			t.Errorf("%d attempts", len(tries))
		}
	})
}

func TestTwentyDeadRecipientsDelayNobodyElse(t *testing.T) {
	p := policy()
	var dead, well []string
	for i := range 20 {
		dead, well = append(dead, fmt.Sprintf("dead%02d", i)), append(well, fmt.Sprintf("well%02d", i))
	}
	p.Groups[1].Recipients = append(incidenttest.Mails(dead...), incidenttest.Mails(well...)...)
	p.Priorities[0].UpdateEvery = 10 * time.Minute
	bubble(t, p, func(t *testing.T, w *world) {
		w.Behave(func(m *routertest.Mail) error {
			if !strings.HasPrefix(m.To, "dead") {
				time.Sleep(time.Second)
				return nil
			}
			time.Sleep(time.Duration(30+2*int(m.To[5]-'0')) * time.Second)
			return errLater
		})
		w.Fire("p1", "a")
		w.Pass(10*time.Minute + 30*time.Second)
		n := 0
		for _, d := range w.Deliveries() {
			if strings.HasPrefix(d.Address, "dead") {
				continue
			}
			n++
			if d.State != incident.DeliveryDelivered || d.SentAt.Sub(d.DueAt) > 5*time.Second {
				t.Errorf("%s got its %s %v late", d.Address, d.Kind, d.SentAt.Sub(d.DueAt))
			}
		}
		if n != 21*2+1 {
			t.Errorf("%d messages", n)
		}
		w.Behave(nil)
		w.Mails()
		back := time.Now()
		w.Pass(3 * time.Minute)
		var late int
		for _, m := range w.Mails() {
			if strings.HasPrefix(m.To, "dead") {
				if late++; m.Kind != incident.KindOpened || m.Taken.Sub(back) > 2*time.Minute {
					t.Errorf("%s got %s %v after its return", m.To, m.Kind, m.Taken.Sub(back))
				}
			}
		}
		if late != 20 {
			t.Errorf("%d of those that were dead got a message", late)
		}
	})
}

func TestASlowServerThatTakesTheMailInTheEndGetsItOnce(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Stall(3*time.Minute, "support"))
		w.Fire("p1", "a")
		w.Pass(10 * time.Minute)
		w.Expect("cto opened", "support opened", "oncall opened")
		if tries := w.Attempts(); len(tries) != 3 {
			t.Errorf("%d attempts", len(tries))
		}
	})
}

func TestAMessageThatFailsRightBeforeAQuietTimeWaitsForItsEnd(t *testing.T) {
	p := policy()
	p.Groups[1].Quiet = []incident.Quiet{incidenttest.Quiet(12*60+30, 14*60, "P1")} // from half past ten
	bubble(t, p, func(t *testing.T, w *world) {
		w.Until(noon.Add(29*time.Minute + 50*time.Second))
		w.Behave(routertest.Refuse(errLater, "support"))
		w.Fire("p3", "a")
		w.Pass(5 * time.Minute)
		w.Behave(nil)
		w.Attempts()
		w.Until(noon.Add(2*time.Hour - time.Second))
		w.Expect("oncall opened")
		if tries := w.Attempts(); len(tries) != 0 {
			t.Errorf("%d attempts in the quiet time", len(tries))
		}
		w.Pass(2 * time.Second)
		w.Expect("support opened")
		for _, d := range w.Deliveries() {
			if d.Audience == incident.AudienceStakeholders && d.State == incident.DeliveryDelivered && (!d.Deferred || !d.DueAt.Equal(noon.Add(2*time.Hour))) {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

// An outage begins with the last thing on record, not with the last full minute.
func TestAnOutageBeginsAfterTheLastRecord(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Pass(40 * time.Second)
		w.Fire("p1", "a")
		w.Pass(5 * time.Second)
		w.Expect("cto opened", "support opened", "oncall opened")
		sent := w.Deliveries()[0].FinishedAt
		w.Stop()
		w.Pass(10 * time.Minute)
		w.Open()
		w.Fire("p2", "b") // what is taken at once is no sign of a life before
		w.Start()
		w.Pass(time.Second)
		w.Read(func(r storage.Snapshot) error {
			outages, err := storage.Outages(t.Context(), r, 9)
			if len(outages) != 1 || !outages[0].From.Equal(sent) {
				t.Errorf("outages %v, want one from %v", outages, sent)
			}
			return err
		})
	})
}
