package markup

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// TeamsSize is how many bytes a message may be as Teams keeps it, see [TeamsKept]. It takes
// 28 KB, and adds some of its own.
const TeamsSize = 26_000

// A text of a TextRun stands for itself; a TextBlock reads some Markdown, which Teams cannot have
// escaped in a way that would not show in the other.
var teams = Language{
	Name: "Teams", check: checkTeams,
	Escape:    func(s string) string { return Wide(s, "*_[]`~#") },
	EscapeURL: EscapeMattermostURL,
}

// TeamsKept is how many bytes JSON is at most as a string in JSON, however much is escaped there:
// Teams keeps a card like that.
func TeamsKept(body []byte) int {
	n := 0
	for len(body) > 0 {
		r, size := utf8.DecodeRune(body)
		body = body[size:]
		switch {
		case r == '"' || r == '\\':
			n += 2
		case r < utf8.RuneSelf && !strings.ContainsRune("&<>'+", r):
			n++
		default:
			n += 6 * Units(string(r)) // \u0026
		}
	}
	return n
}

func checkTeams(body []byte, post map[string]any) error {
	cards := list(post, "attachments")
	switch {
	case post["type"] != "message" || len(cards) == 0:
		return errors.New(`it is no message with a card, which is what a workflow of Teams posts; write {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": …}]}`)
	case cards[0]["contentType"] != "application/vnd.microsoft.card.adaptive":
		return errors.New(`its attachment is no Adaptive Card; write "contentType": "application/vnd.microsoft.card.adaptive"`)
	}
	if card, ok := cards[0]["content"].(map[string]any); !ok || card["type"] != "AdaptiveCard" {
		return errors.New(`the content of its attachment is no Adaptive Card; write "content": {"type": "AdaptiveCard", "version": "1.4", "body": […]}`)
	}
	if n := TeamsKept(body); n > TeamsSize {
		return tooLong("it is %d bytes as Teams keeps it, and Teams takes %d", n, TeamsSize)
	}
	return nil
}
