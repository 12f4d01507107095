package markup

import (
	"errors"
	"strings"
)

// What Slack takes of a message.
const (
	SlackBlocks = 50
	SlackHeader = 150   // characters
	SlackText   = 3000  // characters of a text
	SlackField  = 2000  // characters of a field
	SlackFields = 10    // in a section
	SlackWhole  = 12000 // characters of all blocks with what is around them; a little more is refused
)

var slack = Language{Name: "Slack", Escape: EscapeSlack, EscapeURL: EscapeSlackURL, check: checkSlack}

var slackEntities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// EscapeSlack returns a text that stands for itself wherever Slack reads text. Mrkdwn has no way
// to escape what makes text bold, cursive, struck out or code.
func EscapeSlack(s string) string {
	if rest, quotes := strings.CutPrefix(s, ">"); quotes {
		s = "＞" + rest
	}
	return slackEntities.Replace(Wide(s, "@*_~`"))
}

// EscapeSlackURL returns a URL as it stands in the angle brackets of a link.
func EscapeSlackURL(url string) string {
	return slackEntities.Replace(strings.ReplaceAll(url, "|", "%7C"))
}

func checkSlack(body []byte, post map[string]any) error {
	blocks := list(post, "blocks")
	switch {
	case text(post, "text") == "" && len(blocks) == 0 && len(list(post, "attachments")) == 0:
		return errors.New(`it has neither text nor blocks, of which Slack needs one; write {"text": {{toJson .Subject}}}`)
	case len(blocks) > SlackBlocks:
		return tooLong("it has %d blocks, and Slack takes %d", len(blocks), SlackBlocks)
	}
	for _, b := range blocks {
		most := SlackText
		if b["type"] == "header" {
			most = SlackHeader
		}
		if n := Units(text(b, "text")); n > most {
			return tooLong("the text of a %s has %d characters, and Slack takes %d", b["type"], n, most)
		}
		fields := list(b, "fields")
		if len(fields) > SlackFields {
			return tooLong("a section has %d fields, and Slack takes %d", len(fields), SlackFields)
		}
		for _, f := range fields {
			if n := Units(text(f, "text")); n > SlackField {
				return tooLong("a field has %d characters, and Slack takes %d", n, SlackField)
			}
		}
	}
	if n := Units(string(body)); n > SlackWhole {
		return tooLong("it has %d characters, and Slack takes %d", n, SlackWhole)
	}
	return nil
}
