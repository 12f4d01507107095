package routertest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/internal/command"
	"sitrep/router/routertest"
)

// Management's mailbox is refused for a while, and sitrep is stopped for lunch, once all were told. A test hands in
// its own T, calls Expect, and prints nothing.
func Example() {
	routertest.Run(new(testing.T), routertest.Options{}, func(_ *testing.T, w *routertest.World) {
		told := func() {
			var lines []string
			for _, m := range w.Mails() {
				lines = append(lines, fmt.Sprintln(m.Taken.In(m.Location).Format("15:04"), m.To, m.Kind))
			}
			slices.Sort(lines) // what is due at one time comes in any order
			fmt.Print(strings.Join(lines, ""))
		}
		w.Behave(routertest.Refuse(routertest.ErrDown, "cto"))
		alert := w.Fire("p1", "a")
		w.Pass(10 * time.Minute)
		w.Behave(nil)
		w.Pass(10 * time.Minute)
		told()

		w.Do(1, command.Priority{Priority: "P3", Reason: "there is a workaround"})
		w.Restart(time.Hour)
		w.Pass(time.Minute)
		told()

		w.Resolve(alert)
		w.Pass(15 * time.Minute)
		told()
	})
	// Output:
	// 12:00 oncall opened
	// 12:00 support opened
	// 12:10 cto opened
	// 12:20 cto left
	// 12:20 oncall priority
	// 12:20 support priority
	// 13:31 oncall resolved
	// 13:31 support resolved
}
