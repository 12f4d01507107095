package bolt

import (
	"encoding/hex"
	"math"
	"testing"

	"sitrep/storage"
)

// Stages that an earlier build stored are gone on with.
func TestTheStoredFormOfStages(t *testing.T) {
	for want, s := range map[string]storage.Stage{
		"":                                   {},
		"0000000000000007000000000000000000": {Event: 7},
		"7fffffffffffffff000000000000012c01": {Event: math.MaxInt64, Delivery: "300", Again: true},
	} {
		b, err := stageBytes(s)
		if err != nil || hex.EncodeToString(b) != want {
			t.Errorf("%+v is stored as %x, %v", s, b, err)
		}
		if got := cutStage(b); got != s {
			t.Errorf("%x is read as %+v", b, got)
		}
	}
	if _, err := stageBytes(storage.Stage{Delivery: "x"}); err == nil {
		t.Error("what is no cursor is stored")
	}
}
