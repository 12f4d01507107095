package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	// progressLines is how often a line says how far something is, and progressBar how often the
	// bar on a terminal is drawn.
	progressLines = 10 * time.Second
	progressBar   = 200 * time.Millisecond
	// barWidth is how many characters a bar has.
	barWidth = 30
)

// A progress says how far something is that takes long: with a bar on a terminal, with a line from
// time to time elsewhere.
type progress struct {
	w     io.Writer
	bar   bool
	told  time.Time
	width int // of the bar that stands there
}

func newProgress(env Environment) *progress {
	p := &progress{w: env.Stderr, bar: terminal(env.Stdout) && terminal(env.Stderr)}
	if p.told = now(); p.bar {
		p.told = time.Time{}
	}
	return p
}

// terminal reports whether something that is written is seen by a person at once.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// tell says what was done of how much, about.
func (p *progress) tell(what, kind string, done, total int64) {
	every := progressLines
	if p.bar {
		every = progressBar
	}
	if now().Sub(p.told) < every {
		return
	}
	p.told = now()
	text := fmt.Sprintf("%s: %d of about %d (%s)", what, done, total, kind)
	if !p.bar {
		fmt.Fprintln(p.w, text)
		return
	}
	full := int(barWidth * min(done, total) / max(total, 1))
	p.draw("[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] " + text)
}

// draw puts a line in the place of the one that stands there.
func (p *progress) draw(line string) {
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-len(line))))
	p.width = len(line)
}

// end takes the bar away.
func (p *progress) end() {
	if p.width > 0 {
		p.draw("")
		fmt.Fprint(p.w, "\r")
	}
}
