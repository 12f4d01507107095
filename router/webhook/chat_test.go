package webhook_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/golden"
	"sitrep/router/webhook"
	"sitrep/wording"
)

// allKinds are the kinds of messages.
var allKinds = []incident.Kind{
	incident.KindOpened, incident.KindUpdate, incident.KindPriority, incident.KindLeft, incident.KindResolved, incident.KindReopened,
	incident.KindReminder, incident.KindDigest, incident.KindWatchdog,
}

// A reading is how a chat reads what is posted.
type reading struct {
	texts []string // all that is shown, as it is shown
	links []string
}

// chats are the formats for people, and what each of them makes of a body: an error where
// that is not as is documented, or beyond what is taken.
var chats = map[webhook.Format]func(body []byte) (*reading, error){
	webhook.Slack: readSlack, webhook.Teams: readTeams, webhook.Mattermost: readMattermost,
}

// post renders a message in a format.
func post(t *testing.T, f webhook.Format, m *incident.Message) []byte {
	t.Helper()
	to := *m
	to.Recipient = incident.Recipient{ID: "webhook:1", Channel: incident.ChannelWebhook}
	body, err := sender(webhook.Endpoint{URL: "https://chat.example.org", Format: f}, 0).Render(&to)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return body
}

// strict decodes JSON into the fields that there are, and no others.
func strict(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%w in %.200s", err, raw)
	}
	return nil
}

// typeOf returns what an element says that it is.
func typeOf(raw []byte) string {
	var e struct{ Type string }
	_ = json.Unmarshal(raw, &e)
	return e.Type
}

func length(s string) int { return len(utf16.Encode([]rune(s))) }

// readSlack reads Block Kit as Slack documents it.
func readSlack(body []byte) (*reading, error) {
	var m struct {
		Text        string
		Blocks      []json.RawMessage
		UnfurlLinks *bool `json:"unfurl_links"`
		UnfurlMedia *bool `json:"unfurl_media"`
	}
	if err := strict(body, &m); err != nil {
		return nil, err
	}
	if len(m.Blocks) == 0 || len(m.Blocks) > 50 || length(string(body)) > 13_000 || m.Text == "" || length(m.Text) > 4000 {
		return nil, fmt.Errorf("%d blocks, %d characters, a text of %d", len(m.Blocks), length(string(body)), length(m.Text))
	}
	if m.UnfurlLinks == nil || *m.UnfurlLinks || m.UnfurlMedia == nil || *m.UnfurlMedia {
		return nil, fmt.Errorf("Slack fetches what links lead to: %s", body)
	}
	out := &reading{}
	if _, err := out.slack(m.Text, false); err != nil {
		return nil, err
	}
	object := func(raw json.RawMessage, most int, kinds ...string) error {
		kind := typeOf(raw)
		var o struct {
			Type, Text      string
			Emoji, Verbatim *bool
		}
		if err := strict(raw, &o); err != nil {
			return err
		}
		switch {
		case !slices.Contains(kinds, kind), o.Text == "", length(o.Text) > most:
			return fmt.Errorf("a text of %d characters of type %q", length(o.Text), kind)
		case kind == "plain_text" && (o.Verbatim != nil || o.Emoji == nil || *o.Emoji), kind == "mrkdwn" && (o.Emoji != nil || o.Verbatim == nil || !*o.Verbatim):
			return fmt.Errorf("emoji, mentions or URLs are looked for in %s", raw)
		}
		text, err := out.slack(o.Text, kind == "mrkdwn")
		out.texts = append(out.texts, text)
		return err
	}
	for _, raw := range m.Blocks {
		var err error
		switch typeOf(raw) {
		case "header":
			var b struct {
				Type string
				Text json.RawMessage
			}
			if err = strict(raw, &b); err == nil {
				err = object(b.Text, 150, "plain_text")
			}
		case "section":
			var b struct {
				Type   string
				Text   json.RawMessage
				Fields []json.RawMessage
			}
			if err = strict(raw, &b); err != nil {
				return nil, err
			}
			if (b.Text == nil) == (len(b.Fields) == 0) || len(b.Fields) > 10 {
				return nil, fmt.Errorf("a section with %d fields: %s", len(b.Fields), raw)
			}
			if b.Text != nil {
				err = object(b.Text, 3000, "plain_text", "mrkdwn")
			}
			for _, f := range b.Fields {
				if err == nil {
					err = object(f, 2000, "plain_text", "mrkdwn")
				}
			}
		case "context":
			var b struct {
				Type     string
				Elements []json.RawMessage
			}
			if err = strict(raw, &b); err == nil && (len(b.Elements) == 0 || len(b.Elements) > 10) {
				err = fmt.Errorf("%d elements", len(b.Elements))
			}
			for _, e := range b.Elements {
				if err == nil {
					err = object(e, 3000, "plain_text", "mrkdwn")
				}
			}
		default:
			err = fmt.Errorf("a block of type %q", typeOf(raw))
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

var (
	slackAngle = regexp.MustCompile(`<([^>]*)>`)
	entity     = regexp.MustCompile(`&(amp|lt|gt);`)
	slackQuote = regexp.MustCompile(`(?m)^> ?`)
	// slackBold and slackCode are lines of ours, and formatted is what else could be more than words.
	slackBold = regexp.MustCompile(`^(?:\pS )?\*(.*)\*$`)
	slackCode = regexp.MustCompile("^`(.*)`$")
	formatted = regexp.MustCompile("(^|[^\\pL\\pN])[*_~`]|[*_~`]([^\\pL\\pN]|$)")
	// mention is what a chat could take for one.
	mention = regexp.MustCompile(`(^|[^\pL\pN])@`)
)

// slack reads a text; what stands in angle brackets is a link in mrkdwn, and nothing else.
func (out *reading) slack(text string, mrkdwn bool) (string, error) {
	if mrkdwn {
		text = slackQuote.ReplaceAllString(text, "")
		var wrong error
		text = slackAngle.ReplaceAllStringFunc(text, func(s string) string {
			to, shown, ok := strings.Cut(strings.Trim(s, "<>"), "|")
			if to = html.UnescapeString(to); !ok || !httpURL(to) || strings.Contains(shown, "|") {
				wrong = fmt.Errorf("%q is no link", s)
			}
			out.links = append(out.links, to)
			return shown
		})
		if wrong != nil {
			return "", wrong
		}
	}
	if mention.MatchString(text) {
		return "", fmt.Errorf("a mention in %q", text)
	}
	if strings.ContainsAny(text, "<>") || strings.Contains(entity.ReplaceAllString(text, ""), "&") {
		return "", fmt.Errorf("%q is not escaped", text)
	}
	if mrkdwn {
		for line := range strings.SplitSeq(text, "\n") {
			for _, ours := range []*regexp.Regexp{slackBold, slackCode} {
				line = ours.ReplaceAllString(line, "$1")
			}
			if formatted.MatchString(line) {
				return "", fmt.Errorf("%q is more than words", line)
			}
		}
	}
	return html.UnescapeString(text), nil
}

func httpURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// readTeams reads a message with an Adaptive Card of version 1.4.
func readTeams(body []byte) (*reading, error) {
	var m struct {
		Type        string
		Attachments []struct {
			ContentType string           `json:"contentType"`
			ContentURL  *string          `json:"contentUrl"`
			Content     *json.RawMessage `json:"content"`
		}
	}
	if err := strict(body, &m); err != nil {
		return nil, err
	}
	if m.Type != "message" || len(m.Attachments) != 1 || m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" || m.Attachments[0].ContentURL != nil {
		return nil, fmt.Errorf("no message with a card: %.300s", body)
	}
	// Teams keeps the card as a string, in which quotes are escaped.
	asString, err := json.Marshal(string(body))
	if err != nil {
		return nil, err
	}
	if len(asString) > 28_000 {
		return nil, fmt.Errorf("%d bytes as it is kept", len(asString))
	}
	var card struct {
		Schema       string `json:"$schema"`
		Type         string
		Version      string
		MSTeams      struct{ Width string }
		FallbackText string `json:"fallbackText"`
		Body         []json.RawMessage
	}
	if err := strict(*m.Attachments[0].Content, &card); err != nil {
		return nil, err
	}
	if card.Type != "AdaptiveCard" || card.Version != "1.4" || card.MSTeams.Width != "Full" || card.FallbackText == "" || len(card.Body) == 0 {
		return nil, fmt.Errorf("no card: %.300s", *m.Attachments[0].Content)
	}
	out := &reading{}
	return out, out.elements(card.Body)
}

// oneOf returns an error if a value is not among those that the schema names.
func oneOf(property, value string, all ...string) error {
	if value != "" && !slices.Contains(all, value) {
		return fmt.Errorf("%s is %q", property, value)
	}
	return nil
}

func (out *reading) elements(list []json.RawMessage) error {
	for _, raw := range list {
		var e struct {
			Type, Style, Spacing    string
			Bleed                   bool
			Items, Inlines, Actions []json.RawMessage
		}
		if err := strict(raw, &e); err != nil {
			return err
		}
		has := map[string]bool{"Container": e.Items != nil, "RichTextBlock": e.Inlines != nil, "ActionSet": e.Actions != nil}
		if !has[e.Type] || e.Type != "Container" && (e.Style != "" || e.Bleed) {
			return fmt.Errorf("a %q: %s", e.Type, raw)
		}
		err := oneOf("spacing", e.Spacing, "default", "none", "small", "medium", "large", "extraLarge", "padding")
		if err == nil {
			err = oneOf("style", e.Style, "default", "emphasis", "good", "attention", "warning", "accent")
		}
		if err == nil {
			err = out.elements(e.Items)
		}
		said := ""
		for _, raw := range e.Inlines {
			var r struct {
				Type, Text, Weight, Size string
				IsSubtle                 bool
				FontType                 string
				SelectAction             json.RawMessage
			}
			if err == nil {
				err = strict(raw, &r)
			}
			if err == nil && (r.Type != "TextRun" || r.Text == "") {
				err = fmt.Errorf("no run: %s", raw)
			}
			if err == nil {
				err = oneOf("weight", r.Weight, "default", "lighter", "bolder")
			}
			if err == nil {
				err = oneOf("size", r.Size, "default", "small", "medium", "large", "extraLarge")
			}
			if err == nil {
				err = oneOf("fontType", r.FontType, "default", "monospace")
			}
			if err == nil && r.SelectAction != nil {
				_, err = out.action(r.SelectAction)
			}
			said += r.Text
		}
		out.texts = append(out.texts, said)
		for _, raw := range e.Actions {
			if err == nil {
				var title string
				title, err = out.action(raw)
				out.texts = append(out.texts, title)
				if err == nil && title == "" {
					err = fmt.Errorf("a button without words: %s", raw)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (out *reading) action(raw json.RawMessage) (title string, err error) {
	var a struct{ Type, Title, URL string }
	if err := strict(raw, &a); err != nil {
		return "", err
	}
	if a.Type != "Action.OpenUrl" || !httpURL(a.URL) {
		return "", fmt.Errorf("an action %s", raw)
	}
	out.links = append(out.links, a.URL)
	return a.Title, nil
}

var (
	markdownLink = regexp.MustCompile(`((?:^|[^\\])(?:\\\\)*)\[((?:\\.|[^\]\\])*)\]\(([^()\s]*)\)`)
	markdownCode = regexp.MustCompile("(?m)^  `([^`\n]*)`$")
	colour       = regexp.MustCompile(`^#[0-9a-f]{6}$`)
	// marked is what begins or ends something in Markdown, or is read by Slack's rules.
	marked = regexp.MustCompile("[<>`*_\\[\\]~|#]")
	// block is what begins a block, in front of words.
	block = regexp.MustCompile(`^ *(?:[-+=]|[0-9]+[.)]| {4})`)
)

// readMattermost reads the text and the attachment of a message of Mattermost.
func readMattermost(body []byte) (*reading, error) {
	var m struct {
		Text        string
		Attachments []struct{ Fallback, Color, Text string }
	}
	if err := strict(body, &m); err != nil {
		return nil, err
	}
	if m.Text == "" || len(m.Attachments) != 1 {
		return nil, fmt.Errorf("%q and %d attachments", m.Text, len(m.Attachments))
	}
	a := m.Attachments[0]
	if n, k := utf8.RuneCountInString(m.Text), utf8.RuneCountInString(a.Text); n > 16_383 || k > 16_383 || !colour.MatchString(a.Color) || a.Fallback == "" {
		return nil, fmt.Errorf("texts of %d and %d characters, colour %q", n, k, a.Color)
	}
	if mention.MatchString(a.Fallback) || strings.Contains(a.Fallback, "<!") {
		return nil, fmt.Errorf("a mention in %q", a.Fallback)
	}
	out := &reading{}
	for _, text := range []string{m.Text, a.Text} {
		if err := out.markdown(text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// markdown reads a text line by line: besides links, bold lines, quotes, lists and code of ours
// nothing in it means anything.
func (out *reading) markdown(text string) error {
	if mention.MatchString(text) || strings.Contains(text, "<!") || strings.Contains(text, "<@") {
		return fmt.Errorf("a mention in %q", text)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if m := markdownCode.FindStringSubmatch(line); m != nil {
			out.texts = append(out.texts, m[1])
			continue
		}
		var wrong error
		said := markdownLink.ReplaceAllStringFunc(line, func(s string) string {
			m := markdownLink.FindStringSubmatch(s)
			if !httpURL(m[3]) {
				wrong = fmt.Errorf("a link to %q", m[3])
			}
			out.links = append(out.links, m[3])
			return m[1] + m[2]
		})
		if wrong != nil {
			return wrong
		}
		rest, _ := strings.CutPrefix(said, "- ")
		if quoted, ok := strings.CutPrefix(rest, "  > "); ok {
			rest = quoted
		}
		rest = strings.ReplaceAll(rest, "**", "")
		plain := regexp.MustCompile(`\\.`).ReplaceAllString(rest, "")
		if m := marked.FindString(plain); m != "" || block.MatchString(strings.TrimPrefix(rest, "  ")) {
			return fmt.Errorf("%q means something in %q", m, line)
		}
		out.texts = append(out.texts, html.UnescapeString(regexp.MustCompile(`\\(.)`).ReplaceAllString(rest, "$1")))
	}
	return nil
}

// shown are the messages whose bodies are kept: of each kind, and the difficult ones.
var shown = []string{
	"opened", "opened-on-call", "opened-to-one-who-joins", "update-in-their-words", "update-without-news", "priority-raised", "left-by-lowering", "left-by-merge",
	"resolved", "reopened-on-call", "reminder", "digest", "digest-of-many", "watchdog-away-cluster", "watchdog-back", "drill", "hostile",
}

// TestChatBodies keeps what channels get.
func TestChatBodies(t *testing.T) {
	all := incidenttest.Messages()
	german := incidenttest.Messages()["opened-on-call"]
	german.Language, all["opened-on-call-in-german"] = "de", german
	kinds := map[incident.Kind]bool{}
	for _, name := range append(shown, "opened-on-call-in-german") {
		kinds[all[name].Kind] = true
		for f := range chats {
			t.Run(string(f)+"/"+name, func(t *testing.T) {
				body := post(t, f, all[name])
				if again := post(t, f, all[name]); !bytes.Equal(body, again) {
					t.Errorf("the same message gave other bytes:\n%s\n%s", body, again)
				}
				var pretty bytes.Buffer
				if err := json.Indent(&pretty, body, "", "  "); err != nil {
					t.Fatal(err)
				}
				pretty.WriteByte('\n')
				path := filepath.Join("testdata", string(f), name+".json")
				golden.Compare(t, path, pretty.Bytes())
			})
		}
	}
	for _, kind := range allKinds {
		if !kinds[kind] {
			t.Errorf("no message of kind %s is kept", kind)
		}
	}
}

// narrow are the wide forms that stand for what would mean something.
var narrow = func() *strings.Replacer {
	var pairs []string
	for r := '!'; r <= '~'; r++ {
		pairs = append(pairs, string(r-'!'+'！'), string(r))
	}
	return strings.NewReplacer(pairs...)
}()

// bare returns the letters and digits of a text.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, narrow.Replace(s))
}

// TestChatsSayWhatMailsSay: the same facts, in the same words and the same order, and no others,
// in each language.
func TestChatsSayWhatMailsSay(t *testing.T) {
	all := map[string]*incident.Message{}
	for _, tag := range wording.Languages() {
		for name, m := range incidenttest.Messages() {
			if name == "digest-of-many" || name == "long" {
				continue // too long for some of them
			}
			m.Language, all[tag+"/"+name] = tag, m
		}
	}
	for name, m := range all {
		report := wording.Compose(m)
		text := must(report.Text())
		for f, read := range chats {
			r, err := read(post(t, f, m))
			if err != nil {
				t.Errorf("%s of %s: %v", f, name, err)
				continue
			}
			said := bare(strings.Join(r.texts, ""))
			for line := range strings.Lines(text) {
				line = strings.TrimSpace(line)
				if httpURL(line) {
					if !slices.ContainsFunc(r.links, func(l string) bool { return strings.TrimSuffix(l, "/") == strings.TrimSuffix(line, "/") }) {
						t.Errorf("%s of %s has no link to %s, but %q", f, name, line, r.links)
					}
					continue
				}
				if line == "INC-42 · "+report.Status { // a sign stands before it
					line = report.Status
				}
				if !strings.Contains(said, bare(line)) {
					t.Errorf("%s of %s lacks %q:\n%s", f, name, line, strings.Join(r.texts, "\n"))
				}
			}
			mail := bare(text + wording.Subject(m) + report.Preview)
			for _, word := range regexp.MustCompile(`\pL{2,}`).FindAllString(narrow.Replace(strings.Join(r.texts, " ")), -1) {
				if !strings.Contains(mail, word) {
					t.Errorf("%s of %s says %q, which a mail does not", f, name, word)
				}
			}
			for _, l := range r.links {
				if !strings.Contains(text, l) {
					t.Errorf("%s of %s has a link to %s, which a mail has not", f, name, l)
				}
			}
			if top := strings.Join(r.texts[:3], "\n"); !strings.Contains(top, wording.Sign(report.Tone)) {
				t.Errorf("%s of %s has no sign on top: %q", f, name, top)
			}
		}
	}
}

// TestChatsTakeTheLongest: no message that there can be is beyond what a chat takes, whatever
// people and strangers write. What is left out is counted, and a link leads to all of it.
func TestChatsTakeTheLongest(t *testing.T) {
	some := []incident.Kind{incident.KindUpdate, incident.KindReminder}
	for words, kinds := range map[string][]incident.Kind{
		"&": allKinds, "The quick brown fox jumps over the lazy dog. ": some, "\"": some, "🚒": some, "\\": some, "@all ": some, "<!channel> ": some, "[x](y) ": some, "<https://x.example|y> ": some,
		incidenttest.Hostile + " ": some,
	} {
		for i := range len(kinds) * len(wording.Languages()) {
			kind := kinds[i%len(kinds)]
			m := incidenttest.Longest(kind, words)
			if m.Language = wording.Languages()[i/len(kinds)]; m.Language != "en" && words != "&" {
				continue // the words of people are the same in each
			}
			for f, read := range chats {
				r, err := read(post(t, f, m))
				if err != nil {
					t.Errorf("%s of kind %s of %q: %v", f, kind, words, err)
					continue
				}
				all := strings.Join(r.texts, "\n")
				if !slices.ContainsFunc(r.links, func(l string) bool { return strings.HasPrefix(l, m.BaseURL) }) {
					t.Errorf("%s of kind %s of %q leads nowhere: %q\n%s", f, kind, words, r.links, all)
				}
				switch left := regexp.MustCompile(`[0-9]+ (more|weiter)`); {
				case kind == incident.KindWatchdog:
				case !left.MatchString(all):
					t.Errorf("%s of kind %s of %q does not say what is left out:\n%s", f, kind, words, all)
				case kind == incident.KindDigest:
					named := 0
					for i := range m.Items {
						if strings.Contains(all, m.Items[i].Incident.ID()) {
							named++
						}
					}
					want := fmt.Sprintf("And %d more", len(m.Items)-named)
					if m.Language == "de" {
						want = fmt.Sprintf("Und %d weitere", len(m.Items)-named)
					}
					if named < 5 || !strings.Contains(all, want) {
						t.Errorf("%s of %q names %d of %d incidents, and does not say %q:\n%s", f, words, named, len(m.Items), want, all)
					}
				}
			}
		}
	}
}

// TestToAudiencesAChatSaysTheAlert, as all channels do.
func TestToAudiencesAChatSaysTheAlert(t *testing.T) {
	for name, m := range incidenttest.Messages() {
		for f, read := range chats {
			r, err := read(post(t, f, m))
			if err != nil {
				t.Fatal(name, err)
			}
			if s := strings.ToLower(strings.Join(r.texts, "\n")); strings.Contains(s, "breach") {
				t.Errorf("%s of %s says breach:\n%s", f, name, s)
			}
			for _, l := range r.links {
				if !m.ToOnCall() && !strings.HasPrefix(l, m.BaseURL) && !strings.HasPrefix(l, "https://git.example.org/") {
					t.Errorf("%s of %s leads an audience to %s", f, name, l)
				}
			}
		}
	}
}

// FuzzChats: whatever strangers write, it is no more than words.
func FuzzChats(f *testing.F) {
	for _, s := range []string{
		incidenttest.Hostile, "<!channel>", "<!here|x>", "<@U024BE7LH>", "<!subteam^S1>", "@here", "a@all.b", ".@channel", "_@all_", "@@all", "<https://x.example|click>", "&lt;!channel&gt;",
		"**b** _i_ ~s~ `c` ```x", "[x](javascript:alert(1))", "![x](https://x.example/y.png)", "[x]: https://x.example", "# h", "- a", "1. a", "===", "---", "> q", "|a|b|", "    code", "\\", "\\[x](y)", "<at>all</at>",
		":smile:", "<b>x</b>", "https://x.example/@all?<!channel>", "|", "`<!channel>`", "&#64;all", "&commat;all",
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, words, priority string) {
		m := incidenttest.Strangers(words, priority)
		for format, read := range chats {
			body := post(t, format, m)
			r, err := read(body)
			if err != nil {
				t.Errorf("%s of %q: %v", format, words, err)
				continue
			}
			if line := bare(wording.Line(words, 60)); line != "" && !strings.Contains(bare(strings.Join(r.texts, "")), strings.TrimSuffix(line, "…")) {
				t.Errorf("%s has lost %q:\n%s", format, words, strings.Join(r.texts, "\n"))
			}
		}
	})
}

func TestChatsRefuseAMessageAboutNothing(t *testing.T) {
	for f := range chats {
		s := sender(webhook.Endpoint{Format: f}, 0)
		for _, kind := range []incident.Kind{incident.KindUpdate, incident.KindDigest, incident.KindWatchdog} {
			if b, err := s.Render(message(kind)); err == nil {
				t.Errorf("%s of kind %s: got %s, want an error", f, kind, b)
			}
		}
	}
}

// TestEachFormatIsRead: what is posted is in the format of its recipient, and of no other.
func TestEachFormatIsRead(t *testing.T) {
	m := incidenttest.Message(incident.KindUpdate)
	own := must(webhook.New(webhook.Options{}).Render(m))
	if got := post(t, "", m); !bytes.Equal(got, own) {
		t.Errorf("without a format: %s", got)
	}
	if got := post(t, webhook.JSON, m); !bytes.Equal(got, own) {
		t.Errorf("JSON: %s", got)
	}
	for f := range chats {
		for other, read := range chats {
			if _, err := read(post(t, f, m)); (err == nil) != (f == other) {
				t.Errorf("what is for %s is read as %s: %v", f, other, err)
			}
		}
	}
	if reflect.DeepEqual(post(t, webhook.Slack, m), post(t, webhook.Mattermost, m)) {
		t.Error("two formats are one")
	}
}
