package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/incident"
	"sitrep/incident/sample"
	"sitrep/internal/eml"
	"sitrep/simulate"
	"sitrep/templates"
	"sitrep/wording"
)

// previewFlags are the flags of preview.
type previewFlags struct {
	simulate.Preview
	config, at, shape, output string
}

// shapes are how much a preview can say.
var shapes = map[string]sample.Shape{"usual": sample.Usual, "bare": sample.Bare, "full": sample.Full}

func declarePreview(parser *kingpin.Application, env Environment, commands map[string]command) {
	f := &previewFlags{}
	var kinds []string
	for _, k := range sample.Kinds() {
		kinds = append(kinds, string(k))
	}
	cmd := parser.Command("preview", "Show a message as a group gets it, by the configuration alone: its words and looks, in its time zone. Nothing is sent, and what it tells did not happen.")
	cmd.Flag("config.file", "The configuration.").Default("sitrep.yml").StringVar(&f.config)
	cmd.Flag("kind", "opened, update, priority, left, resolved, reopened, reminder, digest, watchdog or canary.").Default("opened").HintOptions(kinds...).StringVar(&f.Kind)
	cmd.Flag("group", "The group that is told.").StringVar(&f.Group)
	cmd.Flag("team", "Instead of a group: the team whose people on call are told.").StringVar(&f.Team)
	cmd.Flag("channel", "email, or the format of a webhook: json, slack, teams or mattermost. Default is that of the first recipient.").HintOptions("email", "json", "slack", "teams", "mattermost").StringVar(&f.Channel)
	cmd.Flag("slo", "The id of the SLO whose incident it is. Default is the first of which the group is told.").StringVar(&f.SLO)
	cmd.Flag("priority", "The priority of the incident. Default is the SLO's.").StringVar(&f.Priority)
	cmd.Flag("drill", "As of a drill.").BoolVar(&f.Drill)
	cmd.Flag("sample", "How much it says: usual, bare (nothing that may be missing) or full (as much as can be).").Default("usual").EnumVar(&f.shape, "usual", "bare", "full")
	cmd.Flag("at", "As if it were made at that time, such as 2026-12-24T03:00:00+01:00; default is now.").StringVar(&f.at)
	cmd.Flag("web.external-url", "Where links lead, as of serve.").Default("http://127.0.0.1:9098").StringVar(&f.BaseURL)
	cmd.Flag("output", "Of a mail: text, html, eml (the mail as it goes out) or json; of a webhook: json. Default is text, or json of a webhook.").Short('o').EnumVar(&f.output, "text", "html", "eml", "json")
	commands[cmd.FullCommand()] = func(context.Context) error { return preview(env, f) }
}

// preview prints a message as it would be sent. It finds something if a template failed.
func preview(env Environment, f *previewFlags) error {
	if (f.Group == "") == (f.Team == "") {
		return &usageError{"name who is told: --group, or --team for those on call"}
	}
	f.Shape, f.At = shapes[f.shape], now()
	if f.at != "" {
		t, err := time.Parse(time.RFC3339, f.at)
		if err != nil {
			return &usageError{fmt.Sprintf("--at=%q is not a time; write it as 2026-12-24T03:00:00+01:00", f.at)}
		}
		f.At = t.UTC()
	}
	c, err := loadConfig(env.Stderr, f.config)
	if err != nil {
		return err
	}
	failed := false
	f.Failed = func(x *templates.Failure) {
		failed = true
		fmt.Fprintf(env.Stderr, "%s; the message has sitrep's own words\n", wording.Line(x.Error(), longestError))
	}
	body, channel, err := f.Message(c)
	switch {
	case errors.Is(err, incident.ErrInvalid):
		return &usageError{err.Error()}
	case err != nil:
		return err
	}
	if err := f.print(env.Stdout, body, channel); err != nil {
		return err
	}
	if failed {
		return errFound
	}
	return nil
}

// print writes a message in the form that was asked for.
func (f *previewFlags) print(out io.Writer, body []byte, channel string) error {
	if channel != "email" {
		if f.output != "" && f.output != "json" {
			return &usageError{fmt.Sprintf("what a webhook of the format %s gets is JSON; use -o json, or --channel email", channel)}
		}
		return printPretty(out, body)
	}
	m := eml.Parse(body)
	m.Text, m.HTML = strings.ReplaceAll(m.Text, "\r\n", "\n"), strings.ReplaceAll(m.HTML, "\r\n", "\n")
	if f.output == "json" {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(struct {
			From    string `json:"from"`
			To      string `json:"to"`
			Subject string `json:"subject"`
			Text    string `json:"text"`
			HTML    string `json:"html"`
		}{m.Get("From"), m.Get("To"), m.Get("Subject"), m.Text, m.HTML}); err != nil {
			return err
		}
		return printPretty(out, bytes.TrimSpace(b.Bytes()))
	}
	var err error
	switch f.output {
	case "eml":
		_, err = out.Write(body)
	case "html":
		_, err = io.WriteString(out, m.HTML)
	default:
		_, err = fmt.Fprintf(wording.Shown(out), "To: %s\nSubject: %s\n\n%s", m.Get("To"), m.Get("Subject"), m.Text)
	}
	return err
}

// printPretty writes JSON in lines.
func printPretty(out io.Writer, body []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, wording.EscapeJSON(body), "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, b.String())
	return err
}
