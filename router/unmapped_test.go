package router_test

import (
	"slices"
	"testing"
	"time"

	"sitrep/storage"
)

func TestAlertsWithoutAnSLOAreForgottenOnceNobodyHearsOfThem(t *testing.T) {
	p := policy()
	p.UnknownAfter = 4 * time.Hour
	bubble(t, p, func(t *testing.T, w *world) {
		a, b := w.Alert("nobody's", "a"), w.Alert("nobody's", "b")
		w.Post(a, b)
		known := func(at time.Duration, want ...string) {
			t.Helper()
			w.Until(noon.Add(at))
			var got []string
			w.Read(func(r storage.Snapshot) error {
				page, _, err := r.UnmappedAlerts(t.Context(), 10, "")
				for _, u := range page {
					got = append(got, u.Fingerprint)
				}
				return err
			})
			if !slices.Equal(got, want) {
				t.Errorf("after %v: %q, want %q", at, got, want)
			}
		}
		known(3*time.Hour, "a", "b")
		w.Post(b)
		known(4*time.Hour+30*time.Minute, "b")
		known(6*time.Hour, "b")
		known(8 * time.Hour)
		if r := w.Post(b); r[0].Result != "unmapped" {
			t.Errorf("heard again: %s", r[0].Result)
		}
		known(9*time.Hour, "b")
	})
}
