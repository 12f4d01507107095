package storage_test

import (
	"testing"

	"sitrep/storage"
)

func TestWithoutAddresses(t *testing.T) {
	for text, want := range map[string]string{
		`RCPT "ceo@example.org": 550 <ceo@example.org>: unknown`: `RCPT "…": 550 <…>: unknown`,
		`dial tcp 192.0.2.1:25: connection refused`:              `dial tcp 192.0.2.1:25: connection refused`,
		`a@b, c@d`: `…, …`,
	} {
		if got := storage.WithoutAddresses(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
