package app

import (
	"net"
	"os"
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
