package audit_test

import (
	"slices"
	"testing"

	"sitrep/audit"
)

// heard is what a Progress was told.
type heard struct {
	kinds       []string
	done, total map[string]int64
}

// follow returns a Progress that notes what it is told, and finds what goes backwards or beyond its end.
func follow(t *testing.T, what string) (*heard, audit.Progress) {
	f := &heard{done: map[string]int64{}, total: map[string]int64{}}
	return f, func(kind string, done, total int64) {
		if !slices.Contains(f.kinds, kind) {
			f.kinds = append(f.kinds, kind)
		}
		if done < f.done[kind] || done > total {
			t.Errorf("%s, %s: %d of %d after %d", what, kind, done, total, f.done[kind])
		}
		f.done[kind], f.total[kind] = done, total
	}
}

// TestProgressComesToItsEnd: each thing that lasts says how far it is, never goes back, and ends where it said.
func TestProgressComesToItsEnd(t *testing.T) {
	aDay(t, func(w *world, ev *evidence) {
		key := []string{ev.key.Public()}
		made, tell := follow(t, "export")
		b, sum := export(t, w.Store(), audit.ExportOptions{Now: ev.at, Key: ev.key, Progress: tell})
		if want := []string{"incidents, their deliveries", "incidents, their events", "messages", "incidents, their pages"}; !slices.Equal(made.kinds, want) {
			t.Errorf("export tells of %q, want %q", made.kinds, want)
		}
		if n := int64(sum.Incidents); made.total["incidents, their pages"] != n || made.done["incidents, their pages"] != n-1 {
			t.Errorf("export of %d incidents: %+v", n, made)
		}

		read, tell := follow(t, "verify an export")
		verify(t, b, audit.VerifyOptions{Keys: key, Progress: tell})
		if done, total := read.done[audit.Bytes], read.total[audit.Bytes]; total == 0 || done < total*9/10 {
			t.Errorf("verifying an export ends at %d of %d bytes", done, total)
		}

		found, tell := follow(t, "verify")
		v, err := audit.Verify(t.Context(), w.Store(), audit.VerifyOptions{Keys: key, Progress: tell})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"leaves", "incidents", "deliveries"}; !slices.Equal(found.kinds, want) || found.done["leaves"] != v.Leaves || found.total["incidents"] != int64(v.Incidents) {
			t.Errorf("verify tells %+v of %+v", found, v)
		}

		measured, tell := follow(t, "report")
		if _, err := audit.MakeReport(t.Context(), w.Store(), audit.ReportOptions{Now: ev.at, Progress: tell}); err != nil {
			t.Fatal(err)
		}
		if n := int64(sum.Incidents); measured.total["incidents"] != n || measured.done["incidents"] != n-1 {
			t.Errorf("report of %d incidents: %+v", n, measured)
		}
	})
}
