package e2e_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestForgottenAndProven: once their time is over, names and addresses are gone from
// all that can be asked for, and the evidence verifies.
func TestForgottenAndProven(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	f := firing("cut-1", "f1", time.Now())
	w.post(f)
	opened := []string{"opened INC-1"}
	w.wantMails(map[string][]string{support: opened, onCall: opened})
	check(t, w.Post("/api/v1/incidents/INC-1/acknowledge", struct{}{}, nil))
	w.post(resolved(f, time.Now()))
	w.eventually("it resolves", func() bool { return w.incidents()["cut-1"].State == "resolved" })
	over := []string{"opened INC-1", "resolved INC-1"}
	w.wantMails(map[string][]string{support: over, onCall: over})
	w.deliveries()
	check(t, w.Post("/api/v1/incidents/INC-1/close", struct{}{}, nil))

	// The next configuration forgets at once, and has other people.
	check(t, w.Write("sitrep.yml", strings.NewReplacer(support, "help@example.org", chief, "ceo@example.org").Replace(
		w.config(settings{more: "retention: {breaches: 1ms, messages: 1ms, personal: 1ms}\n"}))))
	check(t, w.Write("slos/notifications.yml", strings.Replace(slos, onCall, "others@example.org", 1)))
	check(t, w.Stop())
	check(t, w.Start())
	w.eventually("it forgets", func() bool {
		return !slices.ContainsFunc(w.deliveries(), func(d deliveryView) bool { return d.Recipient != "forgotten" })
	})
	for _, path := range []string{"/api/v1/incidents/INC-1", "/api/v1/incidents/INC-1/events", "/api/v1/incidents/INC-1/deliveries", "/api/v1/audit/report", "/incidents/INC-1", "/deliveries", "/priorities"} {
		text, err := w.Text(path)
		check(t, err)
		for _, name := range []string{support, onCall, chief, `"ada"`, "by ada", "ada acknowledged"} {
			if strings.Contains(text, name) {
				t.Errorf("%s has %q: %s", path, name, text)
			}
		}
	}

	text, err := w.Text("/api/v1/audit/export?incident=INC-1")
	check(t, err)
	z, err := zip.NewReader(bytes.NewReader([]byte(text)), int64(len(text)))
	check(t, err)
	for _, file := range z.File {
		rc, err := file.Open()
		check(t, err)
		content, err := io.ReadAll(rc)
		check(t, err)
		for _, name := range []string{support, onCall, chief} {
			if bytes.Contains(content, []byte(name)) {
				t.Errorf("%s in the export has %q", file.Name, name)
			}
		}
	}
	check(t, w.Write("evidence.zip", text))
	check(t, w.Stop())
	for _, args := range [][]string{{"evidence.zip", "--key=data/sitrep.db.key"}, {"--storage=data/sitrep.db", "--key=data/sitrep.db.key"}} {
		c := exec.Command(w.Program, append([]string{"audit", "verify"}, args...)...)
		c.Dir = w.Dir
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "were forgotten") || !strings.Contains(string(out), "complete, unchanged and in order") {
			t.Errorf("verify %v: %v\n%s", args, err, out)
		}
	}
	check(t, w.Start())
}
