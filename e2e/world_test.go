package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/e2e/rig"
)

// The people of the example organisation.
const (
	chief   = "cto@example.org"     // management
	support = "support@example.org" // stakeholders
	onCall  = "oncall@example.org"  // the team
)

// patience is how long something may take that should be there at once: the
// machine may be busy with other tests.
const patience = 40 * time.Second

// programs builds what is run, once.
var programs = sync.OnceValues(func() (built struct{ sitrep, alertmanager string }, err error) {
	dir, err := os.MkdirTemp("", "sitrep-e2e")
	if err != nil {
		return built, err
	}
	if built.sitrep, err = rig.BuildSitrep(context.Background(), dir); err != nil {
		return built, err
	}
	built.alertmanager, err = rig.BuildAlertmanager(context.Background())
	return built, err
})

// TestMain runs more tests at once than there are processors, unless -parallel says how
// many: most of their time they wait.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
	}
	os.Exit(m.Run())
}

// A world is a sitrep and all that it talks to.
type world struct {
	*rig.Sitrep
	t    *testing.T
	mail *rig.MailServer
	hook *rig.Hook
}

// settings are what tests choose of the config.
type settings struct {
	updateEvery  string // of P1; default 1h
	resolveAfter string // default 2s
	unknownAfter string // default 5h
	mail         string // the section mail; default: the world's own mail server
	more         string // further parts
	slos         string // the file of the team notifications; default [slos]
}

// slos are the team's SLOs.
const slos = `
team: notifications
on_call: {email: [oncall@example.org]}
stakeholders: [support]
slos:
  - id: register
    use_case: Application cannot register with notification services
    sli: availability
    service: notifications
    priority: P1
  - id: send
    use_case: Application cannot notify its users
    sli: availability
    service: notifications
    priority: P1
  - {id: cut-1, use_case: Use case 1, sli: latency, priority: P2}
  - {id: cut-2, use_case: Use case 2, sli: latency, priority: P2}
  - {id: cut-3, use_case: Use case 3, sli: latency, priority: P2}
  - {id: cut-4, use_case: Use case 4, sli: latency, priority: P2}
`

// newWorld starts a mail server, a receiver of webhooks, and a sitrep that knows them.
func newWorld(t *testing.T, s settings) *world {
	t.Helper()
	built, err := programs()
	check(t, err)
	w := &world{t: t}
	w.mail, err = rig.NewMailServer()
	check(t, err)
	t.Cleanup(w.mail.Off)
	w.hook, err = rig.NewHook()
	check(t, err)
	t.Cleanup(w.hook.Close)
	w.Sitrep, err = rig.NewSitrep(built.sitrep, t.TempDir(), w.config(s))
	check(t, err)
	check(t, w.Write("ca.pem", w.mail.CA))
	check(t, w.Write("smtp-password", rig.MailPassword))
	check(t, w.Write("hook-url", w.hook.URL))
	check(t, w.Write("hook-key", rig.HookSecret))
	check(t, w.Write("slos/notifications.yml", cmp.Or(s.slos, slos)))
	check(t, w.Start())
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Errorf("stop sitrep: %v", err)
		}
		if t.Failed() {
			t.Logf("sitrep logged at last:\n%s", w.Log())
		}
	})
	return w
}

// config returns a config for the people above.
func (w *world) config(s settings) string {
	mail := cmp.Or(s.mail, fmt.Sprintf(`
  smarthost: %s
  from: Incident updates <incidents@example.org>
  username: %s
  password_file: smtp-password
  tls: starttls
  tls_config: {ca_file: ca.pem}
`, w.mail.Address, rig.MailUser))
	return fmt.Sprintf(`
timezone: Europe/Berlin
mail: %s
priorities:
  - name: P1
    summary: Severe customer impact
    criteria: [Log-on is not possible for any application]
    inform: [management, stakeholders]
    update_every: %s
  - name: P2
    summary: Affects the work of some customers
    criteria: [A workaround exists]
    inform: [stakeholders]
    update_every: 2h
management: [leadership]
groups:
  - name: leadership
    email: [cto@example.org]
  - name: support
    email: [support@example.org]
    webhooks: [{url_file: hook-url, secret_file: hook-key}]
slo_files: [slos/*.yml]
incidents: {resolve_after: %s, reopen_within: 1h, unknown_after: %s, remind_before: 0s, digest_above: 1000}
%s%s`, mail, cmp.Or(s.updateEvery, "1h"), cmp.Or(s.resolveAfter, "2s"), cmp.Or(s.unknownAfter, "5h"), s.more, rig.Access)
}

// A sender is what tests choose of an Alertmanager.
type sender struct {
	repeat  string            // its repeat_interval
	address string            // where it listens; default one that is free
	to      string            // the URL that it notifies; default the world's sitrep
	name    string            // in a cluster; default: it is in none
	peer    *rig.Alertmanager // another member, that runs already
	lost    string            // a matcher of alerts of which nobody is notified
}

// startAlertmanager starts an Alertmanager that notifies the world's sitrep of alerts
// at once, and again after repeat. It cuts off what has the label cut after two alerts.
func (w *world) startAlertmanager(repeat string) *rig.Alertmanager {
	w.t.Helper()
	return w.start(sender{repeat: repeat})
}

// start starts an Alertmanager. What fires while Outage does is inhibited, and of that
// nobody is notified.
func (w *world) start(s sender) *rig.Alertmanager {
	w.t.Helper()
	built, err := programs()
	check(w.t, err)
	am, err := rig.NewAlertmanager(built.alertmanager, w.t.TempDir(), fmt.Sprintf(`
route:
  receiver: sitrep
  group_by: [service]
  group_wait: 300ms
  group_interval: 1s
  repeat_interval: %[1]s
  routes:
    - matchers: ['cut="yes"']
      receiver: cut
    - matchers: [alertname="Outage"]
      receiver: nobody
    - matchers: ['%[4]s']
      receiver: nobody
inhibit_rules:
  - source_matchers: [alertname="Outage"]
    target_matchers: [alertname!="Outage"]
    equal: [service]
receivers:
  - name: nobody
  - name: sitrep
    webhook_configs: [{url: '%[2]s/alertmanager', http_config: {authorization: {credentials: %[3]s}}}]
  - name: cut
    webhook_configs: [{url: '%[2]s/alertmanager', max_alerts: 2, http_config: {authorization: {credentials: %[3]s}}}]
`, s.repeat, cmp.Or(s.to, w.URL()), rig.ReceiverToken, cmp.Or(s.lost, `lost="yes"`)))
	check(w.t, err)
	am.Address = cmp.Or(s.address, am.Address)
	if s.name != "" {
		am.Name = s.name
		am.Mesh, err = rig.FreeAddress()
		check(w.t, err)
	}
	if s.peer != nil {
		am.Peers = []string{s.peer.Mesh}
	}
	check(w.t, am.Start())
	w.t.Cleanup(func() {
		am.Kill()
		if w.t.Failed() {
			w.t.Logf("Alertmanager logged at last:\n%s", am.Log())
		}
	})
	return am
}

// alert returns one as Prometheus sends it, firing since then.
func alert(slo, severity string, startsAt time.Time) rig.Alert {
	return rig.Alert{
		Labels: map[string]string{
			"alertname": "Burn " + slo, "sloth_id": slo, "sloth_severity": severity, "service": "notifications",
		},
		Annotations: map[string]string{"summary": "The error budget of " + slo + " burns"},
		StartsAt:    startsAt,
		EndsAt:      time.Now().Add(time.Hour),
	}
}

// ended returns the alerts as Prometheus sends them when they are over.
func ended(alerts ...rig.Alert) []rig.Alert {
	out := slices.Clone(alerts)
	for i := range out {
		out[i].EndsAt = time.Now()
	}
	return out
}

// An incidentView is what tests look at of an incident.
type incidentView struct {
	ID        string     `json:"id"`
	SLO       string     `json:"slo"`
	Priority  string     `json:"priority"`
	State     string     `json:"state"`
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Breaches  struct {
		Firing      int       `json:"firing"`
		Total       int       `json:"total"`
		LastHeardAt time.Time `json:"last_heard_at"`
	} `json:"breaches"`
}

// incidents returns all incidents, by SLO; two of one SLO fail the test.
func (w *world) incidents() map[string]incidentView {
	w.t.Helper()
	out := make(map[string]incidentView)
	for _, in := range list[incidentView](w, "/api/v1/incidents", "incidents") {
		if other, ok := out[in.SLO]; ok {
			w.t.Fatalf("%s and %s are both of SLO %s", other.ID, in.ID, in.SLO)
		}
		out[in.SLO] = in
	}
	return out
}

// A deliveryView is what tests look at of a delivery.
type deliveryView struct {
	ID        string `json:"id"`
	Incident  string `json:"incident"`
	Kind      string `json:"kind"`
	Recipient string `json:"recipient"`
	State     string `json:"state"`
	Attempts  int    `json:"attempts"`
	Error     string `json:"error"`
}

// deliveries waits until nothing is being sent any more, and returns all deliveries.
// A mail arrives before its delivery is on record.
func (w *world) deliveries() (all []deliveryView) {
	w.t.Helper()
	w.eventually("nothing is left to send", func() bool {
		all = list[deliveryView](w, "/api/v1/deliveries", "deliveries")
		return !slices.ContainsFunc(all, func(d deliveryView) bool { return d.State == "pending" })
	})
	return all
}

// list returns all pages of a list of the API.
func list[T any](w *world, path, key string) []T {
	w.t.Helper()
	var out []T
	cursor := ""
	for {
		query := url.Values{"limit": {"100"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var page map[string]json.RawMessage
		check(w.t, w.Get(path+"?"+query.Encode(), &page))
		var items []T
		check(w.t, json.Unmarshal(page[key], &items))
		out = append(out, items...)
		cursor = ""
		if next, ok := page["next"]; ok {
			_ = json.Unmarshal(next, &cursor)
		}
		if cursor == "" {
			return out
		}
	}
}

// metric returns the sum of all series of that name.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	text, err := w.Text("/metrics")
	check(w.t, err)
	sum := 0.0
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
		check(w.t, err)
		sum += v
	}
	return sum
}

// eventually waits until done returns true.
func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	if !rig.Poll(patience, done) {
		w.t.Fatalf("not within %s: %s\nmails: %s\nincidents: %+v", patience, what, w.mailbox(), w.incidents())
	}
}

// wantMails waits until each address has got mails of just these kinds about these
// incidents, written as "opened INC-1", in any order.
func (w *world) wantMails(want map[string][]string) {
	w.t.Helper()
	got := make(map[string][]string)
	ok := rig.Poll(patience, func() bool {
		clear(got)
		for _, m := range w.mail.Mails() {
			got[m.To] = append(got[m.To], m.Kind()+" "+m.Incident())
		}
		return maps.EqualFunc(got, want, func(a, b []string) bool {
			return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
		})
	})
	if !ok {
		w.t.Fatalf("got mails %v\nwant %v", got, want)
	}
}

// mailbox says which mails came, one on a line.
func (w *world) mailbox() string {
	var b strings.Builder
	for _, m := range w.mail.Mails() {
		fmt.Fprintf(&b, "\n  %s to %s: %s %s: %s", m.At.Format("15:04:05.000"), m.To, m.Kind(), m.Incident(), m.Subject())
	}
	return b.String()
}

// A payload is a body of Alertmanager's webhook.
type payload struct {
	Version         string         `json:"version"`
	GroupKey        string         `json:"groupKey"`
	TruncatedAlerts int            `json:"truncatedAlerts"`
	Status          string         `json:"status"`
	Receiver        string         `json:"receiver"`
	Alerts          []payloadAlert `json:"alerts"`
}

type payloadAlert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Fingerprint string            `json:"fingerprint"`
}

// firing returns the entry of a firing alert.
func firing(slo, fingerprint string, startsAt time.Time) payloadAlert {
	return payloadAlert{
		Status:      "firing",
		Labels:      map[string]string{"alertname": "Burn " + slo, "sloth_id": slo},
		Annotations: map[string]string{"summary": "The error budget of " + slo + " burns"},
		StartsAt:    startsAt.UTC(),
		Fingerprint: fingerprint,
	}
}

// resolved returns the entry of the alert once it is over.
func resolved(a payloadAlert, endsAt time.Time) payloadAlert {
	a.Status, a.EndsAt = "resolved", endsAt.UTC()
	return a
}

// body returns a webhook's body with these alerts.
func body(alerts ...payloadAlert) []byte {
	p := payload{Version: "4", GroupKey: "{}:{}", Status: "resolved", Receiver: "sitrep", Alerts: alerts}
	if slices.ContainsFunc(alerts, func(a payloadAlert) bool { return a.Status == "firing" }) {
		p.Status = "firing"
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return append(b, '\n')
}

// post posts alerts to sitrep itself, and returns the result of each.
func (w *world) post(alerts ...payloadAlert) []string {
	w.t.Helper()
	out, err := w.Alerts(body(alerts...))
	check(w.t, err)
	var answer struct {
		Alerts []struct {
			Result string `json:"result"`
		} `json:"alerts"`
	}
	check(w.t, json.NewDecoder(bytes.NewReader(out)).Decode(&answer))
	var results []string
	for _, a := range answer.Alerts {
		results = append(results, a.Result)
	}
	return results
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
