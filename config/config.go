package config

import (
	"reflect"
	"time"

	"sitrep/templates"
)

// A Config is one version of the configuration, read and checked as a whole. It
// is never changed once loaded, and is safe for concurrent use.
type Config struct {
	Timezone      *time.Location `yaml:"timezone" doc:"The time zone of times in messages, by its name in the IANA database. Groups may have their own." eg:"Europe/Berlin"`
	Mail          *Mail          `yaml:"mail" doc:"How mail is sent. Needed where somebody is informed by email."`
	Priorities    []Priority     `yaml:"priorities,required" bounds:"1 to 5" doc:"The organisation's priorities, the highest first." eg:"[{name: P1, inform: [stakeholders], update_every: 2h}]"`
	Management    []string       `yaml:"management" doc:"The names of the groups behind the audience management."`
	Groups        []Group        `yaml:"groups" doc:"Named lists of recipients."`
	SLOFiles      []string       `yaml:"slo_files" doc:"Patterns of the teams' files, relative to this one."`
	SLOLabels     []string       `yaml:"slo_labels" doc:"More labels whose value is the id of an SLO, tried after sitrep_slo, sloth_id, slo and grafana_slo_uuid."`
	Incidents     Incidents      `yaml:"incidents" doc:"When incidents resolve and open again, and how messages are paced."`
	Ignore        []Matchers     `yaml:"ignore" doc:"Alertmanager matchers. An alert that any of them matches is counted and never an incident."`
	Unmapped      *Unmapped      `yaml:"unmapped" doc:"What becomes of firing alerts that no SLO claims, beyond being recorded, counted and shown."`
	Watchdog      *Watchdog      `yaml:"watchdog" doc:"An alert that always fires. While it does not, nothing that ends is believed."`
	Alertmanagers []Alertmanager `yaml:"alertmanagers" doc:"Every Alertmanager that sends, Grafana's own too. Asked whether a breach is still firing when it stays quiet for too long."`
	Prometheus    []Prometheus   `yaml:"prometheus" doc:"Each Prometheus that evaluates rules of SLOs. Asked every few minutes for the page Coverage, with the Alertmanagers."`
	Canary        *Canary        `yaml:"canary" doc:"An alert of sitrep's own, posted now and then: it is to come back by Alertmanager's route and to end as a mail, else somebody is told."`
	Templates     []string       `yaml:"templates" doc:"Patterns of the files that give mails and chat messages words and looks of one's own, relative to this one: docs/templates.md." eg:"[templates/*.tmpl]"`
	Retention     Retention      `yaml:"retention" doc:"How long the particulars of closed incidents are kept. Events and the ledger stay."`
	Evidence      Evidence       `yaml:"evidence" doc:"How the ledger is signed, and who else is told its heads."`
	Access        *Access        `yaml:"access" doc:"Who may do what. Without it only this machine may connect."`

	// Teams are the teams' files, in file order.
	Teams []TeamFile `yaml:"-"`
	// TemplateFiles are the files that Templates name, sorted by name. They have passed
	// templates.(*Set).Check.
	TemplateFiles []templates.File `yaml:"-"`
	// Warnings are the problems that do not keep this config from being used, in
	// file order.
	Warnings []Problem `yaml:"-"`

	built
}

// Incidents says when incidents resolve and open again, and how messages are
// paced.
type Incidents struct {
	ResolveAfter time.Duration `yaml:"resolve_after" bounds:"more than 0s" doc:"All breaches ended for this long: the incident resolves."`
	ReopenWithin time.Duration `yaml:"reopen_within" doc:"A breach this soon after: the same incident opens again. 0s: never."`
	UnknownAfter time.Duration `yaml:"unknown_after" bounds:"more than 0s" doc:"No word of a breach for this long: it is unknown. More than Alertmanager's repeat_interval, unless alertmanagers are asked."`
	RemindBefore time.Duration `yaml:"remind_before" doc:"The team is reminded this long before a scheduled update. 0s: never."`
	DigestAbove  int           `yaml:"digest_above" bounds:"1 or more" doc:"Messages to one recipient in one minute; what is beyond goes out as one digest."`
}

// Unmapped says what becomes of firing alerts that no SLO claims.
type Unmapped struct {
	Priority string   `yaml:"priority" doc:"The priority of one incident per alertname for them. Without it they are only recorded, counted and shown." eg:"P3"`
	Groups   []string `yaml:"groups" doc:"The names of the groups that are the stakeholders of those incidents."`
}

// Watchdog is an alert that always fires.
type Watchdog struct {
	Match  []Matchers    `yaml:"match,required" doc:"Alertmanager matchers; all must match." eg:"['alertname=\"Watchdog\"']"`
	By     []string      `yaml:"by" doc:"Labels; each of their values, as it is heard, is a pulse of its own, and a breach that has all of them is doubted by its own pulse alone. One that is away for 7 days is given up." eg:"[cluster]"`
	Within time.Duration `yaml:"within" bounds:"more than 0s" doc:"It is heard at least this often."`
	Groups []string      `yaml:"groups" doc:"The names of the groups that are told when it goes away and when it is back."`
}

// Retention says how long the particulars of closed incidents are kept. Each is
// longer than zero, and Messages is at most Personal.
type Retention struct {
	Breaches time.Duration `yaml:"breaches" bounds:"more than 0s" doc:"How long breaches are kept after their incident closed."`
	Messages time.Duration `yaml:"messages" bounds:"more than 0s" doc:"How long messages as sent are kept after their incident closed. Not longer than personal, as each holds its recipient's address."`
	Personal time.Duration `yaml:"personal" bounds:"more than 0s" doc:"How long names of people and addresses are kept after their incident closed; those in a configuration, after another came into force. What happened stays, and so does its proof."`
}

// Load reads the config file at path, the teams' files that it names, and the
// secrets that any of them names. If anything is wrong with them the error is a
// *[Problems] that lists everything, warnings too; otherwise the warnings are in
// the config. A file that does not let itself be read within seconds is a problem, too.
func Load(path string) (*Config, error) {
	c, _, err := LoadWithPositions(path)
	return c, err
}

func load(v *visit, path string) (*Config, *Positions, error) {
	l := &loading{visit: v, fields: fieldCache{}, paths: map[string]int32{}}
	c := &Config{}
	setDefaults(c)
	main, root := l.open(path)
	if main == nil || !main.decode(root, reflect.ValueOf(c).Elem(), "") {
		return nil, nil, l.result()
	}
	teams := l.openTeams(main, c)
	l.resolve(main, teams, c)
	l.check(main, teams, c)
	l.openTemplates(main, c)
	if l.failed() {
		return nil, nil, l.result()
	}
	c.Warnings = l.sorted()
	c.build()
	return c, &Positions{main, teams}, nil
}
