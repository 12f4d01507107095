package cli

import (
	"context"
	"net/url"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/api/client"
	"sitrep/incident"
	cmds "sitrep/internal/command"
	"sitrep/wording"
)

// doing declares a command that changes something, with the flags that all of them
// have.
func (c *incidentCLI) doing(of *kingpin.CmdClause, name, help string) *kingpin.CmdClause {
	cmd := of.Command(name, help)
	cmd.Flag("preview", "Show who would join, leave and be told what, and do nothing.").BoolVar(&c.preview)
	cmd.Flag("key", "The key of the same command given before, to repeat it safely.").PlaceHolder("KEY").StringVar(&c.key)
	return cmd
}

// readBy says who reads what is written in a field of a command.
func readBy(command, field string) string {
	readers, _ := incident.ReadersOf(command, field)
	return wording.ReadBy(readers)
}

// changing is doing for a command on an incident that exists.
func (c *incidentCLI) changing(of *kingpin.CmdClause, name, help string) (*kingpin.CmdClause, *string) {
	cmd := c.doing(of, name, help)
	cmd.Flag("if-match", "Only if no person has changed the incident since this sequence.").PlaceHolder("SEQUENCE").Int64Var(&c.ifMatch)
	return cmd, c.id(cmd, "incident")
}

func (c *incidentCLI) declareDoing(of *kingpin.CmdClause, commands map[string]command) {
	// The body of the command of that name is made once the flags are known.
	give := func(cmd *kingpin.CmdClause, id *string, name string, body func() (any, error)) {
		commands[cmd.FullCommand()] = c.about(id, func(ctx context.Context, speaks *client.Client, id string) error {
			b, err := body()
			if err != nil {
				return err
			}
			return c.do(ctx, speaks, client.Command{Incident: id, Name: name, Body: b})
		})
	}

	ack, id := c.changing(of, "ack", "Say that you are on it, and take it over if another is. No audience is told who.")
	ack.Alias("acknowledge")
	release := ack.Flag("release", "Give it back: nobody is on it then.").Bool()
	give(ack, id, "acknowledge", func() (any, error) { return cmds.Acknowledge{Release: *release}, nil })

	note, id := c.changing(of, "note", "Write a note. "+readBy("notes", "text"))
	noteText := note.Arg("text", "What to note; - reads it from the standard input.").Required().String()
	give(note, id, "notes", func() (any, error) {
		text, err := c.words(*noteText)
		return cmds.Note{Text: text}, err
	})

	priority, id := c.changing(of, "priority", "Raise or lower the priority, and tell all readers.")
	to := priority.Arg("priority", "The priority that it gets, such as P2.").Required().String()
	reason := priority.Flag("reason", "Why. "+readBy("priority", "reason")).Required().String()
	give(priority, id, "priority", func() (any, error) { return cmds.Priority{Priority: *to, Reason: *reason}, nil })

	phase, id := c.changing(of, "phase", "Say at which step the response is.")
	phases := []string{string(incident.PhaseInitialDiagnosis), string(incident.PhaseEscalation), string(incident.PhaseInvestigation), string(incident.PhaseRecovery)}
	step := phase.Arg("phase", "initial-diagnosis, escalation, investigation or recovery.").Required().HintOptions(phases...).String()
	escalatedTo := phase.Flag("to", "To whom it is escalated. "+readBy("phase", "escalated_to")).String()
	phaseNote := phase.Flag("note", "What is known so far. "+readBy("phase", "note")).String()
	give(phase, id, "phase", func() (any, error) {
		return cmds.Phase{Phase: incident.Phase(*step), EscalatedTo: *escalatedTo, Note: *phaseNote}, nil
	})

	update, id := c.changing(of, "update", "Tell the audiences something in your words. "+readBy("updates", "message"))
	message := update.Arg("message", "What to tell; - reads it from the standard input.").Required().String()
	audiences := update.Flag("audience", "Whom to tell: management or stakeholders; else all of the incident's. Can be repeated.").
		HintOptions(string(incident.AudienceManagement), string(incident.AudienceStakeholders)).Strings()
	give(update, id, "updates", func() (any, error) {
		text, err := c.words(*message)
		body := cmds.Update{Message: text, Audiences: []incident.Audience{}}
		for _, a := range split(*audiences) {
			body.Audiences = append(body.Audiences, incident.Audience(a))
		}
		return body, err
	})

	action, id := c.changing(of, "action", "Say that an action is done, or waive it.")
	name := action.Arg("action", "The action, such as postmortem.").Required().String()
	state := action.Arg("state", "done or waived.").Required().Enum(string(incident.ActionDone), string(incident.ActionWaived))
	link := action.Flag("link", "Where to read what was done. "+readBy("actions", "link")+" That of an action that is not done stays inside.").String()
	why := action.Flag("reason", "Why it is waived. "+readBy("actions", "reason")).String()
	commands[action.FullCommand()] = c.about(id, func(ctx context.Context, speaks *client.Client, id string) error {
		body := cmds.Action{State: incident.ActionState(*state), Link: *link, Reason: *why}
		return c.do(ctx, speaks, client.Command{Incident: id, Name: "actions/" + url.PathEscape(*name), Body: body})
	})

	resolve, id := c.changing(of, "resolve", "Say that it is over.")
	resolveNote := resolve.Flag("note", "What helped; needed while breaches fire. "+readBy("resolve", "note")).String()
	resolveMessage := resolve.Flag("message", "What to say with the message that it is over. "+readBy("resolve", "message")).String()
	give(resolve, id, "resolve", func() (any, error) { return cmds.Resolve{Note: *resolveNote, Message: *resolveMessage}, nil })

	closing, id := c.changing(of, "close", "End it for good, once its actions are done or waived.")
	closeNote := closing.Flag("note", "What there is to say at the end. "+readBy("close", "note")).String()
	give(closing, id, "close", func() (any, error) { return cmds.Close{Note: *closeNote}, nil })

	reopen, id := c.changing(of, "reopen", "Take resolving back.")
	reopenReason := reopen.Flag("reason", "Why. "+readBy("reopen", "reason")).Required().String()
	give(reopen, id, "reopen", func() (any, error) { return cmds.Reopen{Reason: *reopenReason}, nil })

	merge, id := c.changing(of, "merge", "End it in favour of another.")
	into := c.id(merge, "into")
	mergeReason := merge.Flag("reason", "Why they are the same. "+readBy("merge", "reason")).Required().String()
	give(merge, id, "merge", func() (any, error) {
		other, err := parseID(*into)
		return cmds.Merge{Into: other, Reason: *mergeReason}, err
	})
}

func (c *incidentCLI) declareDeclare(of *kingpin.CmdClause, commands map[string]command) {
	cmd := c.doing(of, "declare", "Open an incident by hand: of an SLO, or in your own words.")
	var d cmds.Declare
	cmd.Flag("slo", "The id of the SLO that it is about.").PlaceHolder("ID").StringVar(&d.SLO)
	cmd.Flag("use-case", "What is broken, in plain words, where there is no SLO. "+readBy("declare", "use_case")).PlaceHolder("TEXT").StringVar(&d.UseCase)
	cmd.Flag("team", "The team, where there is no SLO.").PlaceHolder("TEAM").StringVar(&d.Team)
	cmd.Flag("priority", "The priority, such as P2; else that of the SLO.").PlaceHolder("P2").StringVar(&d.Priority)
	stakeholders := cmd.Flag("stakeholders", "The groups to inform, where there is no SLO. Can be repeated.").PlaceHolder("GROUP").Strings()
	cmd.Flag("reason", "Why you open it. "+readBy("declare", "reason")).Required().PlaceHolder("TEXT").StringVar(&d.Reason)
	cmd.Flag("drill", "It is a drill: every message says so.").BoolVar(&d.Drill)
	commands[cmd.FullCommand()] = c.speak(func(ctx context.Context, speaks *client.Client) error {
		switch {
		case d.SLO == "" && d.UseCase == "":
			return &usageError{"declare needs --slo, or --use-case with --team and --priority"}
		case d.SLO != "" && d.UseCase != "":
			return &usageError{"--slo and --use-case: use one of them"}
		}
		d.Stakeholders = split(*stakeholders)
		return c.do(ctx, speaks, client.Command{Body: d})
	})
}

// do carries out, or previews, a command, and prints what came of it.
func (c *incidentCLI) do(ctx context.Context, speaks *client.Client, cmd client.Command) error {
	cmd.IfMatch, cmd.Key = c.ifMatch, c.key
	if c.ifMatch < 0 {
		return &usageError{"--if-match: give the sequence of the incident, as show prints it"}
	}
	if c.preview {
		p, raw, err := speaks.Preview(ctx, cmd)
		return c.show(raw, err, func(t *table) { c.previewed(t, &p) })
	}
	in, raw, err := speaks.Do(ctx, cmd)
	return c.show(raw, err, func(t *table) { c.done(t, &in) })
}
