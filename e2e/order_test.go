package e2e_test

import (
	"slices"
	"testing"
	"time"

	"sitrep/e2e/rig"
)

// TestThreeAlertmanagersWithoutMesh: each tells of the same alert, and it is one
// incident and one message.
func TestThreeAlertmanagersWithoutMesh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	var ams []*rig.Alertmanager
	for range 3 {
		ams = append(ams, w.startAlertmanager("2s"))
	}
	a := alert("register", "page", time.Now().Add(-time.Second).Truncate(time.Millisecond))
	for _, am := range ams {
		check(t, am.Post(a))
	}
	w.eventually("all three told twice", func() bool { return w.metric("sitrep_alerts_received_total") >= 6 })
	want := map[string][]string{chief: {"opened INC-1"}, support: {"opened INC-1"}, onCall: {"opened INC-1"}}
	w.wantMails(want)
	if in := w.incidents()["register"]; in.Breaches.Total != 1 {
		t.Errorf("got %+v, want one breach", in)
	}
	over := ended(a)
	for _, am := range ams {
		check(t, am.Post(over...))
	}
	for to := range want {
		want[to] = append(want[to], "resolved INC-1")
	}
	w.wantMails(want)
	heard := w.metric("sitrep_alerts_received_total")
	for _, am := range ams {
		check(t, am.Post(over...))
	}
	rig.Poll(3*time.Second, func() bool { return w.metric("sitrep_alerts_received_total") > heard })
	w.wantMails(want)
}

// TestOldPayloadAfterNewer: of what was known before nobody hears again, however late it
// arrives. A firing that can be a late copy or real fires until it ends.
func TestOldPayloadAfterNewer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{resolveAfter: "1h"})
	start := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	first := firing("register", "f1", start)
	second := firing("register", "f1", start.Add(40*time.Second))
	steps := []struct {
		name  string
		alert payloadAlert
		want  []string // any of them
	}{
		{"it fires", first, []string{"opened"}},
		{"and again: a repeat", first, []string{"repeated"}},
		{"it ends", resolved(first, start.Add(30*time.Second)), []string{"resolved"}},
		{"it fires anew", second, []string{"joined"}},
		{"the first end, late", resolved(first, start.Add(30*time.Second)), []string{"stale", "repeated"}},
		{"the first firing, late", first, []string{"repeated"}},
		{"the second ends", resolved(second, start.Add(50*time.Second)), []string{"resolved"}},
		{"the first firing, later still, and nobody to ask", first, []string{"joined"}},
		{"the first end, later still", resolved(first, start.Add(30*time.Second)), []string{"stale"}},
		{"the second end once more", resolved(second, start.Add(50*time.Second)), []string{"resolved"}},
	}
	for _, s := range steps {
		if got := w.post(s.alert); len(got) != 1 || !slices.Contains(s.want, got[0]) {
			t.Errorf("%s: got %v, want %v", s.name, got, s.want)
		}
	}
	if in := w.incidents()["register"]; in.Breaches.Total != 2 || in.Breaches.Firing != 0 || in.State != "open" {
		t.Errorf("got %+v, want two breaches, both ended", in)
	}
	w.wantMails(map[string][]string{chief: {"opened INC-1"}, support: {"opened INC-1"}, onCall: {"opened INC-1"}})
}
