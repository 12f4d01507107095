package router_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/router"
	"sitrep/storage"
)

func TestWhatIsOldGoesPieceByPiece(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, policy())
		w.poll = 10 * time.Minute
		w.keep = router.Retention{Breaches: 10 * day, Messages: 20 * day, Personal: 30 * day}
		sleepUntil(noon)
		w.start()
		defer w.stop()
		a := alert("p3", "a")
		w.post(a)
		time.Sleep(time.Minute)
		w.must(w.do(1, func(in *incident.Incident, s incident.Stamp, _ *incident.Policy) ([]incident.Event, error) {
			return in.Acknowledge(s)
		}))
		time.Sleep(time.Hour)
		w.post(resolved(a))
		for w.situation(1).Incident.State != incident.StateClosed {
			time.Sleep(10 * time.Minute)
		}
		closed := w.situation(1).Incident.ClosedAt

		left := func() string {
			t.Helper()
			var what []string
			w.must(w.store.Read(t.Context(), func(r storage.Snapshot) error {
				breaches, _, err := r.Breaches(t.Context(), 1, 10, "")
				if len(breaches) > 0 {
					what = append(what, "breaches")
				}
				if err != nil {
					return err
				}
				for _, d := range w.deliveries() {
					if _, err := r.Message(t.Context(), d.ID); err == nil {
						what = append(what, "messages")
						break
					}
				}
				return nil
			}))
			if w.situation(1).Incident.AcknowledgedBy == "ada" && w.log(1)[2].Actor == "ada" && strings.Contains(w.deliveries()[0].Recipient, "@") {
				what = append(what, "names")
			}
			return strings.Join(what, " ")
		}
		for _, c := range []struct {
			after time.Duration
			want  string
		}{
			{9 * day, "breaches messages names"},
			{10*day + 2*time.Hour, "messages names"},
			{19 * day, "messages names"},
			{20*day + 2*time.Hour, "names"},
			{29 * day, "names"},
			{30*day + 2*time.Hour, ""},
		} {
			sleepUntil(closed.Add(c.after))
			if got := left(); got != c.want {
				t.Errorf("after %v there are %q, want %q", c.after, got, c.want)
			}
		}
		if in := w.situation(1).Incident; in.AcknowledgedBy != incident.Forgotten || len(w.log(1)) != int(in.Sequence) {
			t.Errorf("it is %+v", in)
		}
	})
}
