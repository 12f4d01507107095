package config

import "time"

// Unchosen stands in a team's file where sitrep import leaves a priority, or groups, to choose.
const Unchosen = "choose"

// A TeamFile is what a team keeps: its SLOs, and who is on call for them.
type TeamFile struct {
	Team         string     `yaml:"team,required" doc:"The team's name." eg:"notifications"`
	OnCall       Recipients `yaml:"on_call" doc:"Who hears of every incident of the SLOs in this file." eg:"{email: [notifications-oncall@example.org]}"`
	Stakeholders []string   `yaml:"stakeholders" doc:"The names of the groups that are the stakeholders of SLOs that name none."`
	Drill        *Drill     `yaml:"drill" doc:"A drill that begins by the clock again and again, on weekdays from 9 to 15 o'clock in the time zone above all."`
	SLOs         []SLO      `yaml:"slos" doc:"The team's SLOs."`
}

// A Drill is one that the team has again and again. It says in each message that it is one.
type Drill struct {
	Every    time.Duration `yaml:"every,required" bounds:"1d to 731d" doc:"How long after the latest drill, whoever declared that, the next begins." eg:"90d"`
	SLO      string        `yaml:"slo" doc:"The id of an SLO of this file that it is about: who is told of that is told of the drill, too. Without it those on call are, and who else the priority always informs." eg:"checkout-availability"`
	Priority string        `yaml:"priority" doc:"The name of its priority; else the SLO's or, without one, the lowest." eg:"P3"`
}

// An SLO is a team's objective, mapped to exactly one priority.
type SLO struct {
	ID           string     `yaml:"id,required" doc:"Its id, unique over all teams: the value of the label by which its alerts are known." eg:"checkout-availability"`
	UseCase      string     `yaml:"use_case,required" doc:"What is broken when it is breached, in plain words." eg:"Customers cannot pay"`
	Affects      string     `yaml:"affects" doc:"Who is affected, in plain words, for those who are informed; else messages name the service." eg:"Customers in Europe"`
	SLI          string     `yaml:"sli" doc:"What it measures: availability, latency, correctness, …" eg:"availability"`
	Service      string     `yaml:"service" doc:"The service that it is about." eg:"checkout"`
	Priority     string     `yaml:"priority,required" doc:"The name of its priority." eg:"P2"`
	Runbook      URL        `yaml:"runbook" doc:"Where it says what to do; an http or https URL."`
	Stakeholders []string   `yaml:"stakeholders" doc:"The names of the groups that are its stakeholders, instead of the file's."`
	Match        []Matchers `yaml:"match" doc:"Alertmanager matchers; it claims an alert only if all match." eg:"['alertname=\"CheckoutSlow\"']"`
	IncidentPer  []string   `yaml:"incident_per" doc:"Labels; each of their values gets incidents of its own." eg:"[region]"`
	Ignore       []Matchers `yaml:"ignore" doc:"Alertmanager matchers. An alert of this SLO that any of them matches is counted and never an incident."`
}
