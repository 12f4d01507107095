package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/app"
	"sitrep/config"
	"sitrep/incident"
	"sitrep/router"
	"sitrep/router/email"
)

func declareMail(parser *kingpin.Application, env Environment, commands map[string]command) {
	mail := parser.Command("mail", "Mail, and the server that it goes by.")
	test := mail.Command("test", "Send one mail, and show each step of the conversation with the mail server.")
	file := test.Flag("config.file", "The configuration.").Default("sitrep.yml").String()
	to := test.Flag("to", "The address that the mail goes to.").Required().String()
	commands[test.FullCommand()] = func(ctx context.Context) error { return mailTest(ctx, env, *file, *to) }
}

// mailTest sends one mail by the configuration in the file, and says what happened and,
// if it failed, what to change.
func mailTest(ctx context.Context, env Environment, file, to string) error {
	rcpt, err := netmail.ParseAddress(to)
	if err != nil {
		return &usageError{fmt.Sprintf("--to=%q is not an email address; write it as ada@example.org", to)}
	}
	c, err := config.Load(file)
	var problems *config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems.List {
			fmt.Fprintln(env.Stdout, p)
		}
		return errFound
	case err != nil:
		return err
	case c.Mail == nil:
		return fmt.Errorf("%s has no mail section; add mail with from and smarthost", file)
	}
	sends, err := app.NewMail(c.Mail, func(s email.Said) {
		switch s.By {
		case "":
			fmt.Fprintf(env.Stdout, "   %s\n", s.Text)
		case "server":
			fmt.Fprintf(env.Stdout, "<- %s\n", s.Text)
		default:
			fmt.Fprintf(env.Stdout, "-> %s\n", s.Text)
		}
	})
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	defer sends.Close()
	at := now()
	id := "test." + strings.ToLower(rand.Text()[:16])
	body, err := sends.Letterhead.RenderNote(id, *rcpt, "sitrep: a test", "This mail shows that sitrep's mails arrive. Nothing is wrong, and nobody has to do anything.", at)
	if err != nil {
		return err
	}
	err = sends.Send(ctx, router.Envelope{ID: id, Recipient: incident.Recipient{ID: "test", Channel: incident.ChannelEmail, Name: rcpt.Name, Address: rcpt.Address}, Body: body},
		func(context.Context) error { return nil })
	if err == nil {
		where := "the mail server took it"
		if c.Mail.Outbox != "" {
			where = "it is in " + c.Mail.Outbox
		}
		fmt.Fprintf(env.Stdout, "sent to %s: %s, as <%s@…>\n", rcpt.Address, where, id)
		return nil
	}
	if advice := email.Advice(err); advice != "" {
		err = fmt.Errorf("%w\nwhat to change: %s", err, advice)
	}
	return err
}
