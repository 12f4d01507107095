package config

import (
	"time"

	"sitrep/incident"
)

// The most priorities, and criteria of one, that people can hold in their heads
// at three in the morning.
const (
	maxPriorities = 5
	maxCriteria   = 5
)

// A Priority is one of the organisation's classes of incidents.
type Priority struct {
	Name        string              `yaml:"name,required" doc:"Its name, as it stands in subjects." eg:"P1"`
	Summary     string              `yaml:"summary" doc:"What it means, in one line."`
	Criteria    []string            `yaml:"criteria" bounds:"at most 5" doc:"What makes an incident one of this priority."`
	Actions     []ActionRule        `yaml:"actions" doc:"Duties that it brings, each done or waived with a reason before closing."`
	Inform      []incident.Audience `yaml:"inform" doc:"The audiences that are informed."`
	UpdateEvery time.Duration       `yaml:"update_every" bounds:"more than 0s" doc:"How often they are informed. Required where an audience is." eg:"2h"`
	InformAfter time.Duration       `yaml:"inform_after" doc:"An incident shorter than this never reaches the audiences."`
}

// An ActionRule is a duty that a priority brings. In the file its name alone will
// do.
type ActionRule struct {
	Name   string        `yaml:"name,required" doc:"Its name: letters, digits, dots, dashes and underscores." eg:"postmortem"`
	Within time.Duration `yaml:"within" doc:"How long after resolving it may take. Without it there is no limit."`
}

// shorthand names the key that a plain string stands for.
func (ActionRule) shorthand() string { return "name" }
