package router_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
	"sitrep/storage"
)

// noon is when most tests begin.
var noon = incidenttest.Noon

// bubble runs a test in virtual time, from noon on. The scheduler sleeps for up to a
// minute when nothing is due, which is cheaper than a second for hours and days.
func bubble(t *testing.T, p *incident.Policy, test func(t *testing.T, w *world)) {
	t.Helper()
	bubbleEvery(t, time.Minute, p, test)
}

func bubbleEvery(t *testing.T, poll time.Duration, p *incident.Policy, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, p)
		w.poll = poll
		sleepUntil(noon)
		w.start()
		test(t, w)
		w.stop()
	})
}

func TestThreeHoursWithoutAMailServerAreOneMessage(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		w.expect("cto opened", "support opened", "oncall opened")

		sleepUntil(noon.Add(time.Hour + 30*time.Minute))
		w.mail.set(down())
		back := noon.Add(4*time.Hour + 30*time.Minute)
		sleepUntil(back)
		w.mail.take()
		w.mail.takeTries()
		w.mail.set(nil)
		time.Sleep(2 * time.Minute)
		mails := w.expect("cto update", "support update")
		for _, try := range w.mail.takeTries() {
			if try.at.Sub(back) > 2*time.Minute {
				t.Errorf("first attempt for %s %v after the return", try.to, try.at.Sub(back))
			}
		}
		for _, m := range mails {
			if !m.First().LateSince.Equal(noon.Add(2*time.Hour + time.Minute)) {
				t.Errorf("%s is told that it is late since %v", m.to, m.First().LateSince)
			}
		}
		missed := w.of(1, incident.EventUpdateMissed)
		if len(missed) != 2 {
			t.Fatalf("events %+v, want one for each audience", missed)
		}
		for _, e := range missed {
			if e.Data.Missed != 1 || !e.Data.DueAt.Equal(noon.Add(2*time.Hour)) || !strings.Contains(e.Data.Cause.Said, "the mail server is down") {
				t.Errorf("event %+v", e.Data)
			}
		}
		// After half an interval of quiet it goes on, and nothing follows from the events.
		sleepUntil(back.Add(time.Hour - time.Second))
		w.expect()
		time.Sleep(2*time.Minute + time.Second)
		w.expect("cto update", "support update")
	})
}

func TestARestartKeepsEveryDueTime(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.post(alert("p1", "a"), alert("p3", "b"))
		time.Sleep(time.Minute)
		w.expect("cto opened", "support opened", "support opened", "oncall opened", "oncall opened")
		for i := range 5 {
			time.Sleep(17 * time.Minute)
			before := fmt.Sprintf("%+v %+v", w.situation(1), w.situation(2))
			w.stop()
			time.Sleep(time.Duration(i) * time.Minute)
			w.start()
			time.Sleep(time.Minute)
			if after := fmt.Sprintf("%+v %+v", w.situation(1), w.situation(2)); after != before {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
		}
		w.expect()
		sleepUntil(noon.Add(2*time.Hour + time.Second))
		for _, m := range w.expect("cto update", "support update") {
			if m.at.Sub(noon.Add(2*time.Hour)) > time.Second {
				t.Errorf("%s got its update at %v", m.to, m.at)
			}
		}
		if tries := w.mail.takeTries(); len(tries) != 7 {
			t.Errorf("%d attempts", len(tries))
		}
	})
}

func TestDownForFiveHoursIsOneMessageWithTheCause(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		w.mail.take()
		w.stop()
		time.Sleep(5 * time.Hour)
		w.start()
		time.Sleep(10 * time.Second)
		w.expect("cto update", "support update")
		for _, e := range w.of(1, incident.EventUpdateMissed) {
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
		w := newWorld(t, p)
		sleepUntil(noon)
		w.open()
		c := &crashing{w.store, make(chan struct{})}
		w.replica = w.run(c, "a")
		w.repo.Wake = w.replica.scheduler.Wake
		w.mail.set(func(string, router.Envelope) error { close(c.dead); return nil }) // taken, and then the end
		w.post(alert("p1", "a"))
		time.Sleep(5 * time.Second)
		w.mail.set(nil)
		w.stop()

		w.start()
		time.Sleep(2 * time.Minute)
		tries := w.mail.takeTries()
		if len(tries) != 2 || tries[0].id != tries[1].id || tries[0].body != tries[1].body {
			t.Errorf("attempts %+v", tries)
		}
		if d := w.deliveries(); len(d) != 1 || d[0].State != incident.DeliveryDelivered || d[0].Attempts != 2 {
			t.Errorf("deliveries %+v", d)
		}
		w.mail.take()
		sleepUntil(noon.Add(2*time.Hour + 2*time.Second))
		w.expect("cto update")
		w.stop()
	})
}

func TestAnUnknownOutcomeIsRepeatedWithTheSameBytes(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		n := 0
		w.mail.set(func(to string, _ router.Envelope) error {
			if to != "cto" {
				return nil
			}
			if n++; n < 4 {
				return fmt.Errorf("the answer never came: %w", errTaken)
			}
			return nil
		})
		w.post(alert("p1", "a"))
		time.Sleep(10 * time.Second)
		// What alerts do meanwhile is not a reason to write anew.
		w.post(alert("p1", "b"))
		time.Sleep(5 * time.Minute)
		var ids, bodies []string
		for _, try := range w.mail.takeTries() {
			if try.to == "cto" {
				ids, bodies = append(ids, try.id), append(bodies, try.body)
			}
		}
		if len(ids) != 4 || len(slices.Compact(ids)) != 1 || len(slices.Compact(bodies)) != 1 {
			t.Errorf("attempts %q %q", ids, bodies)
		}
		for _, d := range w.deliveries() {
			if d.State != incident.DeliveryDelivered {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

func TestAnUnknownOutcomeGivesWayToNews(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(func(to string, _ router.Envelope) error {
			if to == "support" {
				return errTaken
			}
			return nil
		})
		w.post(alert("p1", "a"))
		time.Sleep(4 * time.Second)
		w.mail.take()
		w.must(w.do(1, func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
			return in.ChangePriority(s, p, p.Priorities[1], "not so bad")
		}))
		w.mail.set(nil)
		time.Sleep(2 * time.Minute)
		// The reader may have had the opening, or not: it is told of it as if not.
		w.expect("cto priority", "oncall priority", "support opened")
		states := map[incident.DeliveryState]int{}
		for _, d := range w.deliveries() {
			states[d.State]++
		}
		if states[incident.DeliveryPending] != 0 || states[incident.DeliverySuperseded] != 1 {
			t.Errorf("deliveries %v", states)
		}
	})
}

func TestAnOpeningThatFailsForGoodIsToldToTheTeam(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(func(to string, _ router.Envelope) error {
			if to == "cto" {
				time.Sleep(time.Second)
				return fmt.Errorf("550 no such user: %w", router.ErrPermanent)
			}
			return nil
		})
		w.post(alert("p1", "a"))
		time.Sleep(30 * time.Minute)
		mails := w.expect("support opened", "oncall opened", "oncall reminder")
		for _, m := range mails {
			if m.Kind == incident.KindReminder && (m.First().Reasons[0].Reason != incident.DueUndeliverable || m.First().Reasons[0].Address != "cto@example.org") {
				t.Errorf("reminder %+v", m.First().Reasons)
			}
		}
		if tries := w.mail.takeTries(); len(tries) != 4 {
			t.Errorf("%d attempts", len(tries))
		}
		w.mail.set(nil)
		sleepUntil(noon.Add(2*time.Hour + time.Second))
		w.expect("cto opened", "support update")
		sleepUntil(noon.Add(4*time.Hour + time.Second))
		w.expect("cto update", "support update")
	})
}

func TestATeamThatCannotBeReachedIsNotTriedForEver(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(func(to string, _ router.Envelope) error {
			if to == "oncall" {
				return fmt.Errorf("550 no such user: %w", router.ErrPermanent)
			}
			return nil
		})
		w.post(alert("p1", "a"))
		time.Sleep(time.Hour)
		w.expect("support opened", "cto opened")
		if tries := w.mail.takeTries(); len(tries) != 3 {
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
		w.mail.set(func(to string, _ router.Envelope) error {
			if !strings.HasPrefix(to, "dead") {
				time.Sleep(time.Second)
				return nil
			}
			time.Sleep(time.Duration(30+2*int(to[5]-'0')) * time.Second)
			return errDown
		})
		w.post(alert("p1", "a"))
		time.Sleep(10*time.Minute + 30*time.Second)
		n := 0
		for _, d := range w.deliveries() {
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
		w.mail.set(nil)
		w.mail.take()
		back := time.Now()
		time.Sleep(3 * time.Minute)
		var late int
		for _, m := range w.mail.take() {
			if strings.HasPrefix(m.to, "dead") {
				if late++; m.Kind != incident.KindOpened || m.at.Sub(back) > 2*time.Minute {
					t.Errorf("%s got %s %v after its return", m.to, m.Kind, m.at.Sub(back))
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
		w.mail.set(func(to string, _ router.Envelope) error {
			if to == "support" {
				time.Sleep(3 * time.Minute)
			}
			return nil
		})
		w.post(alert("p1", "a"))
		time.Sleep(10 * time.Minute)
		w.expect("cto opened", "support opened", "oncall opened")
		if tries := w.mail.takeTries(); len(tries) != 3 {
			t.Errorf("%d attempts", len(tries))
		}
	})
}

func TestAMessageThatFailsRightBeforeAQuietTimeWaitsForItsEnd(t *testing.T) {
	p := policy()
	p.Groups[1].Quiet = []incident.Quiet{incidenttest.Quiet(12*60+30, 14*60, "P1")} // from half past ten
	bubble(t, p, func(t *testing.T, w *world) {
		sleepUntil(noon.Add(29*time.Minute + 50*time.Second))
		w.mail.set(down("support"))
		w.post(alert("p3", "a"))
		time.Sleep(5 * time.Minute)
		w.mail.set(nil)
		w.mail.takeTries()
		sleepUntil(noon.Add(2*time.Hour - time.Second))
		w.expect("oncall opened")
		if tries := w.mail.takeTries(); len(tries) != 0 {
			t.Errorf("%d attempts in the quiet time", len(tries))
		}
		time.Sleep(2 * time.Second)
		w.expect("support opened")
		for _, d := range w.deliveries() {
			if d.Audience == incident.AudienceStakeholders && d.State == incident.DeliveryDelivered && (!d.Deferred || !d.DueAt.Equal(noon.Add(2*time.Hour))) {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

// An outage begins with the last thing on record, not with the last full minute.
func TestAnOutageBeginsAfterTheLastRecord(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		time.Sleep(40 * time.Second)
		w.post(alert("p1", "a"))
		time.Sleep(5 * time.Second)
		w.expect("cto opened", "support opened", "oncall opened")
		sent := w.deliveries()[0].FinishedAt
		w.stop()
		time.Sleep(10 * time.Minute)
		w.open()
		w.post(alert("p2", "b")) // what is taken at once is no sign of a life before
		w.replica = w.run(w.store, "a")
		w.repo.Wake = w.replica.scheduler.Wake
		time.Sleep(time.Second)
		w.must(w.store.Read(t.Context(), func(r storage.Snapshot) error {
			outages, err := storage.Outages(t.Context(), r, 9)
			if len(outages) != 1 || !outages[0].From.Equal(sent) {
				t.Errorf("outages %v, want one from %v", outages, sent)
			}
			return err
		}))
	})
}
