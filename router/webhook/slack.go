package webhook

import (
	"strings"
	"unicode/utf8"

	"sitrep/internal/markup"
	"sitrep/router"
	"sitrep/wording"
)

var slack = chat{
	name:   "Slack",
	hook:   "the URL of an incoming webhook of Slack",
	room:   wording.Room{Weight: 32_000, Named: 40},
	layOut: slackPost,
	took:   saysOK,
	codes: map[string]error{
		"invalid_payload": router.ErrPermanent, "invalid_blocks": router.ErrPermanent, "no_text": router.ErrPermanent,
		"channel_is_archived": router.ErrPermanent,
		"channel_not_found":   router.ErrSetup, "user_not_found": router.ErrSetup,
		"action_prohibited": router.ErrSetup, "posting_to_general_channel_denied": router.ErrSetup,
		"no_service": router.ErrSetup, "no_service_id": router.ErrSetup, "no_active_hooks": router.ErrSetup,
		"no_team": router.ErrSetup, "team_disabled": router.ErrSetup, "invalid_token": router.ErrSetup,
		"rollup_error": nil,
	},
}

// saysOK reports whether an answer is that of Slack, and of those alike, to what they took.
func saysOK(_ int, said string) bool { return said == "ok" }

// A slackMessage is what an incoming webhook takes.
type slackMessage struct {
	Text   string       `json:"text"` // of notifications
	Blocks []slackBlock `json:"blocks"`
	// Slack fetches no page for a preview: some links are there to be pressed.
	UnfurlLinks bool `json:"unfurl_links"`
	UnfurlMedia bool `json:"unfurl_media"`
}

type slackBlock struct {
	Type     string        `json:"type"`               // header, section, context or divider
	Text     *slackObject  `json:"text,omitempty"`     // of a header or a section
	Fields   []slackObject `json:"fields,omitempty"`   // of a section
	Elements []slackObject `json:"elements,omitempty"` // of a context
}

type slackObject struct {
	Type string `json:"type"` // plain_text or mrkdwn
	Text string `json:"text"`
	// Emoji is false where :names: of emoji stay as they are. Of plain_text alone.
	Emoji *bool `json:"emoji,omitempty"`
	// Verbatim leaves plain URLs, channels and mentions as they are. Of mrkdwn alone.
	Verbatim *bool `json:"verbatim,omitempty"`
}

func slackPlain(text string) *slackObject {
	return &slackObject{Type: "plain_text", Text: text, Emoji: new(bool)}
}

func slackMrkdwn(text string) *slackObject {
	verbatim := true
	return &slackObject{Type: "mrkdwn", Text: text, Verbatim: &verbatim}
}

// slackLink returns a text that leads to a URL; false if that is too long.
func slackLink(text, url string) (string, bool) {
	link := "<" + markup.EscapeSlackURL(url) + "|" + markup.EscapeSlack(strings.ReplaceAll(text, "|", "｜")) + ">"
	return link, markup.Units(link) <= markup.SlackText-slackPrefix
}

// slackPrefix is how much stands before a text at most, and around it.
const slackPrefix = 200

// A slackPage lays out blocks from the top.
type slackPage struct {
	tooLong string // said of a link that is
	blocks  []slackBlock
	text    strings.Builder // of the section that is under way
}

// line adds a line that is escaped, with what stands before it and around it; a long one is
// split.
func (p *slackPage) line(before, text, around string) {
	for {
		piece, rest := slackSplit(text, markup.SlackText-slackPrefix)
		whole := before + around + piece + around
		if markup.Units(p.text.String())+1+markup.Units(whole) > markup.SlackText {
			p.end()
		}
		if p.text.Len() > 0 {
			p.text.WriteByte('\n')
		}
		p.text.WriteString(whole)
		if text = rest; text == "" {
			return
		}
	}
}

// slackSplit cuts an escaped text after most characters, at a space if one is near, and never in
// what stands for a character.
func slackSplit(text string, most int) (piece, rest string) {
	if markup.Units(text) <= most {
		return text, ""
	}
	end, n := 0, 0
	for i, r := range text {
		if n += markup.Units(string(r)); n > most {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	if i := strings.LastIndexByte(text[:end], '&'); i >= 0 && !strings.Contains(text[i:end], ";") {
		end = i
	}
	if i := strings.LastIndexByte(text[:end], ' '); i > end*3/4 {
		return text[:i], text[i+1:]
	}
	return text[:end], text[end:]
}

// end ends the section that is under way.
func (p *slackPage) end() {
	if p.text.Len() > 0 {
		p.blocks = append(p.blocks, slackBlock{Type: "section", Text: slackMrkdwn(p.text.String())})
		p.text.Reset()
	}
}

func slackPost(r *wording.Report, subject string) (any, func([]byte) bool) {
	p := &slackPage{tooLong: r.LinkTooLong()}
	if r.Notice != "" {
		p.line("", markup.EscapeSlack(r.Notice), "*")
		p.end()
	}
	p.blocks = append(p.blocks, slackBlock{Type: "header", Text: slackPlain(slackCut(markup.EscapeSlack(headline(r)), markup.SlackHeader))})
	p.line("", markup.EscapeSlack(r.Title), "*")
	if r.Subtitle != "" {
		p.line("", markup.EscapeSlack(r.Subtitle), "")
	}
	p.end()
	for _, s := range r.Lead {
		p.line("", markup.EscapeSlack(s), "")
	}
	p.end()
	for i := 0; i < len(r.Facts); i += markup.SlackFields {
		p.blocks = append(p.blocks, slackBlock{Type: "section", Fields: slackFacts(r.Facts[i:min(i+markup.SlackFields, len(r.Facts))])})
	}
	for i := range r.Briefs {
		p.brief(&r.Briefs[i])
	}
	for i := range r.Sections {
		p.line("", markup.EscapeSlack(r.Sections[i].Heading), "*")
		for j := range r.Sections[i].Lines {
			p.entry(&r.Sections[i].Lines[j])
		}
		p.end()
	}
	foot := slackBlock{Type: "context"}
	for _, s := range r.Footer {
		foot.Elements = append(foot.Elements, *slackPlain(slackCut(markup.EscapeSlack(s), markup.SlackField)))
	}
	if len(foot.Elements) > 0 {
		p.blocks = append(p.blocks, foot)
	}
	return &slackMessage{Text: markup.EscapeSlack(summary(r, subject)), Blocks: p.blocks}, func(body []byte) bool {
		return len(p.blocks) <= markup.SlackBlocks && markup.Units(string(body)) <= markup.SlackWhole
	}
}

// slackCut shortens an escaped text.
func slackCut(text string, most int) string {
	piece, rest := slackSplit(text, most-1)
	if rest == "" {
		return text
	}
	return piece + "…"
}

func slackFacts(facts []wording.Fact) []slackObject {
	var fields []slackObject
	for _, f := range facts {
		value := slackCut(markup.EscapeSlack(f.Value), markup.SlackField-slackPrefix)
		if f.Strong {
			value = "*" + value + "*"
		}
		fields = append(fields, *slackMrkdwn("*" + slackCut(markup.EscapeSlack(f.Name), slackPrefix-10) + "*\n" + value))
	}
	return fields
}

func (p *slackPage) brief(b *wording.Brief) {
	p.line(wording.Sign(b.Tone)+" ", markup.EscapeSlack(b.Status), "*")
	id, ok := slackLink(b.ID, b.URL)
	if !ok || b.URL == "" {
		id = markup.EscapeSlack(b.ID)
	}
	if title := markup.EscapeSlack(b.Title); markup.Units(id)+markup.Units(title) < markup.SlackText-slackPrefix {
		p.line("", id+" "+title, "")
	} else {
		p.line("", id, "")
		p.line("", title, "")
	}
	for _, s := range b.Lines {
		p.line("", markup.EscapeSlack(s), "")
	}
	p.end()
}

func (p *slackPage) entry(e *wording.Entry) {
	text := timed(e.When, e.Text)
	link, ok := "", false
	if e.URL != "" {
		shown := e.Text
		if shown == "" {
			shown = e.URL
		}
		if link, ok = slackLink(shown, e.URL); ok && e.When != "" {
			link = markup.EscapeSlack(e.When) + ": " + link
		}
	}
	switch {
	case ok && markup.Units(link) <= markup.SlackText-slackPrefix:
		p.line("• ", link, "")
	case text != "":
		p.line("• ", markup.EscapeSlack(text), "")
	}
	if e.Quote != "" {
		for _, s := range e.QuoteLines() {
			p.line("> ", markup.EscapeSlack(s), "")
		}
	}
	for _, s := range []string{e.Says, e.Small} {
		if s != "" {
			p.line("", markup.EscapeSlack(s), "")
		}
	}
	if e.Command != "" {
		p.line("", markup.EscapeSlack(e.Command), "`")
	}
	if e.URL != "" && !ok {
		p.line("", markup.EscapeSlack(p.tooLong), "")
	}
}
