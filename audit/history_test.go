package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/storage"
)

func TestHistorySaysWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, organisation(1, 2), 1)
		put := func(hash, body string, by incident.Actor) {
			time.Sleep(time.Hour)
			w.Write(func(tx storage.Tx) error {
				return tx.PutConfig(t.Context(), storage.Loading{Hash: hash, At: now(), Actor: by}, storage.Config{Hash: hash, Body: []byte(body)})
			})
		}
		const one = `{"incidents":{"resolve_after":"10m"},"template_files":["{{define}}"],"groups":[{"name":"board","email":["a@example.org"]}],
			"priorities":[{"name":"P1","update_every":"2h","criteria":["all"],"actions":[{"name":"hotfix"}]},{"name":"P2","update_every":"4h"}],
			"teams":[{"team":"pay","on_call":{"email":["x@example.org"]},"slos":[{"id":"checkout","use_case":"Cannot pay","priority":"P1"},{"id":"old","priority":"P2"}]}]}`
		const two = `{"incidents":{"resolve_after":"5m"},"template_files":["{{defined}}"],"groups":[{"name":"board","email":["b@example.org"]}],"timezone":"Europe/Berlin",
			"priorities":[{"name":"P1","update_every":"1h","criteria":["all","most"],"actions":[{"name":"hotfix"},{"name":"postmortem","within":"5d"}]},{"name":"P3","update_every":"8h"},{"name":"P2","update_every":"4h"}],
			"teams":[{"team":"pay","on_call":{"email":["x@example.org","y@example.org"]},"slos":[{"id":"checkout","use_case":"Cannot pay","priority":"P2"}]},{"team":"ops"}]}`
		put("one", one, "ada")
		put("one", one, "start") // a restart
		put("two", two, "bob")
		put("one", one, "ada")
		var versions []audit.Version
		if err := w.Store().Read(t.Context(), func(r storage.Snapshot) (err error) {
			versions, err = history(t, r)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(versions) != 4 {
			t.Fatalf("%d versions", len(versions))
		}
		first, second, third := versions[3], versions[1], versions[0]
		if first.Number != 1 || len(first.Changes) != 0 || third.Until != (time.Time{}) || second.Hash != "two" || second.Actor != "bob" || second.Until != third.At || versions[2].Until != second.At {
			t.Errorf("versions %+v", versions)
		}
		var got []string
		for _, c := range second.Changes {
			got = append(got, c.String())
		}
		want := []string{
			"priorities: order from P1, P2 to P1, P3, P2",
			"priority P1: actions from hotfix to hotfix; postmortem within 5d",
			"priority P1: criteria from all to all; most",
			"priority P1: update_every from 2h to 1h",
			"priority P3 added",
			"SLO checkout: priority from P1 to P2",
			"SLO old taken away",
			"team ops added",
			"team pay: on_call.email from 1 recipient to 2 recipients",
			"group board: email from 1 recipient to 1 recipient, not the same",
			"settings: incidents.resolve_after from 10m to 5m",
			"settings: template_files from 1 file to 1 file, not the same",
			"settings: timezone is now Europe/Berlin",
		}
		if fmt.Sprint(strings.Join(got, "\n")) != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// Between a configuration of which the public form is left and a whole one, names and
// addresses are no change, and all else is.
func TestHistoryOfWhatWasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, organisation(1, 2), 1)
		put := func(hash, body, public string) {
			time.Sleep(time.Hour)
			w.Write(func(tx storage.Tx) error {
				return tx.PutConfig(t.Context(), storage.Loading{Hash: hash, At: now(), Actor: "ada", Public: hash + " public"}, storage.Config{Hash: hash, Body: []byte(body)}, storage.Config{Hash: hash + " public", Body: []byte(public)})
			})
		}
		const form = `{"access":{"users":[%s]},"alertmanagers":[{"basic_auth":{"username":"%s"}}],"groups":[{"name":"board","email":["%s"]}],"mail":{"from":"%s","password_file":"%[2]s"},"priorities":[{"name":"P1","update_every":"%[5]s"}]}`
		put("one", fmt.Sprintf(form, `{"name":"ada","role":"viewer"}`, "bot", "a@example.org", "i@example.org", "2h"),
			fmt.Sprintf(form, `{"name":"name 1","role":"viewer"}`, "name 2", "address 1", "address 2", "2h"))
		put("two", fmt.Sprintf(form, `{"name":"ada","role":"viewer"},{"name":"bob","role":"viewer"}`, "bot", "a@example.org", "i@example.org", "2h"),
			fmt.Sprintf(form, `{"name":"name 1","role":"viewer"},{"name":"name 2","role":"viewer"}`, "name 3", "address 1", "address 2", "2h"))
		put("three", fmt.Sprintf(form, `{"name":"ada","role":"admin"},{"name":"bob","role":"viewer"}`, "bot", "b@example.org", "i@example.org", "1h"),
			fmt.Sprintf(form, `{"name":"name 1","role":"admin"},{"name":"name 2","role":"viewer"}`, "name 3", "address 1", "address 2", "1h"))
		forget(t, w.Store(), now().Add(time.Hour))
		var got []string
		if err := w.Store().Read(t.Context(), func(r storage.Snapshot) error {
			versions, err := history(t, r)
			for _, v := range versions[:min(2, len(versions))] {
				got = append(got, v.Hash)
				for _, c := range v.Changes {
					got = append(got, c.String())
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"three", "priority P1: update_every from 2h to 1h", "settings: access.users from someone role viewer; someone role viewer to someone role admin; someone role viewer",
			"two", "settings: access.users from someone role viewer to someone role viewer; someone role viewer",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// history returns all versions, the latest first, with what each changed.
func history(t *testing.T, r storage.Snapshot) ([]audit.Version, error) {
	loadings, err := storage.Loadings(t.Context(), r)
	if err != nil {
		return nil, err
	}
	versions := audit.Versions(loadings)
	err = audit.Compare(t.Context(), r, versions)
	slices.Reverse(versions)
	return versions, err
}
