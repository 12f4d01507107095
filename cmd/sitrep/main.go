// Command sitrep turns SLO alerts into incidents, and keeps the right people
// informed at the pace that the organisation promised.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	// Time zones by name must work where the machine has none, as in a bare container.
	_ "time/tzdata"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], environment{
		getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, die: func() { os.Exit(exitFailed) },
	})
	stop()
	os.Exit(report(os.Stderr, err))
}

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // failed, or found something
	exitUsage  = 2
)

// report prints an error and returns the exit code that it means.
func report(stderr io.Writer, err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFound):
		// All was said already.
		return exitFailed
	}
	fmt.Fprintln(stderr, "sitrep: "+err.Error())
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
