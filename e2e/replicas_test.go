package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/e2e/rig"
	"sitrep/ledger"
	"sitrep/storage/postgres"
	"sitrep/storage/postgres/postgrestest"
	"sitrep/storage/storagetest"
)

// A fleet is several sitreps on one database, behind a load balancer, and all that they talk to.
// Each reaches the database through a proxy of its own.
type fleet struct {
	*world   // its sitrep is the first of the replicas
	replicas []*rig.Sitrep
	wires    []*rig.Proxy // to the database, of each replica
	cable    *rig.Network // of the wire of the first replica; nil if it takes root to have one
	balancer *rig.Proxy
	cluster  *postgrestest.Cluster
	database string // straight to the database
}

// newFleet starts n sitreps on a database of their own: through a pooler of connections if pooled.
func newFleet(t *testing.T, s settings, n int, pooled bool, files map[string]string) *fleet {
	t.Helper()
	built, err := programs()
	check(t, err)
	f := &fleet{world: &world{t: t}}
	f.cluster = postgrestest.Start(t)
	f.database = f.cluster.Database(t)
	through := f.cluster.Address()
	if pooled {
		through = f.cluster.Bouncer(t)(through)
	}
	f.mail, err = rig.NewMailServer()
	check(t, err)
	t.Cleanup(f.mail.Off)
	f.hook, err = rig.NewHook()
	check(t, err)
	t.Cleanup(f.hook.Close)
	key := filepath.Join(t.TempDir(), "ledger.key")
	signer, err := ledger.GenerateKey("sitrep.example.org/ledger")
	check(t, err)
	check(t, signer.Save(key))
	s.more += fmt.Sprintf("\nevidence: {key_file: %s}\n", key)
	var addresses []string
	for range n {
		wire, err := f.wire(through)
		check(t, err)
		t.Cleanup(wire.Close)
		one, err := rig.NewSitrep(built.sitrep, t.TempDir(), f.config(s))
		check(t, err)
		one.Storage = strings.Replace(f.database, f.cluster.Address(), wire.Address, 1)
		for name, text := range map[string]string{
			"ca.pem": f.mail.CA, "smtp-password": rig.MailPassword, "hook-url": f.hook.URL, "hook-key": rig.HookSecret,
		} {
			check(t, one.Write(name, text))
		}
		for name, text := range files {
			check(t, one.Write(name, text))
		}
		check(t, one.Start())
		t.Cleanup(func() {
			one.Resume()
			if err := one.Stop(); err != nil {
				t.Errorf("stop sitrep: %v", err)
			}
			if t.Failed() {
				t.Logf("sitrep at %s logged at last:\n%s", one.Address, one.Log())
			}
		})
		f.replicas, f.wires, addresses = append(f.replicas, one), append(f.wires, wire), append(addresses, one.Address)
	}
	f.Sitrep = f.replicas[0]
	f.balancer, err = rig.NewProxy(addresses...)
	check(t, err)
	t.Cleanup(f.balancer.Close)
	return f
}

// wire returns a proxy to the database, the first on a cable of its own.
func (f *fleet) wire(to string) (*rig.Proxy, error) {
	if len(f.wires) > 0 {
		return rig.NewProxy(to)
	}
	cable, err := rig.NewNetwork()
	if err != nil {
		if os.Getenv("CI") == "true" {
			return nil, err
		}
		f.t.Logf("no network of its own, so that a wire hangs has to do: %v", err)
		return rig.NewProxy(to)
	}
	f.cable = cable
	f.t.Cleanup(func() { check(f.t, cable.Remove()) })
	return cable.Proxy(to)
}

// rounds is how many faults TestReplicasUnderFaults goes through.
func rounds(t *testing.T) int {
	text := os.Getenv("SITREP_ROUNDS")
	if text == "" {
		return 7
	}
	n, err := strconv.Atoi(text)
	check(t, err)
	return n
}

// TestReplicasUnderFaults: three sitreps on one PostgreSQL, each alert posted by two Alertmanagers
// through a load balancer. In each round a team's SLOs fire while something breaks: a replica is
// killed, or stopped where it is, the database is restarted or killed, the wire between one
// replica and the database is cut, or hangs. Each reader is told of each incident, at most once
// more for a fault, and then with the same bytes; no SLO has two incidents; the log verifies; and
// no two transactions ever wait for each other. SITREP_ROUNDS says how many rounds there are.
func TestReplicasUnderFaults(t *testing.T) {
	t.Parallel()
	const perRound = 3
	n := rounds(t)
	files := map[string]string{}
	readers := map[string]int{chief: n * perRound, support: n * perRound}
	for round := range n {
		var b strings.Builder
		fmt.Fprintf(&b, "team: team-%d\non_call: {email: [team-%d@example.org]}\nstakeholders: [support]\nslos:\n", round, round)
		for i := range perRound {
			k := round*perRound + i
			fmt.Fprintf(&b, "  - {id: slo-%d, use_case: Use case %d is broken, sli: availability, priority: P1}\n", k, k)
		}
		files[fmt.Sprintf("slos/team-%d.yml", round)] = b.String()
		readers[fmt.Sprintf("team-%d@example.org", round)] = perRound
	}
	f := newFleet(t, settings{resolveAfter: "1h"}, 3, false, files)
	// Slow enough that faults fall between the mail that was taken and its record.
	f.mail.Delay(30 * time.Millisecond)
	senders := []*rig.Alertmanager{f.start(sender{repeat: "5s", to: f.balancer.URL()}), f.start(sender{repeat: "5s", to: f.balancer.URL()})}

	random := rand.New(rand.NewPCG(3, uint64(n)))
	pause := func(ms int) { <-time.After(time.Duration(random.IntN(ms)) * time.Millisecond) }
	faults := []struct {
		name string
		do   func(replica int)
	}{
		{"kill a replica", func(i int) { f.replicas[i].Kill(); pause(1000); check(t, f.replicas[i].Start()) }},
		{"stop the database at once", func(int) { f.cluster.Stop(t, true); pause(1000); f.cluster.Start(t) }},
		{"cut the wire", func(i int) { f.wires[i].Cut(); pause(3000); f.wires[i].Heal() }},
		{"kill the database", func(int) { f.cluster.Kill(t); f.cluster.Start(t) }},
		{"let the wire hang", func(i int) { f.wires[i].Hang(); pause(10_000); f.wires[i].Heal() }},
		{"lose all that the first replica and the database send each other", func(int) {
			if f.cable != nil {
				check(t, f.cable.Down())
				<-time.After(12 * time.Second) // longer than anybody waits for what was sent
				check(t, f.cable.Up())
			}
		}},
		{"stop a replica where it is", func(i int) { f.replicas[i].Pause(); <-time.After(35 * time.Second); f.replicas[i].Resume() }},
	}
	begun := map[string]time.Time{}
	for round := range n {
		fault := faults[round%len(faults)]
		var firing []rig.Alert
		for i := range perRound {
			id := fmt.Sprintf("slo-%d", round*perRound+i)
			a := alert(id, "page", time.Now())
			a.Labels["service"] = id
			firing = append(firing, a)
			begun[id] = time.Now()
		}
		var posting sync.WaitGroup
		for _, am := range senders {
			posting.Go(func() {
				if err := am.Post(firing...); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		pause(800)
		replica := random.IntN(len(f.replicas))
		t.Logf("round %d: %s (replica %d)", round, fault.name, replica)
		fault.do(replica)
		posting.Wait()
	}

	f.eventuallyTold(readers)
	got := f.incidents()
	for i := range n * perRound {
		id := fmt.Sprintf("slo-%d", i)
		if in := got[id]; in.Breaches.Firing != 1 || in.Breaches.Total != 1 {
			t.Errorf("%s fired, and there is %+v", id, in)
		}
	}
	slo := map[string]string{} // by the name of the incident
	for id, in := range got {
		slo[in.ID] = id
	}
	all := 0
	for to := range readers {
		repeats := 0
		first := map[string]rig.Mail{}
		for _, m := range f.mail.To(to) {
			if m.Kind() != "opened" {
				t.Errorf("%s got %s about %s", to, m.Kind(), m.Incident())
			}
			before, again := first[m.Incident()]
			if !again {
				first[m.Incident()] = m
				if late := m.At.Sub(begun[slo[m.Incident()]]); late > promise {
					t.Errorf("%s was told of %s after %s", to, m.Incident(), late)
				}
				continue
			}
			repeats++
			if m.ID() != before.ID() || !bytes.Equal(m.Raw, before.Raw) {
				t.Errorf("%s got two different mails about %s:\n%s\n%s", to, m.Incident(), before.Raw, m.Raw)
			}
		}
		all += repeats
		// A replica has at most one message under way for a reader.
		if repeats > n {
			t.Errorf("%s got %d mails twice by %d faults", to, repeats, n)
		}
	}
	t.Logf("%d mails, %d of them a second time", len(f.mail.Mails()), all)
	f.deliveries()
	f.verify()
	f.history()
	if n := f.deadlocks(); n != 0 {
		t.Errorf("%d transactions waited for each other", n)
	}
}

// deadlocks returns how many the database has ended since it was started last.
func (f *fleet) deadlocks() (n int) {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.database)
	check(f.t, err)
	defer conn.Close(f.t.Context())
	check(f.t, conn.QueryRow(f.t.Context(), "select deadlocks from pg_stat_database where datname = current_database()").Scan(&n))
	return n
}

// eventuallyTold waits until each reader was told of so many incidents.
func (f *fleet) eventuallyTold(readers map[string]int) {
	f.t.Helper()
	f.eventually("each reader is told of each incident", func() bool {
		for to, incidents := range readers {
			told := map[string]bool{}
			for _, m := range f.mail.To(to) {
				told[m.Incident()] = true
			}
			if len(told) < incidents {
				return false
			}
		}
		return true
	})
}

// verify verifies the log of the living database, as an auditor does.
func (f *fleet) verify() {
	f.t.Helper()
	var said []byte
	ok := rig.Poll(patience, func() bool {
		var err error
		c := exec.Command(f.Program, "audit", "verify", "--storage", f.database, "--no-key")
		said, err = c.CombinedOutput()
		return err == nil
	})
	if !ok {
		f.t.Errorf("the log does not verify:\n%s", said)
	}
}

// history looks whether all incidents are what their events say.
func (f *fleet) history() {
	f.t.Helper()
	db, err := postgres.Open(f.t.Context(), f.database, postgres.Options{ReadOnly: true})
	check(f.t, err)
	defer db.Close()
	storagetest.CheckHistory(f.t, db)
}

// TestAReplicaTakesOver: what is due leaves within the lease when the replica that was about to
// send it is gone, and one that was stopped for longer than that and woken sends nothing.
func TestAReplicaTakesOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, settings{resolveAfter: "1h"}, 2, false, map[string]string{"slos/notifications.yml": slos})
	// The mail server keeps whoever sends waiting, so that it is stopped in the middle.
	f.mail.Delay(5 * time.Second)
	f.post(firing("register", "f1", time.Now().Add(-time.Second)))
	victim := f.sending()
	f.replicas[victim].Pause()
	f.mail.Delay(0)
	other := f.replicas[1-victim]
	f.Sitrep = other
	f.eventually("the other one tells all", func() bool {
		return !slices.ContainsFunc([]string{chief, support, onCall}, func(to string) bool { return len(f.mail.To(to)) == 0 })
	})
	f.deliveries()
	f.replicas[victim].Resume()
	check(t, other.Post("/api/v1/incidents/INC-1/updates", map[string]string{"message": "We look into it."}, nil))
	f.eventually("the update is told", func() bool {
		return slices.ContainsFunc(f.mail.To(support), func(m rig.Mail) bool { return m.Kind() == "update" })
	})
	f.deliveries()
	for _, to := range []string{chief, support, onCall} {
		ids := map[string][]byte{}
		for _, m := range f.mail.To(to) {
			if before, again := ids[m.ID()]; again && !bytes.Equal(before, m.Raw) {
				t.Errorf("%s got two mails with one id that differ", to)
			}
			ids[m.ID()] = m.Raw
		}
	}
	f.verify()
}

// TestReplicasThroughAPooler: two sitreps share a database through a pgbouncer in transaction mode.
// Both take alerts and send, and each reader is told of what opens and ends once.
func TestReplicasThroughAPooler(t *testing.T) {
	t.Parallel()
	f := newFleet(t, settings{resolveAfter: "1s"}, 2, true, map[string]string{"slos/notifications.yml": slos})
	am := f.start(sender{repeat: "5s", to: f.balancer.URL()})
	began := time.Now()
	firing := []rig.Alert{alert("register", "page", began), alert("send", "page", began), alert("cut-1", "page", began)}
	check(t, am.Post(firing...))
	f.eventuallyTold(map[string]int{chief: 2, support: 3, onCall: 3})
	check(t, f.replicas[1].Post("/api/v1/incidents/INC-1/updates", map[string]string{"message": "We look into it."}, nil))
	check(t, am.Post(ended(firing...)...))
	want := []string{"opened INC-1", "opened INC-2", "opened INC-3", "resolved INC-1", "resolved INC-2", "resolved INC-3", "update INC-1"}
	rig.Poll(patience, func() bool { return len(f.kinds(support)) >= len(want) })
	if got := slices.Sorted(slices.Values(f.kinds(support))); !slices.Equal(got, want) {
		t.Errorf("support was told %v, want %v", got, want)
	}
	f.deliveries()
	f.verify()
	if n := f.deadlocks(); n != 0 {
		t.Errorf("%d transactions waited for each other", n)
	}
}

// kinds are the kinds of the mails to somebody, with their incidents.
func (f *fleet) kinds(to string) (all []string) {
	for _, m := range f.mail.To(to) {
		all = append(all, m.Kind()+" "+m.Incident())
	}
	return all
}

// sending waits until a replica sends, and returns which.
func (f *fleet) sending() (replica int) {
	f.t.Helper()
	conn, err := pgx.Connect(f.t.Context(), f.database)
	check(f.t, err)
	defer conn.Close(context.WithoutCancel(f.t.Context()))
	f.eventually("a replica sends", func() bool {
		var body []byte
		err := conn.QueryRow(f.t.Context(), "select r.body from claims c join replicas r using (owner) where c.until > clock_timestamp() limit 1").Scan(&body)
		if errors.Is(err, pgx.ErrNoRows) {
			return false
		}
		check(f.t, err)
		var said struct{ Instance string }
		check(f.t, json.Unmarshal(body, &said))
		replica = slices.IndexFunc(f.replicas, func(r *rig.Sitrep) bool {
			return strings.HasSuffix(said.Instance, r.Address[strings.LastIndexByte(r.Address, ':'):])
		})
		return replica >= 0
	})
	return replica
}
