package main

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestLinksNameTheMachineWhereItListensEverywhere(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	for addr, want := range map[string]string{
		"0.0.0.0:9098":   net.JoinHostPort(name, "9098"),
		"[::]:9098":      net.JoinHostPort(name, "9098"),
		"127.0.0.1:9098": "127.0.0.1:9098",
		"[::1]:9098":     "[::1]:9098",
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(tcp); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestTheStatusSaysWhyAPostWasRefused(t *testing.T) {
	s := newTestService(t, organisation+organisationAccess, nil)
	if code, _ := s.ask(viewerToken, "POST", "/alertmanager", alertBody("firing", "send", "00000000000000a1")); code != http.StatusForbidden {
		t.Fatalf("a viewer's post: %d", code)
	}
	s.until("the refusal is shown", func() bool {
		_, status := s.ask(viewerToken, "GET", "/api/v1/status", "")
		return strings.Contains(status, "this needs the role receiver, and grafana has the role viewer")
	})
}
