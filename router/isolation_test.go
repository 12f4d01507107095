package router_test

import (
	"context"
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

// aboutOne reports whether an envelope is about that incident and no other.
func aboutOne(e router.Envelope, number int) bool {
	return strings.HasPrefix(e.ID, fmt.Sprintf("INC-%d.", number))
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
				w.mail.set(func(to string, e router.Envelope) error {
					if to == "cto" && aboutOne(e, 1) {
						return how.err
					}
					return nil
				})
				w.post(alert("p2", "a"))
				time.Sleep(5 * time.Minute)
				w.expect("oncall opened", "support opened")
				began := time.Now()
				w.post(alert("p1", "b"))
				time.Sleep(10 * time.Second)
				for _, m := range w.expect("cto opened", "oncall opened", "support opened") {
					if m.at.Sub(began) > time.Second {
						t.Errorf("%s got it %v late", m.to, m.at.Sub(began))
					}
				}
				w.mail.set(nil)
				time.Sleep(2 * time.Minute)
				w.expect("cto opened")
				for _, d := range w.deliveries() {
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
			w := newWorld(fatal{t}, policy())
			w.poll = 10 * time.Minute
			sleepUntil(noon)
			w.start()
			defer w.stop()
			defer func() { stopped = recover() }()
			w.mail.set(func(to string, e router.Envelope) error {
				for n := 1; n <= 3; n++ {
					if err := refused[fmt.Sprint(to, n)]; err != nil && aboutOne(e, n) {
						return err
					}
				}
				return nil
			})
			for _, slo := range order {
				w.post(alert(slo, slo))
				time.Sleep(gap)
			}
			time.Sleep(5 * time.Minute)
			got := map[string]bool{}
			for _, d := range w.deliveries() {
				to := strings.TrimSuffix(d.Address, "@example.org")
				key := fmt.Sprint(to, d.Incident)
				late := d.SentAt.Sub(d.DueAt)
				if refused[key] == nil && d.State == incident.DeliveryDelivered && late <= 2*time.Second {
					got[key] = true
				}
			}
			for n := int64(1); n <= 3; n++ {
				for _, sub := range w.situation(n).Subscriptions {
					key := fmt.Sprint(sub.Recipient[len("email:"):len(sub.Recipient)-len("@example.org")], n)
					if refused[key] == nil && !got[key] {
						w.t.Errorf("%s was not told of INC-%d in time; refused are %v", sub.Recipient, n, refused)
					}
				}
			}
			w.mail.set(nil)
			time.Sleep(20 * time.Minute)
			for _, d := range w.deliveries() {
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
				w.mail.set(func(to string, _ router.Envelope) error {
					if strings.HasPrefix(to, "https:") {
						time.Sleep(10 * time.Second)
						return fmt.Errorf("no answer: %w", router.ErrUnknown)
					}
					return nil
				})
				began := time.Now()
				w.post(alert("p1", "a"))
				time.Sleep(25 * time.Second)
				n := 0
				for _, m := range w.mail.take() {
					if n++; m.at.Sub(began) > time.Second {
						t.Errorf("%s got it %v late", m.to, m.at.Sub(began))
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
		w.mail.set(down())
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		w.mail.takeTries()
		time.Sleep(10 * time.Minute)
		if n := len(w.mail.takeTries()); n < 15 || n > 35 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		back := time.Now()
		w.mail.set(nil)
		time.Sleep(time.Minute)
		mails := w.mail.take()
		if len(mails) != 52 {
			t.Errorf("%d mails", len(mails))
		}
		for _, m := range mails {
			if m.at.Sub(back) > 40*time.Second {
				t.Errorf("%s got it %v after the return", m.to, m.at.Sub(back))
			}
		}
		for _, d := range w.deliveries() {
			if !strings.Contains(d.Cause.Said, "the mail server is down") {
				t.Errorf("the cause of %s is %+v", d.Address, d.Cause)
			}
		}
	})
}

func TestARecipientThatTakesNothingHoldsBackItself(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(func(to string, _ router.Envelope) error {
			if to == "cto" {
				return &router.Later{Wait: 3 * time.Minute, Err: fmt.Errorf("429: %w", router.ErrReader)}
			}
			return nil
		})
		began := time.Now()
		w.post(alert("p1", "a"))
		time.Sleep(time.Minute)
		w.post(alert("p2", "b"))
		time.Sleep(time.Minute)
		w.expect("oncall opened", "oncall opened", "support opened", "support opened")
		n := 0
		for _, try := range w.mail.takeTries() {
			if try.to == "cto" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d attempts", n)
		}
		w.mail.set(nil)
		sleepUntil(began.Add(3*time.Minute - time.Second))
		w.expect()
		time.Sleep(2 * time.Second)
		w.expect("cto opened", "cto opened")
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
		w.mail.set(func(string, router.Envelope) error {
			time.Sleep(10 * time.Second)
			return nil
		})
		w.post(alert("p3", "a")) // 201 mails, 64 at once: half a minute
		time.Sleep(5 * time.Second)
		w.mail.takeTries()
		w.post(alert("p1", "b"))
		time.Sleep(3 * time.Minute)
		firstP1, lastP3 := time.Time{}, time.Time{}
		for _, try := range w.mail.takeTries() {
			switch {
			case strings.HasPrefix(try.id, "INC-2.") && firstP1.IsZero():
				firstP1 = try.at
			case strings.HasPrefix(try.id, "INC-1."):
				lastP3 = try.at
			}
		}
		if firstP1.IsZero() || !firstP1.Before(lastP3) {
			t.Errorf("the first of P1 was tried at %v, the last of P3 at %v", firstP1, lastP3)
		}
		if n := w.mail.count(); n != 403 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestReadersHearOfThePriorityThatMattersFirst(t *testing.T) {
	bubble(t, policy(), func(t *testing.T, w *world) {
		w.mail.set(down())
		w.post(alert("p3", "a"))
		time.Sleep(time.Minute)
		w.post(alert("p2", "b"))
		time.Sleep(time.Minute)
		w.post(alert("p1", "c"))
		time.Sleep(time.Minute)
		w.mail.set(nil)
		time.Sleep(time.Minute)
		order := map[string][]string{}
		for _, m := range w.mail.take() {
			order[m.to] = append(order[m.to], m.First().Incident.Priority.Name)
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
		w.mail.set(down("cto"))
		w.post(alert("p1", "a"))
		time.Sleep(10 * time.Second)
		w.stop()
		w.open()
		w.must(w.store.Write(context.Background(), func(tx storage.Tx) error {
			page, _, err := tx.Deliveries(t.Context(), storage.DeliveryQuery{State: incident.DeliveryPending, Limit: 10})
			if err != nil || len(page) != 1 {
				t.Fatalf("pending %+v, %v", page, err)
			}
			d := page[0]
			d.RefusedAt, d.RetryAt = clock().Add(2*time.Hour), clock().Add(2*time.Hour+time.Minute)
			return tx.PutDelivery(t.Context(), &d, nil)
		}))
		w.must(w.store.Close())
		w.mail.set(nil)
		w.mail.take()
		w.start()
		time.Sleep(5 * time.Second)
		w.expect("cto opened")
	})
}
