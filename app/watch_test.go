package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sitrep/app/apptest"
)

// A service whose store was deleted takes nothing, also not what is no news, and says so
// everywhere; put back, it goes on.
func TestAStoreThatIsGoneIsSaid(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	s.Start()
	s.Alert("firing", "send", "a")
	path := filepath.Join(s.Dir, "data", "sitrep.db")
	post := func(fingerprint string) int {
		code, _ := s.Ask(apptest.ReceiverToken, "POST", "/alertmanager", `{"version":"4","alerts":[{"status":"firing","fingerprint":"`+fingerprint+`",
			"labels":{"alertname":"x","sitrep_slo":"send"},"startsAt":"2026-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z"}]}`)
		return code
	}
	for range 2 { // the second is no news
		if code := post("b"); code != 200 {
			t.Fatalf("answered %d", code)
		}
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if post("c") != 503 || post("b") != 503 {
		t.Error("a post was taken into nothing")
	}
	for _, c := range []struct{ token, path, want string }{
		{"", "/-/ready", "503"},
		{"", "/-/ready", "nothing can be stored"},
		{apptest.ViewerToken, "/", "Nothing can be stored: alerts are refused"},
		{apptest.AdminToken, "/status", "its file was deleted while sitrep runs on it"},
		{apptest.AdminToken, "/api/v1/status", "its file was deleted while sitrep runs on it"},
		{apptest.ReceiverToken, "/metrics", "sitrep_storage_writable 0"},
		{"", "/-/healthy", "200"},
	} {
		if code, text := s.Ask(c.token, "GET", c.path, ""); !strings.Contains(text, c.want) && strconv.Itoa(code) != c.want {
			t.Errorf("%s: %d without %q: %.300s", c.path, code, c.want, text)
		}
	}
	s.Until("the log says so", func() bool { return strings.Contains(s.Log.String(), "nothing can be stored, and alerts are refused") })
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	s.Until("the log says that it is back", func() bool { return strings.Contains(s.Log.String(), "things can be stored again") })
	if post("c") != 200 {
		t.Error("not taken with the file back")
	}
	if code, text := s.Ask("", "GET", "/-/ready", ""); code != 200 {
		t.Errorf("ready: %d %s", code, text)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Error("the file is gone")
	}
}
