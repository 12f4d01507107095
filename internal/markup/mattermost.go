package markup

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MattermostText is how many characters of a text Mattermost takes; what is longer it breaks into
// several messages, anywhere.
const MattermostText = 16_383

var mattermost = Language{Name: "Mattermost", Escape: EscapeMattermost, EscapeURL: EscapeMattermostURL, check: checkMattermost}

var mattermostMarks = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
	"\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "~", "\\~", "|", "\\|", "#", "\\#",
)

// EscapeMattermost returns a line that stands for itself in Markdown. What Mattermost, like
// Slack, makes mentions and links of in angle brackets has none.
func EscapeMattermost(s string) string {
	s = mattermostMarks.Replace(Wide(strings.TrimLeft(s, " "), "@"))
	// What begins a list or underlines a heading.
	switch digits := len(s) - len(strings.TrimLeft(s, "0123456789")); {
	case strings.HasPrefix(s, "-"), strings.HasPrefix(s, "+"):
		s = "\\" + s
	case strings.HasPrefix(s, "="):
		s = Wide(s[:1], "=") + s[1:]
	case digits > 0 && digits < len(s) && strings.ContainsRune(".)", rune(s[digits])):
		s = s[:digits] + "\\" + s[digits:]
	}
	return s
}

var mattermostURL = strings.NewReplacer("(", "%28", ")", "%29", "[", "%5B", "]", "%5D", "|", "%7C", "*", "%2A", "@", "%40")

// EscapeMattermostURL returns a URL as it stands in the brackets of a link.
func EscapeMattermostURL(url string) string { return mattermostURL.Replace(url) }

func checkMattermost(_ []byte, post map[string]any) error {
	texts := []string{text(post, "text")}
	attachments := list(post, "attachments")
	for _, a := range attachments {
		texts = append(texts, text(a, "text"))
	}
	if texts[0] == "" && len(attachments) == 0 {
		return fmt.Errorf(`%w, and no attachments, of which Mattermost needs one; write {"text": {{toJson .Subject}}}`, errNoText)
	}
	for _, s := range texts {
		if n := utf8.RuneCountInString(s); n > MattermostText {
			return tooLong("a text has %d characters, and Mattermost takes %d in one message", n, MattermostText)
		}
	}
	return nil
}
