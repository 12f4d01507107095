package wording_test

import (
	"reflect"
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/wording"
)

// TestAReportWithinARoom: it says what is left out, keeps where all of it is, and leaves the whole
// as it was, for other rooms.
func TestAReportWithinARoom(t *testing.T) {
	for _, kind := range []incident.Kind{incident.KindUpdate, incident.KindReminder, incident.KindDigest} {
		m := incidenttest.Longest(kind, "words ")
		if kind == incident.KindDigest {
			m.Items = m.Items[45:115] // five long ones
		}
		want := wording.Compose(m)
		whole := wording.ComposeWhole(m)
		room := wording.Room{Weight: 20_000, Named: 40}
		for range 5 {
			room = room.Less()
			r := whole.Within(room)
			text, err := r.Text()
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > 2*room.Weight {
				t.Errorf("%s: %d bytes in a room of %d", kind, len(text), room.Weight)
			}
			if !strings.Contains(text, " more") || !strings.Contains(text, m.BaseURL+"/") {
				t.Errorf("%s does not say what is left out, or where it is:\n%s", kind, text)
			}
			if kind == incident.KindDigest && len(r.Briefs) != room.Named {
				t.Errorf("%d incidents are named, want %d", len(r.Briefs), room.Named)
			}
		}
		roomy := wording.Room{Weight: 64_000, Named: wording.DigestNamed}
		if got := whole.Within(roomy); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: what was within less room changed the whole", kind)
		}
	}
}
