package audit_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/incident"
)

// A life is an incident as its diary and the far ends know it.
type life struct {
	*diary
	team, highest     string
	slo               incident.SLO
	resolved          time.Time
	reopenings        int
	done, overdue     int
	waived, open      int
	levels            map[string][]float64
	acked, solved, up float64 // NaN: has not come to that
	closed            float64
}

// lives puts together what the test did and what the teams were told.
func lives(w *world) []life {
	priorities := w.Policy().Priorities
	resolved, reopened := map[int64]time.Time{}, map[int64]int{}
	seen := map[string]bool{}
	for _, h := range w.far.log {
		for i := range h.message.Items {
			item := &h.message.Items[i]
			n := item.Incident.Number
			if !h.taken || audienceFor(h.recipient) != incident.AudienceOnCall {
				continue
			}
			for _, e := range item.Changes {
				id := fmt.Sprint(n, "/", e.Sequence)
				if e.Type == incident.EventReopened && !seen[id] {
					reopened[n]++
					seen[id] = true
				}
			}
			if at := item.Incident.ResolvedAt; at.After(resolved[n]) {
				resolved[n] = at
			}
		}
	}
	var all []life
	for n, d := range w.diary {
		l := life{diary: d, slo: w.slo[d.slo], resolved: resolved[n], reopenings: reopened[n], levels: map[string][]float64{}}
		l.team = l.slo.Team
		highest, rank, since := d.rank, d.rank, d.opened
		for _, c := range d.changes {
			l.levels[priorities[rank].Name] = append(l.levels[priorities[rank].Name], c.at.Sub(since).Seconds())
			rank, since = c.to, c.at
			highest = min(highest, c.to)
		}
		l.levels[priorities[rank].Name] = append(l.levels[priorities[rank].Name], max(l.resolved.Sub(since), 0).Seconds())
		l.highest = priorities[highest].Name
		l.acked, l.solved, l.up, l.closed = between(d.opened, d.acknowledged), between(d.opened, l.resolved), between(d.started, d.ended), between(d.opened, d.closed)
		if d.declared {
			l.up = l.solved // its trouble is what a person said it was
		}
		if d.closed.IsZero() && highest > 0 && !l.resolved.IsZero() {
			l.closed = between(d.opened, w.running(l.resolved.Add(time.Hour))) // by itself
		}
		if highest == 0 {
			l.actions(now())
		}
		all = append(all, l)
	}
	return all
}

// running returns the time, or when sitrep ran again if it did not then.
func (w *world) running(t time.Time) time.Time {
	for _, o := range w.down {
		if t.After(o.From) && t.Before(o.To) {
			return o.To
		}
	}
	return t
}

func (l *life) actions(at time.Time) {
	for _, name := range []string{"hotfix", "postmortem"} {
		switch {
		case l.diary.actions[name] == incident.ActionDone:
			l.done++
		case l.diary.actions[name] == incident.ActionWaived:
			l.waived++
		case name == "postmortem" && !l.resolved.IsZero() && at.After(l.resolved.Add(2*time.Hour)):
			l.overdue++
		default:
			l.open++
		}
	}
}

func between(from, to time.Time) float64 {
	if to.IsZero() {
		return math.NaN()
	}
	return to.Sub(from).Seconds()
}

// compareLives compares how long things took, and what became of them.
func compareLives(t *testing.T, w *world, rep *audit.Report) {
	t.Helper()
	all := lives(w)
	parts := map[string]*audit.Figures{"total": &rep.Total, "drills": &rep.Drills}
	for name, f := range rep.ByPriority {
		parts["priority "+name] = f
	}
	for name, f := range rep.ByTeam {
		parts["team "+name] = f
	}
	for name, f := range rep.ByMonth {
		parts["month "+name] = f
	}
	for name, f := range parts {
		var mine []life
		for _, l := range all {
			in := name == "total" || name == "priority "+l.highest || name == "team "+l.team || name == "month "+l.opened.Format("2006-01")
			if l.drill == (name == "drills") && (in || l.drill) {
				mine = append(mine, l)
			}
		}
		if f.Incidents != len(mine) {
			t.Errorf("%s: %d incidents, want %d", name, f.Incidents, len(mine))
		}
		pick := func(of func(life) float64) []float64 {
			var out []float64
			for _, l := range mine {
				if v := of(l); !math.IsNaN(v) {
					out = append(out, v)
				}
			}
			return out
		}
		sameSpread(t, name+": time to acknowledge", f.Acknowledge, pick(func(l life) float64 { return l.acked }), len(mine), 0)
		sameSpread(t, name+": time to resolve", f.Resolve, pick(func(l life) float64 { return l.solved }), len(mine), 0)
		sameSpread(t, name+": length of trouble", f.Trouble, pick(func(l life) float64 { return l.up }), len(mine), 0)
		// Closing by itself is told to nobody: it comes within a second of its time.
		sameSpread(t, name+": time to close", f.Close, pick(func(l life) float64 { return l.closed }), len(mine), 2)
		want := audit.ActionCounts{}
		reopenings := 0
		for _, l := range mine {
			want.Done, want.Waived, want.Open, want.Overdue = want.Done+l.done, want.Waived+l.waived, want.Open+l.open, want.Overdue+l.overdue
			reopenings += l.reopenings
		}
		if f.Actions != want || f.Reopenings != reopenings {
			t.Errorf("%s: actions %+v and %d reopenings, want %+v and %d", name, f.Actions, f.Reopenings, want, reopenings)
		}
	}
	compareChanges(t, w, all, rep)
}

func compareChanges(t *testing.T, w *world, all []life, rep *audit.Report) {
	t.Helper()
	levels := map[string][]float64{}
	raised, lowered := 0, 0
	back := map[string]int{}
	for _, l := range all {
		if l.drill {
			continue
		}
		for name, list := range l.levels {
			levels[name] = append(levels[name], list...)
		}
		for _, c := range l.changes {
			if c.to < c.from {
				raised++
			} else {
				lowered++
			}
		}
		back[l.diary.slo] += 1 + l.reopenings
	}
	if rep.Total.Raised != raised || rep.Total.Lowered != lowered || len(rep.Changes) != raised+lowered {
		t.Errorf("%d raised, %d lowered, %d in the list; want %d and %d", rep.Total.Raised, rep.Total.Lowered, len(rep.Changes), raised, lowered)
	}
	for name, list := range levels {
		sameSpread(t, "held "+name, *rep.Levels[name], list, len(list), 0)
	}
	maps.DeleteFunc(back, func(_ string, n int) bool { return n < 2 })
	got := map[string]int{}
	for _, r := range rep.Returning {
		got[r.SLO] = len(r.Incidents) + r.Reopenings
	}
	if !reflect.DeepEqual(got, back) {
		t.Errorf("%d SLOs come back, want %d", len(got), len(back))
	}
	if k := rep.CannotKnow; len(k.Outages) < len(w.down) {
		t.Errorf("%d outages, want at least %d", len(k.Outages), len(w.down))
	}
}

// sameSpread compares with durations in seconds, of which there could be n.
func sameSpread(t *testing.T, name string, got audit.Spread, all []float64, n int, within float64) {
	t.Helper()
	if got.Count != len(all) || got.Without != n-len(all) {
		t.Errorf("%s: %d and %d without, want %d and %d", name, got.Count, got.Without, len(all), n-len(all))
		return
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	at := func(share float64) float64 { return all[int(math.Ceil(share*float64(len(all))-1e-9))-1] }
	for what, pair := range map[string][2]float64{"median": {got.Median, at(.5)}, "90 %": {got.P90, at(.9)}, "longest": {got.Max, at(1)}} {
		if math.Abs(pair[0]-pair[1]) > within+1e-6 {
			t.Errorf("%s: %s is %v s, want %v", name, what, pair[0], pair[1])
		}
	}
}

// keepReport writes the report where somebody asked for it.
func keepReport(t *testing.T, rep *audit.Report) {
	t.Helper()
	if *keepIn == "" {
		return
	}
	for name, write := range map[string]func(*os.File) error{
		"report.html": func(f *os.File) error { return rep.WriteHTML(f) },
		"report.json": func(f *os.File) error { return rep.WriteJSON(f) },
		"report.csv":  func(f *os.File) error { return rep.WriteCSV(f) },
	} {
		f, err := os.Create(filepath.Join(*keepIn, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := write(f); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
