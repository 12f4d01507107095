package rig_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/e2e/rig"
)

// TestMailServer keeps the double honest: it is the other side of each test of mails.
func TestMailServer(t *testing.T) {
	m, err := rig.NewMailServer()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Off()
	if err := send(m, "x"); err != nil {
		t.Fatal(err)
	}
	got := m.To("a@example.org")
	if len(got) != 1 || !got[0].TLS || got[0].ID() != "<x@example.org>" || got[0].Kind() != "update" || time.Since(got[0].At) > time.Minute {
		t.Fatalf("got %+v", got)
	}
	m.Off()
	if err := send(m, "y"); err == nil {
		t.Error("a mail was taken by a server that is off")
	}
	if err := m.On(); err != nil {
		t.Fatal(err)
	}
	if err := send(m, "z"); err != nil || len(m.Mails()) != 2 {
		t.Errorf("after it is on again: %v, %d mails", err, len(m.Mails()))
	}
	c, err := smtp.Dial(m.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("s@example.org"); err == nil {
		t.Error("a mail was taken without TLS and log-in")
	}
}

// TestRecorder: what comes is passed on as it is, or with its times moved, and kept once it
// was taken.
func TestRecorder(t *testing.T) {
	var got []string
	status := http.StatusOK
	sitrep := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		got = append(got, req.URL.Path+" "+req.Header.Get("Authorization")+" "+string(body))
		w.WriteHeader(status)
	}))
	defer sitrep.Close()
	r, err := rig.NewRecorder(&rig.Sitrep{Address: sitrep.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const body = `{"alerts":[{"endsAt":"0001-01-01T00:00:00Z","startsAt":"2026-11-28T20:00:00Z","status":"firing"}],"version":"4"}`
	post := func(want int) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, r.URL+"/alertmanager", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer x")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("got %s, want %d", resp.Status, want)
		}
	}
	post(http.StatusOK)
	r.Shift(40 * time.Minute)
	post(http.StatusOK)
	status = http.StatusServiceUnavailable
	post(http.StatusServiceUnavailable)
	moved := strings.Replace(body, "20:00:00Z", "20:40:00Z", 1)
	want := []string{"/alertmanager Bearer x " + body, "/alertmanager Bearer x " + moved, "/alertmanager Bearer x " + moved}
	if !slices.Equal(got, want) {
		t.Errorf("passed on\n%q, want\n%q", got, want)
	}
	if kept := r.Bodies(); len(kept) != 2 || string(kept[0].Raw) != body || string(kept[1].Raw) != moved {
		t.Errorf("kept %q", kept)
	}
	if alerts := r.Heard(); len(alerts) != 2 || alerts[0].Status != "firing" || alerts[1].StartsAt.Minute() != 40 {
		t.Errorf("heard %+v", alerts)
	}
}

// send sends one mail as a mail program would.
func send(m *rig.MailServer, id string) error {
	c, err := smtp.Dial(m.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(m.CA))
	if err := c.StartTLS(&tls.Config{ServerName: "127.0.0.1", RootCAs: pool}); err != nil {
		return err
	}
	if err := c.Auth(smtp.PlainAuth("", rig.MailUser, rig.MailPassword, "127.0.0.1")); err != nil {
		return err
	}
	if err := c.Mail("s@example.org"); err != nil {
		return err
	}
	if err := c.Rcpt("a@example.org"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	text := "Message-ID: <" + id + "@example.org>\nX-Sitrep-Kind: update\nSubject: s\n\ntext\n"
	if _, err := w.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}
