package main

import (
	"fmt"
	"strings"
)

// An organisation is a simulated one. Of ten SLOs of a team one has P1, three P2 and six P3; fifty
// teams are a zone, whose group has the stakeholders of their SLOs. Each team has one address on
// call, each zone two, and management two. Its names have letters in them that no hash has.
type organisation struct {
	teams, slos int // SLOs of each team
}

// Names of the organisation.
func unitName(team int) string { return fmt.Sprintf("unit%05d", team) }

func zoneName(team int) string { return fmt.Sprintf("zone%03d", team/teamsOfZone) }

func organisationSLO(team, slo int) string {
	return fmt.Sprintf("%s-s%d-availability", unitName(team), slo)
}

// teamsOfZone is how many teams have their stakeholders in common.
const teamsOfZone = 50

// crowd is how many read along with an SLO of a team of its own, by which it is told what a mail costs.
const crowd = 200

// priorityOf is that of a team's SLO.
func priorityOf(slo int) string {
	switch slo % 10 {
	case 0:
		return "P1"
	case 1, 2, 3:
		return "P2"
	}
	return "P3"
}

// mailsOf is how many are told of an incident of a team's SLO each time.
func mailsOf(slo int) int {
	if priorityOf(slo) == "P1" {
		return 5
	}
	return 3
}

// config is its main file; more is added to it.
func (o organisation) config(more string) string {
	var b strings.Builder
	b.WriteString(`timezone: Europe/Berlin
priorities:
  - {name: P1, summary: Severe customer impact, criteria: [A core use case is broken for most customers], actions: [{name: postmortem, within: 5d}], inform: [management, stakeholders], update_every: 2h}
  - {name: P2, summary: Deserves the attention of stakeholders, criteria: [A core use case is broken for some customers], inform: [stakeholders], update_every: 4h}
  - {name: P3, summary: Affects the work of some, criteria: [A workaround exists], inform: [stakeholders], update_every: 8h}
management: [leadership]
groups:
  - {name: leadership, email: [cto@example.org, product@example.org]}
`)
	for team := 0; team < o.teams; team += teamsOfZone {
		zone := zoneName(team)
		fmt.Fprintf(&b, "  - {name: %s, email: [%s-support@example.org, %s-product@example.org]}\n", zone, zone, zone)
	}
	b.WriteString("  - {name: crowd, email: [crowd-000@example.org")
	for i := 1; i < crowd; i++ {
		fmt.Fprintf(&b, ", crowd-%03d@example.org", i)
	}
	b.WriteString("]}\nslo_files: [slos/*.yml]\n" + more)
	return b.String()
}

// file is that of a team.
func (o organisation) file(team int) string {
	unit := unitName(team)
	var b strings.Builder
	fmt.Fprintf(&b, "team: %s\non_call: {email: [%s-oncall@example.org]}\nstakeholders: [%s]\nslos:\n", unit, unit, zoneName(team))
	for i := range o.slos {
		fmt.Fprintf(&b, `  - id: %s
    use_case: Customers of %s cannot use function %d
    sli: availability
    service: %s-s%d
    affects: Customers of %s
    priority: %s
    runbook: https://wiki.example.org/%s/s%d
`, organisationSLO(team, i), unit, i, unit, i, unit, priorityOf(i), unit, i)
	}
	return b.String()
}

// measuredSLOs is how many SLOs there are besides, of a team of their own.
const measuredSLOs = 1

// files are those of all teams, and of one whose SLO is for measuring: "crowded", with many readers.
func (o organisation) files() map[string]string {
	all := map[string]string{"slos/measured.yml": `team: measured
on_call: {email: [measured-oncall@example.org]}
slos:
  - {id: crowded, use_case: Many hear of it, sli: availability, priority: P3, stakeholders: [crowd], incident_per: [instance]}
`}
	for team := range o.teams {
		all["slos/"+unitName(team)+".yml"] = o.file(team)
	}
	return all
}
