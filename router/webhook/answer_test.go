package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sitrep/router"
	"sitrep/router/webhook"
)

// answers returns a sender whose only endpoint is a chat that answers so.
func answers(f webhook.Format, status int, header http.Header, body io.Reader) *webhook.Sender {
	to := webhook.Endpoint{URL: "https://chat.example.org" + secretPath, Format: f, Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(body), Request: r}, nil
	})}}
	return webhook.New(webhook.Options{Endpoints: func(string) (webhook.Endpoint, bool) { return to, true }, Timeout: time.Second})
}

// setup is what kind does not know: a refusal as things are set up.
func setup(err error) string {
	if errors.Is(err, router.ErrSetup) {
		return "setup"
	}
	return kind(err)
}

func TestWhatAChatAnswers(t *testing.T) {
	mattermost := func(id string, status int) string {
		return fmt.Sprintf(`{"id":"%s","message":"No.","detailed_error":"","request_id":"T0KEN","status_code":%d}`, id, status)
	}
	teams := func(code string) string {
		return fmt.Sprintf(`{"error":{"code":"%s","message":"https://chat.example.org%s"}}`, code, secretPath)
	}
	for _, tt := range []struct {
		format webhook.Format
		status int
		said   string
		want   string
		words  string // in the error
	}{
		{webhook.Slack, 200, "ok", "taken", ""},
		{webhook.Slack, 200, "ok\n", "taken", ""},
		{webhook.Slack, 200, "<html>log in</html>", "setup", "not as Slack does"},
		{webhook.Slack, 204, "", "setup", "an incoming webhook of Slack"},
		{webhook.Slack, 400, "invalid_payload", "permanent", "400 Bad Request, invalid_payload"},
		{webhook.Slack, 400, "invalid_blocks", "permanent", "invalid_blocks"},
		{webhook.Slack, 400, "user_not_found", "setup", "user_not_found"},
		{webhook.Slack, 400, "what " + secretPath, "permanent", "400 Bad Request"},
		{webhook.Slack, 403, "action_prohibited", "setup", "action_prohibited"},
		{webhook.Slack, 403, "invalid_token", "setup", "invalid_token"},
		{webhook.Slack, 404, "channel_not_found", "setup", "channel_not_found"},
		{webhook.Slack, 404, "no_service", "setup", "no_service"},
		{webhook.Slack, 404, "no_team", "setup", "no_team"},
		{webhook.Slack, 404, "<html>", "setup", "404 Not Found; look whether it is the URL of an incoming webhook of Slack"},
		{webhook.Slack, 410, "channel_is_archived", "permanent", "channel_is_archived"},
		{webhook.Slack, 410, "", "permanent", "410 Gone"},
		{webhook.Slack, 429, "rate_limited", "reader", "429"},
		{webhook.Slack, 500, "rollup_error", "failed", "500 Internal Server Error, rollup_error"},
		{webhook.Slack, 502, "ok", "unknown", "502"},
		{webhook.Slack, 302, "ok", "failed", "redirects are not followed"},
		{webhook.Teams, 202, "", "taken", ""},
		{webhook.Teams, 202, "anything", "taken", ""},
		{webhook.Teams, 200, "1", "setup", "not as Teams does"},
		{webhook.Teams, 400, teams("WorkflowTriggerIsNotEnabled"), "setup", "WorkflowTriggerIsNotEnabled"},
		{webhook.Teams, 400, teams("T0KEN"), "setup", "400 Bad Request; look whether it is the URL of a workflow"},
		{webhook.Teams, 401, teams("DirectApiAuthorizationRequired"), "setup", "DirectApiAuthorizationRequired"},
		{webhook.Teams, 401, "", "reader", "401"},
		{webhook.Teams, 404, teams("WorkflowNotFound"), "setup", "WorkflowNotFound"},
		{webhook.Teams, 413, "", "permanent", "413"},
		{webhook.Teams, 429, "", "reader", "429"},
		{webhook.Teams, 504, "", "unknown", "504"},
		{webhook.Mattermost, 200, "ok", "taken", ""},
		{webhook.Mattermost, 200, `{"success":true}`, "setup", "not as Mattermost does"},
		{webhook.Mattermost, 400, mattermost("web.incoming_webhook.invalid.app_error", 400), "setup", "web.incoming_webhook.invalid.app_error"},
		{webhook.Mattermost, 400, mattermost("web.incoming_webhook.parse.app_error", 400), "permanent", "web.incoming_webhook.parse.app_error"},
		{webhook.Mattermost, 400, mattermost("T0KEN", 400), "permanent", "400 Bad Request"},
		{webhook.Mattermost, 403, mattermost("web.incoming_webhook.channel_locked.app_error", 403), "setup", "channel_locked"},
		{webhook.Mattermost, 404, mattermost("app.channel.get.existing.app_error", 404), "setup", "app.channel.get.existing.app_error"},
		{webhook.Mattermost, 500, mattermost("api.post.create_webhook_post.creating.app_error", 500), "failed", "500"},
		{webhook.Mattermost, 501, mattermost("web.incoming_webhook.disabled.app_error", 501), "setup", "disabled"},
	} {
		t.Run(fmt.Sprintf("%s %d %.20s", tt.format, tt.status, tt.said), func(t *testing.T) {
			err := answers(tt.format, tt.status, http.Header{}, strings.NewReader(tt.said)).Send(t.Context(), envelope("id", "{}"), nil)
			if got := setup(err); got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%q does not say %q", err, tt.words)
			}
			noSecret(t, err)
		})
	}
}

func TestAChatThatAsksToWait(t *testing.T) {
	for _, f := range []webhook.Format{webhook.Slack, webhook.Teams, webhook.Mattermost} {
		err := answers(f, http.StatusTooManyRequests, http.Header{"Retry-After": {"30"}}, strings.NewReader("rate_limited")).Send(t.Context(), envelope("id", "{}"), nil)
		later, ok := errors.AsType[*router.Later](err)
		if !ok || later.Wait != 30*time.Second || !errors.Is(err, router.ErrReader) {
			t.Errorf("%s: %v, waits %+v", f, err, later)
		}
	}
}

// An endless is what never comes to an end.
type endless struct{ ctx context.Context }

func (e endless) Read(b []byte) (int, error) {
	if e.ctx != nil {
		<-e.ctx.Done()
		return 0, e.ctx.Err()
	}
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

// TestAnAnswerWithoutEnd is read as far as it can matter, and an answer that breaks off says
// that nobody knows.
func TestAnAnswerWithoutEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		format webhook.Format
		status int
		body   io.Reader
		want   string
	}{
		"that goes on":               {webhook.Slack, 200, endless{}, "setup"},
		"that refuses and goes on":   {webhook.Slack, 404, endless{}, "setup"},
		"that breaks off":            {webhook.Mattermost, 200, endless{ctx}, "unknown"},
		"that breaks off when taken": {webhook.Slack, 200, io.MultiReader(strings.NewReader("ok"), endless{ctx}), "taken"},
		"that only has to be there":  {webhook.Teams, 202, endless{ctx}, "taken"},
	} {
		err := answers(tt.format, tt.status, http.Header{}, tt.body).Send(t.Context(), envelope("id", "{}"), nil)
		if got := setup(err); got != tt.want {
			t.Errorf("an answer %s: got %s (%v), want %s", name, got, err, tt.want)
		}
		noSecret(t, err)
	}
}

// TestAChatGetsTheHeaders: the other side can tell that it has a message twice.
func TestAChatGetsTheHeaders(t *testing.T) {
	for _, f := range []webhook.Format{webhook.Slack, webhook.Teams, webhook.Mattermost} {
		var got http.Header
		to := webhook.Endpoint{URL: "https://chat.example.org", Format: f, Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.Header
			return &http.Response{StatusCode: 202, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok")), Request: r}, nil
		})}}
		s := webhook.New(webhook.Options{Endpoints: func(string) (webhook.Endpoint, bool) { return to, true }})
		if err := s.Send(t.Context(), envelope("d-1", "{}"), nil); err != nil {
			t.Fatal(f, err)
		}
		if got.Get("webhook-id") != "d-1" || got.Get("Content-Type") != "application/json" || got.Get("webhook-signature") != "" {
			t.Errorf("%s: %v", f, got)
		}
	}
}
