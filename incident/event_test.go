package incident_test

import (
	"testing"

	"sitrep/incident"
)

func TestWhoIsAPerson(t *testing.T) {
	for a, want := range map[incident.Actor]bool{
		"ada": true, "starter": true, incident.Forgotten: true,
		"": false, incident.Alertmanager: false, incident.Scheduler: false, incident.Start: false, incident.Signal: false,
	} {
		if a.Person() != want {
			t.Errorf("%q is a person: %t", a, a.Person())
		}
	}
}
