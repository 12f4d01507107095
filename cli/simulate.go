package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/receiver"
	"sitrep/simulate"
	"sitrep/wording"
)

// simulateFlags are the flags of simulate.
type simulateFlags struct {
	config string
	at     string
	output string
	args   []string
}

func declareSimulate(parser *kingpin.Application, env Environment, commands map[string]command) {
	f := &simulateFlags{}
	cmd := parser.Command("simulate", "Show what alerts would do: which SLO and incident they belong to, who is told, and when. Nothing is stored or sent.")
	cmd.Flag("config.file", "The configuration.").Default("sitrep.yml").StringVar(&f.config)
	cmd.Flag("at", "As if the alerts came at that time, such as 2026-12-24T03:00:00+01:00; default is now.").StringVar(&f.at)
	cmd.Flag("output", "text or json.").Short('o').Default("text").EnumVar(&f.output, "text", "json")
	cmd.Arg("alerts", "A file with what Alertmanager posts, - for stdin, or the labels of one firing alert as name=value.").Required().StringsVar(&f.args)
	commands[cmd.FullCommand()] = func(ctx context.Context) error { return runSimulate(ctx, env, f) }
}

// runSimulate shows what the alerts would do. It finds something if an alert is invalid.
func runSimulate(ctx context.Context, env Environment, f *simulateFlags) error {
	at := now()
	if f.at != "" {
		t, err := time.Parse(time.RFC3339, f.at)
		if err != nil {
			return &usageError{fmt.Sprintf("--at=%q is not a time; write it as 2026-12-24T03:00:00+01:00", f.at)}
		}
		at = t.UTC()
	}
	body, err := simulatedBody(env, f.args, at)
	if err != nil {
		return err
	}
	c, err := loadConfig(env.Stderr, f.config)
	if err != nil {
		return err
	}
	sim, err := simulate.Run(ctx, c, body, at)
	if err != nil {
		return err
	}
	if f.output == "json" {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err = e.Encode(sim); err == nil {
			_, err = env.Stdout.Write(wording.EscapeJSON(b.Bytes()))
		}
	} else {
		_, err = io.WriteString(wording.Shown(env.Stdout), sim.Text())
	}
	if err == nil && sim.Invalid() {
		err = errFound
	}
	return err
}

// simulatedBody returns the payload that the arguments name, or make up.
func simulatedBody(env Environment, args []string, at time.Time) ([]byte, error) {
	if len(args) == 1 {
		source, r := args[0], env.Stdin
		if source != "-" && source != "" {
			file, err := os.Open(source)
			switch {
			case errors.Is(err, os.ErrNotExist) && strings.Contains(source, "="):
				return labelsBody(args, at)
			case err != nil:
				return nil, fmt.Errorf("read alerts: %w", err)
			}
			defer file.Close()
			r = file
		}
		body, err := io.ReadAll(io.LimitReader(r, receiver.MaxBody+1))
		if err != nil {
			return nil, fmt.Errorf("read alerts: %w", err)
		}
		return body, nil
	}
	return labelsBody(args, at)
}

// labelsBody returns a payload with one alert that has these labels.
func labelsBody(args []string, at time.Time) ([]byte, error) {
	labels := map[string]string{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, &usageError{fmt.Sprintf("%q is not a label; give one file, or labels as name=value", a)}
		}
		if _, twice := labels[name]; twice {
			return nil, &usageError{fmt.Sprintf("the label %q stands twice", name)}
		}
		labels[name] = strings.Trim(value, `"`)
	}
	return json.Marshal(map[string]any{
		"version": "4", "receiver": "sitrep", "status": "firing",
		"alerts": []any{map[string]any{"status": "firing", "labels": labels, "startsAt": at.Format(time.RFC3339Nano)}},
	})
}
