package incident_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
)

// minute is a time, in minutes from t0.
func minute(m int) time.Time { return t0.Add(time.Duration(m) * time.Minute) }

// fires is an alert that its sender says to have begun then.
func fires(starts int) incident.Alert {
	return incident.Alert{Fingerprint: "f", StartsAt: minute(starts)}
}

// over is the same alert, when it is said to have ended.
func over(starts, ends int) incident.Alert {
	return incident.Alert{Fingerprint: "f", StartsAt: minute(starts), EndsAt: minute(ends), Resolved: true}
}

// known is a breach that began at a time, and was last noted as heard then.
func known(starts, heard int) incident.Breach {
	return incident.Breach{Fingerprint: "f", Ordinal: 1, StartsAt: minute(starts), HeardAt: minute(heard), State: incident.BreachFiring, Incident: 1}
}

func endedAt(b incident.Breach, end int) incident.Breach {
	b.State, b.EndsAt, b.EndHeardAt = incident.BreachEnded, minute(end), minute(end)
	return b
}

func unknown(b incident.Breach) incident.Breach {
	b.State = incident.BreachUnknown
	return b
}

// said gives a breach a startsAt that was no fact.
func said(b incident.Breach, starts int) incident.Breach {
	b.SaidStartsAt = minute(starts)
	return b
}

func after(b incident.Breach, end int) incident.Breach {
	b.EndedBefore = minute(end)
	return b
}

// TestSee has a test for each row of the table of docs/architecture.md.
func TestSee(t *testing.T) {
	longAgo := fires(0)
	longAgo.StartsAt = t0.AddDate(-3, 0, 0)
	none := incident.Breach{}
	type sight struct {
		alert   incident.Alert
		known   incident.Breach // none: nothing is known
		arrives int
		asks    bool
		want    incident.Sighting
	}
	tests := map[string][]sight{
		"firing, nothing known": {{fires(0), none, 1, false, incident.SeenNew}},
		"firing again": {
			{fires(0), known(0, 1), 5, false, incident.SeenRepeat},
			{fires(-10), known(0, 1), 5, false, incident.SeenRepeat},
			{fires(0), known(0, 100), 500, true, incident.SeenRepeat},
			{fires(1), known(0, 1), 5, false, incident.SeenRepeat}, // another Prometheus
		},
		"firing with a startsAt later than it was heard": {
			{fires(2), known(0, 1), 5, false, incident.SeenNew},
			{fires(2), unknown(known(0, 1)), 5, false, incident.SeenNew},
		},
		"firing while it is unknown": {
			{fires(0), unknown(known(0, 1)), 500, false, incident.SeenAgain},
			{fires(-5), unknown(known(0, 1)), 500, true, incident.SeenAgain},
		},
		"firing with a startsAt that is no fact": {
			{fires(40), known(0, 1), 5, false, incident.SeenRepeat},
			{fires(40), said(known(0, 1), 40), 5, false, incident.SeenRepeat},
			{longAgo, known(0, 1), 5, false, incident.SeenRepeat},
			{incident.Alert{Fingerprint: "f"}, known(0, 1), 5, false, incident.SeenRepeat},
			{fires(40), endedAt(known(0, 1), 3), 5, false, incident.SeenNew},
			{fires(40), endedAt(said(known(0, 1), 40), 3), 5, false, incident.SeenAgain},
			{fires(20), said(known(0, 1), 40), 20, false, incident.SeenNew}, // the clock was set right
			{fires(20), endedAt(said(known(0, 1), 40), 5), 20, false, incident.SeenNew},
		},
		"firing after its end, begun later": {
			{fires(6), endedAt(known(0, 1), 5), 7, false, incident.SeenNew},
			{fires(6), endedAt(known(0, 1), 5), 7, true, incident.SeenNew},
		},
		"firing after its end, begun before, Alertmanagers to ask": {
			{fires(0), endedAt(known(0, 1), 5), 6, true, incident.SeenDoubt},
			{fires(5), endedAt(known(0, 1), 5), 6, true, incident.SeenDoubt},
			{fires(3), endedAt(known(0, 1), 5), 6, true, incident.SeenDoubt},
		},
		"firing after its end, begun before, nobody to ask": {
			{fires(0), endedAt(known(0, 1), 5), 6, false, incident.SeenAgain},
			{fires(3), endedAt(known(0, 1), 5), 6, false, incident.SeenAgain},
		},
		"ended": {
			{over(0, 5), known(0, 1), 6, false, incident.SeenEnd},
			{over(-8, 5), known(0, 1), 6, true, incident.SeenEnd}, // another startsAt
			{over(2, 5), known(0, 1), 6, false, incident.SeenEnd}, // a breach never heard of
			{over(0, 5), unknown(known(0, 1)), 6, false, incident.SeenEnd},
			{over(0, 0), known(0, 1), 6, false, incident.SeenEnd},
		},
		"ended before it began": {
			{over(-8, -1), known(0, 1), 6, false, incident.SeenStale},
			{over(-8, -1), unknown(known(0, 1)), 6, true, incident.SeenStale},
		},
		"the same end again": {
			{over(0, 5), endedAt(known(0, 1), 5), 6, false, incident.SeenStale},
			{over(0, 4), endedAt(known(0, 1), 5), 6, true, incident.SeenStale},
		},
		"the same end again, a copy of the firing between": {
			{over(0, 5), func() incident.Breach { b := known(0, 6); b.EndsAt = minute(5); return b }(), 7, false, incident.SeenEnd},
		},
		"a later end":          {{over(3, 8), endedAt(known(0, 1), 5), 9, false, incident.SeenLater}},
		"ended, nothing known": {{over(0, 5), none, 6, true, incident.SeenEndFirst}},
		"ended in the future": {
			{over(0, 45), known(0, 1), 6, false, incident.SeenEnd},
			{over(40, 45), said(known(1, 1), 40), 6, false, incident.SeenEnd},
		},
	}
	for name, sights := range tests {
		t.Run(name, func(t *testing.T) {
			for i, s := range sights {
				var b *incident.Breach
				if s.known.Fingerprint != "" {
					b = &s.known
				}
				p := policy()
				p.Asks = s.asks
				if got := incident.See(&s.alert, b, minute(s.arrives), p); got != s.want {
					t.Errorf("%d: got %s, want %s", i+1, got, s.want)
				}
			}
		})
	}
	rows := tableRows(t, "| heard |")
	for name := range tests {
		if !slices.Contains(rows, name) {
			t.Errorf("docs/architecture.md has no row %q", name)
		}
	}
	for _, row := range rows {
		if _, ok := tests[row]; !ok {
			t.Errorf("the row %q of docs/architecture.md has no test", row)
		}
	}
}

// tableRows returns the first column of the table in docs/architecture.md whose head begins so.
func tableRows(t *testing.T, head string) (rows []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "\n"+head)
	if !ok {
		t.Fatalf("no table begins with %q", head)
	}
	for _, line := range strings.Split(table, "\n")[2:] {
		cell := regexp.MustCompile(`^\| (.*?) \|`).FindStringSubmatch(line)
		if cell == nil {
			break
		}
		rows = append(rows, cell[1])
	}
	return rows
}

// TestWeigh has a test for each row of the table of docs/architecture.md.
func TestWeigh(t *testing.T) {
	doubted := endedAt(known(0, 1), 5)
	doubted.AskAt = minute(6)
	notBelieved := unknown(known(0, 1))
	notBelieved.EndsAt, notBelieved.EndHeardAt = minute(5), minute(5)
	away := incident.Pulses{{HeardAt: minute(2), AwaySince: minute(2)}}
	back := incident.Pulses{{HeardAt: minute(20), BackAt: minute(20)}}
	type weighing struct {
		known   incident.Breach
		verdict incident.Verdict
		pulses  incident.Pulses
		at      int
		asks    bool
		want    incident.Sighting
	}
	tests := map[string][]weighing{
		"fires, and is listed":       {{known(0, 1), incident.VerdictListed, nil, 400, true, incident.SeenRepeat}},
		"fires, and is not listed":   {{known(0, 1), incident.VerdictNotListed, nil, 400, true, incident.SeenEnd}},
		"fires, and nobody can tell": {{known(0, 1), incident.VerdictCannotTell, nil, 200, true, incident.SeenStale}},
		"fires, and nobody can tell for too long": {
			{known(0, 1), incident.VerdictCannotTell, nil, 301, true, incident.SeenLost}, {known(0, 1), incident.VerdictCannotTell, nil, 301, false, incident.SeenLost},
		},
		"unknown, and is listed":                  {{unknown(known(0, 1)), incident.VerdictListed, nil, 400, true, incident.SeenAgain}},
		"unknown, and is not listed":              {{unknown(known(0, 1)), incident.VerdictNotListed, nil, 400, true, incident.SeenEnd}},
		"unknown, and nobody can tell":            {{unknown(known(0, 1)), incident.VerdictCannotTell, nil, 400, true, incident.SeenStale}},
		"ended, and is listed":                    {{endedAt(known(0, 1), 5), incident.VerdictListed, nil, 15, true, incident.SeenAgain}, {doubted, incident.VerdictListed, nil, 7, true, incident.SeenAgain}},
		"ended, and is not listed":                {{endedAt(known(0, 1), 5), incident.VerdictNotListed, nil, 15, true, incident.SeenStale}, {doubted, incident.VerdictNotListed, nil, 7, true, incident.SeenStale}},
		"ended, and nobody can tell":              {{endedAt(known(0, 1), 5), incident.VerdictCannotTell, nil, 15, true, incident.SeenStale}},
		"ended and in doubt, and nobody can tell": {{doubted, incident.VerdictCannotTell, nil, 7, true, incident.SeenAgain}},
		"not listed while its watchdog is away": {
			{known(0, 1), incident.VerdictNotListed, away, 10, true, incident.SeenStale},
			{known(0, 1), incident.VerdictNotListed, away, 301, true, incident.SeenLost},
			{unknown(known(0, 1)), incident.VerdictNotListed, away, 400, true, incident.SeenStale},
			{doubted, incident.VerdictNotListed, away, 7, true, incident.SeenAgain},
		},
		"an end that was not believed, its watchdog is back": {
			{notBelieved, incident.VerdictNotListed, back, 21, true, incident.SeenEnd},
			{notBelieved, incident.VerdictCannotTell, back, 29, false, incident.SeenStale},
			{notBelieved, incident.VerdictCannotTell, back, 30, false, incident.SeenEnd},
			{notBelieved, incident.VerdictCannotTell, back, 30, true, incident.SeenStale},
			{unknown(known(0, 1)), incident.VerdictCannotTell, back, 30, false, incident.SeenStale},
		},
	}
	for name, weighings := range tests {
		t.Run(name, func(t *testing.T) {
			for i, w := range weighings {
				p := policy()
				p.Asks = w.asks
				if w.pulses != nil {
					p.Watchdog.Within = 15 * time.Minute
				}
				if got := w.known.Weigh(w.verdict, p, w.pulses, minute(w.at)); got != w.want {
					t.Errorf("%d: got %s, want %s", i+1, got, w.want)
				}
			}
		})
	}
	rows := tableRows(t, "| known, and answered |")
	for name := range tests {
		if !slices.Contains(rows, name) {
			t.Errorf("docs/architecture.md has no row %q", name)
		}
	}
	for _, row := range rows {
		if _, ok := tests[row]; !ok {
			t.Errorf("the row %q of docs/architecture.md has no test", row)
		}
	}
}

// TestBreachTimes: what foreign clocks say is kept, and counts for nothing.
func TestBreachTimes(t *testing.T) {
	ahead, ago, right := fires(40), fires(0), fires(-7)
	ago.StartsAt = t0.AddDate(-57, 0, 0)
	for name, tt := range map[string]struct {
		alert        incident.Alert
		before       *incident.Breach
		starts, said time.Time
	}{
		"right":               {right, nil, minute(-7), time.Time{}},
		"in the future":       {ahead, nil, minute(1), minute(40)},
		"years back":          {ago, nil, minute(1), ago.StartsAt},
		"not said":            {incident.Alert{Fingerprint: "f"}, nil, minute(1), time.Time{}},
		"before the last end": {right, ptr(endedAt(known(-20, -19), -3)), minute(-3), minute(-7)},
	} {
		b := incident.NewBreach(&tt.alert, tt.before, minute(1))
		if !b.StartsAt.Equal(tt.starts) || !b.SaidStartsAt.Equal(tt.said) {
			t.Errorf("%s: begins at %v, said %v", name, b.StartsAt, b.SaidStartsAt)
		}
		if tt.before != nil && (b.Ordinal != 2 || !b.EndedBefore.Equal(minute(-3))) {
			t.Errorf("%s: %+v", name, b)
		}
	}
	w := newWorld(t, policy())
	w.open("P1")
	b := w.breaches["a"]
	w.now = minute(5)
	w.change(w.s.Incident.End(w.stamp(incident.ActorAlertmanager), b, ptr(over(0, 45)))...)
	if !b.EndsAt.Equal(minute(5)) || !b.SaidEndsAt.Equal(minute(45)) || !w.s.Incident.EndedAt.Equal(minute(5)) {
		t.Errorf("breach %+v, incident ended at %v", b, w.s.Incident.EndedAt)
	}
}

func ptr[T any](v T) *T { return &v }

// TestHear: a repeat is noted once in a while, when it says something new, and when only a
// listing had kept the breach open.
func TestHear(t *testing.T) {
	p := policy() // unknown after five hours
	listed := known(0, 60)
	listed.ListedSince, listed.AskAt = minute(50), minute(61)
	changed := fires(0)
	changed.Annotations = map[string]string{"summary": "5 % of requests fail"}
	for name, tt := range map[string]struct {
		alert  incident.Alert
		known  incident.Breach
		at     int
		news   bool
		starts int
		events int
	}{
		"a repeat":                          {fires(0), known(0, 10), 84, false, 0, 0},
		"a repeat after a while":            {fires(0), known(0, 10), 85, true, 0, 0},
		"changed annotations":               {changed, known(0, 10), 11, true, 0, 0},
		"after a listing":                   {fires(0), listed, 61, true, 0, 0},
		"it began earlier":                  {fires(-3), known(0, 10), 11, true, -3, 1},
		"it began earlier, years ago":       {incident.Alert{Fingerprint: "f", StartsAt: t0.AddDate(-9, 0, 0)}, known(0, 10), 11, false, 0, 0},
		"earlier than the end before":       {fires(-3), after(known(0, 10), -2), 11, false, 0, 0},
		"after the end before, but earlier": {fires(-3), after(known(0, 10), -4), 11, true, -3, 1},
	} {
		w := newWorld(t, p)
		w.open("P1")
		b := tt.known
		events, news := w.s.Incident.Hear(incident.Stamp{At: minute(tt.at), Actor: incident.ActorAlertmanager}, &b, &tt.alert, p)
		if news != tt.news || len(events) != tt.events || !b.StartsAt.Equal(minute(tt.starts)) {
			t.Errorf("%s: news %v, %d events, begins at %v", name, news, len(events), b.StartsAt)
		}
		if news && (!b.HeardAt.Equal(minute(tt.at)) || !b.AskAt.IsZero() || !b.ListedSince.IsZero()) {
			t.Errorf("%s: %+v", name, b)
		}
		for _, e := range events {
			counts := w.s.Incident.Breaches
			w.now = minute(tt.at)
			w.change(e)
			if w.s.Incident.Breaches != counts || !w.s.Incident.StartedAt.Equal(minute(tt.starts)) {
				t.Errorf("%s: counts %+v, started at %v", name, w.s.Incident.Breaches, w.s.Incident.StartedAt)
			}
		}
	}
}

// TestNoteAnswer: what only a listing keeps open is asked about each minute, later each
// resolve_after.
func TestNoteAnswer(t *testing.T) {
	p := policy()
	p.Asks = true
	b := known(0, 1)
	at, asked := 10, 0
	for ; at < 60; at++ {
		if b.AskAt.After(minute(at)) {
			continue
		}
		asked++
		b.NoteAnswer(incident.VerdictListed, p, minute(at))
	}
	if asked != 10+4 || !b.HeardAt.Equal(minute(50)) {
		t.Errorf("asked %d times, heard at %v", asked, b.HeardAt)
	}
	b.NoteAnswer(incident.VerdictCannotTell, p, minute(at))
	if !b.AskAt.Equal(minute(at+10)) || !b.HeardAt.Equal(minute(50)) {
		t.Errorf("nobody could tell: %+v", b)
	}
	p.Asks = false
	b.NoteAnswer(incident.VerdictCannotTell, p, minute(at))
	if !b.AskAt.IsZero() {
		t.Errorf("nobody to ask: %+v", b)
	}
}

// TestHistoryNeverRunsBackwards, also when the clock was set back; and nobody waits for it.
func TestHistoryNeverRunsBackwards(t *testing.T) {
	w := newWorld(t, policy())
	w.now = t0.Add(2 * time.Hour)
	w.open("P1")
	w.expect("cto opened", "support opened", "oncall opened")
	w.now = t0
	w.must(w.s.Incident.Acknowledge(w.stamp("ada")))
	w.must(w.s.Incident.ChangePriority(w.stamp("ada"), w.p, w.p.Priorities[1], "not so bad"))
	w.expect("cto priority", "support priority", "oncall priority")
	for i := 1; i < len(w.log); i++ {
		if w.log[i].Time.Before(w.log[i-1].Time) {
			t.Errorf("event %d at %v, the one before at %v", w.log[i].Sequence, w.log[i].Time, w.log[i-1].Time)
		}
	}
	if w.s.Incident.AcknowledgedAt.Before(w.s.Incident.OpenedAt) {
		t.Errorf("acknowledged at %v, opened at %v", w.s.Incident.AcknowledgedAt, w.s.Incident.OpenedAt)
	}
}
