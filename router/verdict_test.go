package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/routertest"
)

var (
	errDoubt = fmt.Errorf("RCPT: 550 no: %w", router.ErrDoubtful)
	errSetup = fmt.Errorf("RCPT: 554 5.7.1 relay access denied: %w", router.ErrSetup)
)

// withHook is the policy with a webhook of the team's.
func withHook() *incident.Policy {
	p := policy()
	p.Teams[0].OnCall = append(p.Teams[0].OnCall, hooks(1, "")...)
	return p
}

const hookName = "https://hook000.example"

func TestARefusalIsFinalWhereOthersAreTaken(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("refused first %v", first), func(t *testing.T) {
			bubble(t, policy(), func(t *testing.T, w *world) {
				w.Behave(func(m *routertest.Mail) error {
					if (m.To == "cto") != first {
						time.Sleep(time.Second)
					}
					if m.To == "cto" {
						return errDoubt
					}
					return nil
				})
				w.Fire("p1", "a")
				w.Pass(10 * time.Minute)
				if n := len(w.Attempts("cto")); n != 1 {
					t.Errorf("%d attempts", n)
				}
				for _, d := range w.Deliveries() {
					if d.Address == "cto@example.org" && (d.State != incident.DeliveryFailed || d.FinishedAt.Sub(d.CreatedAt) > time.Minute) {
						t.Errorf("delivery %+v", d)
					}
				}
				w.Expect("support opened", "oncall opened", "oncall reminder")
			})
		})
	}
}

func TestWhileAllAreRefusedAlikeItIsTheSetUp(t *testing.T) {
	for _, refusal := range []error{errDoubt, errSetup} {
		t.Run(refusal.Error(), func(t *testing.T) {
			bubble(t, withHook(), func(t *testing.T, w *world) {
				began := time.Now()
				w.Behave(refuseMails(refusal))
				w.Fire("p1", "a")
				w.Pass(time.Minute)
				w.Expect(hookName+" opened", hookName+" reminder")
				servers := w.Servers()
				if len(servers) != 1 || !servers[0].RefusesAll || !strings.Contains(servers[0].Error, "RCPT") || servers[0].FailingSince.Sub(began) > time.Second {
					t.Errorf("servers %+v", servers)
				}
				w.Pass(2 * time.Hour)
				w.Mails()
				for _, d := range w.Deliveries() {
					if d.State == incident.DeliveryFailed {
						t.Errorf("delivery %+v", d)
					}
				}
				mended := time.Now()
				w.Behave(nil)
				w.Pass(time.Minute)
				for _, m := range w.Expect("cto opened", "support opened", "oncall opened") {
					if m.Taken.Sub(mended) > time.Minute {
						t.Errorf("%s got it %v after it was mended", m.To, m.Taken.Sub(mended))
					}
				}
				if servers := w.Servers(); len(servers) != 0 {
					t.Errorf("servers %+v", servers)
				}
			})
		})
	}
}

func TestTheTeamsWebhooksHearThatTheMailServerIsAway(t *testing.T) {
	bubble(t, withHook(), func(t *testing.T, w *world) {
		w.Behave(refuseMails(routertest.ErrDown))
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		for _, m := range w.Expect(hookName+" opened", hookName+" reminder") {
			if m.Kind == incident.KindReminder && m.First().Reasons[0].Reason != incident.DueMailRefused {
				t.Errorf("reminder %+v", m.First().Reasons)
			}
		}
		w.Pass(time.Hour)
		w.Expect() // once
	})
}

func TestTheEndStaysOwed(t *testing.T) {
	bubble(t, withHook(), func(t *testing.T, w *world) {
		a := w.Fire("p3", "a")
		w.Pass(time.Minute)
		w.Mails()
		refuse := routertest.Refuse(fmt.Errorf("550 5.1.1 no: %w", router.ErrPermanent), "support")
		w.Behave(func(m *routertest.Mail) error {
			if m.To == "support" {
				time.Sleep(time.Second) // by then the others were told, and the refusal is news of its own
			}
			return refuse(m)
		})
		w.Resolve(a)
		w.Pass(time.Hour)
		w.Expect("oncall resolved", hookName+" resolved", hookName+" reminder")
		w.Attempts()
		w.Pass(23 * time.Hour)
		if n := len(w.Attempts()); n != 0 {
			t.Errorf("%d attempts within a day", n)
		}
		w.Behave(nil)
		w.Pass(2 * time.Hour)
		w.Expect("support resolved")
	})
}

func TestTheEndIsGivenUpAfterThreeRefusals(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		a := w.Fire("p3", "a")
		w.Pass(time.Minute)
		w.Attempts()
		w.Behave(routertest.Refuse(fmt.Errorf("550 5.1.1 no: %w", router.ErrPermanent), "support"))
		w.Resolve(a)
		w.Pass(4 * 24 * time.Hour)
		if n := len(w.Attempts("support")); n != 3 {
			t.Errorf("%d attempts", n)
		}
		if sub := w.Situation(1).Subscription("email:support@example.org"); len(sub.Owed) != 0 || !sub.DueAt.IsZero() {
			t.Errorf("still owed: %+v", sub)
		}
	})
}
