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

	"sitrep/router/wording"
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

// longestError is how many characters of an error are printed.
const longestError = 1 << 20

// report prints an error and returns the exit code that it means.
func report(stderr io.Writer, err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFound):
		// All was said already.
		return exitFailed
	}
	// It may quote what others wrote, and must not move the cursor.
	text, _ := wording.Block(err.Error(), longestError)
	fmt.Fprintln(stderr, "sitrep: "+text)
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
