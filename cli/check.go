package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"sitrep/config"
)

func declareCheck(parser *kingpin.Application, env Environment, commands map[string]command) {
	cmd := parser.Command("check", "Check a configuration, and print everything that is wrong with it.")
	file := cmd.Arg("file", "The configuration.").Default("sitrep.yml").String()
	commands[cmd.FullCommand()] = func(context.Context) error { return check(env, *file) }
}

// check prints all problems of the configuration in the file.
func check(env Environment, file string) error {
	c, err := config.Load(file)
	var problems *config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems.List {
			fmt.Fprintln(env.Stdout, p)
		}
		fmt.Fprintf(env.Stdout, "sitrep: %s\n", count(problems.Errors(), "problem"))
		return errFound
	case err != nil:
		return err
	}
	for _, p := range c.Warnings {
		fmt.Fprintln(env.Stdout, p)
	}
	policy := c.Policy()
	fmt.Fprintf(env.Stdout, "%s: %s, %s, %s, %s\n", file, priorities(len(policy.Priorities)),
		count(len(policy.Groups), "group"), count(len(policy.Teams), "team"), count(len(policy.SLOs), "SLO"))
	return nil
}

func priorities(n int) string {
	if n == 1 {
		return "1 priority"
	}
	return fmt.Sprintf("%d priorities", n)
}

// count writes "1 group" or "2 groups".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
