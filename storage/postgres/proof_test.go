package postgres

import (
	"errors"
	"log/slog"
	"testing"
)

// A trouble is over once there is the proof that the worst of it asks for. Who only reads writes
// nothing, so an answer is enough.
func TestATroubleIsOverOnceThatIsProven(t *testing.T) {
	for _, tt := range []struct {
		name    string
		writes  bool
		until   []proof // of one trouble after the other
		enough  proof
		missing []proof
	}{
		{"an answer is enough", true, []proof{byAnswer}, byAnswer, nil},
		{"a write is needed", true, []proof{byWrite, byAnswer}, byWrite, []proof{byAnswer}},
		{"what probes is needed", true, []proof{byAnswer, byProbe, byWrite}, byProbe, []proof{byAnswer, byWrite}},
		{"who reads", false, []proof{byProbe}, byAnswer, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := &DB{writes: tt.writes, log: slog.New(slog.DiscardHandler)}
			for _, until := range tt.until {
				_ = db.ill(errors.New("it does not work"), until)
			}
			for _, by := range tt.missing {
				if db.well(by); db.trouble == nil {
					t.Errorf("proof %d ends it", by)
				}
			}
			if db.well(tt.enough); db.trouble != nil {
				t.Errorf("proof %d does not end it", tt.enough)
			}
			_ = db.ill(errors.New("it does not work again"), byAnswer)
			if db.well(byAnswer); db.trouble != nil {
				t.Error("the trouble before is remembered")
			}
		})
	}
}
