package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/internal/command"
	"sitrep/storage"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
)

// What is acknowledged is there after a failover, also where the process that acknowledges it wrote
// nothing: it saw what another stored, whose commit no standby confirmed.
func TestNothingIsAcknowledgedThatNoStandbyHas(t *testing.T) {
	t.Parallel()
	primary := postgrestest.Start(t)
	primary.Do(t, "postgres", "create role sitrep login", "create database sitrep owner sitrep")
	owner := primary.URL("sitrep")
	url := "postgres://sitrep@" + primary.Address() + "/sitrep?sslmode=disable"
	if _, err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	standby := primary.Standby(t, "standby")
	var processes []*intake.Intake
	var confirms atomic.Int64
	noted := func(statements []string) {
		if slices.ContainsFunc(statements, func(s string) bool { return strings.Contains(s, "pg_logical_emit_message") }) {
			confirms.Add(1)
		}
	}
	for range 2 {
		processes = append(processes, taker(t, openWith(t, url, postgres.Options{Trace: noted})))
	}
	slo := processes[0].Repo.Policy().SLOs[0].ID
	began := now().Add(-time.Hour)
	post := func(name string) []incident.Alert { return alerts(slo, name, 1, began, false) }
	take := func(process int, all []incident.Alert) error {
		_, err := processes[process].Take(t.Context(), intake.Post{Alerts: all, At: now()})
		return err
	}
	must(t, take(0, post("before")))
	must(t, take(1, post("before")))
	if n := confirms.Load(); n != 0 {
		t.Errorf("%d commits that nothing needs, as no standby has to have anything", n)
	}

	primary.Do(t, "postgres", "alter system set synchronous_standby_names = 'standby'", "select pg_reload_conf()")
	kept := post("kept")
	must(t, take(0, kept))
	var asking sync.WaitGroup
	for range 20 { // they share what they wait for
		asking.Go(func() {
			if err := take(1, kept); err != nil {
				t.Errorf("what the standby has is not acknowledged: %v", err)
			}
		})
	}
	asking.Wait()
	if n := confirms.Load(); n == 0 || n > 20 {
		t.Errorf("20 who ask wait for %d commits", n)
	}

	execute := func(process int, key string) (command.Result, error) {
		r := command.Request{Incident: 1, Command: command.Update{Message: "we look: " + key}, Actor: "ada", Once: command.Once{Key: key}}
		return r.Execute(t.Context(), processes[process].Repo, now(), func(*storage.Change, *incident.Situation) (command.Result, error) {
			return command.Result{Status: 200}, nil
		})
	}
	for process := range processes {
		if r, err := execute(process, "once"); err != nil || r.Replayed != (process == 1) {
			t.Errorf("process %d is given a command that the standby has: %+v, %v", process, r, err)
		}
	}

	standby.Kill(t)
	ctx, over := context.WithCancel(t.Context())
	var cancelling sync.WaitGroup
	cancelling.Go(func() { // as the time that a statement may take does, too
		for ; ctx.Err() == nil; wait(ctx, 20*time.Millisecond) {
			primary.Do(t, "postgres", "select pg_cancel_backend(pid) from pg_stat_activity where usename = 'sitrep' and wait_event = 'SyncRep'")
		}
	})
	lost := post("lost")
	if err := take(0, lost); !errors.Is(err, storage.ErrUnknown) {
		t.Errorf("what no standby has is acknowledged: %v", err)
	}
	for process := range processes {
		if err := take(process, lost); !errors.Is(err, storage.ErrUnknown) && !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("process %d acknowledges what another stored, and no standby has: %v", process, err)
		}
	}
	// So it is with a command that a person gives again, to another process.
	for process := range processes {
		if _, err := execute(process, "again"); !errors.Is(err, storage.ErrUnknown) && !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("process %d acknowledges a command that another carried out, and no standby has: %v", process, err)
		}
	}
	over()
	cancelling.Wait()
	is := func(url string, all []incident.Alert) bool {
		t.Helper()
		return count(t, url, fmt.Sprintf("select count(*) from breaches where fingerprint = '%s'", all[0].Fingerprint)) == 1
	}
	if !is(owner, kept) || !is(owner, lost) {
		t.Error("it is not there before the failover, so this test tells nothing")
	}
	primary.Kill(t)
	standby.Start(t)
	standby.Promote(t)
	if after := standby.URL("sitrep"); !is(after, kept) || is(after, lost) {
		t.Errorf("after the failover: kept %v, lost %v", is(after, kept), !is(after, lost))
	}
}
