package web_test

import (
	"strings"
	"testing"
	"time"

	"sitrep/storage"
)

func TestTheStatusShowsWhoHasTheStore(t *testing.T) {
	f := newFixture(t)
	f.service.Owner = "one"
	put := func(r storage.Replica) {
		f.write(func(tx storage.Tx) error { return tx.PutAlive(t.Context(), r) })
	}
	now := f.clock.Now()
	put(storage.Replica{Owner: "one", Instance: "a:9098", Version: "1.2.3", StartedAt: now, Config: f.policy.Hash, SeenAt: now})
	if text := f.get("viewer", "/status").Body.String(); strings.Contains(text, "Processes that have the store") || strings.Contains(text, "The clock of") {
		t.Error("one process is listed beside what is said of it")
	}
	put(storage.Replica{Owner: "two", Instance: "<b>:9098", Version: "1.2.4", StartedAt: now, Config: "another", Skew: -20 * time.Second, Uncertainty: time.Millisecond, SeenAt: now})
	put(storage.Replica{Owner: "three", Instance: "c:9098", StartedAt: now, Config: f.policy.Hash, Skew: time.Hour, SeenAt: now.Add(-time.Hour)})
	a := f.get("viewer", "/status")
	for _, want := range []string{"a:9098 this one 1.2.3", "<b>:9098 1.2.4", "another 20s behind", "the same right", "c:9098"} {
		if text := a.section("replicas"); !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	text := a.Body.String()
	if !strings.Contains(text, "The clock of &lt;b&gt;:9098 is 20s behind that of the store") || strings.Contains(text, "The clock of c:9098") {
		t.Errorf("whose clock is wrong is not said: %.3000s", text)
	}
}
