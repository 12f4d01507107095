package app_test

import (
	"net/http"
	"slices"
	"testing"

	"sitrep/app/apptest"
	"sitrep/incident"
	"sitrep/storage"
)

// Who loaded a configuration is a person where one asked for it.
func TestWhoLoadsAConfiguration(t *testing.T) {
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	load := func(name string) {
		s.Write("slos.yml", apptest.SLOs+"  - {id: "+name+", use_case: Nobody can register, sli: latency, service: x, priority: P2}\n")
	}
	load("one")
	if err := s.ReloadBy(t.Context(), incident.ActorSignal); err != nil {
		t.Fatal(err)
	}
	load("two")
	if status, body := s.Ask(apptest.AdminToken, http.MethodPost, "/-/reload", ""); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	var got []incident.Actor
	if err := s.Store().Read(t.Context(), func(r storage.Snapshot) error {
		loadings, err := storage.Loadings(t.Context(), r)
		for _, l := range loadings {
			got = append(got, l.Actor)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []incident.Actor{"ops", incident.ActorSignal, incident.ActorStart}; !slices.Equal(got, want) {
		t.Errorf("loaded by %q, want %q", got, want)
	}
}
