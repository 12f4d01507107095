package webhook

import (
	"strings"
	"unicode/utf8"

	"sitrep/router"
	"sitrep/wording"
)

// mattermostText is how many characters of a text Mattermost takes; what is longer it breaks into
// several messages, anywhere.
const mattermostText = 16_383

var mattermost = chat{
	name:   "Mattermost",
	hook:   "the URL of an incoming webhook of Mattermost",
	room:   wording.Room{Weight: 60_000, Named: wording.DigestNamed},
	layOut: mattermostPost,
	took:   saysOK,
	codes: map[string]error{
		"web.incoming_webhook.parse.app_error": router.ErrPermanent, "web.incoming_webhook.decode.app_error": router.ErrPermanent,
		"web.incoming_webhook.text.app_error": router.ErrPermanent, "web.incoming_webhook.split_props_length.app_error": router.ErrPermanent,
		"web.incoming_webhook.invalid.app_error": router.ErrSetup, "web.incoming_webhook.disabled.app_error": router.ErrSetup,
		"web.incoming_webhook.channel_locked.app_error": router.ErrSetup, "web.incoming_webhook.permissions.app_error": router.ErrSetup,
		"web.incoming_webhook.user.app_error": router.ErrSetup, "app.channel.get.existing.app_error": router.ErrSetup,
	},
}

// A mattermostMessage is what an incoming webhook takes.
type mattermostMessage struct {
	Text        string                 `json:"text"`
	Attachments []mattermostAttachment `json:"attachments"`
}

type mattermostAttachment struct {
	Fallback string `json:"fallback"` // plain text
	Color    string `json:"color"`    // of the bar at its side
	Text     string `json:"text"`
}

var mattermostMarks = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
	"\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "~", "\\~", "|", "\\|", "#", "\\#",
)

// mattermostEscape returns a line that stands for itself in Markdown. What Mattermost, like
// Slack, makes mentions and links of in angle brackets has none.
func mattermostEscape(s string) string {
	s = mattermostMarks.Replace(wide(strings.TrimLeft(s, " "), "@"))
	// What begins a list or underlines a heading.
	switch digits := len(s) - len(strings.TrimLeft(s, "0123456789")); {
	case strings.HasPrefix(s, "-"), strings.HasPrefix(s, "+"):
		s = "\\" + s
	case strings.HasPrefix(s, "="):
		s = wide(s[:1], "=") + s[1:]
	case digits > 0 && digits < len(s) && strings.ContainsRune(".)", rune(s[digits])):
		s = s[:digits] + "\\" + s[digits:]
	}
	return s
}

var mattermostURL = strings.NewReplacer("(", "%28", ")", "%29", "[", "%5B", "]", "%5D", "|", "%7C", "*", "%2A", "@", "%40")

func mattermostLink(text, url string) string {
	return "[" + mattermostEscape(text) + "](" + mattermostURL.Replace(url) + ")"
}

func mattermostBold(s string) string { return "**" + mattermostEscape(s) + "**" }

// A mattermostPage is Markdown, line by line.
type mattermostPage struct{ strings.Builder }

// paragraph adds lines that belong together, with room before them.
func (p *mattermostPage) paragraph(lines ...string) {
	if p.Len() > 0 {
		p.WriteString("\n\n")
	}
	p.WriteString(strings.Join(lines, "\n"))
}

func (p *mattermostPage) line(s string) { p.WriteString("\n" + s) }

func mattermostPost(r *wording.Report, subject string) (any, func([]byte) bool) {
	var top, rest mattermostPage
	if r.Notice != "" {
		top.paragraph(mattermostBold(r.Notice))
	}
	top.paragraph(mattermostBold(headline(r)), mattermostBold(r.Title))
	if r.Subtitle != "" {
		top.line(mattermostEscape(r.Subtitle))
	}
	for _, s := range r.Lead {
		top.paragraph(mattermostEscape(s))
	}
	a := mattermostAttachment{Fallback: wide(summary(r, subject), "@<"), Color: wording.Colour(r.Tone)}
	for i, f := range r.Facts {
		value := mattermostEscape(f.Value)
		if f.Strong {
			value = mattermostBold(f.Value)
		}
		line := mattermostBold(f.Name+":") + " " + value
		if i == 0 {
			rest.paragraph(line)
		} else {
			rest.line(line)
		}
	}
	for i := range r.Briefs {
		rest.brief(&r.Briefs[i])
	}
	for i := range r.Sections {
		rest.paragraph(mattermostBold(r.Sections[i].Heading))
		for j := range r.Sections[i].Lines {
			rest.entry(&r.Sections[i].Lines[j])
		}
	}
	for i, s := range r.Footer {
		if s = mattermostEscape(s); i == 0 {
			rest.paragraph(s)
		} else {
			rest.line(s)
		}
	}
	a.Text = rest.String()
	post := &mattermostMessage{Text: top.String(), Attachments: []mattermostAttachment{a}}
	return post, func([]byte) bool {
		return utf8.RuneCountInString(post.Text) <= mattermostText && utf8.RuneCountInString(a.Text) <= mattermostText
	}
}

func (p *mattermostPage) brief(b *wording.Brief) {
	id := mattermostEscape(b.ID)
	if b.URL != "" {
		id = mattermostLink(b.ID, b.URL)
	}
	p.paragraph(wording.Sign(b.Tone)+" "+mattermostBold(b.Status), id+" "+mattermostEscape(b.Title))
	for _, s := range b.Lines {
		p.line(mattermostEscape(s))
	}
}

func (p *mattermostPage) entry(e *wording.Entry) {
	const inList = "  "
	text := mattermostEscape(timed(e.When, e.Text))
	switch {
	case e.URL != "" && e.When != "":
		text = mattermostEscape(e.When) + ": " + mattermostLink(e.Text, e.URL)
	case e.URL != "" && e.Text != "":
		text = mattermostLink(e.Text, e.URL)
	case e.URL != "":
		text = mattermostLink(e.URL, e.URL)
	}
	if text != "" {
		p.line("- " + text)
	}
	if e.Quote != "" {
		for _, s := range e.QuoteLines() {
			p.line(inList + "> " + mattermostEscape(s))
		}
		p.line("")
	}
	for _, s := range []string{e.Says, e.Small} {
		if s != "" {
			p.line(inList + mattermostEscape(s))
		}
	}
	if e.Command != "" {
		p.line(inList + mattermostCode(e.Command))
	}
}

// mattermostCode returns a line of code, in which all but backticks stand for themselves.
func mattermostCode(s string) string {
	return "`" + strings.ReplaceAll(wide(s, "@<"), "`", "'") + "`"
}
