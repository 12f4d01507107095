package bolt_test

import (
	"testing"

	"sitrep/storage/bolt"
)

// TestACheckTellsHowFarItIs: never back, never beyond, and most of the file in the end.
func TestACheckTellsHowFarItIs(t *testing.T) {
	db, err := bolt.OpenReadOnly(t.Context(), filled(t, 100))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	told, before, all := 0, int64(0), int64(0)
	if err := db.CheckTelling(t.Context(), func(done, total int64) {
		if done < before || done > total {
			t.Errorf("%d of %d bytes after %d", done, total, before)
		}
		before, all = done, total
		told++
	}); err != nil {
		t.Fatal(err)
	}
	if told < 10 || before < all/4 {
		t.Errorf("told %d times, at last that %d of %d bytes were read", told, before, all)
	}
}
