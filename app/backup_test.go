package app_test

import (
	"io"
	"net/http"
	"testing"

	"sitrep/api"
	"sitrep/app/apptest"
)

func TestTheAnswerNamesTheKeyOfABackup(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Organisation+apptest.Access, nil)
	ask := func(method, token string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, s.Server.URL+"/api/v1/backup", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := s.Server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
	for _, method := range []string{"GET", "HEAD"} {
		resp := ask(method, apptest.AdminToken)
		if resp.StatusCode != 200 || resp.Header.Get(api.KeyHeader) != s.Key().Public() || resp.ContentLength < 1000 || resp.Header.Get("Content-Type") != api.BackupMedia {
			t.Errorf("%s: %s %v", method, resp.Status, resp.Header)
		}
		for _, token := range []string{apptest.ViewerToken, apptest.ResponderToken, apptest.ReceiverToken} {
			if resp := ask(method, token); resp.StatusCode != 403 {
				t.Errorf("%s as %s: %s", method, token, resp.Status)
			}
		}
	}
}
