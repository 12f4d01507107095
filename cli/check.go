package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/config"
	"sitrep/wording"
)

func declareCheck(parser *kingpin.Application, env Environment, commands map[string]command) {
	cmd := parser.Command("check", "Check a configuration, and print everything that is wrong with it.")
	file := cmd.Arg("file", "The configuration.").Default("sitrep.yml").String()
	commands[cmd.FullCommand()] = func(context.Context) error { return check(env, *file) }
}

// check prints all problems of the configuration in the file.
func check(env Environment, file string) error {
	c, err := loadConfig(env.Stdout, file)
	if err != nil {
		return err
	}
	for _, p := range c.Warnings {
		fmt.Fprintln(env.Stdout, p)
	}
	policy := c.Policy()
	fmt.Fprintf(env.Stdout, "%s: %s, %s, %s, %s\n", file, priorities(len(policy.Priorities)),
		wording.Count(len(policy.Groups), "group"), wording.Count(len(policy.Teams), "team"), wording.Count(len(policy.SLOs), "SLO"))
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
	var problems *config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems.List {
			fmt.Fprintln(out, p)
		}
		fmt.Fprintf(out, "sitrep: %s\n", wording.Count(problems.Errors(), "problem"))
		return nil, errFound
	}
	return c, err
}
