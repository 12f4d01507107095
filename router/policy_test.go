package router_test

import (
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// swap puts a changed policy into force.
func (w *world) swap(change func(*incident.Policy)) {
	p := *w.policy.Load()
	p.Groups = append([]incident.Group(nil), p.Groups...)
	p.Teams = append([]incident.Team(nil), p.Teams...)
	p.Priorities = append([]incident.Priority(nil), p.Priorities...)
	change(&p)
	w.policy.Store(&p)
	w.replica.scheduler.Wake()
}

func TestSomeoneTakenOutGetsNothingAndSomeoneAddedIsBriefed(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.post(alert("p1", "a"))
		time.Sleep(time.Hour)
		w.expect("cto opened", "support opened", "oncall opened")
		w.swap(func(p *incident.Policy) { p.Groups[0].Recipients = incidenttest.Mails("ceo") })
		time.Sleep(time.Second)
		w.expect("ceo opened")
		time.Sleep(time.Hour)
		w.expect("support update")
		time.Sleep(time.Hour)
		w.expect("ceo update")
	})
}

func TestSomeoneTakenOutWhileTheServerIsDown(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(down("cto"))
		w.post(alert("p1", "a"))
		time.Sleep(10 * time.Minute)
		w.swap(func(p *incident.Policy) { p.Groups[0].Recipients = nil })
		time.Sleep(time.Minute)
		w.mail.set(nil)
		time.Sleep(5 * time.Minute)
		w.expect("support opened", "oncall opened")
		for _, d := range w.deliveries() {
			if d.State == incident.DeliveryPending {
				t.Errorf("delivery %+v", d)
			}
		}
	})
}

func TestOneOfTheTeamWhoJoinsAnAudienceGetsItsUpdates(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.post(alert("p1", "a"))
		time.Sleep(time.Hour)
		w.expect("cto opened", "support opened", "oncall opened")
		w.swap(func(p *incident.Policy) { p.Groups[0].Recipients = incidenttest.Mails("cto", "oncall") })
		time.Sleep(time.Second)
		w.expect("oncall update")
		sleepUntil(noon.Add(2*time.Hour + 2*time.Second))
		w.expect("cto update", "support update")
		sleepUntil(noon.Add(3*time.Hour + 2*time.Second))
		w.expect("oncall update")
		// And back: no scheduled updates any more, but of the team it still is.
		w.swap(func(p *incident.Policy) { p.Groups[0].Recipients = incidenttest.Mails("cto") })
		sleepUntil(noon.Add(5*time.Hour + 2*time.Second))
		w.expect("cto update", "support update")
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
		w.post(alert("p1", "a"))
		time.Sleep(time.Second)
		// The quiet times of the group are not the team's.
		w.expect("cto opened", "oncall opened", "support opened")
		// Who leaves the team is quiet with the group.
		w.swap(func(p *incident.Policy) { p.Teams[0].OnCall = incidenttest.Mails("oncall") })
		time.Sleep(3 * time.Hour)
		w.expect("cto update")
		// Who leaves the group as well gets nothing more, though there is a team of its name.
		w.swap(func(p *incident.Policy) { p.Groups[1].Recipients = incidenttest.Mails("sales") })
		sleepUntil(noon.Add(8*time.Hour + time.Second))
		w.expect("cto update", "cto update", "cto update", "sales opened")
	})
}

func TestAQuietTimeThatIsNewIsSaid(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.post(alert("p2", "a"))
		time.Sleep(time.Hour)
		w.expect("cto opened", "support opened", "oncall opened")
		promised := w.situation(1).Subscription("email:support@example.org").NextBy
		from := promised.In(policy().Groups[1].Location)
		w.swap(func(p *incident.Policy) {
			start := from.Hour()*60 - 60
			p.Groups[1].Quiet = []incident.Quiet{incidenttest.Quiet(start, start+180)}
		})
		time.Sleep(time.Second)
		w.expect("support update")
		if by := w.situation(1).Subscription("email:support@example.org").NextBy; !by.After(promised) {
			t.Errorf("promised by %v, and now by %v", promised, by)
		}
	})
}

func TestAPriorityThatInformsNobody(t *testing.T) {
	p := policy()
	p.Priorities = append(p.Priorities, incident.Priority{Name: "P4", Rank: 3})
	bubble(t, p, func(t *testing.T, w *world) {
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		w.mail.take()
		lower := func(to int) {
			w.must(w.do(1, func(in *incident.Incident, s incident.Stamp, p *incident.Policy) ([]incident.Event, error) {
				return in.ChangePriority(s, p, p.Priorities[to], "we know better")
			}))
			time.Sleep(time.Second)
		}
		lower(3)
		w.expect("cto left", "support left", "oncall priority")
		time.Sleep(50 * time.Hour)
		w.expect()
		lower(1)
		mails := w.expect("cto opened", "support opened", "oncall priority")
		for _, m := range mails {
			if m.to == "cto" && !m.First().First {
				t.Error("who comes back is not briefed from the beginning")
			}
		}
		time.Sleep(4 * time.Hour)
		w.expect("cto update", "support update")
	})
}
