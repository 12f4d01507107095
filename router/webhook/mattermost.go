package webhook

import (
	"strings"
	"unicode/utf8"

	"sitrep/internal/markup"
	"sitrep/router"
	"sitrep/wording"
)

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

func mattermostLink(text, url string) string {
	return "[" + markup.EscapeMattermost(text) + "](" + markup.EscapeMattermostURL(url) + ")"
}

func mattermostBold(s string) string { return "**" + markup.EscapeMattermost(s) + "**" }

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
		top.line(markup.EscapeMattermost(r.Subtitle))
	}
	for _, s := range r.Lead {
		top.paragraph(markup.EscapeMattermost(s))
	}
	a := mattermostAttachment{Fallback: markup.Wide(summary(r, subject), "@<"), Color: wording.Colour(r.Tone)}
	for i, f := range r.Facts {
		value := markup.EscapeMattermost(f.Value)
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
		if s = markup.EscapeMattermost(s); i == 0 {
			rest.paragraph(s)
		} else {
			rest.line(s)
		}
	}
	a.Text = rest.String()
	post := &mattermostMessage{Text: top.String(), Attachments: []mattermostAttachment{a}}
	return post, func([]byte) bool {
		return utf8.RuneCountInString(post.Text) <= markup.MattermostText && utf8.RuneCountInString(a.Text) <= markup.MattermostText
	}
}

func (p *mattermostPage) brief(b *wording.Brief) {
	id := markup.EscapeMattermost(b.ID)
	if b.URL != "" {
		id = mattermostLink(b.ID, b.URL)
	}
	p.paragraph(wording.Sign(b.Tone)+" "+mattermostBold(b.Status), id+" "+markup.EscapeMattermost(b.Title))
	for _, s := range b.Lines {
		p.line(markup.EscapeMattermost(s))
	}
}

func (p *mattermostPage) entry(e *wording.Entry) {
	const inList = "  "
	text := markup.EscapeMattermost(timed(e.When, e.Text))
	switch {
	case e.URL != "" && e.When != "":
		text = markup.EscapeMattermost(e.When) + ": " + mattermostLink(e.Text, e.URL)
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
			p.line(inList + "> " + markup.EscapeMattermost(s))
		}
		p.line("")
	}
	for _, s := range []string{e.Says, e.Small} {
		if s != "" {
			p.line(inList + markup.EscapeMattermost(s))
		}
	}
	if e.Command != "" {
		p.line(inList + mattermostCode(e.Command))
	}
}

// mattermostCode returns a line of code, in which all but backticks stand for themselves.
func mattermostCode(s string) string {
	return "`" + strings.ReplaceAll(markup.Wide(s, "@<"), "`", "'") + "`"
}
