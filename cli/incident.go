package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/api"
	"sitrep/api/client"
	"sitrep/incident"
	"sitrep/wording"
)

// incidentCLI are the commands under sitrep incident, and their flags.
type incidentCLI struct {
	env        Environment
	now        func() time.Time
	connection connection
	output     string
	limit      int

	// Of what is to be done.
	preview bool
	ifMatch int64
	key     string
}

func declareIncident(parser *kingpin.Application, env Environment, commands map[string]command) {
	c := &incidentCLI{env: env, now: time.Now}
	of := parser.Command("incident", "Look at incidents of a running sitrep, and give commands.")
	c.connection.declare(of)
	of.Flag("output", "text or json.").Short('o').Default("text").EnumVar(&c.output, "text", "json")
	c.declareReading(of, commands)
	c.declareDoing(of, commands)
	c.declareDeclare(of, commands)
}

// id declares the argument that names an incident.
func (c *incidentCLI) id(cmd *kingpin.CmdClause, name string) *string {
	return cmd.Arg(name, "The incident, such as INC-42.").Required().HintAction(c.hints).String()
}

func (c *incidentCLI) limited(cmd *kingpin.CmdClause, most string) {
	cmd.Flag("limit", "How many at most; 0 is all.").Default(most).IntVar(&c.limit)
}

// hints are the incidents that are open, for the shell to complete.
func (c *incidentCLI) hints() []string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	speaks, err := c.connection.client(c.env)
	if err != nil {
		return nil
	}
	open, err := speaks.Incidents(ctx, url.Values{"state": {string(incident.StateOpen)}}, 50)
	if err != nil {
		return nil
	}
	var ids []string
	for _, in := range open.Items {
		ids = append(ids, in.ID)
	}
	return ids
}

// parseID returns an incident's name as the API has it; 42 and inc-42 will do.
func parseID(s string) (string, error) {
	if !strings.Contains(s, "-") {
		s = "INC-" + s
	}
	n, err := incident.ParseID(s)
	if err != nil {
		return "", &usageError{err.Error()}
	}
	return incident.ID(n), nil
}

func (c *incidentCLI) declareReading(of *kingpin.CmdClause, commands map[string]command) {
	query := url.Values{}
	list := of.Command("list", "List incidents, the latest first.")
	text := func(cmd *kingpin.CmdClause, name, help string) {
		cmd.Flag(name, help).SetValue(&parameter{query: query, name: name})
	}
	states := []string{string(incident.StateOpen), string(incident.StateResolved), string(incident.StateClosed)}
	state := list.Flag("state", "Those that are open, resolved or closed.").PlaceHolder("STATE").Enum(states...)
	text(list, "priority", "Those that have this priority now.")
	text(list, "team", "Those of this team.")
	text(list, "slo", "Those of this SLO.")
	list.Flag("query", "Those with all these words in id, use case, service, team, SLO, label values or what people wrote.").Short('q').SetValue(&parameter{query: query, name: "q"})
	c.limited(list, "100")
	commands[list.FullCommand()] = c.speak(func(ctx context.Context, speaks *client.Client) error {
		if *state != "" {
			query.Set("state", *state)
		}
		found, err := speaks.Incidents(ctx, query, c.limit)
		return printList(c, "incidents", found, err, c.incidents)
	})

	show := of.Command("show", "Show one incident.")
	id := c.id(show, "incident")
	commands[show.FullCommand()] = c.about(id, func(ctx context.Context, speaks *client.Client, id string) error {
		in, raw, err := speaks.Incident(ctx, id)
		return c.show(raw, err, func(t *table) { c.incident(t, &in) })
	})

	events := of.Command("events", "List what happened to an incident, the oldest first.")
	eventsOf := c.id(events, "incident")
	c.limited(events, "0")
	commands[events.FullCommand()] = c.about(eventsOf, func(ctx context.Context, speaks *client.Client, id string) error {
		found, err := speaks.Events(ctx, id, c.limit)
		return printList(c, "events", found, err, c.events)
	})

	breaches := of.Command("breaches", "List the breaches of an incident.")
	breachesOf := c.id(breaches, "incident")
	c.limited(breaches, "100")
	commands[breaches.FullCommand()] = c.about(breachesOf, func(ctx context.Context, speaks *client.Client, id string) error {
		found, err := speaks.Breaches(ctx, id, c.limit)
		return printList(c, "breaches", found, err, c.breaches)
	})

	deliveries := of.Command("deliveries", "List who was told when, the latest first.")
	deliveriesOf := deliveries.Arg("incident", "The incident, such as INC-42; else of all.").HintAction(c.hints).String()
	delivered := []string{string(incident.DeliveryPending), string(incident.DeliveryDelivered), string(incident.DeliveryFailed), string(incident.DeliverySuperseded)}
	filters := map[string]*string{"state": deliveries.Flag("state", strings.Join(delivered, ", ")+".").PlaceHolder("STATE").Enum(delivered...)}
	for _, f := range [][2]string{
		{"recipient", "The address, or scheme and host of a webhook."},
		{"group", "The group; of those on call, the team."},
		{"kind", "What they are for, such as opened."},
		{"channel", "email or webhook."},
		{"from", "Due then or later: a day, or a time as in RFC 3339."},
		{"to", "Due before: a day, or a time."},
	} {
		filters[f[0]] = deliveries.Flag(f[0], f[1]).PlaceHolder(strings.ToUpper(f[0])).String()
	}
	c.limited(deliveries, "100")
	commands[deliveries.FullCommand()] = c.speak(func(ctx context.Context, speaks *client.Client) error {
		id, query := *deliveriesOf, url.Values{}
		if id != "" {
			var err error
			if id, err = parseID(id); err != nil {
				return err
			}
		}
		for name, value := range filters {
			if *value != "" {
				query.Set(name, *value)
			}
		}
		found, err := speaks.Deliveries(ctx, id, query, c.limit)
		return printList(c, "deliveries", found, err, c.deliveries)
	})
}

// speak returns a command that speaks with sitrep.
func (c *incidentCLI) speak(fn func(context.Context, *client.Client) error) command {
	return func(ctx context.Context) error {
		if c.limit < 0 {
			return &usageError{fmt.Sprintf("--limit=%d: give a number of 0, which is all, or more", c.limit)}
		}
		speaks, err := c.connection.client(c.env)
		if err != nil {
			return err
		}
		err = fn(ctx, speaks)
		if err == nil {
			c.sayUnsent(ctx, speaks)
		}
		return explain(err)
	}
}

// sayUnsent warns, beside what was asked for, that messages are not handed over: who gave a
// command may believe that people know. That it cannot be known is no error.
func (c *incidentCLI) sayUnsent(ctx context.Context, speaks *client.Client) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := speaks.Get(ctx, "/status", nil)
	if err != nil {
		return
	}
	var status struct{ Unsent api.Unsent }
	if json.Unmarshal(answer, &status) != nil {
		return
	}
	text := wording.Unsent(status.Unsent.Incident(), wording.Clock{Now: c.now(), Location: location(c.env)})
	if text != "" {
		fmt.Fprintf(c.env.Stderr, "warning: %s\n", text)
	}
}

// about returns a command about one incident.
func (c *incidentCLI) about(id *string, fn func(context.Context, *client.Client, string) error) command {
	return func(ctx context.Context) error {
		name, err := parseID(*id)
		if err != nil {
			return err
		}
		return c.speak(func(ctx context.Context, speaks *client.Client) error { return fn(ctx, speaks, name) })(ctx)
	}
}

// explain adds what can be done on the command line.
func explain(err error) error {
	var p *client.Problem
	var unknown *client.UnknownError
	switch {
	case errors.As(err, &p) && p.Status == 401:
		return fmt.Errorf("%w; give it with --token-file, SITREP_TOKEN, or --user and --password-file", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; look with sitrep incident show, or give the same command again with --key=%s: it is done once at most", err, unknown.Key)
	}
	return err
}

// json prints an answer as it came, indented.
func (c *incidentCLI) json(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.env.Stdout, "%s\n", wording.EscapeJSON(b))
	return err
}

// show prints an answer in the form that was asked for, unless there is an error.
func (c *incidentCLI) show(raw any, err error, text func(*table)) error {
	switch {
	case err != nil:
		return err
	case c.output == "json":
		return c.json(raw)
	}
	return c.print(text)
}

// printList prints a list in the form that was asked for.
func printList[T any](c *incidentCLI, key string, l client.List[T], err error, text func(*table, []T)) error {
	if l.Raw == nil {
		l.Raw = []json.RawMessage{}
	}
	err = c.show(map[string]any{key: l.Raw, "next": l.Next}, err, func(t *table) { text(t, l.Items) })
	if err == nil && l.Next != "" && c.output != "json" {
		fmt.Fprintf(c.env.Stderr, "There are more; --limit=0 lists all.\n")
	}
	return err
}

// A parameter is a flag that goes into a query as it is.
type parameter struct {
	query url.Values
	name  string
}

var _ kingpin.Value = (*parameter)(nil)

// Set implements kingpin.Value.
func (p *parameter) Set(s string) error {
	p.query.Set(p.name, s)
	return nil
}

// String implements kingpin.Value.
func (p *parameter) String() string { return p.query.Get(p.name) }

// words returns a text, or what stands on the standard input for "-".
func (c *incidentCLI) words(text string) (string, error) {
	if text != "-" {
		return text, nil
	}
	b, err := io.ReadAll(io.LimitReader(c.env.Stdin, 1<<20))
	if err != nil {
		return "", fmt.Errorf("read the text: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// split returns values that were given one by one or with commas between them.
func split(values []string) []string {
	out := []string{}
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" && !slices.Contains(out, part) {
				out = append(out, part)
			}
		}
	}
	return out
}
