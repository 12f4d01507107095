package email

import (
	"bytes"
	"errors"
	"flag"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/golden"
	"sitrep/wording"
)

var pages = flag.String("pages", "", "a directory to write the HTML and the text of the golden mails to, for looking at them")

var letterhead = Letterhead{
	From:    mail.Address{Name: "Incident updates", Address: "incidents@example.org"},
	ReplyTo: mail.Address{Address: "sre@example.org"},
}

// parts returns the headers, the text and the HTML of a mail, decoded.
func parts(t *testing.T, raw []byte) (h mail.Header, text, page string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("Content-Type %q: %v", kind, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	var bodies []string
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if enc := p.Header.Get("Content-Transfer-Encoding"); enc != "quoted-printable" {
			t.Fatalf("encoding %q", enc)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(b))
	}
	if len(bodies) != 2 {
		t.Fatalf("%d parts, want 2", len(bodies))
	}
	return m.Header, bodies[0], bodies[1]
}

// inGerman are messages whose mails in German are kept, too: their subjects are not in ASCII.
var inGerman = []string{"drill", "reminder", "digest", "watchdog-away", "priority-raised"}

// inAllLanguages returns the messages in each language that there is, by what they are.
func inAllLanguages() map[string]*incident.Message {
	all := map[string]*incident.Message{}
	for _, tag := range wording.Languages() {
		for name, m := range incidenttest.Messages() {
			m.Language = tag
			all[tag+"/"+name] = m
		}
	}
	return all
}

func TestRenderGolden(t *testing.T) {
	kept := incidenttest.Messages()
	for _, name := range inGerman {
		m := incidenttest.Messages()[name]
		m.Language = "de"
		kept["de/"+name] = m
	}
	for name, m := range kept {
		t.Run(name, func(t *testing.T) {
			got, err := letterhead.Render(m)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".eml")
			golden.Compare(t, file, got)
			if again, err := letterhead.Render(m); err != nil || !bytes.Equal(got, again) {
				t.Errorf("the same message gave other bytes, or an error: %v", err)
			}
			if dir := *pages; dir != "" {
				_, text, page := parts(t, got)
				os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
				os.WriteFile(filepath.Join(dir, name+".html"), []byte(page), 0o644)
				os.WriteFile(filepath.Join(dir, name+".txt"), []byte(text), 0o644)
			}
		})
	}
}

var (
	styleOrHead = regexp.MustCompile(`(?s)<head>.*?</head>|<div class="preview"[^>]*>.*?</div>`)
	inline      = regexp.MustCompile(`\sstyle="([^"]*)"`)
	ours        = regexp.MustCompile(`^[a-z0-9#:;.,% -]+$`)
	tag         = regexp.MustCompile(`<[^>]*>`)
	href        = regexp.MustCompile(`href="([^"]*)"`)
	attribute   = regexp.MustCompile(`(?i)\s(src|srcset|background|action|on[a-z]+)=|url\(|@import|<(img|script|link|iframe|object|form|svg)\b`)
)

// bare returns the letters and digits of a text.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, html.UnescapeString(s))
}

func TestTextAndHTMLSayTheSame(t *testing.T) {
	for name, m := range inAllLanguages() {
		t.Run(name, func(t *testing.T) {
			raw, err := letterhead.Render(m)
			if err != nil {
				t.Fatal(err)
			}
			_, text, page := parts(t, raw)
			body := styleOrHead.ReplaceAllString(page, "")
			var links strings.Builder
			for _, m := range href.FindAllStringSubmatch(body, -1) {
				links.WriteString(m[1])
			}
			shown := bare(tag.ReplaceAllString(body, "")) + bare(links.String())
			for line := range strings.Lines(text) {
				if !strings.Contains(shown, bare(line)) {
					t.Errorf("the HTML lacks %q", line)
				}
			}
			for _, node := range tag.Split(body, -1) {
				if !strings.Contains(bare(text), bare(node)) {
					t.Errorf("the text lacks %q", node)
				}
			}
		})
	}
}

func TestNothingForeignInHTML(t *testing.T) {
	for name, m := range inAllLanguages() {
		raw, err := letterhead.Render(m)
		if err != nil {
			t.Fatal(err)
		}
		_, text, page := parts(t, raw)
		if s := attribute.FindString(page); s != "" {
			t.Errorf("%s: %q in the HTML", name, s)
		}
		for _, m := range href.FindAllStringSubmatch(page, -1) {
			if !strings.HasPrefix(m[1], "https://") {
				t.Errorf("%s: a link to %q", name, m[1])
			}
		}
		for _, m := range inline.FindAllStringSubmatch(page, -1) {
			if !ours.MatchString(strings.ReplaceAll(strings.ToLower(m[1]), "ui-", "")) {
				t.Errorf("%s: the style %q", name, m[1])
			}
		}
		for _, s := range []string{"\x00", "\x07", "\u202E", "\u2066"} {
			if strings.Contains(text, s) || strings.Contains(page, s) {
				t.Errorf("%s: %q is in it", name, s)
			}
		}
	}
}

func TestToAudiencesItIsTheAlert(t *testing.T) {
	for name, m := range incidenttest.Messages() {
		raw, err := letterhead.Render(m)
		if err != nil {
			t.Fatal(err)
		}
		h, text, page := parts(t, raw)
		// The page of an incident has its breaches, and those on call know the word.
		page = strings.ReplaceAll(page, "/incidents/INC-42#breaches", "")
		text = strings.ReplaceAll(text, "/incidents/INC-42#breaches", "")
		if s := strings.ToLower(h.Get("Subject") + text + page); strings.Contains(s, "breach") {
			t.Errorf("%s says breach:\n%s", name, text)
		}
		if !m.ToOnCall() && (strings.Contains(page, "prometheus.example.org") || strings.Contains(page, "wiki.example.org")) {
			t.Errorf("%s tells an audience of alerts or the runbook:\n%s", name, text)
		}
	}
}

func TestNoSentenceTwice(t *testing.T) {
	for name, m := range inAllLanguages() {
		if _, what, _ := strings.Cut(name, "/"); strings.HasPrefix(what, "digest") || what == "hostile" || what == "long" {
			continue // the same may hold of several incidents, or strangers repeat themselves
		}
		raw, err := letterhead.Render(m)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := parts(t, raw)
		seen := map[string]bool{}
		for line := range strings.Lines(text) {
			for s := range strings.SplitSeq(line, ". ") {
				s = strings.Trim(s, " .\n->")
				if len(s) > 25 && !strings.HasPrefix(s, "https://") && seen[s] {
					t.Errorf("%s says twice: %q", name, s)
				}
				seen[s] = true
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	ms := incidenttest.Messages()
	decode := func(s string) string {
		s, err := new(mime.WordDecoder).DecodeHeader(s)
		if err != nil {
			t.Error(err)
		}
		return s
	}
	for name, want := range map[string]map[string]string{
		"update-in-their-words": {
			"Subject": "[P1] INC-42 Application cannot notify its users", "Message-Id": "<d-20260723-0042@example.org>",
			"References": "<inc-42.20260723T115900.sitrep@example.org>", "In-Reply-To": "<inc-42.20260723T115900.sitrep@example.org>",
			"Auto-Submitted": "auto-generated", "X-Sitrep-Incident": "INC-42", "X-Sitrep-Kind": "update", "X-Sitrep-Priority": "P1",
			"X-Sitrep-Sequence": "9", "From": `"Incident updates" <incidents@example.org>`, "Reply-To": "sre@example.org", "To": "cto@example.org",
			"Date": "Thu, 23 Jul 2026 15:59:00 +0200",
		},
		"left-by-lowering":     {"Subject": "[P3] INC-42 Application cannot notify its users", "References": "<inc-42.20260723T115900.sitrep@example.org>"},
		"opened-in-one-region": {"Subject": "[P1] INC-42 Application cannot notify its users (eu)"},
		"drill":                {"Subject": "[DRILL P1] INC-43 Application cannot notify its users"},
		"digest": {
			"Subject": "[P1] 6 incidents", "X-Sitrep-Incident": "INC-42, INC-43, INC-44, INC-45, INC-46, INC-47",
			"X-Sitrep-Sequence": "9, 9, 9, 9, 9, 9", "X-Sitrep-Kind": "digest", "References": "",
		},
		"reminder": {
			"Subject": "[reminder] INC-42 update due by 16:00", "X-Sitrep-Kind": "reminder",
			"References": "<inc-42.20260723T115900.sitrep@example.org>",
		},
		"watchdog-away": {
			"Subject": "[watchdog] Alerts have stopped arriving", "X-Sitrep-Incident": "", "X-Sitrep-Kind": "watchdog",
			"References": "<watchdog.sitrep@example.org>",
		},
		"hostile": {"Bcc": "", "X-Evil": "", "X-Sitrep-Priority": "P1 X-Evil: 1", "To": `"Eve \"<x@y>\" Bcc: all@example.org" <cto@example.org>`},
		"long":    {"Subject": "[P1] INC-42 " + strings.TrimSpace(strings.Repeat("Ärger ", 19)) + "… (" + strings.Repeat("x", 39) + "…)"},
	} {
		raw, err := letterhead.Render(ms[name])
		if err != nil {
			t.Fatal(err)
		}
		h, _, _ := parts(t, raw)
		for key, value := range want {
			if got := decode(h.Get(key)); got != value {
				t.Errorf("%s: %s is %q, want %q", name, key, got, value)
			}
		}
		head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		for line := range strings.SplitSeq(string(head), "\r\n") {
			if len(line) > 78 || !ascii(line) {
				t.Errorf("%s: header line %q", name, line)
			}
		}
	}
}

func TestManyIncidentsAreNamedAndTheRestCounted(t *testing.T) {
	m := incidenttest.Messages()["digest"]
	for len(m.Items) < 1000 {
		it := m.Items[0]
		it.Incident.Number = 1000 + int64(len(m.Items))
		if len(m.Items) >= 900 {
			it.Incident.Priority, it.Incident.State = incidenttest.P2, incident.StateResolved
		}
		m.Items = append(m.Items, it)
	}
	raw, err := letterhead.Render(m)
	if err != nil {
		t.Fatal(err)
	}
	h, text, page := parts(t, raw)
	if got := h.Get("Subject"); got != "[P1] 1000 incidents" {
		t.Errorf("subject %q", got)
	}
	for _, name := range []string{"X-Sitrep-Incident", "X-Sitrep-Sequence"} {
		if n := len(strings.Split(h.Get(name), ", ")); n != 50 {
			t.Errorf("%d incidents in the header %s", n, name)
		}
	}
	for i, it := range m.Items {
		if named := strings.Contains(text, it.Incident.ID()+" ") && strings.Contains(page, ">"+it.Incident.ID()+"<"); named != (i < 50) {
			t.Fatalf("%s, the incident %d, is named: %v", it.Incident.ID(), i+1, named)
		}
	}
	for _, s := range []string{"P1: 897 open", "P2: 101 resolved", "P3: 2 open", "And 950 more", "- P1: 850 open", "- P2: 100 resolved", "https://sitrep.example.org/"} {
		if !strings.Contains(text, s) {
			t.Errorf("the text lacks %q", s)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestNoMailIsCut renders the longest messages that there can be: Gmail cuts what is
// longer than 102 kB.
func TestNoMailIsCut(t *testing.T) {
	const most = 80_000
	for _, words := range []string{
		"The quick brown fox jumps over the lazy dog. ", "\"", "🚒",
	} {
		for _, kind := range []incident.Kind{
			incident.KindOpened, incident.KindUpdate, incident.KindPriority, incident.KindLeft, incident.KindResolved, incident.KindReopened, incident.KindReminder, incident.KindDigest,
		} {
			for _, tag := range wording.Languages() {
				m := incidenttest.Longest(kind, words)
				if m.Language = tag; tag != "en" && words != "\"" {
					continue // the words of people are the same in each
				}
				raw, err := letterhead.Render(m)
				if err != nil {
					t.Fatal(err)
				}
				_, text, page := parts(t, raw)
				if len(page) > most {
					t.Errorf("%s of %q in %s: %d bytes of HTML, want at most %d", kind, words, tag, len(page), most)
				}
				if !strings.Contains(text, m.BaseURL) || kind == incident.KindDigest && strings.Count(text, "INC-1000") < 40 {
					t.Errorf("%s of %q in %s has lost what it is about:\n%.2000s", kind, words, tag, text)
				}
			}
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	for name, change := range map[string]func(m *incident.Message, l *Letterhead){
		"a recipient with a line break": func(m *incident.Message, _ *Letterhead) { m.Recipient.Address = "a@example.org\r\nBcc: b@example.org" },
		"a recipient that is none":      func(m *incident.Message, _ *Letterhead) { m.Recipient.Address = "cto" },
		"a sender with a line break":    func(_ *incident.Message, l *Letterhead) { l.From.Address = "a@example.org\r\nBcc: b@example.org" },
		"a reply-to with a line break":  func(_ *incident.Message, l *Letterhead) { l.ReplyTo.Address = "a@example.org\nBcc: b@example.org" },
		"an ID with a line break":       func(m *incident.Message, _ *Letterhead) { m.ID = "x\r\nBcc: b@example.org" },
		"no ID":                         func(m *incident.Message, _ *Letterhead) { m.ID = "" },
		"no incident":                   func(m *incident.Message, _ *Letterhead) { m.Items = nil },
	} {
		m, l := incidenttest.Message(incident.KindUpdate), letterhead
		change(m, &l)
		if raw, err := l.Render(m); err == nil {
			t.Errorf("%s: no error:\n%s", name, raw)
		}
	}
	l := letterhead
	l.From.Name, l.ReplyTo.Name = "Eve\r\nBcc: b@example.org", "Eve\nBcc: b@example.org"
	raw, err := l.Render(incidenttest.Message(incident.KindUpdate))
	if err != nil {
		t.Fatal(err)
	}
	if h, _, _ := parts(t, raw); h.Get("Bcc") != "" {
		t.Error("a display name became a header")
	}
}

func FuzzRender(f *testing.F) {
	f.Add(incidenttest.Hostile, "P1", "cto@example.org")
	f.Add(strings.Repeat("=?", 100), "=?UTF-8?q?x?=", "a@b")
	f.Add("\n.\n", "", "\"a b\"@example.org")
	f.Fuzz(func(t *testing.T, words, priority, address string) {
		m := incidenttest.Strangers(words, priority)
		m.Recipient.Address = address
		raw, err := letterhead.Render(m)
		if err != nil {
			if strings.Contains(err.Error(), "address") {
				return
			}
			t.Fatal(err)
		}
		h, _, page := parts(t, raw)
		for name := range h {
			if name == "Bcc" || strings.HasPrefix(name, "X-Evil") {
				t.Errorf("header %s", name)
			}
		}
		if s := attribute.FindString(tag.FindString(page)); s != "" {
			t.Errorf("%q in the HTML", s)
		}
	})
}

func TestHeadersForReadersPrograms(t *testing.T) {
	for _, tc := range []struct {
		name, list string
		priority   incident.Priority
		kind       incident.Kind
		wantList   string
		importance string
	}{
		{"the first priority", "incidents.example.org", incidenttest.P1, incident.KindOpened, "<incidents.example.org>", "high"},
		{"another priority", "incidents.example.org", incidenttest.P2, incident.KindOpened, "<incidents.example.org>", ""},
		{"the watchdog, and no list", "", incidenttest.P1, incident.KindWatchdog, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := incidenttest.Message(tc.kind)
			if tc.kind == incident.KindWatchdog {
				m.Items = nil
			} else {
				m.Items[0].Incident.Priority = tc.priority
			}
			l := letterhead
			l.ListID = tc.list
			raw, err := l.Render(m)
			if err != nil {
				t.Fatal(err)
			}
			h, _, _ := parts(t, raw)
			if got := h.Get("List-Id"); got != tc.wantList {
				t.Errorf("List-Id %q, want %q", got, tc.wantList)
			}
			if got := h.Get("Importance"); got != tc.importance {
				t.Errorf("Importance %q, want %q", got, tc.importance)
			}
		})
	}
}
