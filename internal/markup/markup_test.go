package markup_test

import (
	"errors"
	"strings"
	"testing"

	"sitrep/internal/markup"
)

func TestWhatAChatTakes(t *testing.T) {
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	long := func(n int) string { return strings.Repeat("x", n) }
	section := func(text string) string { return `{"type":"section","text":{"type":"mrkdwn","text":"` + text + `"}}` }
	card := func(text string) string {
		return `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{"type":"AdaptiveCard","body":[{"text":"` + text + `"}]}}]}`
	}
	for _, tt := range []struct {
		chat, body string
		want       string // what the error says; empty: none
		tooLong    bool
	}{
		{"slack", `{"text":"x"}`, "", false},
		{"slack", `{"blocks":[` + many(50, section("x")) + `]}`, "", false},
		{"slack", `{"blocks":[` + many(51, section("x")) + `]}`, "51 blocks", true},
		{"slack", `{"blocks":[` + section(long(3000)) + `]}`, "", false},
		{"slack", `{"blocks":[` + section(long(3001)) + `]}`, "3001 characters", true},
		{"slack", `{"blocks":[` + many(5, section(long(2900))) + `]}`, "Slack takes 12000", true},
		{"slack", `{"blocks":[{"type":"header","text":{"type":"plain_text","text":"` + long(151) + `"}}]}`, "header has 151", true},
		{"slack", `{"blocks":[{"type":"section","fields":[` + many(11, `{"text":"x"}`) + `]}]}`, "11 fields", true},
		{"slack", `{"blocks":[{"type":"section","fields":[{"text":"` + long(2001) + `"}]}]}`, "2001 characters", true},
		{"slack", `{"username":"x"}`, "neither text nor blocks", false},
		{"slack", `["x"]`, "not a JSON object", false},
		{"slack", `{"text":"x"}{}`, "not a JSON object", false},
		{"slack", ``, "not a JSON object", false},
		{"mattermost", `{"text":"` + long(16383) + `"}`, "", false},
		{"mattermost", `{"text":"` + long(16384) + `"}`, "16384 characters", true},
		{"mattermost", `{"attachments":[{"text":"` + long(16384) + `"}]}`, "16384 characters", true},
		{"mattermost", `{"attachments":[{"text":"x"}]}`, "", false},
		{"mattermost", `{}`, "no text", false},
		{"teams", card("x"), "", false},
		{"teams", card(long(26000)), "Teams takes 26000", true},
		{"teams", `{"text":"x"}`, "no message with a card", false},
		{"teams", `{"type":"message","attachments":[{"contentType":"text/plain"}]}`, "no Adaptive Card", false},
		{"teams", `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":{}}]}`, "no Adaptive Card", false},
	} {
		l, ok := markup.Of(tt.chat)
		if !ok {
			t.Fatal(tt.chat)
		}
		err := l.Check([]byte(tt.body))
		var long *markup.TooLong
		switch {
		case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)), errors.As(err, &long) != tt.tooLong:
			t.Errorf("%s takes %.80s: %v, want %q", tt.chat, tt.body, err, tt.want)
		}
	}
	if _, ok := markup.Of("json"); ok {
		t.Error("json is a chat")
	}
}
