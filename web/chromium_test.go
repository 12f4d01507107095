package web_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A browser is a Chromium that the tests drive through a pair of pipes, by the DevTools
// protocol.
type browser struct {
	t       testing.TB
	to      io.Writer
	mu      sync.Mutex
	next    int
	calls   map[int]chan reply
	session string
	events  []event
	gone    error
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

type event struct {
	Method string
	Params json.RawMessage
}

// newBrowser starts a Chromium. Where there is none, the test is
// skipped, but in CI it fails.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no chromium, and in CI nothing is skipped")
		}
		t.Skip("there is no chromium")
	}
	theirIn, toThem, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromThem, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: the browser's helpers may still write into it while it is removed.
	home, err := os.MkdirTemp("", "sitrep-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe", "--user-data-dir="+home, "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	cmd.Env = append(os.Environ(), "HOME="+home, "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with its helpers
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirIn.Close(), theirOut.Close()
	b := &browser{t: t, to: toThem, calls: map[int]chan reply{}}
	go b.read(fromThem)
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // killed
		_, _ = toThem.Close(), fromThem.Close()
		for range 20 {
			if os.RemoveAll(home) == nil {
				break
			}
		}
	})
	return b
}

// tab opens an empty page for a test of its own.
func (b *browser) tab(t testing.TB) {
	t.Helper()
	b.t, b.session = t, ""
	b.complaints()
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	t.Cleanup(func() {
		b.session = ""
		b.call("Target.closeTarget", map[string]any{"targetId": target.TargetID}, nil)
	})
}

// read takes what the browser says until it ends.
func (b *browser) read(from io.Reader) {
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.gone = errors.Join(errors.New("the browser ended"), err)
			for _, c := range b.calls {
				close(c)
			}
			b.calls = nil
			b.mu.Unlock()
			return
		}
		var m struct {
			ID int
			event
			reply
		}
		if err := json.Unmarshal(line[:len(line)-1], &m); err != nil {
			continue
		}
		b.mu.Lock()
		if c, ok := b.calls[m.ID]; ok && m.Method == "" {
			delete(b.calls, m.ID)
			c <- m.reply
		} else if m.Method != "" {
			b.events = append(b.events, m.event)
		}
		b.mu.Unlock()
	}
}

// call gives the browser a command and reads its answer into out.
func (b *browser) call(method string, params, out any) {
	b.t.Helper()
	b.mu.Lock()
	if b.gone != nil {
		b.mu.Unlock()
		b.t.Fatal(b.gone)
	}
	b.next++
	id, answer := b.next, make(chan reply, 1)
	b.calls[id] = answer
	session := b.session
	b.mu.Unlock()
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if session != "" {
		message["sessionId"] = session
	}
	line, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(line, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case r, ok := <-answer:
		switch {
		case !ok:
			b.t.Fatalf("%s: the browser ended", method)
		case r.Error != nil:
			b.t.Fatalf("%s: %s", method, r.Error.Message)
		case out != nil:
			if err := json.Unmarshal(r.Result, out); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(30 * time.Second):
		b.t.Fatalf("%s: no answer", method)
	}
}

// view sets the size of the window and the colours that the viewer prefers.
func (b *browser) view(width, height int, colours string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": colours}, {"name": "prefers-reduced-motion", "value": "reduce"},
	}}, nil)
}

// open goes to a page and waits until it is loaded.
func (b *browser) open(url string) {
	b.t.Helper()
	b.arrive(func() {
		var to struct{ ErrorText string }
		b.call("Page.navigate", map[string]any{"url": url}, &to)
		if to.ErrorText != "" {
			b.t.Fatalf("open %s: %s", url, to.ErrorText)
		}
	})
}

// arrive does what leads to another page and waits until that is loaded.
func (b *browser) arrive(do func()) {
	b.t.Helper()
	b.mu.Lock()
	from := len(b.events)
	b.mu.Unlock()
	do()
	b.until("the page is loaded", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, e := range b.events[from:] {
			if e.Method == "Page.loadEventFired" {
				return true
			}
		}
		return false
	})
}

// until waits for something.
func (b *browser) until(what string, done func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// eval evaluates an expression, awaits it if it is a promise, and reads its value into
// out.
func (b *browser) eval(expression string, out any) {
	b.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	if e := r.ExceptionDetails; e != nil {
		b.t.Fatalf("evaluate %.80s: %s %s", expression, e.Text, e.Exception.Description)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(r.Result.Value, out); err != nil {
		b.t.Fatalf("evaluate %.80s: %v", expression, err)
	}
}

// text evaluates an expression whose value is a string.
func (b *browser) text(expression string) string {
	b.t.Helper()
	var s string
	b.eval("String("+expression+")", &s)
	return s
}

// press presses a key that is no letter.
func (b *browser) press(key string, code int) {
	b.t.Helper()
	for _, kind := range []string{"rawKeyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}, nil)
	}
}

// complaints are what the browser and the pages complained about since the last call,
// such as a violated policy.
func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, e := range b.events {
		switch e.Method {
		case "Log.entryAdded", "Runtime.exceptionThrown":
			all = append(all, string(e.Params))
		case "Runtime.consoleAPICalled":
			all = append(all, fmt.Sprintf("console: %s", e.Params))
		}
	}
	b.events = nil
	return all
}

// shoot returns a picture of the whole page.
func (b *browser) shoot() []byte {
	b.t.Helper()
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}
