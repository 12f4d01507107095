package audit_test

import (
	"context"
	"encoding/json"
	"net/mail"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/internal/eml"
	"sitrep/router"
	"sitrep/router/email"
	"sitrep/router/webhook"
	"sitrep/storage"
)

// A post renders messages as they go out, and hands over all of them.
type post struct {
	mails *email.Directory
	hooks *webhook.Sender
}

func (p *post) Render(m *incident.Message) ([]byte, error) {
	if m.Recipient.Channel == incident.ChannelWebhook {
		return p.hooks.Render(m)
	}
	return p.mails.Render(m)
}

func (p *post) Send(ctx context.Context, _ router.Envelope, leased func(context.Context) error) error {
	return leased(ctx)
}

// What stays inside stands in the evidence, in the lines that are proven and on the pages, and
// the evidence shows that no audience was sent it.
func TestTheEvidenceHasWhatStaysInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, organisation(2, 3), 7)
		mails, err := email.NewDirectory(t.TempDir(), email.Letterhead{From: mail.Address{Address: "incidents@example.org"}})
		if err != nil {
			t.Fatal(err)
		}
		w.SendBy(&post{mails, webhook.New(webhook.Options{})})
		key := testKey(t, "sitrep.example.org/ledger")
		time.Sleep(8 * time.Hour)
		w.run()
		start := now()
		minutes := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
		slo := w.Policy().SLOs[0].ID
		var n int64
		w.at(minutes(1), func() { n = w.alert(slo, start.Add(30*time.Second), time.Time{}) })
		w.orders(minutes(5), &n, "canary-who", command.Acknowledge{})
		w.orders(minutes(10), &n, "ada", command.Note{Text: "canary-note"})
		w.orders(minutes(15), &n, "ada", command.Phase{Phase: incident.PhaseEscalation, Note: "canary-phase", EscalatedTo: "canary-to"})
		w.orders(minutes(20), &n, "ada", command.Update{Message: "told-update"})
		w.orders(minutes(25), &n, "ada", command.Priority{Priority: "P2", Reason: "told-reason"})
		w.orders(minutes(30), &n, "ada", command.Action{Name: "hotfix", State: incident.ActionWaived, Reason: "canary-waived"})
		w.at(minutes(300), func() { w.alert(slo, start.Add(30*time.Second), minutes(300)) })
		w.orders(minutes(320), &n, "ada", command.Note{Text: "canary-later"})
		w.orders(minutes(325), &n, "ada", command.Action{Name: "postmortem", State: incident.ActionWaived, Reason: "canary-postmortem"})
		w.orders(minutes(330), &n, "ada", command.Close{Note: "canary-close"})
		w.live(minutes(600))
		w.end()
		if _, err := storage.SignLog(t.Context(), w.Store(), key, now()); err != nil {
			t.Fatal(err)
		}
		b, _ := export(t, w.Store(), audit.ExportOptions{Now: now(), Key: key})
		if v := verify(t, b, audit.VerifyOptions{Keys: []string{key.Public()}}); !v.OK() {
			t.Errorf("findings %v", v.Findings)
		}
		all := files(t, b)
		for _, word := range []string{"canary-who", "canary-note", "canary-phase", "canary-to", "canary-waived", "canary-later", "canary-postmortem", "canary-close", "told-update", "told-reason"} {
			for _, name := range []string{"events.jsonl", "index.html"} {
				if !strings.Contains(all[name], word) {
					t.Errorf("%s does not have %s", name, word)
				}
			}
		}
		if !strings.Contains(all["events.jsonl"], string(incident.EventNoteWritten)) {
			t.Error("no event says that a note was written")
		}
		told := map[incident.Audience]string{}
		for line := range strings.Lines(all["deliveries.jsonl"]) {
			var d struct {
				Leaf struct {
					Delivery string            `json:"delivery"`
					Audience incident.Audience `json:"audience"`
				} `json:"leaf"`
			}
			if err := json.Unmarshal([]byte(line), &d); err != nil {
				t.Fatal(err)
			}
			sent := 0
			for name, body := range all {
				if !strings.HasPrefix(name, "messages/"+d.Leaf.Delivery+".") {
					continue
				}
				sent++
				if path.Ext(name) == ".eml" {
					m := eml.Parse([]byte(body))
					body = m.Get("Subject") + m.Text + m.HTML
				}
				told[d.Leaf.Audience] += body
			}
			if sent != 1 {
				t.Errorf("%d messages of %s", sent, line)
			}
		}
		for _, word := range []string{"told-update", "told-reason"} {
			for _, a := range []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders} {
				if !strings.Contains(told[a], word) {
					t.Errorf("%s were not told %s", a, word)
				}
			}
		}
		for _, a := range []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders} {
			if _, leaked, found := strings.Cut(told[a], "canary"); found {
				t.Errorf("%s were told canary%.40s", a, leaked)
			}
		}
		if !strings.Contains(told[incident.AudienceOnCall], "canary-note") {
			t.Error("those on call were not told the note")
		}
	})
}
