package cli

import (
	"strings"
	"testing"

	"sitrep/app/apptest"
)

// TestCommandsSayThatMessagesAreNotHandedOver: who looks at an incident, or gives a command,
// is warned. What a program reads stays as it is.
func TestCommandsSayThatMessagesAreNotHandedOver(t *testing.T) {
	t.Parallel()
	// Nobody listens at port 1 of this machine.
	s := newRunning(t, strings.Replace(apptest.Organisation, "mail: {directory: outbox,", "mail: {smarthost: '127.0.0.1:1', tls: none,", 1)+apptest.Access, nil)
	sh := s.responderShell()
	s.Alert("firing", "send", "a")
	if _, errOut, _ := sh.run("incident", "list"); errOut != "" {
		t.Errorf("before it is tried: %q", errOut)
	}
	s.Start()
	s.Until("a command warns", func() bool {
		_, errOut, _ := sh.run("incident", "show", "INC-1")
		return strings.Contains(errOut, "warning: ") && strings.Contains(errOut, "not handed over; the first was due ")
	})
	for _, args := range [][]string{{"incident", "list"}, {"incident", "ack", "INC-1"}, {"incident", "list", "-o", "json"}} {
		out, errOut, code := sh.run(args...)
		if code != ExitDone || strings.Contains(out, "not handed over") || !strings.Contains(errOut, "warning: ") || strings.Contains(errOut, "@") {
			t.Errorf("%q: %d\n%s\n%s", args, code, out, errOut)
		}
	}
}
