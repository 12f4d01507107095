package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/storage"
)

// forms are configurations by their hashes.
type forms struct {
	storage.Snapshot
	bodies map[string][]byte
}

func (f forms) Config(_ context.Context, hash string) (storage.Config, error) {
	if body, ok := f.bodies[hash]; ok {
		return storage.Config{Hash: hash, Body: body}, nil
	}
	return storage.Config{}, storage.NotFound("configuration", hash)
}

// formOf is the form of an organisation of teams with ten SLOs each, the first of which has that
// priority in some of the teams.
func formOf(teams int, priority string, of ...int) []byte {
	changed := map[int]bool{}
	for _, team := range of {
		changed[team] = true
	}
	var b bytes.Buffer
	b.WriteString(`{"groups":[{"email":["a@example.org"],"name":"board"}],"priorities":[{"name":"P1","update_every":"2h"},{"name":"P2","update_every":"4h"}],"teams":[`)
	for team := range teams {
		if team > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"on_call":{"email":["team-%05d-oncall@example.org"]},"slos":[`, team)
		for i := range 10 {
			if i > 0 {
				b.WriteByte(',')
			}
			p := "P1"
			if i == 0 && changed[team] {
				p = priority
			}
			fmt.Fprintf(&b, `{"affects":"Customers of \"team\" %[1]d","id":"team-%05[1]d-s%[2]d","priority":"%[3]s","runbook":"https://wiki.example.org/team-%05[1]d/s%[2]d","service":"team-%05[1]d-s%[2]d","sli":"availability","use_case":"Customers of team %[1]d cannot use function %[2]d"}`, team, i, p)
		}
		fmt.Fprintf(&b, `],"stakeholders":["zone-%d"],"team":"team-%05d"}`, team/50, team)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// compared returns what the second of two configurations changed.
func compared(t testing.TB, before, now []byte) []audit.Change {
	versions := []audit.Version{{Loading: storage.Loading{Hash: "before"}}, {Loading: storage.Loading{Hash: "now", Actor: incident.Actor("ada")}}}
	if err := audit.Compare(t.Context(), forms{bodies: map[string][]byte{"before": before, "now": now}}, versions); err != nil {
		t.Fatal(err)
	}
	return versions[1].Changes
}

// A comparison takes apart what differs, and not the teams that stand in both as they are.
func TestComparingTakesApartWhatDiffers(t *testing.T) {
	allocations := func(teams int) float64 {
		before, now := formOf(teams, "P1"), formOf(teams, "P2", 0, teams/2, teams-1)
		return testing.AllocsPerRun(3, func() {
			if n := len(compared(t, before, now)); n != 3 {
				t.Fatal(n, "changes")
			}
		})
	}
	few, many := allocations(50), allocations(5000)
	if t.Logf("of 50 teams %v allocations, of 5000 %v", few, many); many > 2*few {
		t.Error("the cost grows with what is the same")
	}
}

// BenchmarkCompare compares two configurations of a large organisation, of which little differs.
func BenchmarkCompare(b *testing.B) {
	before, now := formOf(10_000, "P1"), formOf(10_000, "P2", 0, 5000, 9999)
	b.SetBytes(int64(len(before) + len(now)))
	for b.Loop() {
		if n := len(compared(b, before, now)); n != 3 {
			b.Fatal(n, "changes")
		}
	}
}
