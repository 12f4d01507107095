package router_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/router"
	"sitrep/router/routertest"
	"sitrep/storage"
)

func TestWhatIsOldGoesPieceByPiece(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, routertest.Options{Policy: policy(), Poll: time.Hour, Retention: router.Retention{Breaches: 10 * day, Messages: 20 * day, Personal: 30 * day}})
		w.Start()
		a := w.Fire("p3", "a")
		w.Pass(time.Minute)
		w.Do(1, command.Acknowledge{})
		w.Pass(time.Hour)
		w.Resolve(a)
		for w.Situation(1).Incident.State != incident.StateClosed {
			w.Pass(10 * time.Minute)
		}
		closed := w.Situation(1).Incident.ClosedAt

		left := func() string {
			t.Helper()
			var what []string
			w.Read(func(r storage.Snapshot) error {
				breaches, _, err := r.Breaches(t.Context(), 1, 10, "")
				if len(breaches) > 0 {
					what = append(what, "breaches")
				}
				if err != nil {
					return err
				}
				for _, d := range w.Deliveries() {
					if _, err := r.Message(t.Context(), d.ID); err == nil {
						what = append(what, "messages")
						break
					}
				}
				return nil
			})
			if w.Situation(1).Incident.AcknowledgedBy == "ada" && w.Events(1)[2].Actor == "ada" && strings.Contains(w.Deliveries()[0].Recipient, "@") {
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
			w.Until(closed.Add(c.after))
			if got := left(); got != c.want {
				t.Errorf("after %v there are %q, want %q", c.after, got, c.want)
			}
		}
		if in := w.Situation(1).Incident; in.AcknowledgedBy != incident.Forgotten || len(w.Events(1)) != int(in.Sequence) {
			t.Errorf("it is %+v", in)
		}
	})
}
