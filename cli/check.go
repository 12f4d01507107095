package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/app"
	"sitrep/chain"
	"sitrep/config"
	"sitrep/wording"
)

// checkFlags are the flags of check.
type checkFlags struct {
	file, output string
	failOn       string // warning or error: from which severity on a finding of a chain is exit 1
	chain        chainFlags
}

func declareCheck(parser *kingpin.Application, env Environment, commands map[string]command) {
	f := &checkFlags{chain: chainFlags{external: map[string]string{}}}
	cmd := parser.Command("check", "Check a configuration, and print everything that is wrong with it. With rules and Alertmanager's configuration, from files or from what runs: follow each alert to who is told.")
	cmd.Arg("file", "The configuration.").Default("sitrep.yml").StringVar(&f.file)
	cmd.Flag("rules", "Files with rules of Prometheus, as 'rules/*.yml'; may be repeated.").StringsVar(&f.chain.rules)
	cmd.Flag("alertmanager.config", "The configuration of Alertmanager; repeated, an alert must come through each.").StringsVar(&f.chain.alertmanagers)
	cmd.Flag("receiver", "The name of the receiver that is sitrep's, if the path of its webhook does not end in /alertmanager.").StringVar(&f.chain.receiver)
	cmd.Flag("external-label", "A label that Prometheus adds to all alerts (external_labels), as cluster=eu; may be repeated.").StringMapVar(&f.chain.external)
	f.chain.live.declare(cmd)
	cmd.Flag("fail-on", "What is found along the chains that makes exit 1: a warning or an error, or an error alone. Of the configuration itself errors alone do, as serve starts with warnings.").Default("warning").EnumVar(&f.failOn, "warning", "error")
	cmd.Flag("output", "text, json, junit or github (annotations).").Short('o').Default("text").EnumVar(&f.output, "text", "json", "junit", "github")
	commands[cmd.FullCommand()] = func(ctx context.Context) error { return check(ctx, env, f) }
}

// check prints all problems of the configuration in the file, and of the chains that lead to it.
func check(ctx context.Context, env Environment, f *checkFlags) error {
	c, at, err := config.LoadWithPositions(f.file)
	if found := problems(err); found != nil {
		if f.output == "text" {
			printProblems(env.Stdout, found)
			return errFound
		}
		report := &chain.Report{}
		for _, p := range found {
			report.Findings = append(report.Findings, findingOf(p))
		}
		return f.print(env.Stdout, report)
	}
	if err != nil {
		return err
	}
	report := &chain.Report{}
	if f.chain.followed() {
		if report, err = f.chain.follow(ctx, c, app.Promise(c, at)); err != nil {
			return err
		}
	}
	if f.output != "text" {
		var warnings []chain.Finding
		for _, p := range c.Warnings {
			warnings = append(warnings, findingOf(p))
		}
		report.Findings = append(warnings, report.Findings...)
		return f.print(env.Stdout, report)
	}
	for _, p := range c.Warnings {
		fmt.Fprintln(env.Stdout, p)
	}
	policy := c.Policy()
	fmt.Fprintf(env.Stdout, "%s: %s, %s, %s, %s\n", f.file, priorities(len(policy.Priorities)),
		wording.Count(len(policy.Groups), "group"), wording.Count(len(policy.Teams), "team"), wording.Count(len(policy.SLOs), "SLO"))
	if !f.chain.followed() {
		return nil
	}
	return f.print(env.Stdout, report)
}

// fails reports whether something that was found is exit 1.
func (f *checkFlags) fails(found *chain.Finding) bool {
	return found.Severity == chain.Error || found.Severity == chain.Warning && f.failOn == "warning" && found.Kind != kindConfiguration
}

// print prints what was found, and returns [errFound] if any of it fails.
func (f *checkFlags) print(out io.Writer, r *chain.Report) error {
	if err := printReport(out, r, f.output, f.fails); err != nil {
		return err
	}
	for i := range r.Findings {
		if f.fails(&r.Findings[i]) {
			return errFound
		}
	}
	return nil
}

func priorities(n int) string {
	if n == 1 {
		return "1 priority"
	}
	return fmt.Sprintf("%d priorities", n)
}

// loadConfig loads a configuration for a command that only reads it, and prints what is
// wrong with it.
func loadConfig(out io.Writer, file string) (*config.Config, error) {
	c, err := config.Load(file)
	if found := problems(err); found != nil {
		printProblems(out, found)
		return nil, errFound
	}
	return c, err
}

// problems returns what is wrong with a configuration by the error of loading it, nil if the error
// is another.
func problems(err error) []config.Problem {
	var list *config.Problems
	if errors.As(err, &list) {
		return list.List
	}
	return nil
}

func printProblems(out io.Writer, list []config.Problem) {
	for _, p := range list {
		fmt.Fprintln(out, p)
	}
	fmt.Fprintf(out, "sitrep: %s\n", wording.Count((&config.Problems{List: list}).Errors(), "problem"))
}
