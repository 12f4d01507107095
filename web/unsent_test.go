package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/storage"
)

// trouble is what a page says on top of sitrep itself.
func (a *answer) trouble() string {
	for _, n := range a.find("div") {
		if attr(n, "id") == "trouble" {
			var b strings.Builder
			for c := range n.Descendants() {
				if len(c.Data) > 0 && c.FirstChild == nil {
					b.WriteString(c.Data + " ")
				}
			}
			return strings.Join(strings.Fields(b.String()), " ")
		}
	}
	return ""
}

// readPaths are all pages that can be looked at.
func (f *fixture) readPaths(n int64) (paths []string) {
	fill := strings.NewReplacer("{id}", incident.ID(n), "{version}", "1")
	for _, r := range f.pages.Routes() {
		if r.Method == http.MethodGet && !strings.Contains(r.Path, "{delivery}") && !strings.Contains(r.Path, "{name}") && r.Path != "/incidents" {
			paths = append(paths, fill.Replace(r.Path))
		}
	}
	return paths
}

// TestEveryPageSaysWhatIsNotHandedOver: as long as messages wait beyond their promise, or
// failed, and not longer. No page says green words meanwhile.
func TestEveryPageSaysWhatIsNotHandedOver(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil) // the team alone hears of it
	paths := f.readPaths(n)
	if len(paths) < 15 {
		t.Fatalf("only %q", paths)
	}
	for _, path := range paths {
		if a := f.send("admin", "GET", path, nil); a.trouble() != "" {
			t.Errorf("%s: in time, it says %q", path, a.trouble())
		}
	}
	f.clock.Pass(2 * time.Minute)
	const waiting = "1 message to 1 recipient is not handed over; the first was due 10:00. See the deliveries"
	for _, path := range paths {
		if a := f.send("admin", "GET", path, nil); a.trouble() != waiting {
			t.Errorf("%s: it says %q", path, a.trouble())
		}
	}
	if a := f.get("viewer", "/deliveries"); !strings.Contains(a.text(), "Waiting beyond the promise INC-1 identity-oncall@example.org due 10:00 for 2 minutes") {
		t.Errorf("deliveries: %s", a.text())
	}
	if a := f.get("viewer", page(n, "")); !strings.Contains(a.text(), "Not handed over 1 message; see who is told") {
		t.Errorf("incident: %s", a.text())
	}
	// It was tried, and the server said something with an address in it.
	tried := incident.Delivery{
		ID: "tried", Incident: n, Kind: incident.KindOpened, Audience: incident.AudienceOnCall, Group: "identity", Channel: incident.ChannelEmail,
		Recipient: "email:identity-oncall@example.org", Address: "identity-oncall@example.org", DueAt: start, CreatedAt: start, Attempts: 1, State: incident.DeliveryPending,
		Error: "RCPT identity-oncall@example.org: 450 busy", Replan: true, Covers: []incident.Cover{{Incident: n, Kind: incident.KindOpened}},
	}
	f.write(func(tx storage.Tx) error { return tx.PutDelivery(t.Context(), &tried, nil) })
	if a := f.get("viewer", "/"); a.trouble() != strings.Replace(waiting, " See", " The last error: RCPT …: 450 busy See", 1) {
		t.Errorf("it says %q", a.trouble())
	}
	f.do(n, command.Acknowledge{})
	if a := f.get("responder", page(n, "?done=acknowledge")); strings.Contains(a.Body.String(), "banner good") {
		t.Error("the page is green")
	}
	if a := f.send("", "GET", "/", nil); a.Code != 401 || a.trouble() != "" {
		t.Errorf("a stranger is told %q", a.trouble())
	}
	// Handed over, it is over.
	f.deliver(n, eml)
	tried.State, tried.Error, tried.FinishedAt = incident.DeliverySuperseded, "", f.clock.Now()
	f.write(func(tx storage.Tx) error { return tx.PutDelivery(t.Context(), &tried, nil) })
	for _, path := range paths {
		if a := f.send("admin", "GET", path, nil); a.trouble() != "" {
			t.Errorf("%s: once it is over it says %q", path, a.trouble())
		}
	}
	if a := f.get("responder", page(n, "?done=acknowledge")); !strings.Contains(a.Body.String(), "banner good") {
		t.Error("the page is not green")
	}
}

func TestAPageSaysThatTheStoreDoesNotAnswer(t *testing.T) {
	f := newFixture(t)
	n := f.breach("search-latency", "a", nil)
	f.pages.Repo.Store = brokenStore{f.store}
	if a := f.send("viewer", "GET", page(n, ""), nil); a.Code != 503 || !strings.Contains(a.trouble(), "cannot be said whether messages are handed over") {
		t.Errorf("%d: %q", a.Code, a.trouble())
	}
}

// A brokenStore cannot be read.
type brokenStore struct{ storage.Store }

func (brokenStore) Read(context.Context, func(storage.Snapshot) error) error {
	return storage.ErrUnavailable
}
