package e2e_test

import (
	"slices"
	"testing"
	"time"
)

// TestMailServerAway: after an outage each reader gets one message that catches up.
func TestMailServerAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.mail.Off()
	w.post(firing("register", "f1", time.Now().Add(-time.Second)))
	w.eventually("a first attempt fails", func() bool {
		return slices.ContainsFunc(list[deliveryView](w, "/api/v1/deliveries", "deliveries"), func(d deliveryView) bool { return d.Error != "" })
	})
	check(t, w.Post("/api/v1/incidents/INC-1/updates", map[string]string{"message": "We look into it."}, nil))
	check(t, w.Post("/api/v1/incidents/INC-1/priority", map[string]string{"priority": "P2", "reason": "A workaround exists."}, nil))
	check(t, w.mail.On())
	w.eventually("stakeholders and on_call are told", func() bool { return len(w.mail.To(support)) > 0 && len(w.mail.To(onCall)) > 0 })
	w.deliveries()
	for _, to := range []string{support, onCall} {
		if got := w.mail.To(to); len(got) != 1 || got[0].Kind() != "opened" || got[0].Header.Get("X-Sitrep-Priority") != "P2" {
			t.Errorf("%s: want one opening that says P2, got%s", to, w.mailbox())
		}
	}
}

// TestOneRefusedRecipient: a 550 is final for that message and delays nobody else; a
// 450 is tried again.
func TestOneRefusedRecipient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	busy := true
	w.mail.Refuse(func(to string) string {
		switch {
		case to == chief:
			return "550 5.1.1 no such user"
		case to == support && busy:
			busy = false
			return "450 4.2.0 try later"
		}
		return ""
	})
	w.post(firing("register", "f1", time.Now().Add(-time.Second)))
	w.eventually("the refusal is on record", func() bool {
		return slices.ContainsFunc(list[deliveryView](w, "/api/v1/incidents/INC-1/deliveries", "deliveries"), func(d deliveryView) bool {
			return d.Recipient == chief && d.State == "failed" && d.Error != ""
		})
	})
	w.eventually("the busy mailbox got its mail", func() bool { return len(w.mail.To(support)) == 1 })
	w.eventually("on_call hears of the opening and that it failed for the chief", func() bool {
		got := w.mail.To(onCall)
		return len(got) == 2 && got[0].Kind() == "opened" && got[1].Kind() == "reminder"
	})
}
