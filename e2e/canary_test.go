package e2e_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/chain/live"
	"sitrep/e2e/rig"
)

// flies is a part of a config with a canary for support, who has a mailbox and a webhook.
func flies(address string) string {
	return asking(address) + "canary: {every: 1m, within: 12s, to: [support]}\n"
}

// A canaryView is what the status says of the canary.
type canaryView struct {
	ArrivedAt    *time.Time `json:"arrived_at"`
	TookSeconds  *float64   `json:"took_seconds"`
	FailingSince *time.Time `json:"failing_since"`
	Stage        string     `json:"stage"`
	LastError    string     `json:"last_error"`
}

func (w *world) canary() canaryView {
	w.t.Helper()
	var status struct {
		Canary canaryView `json:"canary"`
	}
	check(w.t, w.Get("/api/v1/status", &status))
	return status.Canary
}

// fly lets the canary fly from now on.
func (w *world) fly(am *rig.Alertmanager) {
	w.t.Helper()
	check(w.t, w.Write("sitrep.yml", w.config(settings{more: flies(am.Address)})))
	w.Reload()
}

// failed waits until a run failed, as far as stage, and was told to the webhook.
func (w *world) failed(stage string) canaryView {
	w.t.Helper()
	w.eventually("the canary failed", func() bool { return w.canary().FailingSince != nil })
	if c := w.canary(); c.Stage != stage {
		w.t.Errorf("it failed at %q (%s), want %q", c.Stage, c.LastError, stage)
	}
	w.eventually("the webhook is told", func() bool {
		return slices.ContainsFunc(w.hook.Postings(), func(p rig.Posting) bool { return p.Type == "incident.canary" })
	})
	if got := w.metric("sitrep_canary_failing"); got != 1 {
		w.t.Errorf("sitrep_canary_failing is %v", got)
	}
	return w.canary()
}

// flown returns the mails of the canary that support got.
func (w *world) flown() (subjects []string) {
	for _, m := range w.mail.To(support) {
		if m.Kind() == "canary" {
			subjects = append(subjects, m.Subject())
		}
	}
	return subjects
}

// TestTheCanaryComesBack through a real Alertmanager, first one that is dead, and ends as a
// mail. It opens no incident, and the report has it.
func TestTheCanaryComesBack(t *testing.T) {
	t.Parallel()
	places := free(t, 1)
	w := newWorld(t, settings{more: flies(places[0])})
	c := w.failed("post")
	if !strings.Contains(c.LastError, places[0]) {
		t.Errorf("said %q", c.LastError)
	}
	w.eventually("a mail says so", func() bool { return len(w.flown()) == 1 })
	w.start(sender{repeat: "1h", address: places[0]})
	if !rig.Poll(2*time.Minute, func() bool { return w.canary().FailingSince == nil }) {
		t.Fatalf("it does not arrive: %+v", w.canary())
	}
	if c := w.canary(); c.ArrivedAt == nil || c.TookSeconds == nil || *c.TookSeconds <= 0 || *c.TookSeconds > 12 {
		t.Errorf("%+v", c)
	}
	w.eventually("a mail is the end", func() bool {
		return slices.Equal(w.flown(), []string{"[canary] The canary did not arrive: alerts or mails may be lost", "[canary] The canary arrives again"})
	})
	if got := w.metric("sitrep_canary_duration_seconds"); got <= 0 || got > 12 {
		t.Errorf("sitrep_canary_duration_seconds is %v", got)
	}
	if all := w.incidents(); len(all) > 0 {
		t.Errorf("incidents %+v", all)
	}
	var report struct {
		Canary struct {
			Arrived  int `json:"arrived"`
			Failed   int `json:"failed"`
			Failures []struct {
				Until time.Time `json:"until"`
				Stage string    `json:"stage"`
			} `json:"failures"`
		} `json:"canary"`
	}
	check(t, w.Get("/api/v1/audit/report?format=json", &report))
	if r := report.Canary; r.Arrived != 1 || r.Failed < 1 || len(r.Failures) != 1 || r.Failures[0].Stage != "post" || r.Failures[0].Until.IsZero() {
		t.Errorf("the report says %+v", r)
	}
}

// TestTheCanaryFindsARouteThatIsGone: Alertmanager takes it, and brings it to nobody.
func TestTheCanaryFindsARouteThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	am := w.start(sender{repeat: "1h", lost: `sitrep_canary=~".+"`})
	w.fly(am)
	w.failed("route")
	w.eventually("a mail says so", func() bool { return len(w.flown()) == 1 })
	if log := am.Log(); !strings.Contains(log, "SitrepCanary") {
		t.Errorf("Alertmanager had no canary: %s", log)
	}
}

// TestTheCanaryFindsWhatIsWrongWithPrometheus: of several real ones, each wrong in its own way, all
// are named, and once they are sound it arrives.
func TestTheCanaryFindsWhatIsWrongWithPrometheus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	am := w.start(sender{repeat: "1h"})
	// run starts a Prometheus with rules, or none, that sends to an Alertmanager.
	run := func(rules, to string) *rig.Prometheus {
		t.Helper()
		p, err := rig.NewPrometheus(t.TempDir(), "global: {evaluation_interval: 1s}\nrule_files: [rules.yml]\nalerting: {alertmanagers: [{static_configs: [{targets: ["+to+"]}]}]}\n")
		if err != nil {
			if os.Getenv("CI") == "" {
				t.Skip(err)
			}
			t.Fatal(err)
		}
		check(t, p.Write("rules.yml", rules))
		check(t, p.Start())
		t.Cleanup(p.Kill)
		return p
	}
	const rules = "groups: [{name: g, rules: [{alert: Quiet, expr: vector(0) > 1}]}]\n"
	sound, dead, stalled := run(rules, am.Address), run(rules, am.Address), run(rules, am.Address)
	bare, alone, astray := run("groups: []\n", am.Address), run(rules, ""), run(rules, free(t, 1)[0])
	// After a start it takes some seconds until rules are evaluated and Alertmanagers found.
	settled := func(all ...*rig.Prometheus) {
		t.Helper()
		for _, p := range all {
			probe := live.NewProbe([]live.Endpoint{{URL: p.URL()}}, nil, patience)
			w.eventually("Prometheus is sound", func() bool { return probe.Probe(t.Context()) == nil })
		}
	}
	settled(sound, dead, stalled, astray)
	dead.Kill()
	stalled.Stall()
	asked := func(all ...*rig.Prometheus) string {
		text := "prometheus:\n"
		for _, p := range all {
			text += "  - url: " + p.URL() + "\n"
		}
		return text
	}
	check(t, w.Write("sitrep.yml", w.config(settings{more: flies(am.Address) + asked(sound, dead, stalled, bare, alone, astray)})))
	w.Reload()
	said := w.failed("prometheus").LastError
	for _, c := range []struct {
		p    *rig.Prometheus
		says string
	}{
		{dead, "connection refused"},
		{stalled, "no answer in time"},
		{bare, "it has no alerting rules"},
		{alone, "it sends alerts to no Alertmanager"},
		{astray, "which by these names is none of alertmanagers"},
	} {
		_, after, found := strings.Cut(said, c.p.Address)
		if after, _, _ = strings.Cut(after, "Prometheus"); !found || !strings.Contains(after, c.says) {
			t.Errorf("%s: not %q in %s", c.p.Address, c.says, said)
		}
	}
	if strings.Contains(said, sound.Address) {
		t.Errorf("said %s", said)
	}
	w.eventually("a mail says so", func() bool { return len(w.flown()) == 1 })
	if page, err := w.Text("/status"); err != nil || !strings.Contains(page, "A Prometheus does not answer, evaluates no rules") {
		t.Errorf("the page says %s, %v", page, err)
	}
	check(t, dead.Start())
	check(t, bare.Write("rules.yml", rules))
	bare.Reload()
	settled(dead, bare)
	check(t, w.Write("sitrep.yml", w.config(settings{more: flies(am.Address) + asked(sound, dead, bare)})))
	w.Reload()
	if !rig.Poll(2*time.Minute, func() bool { return w.canary().FailingSince == nil }) {
		t.Fatalf("it does not arrive: %+v", w.canary())
	}
	w.eventually("a mail says so", func() bool { return slices.Contains(w.flown(), "[canary] The canary arrives again") })
}

// TestTheCanaryFindsARefusedLogIn: it comes back, and its mail stays where it is.
func TestTheCanaryFindsARefusedLogIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	am := w.start(sender{repeat: "1h"})
	check(t, w.Write("smtp-password", "another"))
	w.fly(am)
	if c := w.failed("mail"); !strings.Contains(c.LastError, "535") {
		t.Errorf("said %q", c.LastError)
	}
	if mails := w.flown(); len(mails) > 0 {
		t.Errorf("mails %v", mails)
	}
	check(t, w.Write("smtp-password", rig.MailPassword))
	if !rig.Poll(3*time.Minute, func() bool { return w.canary().FailingSince == nil }) {
		t.Fatalf("it does not arrive: %+v", w.canary())
	}
	w.eventually("a mail says so", func() bool { return slices.Contains(w.flown(), "[canary] The canary arrives again") })
}
