package e2e_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/e2e/rig"
	"sitrep/router/email/mailtest"
)

// gone is an address that no mail server knows.
const gone = "gone@example.org"

// promise is how late an opening may be.
const promise = time.Minute

// writeTable has the table of real servers in docs/reliability.md written anew.
var writeTable = flag.Bool("table", false, "write the tables of docs/reliability.md")

// TestRealServers: an incident opens while Postfix or Exim take mails only as they like.
// Each of its readers is told once and in time, whoever cannot be told is shown as that,
// and nobody else is.
func TestRealServers(t *testing.T) {
	t.Parallel()
	postfix, exim := rig.NewPostfix, rig.NewExim
	tests := []realServer{
		{
			does: "Postfix: 6 mails in 3 s, then 450 4.7.1 at MAIL", program: postfix, readers: 12,
			settings: "anvil_rate_time_unit = 3s\nsmtpd_client_message_rate_limit = 6", logged: "Message delivery request rate limit exceeded",
		},
		{
			does: "Postfix: 3 connections in 4 s, then 421 in the greeting", program: postfix, readers: 20,
			settings: "anvil_rate_time_unit = 4s\nsmtpd_client_connection_rate_limit = 3", logged: "Connection rate limit exceeded",
		},
		{
			does: "Postfix: 2 connections at once, then 421 in the greeting", program: postfix, readers: 20,
			settings: "smtpd_client_connection_count_limit = 2", logged: "Connection concurrency limit exceeded",
		},
		{
			does: "Postfix: one address unknown, 550 5.1.1", program: postfix, readers: 6, gone: true,
			logged: "550 5.1.1 <gone@example.org>",
		},
		{
			does: "Postfix: the sender refused, 554 5.7.1 at MAIL, until that is mended", program: postfix, readers: 6,
			refusing: "smtpd_delay_reject = no\nsmtpd_sender_restrictions = reject", logged: "Sender address rejected",
		},
		{
			does: "Postfix: relaying denied to all, 554 5.7.1 at RCPT, until that is mended", program: postfix, readers: 6,
			refusing: "virtual_mailbox_domains = example.net", logged: "554 5.7.1",
		},
		{
			does: "Exim: 2 mails a connection, then 421 at MAIL", program: exim, readers: 20,
			settings: "smtp_accept_max_per_connection = 2", logged: "too many messages in one connection",
		},
		{
			does: "Exim: 2 connections of a host, then 421 in the greeting", program: exim, readers: 20,
			settings: "smtp_accept_max_per_host = 2", logged: "too many connections from that IP address",
		},
		{
			does: "Exim: one address unknown, 550 without more", program: exim, readers: 6, gone: true,
			logged: "Unknown user",
		},
		{
			does: "Exim: relaying denied to all, 550 without more, until that is mended", program: exim, readers: 6,
			refusing: "OURS = example.net", logged: "relay not permitted",
		},
	}
	rows := make([]mailtest.Row, len(tests))
	t.Cleanup(func() { checkTable(t, rows) })
	for i, tc := range tests {
		rows[i].Server = tc.does
		t.Run(tc.does, func(t *testing.T) {
			t.Parallel()
			rows[i] = tc.run(t)
		})
	}
}

// A realServer is a mail server and what it does.
type realServer struct {
	does     string
	program  func() (*rig.MailProgram, error)
	settings string
	refusing string // its settings at first, until it has refused
	readers  int
	gone     bool   // and one more, whose address it does not know
	logged   string // by the server: that it did so
}

// run opens an incident, and returns what came of it.
func (tc realServer) run(t *testing.T) mailtest.Row {
	server, err := tc.program()
	if err != nil {
		if os.Getenv("CI") == "" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, server.Remove()) })
	check(t, server.Start(cmp.Or(tc.refusing, tc.settings)))
	t.Cleanup(func() {
		check(t, server.Stop())
		if t.Failed() {
			t.Logf("the mail server logged at last:\n%s", server.Log())
		}
	})

	// The chief and who is in support read along with those on call.
	readers := []string{chief, support}
	var team []string
	for i := range tc.readers - len(readers) {
		team = append(team, fmt.Sprintf("oncall-%d@example.org", i))
	}
	readers = append(readers, team...)
	if tc.gone {
		team = append(team, gone)
	}
	w := newWorld(t, settings{
		mail: fmt.Sprintf("{smarthost: '%s', tls: none, hello_name: sitrep.example.org, from: Incident updates <incidents@example.org>}", server.Address),
		slos: strings.Replace(slos, onCall, strings.Join(team, ", "), 1),
	})
	opened := time.Now()
	w.post(firing("register", "f1", opened.Add(-time.Second)))

	if tc.refusing != "" {
		w.eventually("the server's refusal is on record", func() bool {
			all := list[deliveryView](w, "/api/v1/deliveries", "deliveries")
			for _, d := range all {
				if d.State == "failed" {
					t.Fatalf("given up, though it is not the address that is wrong: %+v", d)
				}
			}
			return slices.ContainsFunc(all, func(d deliveryView) bool { return strings.Contains(d.Error, ": 55") })
		})
		check(t, server.Stop())
		check(t, server.Start(tc.settings))
		opened = time.Now()
	}

	// told returns when each reader was told of the opening.
	told := func() map[string][]time.Time {
		mails, err := server.Mails()
		check(t, err)
		out := make(map[string][]time.Time)
		for _, m := range mails {
			if m.Kind() == "opened" {
				out[m.To] = append(out[m.To], m.At)
			}
		}
		return out
	}
	if !rig.Poll(promise, func() bool { return len(told()) == len(readers) }) {
		t.Fatalf("after %s these were told: %v", promise, told())
	}
	for _, d := range w.deliveries() {
		if want := map[bool]string{true: "failed", false: "delivered"}[d.Recipient == gone]; d.State != want && d.Kind == "opened" {
			t.Errorf("the delivery to %s is %s, want %s: %+v", d.Recipient, d.State, want, d)
		}
	}
	var last time.Time
	for to, at := range told() {
		if !slices.Contains(readers, to) || len(at) != 1 {
			t.Errorf("%s was told %d times, want each of %v once", to, len(at), readers)
		}
		if at[0].After(last) {
			last = at[0]
		}
	}
	ok, err := server.Logged(tc.logged)
	if err != nil || !ok {
		t.Errorf("the server did not do what it is here for: no %q in its log, %v", tc.logged, err)
	}
	if tc.gone {
		w.eventually("the team is told whom it did not reach", func() bool {
			mails, err := server.Mails()
			check(t, err)
			return slices.ContainsFunc(mails, func(m rig.Mail) bool { return m.Kind() == "reminder" && slices.Contains(team, m.To) })
		})
	}
	row := mailtest.Row{Server: tc.does, Mails: len(readers), Came: "each got it once", Late: mailtest.Late(last.Sub(opened))}
	if tc.gone {
		row.Mails++
		row.Came = "each got it once; that one's is shown as failed, and the team is told"
	}
	if tc.refusing != "" {
		row.Late += " after that"
	}
	return row
}

// checkTable writes the table of real servers in docs/reliability.md if -table says so.
// Else it fails if its rows are not about these; times may differ.
func checkTable(t *testing.T, rows []mailtest.Row) {
	const page, name = "../docs/reliability.md", "servers"
	if *writeTable {
		if slices.ContainsFunc(rows, func(r mailtest.Row) bool { return r.Came == "" }) {
			t.Error("the table is not written: not all servers were run, or not all did well")
			return
		}
		if err := mailtest.WriteTable(page, name, rows); err != nil {
			t.Error(err)
			return
		}
	}
	written, err := mailtest.ReadTable(page, name)
	if err != nil {
		t.Error(err)
		return
	}
	servers := func(rows []mailtest.Row) (out []string) {
		for _, r := range rows {
			out = append(out, r.Server)
		}
		return out
	}
	if got, want := servers(written), servers(rows); !slices.Equal(got, want) {
		t.Errorf("docs/reliability.md has the servers\n%s\nwant\n%s\nrun go test -p 1 ./router/email ./e2e -run 'TestBehaviours|TestRealServers' -table", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
