package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// An environment is what the program has from outside, so that tests bring their
// own.
type environment struct {
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	// die ends the process at once, when the store cannot say what is true.
	die func()
}

// errFound ends a command that said all there is to say and found something wrong.
var errFound = errors.New("found something")

// A usageError is a command line that is wrong.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// A command is one of the program's, with its flags already declared.
type command func(context.Context) error

// run parses the command line and does what it says.
func run(ctx context.Context, args []string, env environment) error {
	app := kingpin.New("sitrep", "Turns SLO alerts into incidents, and keeps the right people informed at the promised pace.")
	app.UsageWriter(env.stdout)
	app.ErrorWriter(env.stderr)
	helped := false
	app.Terminate(func(int) {
		helped = true
		app.Writer(io.Discard) // all was said; the parser goes on
	})
	app.Version(versionText())
	app.HelpFlag.Short('h')

	commands := map[string]command{}
	for _, declare := range []func(*kingpin.Application, environment, map[string]command){
		declareServe, declareCheck, declareSimulate, declareDemo, declareHealthy, declareIncident, declareAudit, declareStorage, declareWiki, declareMail,
	} {
		declare(app, env, commands)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	// What is asked with --help or --version is printed at once, whatever else is missing.
	name, err := app.Parse(arrange(args, app.Model()))
	if helped {
		return nil
	}
	if err != nil {
		return &usageError{usage(err, args, app.Model())}
	}
	return commands[name](ctx)
}

// usage says what is wrong with the command line, and where help is.
func usage(err error, args []string, model *kingpin.ApplicationModel) string {
	words := arrange(args, model)
	help := append([]string{"sitrep"}, words[:commandWords(words, model.Commands)]...)
	return err.Error() + "; see " + strings.Join(help, " ") + " --help"
}
