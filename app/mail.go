package app

import (
	"fmt"
	netmail "net/mail"

	"sitrep/config"
	"sitrep/router"
	"sitrep/router/email"
	"sitrep/templates"
)

// A Mail is what sends mails as the configuration says, with the letterhead that they
// bear.
type Mail struct {
	router.Sender
	Letterhead email.Letterhead
	close      func() error
}

// letterhead returns what all mails have in common, with templates of one's own if own is not nil.
func letterhead(m *config.Mail, own *templates.Set) email.Letterhead {
	return email.Letterhead{
		From:      netmail.Address{Name: m.From.Name, Address: m.From.Address},
		ReplyTo:   netmail.Address{Name: m.ReplyTo.Name, Address: m.ReplyTo.Address},
		ListID:    m.ListID,
		Templates: own,
	}
}

// NewMail makes what sends mails, with templates of one's own if own is not nil. Nothing
// connects yet. What is said to a mail server is told to trace, if that is not nil. The error is
// that of a wrong configuration.
func NewMail(m *config.Mail, own *templates.Set, trace func(email.Said)) (*Mail, error) {
	head := letterhead(m, own)
	if m.Outbox != "" {
		d, err := email.NewDirectory(m.Outbox, head)
		if err != nil {
			return nil, err
		}
		return &Mail{Sender: d, Letterhead: head, close: func() error { return nil }}, nil
	}
	c := email.Config{
		Smarthost: string(m.Smarthost), Letterhead: head, EnvelopeFrom: m.EnvelopeFrom.Address, HelloName: m.HelloName,
		Username: m.Username, Password: func() string { return string(m.CurrentPassword()) },
		TLS: email.TLSPolicy(m.TLS), TLSConfig: m.TLSConfig.Client(),
		MaxConnections: m.Connections, Rate: email.Rate{Mails: m.Rate.Mails, Per: m.Rate.Per},
		Trace: trace,
	}
	if m.Timeout != nil {
		c.Timeouts = email.Within(*m.Timeout)
	}
	if m.OAuth2 != nil {
		tokens, err := m.OAuth2.Tokens()
		if err != nil {
			return nil, fmt.Errorf("oauth2: %w", err)
		}
		c.Token = tokens.AccessToken
	}
	s, err := email.NewSMTP(c)
	if err != nil {
		return nil, err
	}
	return &Mail{Sender: s, Letterhead: head, close: s.Close}, nil
}

// Close ends the connections that are kept.
func (m *Mail) Close() { _ = m.close() }
