package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
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
	for _, refusal := range []error{errServer, errDoubt, errSetup, fmt.Errorf("421 too much: %w", router.ErrRate)} {
		t.Run(refusal.Error(), func(t *testing.T) {
			bubble(t, threeTeams(), func(t *testing.T, w *world) {
				hook := func(i int) string { return fmt.Sprintf("https://hook%03d.example", i) }
				refuses := func(to string, _ router.Envelope) error {
					if strings.HasPrefix(to, "https:") {
						return nil
					}
					return refusal
				}
				w.mail.set(refuses)
				w.post(alert("team0", "a"), alert("team1", "b"), alert("team2", "c"))
				time.Sleep(time.Minute)
				var want []string
				for i := range 3 {
					want = append(want, hook(i)+" opened", hook(i)+" reminder")
				}
				for _, m := range w.expect(want...) {
					if m.Kind == incident.KindReminder && m.First().Reasons[0].Reason != incident.DueMailRefused {
						t.Errorf("%s: reminder %+v", m.to, m.First().Reasons)
					}
				}
				// Once.
				time.Sleep(20 * time.Minute)
				w.expect()
				resolve := func(number int64) {
					w.must(w.do(number, func(in *incident.Incident, s incident.Stamp, _ *incident.Policy) ([]incident.Event, error) {
						return in.Resolve(s, "enough")
					}))
					time.Sleep(time.Minute)
				}
				resolve(1)
				w.expect(hook(0) + " resolved")
				w.mail.set(nil)
				time.Sleep(3 * time.Minute)
				w.mail.take()
				// It is told anew when it happens anew.
				w.mail.set(refuses)
				resolve(2)
				// In a message of its own, or with the end where that was planned later. Where a
				// refusal is final, each of its mails may be one.
				told := map[incident.Reason]int{}
				mails := w.mail.take()
				for _, m := range mails {
					for _, owed := range m.First().Reasons {
						told[owed.Reason]++
					}
					if m.to != hook(1) {
						t.Errorf("%s heard %+v", m.to, m.First().Reasons)
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
		w.mail.set(func(to string, _ router.Envelope) error {
			if to == "team0-readers" || to == "team0" {
				return errSetup
			}
			return nil
		})
		w.post(alert("team0", "a"))
		time.Sleep(time.Minute)
		w.expect("https://hook000.example opened", "https://hook000.example reminder")
		w.post(alert("team1", "b"))
		time.Sleep(10 * time.Minute)
		n := 0
		for _, m := range w.mail.take() {
			if m.to != "https://hook000.example" {
				n++
				if m.Kind != incident.KindOpened {
					t.Errorf("%s hears of %s", m.to, m.First().Reasons[0].Reason)
				}
			}
		}
		if n != 3 {
			t.Errorf("%d of team1 were told", n)
		}
	})
}
