package incidenttest_test

import (
	"fmt"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
)

// A test takes the policy, says what is different in it, and lets something fire.
func Example() {
	p := incidenttest.Policy()
	p.Groups[1].Recipients = incidenttest.Mails("support", "night-shift")
	p.Groups[1].Quiet = []incident.Quiet{incidenttest.Quiet(22*60, 24*60, "P1")}

	clock := incidenttest.NewClock(incidenttest.Noon)
	alert := incidenttest.Firing("p2", "a", clock.Now())
	clock.Pass(10 * time.Minute)
	ended := incidenttest.Ended(alert, clock.Now())

	slo := incidenttest.Find(p, alert.Labels)
	fmt.Println(slo.UseCase, "has", slo.Priority)
	fmt.Println("it fired for", ended.EndsAt.Sub(ended.StartsAt))
	fmt.Println(incidenttest.Find(p, incidenttest.Firing("", "b", clock.Now()).Labels) == nil)
	// Output:
	// Use case of p2 has P2
	// it fired for 10m0s
	// true
}

func TestEachPolicyIsNew(t *testing.T) {
	p := incidenttest.Policy()
	p.Priorities[0].Inform[0] = incident.AudienceStakeholders
	p.Priorities[0].Actions[0].Name = "party"
	p.Groups[0].Recipients[0] = incidenttest.Mail("eve")
	q := incidenttest.Policy()
	if q.Priorities[0].Inform[0] != incident.AudienceManagement || q.Priorities[0].Actions[0].Name != "hotfix" || q.Groups[0].Recipients[0] != incidenttest.Mail("cto") {
		t.Errorf("a policy changed with another: %+v", q)
	}
}
