package storagetest

import (
	"context"
	"math"
	"testing"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// CheckHistory looks whether each of up to 1000 incidents is what its events say, which have no gaps
// and come in the order of their times, and whether the leaves of the log make the tree of which the
// store has the hashes.
func CheckHistory(t testing.TB, s storage.Store) {
	t.Helper()
	err := s.Read(t.Context(), func(r storage.Snapshot) error {
		ctx := t.Context()
		all, _, err := r.Incidents(ctx, storage.IncidentQuery{Limit: 1000})
		if err != nil {
			return err
		}
		if len(all) == 0 {
			t.Error("there are no incidents")
		}
		for i := range all {
			events, err := storage.EventsOf(ctx, r, all[i].Number, 0, math.MaxInt32)
			if err != nil {
				return err
			}
			for j := range events {
				if events[j].Sequence != int64(j+1) {
					t.Fatalf("%s: event %d has the number %d", all[i].ID(), j+1, events[j].Sequence)
				}
				if j > 0 && events[j].Time.Before(events[j-1].Time) {
					t.Errorf("%s: event %d is from before the one before it", all[i].ID(), j+1)
				}
			}
			var folded incident.Incident
			for j := range events {
				if err := folded.Apply(events[j]); err != nil {
					return err
				}
			}
			if folded.Sequence != all[i].Sequence || folded.State != all[i].State || folded.Breaches != all[i].Breaches {
				t.Errorf("%s is not what its events say:\n%+v\n%+v", all[i].ID(), all[i], folded)
			}
		}
		return checkTree(ctx, t, r)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkTree(ctx context.Context, t testing.TB, r storage.Snapshot) error {
	head, err := r.LogHead(ctx)
	if err != nil {
		return err
	}
	stored, err := ledger.LoadTree(head.Size, storage.Hashes(ctx, r))
	if err != nil {
		return err
	}
	var made ledger.Tree
	for made.Size() < head.Size {
		leaves, err := r.Leaves(ctx, made.Size(), 1000)
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			t.Fatalf("the log has %d leaves, not %d", made.Size(), head.Size)
		}
		for _, l := range leaves {
			made.AppendHash(ledger.Leaf{Kind: l.Kind, Bytes: l.Record.Leaf}.Hash())
		}
	}
	if made.Root() != stored.Root() {
		t.Error("the leaves of the log are not those of its tree")
	}
	return nil
}
