package app

import "testing"

func TestANameOfALedgerIsKnownAsMade(t *testing.T) {
	for range 100 {
		if name := ledgerName("https://sitrep.example.org"); !madeName.MatchString(name) {
			t.Errorf("%s", name)
		}
	}
}
