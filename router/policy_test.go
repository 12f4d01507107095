package router_test

import (
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router/routertest"
)

func TestSomeoneTakenOutGetsNothingAndSomeoneAddedIsBriefed(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Fire("p1", "a")
		w.Pass(time.Hour)
		w.Expect("cto opened", "support opened", "oncall opened")
		w.Reload(func(p *incident.Policy) { p.Groups[0].Recipients = incidenttest.Mails("ceo") })
		w.Pass(time.Second)
		w.Expect("ceo opened")
		w.Pass(time.Hour)
		w.Expect("support update")
		w.Pass(time.Hour)
		w.Expect("ceo update")
	})
}

func TestSomeoneTakenOutWhileTheServerIsDown(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(errLater, "cto"))
		w.Fire("p1", "a")
		w.Pass(10 * time.Minute)
		w.Reload(func(p *incident.Policy) { p.Groups[0].Recipients = nil })
		w.Pass(time.Minute)
		w.Behave(nil)
		w.Pass(5 * time.Minute)
		w.Expect("support opened", "oncall opened")
		for _, d := range w.Deliveries() {
			if d.State == incident.DeliveryPending {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

func TestOneOfTheTeamWhoJoinsAnAudienceGetsItsUpdates(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Fire("p1", "a")
		w.Pass(time.Hour)
		w.Expect("cto opened", "support opened", "oncall opened")
		w.Reload(func(p *incident.Policy) { p.Groups[0].Recipients = incidenttest.Mails("cto", "oncall") })
		w.Pass(time.Second)
		w.Expect("oncall update")
		w.Until(noon.Add(2*time.Hour + 2*time.Second))
		w.Expect("cto update", "support update")
		w.Until(noon.Add(3*time.Hour + 2*time.Second))
		w.Expect("oncall update")
		// And back: no scheduled updates any more, but of the team it still is.
		w.Reload(func(p *incident.Policy) { p.Groups[0].Recipients = incidenttest.Mails("cto") })
		w.Until(noon.Add(5*time.Hour + 2*time.Second))
		w.Expect("cto update", "support update")
	})
}

func TestATeamAndAGroupOfOneName(t *testing.T) {
	p := policy()
	p.Groups[1].Name, p.Teams[0].Name = "sre", "sre"
	p.Groups[1].Quiet = []incident.Quiet{incidenttest.Quiet(11*60, 20*60)}
	p.Teams[0].OnCall = incidenttest.Mails("oncall", "support")
	for i := range p.SLOs {
		p.SLOs[i].Team, p.SLOs[i].Stakeholders = "sre", []string{"sre"}
	}
	bubble(t, p, func(t *testing.T, w *world) {
		w.Fire("p1", "a")
		w.Pass(time.Second)
		// The quiet times of the group are not the team's.
		w.Expect("cto opened", "oncall opened", "support opened")
		// Who leaves the team is quiet with the group.
		w.Reload(func(p *incident.Policy) { p.Teams[0].OnCall = incidenttest.Mails("oncall") })
		w.Pass(3 * time.Hour)
		w.Expect("cto update")
		// Who leaves the group as well gets nothing more, though there is a team of its name.
		w.Reload(func(p *incident.Policy) { p.Groups[1].Recipients = incidenttest.Mails("sales") })
		w.Until(noon.Add(8*time.Hour + time.Second))
		w.Expect("cto update", "cto update", "cto update", "sales opened")
	})
}

func TestAQuietTimeThatIsNewIsSaid(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Fire("p2", "a")
		w.Pass(time.Hour)
		w.Expect("cto opened", "support opened", "oncall opened")
		promised := w.Situation(1).Subscription("email:support@example.org").NextBy
		from := promised.In(policy().Groups[1].Location)
		w.Reload(func(p *incident.Policy) {
			start := from.Hour()*60 - 60
			p.Groups[1].Quiet = []incident.Quiet{incidenttest.Quiet(start, start+180)}
		})
		w.Pass(time.Second)
		w.Expect("support update")
		if by := w.Situation(1).Subscription("email:support@example.org").NextBy; !by.After(promised) {
			t.Errorf("promised by %v, and now by %v", promised, by)
		}
	})
}

func TestAPriorityThatInformsNobody(t *testing.T) {
	p := policy()
	p.Priorities = append(p.Priorities, incident.Priority{Name: "P4", Rank: 3})
	bubble(t, p, func(t *testing.T, w *world) {
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Mails()
		change := func(to string) {
			w.Do(1, command.Priority{Priority: to, Reason: "we know better"})
			w.Pass(time.Second)
		}
		change("P4")
		w.Expect("cto left", "support left", "oncall priority")
		w.Pass(50 * time.Hour)
		w.Expect()
		change("P2")
		mails := w.Expect("cto opened", "support opened", "oncall priority")
		for _, m := range mails {
			if m.To == "cto" && !m.First().First {
				t.Error("who comes back is not briefed from the beginning")
			}
		}
		w.Pass(4 * time.Hour)
		w.Expect("cto update", "support update")
	})
}
