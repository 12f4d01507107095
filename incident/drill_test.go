package incident_test

import (
	"strings"
	"testing"
	"time"

	"sitrep/incident"
)

func TestWhenADrillIsDue(t *testing.T) {
	p := policy()
	at := func(text string) time.Time {
		when, err := time.ParseInLocation("Mon 2 Jan 2006 15:04", text, p.Location)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	opened := func(text string, state incident.State) *incident.Incident {
		return &incident.Incident{Drill: true, OpenedAt: at(text), State: state}
	}
	d := incident.Drill{Team: "notifications", Every: 7 * 24 * time.Hour}
	for _, c := range []struct {
		name string
		last *incident.Incident
		at   string
		want bool
	}{
		{"there was none", nil, "Mon 2 Mar 2026 09:00", true},
		{"before the hours", nil, "Mon 2 Mar 2026 08:59", false},
		{"at the end of the hours", nil, "Mon 2 Mar 2026 14:59", true},
		{"after the hours", nil, "Mon 2 Mar 2026 15:00", false},
		{"on a Saturday", nil, "Sat 7 Mar 2026 10:00", false},
		{"on a Sunday", nil, "Sun 8 Mar 2026 10:00", false},
		{"six days after", opened("Mon 2 Mar 2026 09:00", incident.StateClosed), "Mon 9 Mar 2026 08:59", false},
		{"seven days after", opened("Mon 2 Mar 2026 09:00", incident.StateClosed), "Mon 9 Mar 2026 09:00", true},
		{"it is open still", opened("Mon 2 Mar 2026 09:00", incident.StateOpen), "Mon 16 Mar 2026 09:00", false},
		{"it resolved", opened("Mon 2 Mar 2026 09:00", incident.StateResolved), "Mon 16 Mar 2026 09:00", true},
	} {
		if got := d.Due(p, c.last, at(c.at)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestADrillIsOfItsTeamAndSLO(t *testing.T) {
	p := policy()
	long := strings.Repeat("ü", 300)
	p.Teams = append(p.Teams, incident.Team{Name: long})
	p.Index()
	for _, c := range []struct {
		d     incident.Drill
		known bool
	}{
		{incident.Drill{Team: "notifications"}, true},
		{incident.Drill{Team: "notifications", Priority: "P1"}, true},
		{incident.Drill{Team: long}, true},
		{incident.Drill{Team: "another"}, false},
		{incident.Drill{Team: "notifications", SLO: p.SLOs[0].ID}, true},
		{incident.Drill{Team: "notifications", SLO: "another"}, false},
	} {
		declared, known := c.d.Declaration(p)
		if known != c.known {
			t.Errorf("%+v is known: %v", c.d, known)
		}
		if !known {
			continue
		}
		events, err := incident.Declare(incident.Stamp{At: t0, Actor: incident.ActorScheduler}, p, declared, 1, 0)
		if err != nil {
			t.Errorf("%+v: %v", c.d, err)
			continue
		}
		var in incident.Incident
		if err := in.Apply(events[0]); err != nil || !in.Drill || in.Team != c.d.Team || in.SLO != c.d.SLO || !c.d.Fits(&in) {
			t.Errorf("%+v: %+v, %v", c.d, in, err)
		}
		if real := (incident.Incident{Team: in.Team, SLO: in.SLO}); c.d.Fits(&real) {
			t.Errorf("%+v: a real incident fits", c.d)
		}
	}
}
