package audit

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// What is left out of two configurations before they are compared changes nothing of what is said,
// whatever stands in their texts.
func TestWhatIsLeftOutSaysNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "a", `"`, `\`, `\"`, `},{`, `]`, `"teams":[`, `{"team":"t1"}`, "ü ", "\n"}
	text := func() string { return texts[random.IntN(len(texts))] + texts[random.IntN(len(texts))] }
	teams := func() (all []any) {
		for i := range random.IntN(6) {
			slos := []any{}
			for k := range random.IntN(3) {
				slos = append(slos, map[string]any{"id": fmt.Sprint("s", i, k), "use_case": text(), "stakeholders": []any{text()}})
			}
			all = append(all, map[string]any{"team": fmt.Sprint("t", i), "slos": slos, "on_call": map[string]any{"email": []any{text(), text()}}})
		}
		return all
	}
	form := func() map[string]any {
		f := map[string]any{"timezone": text(), "teams": teams(), "priorities": []any{map[string]any{"name": "P1", "summary": text()}}}
		if random.IntN(4) > 0 {
			f["groups"] = []any{map[string]any{"name": "g", "email": []any{text()}}, map[string]any{"name": "h", "email": []any{text()}}}
		}
		return f
	}
	body := func(f map[string]any) string {
		write := json.Marshal
		if random.IntN(2) > 0 {
			write = func(v any) ([]byte, error) { return json.MarshalIndent(v, "", " ") }
		}
		b, err := write(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	said := func(before, now string, whole bool) []Change {
		a, err := things(before, whole)
		if err != nil {
			t.Fatalf("%v in %s", err, before)
		}
		b, err := things(now, whole)
		if err != nil {
			t.Fatalf("%v in %s", err, now)
		}
		return changes(a, b)
	}
	left := 0
	for range 2000 {
		one, other := form(), form()
		for i, team := range one["teams"].([]any) { // most stay as they are
			if some, _ := other["teams"].([]any); i < len(some) && random.IntN(3) > 0 {
				some[i] = team
			}
		}
		before, now := body(one), body(other)
		whole := random.IntN(2) > 0
		a, b := unlike(before, now)
		if want, got := said(before, now, whole), said(a, b, whole); !slices.Equal(want, got) {
			t.Fatalf("of %s\nand %s\n%v is said\nwant %v", before, now, got, want)
		}
		if len(a) < len(before) {
			left++
		}
	}
	if left < 500 {
		t.Errorf("of 2000 only %d have something left out", left)
	}
	for _, damaged := range []string{"", "{", `{"teams":[`, `{"teams":["x`, `{"teams":["x\`, "]", `{"teams":[]}}`} {
		if a, b := unlike(damaged, `{"teams":[]}`); a != damaged || b != `{"teams":[]}` {
			t.Errorf("of %q %q is read, and %q", damaged, a, b)
		}
	}
}
