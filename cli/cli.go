// Package cli is the command line of sitrep: its commands and their flags, what they print,
// and the exit codes. Each file is a command or several of one kind; those that run or try
// the service out leave the work to app, simulate and demo.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"sitrep/wording"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
)

// An Environment is what the program has from outside, so that tests bring their own.
type Environment struct {
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Die ends the process at once, when the store cannot say what is true.
	Die func()
}

// errFound ends a command that said all there is to say and found something wrong.
var errFound = errors.New("found something")

// A usageError is a command line that is wrong.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// A command is one of the program's, with its flags already declared.
type command func(context.Context) error

// The exit codes.
const (
	ExitDone   = 0
	ExitFailed = 1 // failed, or found something
	ExitUsage  = 2 // the command line is wrong
)

// Run does what a command line says, without the name of the program, and returns the exit
// code. All is printed by then, errors too. What goes on without end, as serve does, ends
// with ctx.
func Run(ctx context.Context, args []string, env Environment) (code int) {
	return report(env.Stderr, run(ctx, args, env))
}

// longestError is how many characters of an error are printed.
const longestError = 1 << 20

// report prints an error and returns the exit code that it means.
func report(stderr io.Writer, err error) int {
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, errFound):
		// All was said already.
		return ExitFailed
	}
	// It may quote what others wrote, and must not move the cursor.
	text, _ := wording.Block(err.Error(), longestError)
	fmt.Fprintln(stderr, "sitrep: "+text)
	var usage *usageError
	if errors.As(err, &usage) {
		return ExitUsage
	}
	return ExitFailed
}

// run parses the command line and does what it says.
func run(ctx context.Context, args []string, env Environment) error {
	parser := kingpin.New("sitrep", "Turns SLO alerts into incidents, and keeps the right people informed at the promised pace.")
	parser.UsageWriter(env.Stdout)
	parser.ErrorWriter(env.Stderr)
	helped := false
	parser.Terminate(func(int) {
		helped = true
		parser.Writer(io.Discard) // all was said; the parser goes on
	})
	parser.Version(version.Print("sitrep"))
	parser.HelpFlag.Short('h')

	commands := declareAll(parser, env)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	// What is asked with --help or --version is printed at once, whatever else is missing.
	name, err := parser.Parse(arrange(args, parser.Model()))
	if helped {
		return nil
	}
	if err != nil {
		return &usageError{usage(err, args, parser.Model())}
	}
	return commands[name](ctx)
}

// declareAll declares the commands and their flags, and returns them by their names.
func declareAll(parser *kingpin.Application, env Environment) map[string]command {
	commands := map[string]command{}
	for _, declare := range []func(*kingpin.Application, Environment, map[string]command){
		declareServe, declareCheck, declareImport, declareSimulate, declarePreview, declareDemo, declareHealthy, declareIncident, declareAudit, declareStorage, declareWiki, declareMail,
	} {
		declare(parser, env, commands)
	}
	return commands
}

// usage says what is wrong with the command line, and where help is.
func usage(err error, args []string, model *kingpin.ApplicationModel) string {
	words := arrange(args, model)
	help := append([]string{"sitrep"}, words[:commandWords(words, model.Commands)]...)
	return err.Error() + "; see " + strings.Join(help, " ") + " --help"
}

// now is the time in UTC and whole microseconds, as the service has it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
