package app

import (
	"context"
	"crypto/rand"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/internal/httperr"
	"sitrep/internal/status"
	"sitrep/router"
	"sitrep/router/email"
	"sitrep/wording"
)

// mailTestWithin is how long a test mail may take that somebody waits for on a page.
const mailTestWithin = 45 * time.Second

// ParseTestAddress returns the address that a test mail is to go to. The error says what
// would be right.
func ParseTestAddress(to string) (netmail.Address, error) {
	a, err := netmail.ParseAddress(to)
	if err != nil {
		return netmail.Address{}, &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("%.200q is not an email address; write it as ada@example.org", to)}
	}
	return *a, nil
}

// TestMail sends one mail by a configuration that has a mail section, on a connection of its
// own, in the language of whom it goes to, and returns what became of it. Each step is also told to trace, if that is not nil. With preview nothing
// connects and nothing is sent. The error is that of a wrong configuration.
func TestMail(ctx context.Context, c *config.Config, to netmail.Address, preview bool, trace func(status.MailStep)) (status.MailTest, error) {
	m := c.Mail
	t := status.MailTest{To: to.Address, Preview: preview, Where: string(m.Smarthost), Steps: []status.MailStep{}}
	if m.Outbox != "" {
		t.Where = m.Outbox
	}
	sends, err := NewMail(m, nil, func(s email.Said) {
		step := status.MailStep{By: s.By, Text: s.Text}
		t.Steps = append(t.Steps, step)
		if trace != nil {
			trace(step)
		}
	})
	if err != nil {
		return t, fmt.Errorf("mail: %w", err)
	}
	defer sends.Close()
	id, language := "test."+strings.ToLower(rand.Text()[:16]), wording.In(c.LanguageOf(to.Address))
	note := email.Note{ID: id, To: to, Language: language.Tag(), At: now()}
	note.Subject, note.Text = language.TestMail()
	body, err := sends.Letterhead.RenderNote(note)
	if err != nil {
		return t, err
	}
	if t.Message = string(body); preview {
		return t, nil
	}
	e := router.Envelope{ID: id, Recipient: incident.Recipient{ID: "test", Channel: incident.ChannelEmail, Name: to.Name, Address: to.Address}, Body: body}
	if err := sends.Send(ctx, e, func(context.Context) error { return nil }); err != nil {
		t.Error, t.Advice = err.Error(), email.Advice(err)
		return t, nil
	}
	t.Sent = true
	return t, nil
}

// testMail sends a test mail for somebody who waits for it; one at a time.
func (s *Service) testMail(ctx context.Context, to string, preview bool) (status.MailTest, error) {
	address, err := ParseTestAddress(to)
	if err != nil {
		return status.MailTest{}, err
	}
	c := s.reloader.Current()
	if c.Mail == nil {
		return status.MailTest{}, &incident.Problem{Kind: incident.ErrConflict, Text: "the configuration has no mail section; add mail with from and smarthost"}
	}
	if !preview {
		if !s.testing.TryLock() {
			return status.MailTest{}, httperr.Status(503, "another test mail is under way; try again when it is done")
		}
		defer s.testing.Unlock()
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, mailTestWithin)
		defer cancel()
	}
	return TestMail(ctx, c, address, preview, nil)
}
