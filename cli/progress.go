package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"sitrep/audit"
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
	w    io.Writer
	bar  bool
	none bool // nothing is said

	mu    sync.Mutex
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

// every is how often something is said.
func (p *progress) every() time.Duration {
	if p.bar {
		return progressBar
	}
	return progressLines
}

// tell says what was done of how much, about; a total of 0 is not known.
func (p *progress) tell(what, kind string, done, total int64) {
	p.say(done, total, func() string {
		switch {
		case kind == audit.Bytes && total > 0:
			return fmt.Sprintf("%s: %s of about %s", what, mebibytes(done), mebibytes(total))
		case kind == audit.Bytes:
			return fmt.Sprintf("%s: %s", what, mebibytes(done))
		}
		return fmt.Sprintf("%s: %d of about %d (%s)", what, done, total, kind)
	})
}

// of tells how many of a kind were done of how many.
func (p *progress) of(what string) audit.Progress {
	return func(kind string, done, total int64) { p.tell(what, kind, done, total) }
}

// say says something if it is time to.
func (p *progress) say(done, total int64, text func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.none || now().Sub(p.told) < p.every() {
		return
	}
	p.told = now()
	switch {
	case !p.bar:
		fmt.Fprintln(p.w, text())
	case total == 0:
		p.draw(text())
	default:
		full := int(barWidth * min(done, total) / total)
		p.draw("[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "] " + text())
	}
}

// draw puts a line in the place of the one that stands there.
func (p *progress) draw(line string) {
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-len(line))))
	p.width = len(line)
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width > 0 {
		p.draw("")
		fmt.Fprint(p.w, "\r")
		p.width = 0
	}
}

// writer counts what is written to w, of a size that is 0 if it is not known.
func (p *progress) writer(w io.Writer, what string, size int64) *toldWriter {
	return &toldWriter{w: w, p: p, what: what, size: size, begun: func() {}}
}

// answer counts what is written to w of the answer of a sitrep. Until there is some of it, it says for how
// long it has waited; end is called once nothing follows.
func (p *progress) answer(w io.Writer) (to *toldWriter, end func()) {
	to = p.writer(w, "received", 0)
	since, stop, stopped := now(), make(chan struct{}), make(chan struct{})
	to.begun = sync.OnceFunc(func() {
		close(stop)
		<-stopped
	})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(p.every())
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				p.say(0, 0, func() string {
					return fmt.Sprintf("waiting for the answer: %v", now().Sub(since).Truncate(time.Second))
				})
			}
		}
	}()
	return to, func() {
		to.begun()
		p.end()
	}
}

// A toldWriter says how much was written.
type toldWriter struct {
	w          io.Writer
	p          *progress
	what       string
	done, size int64
	begun      func() // called with the first that is written
}

// Expect is told how much will be written.
func (w *toldWriter) Expect(size int64) { w.size = size }

func (w *toldWriter) Write(b []byte) (int, error) {
	w.begun()
	n, err := w.w.Write(b)
	w.done += int64(n)
	w.p.tell(w.what, audit.Bytes, w.done, w.size)
	return n, err
}
