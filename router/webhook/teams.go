package webhook

import (
	"net/http"

	"sitrep/internal/markup"
	"sitrep/router"
	"sitrep/wording"
)

var teams = chat{
	name:   "Teams",
	hook:   "the URL of a workflow of Teams that a webhook request starts",
	room:   wording.Room{Weight: 40_000, Named: 40},
	layOut: teamsPost,
	took:   func(status int, _ string) bool { return status == http.StatusAccepted },
	codes: map[string]error{
		"WorkflowTriggerIsNotEnabled": router.ErrSetup, "WorkflowNotFound": router.ErrSetup,
		"DirectApiAuthorizationRequired": router.ErrSetup, "DirectApiInvalidAuthorizationScheme": router.ErrSetup,
		"AuthorizationFailed": router.ErrSetup,
	},
	setUp400: true,
}

// A teamsMessage is what a workflow takes that posts cards.
type teamsMessage struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	ContentURL  *string   `json:"contentUrl"` // null
	Content     teamsCard `json:"content"`
}

// A teamsCard is an Adaptive Card. Its texts are runs, which are shown as they are: what looks
// like Markdown is none in them, and nobody is mentioned.
type teamsCard struct {
	Schema   string         `json:"$schema"`
	Type     string         `json:"type"`
	Version  string         `json:"version"`
	MSTeams  teamsWidth     `json:"msteams"`
	Fallback string         `json:"fallbackText"`
	Body     []teamsElement `json:"body"`
}

type teamsWidth struct {
	Width string `json:"width"`
}

// A teamsElement is a Container of items, a RichTextBlock of inlines, or an ActionSet of actions.
type teamsElement struct {
	Type    string         `json:"type"`
	Style   string         `json:"style,omitempty"`
	Bleed   bool           `json:"bleed,omitempty"`
	Spacing string         `json:"spacing,omitempty"`
	Items   []teamsElement `json:"items,omitempty"`
	Inlines []teamsRun     `json:"inlines,omitempty"`
	Actions []teamsAction  `json:"actions,omitempty"`
}

type teamsRun struct {
	Type     string       `json:"type"`
	Text     string       `json:"text"`
	Weight   string       `json:"weight,omitempty"`
	Size     string       `json:"size,omitempty"`
	Subtle   bool         `json:"isSubtle,omitempty"`
	FontType string       `json:"fontType,omitempty"`
	Select   *teamsAction `json:"selectAction,omitempty"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title,omitempty"`
	URL   string `json:"url"`
}

// teamsStyle is that of the bar on top, by the tone.
func teamsStyle(tone string) string {
	switch tone {
	case wording.Rank(0):
		return "attention"
	case wording.Rank(1), wording.Rank(2):
		return "warning"
	case wording.Rank(3):
		return "accent"
	case wording.ToneOver:
		return "good"
	}
	return "emphasis"
}

func textRun(text string) teamsRun { return teamsRun{Type: "TextRun", Text: text} }

func boldRun(text string) teamsRun {
	return teamsRun{Type: "TextRun", Text: text, Weight: "bolder"}
}

func largeRun(text string) teamsRun {
	return teamsRun{Type: "TextRun", Text: text, Weight: "bolder", Size: "large"}
}

func smallRun(text string) teamsRun {
	return teamsRun{Type: "TextRun", Text: text, Size: "small", Subtle: true}
}

func linkRun(text, url string) teamsRun {
	return teamsRun{Type: "TextRun", Text: text, Select: &teamsAction{Type: "Action.OpenUrl", URL: url}}
}

// runs is a paragraph of its own, or belongs to the one before.
func runs(spacing string, all ...teamsRun) teamsElement {
	return teamsElement{Type: "RichTextBlock", Spacing: spacing, Inlines: all}
}

func teamsPost(r *wording.Report, subject string) (any, func([]byte) bool) {
	var body []teamsElement
	add := func(e ...teamsElement) { body = append(body, e...) }
	if r.Notice != "" {
		add(runs("", boldRun(r.Notice)))
	}
	add(teamsElement{Type: "Container", Style: teamsStyle(r.Tone), Bleed: true, Items: []teamsElement{runs("", largeRun(headline(r)))}})
	add(runs("medium", largeRun(r.Title)))
	if r.Subtitle != "" {
		add(runs("none", smallRun(r.Subtitle)))
	}
	for _, s := range r.Lead {
		add(runs("small", textRun(s)))
	}
	spacing := "medium"
	for _, f := range r.Facts {
		value := textRun(f.Value)
		if f.Strong {
			value = boldRun(f.Value)
		}
		add(runs(spacing, boldRun(f.Name+": "), value))
		spacing = "none"
	}
	for i := range r.Briefs {
		add(teamsBrief(&r.Briefs[i])...)
	}
	for i := range r.Sections {
		add(runs("medium", boldRun(r.Sections[i].Heading)))
		for j := range r.Sections[i].Lines {
			add(teamsEntry(&r.Sections[i].Lines[j])...)
		}
	}
	spacing = "medium"
	for _, s := range r.Footer {
		add(runs(spacing, smallRun(s)))
		spacing = "none"
	}
	card := teamsCard{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
		MSTeams: teamsWidth{"Full"}, Fallback: summary(r, subject), Body: body,
	}
	post := &teamsMessage{Type: "message", Attachments: []teamsAttachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: card}}}
	return post, func(body []byte) bool { return markup.TeamsKept(body) <= markup.TeamsSize }
}

func teamsBrief(b *wording.Brief) []teamsElement {
	id := textRun(b.ID)
	if b.URL != "" {
		id = linkRun(b.ID, b.URL)
	}
	out := []teamsElement{
		runs("medium", boldRun(wording.Sign(b.Tone)+" "+b.Status)),
		runs("none", id, boldRun(" "+b.Title)),
	}
	for _, s := range b.Lines {
		out = append(out, runs("none", textRun(s)))
	}
	return out
}

func teamsEntry(e *wording.Entry) []teamsElement {
	var out []teamsElement
	add := func(spacing string, all ...teamsRun) { out = append(out, runs(spacing, all...)) }
	switch {
	case e.URL == "" && e.When+e.Text != "":
		add("small", textRun("• "+timed(e.When, e.Text)))
	case e.Button:
		out = append(out, teamsElement{Type: "ActionSet", Spacing: "small", Actions: []teamsAction{{Type: "Action.OpenUrl", Title: e.Text, URL: e.URL}}})
	case e.When != "":
		add("small", textRun("• "+e.When+": "), linkRun(e.Text, e.URL))
	case e.Text != "":
		add("small", textRun("• "), linkRun(e.Text, e.URL))
	case e.URL != "":
		add("small", textRun("• "), linkRun(e.URL, e.URL))
	}
	if e.Quote != "" {
		quote := teamsElement{Type: "Container", Style: "emphasis", Spacing: "small"}
		for _, s := range e.QuoteLines() {
			if s != "" {
				quote.Items = append(quote.Items, runs("small", textRun(s)))
			}
		}
		out = append(out, quote)
	}
	if e.Says != "" {
		add("none", textRun(e.Says))
	}
	if e.Small != "" {
		add("none", smallRun(e.Small))
	}
	if e.Command != "" {
		add("none", teamsRun{Type: "TextRun", Text: e.Command, FontType: "monospace"})
	}
	return out
}
