package main

import (
	"net/http"
	"slices"
	"testing"

	"sitrep/incident"
	"sitrep/storage"
)

// Who loaded a configuration is a person where one asked for it.
func TestWhoLoadsAConfiguration(t *testing.T) {
	s := newTestService(t, organisation+organisationAccess, nil)
	load := func(name string) {
		s.write("slos.yml", organisationSLOs+"  - {id: "+name+", use_case: Nobody can register, sli: latency, service: x, priority: P2}\n")
	}
	load("one")
	if err := s.reload(t.Context(), incident.Signal, false); err != nil {
		t.Fatal(err)
	}
	load("two")
	if status, body := s.ask(adminToken, http.MethodPost, "/-/reload", ""); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	var got []incident.Actor
	if err := s.store.Read(t.Context(), func(r storage.Reader) error {
		loadings, err := r.Configs(t.Context())
		for _, l := range loadings {
			got = append(got, l.Actor)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []incident.Actor{"ops", incident.Signal, incident.Start}; !slices.Equal(got, want) {
		t.Errorf("loaded by %q, want %q", got, want)
	}
}
