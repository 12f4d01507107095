package router_test

import (
	"fmt"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/command"
	"sitrep/router"
	"sitrep/router/routertest"
)

// threeTeams is a policy of three teams with an SLO, stakeholders, a mailbox and a webhook
// each, all by one mail server.
func threeTeams() *incident.Policy {
	p := policy()
	p.Teams, p.SLOs = nil, nil
	for i, hook := range hooks(3, "") {
		name := fmt.Sprintf("team%d", i)
		p.Groups = append(p.Groups, incidenttest.Group(name, name+"-readers"))
		p.Teams = append(p.Teams, incident.Team{Name: name, OnCall: append(incidenttest.Mails(name), hook)})
		s := incidenttest.SLO(name, "P3")
		s.Team, s.Stakeholders = name, []string{name}
		p.SLOs = append(p.SLOs, s)
	}
	return p
}

func TestEachTeamHearsWithinAMinuteThatMailDoesNotGoOut(t *testing.T) {
	for _, refusal := range []error{routertest.ErrDown, errDoubt, errSetup, fmt.Errorf("421 too much: %w", router.ErrRate)} {
		t.Run(refusal.Error(), func(t *testing.T) {
			bubble(t, threeTeams(), func(t *testing.T, w *world) {
				hook := func(i int) string { return fmt.Sprintf("https://hook%03d.example", i) }
				w.Behave(refuseMails(refusal))
				w.Post(w.Alert("team0", "a"), w.Alert("team1", "b"), w.Alert("team2", "c"))
				w.Pass(time.Minute)
				var want []string
				for i := range 3 {
					want = append(want, hook(i)+" opened", hook(i)+" reminder")
				}
				for _, m := range w.Expect(want...) {
					if m.Kind == incident.KindReminder && m.First().Reasons[0].Reason != incident.DueMailRefused {
						t.Errorf("%s: reminder %+v", m.To, m.First().Reasons)
					}
				}
				// Once.
				w.Pass(20 * time.Minute)
				w.Expect()
				resolve := func(number int64) {
					w.Do(number, command.Resolve{Note: "enough"})
					w.Pass(time.Minute)
				}
				resolve(1)
				w.Expect(hook(0) + " resolved")
				w.Behave(nil)
				w.Pass(3 * time.Minute)
				w.Mails()
				// It is told anew when it happens anew.
				w.Behave(refuseMails(refusal))
				resolve(2)
				// In a message of its own, or with the end where that was planned later. Where a
				// refusal is final, each of its mails may be one.
				told := map[incident.Reason]int{}
				mails := w.Mails()
				for _, m := range mails {
					for _, owed := range m.First().Reasons {
						told[owed.Reason]++
					}
					if m.To != hook(1) {
						t.Errorf("%s heard %+v", m.To, m.First().Reasons)
					}
				}
				if failed := told[incident.DueMailRefused] + told[incident.DueUndelivered]; told[incident.DueResolved] != 1 || failed == 0 || failed > 2 {
					t.Errorf("told of the end and of the failure: %v, in %d messages", told, len(mails))
				}
			})
		})
	}
}

func TestWhoseMailGoesOutHearsOfNoServer(t *testing.T) {
	bubble(t, threeTeams(), func(t *testing.T, w *world) {
		// It refuses the one to whom it is given something, and takes what goes to others.
		w.Behave(func(m *routertest.Mail) error {
			if m.To == "team0-readers" || m.To == "team0" {
				return errSetup
			}
			return nil
		})
		w.Fire("team0", "a")
		w.Pass(time.Minute)
		w.Expect("https://hook000.example opened", "https://hook000.example reminder")
		w.Fire("team1", "b")
		w.Pass(10 * time.Minute)
		n := 0
		for _, m := range w.Mails() {
			if m.To != "https://hook000.example" {
				n++
				if m.Kind != incident.KindOpened {
					t.Errorf("%s hears of %s", m.To, m.First().Reasons[0].Reason)
				}
			}
		}
		if n != 3 {
			t.Errorf("%d of team1 were told", n)
		}
	})
}
