package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/router"
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
				w.mail.set(func(to string, _ router.Envelope) error {
					if (to == "cto") != first {
						time.Sleep(time.Second)
					}
					if to == "cto" {
						return errDoubt
					}
					return nil
				})
				w.post(alert("p1", "a"))
				time.Sleep(10 * time.Minute)
				n := 0
				for _, try := range w.mail.takeTries() {
					if try.to == "cto" {
						n++
					}
				}
				if n != 1 {
					t.Errorf("%d attempts", n)
				}
				for _, d := range w.deliveries() {
					if d.Address == "cto@example.org" && (d.State != incident.DeliveryFailed || d.FinishedAt.Sub(d.CreatedAt) > time.Minute) {
						t.Errorf("delivery %+v", d)
					}
				}
				w.expect("support opened", "oncall opened", "oncall reminder")
			})
		})
	}
}

func TestWhileAllAreRefusedAlikeItIsTheSetUp(t *testing.T) {
	for _, refusal := range []error{errDoubt, errSetup} {
		t.Run(refusal.Error(), func(t *testing.T) {
			bubble(t, withHook(), func(t *testing.T, w *world) {
				began := time.Now()
				w.mail.set(func(to string, _ router.Envelope) error {
					if to == hookName {
						return nil
					}
					return refusal
				})
				w.post(alert("p1", "a"))
				time.Sleep(time.Minute)
				w.expect(hookName+" opened", hookName+" reminder")
				servers := w.replica.scheduler.Dispatcher.Servers()
				if len(servers) != 1 || !servers[0].RefusesAll || !strings.Contains(servers[0].Error, "RCPT") || servers[0].FailingSince.Sub(began) > time.Second {
					t.Errorf("servers %+v", servers)
				}
				time.Sleep(2 * time.Hour)
				w.mail.take()
				for _, d := range w.deliveries() {
					if d.State == incident.DeliveryFailed {
						t.Errorf("delivery %+v", d)
					}
				}
				mended := time.Now()
				w.mail.set(nil)
				time.Sleep(time.Minute)
				for _, m := range w.expect("cto opened", "support opened", "oncall opened") {
					if m.at.Sub(mended) > time.Minute {
						t.Errorf("%s got it %v after it was mended", m.to, m.at.Sub(mended))
					}
				}
				if servers := w.replica.scheduler.Dispatcher.Servers(); len(servers) != 0 {
					t.Errorf("servers %+v", servers)
				}
			})
		})
	}
}

func TestTheTeamsWebhooksHearThatTheMailServerIsAway(t *testing.T) {
	bubble(t, withHook(), func(t *testing.T, w *world) {
		w.mail.set(func(to string, _ router.Envelope) error {
			if to == hookName {
				return nil
			}
			return errServer
		})
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		for _, m := range w.expect(hookName+" opened", hookName+" reminder") {
			if m.Kind == incident.KindReminder && m.First().Reasons[0].Reason != incident.DueMailRefused {
				t.Errorf("reminder %+v", m.First().Reasons)
			}
		}
		time.Sleep(time.Hour)
		w.expect() // once
	})
}

func TestTheEndStaysOwed(t *testing.T) {
	bubble(t, withHook(), func(t *testing.T, w *world) {
		a := alert("p3", "a")
		w.post(a)
		time.Sleep(time.Minute)
		w.mail.take()
		w.mail.set(func(to string, _ router.Envelope) error {
			if to == "support" {
				return fmt.Errorf("550 5.1.1 no: %w", router.ErrPermanent)
			}
			return nil
		})
		w.post(resolved(a))
		time.Sleep(time.Hour)
		w.expect("oncall resolved", hookName+" resolved", hookName+" reminder")
		w.mail.takeTries()
		time.Sleep(23 * time.Hour)
		if n := len(w.mail.takeTries()); n != 0 {
			t.Errorf("%d attempts within a day", n)
		}
		w.mail.set(nil)
		time.Sleep(2 * time.Hour)
		w.expect("support resolved")
	})
}

func TestTheEndIsGivenUpAfterThreeRefusals(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		a := alert("p3", "a")
		w.post(a)
		time.Sleep(time.Minute)
		w.mail.takeTries()
		w.mail.set(func(to string, _ router.Envelope) error {
			if to == "support" {
				return fmt.Errorf("550 5.1.1 no: %w", router.ErrPermanent)
			}
			return nil
		})
		w.post(resolved(a))
		time.Sleep(4 * 24 * time.Hour)
		n := 0
		for _, try := range w.mail.takeTries() {
			if try.to == "support" {
				n++
			}
		}
		if n != 3 {
			t.Errorf("%d attempts", n)
		}
		if sub := w.situation(1).Subscription("email:support@example.org"); len(sub.Owed) != 0 || !sub.DueAt.IsZero() {
			t.Errorf("still owed: %+v", sub)
		}
	})
}
