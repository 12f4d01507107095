package cli

import (
	"io"
	"log/slog"

	"github.com/prometheus/common/promslog"

	"sitrep/wording"
)

// newLogger returns a logger to stderr.
func newLogger(env Environment, level, format string) (*slog.Logger, error) {
	c := promslog.Config{Level: promslog.NewLevel(), Format: promslog.NewFormat(), Writer: env.Stderr}
	if err := c.Level.Set(level); err != nil {
		return nil, &usageError{err.Error()}
	}
	if err := c.Format.Set(format); err != nil {
		return nil, &usageError{err.Error()}
	}
	if format == "json" { // as logfmt does by itself
		c.Writer = jsonLines{env.Stderr}
	}
	return promslog.New(&c), nil
}

// jsonLines are written so that nothing in them moves the cursor of who reads the log.
type jsonLines struct{ w io.Writer }

// Write implements io.Writer. It is given one line.
func (j jsonLines) Write(line []byte) (int, error) {
	if _, err := j.w.Write(wording.EscapeJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
