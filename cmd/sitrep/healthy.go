package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

func declareHealthy(app *kingpin.Application, env environment, commands map[string]command) {
	cmd := app.Command("healthy", "Ask a running service whether it is healthy, for a container that has nothing else to ask with.")
	base := cmd.Flag("url", "Where it runs; default is SITREP_URL, else http://127.0.0.1:9098.").String()
	commands[cmd.FullCommand()] = func(ctx context.Context) error {
		for _, u := range []string{*base, env.getenv("SITREP_URL"), "http://127.0.0.1:9098"} {
			if u != "" {
				return healthy(ctx, strings.TrimRight(u, "/")+"/-/healthy")
			}
		}
		return nil
	}
}

// healthy asks the URL, and fails unless the answer is 200.
func healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return &usageError{"--url: " + err.Error()}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("get %q: %s", url, answer.Status)
	}
	return nil
}
