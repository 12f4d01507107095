package config

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"sitrep/incident"
)

// A Group is a named list of recipients.
type Group struct {
	Name       string         `yaml:"name,required" doc:"Its name." eg:"customer-support"`
	Timezone   *time.Location `yaml:"timezone" doc:"The time zone of times in its messages; else the config's." eg:"America/New_York"`
	Language   Language       `yaml:"language" doc:"The language of its mails and chat messages, by its tag; else en." eg:"de"`
	Recipients `yaml:",inline"`
	Priorities []string `yaml:"priorities" doc:"The names of the priorities that it hears of; else it hears of all. The watchdog has none, and its groups are told of it all the same." eg:"[P1, P2]"`
	Quiet      []Quiet  `yaml:"quiet" doc:"When nothing is sent to it, but for the priorities in unless."`
}

// A Language is the tag of one of the languages in which messages can be written, such as "de".
type Language string

// Recipients are those who are told: addresses and webhooks.
type Recipients struct {
	Email    []Address `yaml:"email" doc:"Email addresses, with or without a name." eg:"[support@example.org]"`
	Webhooks []Webhook `yaml:"webhooks" doc:"URLs that are told by POST."`
}

// An Address is an email address, and the name of who reads it.
type Address struct {
	Name    string
	Address string
}

// A Webhook is a URL that is told by POST, in which form, and the key that signs what it is told.
type Webhook struct {
	URL        Secret `yaml:"url" show:"origin" doc:"Where to post; http or https. Exactly one of url and url_file."`
	URLFile    string `yaml:"url_file" doc:"A file that holds the URL, where the URL is a secret." eg:"secrets/support-hook-url"`
	Format     Format `yaml:"format" doc:"What is posted: json (default, signed), or a message for people in a channel of slack, teams (a workflow) or mattermost." eg:"teams"`
	SecretFile string `yaml:"secret_file" doc:"A file that holds the key that signs each request; of the format json alone." eg:"secrets/support-hook-key"`
	// HTTPConfig has FollowRedirects false, whatever is the default elsewhere.
	HTTPConfig *HTTPClient `yaml:"http_config" doc:"How it is spoken to, as everywhere in Prometheus: headers, credentials, TLS, proxy. Its redirects are not followed. What a team's file names must lie in the folder of that file."`

	// Secret is the signing key as it stands in SecretFile, without white space
	// around it; empty if requests are not signed.
	Secret Secret `yaml:"-"`
}

// A Format is the form of what is posted to a webhook.
type Format string

// The formats of webhooks.
const (
	FormatJSON       Format = "json"
	FormatSlack      Format = "slack"
	FormatTeams      Format = "teams"
	FormatMattermost Format = "mattermost"
)

// chatName names the chat whose channels a format is for, for people; empty of JSON.
func (f Format) chatName() string {
	switch f {
	case FormatSlack:
		return "Slack"
	case FormatTeams:
		return "Teams"
	case FormatMattermost:
		return "Mattermost"
	}
	return ""
}

// formatOf returns the format that the host of a URL takes, as far as that is known.
func formatOf(raw string) (f Format, known bool) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", false
	}
	host := "." + strings.ToLower(u.Hostname())
	for suffix, f := range map[string]Format{
		".hooks.slack.com": FormatSlack, ".hooks.slack-gov.com": FormatSlack,
		".logic.azure.com": FormatTeams, ".api.powerplatform.com": FormatTeams, ".webhook.office.com": FormatTeams,
	} {
		if strings.HasSuffix(host, suffix) {
			return f, true
		}
	}
	return "", false
}

// Quiet is a stretch of time in which nothing is sent to a group: Alertmanager's
// time_interval, and the priorities that it does not hold back.
type Quiet struct {
	Times       []TimeRange                    `yaml:"times" doc:"Ranges of the day, such as {start_time: \"22:00\", end_time: \"24:00\"}."`
	Weekdays    []timeinterval.WeekdayRange    `yaml:"weekdays" doc:"Days of the week or ranges of them, such as saturday or monday:friday."`
	DaysOfMonth []timeinterval.DayOfMonthRange `yaml:"days_of_month" doc:"Days of the month or ranges of them, such as 1:5; -1 is the last."`
	Months      []timeinterval.MonthRange      `yaml:"months" doc:"Months or ranges of them, such as december or 1:3."`
	Years       []timeinterval.YearRange       `yaml:"years" doc:"Years or ranges of them, such as 2026:2028."`
	Location    *time.Location                 `yaml:"location" doc:"The time zone of all these; else the group's." eg:"Europe/Berlin"`
	Unless      []string                       `yaml:"unless" doc:"Priorities that are sent all the same."`
}

// A TimeRange is a part of a day.
type TimeRange struct {
	Start Clock `yaml:"start_time,required" doc:"Its first minute." eg:"\"22:00\""`
	End   Clock `yaml:"end_time,required" doc:"The minute after its last, at most 24:00." eg:"\"24:00\""`
}

// A Clock is a time of day in minutes after midnight, from 0 to 1440.
type Clock int

// String returns the address as it stands in a header, the name in front.
func (a Address) String() string {
	if a.Name == "" {
		return a.Address
	}
	return a.Name + " <" + a.Address + ">"
}

// recipient returns what the rules know of the address.
func (a Address) recipient() incident.Recipient {
	return incident.Recipient{
		ID:      "email:" + strings.ToLower(a.Address),
		Channel: incident.ChannelEmail,
		Name:    a.Name,
		Address: a.Address,
	}
}

// id names the webhook without telling its URL.
func (w Webhook) id() string {
	sum := sha256.Sum256([]byte(w.URL))
	return "webhook:" + hex.EncodeToString(sum[:8])
}

// recipient returns what the rules know of the webhook.
func (w Webhook) recipient() incident.Recipient {
	return incident.Recipient{ID: w.id(), Channel: incident.ChannelWebhook, Address: origin(string(w.URL))}
}

// origin returns the scheme and host of a URL, which is what may be shown of it.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "<secret>"
	}
	return u.Scheme + "://" + u.Host
}

// none reports whether there is nobody.
func (r Recipients) none() bool { return len(r.Email) == 0 && len(r.Webhooks) == 0 }

// list returns each recipient once, in file order.
func (r Recipients) list() []incident.Recipient {
	out := make([]incident.Recipient, 0, len(r.Email)+len(r.Webhooks))
	seen := make(map[string]bool, cap(out))
	add := func(rc incident.Recipient) {
		if !seen[rc.ID] {
			seen[rc.ID] = true
			out = append(out, rc)
		}
	}
	for _, a := range r.Email {
		add(a.recipient())
	}
	for _, w := range r.Webhooks {
		add(w.recipient())
	}
	return out
}

// interval returns the stretch in Alertmanager's terms.
func (q Quiet) interval() timeinterval.TimeInterval {
	ti := timeinterval.TimeInterval{
		Weekdays: q.Weekdays, DaysOfMonth: q.DaysOfMonth, Months: q.Months, Years: q.Years,
	}
	for _, r := range q.Times {
		ti.Times = append(ti.Times, timeinterval.TimeRange{StartMinute: int(r.Start), EndMinute: int(r.End)})
	}
	if q.Location != nil {
		ti.Location = &timeinterval.Location{Location: q.Location}
	}
	return ti
}

// empty reports whether it names no time at all.
func (q Quiet) empty() bool {
	return len(q.Times)+len(q.Weekdays)+len(q.DaysOfMonth)+len(q.Months)+len(q.Years) == 0
}
