package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/app"
	"sitrep/config"
	"sitrep/internal/status"
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
	rcpt, err := app.ParseTestAddress(to)
	if err != nil {
		return &usageError{"--to: " + err.Error()}
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
	t, err := app.TestMail(ctx, c, rcpt, false, func(s status.MailStep) {
		switch s.By {
		case "":
			fmt.Fprintf(env.Stdout, "   %s\n", s.Text)
		case "server":
			fmt.Fprintf(env.Stdout, "<- %s\n", s.Text)
		default:
			fmt.Fprintf(env.Stdout, "-> %s\n", s.Text)
		}
	})
	switch {
	case err != nil:
		return err
	case !t.Sent && t.Advice != "":
		return fmt.Errorf("%s\nwhat to change: %s", t.Error, t.Advice)
	case !t.Sent:
		return errors.New(t.Error)
	case c.Mail.Outbox != "":
		fmt.Fprintf(env.Stdout, "sent to %s: it is in %s\n", t.To, t.Where)
	default:
		fmt.Fprintf(env.Stdout, "sent to %s: the mail server took it\n", t.To)
	}
	return nil
}
