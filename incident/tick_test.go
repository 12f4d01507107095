package incident_test

import (
	"testing"
	"time"
)

// TestOneReminderForAllReaders: after an outage the readers come back one by one, and
// each has its own time for the next update. The team is reminded once.
func TestOneReminderForAllReaders(t *testing.T) {
	w := newWorld(t, policy())
	w.open("P1")
	w.expect("cto opened", "support opened", "oncall opened")
	w.down["email:cto@example.org"], w.down["email:support@example.org"] = true, true
	w.pass(4*time.Hour, time.Minute)
	w.take()
	w.down["email:cto@example.org"] = false
	w.pass(time.Second, time.Second)
	w.down["email:support@example.org"] = false
	w.pass(time.Second, time.Second)
	w.expect("cto update", "support update")
	for range 3 {
		w.pass(time.Hour, time.Second)
	}
	w.expect("cto update", "support update", "cto update", "support update", "oncall reminder", "oncall reminder")
}

// TestReminderThatCameTooLate: a reminder that could not be handed over before the
// update went out, or was written, is not news any more.
func TestReminderThatCameTooLate(t *testing.T) {
	for name, passes := range map[string]func(w *world){
		"the update went out": func(w *world) { w.pass(20*time.Minute, time.Minute) },
		"it was written": func(w *world) {
			w.must(w.s.Incident.WriteUpdate(w.stamp("ada"), w.p, "We look into it.", nil))
			w.pass(time.Minute, time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, policy())
			w.open("P1")
			w.expect("cto opened", "support opened", "oncall opened")
			w.down["email:oncall@example.org"] = true
			w.pass(106*time.Minute, time.Minute)
			if sub := w.s.Subscription("email:oncall@example.org"); len(sub.Owed) != 1 || sub.DueAt.IsZero() {
				t.Fatalf("no reminder is owed: %+v", sub)
			}
			passes(w)
			w.down["email:oncall@example.org"] = false
			w.expect("cto update", "support update")
			if sub := w.s.Subscription("email:oncall@example.org"); len(sub.Owed) != 0 || !sub.DueAt.IsZero() {
				t.Errorf("still owed: %+v", sub)
			}
		})
	}
}
