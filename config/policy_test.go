package config_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/internal/golden"
)

type incidentSLO = incident.SLO

// ledgerKey is the key of a note named classified; it signs nothing.
const ledgerKey = "PRIVATE+KEY+classified+af85b1be+AQ5f8a9bu/05cpyCsfxZLgZzM7k1mpQmUt0oX+/WfSv9"

// rsaKey makes a key that signs.
func rsaKey() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// full is a config that uses every part of the file. Its secrets all contain
// the word "classified", so that a test can see where they go.
var full = map[string]string{
	"sitrep.yml": `
timezone: Europe/Berlin
mail:
  smarthost: smtp.example.org:587
  from: Incident updates <incidents@example.org>
  reply_to: sre@example.org
  username: incidents
  password_file: secrets/smtp
  tls_config: {server_name: mail.example.org, min_version: TLS12}
  connections: 3
  rate: 30/m
  timeout: 10m
  envelope_from: bounces@example.org
  hello_name: sitrep.example.org
  list_id: incidents.example.org
priorities:
  - name: P1
    summary: Severe customer impact
    criteria: [Log-on is not possible]
    actions: [hotfix, {name: postmortem, within: 5d}]
    inform: [stakeholders, management]
    update_every: 2h
  - {name: P2, inform: [stakeholders], update_every: 4h, inform_after: 5m}
  - {name: P3}
management: [leadership]
groups:
  - name: leadership
    email: [CTO@example.org, Head of Product <product@example.org>]
  - name: customer-support
    timezone: America/New_York
    language: de
    priorities: [P1, P2]
    email: [support@example.org, cto@example.org]
    webhooks:
      - {url_file: secrets/hook-url, secret_file: secrets/hook-key}
      - {url: 'http://127.0.0.1:8080/classified', http_config: {authorization: {credentials: classified}, http_headers: {X-Tenant: {values: [shop]}}}}
    quiet:
      - times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "07:00"}]
        weekdays: [monday:friday]
        days_of_month: [1, '-5:-1']
        months: [december]
        years: [2026:2028]
        location: UTC
        unless: [P1]
      - weekdays: [saturday, sunday]
slo_files: [slos/*.yml]
slo_labels: [objective]
incidents: {resolve_after: 5m, reopen_within: 30m, unknown_after: 4h, remind_before: 10m, digest_above: 7}
ignore: ['severity="ticket"']
unmapped: {priority: P2, groups: [customer-support]}
watchdog: {match: ['alertname="Watchdog"'], within: 10m, groups: [leadership]}
canary: {every: 12h, within: 5m, alertmanager: 'http://alertmanager.example:9093/', labels: {severity: page}, to: [leadership]}
alertmanagers:
  - {url: 'http://alertmanager.example:9093', http_config: {basic_auth: {username: sitrep, password: classified}, proxy_url: 'http://me:classified@proxy.example:3128', no_proxy: 'localhost,10.0.0.0/8', proxy_connect_header: {X-Pass: [classified]}}}
  - {url: 'https://alertmanager.example:9094/am', http_config: {authorization: {credentials_file: secrets/am}, follow_redirects: false, enable_http2: false, proxy_from_environment: true}}
  - url: 'https://mimir.example/alertmanager'
    http_config:
      http_headers: {X-Scope-OrgID: {values: [tenant]}, X-Pass: {secrets: [classified], files: [secrets/am]}}
      oauth2: {client_id: sitrep, client_secret_file: secrets/am, token_url: 'https://login.example/token', scopes: [alerts], endpoint_params: {resource: classified}}
  - url: 'https://grafana.example/api/alertmanager/grafana'
    http_config:
      oauth2:
        client_id: sitrep@example.org
        grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer
        client_certificate_key_file: secrets/rsa
        client_certificate_key_id: k1
        signature_algorithm: RS512
        iss: robot@example.org
        audience: https://login.example
        claims: {role: classified}
        token_url: 'https://login.example/token'
        tls_config: {server_name: login.example}
        proxy_url: socks5://me:classified@proxy.example:1080
  - {url: 'https://alertmanager.example:9095', http_config: {basic_auth: {username_file: secrets/name, password_file: secrets/am}, tls_config: {min_version: TLS12}}}
templates: [templates/*.tmpl]
retention: {breaches: 90d, messages: 30d}
evidence: {key_file: secrets/ledger, witness: {url: 'https://witness.example/classified', every: 1h, http_config: {basic_auth: {username: sitrep, password: classified}}}}
access:
  anonymous: viewer
  tokens: [{name: alertmanager, role: receiver, token_file: secrets/token}]
  users: [{name: ada, role: responder, password_file: secrets/ada}]
  proxy:
    trusted: [127.0.0.1/32, '10.1.2.3/8']
    groups_header: X-Forwarded-Groups
    roles: {sre-leads: admin, oncall: responder}
    default_role: viewer
`,
	"slos/shop.yml": `
team: shop
on_call: {email: [Oncall <oncall@example.org>], webhooks: [{url_file: ../secrets/hook-url, secret_file: ../secrets/hook-key}]}
stakeholders: [customer-support]
drill: {every: 90d, slo: a}
slos:
  - {id: a, use_case: Customers cannot pay, sli: availability, service: pay, affects: Everybody who buys, priority: P1, runbook: 'https://wiki.example.org/pay'}
  - {id: b, use_case: Paying is slow, priority: P2, stakeholders: [leadership], match: ['alertname="Slow"', 'env=~"prod.*"'], incident_per: [region], ignore: ['canary="true"']}
`,
	"templates/b.tmpl": "{{define \"mail.subject\"}}{{.Title}}{{end}}\n",
	"templates/a.tmpl": "{{define \"mail.text\"}}{{.Text}}{{end}}\n",
	"secrets/smtp":     "classified-smtp\n",
	"secrets/hook-url": "https://hooks.example.org/classified\n",
	"secrets/hook-key": "whsec_Y2xhc3NpZmllZA==\n",
	"secrets/am":       "classified-am\n",
	"secrets/name":     "classified-name\n",
	"secrets/rsa":      rsaKey(),
	"secrets/ledger":   ledgerKey + "\n",
	"secrets/token":    "classified-token-of-all\n",
	"secrets/ada":      "$2a$10$zoUd5L8NSfjoXY5NchJXv.0DgHw4d4HcBGDJ5yDH5TlqSNdAKTxoW\n",
}

func TestPolicy(t *testing.T) {
	path := write(t, full)
	c := load(t, path)
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	p := c.Policy()

	if got := p.Location.String(); got != "Europe/Berlin" {
		t.Errorf("location %s", got)
	}
	if p.ResolveAfter != 5*time.Minute || p.ReopenWithin != 30*time.Minute || p.UnknownAfter != 4*time.Hour ||
		p.RemindBefore != 10*time.Minute || p.DigestAbove != 7 || !p.Asks {
		t.Errorf("times and numbers are not those of the file: %+v", p)
	}
	p1, ok := p.Priority("P1")
	if !ok || p1.Rank != 0 || p1.UpdateEvery != 2*time.Hour ||
		!slices.Equal(p1.Inform, []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders}) ||
		!slices.Equal(p1.Actions, []incident.ActionRule{{Name: "hotfix"}, {Name: "postmortem", Within: 120 * time.Hour}}) {
		t.Errorf("P1 is %+v", p1)
	}
	if p3, _ := p.Priority("P3"); p3.Rank != 2 || p3.UpdateEvery != 0 || !p.Outranks(p1, p3) {
		t.Errorf("P3 is %+v", p3)
	}

	leadership, _ := p.Group("leadership")
	support, _ := p.Group("customer-support")
	if got := leadership.Location.String(); got != "Europe/Berlin" {
		t.Errorf("leadership's location is %s, not the config's", got)
	}
	if support.Language != "de" || c.LanguageOf("Support@example.org") != "de" || c.LanguageOf("product@example.org") != "" {
		t.Errorf("support is told in %q", support.Language)
	}
	if got := support.Location.String(); got != "America/New_York" {
		t.Errorf("customer-support's location is %s", got)
	}
	if !support.Hears("P2") || support.Hears("P3") || !leadership.Hears("P3") {
		t.Errorf("customer-support hears of %q, and leadership of %q", support.Priorities, leadership.Priorities)
	}
	if a, b := leadership.Recipients[0], support.Recipients[1]; a.ID != b.ID || a.ID != "email:cto@example.org" || a.Address != "CTO@example.org" {
		t.Errorf("one address is two recipients: %+v and %+v", a, b)
	}
	if r := leadership.Recipients[1]; r.Name != "Head of Product" || r.Address != "product@example.org" || r.Channel != incident.ChannelEmail {
		t.Errorf("recipient is %+v", r)
	}
	shop, _ := p.Team("shop")
	hook := support.Recipients[2]
	if hook != shop.OnCall[1] {
		t.Errorf("one URL is two recipients: %+v and %+v", hook, shop.OnCall[1])
	}
	// sha256sum of the URL
	if hook.ID != "webhook:2d4c83b68861cb96" || hook.Address != "https://hooks.example.org" || hook.Channel != incident.ChannelWebhook {
		t.Errorf("recipient is %+v", hook)
	}
	w, ok := c.Webhooks()[hook.ID]
	if !ok || string(w.URL) != "https://hooks.example.org/classified" || string(w.Secret) != "whsec_Y2xhc3NpZmllZA==" {
		t.Errorf("webhook is %q %q", string(w.URL), string(w.Secret))
	}
	if n := len(c.Webhooks()); n != 2 {
		t.Errorf("%d webhooks, want 2", n)
	}

	quiet := support.Quiet
	if len(quiet) != 2 || !slices.Equal(quiet[0].Unless, []string{"P1"}) {
		t.Fatalf("quiet is %+v", quiet)
	}
	for at, want := range map[string]bool{
		"2026-12-01T23:00:00Z": true,  // a Tuesday, the first of the month
		"2026-12-01T07:00:00Z": false, // the end is not in it
		"2026-12-02T23:00:00Z": false, // another day of the month
		"2026-12-31T06:59:00Z": true,
		"2026-11-30T23:00:00Z": false,
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := quiet[0].Times[0].ContainsTime(when); got != want {
			t.Errorf("quiet at %s: %v, want %v", at, got, want)
		}
	}

	if len(p.SLOs) != 2 || p.SLOs[0].Team != "shop" || !slices.Equal(p.SLOs[0].Stakeholders, []string{"customer-support"}) ||
		!slices.Equal(p.SLOs[1].Stakeholders, []string{"leadership"}) || p.SLOs[0].Runbook != "https://wiki.example.org/pay" {
		t.Errorf("SLOs are %+v", p.SLOs)
	}
	if p.Watchdog.Within != 10*time.Minute || !slices.Equal(p.Watchdog.Groups, []string{"leadership"}) {
		t.Errorf("watchdog is %+v", p.Watchdog)
	}
	if len(p.Drills) != 1 || p.Drills[0] != (incident.Drill{Team: "shop", SLO: "a", Every: 90 * 24 * time.Hour}) {
		t.Errorf("drills are %+v", p.Drills)
	}
	if w := p.Canary; w.Every != 12*time.Hour || w.Within != 5*time.Minute || !slices.Equal(w.Groups, []string{"leadership"}) {
		t.Errorf("canary is %+v", w)
	}
	if to := c.Posted(); len(to) != 1 || to[0].HTTPConfig == nil {
		t.Errorf("the canary is posted to %+v", to)
	}

	if string(c.Mail.Password) != "classified-smtp" || c.Mail.TLSConfig.Client().ServerName != "mail.example.org" {
		t.Error("mail is not as in the file")
	}
	for i, a := range c.Alertmanagers {
		if _, err := a.HTTPConfig.New(); err != nil {
			t.Errorf("alertmanagers[%d]: %v", i, err)
		}
	}
	if c.Evidence.KeyPath != filepath.Join(filepath.Dir(path), "secrets/ledger") || string(c.Evidence.Key) != ledgerKey {
		t.Errorf("ledger key is %+v", c.Evidence)
	}
	if a := c.Access; string(a.Tokens[0].Token) != "classified-token-of-all" || a.Proxy.UserHeader != "X-Forwarded-User" || a.Proxy.Trusted[1].String() != "10.0.0.0/8" {
		t.Errorf("access is %+v", a)
	}
}

func TestDefaults(t *testing.T) {
	c := load(t, write(t, map[string]string{"sitrep.yml": "priorities: [{name: P1}]\n"}))
	p := c.Policy()
	if p.ResolveAfter != 10*time.Minute || p.ReopenWithin != time.Hour || p.UnknownAfter != 5*time.Hour ||
		p.RemindBefore != 15*time.Minute || p.DigestAbove != 5 || p.Location != time.UTC || p.Asks {
		t.Errorf("defaults are %+v", p)
	}
	if day := 24 * time.Hour; c.Retention != (config.Retention{Breaches: 400 * day, Messages: 400 * day, Personal: 1100 * day}) {
		t.Errorf("retention is %+v", c.Retention)
	}
	if c.Access != nil || c.Mail != nil || c.Evidence.KeyPath != "" {
		t.Errorf("what the file does not say is there: %+v", c)
	}
}

// Messages hold addresses: they are not kept by default for longer than those.
func TestMessagesGoWithAddresses(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		text     string
		messages time.Duration
		shown    string
	}{
		{"personal: 90d", 90 * day, `"retention":{"breaches":"400d","messages":"90d","personal":"90d"}`},
		{"personal: 2000d", 400 * day, `"retention":{"breaches":"400d","messages":"400d","personal":"2000d"}`},
		{"messages: 90d, personal: 90d", 90 * day, `"retention":{"breaches":"400d","messages":"90d","personal":"90d"}`},
		{"messages: 1100d", 1100 * day, `"retention":{"breaches":"400d","messages":"1100d","personal":"1100d"}`},
	} {
		t.Run(tt.text, func(t *testing.T) {
			c := load(t, write(t, map[string]string{"sitrep.yml": "priorities: [{name: P1}]\nretention: {" + tt.text + "}\n"}))
			if c.Retention.Messages != tt.messages || !strings.Contains(string(c.Canonical()), tt.shown) {
				t.Errorf("retention is %+v, shown as %s", c.Retention, c.Canonical())
			}
		})
	}
}

// TestTeamOfTwoFiles has two files of one team: its people are put together.
func TestTeamOfTwoFiles(t *testing.T) {
	c := load(t, write(t, map[string]string{
		"sitrep.yml": "priorities: [{name: P1}]\nmail: {directory: o, from: a@example.org}\nslo_files: ['*/*.yml']\n",
		"a/x.yml":    "team: x\non_call: {email: [a@example.org, b@example.org]}\nslos: [{id: a, use_case: A is broken, priority: P1}]\n",
		"b/x.yml":    "team: x\non_call: {email: [B@example.org, c@example.org]}\nslos: [{id: b, use_case: B is broken, priority: P1}]\n",
	}))
	p := c.Policy()
	if len(p.Teams) != 1 || len(p.Teams[0].OnCall) != 3 {
		t.Errorf("teams are %+v", p.Teams)
	}
}

func TestPublicFormNamesNobody(t *testing.T) {
	c := load(t, write(t, full))
	got := string(c.Public())
	golden.Compare(t, "testdata/public.json", []byte(got+"\n"))
	for _, word := range []string{"@", "ada", "Head of Product", `"username":"sitrep"`, "<secret><"} {
		if strings.Contains(got, word) {
			t.Errorf("%q is in it", word)
		}
	}
	// The same address, written in two ways.
	if !strings.Contains(got, `{"email":["address 2","address 5"],"name":"leadership"},{"email":["address 7","address 2"],"language":"de","name":"customer-support"`) {
		t.Errorf("recipients are not told apart: %s", got)
	}
	sum := sha256.Sum256(c.Public())
	if c.PublicHash() != hex.EncodeToString(sum[:]) {
		t.Errorf("its hash is %s", c.PublicHash())
	}

	files := maps.Clone(full)
	files["sitrep.yml"] = strings.Replace(files["sitrep.yml"], "support@", "supporters@", 1)
	other := load(t, write(t, files))
	if other.Hash() == c.Hash() || string(other.Public()) != got {
		t.Errorf("with another address it is %s", other.Public())
	}
}

func TestCanonical(t *testing.T) {
	c := load(t, write(t, full))
	got := string(c.Canonical())
	golden.Compare(t, "testdata/canonical.json", []byte(got+"\n"))
	for _, word := range []string{"classified", "Y2xhc3NpZmllZA", "$2a$"} {
		if strings.Contains(got, word) {
			t.Errorf("a secret is in it: %s", word)
		}
	}
}

func TestHash(t *testing.T) {
	hash := func(change func(files map[string]string)) string {
		files := map[string]string{}
		for name, text := range full {
			files[name] = text
		}
		change(files)
		return load(t, write(t, files)).Hash()
	}
	same := hash(func(map[string]string) {})
	if len(same) != 64 {
		t.Errorf("hash is %q", same)
	}
	tests := []struct {
		name   string
		change func(files map[string]string)
		same   bool
	}{
		{"another folder", func(map[string]string) {}, true},
		{"a comment", func(f map[string]string) { f["sitrep.yml"] += "# x\n" }, true},
		{"another password", func(f map[string]string) { f["secrets/smtp"] = "classified-too" }, true},
		{"a team file of another name", func(f map[string]string) {
			f["slos/zoo.yml"] = f["slos/shop.yml"]
			delete(f, "slos/shop.yml")
		}, true},
		{"a default written out", func(f map[string]string) {
			f["sitrep.yml"] = strings.Replace(f["sitrep.yml"], "  smarthost:", "  tls: starttls\n  smarthost:", 1)
		}, true},
		{"a cadence", func(f map[string]string) {
			f["sitrep.yml"] = strings.Replace(f["sitrep.yml"], "update_every: 2h", "update_every: 3h", 1)
		}, false},
		{"a team's SLO", func(f map[string]string) {
			f["slos/shop.yml"] = strings.Replace(f["slos/shop.yml"], "priority: P2", "priority: P3", 1)
		}, false},
		{"an address", func(f map[string]string) {
			f["sitrep.yml"] = strings.Replace(f["sitrep.yml"], "support@", "help@", 1)
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := hash(tt.change); (got == same) != tt.same {
				t.Errorf("hash is the same: %v, want %v", got == same, tt.same)
			}
		})
	}
}

// TestPathsAreRelativeToTheirFile loads from elsewhere, with the team's secret
// named from the team's file.
func TestPathsAreRelativeToTheirFile(t *testing.T) {
	path := write(t, full)
	t.Chdir(filepath.Dir(filepath.Dir(path)))
	rel := filepath.Join(filepath.Base(filepath.Dir(path)), "sitrep.yml")
	if a, b := load(t, path).Hash(), load(t, rel).Hash(); a != b {
		t.Errorf("hashes %s and %s differ", a, b)
	}
}
