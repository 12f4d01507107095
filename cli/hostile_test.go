package cli

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/net/html"

	"sitrep/app/apptest"
	"sitrep/e2e/rig"
)

// A hostileText is what somebody may write who wants more than to be read.
type hostileText struct {
	name, text string
	json       string // as it stands in JSON; empty: as text is encoded
}

// hostileTexts are the attacks that are tried everywhere. Those that are markup bear an
// element, an attribute or a header by which they would be found if they worked.
var hostileTexts = []hostileText{
	{name: "colours and a title of a terminal", text: "\x1b[2J\x1b[31mred\x1b]0;title\x07\x1b]8;;http://evil.example\x1b\\link"},
	{name: "C1 controls", text: "\u009b2J\u009d0;title\u009c\u0085next"},
	{name: "C0 controls", text: "a\x00b\x01c\x08d\x0be\x0cf\x7fg"},
	{name: "a line that is a header", text: "a\r\nBcc: hostile@evil.example\r\nX-Hostile: 1\r\n\r\n<hostile-mark>"},
	{name: "a bare carriage return", text: "all is well\rtrouble"},
	{name: "lines of others", text: "a\u2028b\u2029c\vd\nlevel=ERROR msg=hostile"},
	{name: "directions of writing", text: "\u202egnp.exe\u202c \u2066x\u2069 \u061c"},
	{name: "letters that nobody sees", text: "a\u200bb\ufeffc\u2060d\u00ade\U000e0041f\ufff9g"},
	{name: "an element", text: `<hostile-mark hostile-attr="1"><img src=x onerror=alert(1)><svg/onload=alert(1)>`},
	{name: "the end of what is around", text: `</script></style></textarea></title>--></td></table>"><hostile-mark>`},
	{name: "an attribute", text: `" onmouseover="alert(1)" hostile-attr="1' onfocus='alert(1)`},
	{name: "a script's end", text: `</script><script>hostile()</script><!--<script>`},
	{name: "a template", text: `{{.Incident}}{{template "x"}}{{"{{"}}${x}<%= 1 %>#{1}`},
	{name: "markdown", text: "[click](javascript:hostile) ![x](http://evil.example/x.png) | a | b |\n# head\n> quote\n```\n<http://evil.example>"},
	{name: "mentions", text: "@here <!channel> <@U1> @everyone"},
	{name: "a formula", text: `=cmd|'/c calc'!A1`},
	{name: "a formula by plus", text: `+HYPERLINK("http://evil.example")`},
	{name: "a formula by minus", text: `-1+1|cmd`},
	{name: "a formula by at", text: `@SUM(1)`},
	{name: "a formula in wide letters", text: "\uff1d1+1"},
	{name: "a script as a link", text: `javascript:hostile//http://x`},
	{name: "a link with a user", text: `https://bank.example@evil.example/hostile`},
	{name: "a link that breaks out", text: `https://evil.example/"><hostile-mark>`},
	{name: "data as a link", text: `data:text/html,<script>hostile()</script>`},
	{name: "a very long word", text: strings.Repeat("w", 6000)},
	{name: "many marks on a letter", text: "z" + strings.Repeat("\u0300", 500)},
	{name: "no UTF-8", text: "a\xff\xfe\xc0\x80\xed\xa0\x80z", json: "\"a\xff\xfe\xc0\x80\xed\xa0\x80z\""},
	{name: "half of a character", text: "a\ufffdb", json: `"a\ud800b\udc00"`},
	{name: "the end of a string", text: `","level":"error","hostile":"1`},
	{name: "a line of a log", text: "\" level=ERROR msg=\"hostile\" a=\"\\"},
	{name: "a metric", text: "\"} 1\nhostile_metric{a=\"b"},
	{name: "a path", text: `../../../../etc/passwd%00/..\..\C:\con`},
	{name: "encoded words", text: `=?UTF-8?Q?=0D=0ABcc:_hostile@evil.example?=`},
	{name: "the end of a mail", text: "a\r\n.\r\nMAIL FROM:<hostile@evil.example>\r\n"},
	{name: "a boundary", text: "--boundary\nContent-Type: text/html\n\n<hostile-mark>"},
}

// asJSON is the text as it stands in JSON, quotes included.
func (h *hostileText) asJSON() string {
	if h.json != "" {
		return h.json
	}
	b, err := json.Marshal(h.text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// configured is the text as the configuration takes it: one line without control
// characters.
func (h *hostileText) configured() string {
	s := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError {
			return '_'
		}
		return r
	}, h.text)
	return strings.TrimSpace(s)
}

// checkTame finds what could move the cursor of a terminal, hide, or turn the direction
// of what follows. Line breaks and tabs are allowed.
func checkTame(t *testing.T, where, text string) {
	t.Helper()
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\n', r == '\t', r == '\u200c', r == '\u200d', r == '\u200e', r == '\u200f':
		case r == utf8.RuneError && size == 1, unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			t.Errorf("%s: %U in it: %.200q", where, r, text[max(0, i-80):])
			return
		}
	}
}

// checkHTML finds what a text brought into a page beside text. A page may have
// scripts of sitrep's own, a mail none.
func checkHTML(t *testing.T, where, page string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(page))
	inStyle := false
	for {
		kind := z.Next()
		tok := z.Token()
		switch {
		case kind == html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				t.Errorf("%s: %v", where, z.Err())
			}
			return
		case kind == html.TextToken && !inStyle:
			checkTame(t, where+", its text", strings.ReplaceAll(tok.Data, "\r\n", "\n"))
		case kind == html.TextToken && strings.Contains(tok.Data, "hostile"), kind == html.CommentToken && strings.Contains(tok.Data, "hostile"):
			t.Errorf("%s: in a style or a comment: %.200q", where, tok.Data)
		case kind == html.EndTagToken:
			inStyle = false
		case kind == html.StartTagToken, kind == html.SelfClosingTagToken:
			inStyle = tok.Data == "style" || tok.Data == "script"
			checkElement(t, where, tok)
		}
	}
}

func checkElement(t *testing.T, where string, tok html.Token) {
	t.Helper()
	src := ""
	for _, a := range tok.Attr {
		checkTame(t, where+", an attribute", a.Val)
		switch name := strings.ToLower(a.Key); {
		case strings.HasPrefix(name, "on"), strings.Contains(name, "hostile"), name == "srcdoc":
			t.Errorf("%s: attribute %s: %.200s", where, a.Key, tok)
		case slices.Contains([]string{"href", "src", "action", "formaction", "data", "poster", "background", "cite", "xlink:href"}, name):
			u, err := url.Parse(a.Val)
			if err != nil || !slices.Contains([]string{"", "http", "https"}, u.Scheme) || u.User != nil {
				t.Errorf("%s: it leads to %.200q: %v", where, a.Val, err)
			}
			if name != "href" && err == nil && u.Host != "" {
				t.Errorf("%s: something of elsewhere is loaded: %.200q", where, a.Val)
			}
			if name == "src" {
				src = a.Val
			}
		case name == "style" && strings.Contains(a.Val, "hostile"):
			t.Errorf("%s: a style: %.200q", where, a.Val)
		}
	}
	switch {
	case strings.Contains(tok.Data, "hostile"), slices.Contains([]string{"object", "embed", "base", "applet", "frameset"}, tok.Data):
		t.Errorf("%s: an element %.200s", where, tok)
	case tok.Data == "script" && !regexp.MustCompile(`^(\./|(\.\./)+)?assets/`).MatchString(src):
		t.Errorf("%s: a script: %.200s", where, tok)
	}
}

// checkJSON finds what is no JSON, or more than one value.
func checkJSON(t *testing.T, where, text string) {
	t.Helper()
	if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
		t.Errorf("%s: no JSON: %.300q", where, text)
	}
}

// checkCSV finds cells that a spreadsheet takes for a formula.
func checkCSV(t *testing.T, where, text string) {
	t.Helper()
	r := csv.NewReader(strings.NewReader(text))
	rows, err := r.ReadAll() // all rows must have as many cells
	if err != nil {
		t.Errorf("%s: %v", where, err)
	}
	for _, row := range rows {
		for _, cell := range row {
			first, _ := utf8.DecodeRuneInString(strings.TrimLeft(cell, " "))
			if strings.ContainsRune("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20", first) {
				t.Errorf("%s: a cell is a formula: %.100q", where, cell)
			}
			checkTame(t, where, cell)
		}
	}
}

// headersOfMails are those that a mail may have.
var headersOfMails = []string{
	"Auto-Submitted", "Content-Language", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Importance", "In-Reply-To", "List-Id", "Message-Id", "Mime-Version", "References",
	"Reply-To", "Subject", "To", "X-Auto-Response-Suppress", "X-Sitrep-Incident", "X-Sitrep-Kind", "X-Sitrep-Priority", "X-Sitrep-Sequence",
}

// checkMail finds what a text brought into a mail beside text.
func checkMail(t *testing.T, where string, raw []byte) {
	t.Helper()
	head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
			t.Errorf("%s: a line of its head: %.200q", where, line)
		}
	}
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	words := mime.WordDecoder{}
	for name, values := range m.Header {
		if !slices.Contains(headersOfMails, name) || len(values) != 1 {
			t.Errorf("%s: header %s: %q", where, name, values)
		}
		text, err := words.DecodeHeader(values[0])
		if err != nil {
			t.Errorf("%s: header %s: %v", where, name, err)
		}
		checkTame(t, where+", header "+name, text)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for n := 0; ; n++ {
		p, err := parts.NextPart() // decodes quoted-printable
		if errors.Is(err, io.EOF) {
			if n != 2 {
				t.Errorf("%s: %d parts", where, n)
			}
			return
		}
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
		text := strings.ReplaceAll(string(body), "\r\n", "\n")
		checkTame(t, where, text)
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			checkHTML(t, where, text)
		}
	}
}

// checkAnswer finds what a text brought into an answer of the service.
func checkAnswer(t *testing.T, where, answer string) {
	t.Helper()
	head, body, _ := strings.Cut(answer, "\r\n\n")
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(head + "\r\n\r\n"))).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	for name, values := range h {
		if strings.Contains(name, "Hostile") || name == "Bcc" {
			t.Errorf("%s: header %s", where, name)
		}
		for _, v := range values {
			checkTame(t, where+", header "+name, v)
		}
	}
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch media {
	case "text/html":
		checkHTML(t, where, body)
	case "application/json", "application/problem+json":
		checkJSON(t, where, body)
	case "text/csv":
		checkCSV(t, where, body)
	case "text/plain", "text/css", "text/javascript", "image/svg+xml", "":
		checkTame(t, where, body)
	case "application/zip":
		checkExport(t, where, []byte(body))
	case "message/rfc822":
		checkMail(t, where, []byte(body))
	case "application/vnd.sitrep.backup", "application/octet-stream":
	default:
		t.Errorf("%s: %s is not known here", where, media)
	}
	if h.Get("X-Content-Type-Options") != "nosniff" && body != "" && media != "text/plain" && media != "application/octet-stream" {
		t.Errorf("%s: browsers may guess what %s is", where, media)
	}
}

// checkExport finds names that lead out of an export, and what texts brought into its
// files.
func checkExport(t *testing.T, where string, raw []byte) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	for _, f := range z.File {
		if !regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`).MatchString(f.Name) || !filepath.IsLocal(f.Name) {
			t.Errorf("%s: a file is called %q", where, f.Name)
		}
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		name, text := where+", "+f.Name, string(b)
		switch filepath.Ext(f.Name) {
		case ".html":
			checkHTML(t, name, text)
		case ".jsonl":
			for line := range strings.Lines(text) {
				checkJSON(t, name, line)
			}
		case ".json":
			checkJSON(t, name, text)
		case ".eml":
			checkMail(t, name, b)
		default:
			checkTame(t, name, text)
		}
	}
}

// checkLogs finds lines that are not one record, or hold what moves a cursor.
func checkLogs(t *testing.T, logfmt, inJSON string) {
	t.Helper()
	record := regexp.MustCompile(`^time=\S+ level=(DEBUG|INFO|WARN|ERROR) source=\S+ msg=`)
	for line := range strings.Lines(logfmt) {
		checkTame(t, "the log as logfmt", line)
		if !record.MatchString(line) {
			t.Errorf("the log as logfmt has the line %.300q", line)
		}
	}
	for line := range strings.Lines(inJSON) {
		checkTame(t, "the log as JSON", line)
		checkJSON(t, "the log as JSON", line)
	}
}

// checkMetrics finds what Prometheus could not read, and series that strangers make.
func checkMetrics(t *testing.T, text string) {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Errorf("the metrics: %v", err)
	}
	for name := range families {
		if strings.Contains(name, "hostile") {
			t.Errorf("the metric %s", name)
		}
	}
	for line := range strings.Lines(text) {
		checkTame(t, "the metrics", line)
		if strings.HasPrefix(line, "sitrep_") && strings.Contains(line, "hostile") {
			t.Errorf("a series that a stranger made: %.200s", line)
		}
	}
}

// hostileConfig is a configuration whose texts are all hostile, and the names of its
// files beside the main one.
func hostileConfig(hook string) (main string, files map[string]string) {
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	var b strings.Builder
	b.WriteString(strings.Replace(strings.Replace(apptest.Organisation, "slo_files: [slos.yml]", "slo_files: [teams/*.yml]", 1),
		"Incident updates <incidents@example.org>", "'Incident \"updates\" =?UTF-8?Q?x?= <incidents@example.org>'", 1))
	files = map[string]string{}
	for i := range hostileTexts {
		h := &hostileTexts[i]
		text := quoted(h.configured() + " " + strconv.Itoa(i)) // names must differ
		short := quoted(string([]rune(h.configured())[:min(60, len([]rune(h.configured())))]) + " " + strconv.Itoa(i))
		files[fmt.Sprintf("teams/%02d.yml", i)] = fmt.Sprintf(`
team: %[1]s
on_call: {email: [%[2]s]}
stakeholders: [support, hooked]
slos:
  - {id: slo-%[3]d, use_case: %[4]s, sli: %[1]s, service: %[1]s, priority: P1, runbook: "https://runbooks.example/send", match: [%[5]s]}
`, short, quoted(fmt.Sprintf("%q <oncall-%d@example.org>", "On call", i)), i, text, quoted(fmt.Sprintf(`hostile_number="%d"`, i)))
	}
	groups := "  - name: hooked\n    webhooks: [{url: '" + hook + "'}]\n"
	for i := range hostileTexts {
		h := &hostileTexts[i]
		name := []rune(h.configured())
		groups += fmt.Sprintf("  - {name: %s, email: [group-%d@example.org]}\n", quoted(string(name[:min(60, len(name))])+" "+strconv.Itoa(i)), i)
	}
	main = strings.Replace(b.String(), "slo_files:", groups+"slo_files:", 1) + apptest.Access + `
  proxy: {trusted: [127.0.0.1/32], user_header: X-Forwarded-User, default_role: responder}
incidents: {digest_above: 10000}
unmapped: {priority: P2, groups: [support, hooked]}
`
	return main, files
}

// TestHostileTextsThroughEveryOutput brings each hostile text in by every way there is,
// and looks at all that sitrep says afterwards.
func TestHostileTextsThroughEveryOutput(t *testing.T) {
	hook, err := rig.NewHook()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hook.Close)
	config, files := hostileConfig(hook.URL)
	var logfmt, inJSON apptest.Buffer
	s := newLoggedRunning(t, config, files, func(w io.Writer) *slog.Logger {
		lines, err := newLogger(Environment{Stderr: io.MultiWriter(w, &logfmt)}, "debug", "logfmt")
		if err != nil {
			t.Fatal(err)
		}
		objects, err := newLogger(Environment{Stderr: &inJSON}, "debug", "json")
		if err != nil {
			t.Fatal(err)
		}
		return slog.New(slog.NewMultiHandler(lines.Handler(), objects.Handler()))
	})
	s.Start()
	a := &attack{s: s, t: t}
	a.alerts()
	a.told("opened")
	a.commands()
	a.told("resolved")
	a.requests()
	a.reads()
	for _, p := range hook.Postings() {
		checkJSON(t, "a webhook", string(p.Body))
		checkStrings(t, "a webhook", p.Body)
	}
	checkMetrics(t, s.Scrape())
	a.commandLine()
	mails, err := filepath.Glob(filepath.Join(s.Dir, "outbox", "*.eml"))
	if err != nil || len(mails) < 4*len(hostileTexts) {
		t.Fatalf("%d mails, %v", len(mails), err)
	}
	for _, name := range mails {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		checkMail(t, filepath.Base(name), raw)
		if !regexp.MustCompile(`^[A-Za-z0-9.@+_-]+$`).MatchString(filepath.Base(name)) {
			t.Errorf("a mail's file is called %q", name)
		}
	}
	a.finish()
	checkLogs(t, logfmt.String(), inJSON.String())
}

// An attack is one on a service, with all texts.
type attack struct {
	s *running
	t *testing.T
}

// ask makes a request and looks at the answer.
func (a *attack) ask(what string, h *hostileText, token, method, path, body string) (int, string) {
	a.t.Helper()
	code, answer := a.s.Ask(token, method, path, body)
	checkAnswer(a.t, what+", "+h.name, answer)
	if code >= 500 {
		a.t.Errorf("%s, %s: %d %.500s", what, h.name, code, answer)
	}
	return code, answer
}

// alerts posts alerts that are hostile in each of their fields.
func (a *attack) alerts() {
	for i := range hostileTexts {
		h := &hostileTexts[i]
		text := h.asJSON()
		alert := func(more string) string {
			return fmt.Sprintf(`{"status":"firing","labels":{"alertname":%[1]s,"hostile_number":"%[2]d","severity":%[1]s,%[1]s:%[1]s},"annotations":{"summary":%[1]s,"description":%[1]s,
				"runbook_url":%[1]s,"dashboard":%[1]s,%[1]s:%[1]s},"startsAt":"2026-01-02T03:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":%[1]s%[3]s}`, text, i, more)
		}
		post := func(what, alerts, more string) (int, string) {
			return a.ask(what, h, apptest.ReceiverToken, "POST", "/alertmanager", fmt.Sprintf(`{"version":"4","groupKey":%[1]s,"truncatedAlerts":0,"status":"firing","receiver":%[1]s,"groupLabels":{%[1]s:%[1]s},
				"commonLabels":{"a":%[1]s},"commonAnnotations":{"a":%[1]s},"externalURL":%[1]s%[2]s,"alerts":[%[3]s]}`, text, more, alerts))
		}
		code, body := post("an alert", alert(fmt.Sprintf(`,"fingerprint":"f%d"`, i)), "")
		if code != 200 || !strings.Contains(body, `"opened"`) {
			a.t.Errorf("%s: the alert was answered %d %.600s", h.name, code, body)
		}
		post("its fingerprint", alert(`,"fingerprint":`+text), "")
		post("one of Grafana", alert(fmt.Sprintf(`,"fingerprint":"g%d","silenceURL":%[2]s,"dashboardURL":%[2]s,"panelURL":%[2]s,"valueString":%[2]s`, i, text)),
			fmt.Sprintf(`,"orgId":1,"title":%[1]s,"state":"alerting","message":%[1]s`, text))
		post("one without an SLO", strings.Replace(alert(fmt.Sprintf(`,"fingerprint":"u%d"`, i)), "hostile_number", "other_number", 1), "")
		post("a wrong status", strings.Replace(alert(""), `"firing"`, text, 1), "")
		post("a wrong time", strings.Replace(alert(""), `"2026-01-02T03:00:00Z"`, text, 1), "")
		post("an unknown key", alert(`,`+text+`:1`), `,`+text+`:{}`)
		a.ask("no payload", h, apptest.ReceiverToken, "POST", "/alertmanager", text)
		a.ask("another version", h, apptest.ReceiverToken, "POST", "/alertmanager", `{"version":`+text+`,"alerts":[]}`)
	}
}

// told waits until a message of a kind about each incident of an SLO was handed over to
// the group support.
func (a *attack) told(kind string) {
	a.t.Helper()
	a.s.Until("messages are sent: "+kind, func() bool {
		mails, err := filepath.Glob(filepath.Join(a.s.Dir, "outbox", "*.eml"))
		if err != nil {
			a.t.Fatal(err)
		}
		told := map[string]bool{}
		for _, name := range mails {
			raw, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			m, err := netmail.ReadMessage(bytes.NewReader(raw))
			if err == nil && m.Header.Get("X-Sitrep-Kind") == kind && strings.Contains(m.Header.Get("To"), "support@") {
				told[m.Header.Get("X-Sitrep-Incident")] = true
			}
		}
		return len(told) >= len(hostileTexts)
	})
}

// incidents are those of the SLOs, by the number of the text.
func (a *attack) incidents() []string {
	a.t.Helper()
	ids := make([]string, len(hostileTexts))
	for i := range ids {
		_, body := a.s.Ask(apptest.ViewerToken, "GET", fmt.Sprintf("/api/v1/incidents?slo=slo-%d", i), "")
		id := regexp.MustCompile(`"id":"(INC-\d+)"`).FindStringSubmatch(body)
		if id == nil {
			a.t.Fatalf("no incident of %s: %.500s", hostileTexts[i].name, body)
		}
		ids[i] = id[1]
	}
	return ids
}

// commands gives commands that are hostile in each of their fields.
func (a *attack) commands() {
	for i, id := range a.incidents() {
		h := &hostileTexts[i]
		for _, c := range []struct {
			path, body string
			done       bool // it must be
		}{
			{"/acknowledge", `{}`, true},
			{"/priority", `{"priority":"P2","reason":%s}`, true},
			{"/priority", `{"priority":%[1]s,"reason":%[1]s}`, false},
			{"/phase", `{"phase":"escalation","note":%[1]s,"escalated_to":%[1]s}`, true},
			{"/phase", `{"phase":%s}`, false},
			{"/updates", `{"message":%s}`, true},
			{"/updates", `{"message":"m","audiences":[%s]}`, false},
			{"/actions/hotfix", `{"state":"done","link":%[1]s,"reason":%[1]s}`, false},
			{"/actions/hotfix", `{"state":"waived","reason":%s}`, true},
			{"/actions/postmortem", `{"state":%s}`, false},
			{"/merge", `{"into":%[1]s,"reason":%[1]s}`, false},
			{"/resolve", `{"note":%s}`, true},
			{"/reopen", `{"reason":%s}`, true},
			{"/resolve", `{"note":%s}`, true},
			{"/resolve", `{%s:1}`, false},
			{"/resolve", `%s`, false},
		} {
			body := c.body
			if strings.Contains(body, "%") {
				body = fmt.Sprintf(body, h.asJSON())
			}
			code, answer := a.ask("POST "+c.path, h, apptest.ResponderToken, "POST", "/api/v1/incidents/"+id+c.path, body)
			if c.done && code != 200 && utf8.ValidString(body) {
				a.t.Errorf("%s, %s: answered %d %.500s", c.path, h.name, code, answer)
			}
		}
		if !utf8.ValidString(h.asJSON()) { // refused as a whole
			a.s.Ask(apptest.ResponderToken, "POST", "/api/v1/incidents/"+id+"/resolve", `{"note":"n"}`)
		}
		if i%2 == 1 {
			a.ask("a declaration", h, apptest.ResponderToken, "POST", "/api/v1/incidents", fmt.Sprintf(`{"use_case":%[1]s,"team":%[1]s,"priority":"P1","stakeholders":[%[1]s],"reason":%[1]s}`, h.asJSON()))
			continue
		}
		a.ask("a declaration", h, apptest.ResponderToken, "POST", "/api/v1/incidents",
			fmt.Sprintf(`{"use_case":%[1]s,"team":"somebody","priority":"P1","stakeholders":["support","hooked"],"reason":%[1]s,"drill":true}`, h.asJSON()))
	}
}

// requests makes requests that are hostile in their path, query, headers, host and forms.
func (a *attack) requests() {
	handler := a.s.Server.Config.Handler
	for i := range hostileTexts {
		h := &hostileTexts[i]
		path, query := url.PathEscape(h.text), url.QueryEscape(h.text)
		for _, target := range []string{
			"/" + path, "/api/" + path, "/api/v1/incidents/" + path, "/api/v1/incidents/INC-1/" + path, "/incidents/" + path, "/incidents/INC-1/" + path,
			"/incidents/INC-1/messages/" + path, "/deliveries/" + path, "/priorities/versions/" + path, "/assets/" + path,
			"/?q=" + query + "&state=" + query + "&team=" + query + "&priority=" + query, "/slos?q=" + query + "&team=" + query + "&page=" + query,
			"/deliveries?state=" + query + "&cursor=" + query, "/declare?slo=" + query + "&use_case=" + query + "&form=free&priority=" + query,
			"/incidents/INC-1?done=" + query, "/reports?from=" + query + "&to=" + query, "/?" + query + "=" + query,
			"/api/v1/incidents?q=" + query, "/api/v1/incidents?cursor=" + query, "/api/v1/incidents?limit=" + query, "/api/v1/incidents?state=" + query, "/api/v1/incidents?" + query + "=1",
			"/api/v1/slos?team=" + query, "/api/v1/audit/report?from=" + query, "/api/v1/audit/report?format=" + query, "/api/v1/audit/export?team=" + query,
			"/api/v1/audit/export?incident=" + query, "/api/v1/audit/export?checkpoint=" + query, "/metrics?name[]=" + query,
		} {
			a.ask("GET "+target[:min(40, len(target))], h, apptest.AdminToken, "GET", target, "")
		}
		for _, header := range []string{"Idempotency-Key", "If-Match", "X-Forwarded-User", "X-Forwarded-For", "X-Request-Id", "User-Agent", "Referer", "Origin", "Authorization", "Content-Type", "Accept-Language", "Sec-Fetch-Site"} {
			for _, target := range []string{"/incidents/INC-1/acknowledge", "/api/v1/incidents/INC-1/updates?preview=true", "/alertmanager"} {
				r := httptest.NewRequestWithContext(a.t.Context(), "POST", target, strings.NewReader(`{"message":"m"}`))
				r.RemoteAddr = "127.0.0.1:1"
				r.Header.Set("Content-Type", "application/json")
				if header != "X-Forwarded-User" && header != "Authorization" {
					r.Header.Set("Authorization", "Bearer "+apptest.ResponderToken)
				}
				r.Header.Set(header, h.text)
				a.serve("header "+header, h, handler, r)
			}
		}
		r := httptest.NewRequestWithContext(a.t.Context(), "GET", "/", nil)
		r.SetBasicAuth(h.text, h.text)
		a.serve("a log-in", h, handler, r)
		r = httptest.NewRequestWithContext(a.t.Context(), "GET", "/", nil)
		r.Host = h.text
		a.serve("the host", h, handler, r)
		form := url.Values{"message": {h.text}, "reason": {h.text}, "priority": {h.text}, "note": {h.text}, "seen": {h.text}, "form": {"free"}, "use_case": {h.text}, "team": {h.text}, "stakeholders": {h.text}, h.text: {h.text}}
		for _, target := range []string{"/incidents/INC-1/updates", "/incidents/INC-1/priority", "/incidents/INC-1/reopen", "/declare"} {
			r := httptest.NewRequestWithContext(a.t.Context(), "POST", target, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Authorization", "Bearer "+apptest.ResponderToken)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			a.serve("the form "+target, h, handler, r)
		}
	}
}

// serve makes a request that a client of net/http would not make.
func (a *attack) serve(what string, h *hostileText, handler http.Handler, r *http.Request) {
	a.t.Helper()
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, r)
	if rec.Code >= 500 && rec.Code != http.StatusServiceUnavailable {
		a.t.Errorf("%s, %s: %d %.300s", what, h.name, rec.Code, rec.Body)
	}
	checkAnswer(a.t, what+", "+h.name, apptest.HeaderText(rec.Header())+rec.Body.String())
}

// reads asks for all that can be read, of each incident and each message.
func (a *attack) reads() {
	routes := apptest.Routes(a.t)
	ids := a.incidents()
	for _, r := range routes {
		if r.Method != http.MethodGet || r.Path == "/alertmanager" {
			continue
		}
		for i, id := range ids {
			path := strings.NewReplacer("{id}", id, "{name}", "hotfix", "{version}", "1").Replace(r.Path)
			if path == r.Path && i > 0 {
				break
			}
			if strings.Contains(path, "{delivery}") {
				continue
			}
			a.ask("GET "+path, &hostileTexts[i], apptest.AdminToken, "GET", path, "")
		}
	}
	for i, id := range ids {
		_, body := a.s.Ask(apptest.AdminToken, "GET", "/api/v1/incidents/"+id+"/deliveries?limit=1000", "")
		of := regexp.MustCompile(`"id":"([^"]+)","incident"`).FindAllStringSubmatch(body, -1)
		if len(of) == 0 {
			a.t.Fatalf("no deliveries of %s: %.300s", id, body)
		}
		for _, d := range of[:min(len(of), 6)] {
			for _, suffix := range []string{"", "/html", "/raw"} {
				a.ask("a message", &hostileTexts[i], apptest.AdminToken, "GET", "/incidents/"+id+"/messages/"+d[1]+suffix, "")
			}
		}
	}
	for _, path := range []string{
		"/api/v1/audit/report?format=html", "/api/v1/audit/report?format=csv", "/api/v1/audit/report?format=json", "/api/v1/audit/export", "/api/v1/audit/export?pseudonyms=true",
		"/?state=resolved", "/?state=open", "/slos?page=1", "/deliveries?state=delivered", "/priorities/versions/1",
	} {
		code, answer := a.ask("GET "+path, &hostileTexts[0], apptest.AdminToken, "GET", path, "")
		if code != 200 {
			a.t.Errorf("%s: %d %.300s", path, code, answer)
		}
	}
}

// commandLine looks at what the command line prints of all that, and of what it is
// given.
func (a *attack) commandLine() {
	evidence := filepath.Join(a.s.Dir, "evidence.zip")
	main := filepath.Join(a.s.Dir, "sitrep.yml")
	printed := func(sh *shell, args ...string) {
		a.t.Helper()
		out, errOut, _ := sh.run(args...)
		where := fmt.Sprintf("sitrep %.200q", args)
		switch {
		case slices.Contains(args, "html"):
			checkHTML(a.t, where, out)
		case slices.Contains(args, "csv"):
			checkCSV(a.t, where, out)
		case slices.Contains(args, "json") && out != "":
			checkJSON(a.t, where, out)
			checkTame(a.t, where, out)
		default:
			checkTame(a.t, where, out)
		}
		checkTame(a.t, where+" on stderr", errOut)
	}
	people, auditor, plain := a.s.responderShell(), a.s.auditor().shell, &shell{}
	printed(auditor, "audit", "export", "--output", evidence)
	for _, args := range [][]string{
		{"verify", evidence, "--no-key"}, {"verify", "--no-key"}, {"report", "--format", "html"}, {"report", "--format", "csv"}, {"report", "--format", "json"}, {"key"},
	} {
		printed(auditor, append([]string{"audit"}, args...)...)
	}
	for _, args := range [][]string{{"list", "--limit=0"}, {"deliveries", "--limit=0"}, {"list", "-o", "json"}, {"deliveries", "-o", "json"}} {
		printed(people, append([]string{"incident"}, args...)...)
	}
	for i, id := range a.incidents() {
		for k, what := range []string{"show", "events", "breaches", "deliveries"} {
			if partOf(i, k) {
				printed(people, "incident", what, id)
				printed(people, "incident", what, id, "-o", "json")
			}
		}
	}
	printed(plain, "check", main)
	printed(plain, "wiki", "--config.file", main, "--addresses")
	printed(plain, "wiki", "--config.file", main, "--format", "html")
	// One that is quickly loaded.
	small := filepath.Join(a.s.Dir, "small", "sitrep.yml")
	a.s.Write("small/sitrep.yml", apptest.Organisation)
	a.s.Write("small/slos.yml", apptest.SLOs)
	for i := range hostileTexts {
		h := &hostileTexts[i]
		a.hostileFile(i, h, printed)
		payload := fmt.Sprintf(`{"version":"4","alerts":[{"status":"firing","labels":{"alertname":%[1]s,"sitrep_slo":"send",%[1]s:%[1]s},"fingerprint":%[1]s,"startsAt":"2026-01-02T03:00:00Z"},
			{"status":%[1]s,"labels":{"alertname":%[1]s}},{"status":"firing","labels":{"alertname":%[1]s,"x":%[1]s},"startsAt":%[1]s}]}`, h.asJSON())
		a.s.Write("payload.json", payload)
		printed(plain, "simulate", "--config.file", small, filepath.Join(a.s.Dir, "payload.json"))
		printed(plain, "simulate", "--config.file", small, "-o", "json", "alertname="+h.text, "sitrep_slo=send")
		for k, args := range [][]string{
			{h.text},
			{"incident", h.text},
			{"incident", "show", h.text},
			{"incident", "list", "--team", h.text},
			{"incident", "list", "--state", h.text},
			{"incident", "list", "--" + h.text},
			{"incident", "priority", "INC-1", h.text, "--reason", h.text},
			{"incident", "declare", "--slo", h.text, "--reason", "r"},
			{"incident", "list", "--url", h.text},
			{"audit", "verify", h.text},
			{"audit", "verify", evidence, "--key", h.text},
			{"audit", "export", "--team", h.text, "--output", filepath.Join(a.s.Dir, "none.zip")},
			{"audit", "report", "--from", h.text},
			{"check", h.text},
			{"simulate", "--config.file", small, h.text},
			{"simulate", "--at", h.text, "a=b"},
			{"wiki", "--config.file", h.text},
		} {
			if partOf(i, k) {
				printed(people, args...)
			}
		}
	}
}

// partOf spreads texts over places, where all in each would take too long: each text comes to a
// quarter of them, and each place sees a quarter of the texts.
func partOf(text, place int) bool { return (text+place)%4 == 0 }

// hostileFile looks at what is said of a configuration with a text in each place.
func (a *attack) hostileFile(text int, h *hostileText, printed func(*shell, ...string)) {
	path := filepath.Join("broken", "sitrep.yml")
	a.s.Write(filepath.Join("broken", "slos.yml"), apptest.SLOs)
	at := filepath.Join(a.s.Dir, path)
	for i, config := range []string{
		strings.Replace(apptest.Organisation, "summary: Small", "summary: "+h.asJSON(), 1),
		strings.Replace(apptest.Organisation, "name: P3", "name: "+h.asJSON(), 1),
		strings.Replace(apptest.Organisation, "[cto@example.org]", "["+h.asJSON()+"]", 1),
		strings.Replace(apptest.Organisation, "name: board", "name: "+h.asJSON(), 1),
		strings.Replace(apptest.Organisation, "update_every: 2h", "update_every: "+h.asJSON(), 1),
		strings.Replace(apptest.Organisation, "timezone: Europe/Berlin", "timezone: "+h.asJSON(), 1),
		strings.Replace(apptest.Organisation, "slo_files: [slos.yml]", "slo_files: ["+h.asJSON()+"]", 1),
		apptest.Organisation + h.asJSON() + ": 1\n",
		apptest.Organisation + h.text,
	} {
		if !partOf(text, i) {
			continue
		}
		a.s.Write(path, config)
		printed(&shell{}, "check", at)
		if i == 0 {
			printed(&shell{}, "wiki", "--config.file", at)
		}
	}
}

// TestTheCommandLineOfAHostileServer: what answers in sitrep's stead moves no cursor.
func TestTheCommandLineOfAHostileServer(t *testing.T) {
	for i := range hostileTexts {
		h := &hostileTexts[i]
		text, inHeader := h.asJSON(), "x"
		if _, err := url.Parse(h.text); err == nil && !strings.ContainsFunc(h.text, unicode.IsControl) { // else it is no answer, which is asked for again
			inHeader = h.text
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/events"):
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"title":%[1]s,"detail":%[1]s,"type":%[1]s,"request":%[1]s}`, text)
			case strings.HasSuffix(r.URL.Path, "/breaches"):
				w.Header().Set("Location", inHeader)
				w.WriteHeader(http.StatusFound)
			case strings.HasSuffix(r.URL.Path, "/deliveries"):
				w.Header().Set("Content-Type", inHeader)
				fmt.Fprint(w, h.text)
			case strings.HasSuffix(r.URL.Path, "/report"):
				w.Header().Set("Content-Type", "text/csv")
				fmt.Fprint(w, h.text)
			case strings.HasSuffix(r.URL.Path, "/status"):
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"ledger":{"public_key":%s}}`, text)
			default:
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"id":%[1]s,"slo":%[1]s,"use_case":%[1]s,"priority":%[1]s,"state":%[1]s,"phase":%[1]s,"team":%[1]s,"acknowledged_by":%[1]s,"labels":{%[1]s:%[1]s},
					"actions":[{"name":%[1]s,"state":%[1]s,"link":%[1]s}],"links":[{"name":%[1]s,"url":%[1]s}],"audiences":[%[1]s],"groups":[%[1]s],"next":""}`, text)
			}
		}))
		people := &shell{vars: map[string]string{"SITREP_URL": server.URL, "SITREP_TOKEN": "x"}}
		for _, args := range [][]string{
			{"incident", "events", "1"},
			{"incident", "breaches", "1"},
			{"incident", "deliveries", "1"},
			{"incident", "show", "1"},
			{"incident", "show", "1", "-o", "json"},
			{"incident", "ack", "1"},
			{"audit", "key"},
			{"audit", "verify"},
			{"audit", "report", "--format", "csv"},
			{"healthy"},
		} {
			out, errOut, _ := people.run(args...)
			checkTame(t, fmt.Sprintf("%s, %q", h.name, args), out+errOut)
		}
		server.Close()
	}
}

// finish stops the service, and looks at what is said of its files.
func (a *attack) finish() {
	dir := a.s.Dir
	a.s.Stop()
	store := filepath.Join(dir, "data", "sitrep.db")
	for _, args := range [][]string{
		{"audit", "verify", "--storage", store, "--no-key"}, {"storage", "check", store}, {"audit", "report", "--storage", store, "--format", "csv"},
	} {
		out, errOut, code := (&shell{}).run(args...)
		if code != ExitDone {
			a.t.Errorf("%v: exit %d\n%.2000s%s", args, code, out, errOut)
		}
		checkTame(a.t, strings.Join(args, " "), out+errOut)
	}
}

// checkStrings finds untamed text in what JSON says in words.
func checkStrings(t *testing.T, where string, body []byte) {
	t.Helper()
	var said struct {
		Data struct{ Message string }
	}
	if err := json.Unmarshal(body, &said); err != nil {
		t.Errorf("%s: %v", where, err)
	}
	if said.Data.Message == "" {
		t.Errorf("%s: no message in %.200s", where, body)
	}
	checkTame(t, where, said.Data.Message)
}
