package templates_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/incident/sample"
	"sitrep/templates"
)

// read returns the files of a folder.
func read(t *testing.T, pattern string) []templates.File {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	var files []templates.File
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, templates.File{Name: filepath.Base(name), Text: string(text)})
	}
	return files
}

// set returns a set of one file.
func set(t testing.TB, text string) *templates.Set {
	t.Helper()
	s, problems := templates.Parse([]templates.File{{Name: "own.tmpl", Text: text}})
	if problems != nil {
		t.Fatalf("%+v", problems)
	}
	return s
}

func contrib(t *testing.T) *templates.Set {
	t.Helper()
	s, problems := templates.Parse(read(t, "../contrib/templates/*.tmpl"))
	if problems != nil {
		t.Fatalf("%+v", problems)
	}
	return s
}

// The sample in contrib is sound, and makes all messages there can be: the difficult, and the longest.
func TestTheSampleInContrib(t *testing.T) {
	s := contrib(t)
	for _, p := range s.Check(nil) {
		t.Errorf("%+v", p)
	}
	all := incidenttest.Messages()
	all["longest"] = incidenttest.Longest(incident.KindUpdate, "\"\\<&>*_`")
	for name, m := range all {
		made, err := s.Mail(m)
		if err != nil || made.Subject == "" || made.Text == "" || made.HTML == "" {
			t.Errorf("%s: %v", name, err)
		}
		if again, err := s.Mail(m); err != nil || again != made {
			t.Errorf("%s: the same message gave another mail, or %v", name, err)
		}
		for _, format := range []string{"slack", "teams", "mattermost"} {
			body, err := s.Chat(format, m)
			if err != nil || !json.Valid(body) {
				t.Errorf("%s in %s: %v", name, format, err)
			}
		}
	}
}

// What strangers write is escaped wherever it stands: in HTML by html/template, and in what chats read
// before a template has it.
func TestStrangersMentionNobody(t *testing.T) {
	const words = `<!channel> @here [bank](https://evil.example) *bold* "quoted" \ <script>alert(1)</script>`
	m := incidenttest.Strangers(words, "P1")
	s := set(t, `{{define "mail.html"}}<p title="{{.Title}}">{{.Title}}</p><a href="{{.Incident.Runbook}}">x</a>{{end}}
{{define "slack"}}{"text": {{toJson (printf "%s %s" .Title .Incident.Word.Quote)}}}{{end}}
{{define "mattermost"}}{"text": {{toJson (printf "%s %s" .Title .Incident.Word.Quote)}}}{{end}}
{{define "teams"}}{"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": {"type": "AdaptiveCard", "text": {{toJson .Title}}}}]}{{end}}`)
	made, err := s.Mail(m)
	if err != nil || strings.Contains(made.HTML, "<script>") || strings.Contains(made.HTML, `"quoted"`) {
		t.Errorf("%v\n%s", err, made.HTML)
	}
	for format, never := range map[string][]string{
		"slack": {"<!channel>", "@here", " *bold*"}, "mattermost": {"<!channel>", "@here", "[bank]", " *bold*"}, "teams": {"[bank](", " *bold*"},
	} {
		body, err := s.Chat(format, m)
		if err != nil {
			t.Fatal(err)
		}
		var text any
		if err := json.Unmarshal(body, &text); err != nil {
			t.Fatal(err)
		}
		said := fmt.Sprint(text)
		for _, word := range never {
			if strings.Contains(said, word) {
				t.Errorf("%s: %q stands in %s", format, word, said)
			}
		}
		if !strings.Contains(said, "bank") {
			t.Errorf("%s says nothing of it: %s", format, said)
		}
	}
}

// A link that is no link of the web is none in a template either, and no message has an address.
func TestWhatAMessageHas(t *testing.T) {
	s := set(t, `{{define "mail.text"}}{{toJson .}}{{end}}`)
	for name, m := range incidenttest.Messages() {
		if name == "digest-of-many" {
			continue // more than a function returns
		}
		made, err := s.Mail(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, word := range []string{`"javascript:`, m.Recipient.Address, m.Recipient.ID} {
			if word != "" && strings.Contains(made.Text, word) {
				t.Errorf("%s has %q", name, word)
			}
		}
		if strings.ContainsFunc(made.Text, func(r rune) bool { return r < ' ' && r != '\n' }) {
			t.Errorf("%s has control characters", name)
		}
	}
}

// Whatever a message holds, templates are given of what stays inside as much as its readers may know.
func TestTemplatesTellNothingThatStaysInside(t *testing.T) {
	s := set(t, `{{define "mail.text"}}{{toJson .}}{{end}}`)
	message := func(audience incident.Audience) *incident.Message {
		m := incidenttest.Message(incident.KindUpdate)
		m.Audiences = []incident.Audience{audience}
		it := &m.Items[0]
		it.OnCall = audience == incident.AudienceOnCall
		in := &it.Incident
		in.AcknowledgedBy, in.EscalatedTo, in.Phase = "inside-who", "inside-to", incident.PhaseEscalation
		in.Actions = []incident.Action{{Name: "hotfix", State: incident.ActionWaived, Reason: "inside-reason", Link: "https://inside-link.example.org"}}
		it.Runbook = "https://inside-runbook.example.org"
		if it.OnCall { // nobody else is given them
			it.Alerts = incidenttest.Listed(1, incident.ListedAlert{Name: "inside-alert"})
		}
		it.Changes = []incident.Event{
			incidenttest.Event("12:05", incident.EventAcknowledged, "inside-who", "", incident.Data{}),
			incidenttest.Event("12:06", incident.EventNoteWritten, "ada", "inside-note", incident.Data{}),
			incidenttest.Event("12:07", incident.EventPhaseChanged, "ada", "inside-phase", incident.Data{From: "investigation", To: "escalation", EscalatedTo: "inside-to"}),
			incidenttest.Event("12:08", incident.EventActionChanged, "ada", "inside-reason", incident.Data{Action: "hotfix", To: "waived", Link: "https://inside-link.example.org"}),
		}
		return m
	}
	for _, audience := range []incident.Audience{incident.AudienceManagement, incident.AudienceStakeholders} {
		made, err := s.Mail(message(audience))
		if err != nil {
			t.Fatal(err)
		}
		if _, leaked, found := strings.Cut(made.Text, "inside-"); found {
			t.Errorf("%s are told inside-%.40s", audience, leaked)
		}
	}
	made, err := s.Mail(message(incident.AudienceOnCall))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"who", "to", "reason", "link", "runbook", "alert", "note", "phase"} {
		if !strings.Contains(made.Text, "inside-"+word) {
			t.Errorf("those on call are not told inside-%s: %s", word, made.Text)
		}
	}
}

// Two readers of one group who read by the same audience are told the same, so that it can be made once.
func TestAMessageIsTheSameForAllOfAGroup(t *testing.T) {
	s := contrib(t)
	one, other := incidenttest.Message(incident.KindUpdate), incidenttest.Message(incident.KindUpdate)
	other.ID, other.Recipient = "another", incident.Recipient{ID: "email:eve@example.org", Name: "Eve", Channel: incident.ChannelEmail, Address: "eve@example.org"}
	a, err := s.Mail(one)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.Mail(other); err != nil || a != b {
		t.Errorf("%v: %+v and %+v", err, a, b)
	}
}

// A template that never ends does, and takes no more memory than there is.
func TestATemplateIsBounded(t *testing.T) {
	double := `{{$x := "1234567890"}}` + strings.Repeat(`{{$x = printf "%s%s" $x $x}}`, 60)
	deep := `{{define "mail.text"}}{{template "t0"}}{{end}}`
	for i := range 60 {
		deep += fmt.Sprintf(`{{define "t%d"}}{{template "t%d"}}{{template "t%d"}}{{end}}`, i, i+1, i+1)
	}
	deep += `{{define "t60"}}x{{end}}`
	for name, body := range map[string]string{
		"an empty range":           `{{define "mail.text"}}x{{range 1000000000000}}{{end}}{{end}}`,
		"ranges in ranges":         `{{define "mail.text"}}x{{range 1000}}{{range 1000}}{{range 1000}}{{$y := 1}}{{end}}{{end}}{{end}}{{end}}`,
		"output without end":       `{{define "mail.text"}}{{range 1000000}}x{{end}}{{end}}`,
		"a text that doubles":      `{{define "mail.text"}}x` + double + `{{end}}`,
		"a list that doubles":      `{{define "mail.text"}}{{range 100000}}{{$z := join (printf "%900s" "") (stringSlice "a" "b" "c" "d")}}{{end}}x{{end}}`,
		"calls that double":        deep,
		"a wide number":            `{{define "mail.text"}}{{printf "%0*d" 1000000 1}}{{end}}`,
		"many wide numbers":        `{{define "mail.text"}}{{printf "` + strings.Repeat("%999d", 9000) + `" 1}}{{end}}`,
		"a message many times":     `{{define "mail.text"}}{{range 100000}}{{$z := toJson $}}{{end}}x{{end}}`,
		"regular expressions":      `{{define "mail.text"}}{{range 100000}}{{$z := match "(a?){50}a{50}" $.Text}}{{end}}x{{end}}`,
		"a message as a text":      `{{define "mail.text"}}{{printf "%v" .}}{{end}}`,
		"a layout without end":     `{{define "mail.text"}}{{.At.Format (printf "%999s" "x")}}{{end}}`,
		"HTML that never ends":     `{{define "mail.html"}}{{range 1000000000000}}{{end}}{{end}}`,
		"a script of a message":    `{{define "mail.html"}}{{range 100000}}<script>var x = {{$}}</script>{{end}}{{end}}`,
		"JSON that is too long":    `{{define "slack"}}{"text": "{{range 50000}}x{{end}}"}{{end}}`,
		"a replacement that grows": `{{define "mail.text"}}{{reReplaceAll "" (printf "%900s" "") .Text}}{{end}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t, body)
			m := incidenttest.Longest(incident.KindUpdate, "words ")
			_, err := s.Mail(m)
			if strings.Contains(body, "slack") {
				_, err = s.Chat("slack", m)
			}
			var f *templates.Failure
			if !errors.As(err, &f) || f.Place() == "" {
				t.Errorf("it was made, or the error is %v", err)
			}
		})
	}
}

// A set is used by many at once, and one that failed is as good as new for the next message.
func TestASetIsSharedByMany(t *testing.T) {
	s := set(t, `{{define "mail.subject"}}{{if .Drill}}{{.Nothing}}{{end}}{{.Title}}{{end}}{{define "mail.html"}}<b>{{.Title}}</b>{{end}}`)
	ms := incidenttest.Messages()
	want, err := s.Mail(ms["opened"])
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if _, err := s.Mail(ms["drill"]); err == nil {
					t.Error("a field that is none was made")
				}
				if got, err := s.Mail(ms["opened"]); err != nil || got != want {
					t.Errorf("%v: %+v", err, got)
				}
			}
		})
	}
	all.Wait()
}

// What a function does is what its documentation shows.
func TestFunctions(t *testing.T) {
	m := incidenttest.Message(incident.KindUpdate)
	for _, tt := range [][2]string{
		{`toUpper "ab"`, "AB"},
		{`toLower "AB"`, "ab"},
		{`trimSpace " a "`, "a"},
		{`join ", " .Audiences`, "management"},
		{`match "^P[12]$" .Incident.Priority.Name`, "true"},
		{`reReplaceAll "cannot" "can" .Title`, "Application can notify its users"},
		{`date "02.01.2006 15:04" .At`, "23.07.2026 15:59"},
		{`date "15:04" .Incident.EndedAt`, ""},
		{`.Incident.EndedAt`, ""},
		{`toJson .Incident.EndedAt`, "null"},
		{`.At`, "15:59 CEST"},
		{`.At.Format "15:04:05"`, "15:59:00"},
		{`.At.Unix`, "1784815140"},
		{`toJson .At`, `"2026-07-23T13:59:00Z"`},
		{`toJson "a\"b"`, `"a\"b"`},
		{`truncate 12 .Title`, "Application…"},
		{`truncate 7 "abc&amp;"`, "abc…"},
		{`truncate 3 "ab"`, "ab"},
		{`truncate 0 "ab"`, ""},
		{`printf "%s %d %5.1f" .Kind .Total 1.25`, "update 1   1.2"},
		{`printf "%s" .Incident.EndedAt`, ""},
		{`html "<b>"`, "&lt;b&gt;"},
		{`len .Incidents`, "1"},
		{`.Incident.Breaches.Firing`, "3"},
		{`.Incident.Breaches.LastHeardAt`, "15:58 CEST"},
		{`.Zone`, "Europe/Berlin"},
		{`.Page`, "https://sitrep.example.org/"},
		{`.Incident.URL`, "https://sitrep.example.org/incidents/INC-42"},
	} {
		call, want := tt[0], tt[1]
		s := set(t, `{{define "mail.text"}}={{`+call+`}}{{end}}`)
		made, err := s.Mail(m)
		if got := strings.TrimSuffix(strings.TrimPrefix(made.Text, "="), "\n"); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", call, got, err, want)
		}
	}
}

// What is no text is not written as Go shows it.
func TestWholeThingsAreNotWritten(t *testing.T) {
	m := incidenttest.Message(incident.KindUpdate)
	for _, what := range []string{".", ".Incident", ".Incident.Priority", ".Lead", ".Incidents", ".Watchdog", `print .Facts`, `printf "%v" .Incident.Breaches`} {
		for _, part := range []string{"mail.text", "mail.html"} {
			s := set(t, `{{define "`+part+`"}}x {{`+what+`}}{{end}}`)
			made, err := s.Mail(m)
			if err == nil || !strings.Contains(err.Error(), "it prints a whole ") || !strings.HasPrefix(err.Error(), "own.tmpl:1:") {
				t.Errorf("{{%s}} in %s is %q, %v", what, part, made.Text+made.HTML, err)
			}
		}
	}
	s := set(t, `{{define "mail.html"}}<p title="{{.Title | html}}">{{.Total}}{{.OnCall}}{{1.5}}{{.At}}{{html .Title}}<a href="?q={{.Title | urlquery}}">x</a>{{end}}`)
	if made, err := s.Mail(m); err != nil || !strings.Contains(made.HTML, "1false1.515:59 CESTApplication") {
		t.Errorf("%q %v", made.HTML, err)
	}
}

// Nothing that a template can call reads a clock, a file, the environment or the network.
func TestFunctionsReadNothing(t *testing.T) {
	for _, name := range []string{"now", "since", "env", "readFile", "safeHtml", "safeUrl", "tz", "include", "_sitrep"} {
		if _, problems := templates.Parse([]templates.File{{Name: "own.tmpl", Text: `{{define "mail.text"}}{{` + name + ` "x"}}{{end}}`}}); problems == nil {
			t.Errorf("there is a function %s", name)
		}
	}
}

// A message that is long is made of less until it fits, and the same for all kinds.
func TestLongMessagesFit(t *testing.T) {
	s := set(t, `{{define "mattermost"}}{"text": {{toJson (printf "%s" .Text)}}}{{end}}{{define "mail.html"}}<pre>{{.Text}}{{.Text}}{{.Text}}</pre>{{end}}`)
	for _, kind := range []incident.Kind{incident.KindUpdate, incident.KindDigest} {
		m := incidenttest.Longest(kind, "words and more ")
		if _, err := s.Chat("mattermost", m); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if made, err := s.Mail(m); err != nil || len(made.HTML) > 100_000 {
			t.Errorf("%s: %d bytes, %v", kind, len(made.HTML), err)
		}
	}
}

// Samples are what the rules could make: of each kind there is one to each who may be told.
func TestSamplesAreMessages(t *testing.T) {
	kinds := sample.Kinds()
	for _, kind := range []incident.Kind{
		incident.KindLeft, incident.KindResolved, incident.KindOpened, incident.KindReopened, incident.KindPriority, incident.KindUpdate,
		incident.KindReminder, incident.KindWatchdog, incident.KindCanary, incident.KindDigest,
	} {
		if !slices.Contains(kinds, kind) {
			t.Errorf("there is no sample of %s", kind)
		}
	}
	for _, kind := range kinds {
		for _, audience := range sample.Audiences(kind) {
			m := sample.Message(kind, sample.Full, sample.About{Audience: audience})
			if len(m.Audiences) != 1 || m.Group == "" || m.Location == nil || kind.OfPulse() == (len(m.Items) > 0) {
				t.Errorf("%s to %s: %+v", kind, audience, m)
			}
			if told := m.ForReader(); len(told.Items) > 0 && audience != incident.AudienceOnCall && told.Items[0].Alerts != nil {
				t.Errorf("%s to %s names alerts", kind, audience)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{{define "mail.subject"}}{{.Title}}{{end}}`, `{{define "mail.html"}}<a href="{{.Page}}">{{range .Facts}}{{.Line}}{{end}}</a>{{end}}`,
		`{{define "slack"}}{"text": {{toJson .Title}}}{{end}}`, `{{define "mail.text"}}{{with $x := 1}}{{break}}{{end}}{{end}}`,
		`{{define "mail.text"}}{{block "a" .}}{{.Text}}{{end}}{{end}}`, `{{define "mail.text"}}{{_sitrep_step 1}}{{$_sitrep_step := 2}}{{end}}`,
	} {
		f.Add(text)
	}
	ms := incidenttest.Messages()
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		s, problems := templates.Parse([]templates.File{{Name: "own.tmpl", Text: text}})
		if (s == nil) == (problems == nil) && text != "" {
			t.Errorf("%v and %v", s, problems)
		}
		for _, p := range problems {
			if p.Text == "" || p.File != 0 {
				t.Errorf("%+v", p)
			}
		}
		if s == nil {
			return
		}
		for _, name := range []string{"hostile", "digest"} {
			var failure *templates.Failure
			if made, err := s.Mail(ms[name]); err != nil && !errors.As(err, &failure) {
				t.Errorf("%v", err)
			} else if strings.ContainsAny(made.Subject, "\r\n") {
				t.Errorf("subject %q", made.Subject)
			}
			if body, err := s.Chat("slack", ms[name]); err != nil && !errors.As(err, &failure) || body != nil && !json.Valid(body) {
				t.Errorf("%v %s", err, body)
			}
		}
	})
}

// Where there are no templates, no sample is made to try them with: each start would wait for that.
func TestWithoutTemplatesNothingIsTried(t *testing.T) {
	set, problems := templates.Parse(nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if n := testing.AllocsPerRun(5, func() { set.Check(nil) }); n > 1000 {
		t.Errorf("%.0f allocations to try no template", n)
	}
}
