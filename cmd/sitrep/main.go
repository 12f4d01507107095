// Command sitrep turns SLO alerts into incidents, and keeps the right people
// informed at the pace that the organisation promised.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	// Time zones by name must work where the machine has none, as in a bare container.
	_ "time/tzdata"

	"sitrep/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Environment{
		Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Die: func() { os.Exit(cli.ExitFailed) },
	})
	stop()
	os.Exit(code)
}
