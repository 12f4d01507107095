package router_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/router"
	"sitrep/router/routertest"
	"sitrep/storage"
)

// hooks returns webhooks, each of a host of its own unless one is given.
func hooks(n int, host string) []incident.Recipient {
	var out []incident.Recipient
	for i := range n {
		h := host
		if h == "" {
			h = fmt.Sprintf("https://hook%03d.example", i)
		}
		out = append(out, incident.Recipient{ID: fmt.Sprintf("webhook:%03d", i), Channel: incident.ChannelWebhook, Address: h})
	}
	return out
}

// aboutOne reports whether a mail is about that incident and no other.
func aboutOne(m *routertest.Mail, number int) bool {
	return strings.HasPrefix(m.ID, fmt.Sprintf("INC-%d.", number))
}

func TestAMessageThatIsRefusedForNowHoldsBackNoOther(t *testing.T) {
	for _, how := range []struct {
		name string
		err  error
	}{
		{"refused", fmt.Errorf("451 try again later")},
		{"of unknown outcome", fmt.Errorf("dropped after the dot: %w", router.ErrUnknown)},
		{"refused by the set-up", fmt.Errorf("554 5.7.1 no: %w", router.ErrSetup)},
	} {
		t.Run(how.name, func(t *testing.T) {
			bubble(t, policy(), func(t *testing.T, w *world) {
				w.Behave(func(m *routertest.Mail) error {
					if m.To == "cto" && aboutOne(m, 1) {
						return how.err
					}
					return nil
				})
				w.Fire("p2", "a")
				w.Pass(5 * time.Minute)
				w.Expect("oncall opened", "support opened")
				began := time.Now()
				w.Fire("p1", "b")
				w.Pass(10 * time.Second)
				for _, m := range w.Expect("cto opened", "oncall opened", "support opened") {
					if m.Taken.Sub(began) > time.Second {
						t.Errorf("%s got it %v late", m.To, m.Taken.Sub(began))
					}
				}
				w.Behave(nil)
				w.Pass(2 * time.Minute)
				w.Expect("cto opened")
				for _, d := range w.Deliveries() {
					if d.State == incident.DeliveryPending || !d.RetryAt.IsZero() {
						t.Errorf("delivery %+v", d)
					}
				}
			})
		})
	}
}

// TestWhateverMessagesAreRefusedAllOthersArriveInTime: which messages a server refuses for
// now, and how, is drawn; whoever is not among them is told in time, and the others once
// the server takes them.
func TestWhateverMessagesAreRefusedAllOthersArriveInTime(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("15")
		defer f.Value.Set(f.DefValue)
	}
	rapid.Check(t, func(rt *rapid.T) {
		refused := map[string]error{}
		hows := []error{
			fmt.Errorf("451 later"), fmt.Errorf("lost: %w", router.ErrUnknown), fmt.Errorf("554: %w", router.ErrSetup),
			&router.Later{Wait: 20 * time.Minute, Err: fmt.Errorf("503 later")},
		}
		for _, to := range []string{"cto", "support", "oncall"} {
			for n := 1; n <= 3; n++ {
				if how := rapid.IntRange(-3, len(hows)-1).Draw(rt, fmt.Sprint(to, n)); how >= 0 {
					refused[fmt.Sprint(to, n)] = hows[how]
				}
			}
		}
		order := rapid.Permutation([]string{"p1", "p2", "p3"}).Draw(rt, "order")
		gap := time.Duration(rapid.IntRange(0, 90).Draw(rt, "gap")) * time.Second
		var stopped any
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(fatal{t}, routertest.Options{Policy: policy(), Poll: 10 * time.Minute})
			w.Start()
			defer func() { stopped = recover() }()
			w.Behave(func(m *routertest.Mail) error {
				for n := 1; n <= 3; n++ {
					if err := refused[fmt.Sprint(m.To, n)]; err != nil && aboutOne(m, n) {
						return err
					}
				}
				return nil
			})
			for _, slo := range order {
				w.Fire(slo, slo)
				w.Pass(gap)
			}
			w.Pass(5 * time.Minute)
			got := map[string]bool{}
			for _, d := range w.Deliveries() {
				to := strings.TrimSuffix(d.Address, "@example.org")
				key := fmt.Sprint(to, d.Incident)
				late := d.SentAt.Sub(d.DueAt)
				if refused[key] == nil && d.State == incident.DeliveryDelivered && late <= 2*time.Second {
					got[key] = true
				}
			}
			for n := int64(1); n <= 3; n++ {
				for _, sub := range w.Situation(n).Subscriptions {
					key := fmt.Sprint(sub.Recipient[len("email:"):len(sub.Recipient)-len("@example.org")], n)
					if refused[key] == nil && !got[key] {
						w.t.Errorf("%s was not told of INC-%d in time; refused are %v", sub.Recipient, n, refused)
					}
				}
			}
			w.Behave(nil)
			w.Pass(20 * time.Minute)
			for _, d := range w.Deliveries() {
				if d.State == incident.DeliveryPending {
					w.t.Errorf("still pending: %+v", d)
				}
			}
		})
		switch stopped := stopped.(type) {
		case nil:
		case broken:
			rt.Fatal(stopped)
		default:
			panic(stopped)
		}
	})
}

func TestHangingWebhooksDelayNoHealthyMailbox(t *testing.T) {
	for _, host := range []string{"", "https://hooks.example"} {
		t.Run("host "+host, func(t *testing.T) {
			p := policy()
			p.Groups[1].Recipients = append(hooks(200, host), incidenttest.Mails("support", "support2")...)
			bubble(t, p, func(t *testing.T, w *world) {
				w.Behave(func(m *routertest.Mail) error {
					if strings.HasPrefix(m.To, "https:") {
						time.Sleep(10 * time.Second)
						return fmt.Errorf("no answer: %w", router.ErrUnknown)
					}
					return nil
				})
				began := time.Now()
				w.Fire("p1", "a")
				w.Pass(25 * time.Second)
				n := 0
				for _, m := range w.Mails() {
					if n++; m.Taken.Sub(began) > time.Second {
						t.Errorf("%s got it %v late", m.To, m.Taken.Sub(began))
					}
				}
				if n != 4 {
					t.Errorf("%d messages, want 4", n)
				}
			})
		})
	}
}

func TestOneFindsOutWhetherAServerIsBack(t *testing.T) {
	p := policy()
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf("reader%02d", i))
	}
	p.Groups[1].Recipients = incidenttest.Mails(many...)
	bubble(t, p, func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(routertest.ErrDown))
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Attempts()
		w.Pass(10 * time.Minute)
		if n := len(w.Attempts()); n < 15 || n > 35 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		back := time.Now()
		w.Behave(nil)
		w.Pass(time.Minute)
		mails := w.Mails()
		if len(mails) != 52 {
			t.Errorf("%d mails", len(mails))
		}
		for _, m := range mails {
			if m.Taken.Sub(back) > 40*time.Second {
				t.Errorf("%s got it %v after the return", m.To, m.Taken.Sub(back))
			}
		}
		for _, d := range w.Deliveries() {
			if !strings.Contains(d.Cause.Said, "the mail server is down") {
				t.Errorf("the cause of %s is %+v", d.Address, d.Cause)
			}
		}
	})
}

func TestARecipientThatTakesNothingHoldsBackItself(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(&router.Later{Wait: 3 * time.Minute, Err: fmt.Errorf("429: %w", router.ErrReader)}, "cto"))
		began := time.Now()
		w.Fire("p1", "a")
		w.Pass(time.Minute)
		w.Fire("p2", "b")
		w.Pass(time.Minute)
		w.Expect("oncall opened", "oncall opened", "support opened", "support opened")
		if n := len(w.Attempts("cto")); n != 1 {
			t.Errorf("%d attempts", n)
		}
		w.Behave(nil)
		w.Until(began.Add(3*time.Minute - time.Second))
		w.Expect()
		w.Pass(2 * time.Second)
		w.Expect("cto opened", "cto opened")
	})
}

// A server that asks for less gets less, and what is most urgent first.
func TestTheMostUrgentGoesFirst(t *testing.T) {
	p := policy()
	p.DigestAbove = 0
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("reader%03d", i))
	}
	p.Groups[1].Recipients = incidenttest.Mails(many...)
	bubble(t, p, func(t *testing.T, w *world) {
		w.Behave(routertest.Stall(10 * time.Second))
		w.Fire("p3", "a") // 201 mails, 64 at once: half a minute
		w.Pass(5 * time.Second)
		w.Attempts()
		w.Fire("p1", "b")
		w.Pass(3 * time.Minute)
		firstP1, lastP3 := time.Time{}, time.Time{}
		for _, try := range w.Attempts() {
			switch {
			case strings.HasPrefix(try.ID, "INC-2.") && firstP1.IsZero():
				firstP1 = try.Began
			case strings.HasPrefix(try.ID, "INC-1."):
				lastP3 = try.Began
			}
		}
		if firstP1.IsZero() || !firstP1.Before(lastP3) {
			t.Errorf("the first of P1 was tried at %v, the last of P3 at %v", firstP1, lastP3)
		}
		if n := len(w.Mails()); n != 403 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestReadersHearOfThePriorityThatMattersFirst(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(routertest.ErrDown))
		w.Fire("p3", "a")
		w.Pass(time.Minute)
		w.Fire("p2", "b")
		w.Pass(time.Minute)
		w.Fire("p1", "c")
		w.Pass(time.Minute)
		w.Behave(nil)
		w.Pass(time.Minute)
		order := map[string][]string{}
		for _, m := range w.Mails() {
			order[m.To] = append(order[m.To], m.First().Incident.Priority.Name)
		}
		for to, got := range order {
			if want := "P1 P2 P3"; to != "cto" && strings.Join(got, " ") != want {
				t.Errorf("%s heard of %v, want %s", to, got, want)
			}
		}
	})
}

// What waits is stored, so that a restart tries nothing sooner, and a wait that began in
// the future, as the clock was set back, is none.
func TestAWaitFromTheFutureIsNone(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.Behave(routertest.Refuse(errLater, "cto"))
		w.Fire("p1", "a")
		w.Pass(10 * time.Second)
		w.Stop()
		w.Open()
		w.Write(func(tx storage.Tx) error {
			page, _, err := tx.Deliveries(t.Context(), storage.DeliveryQuery{State: incident.DeliveryPending, Limit: 10})
			if err != nil || len(page) != 1 {
				t.Fatalf("pending %+v, %v", page, err)
			}
			d := page[0]
			d.RefusedAt, d.RetryAt = w.Now().Add(2*time.Hour), w.Now().Add(2*time.Hour+time.Minute)
			return tx.PutDelivery(t.Context(), &d, nil)
		})
		w.Behave(nil)
		w.Mails()
		w.Start()
		w.Pass(5 * time.Second)
		w.Expect("cto opened")
	})
}
