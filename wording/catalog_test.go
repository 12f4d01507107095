package wording

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"sitrep/incident"
	"sitrep/incident/incidenttest"
	"sitrep/internal/golden"
)

// telling returns messages that say all that there is to say: those of all channels' tests but
// the ones that are about size and strangers, and those that only the words differ in.
func telling() map[string]*incident.Message {
	all := incidenttest.Messages()
	for _, name := range []string{"hostile", "long", "digest-of-many"} {
		delete(all, name)
	}
	add := func(name string, kind incident.Kind, change func(m *incident.Message, it *incident.Item)) {
		m := incidenttest.Message(kind)
		change(m, &m.Items[0])
		all[name] = m
	}
	at, event := incidenttest.At, incidenttest.Event
	onCall := func(m *incident.Message) {
		m.Audiences, m.Group = []incident.Audience{incident.AudienceOnCall}, "notifications"
	}
	said := incident.Cause{Kind: incident.CauseSaid, Said: "451 greylisted"}
	down := incident.Cause{Kind: incident.CauseDown, From: at("12:00"), To: at("12:10")}
	set := incident.Cause{Kind: incident.CauseClock, From: at("12:00"), To: at("12:10")}
	none := incident.Cause{Kind: incident.CauseNoneFound}
	missed := func(n int, audience incident.Audience, c incident.Cause) incident.Event {
		return event("12:31", incident.EventUpdateMissed, incident.ActorScheduler, "", incident.Data{DueAt: at("12:30"), Missed: n, Audience: audience, Cause: c})
	}
	// What may have happened, by people and by none.
	for _, actor := range []incident.Actor{"ada", incident.Forgotten, incident.ActorScheduler} {
		events := []incident.Event{
			event("12:02", incident.EventOpened, actor, "customers call", incident.Data{Opening: &incident.Opening{Declared: true}}),
			event("12:03", incident.EventAcknowledged, actor, "", incident.Data{}),
			event("12:04", incident.EventAcknowledged, actor, "", incident.Data{TakenOver: true}),
			event("12:06", incident.EventAcknowledged, actor, "", incident.Data{Released: true}),
			event("12:07", incident.EventPriorityChanged, actor, "", incident.Data{From: "P3", To: "P2"}),
			event("12:08", incident.EventPriorityChanged, actor, "", incident.Data{From: "P3", To: "P2", Raised: true, Why: incident.WhySLOPriority}),
			event("12:09", incident.EventPriorityChanged, actor, "", incident.Data{From: "P2", To: "P3", Definition: &incidenttest.P3}),
			event("12:10", incident.EventPhaseChanged, actor, "", incident.Data{To: "initial-diagnosis"}),
			event("12:11", incident.EventPhaseChanged, actor, "", incident.Data{To: "escalation", EscalatedTo: "Queue Provider Ltd"}),
			event("12:12", incident.EventNoteWritten, actor, "db-7 is full", incident.Data{}),
			event("12:14", incident.EventActionChanged, actor, "", incident.Data{Action: "hotfix", To: "done"}),
		}
		more := []incident.Event{
			event("12:15", incident.EventActionChanged, actor, "not needed", incident.Data{Action: "hotfix", To: "waived"}),
			event("12:16", incident.EventActionChanged, actor, "", incident.Data{Action: "hotfix", To: "due"}),
			event("12:17", incident.EventAudienceChanged, actor, "", incident.Data{Stakeholders: []string{"sales", "support", "sre"}}),
			event("12:18", incident.EventAudienceChanged, actor, "", incident.Data{}),
			event("12:19", incident.EventResolved, actor, "", incident.Data{Message: "All works again.", Audiences: incidenttest.P1.Inform, Why: incident.WhyNobodyAsked}),
			event("12:20", incident.EventReopened, actor, "", incident.Data{}),
			event("12:21", incident.EventMerged, actor, "", incident.Data{Into: 41}),
			event("12:22", incident.EventMerged, actor, "", incident.Data{From: "INC-41"}),
			event("12:23", incident.EventClosed, actor, "", incident.Data{Why: incident.WhyNothingDue}),
			event("12:24", incident.EventUpdateWritten, actor, "", incident.Data{Message: "We look into it."}),
			event("12:25", incident.EventClosed, actor, "", incident.Data{Into: 41, Why: incident.WhyMerged}),
		}
		who := map[incident.Actor]string{"ada": "a-person", incident.Forgotten: "somebody-forgotten", incident.ActorScheduler: "nobody"}[actor]
		for i, changes := range [][]incident.Event{events, more} {
			add(fmt.Sprintf("update-of-what-%s-did-%d", who, i+1), incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
				onCall(m)
				it.Changes = changes
			})
		}
	}
	add("update-of-missed-updates", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		onCall(m)
		it.Changes = []incident.Event{
			missed(1, incident.AudienceManagement, said), missed(1, "", down), missed(3, incident.AudienceStakeholders, set), missed(3, "", none), missed(1, incident.AudienceOnCall, said),
		}
	})
	add("update-of-more-than-is-listed", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		for range changesLimit + 2 {
			it.Changes = append(it.Changes, event("13:20", incident.EventPhaseChanged, "ada", "", incident.Data{To: "closure"}))
		}
		it.Incident.AcknowledgedBy, it.Incident.TakenOverAt, it.Incident.OnItAt = "ada", at("12:50"), at("12:50")
		it.Breaches = incident.Tally{Started: 1, Ended: 1, Unknown: 1}
		it.Incident.Breaches = incident.Counts{Firing: 1, Unknown: 2, Total: 9}
		it.Incident.Priority.UpdateEvery = time.Hour
		it.Incident.Unmapped = true
		it.Reasons = []incident.Owed{{Reason: incident.DueMoved}}
	})
	add("update-with-much-to-do", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		onCall(m)
		it.Breaches = incident.Tally{Unknown: 1}
		m.At = at("13:59").AddDate(0, 0, 6)
		in := &it.Incident
		in.TakenOverAt, in.OnItAt, in.Phase, in.EscalatedTo = at("12:50"), at("12:50"), incident.PhaseClosure, "Queue Provider Ltd"
		in.Priority.UpdateEvery = 26 * time.Hour
		in.Actions = []incident.Action{
			{Name: "report", State: incident.ActionWaived, Reason: "not needed"},
			{Name: "review", State: incident.ActionDue, DueAt: at("13:00")},
			{Name: "postmortem", State: incident.ActionDue, DueAt: at("13:00").AddDate(1, 0, 0)},
		}
		in.Breaches, in.EndedAt, in.ResolveAfter = incident.Counts{Total: 1}, at("13:58"), 10*time.Minute
		it.Silent = incident.Pulses{
			{Name: "a", Labels: map[string]string{"cluster": "eu"}, AwaySince: at("12:01")},
			{Name: "b", Labels: map[string]string{"cluster": ""}, AwaySince: at("12:01")},
			{Name: "c", Labels: map[string]string{"cluster": "us"}, AwaySince: at("12:01")},
			{Name: "d", Labels: map[string]string{"cluster": "cn"}, AwaySince: at("12:01")},
		}
	})
	add("update-of-both-and-given-back", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		onCall(m)
		in := &it.Incident
		in.ReleasedAt, in.Phase, in.EscalatedTo = at("13:00"), incident.PhaseEscalation, "Queue Provider Ltd"
		in.Breaches, in.EndedAt, in.ResolveAfter = incident.Counts{Total: 2}, at("13:58"), 10*time.Minute
		it.Silent = incident.Pulses{{Name: "a", Labels: map[string]string{"cluster": "eu"}, AwaySince: at("12:01")}}
	})
	add("update-to-two-audiences", incident.KindUpdate, func(m *incident.Message, it *incident.Item) {
		m.Audiences = []incident.Audience{incident.AudienceManagement, incident.AudienceOnCall}
		it.Incident.Breaches, it.Incident.UnknownSince, it.LastHeardAt = incident.Counts{Unknown: 2, Total: 2}, time.Time{}, time.Time{}
		it.Breaches, it.Incident.StartedAt = incident.Tally{Ended: 1, Unknown: 1}, m.At
		it.Incident.Priority.UpdateEvery = 30 * time.Minute
		it.Word, it.NewWord = &incident.Word{Text: strings.Repeat("The queue is full. ", 200), At: at("13:50")}, true
		it.NextBy = time.Time{}
	})
	add("opened-after-another", incident.KindOpened, func(m *incident.Message, it *incident.Item) {
		onCall(m)
		it.First, it.Incident.Previous, it.Incident.Declared, it.Incident.AcknowledgedAt = true, 7, true, time.Time{}
		it.Incident.Breaches = incident.Counts{Unknown: 1, Total: 1}
		it.Changes = []incident.Event{event("11:59", incident.EventOpened, "ada", "customers call", incident.Data{Opening: &incident.Opening{Declared: true}})}
		it.Alerts = incidenttest.Listed(6, incident.ListedAlert{})
		for i := range 6 {
			it.Plan = append(it.Plan, incident.PlannedReader{Recipient: incident.Recipient{Address: fmt.Sprint("reader-", i, "@example.org")}, Audience: incident.AudienceManagement, Group: "leadership", At: at("12:09")})
		}
	})
	add("opened-again-to-one-who-left", incident.KindOpened, func(m *incident.Message, it *incident.Item) {
		it.First, it.Again = true, true
		it.Reasons = []incident.Owed{{Reason: incident.DueJoined, At: at("13:59")}}
		it.Breaches = incident.Tally{Unknown: 2}
		it.Incident.Breaches.Unknown = 2
		it.Incident.Priority.UpdateEvery = 90 * time.Minute
	})
	add("priority-that-went-to-and-fro", incident.KindPriority, func(m *incident.Message, it *incident.Item) {
		it.Incident.Priority.UpdateEvery = 24 * time.Hour
		it.Changes = []incident.Event{
			event("13:10", incident.EventPriorityChanged, "ada", "", incident.Data{From: "P1", To: "P2", Definition: &incidenttest.P2}),
			event("13:20", incident.EventPriorityChanged, "ada", "", incident.Data{From: "P2", To: "P1", Raised: true, Definition: &incidenttest.P1}),
		}
	})
	left := func(name string, change func(m *incident.Message, it *incident.Item)) {
		add(name, incident.KindLeft, func(m *incident.Message, it *incident.Item) {
			it.NextBy = time.Time{}
			it.Incident.Priority = incidenttest.P2
			change(m, it)
		})
	}
	left("left-as-nobody-is-informed", func(m *incident.Message, it *incident.Item) { it.Audiences = nil })
	left("left-as-others-are-informed", func(m *incident.Message, it *incident.Item) {
		m.Audiences = []incident.Audience{incident.AudienceStakeholders}
		it.Audiences = []incident.Audience{incident.AudienceManagement, incident.AudienceOnCall}
	})
	left("left-the-group", func(m *incident.Message, it *incident.Item) {})
	add("resolved-by-sitrep", incident.KindResolved, func(m *incident.Message, it *incident.Item) {
		in := &it.Incident
		in.State, in.ResolvedAt, in.EndedAt, in.Breaches, in.Actions = incident.StateResolved, at("13:59"), at("13:49"), incident.Counts{Total: 1}, nil
		in.StartedAt = at("13:49").AddDate(0, 0, -2)
		it.Changes = []incident.Event{event("13:59", incident.EventResolved, incident.ActorScheduler, "", incident.Data{Why: incident.WhyNotListed})}
		it.NextBy, it.Reasons = time.Time{}, []incident.Owed{{Reason: incident.DueUndelivered, Address: "gone@example.org"}}
	})
	add("resolved-and-closed", incident.KindResolved, func(m *incident.Message, it *incident.Item) {
		in := &it.Incident
		in.State, in.ClosedAt, in.ResolvedAt, in.EndedAt, in.Breaches = incident.StateClosed, at("13:59"), at("13:49"), time.Time{}, incident.Counts{}
		it.NextBy = time.Time{}
	})
	add("reminder-of-a-promise", incident.KindReminder, func(m *incident.Message, it *incident.Item) {
		onCall(m)
		it.NextBy, it.Audiences = time.Time{}, nil
		it.Incident.Actions[0].DueAt = at("13:00")
		it.Reasons = []incident.Owed{
			{Reason: incident.DueUnfed},
			{Reason: incident.DueStillFiring},
			{Reason: incident.DueMailRefused, At: at("13:00")},
			{Reason: incident.DueActionOverdue, Action: "hotfix"},
			{Reason: incident.DueUndelivered, Address: "a@example.org"},
			{Reason: incident.DueUndelivered, Address: "b@example.org"},
		}
	})
	add("reminder-once-resolved", incident.KindReminder, func(m *incident.Message, it *incident.Item) {
		onCall(m)
		it.NextBy = time.Time{}
		it.Incident.State, it.Incident.ResolvedAt = incident.StateResolved, at("13:50")
		it.Reasons = []incident.Owed{{Reason: incident.DueUnfed}, {Reason: incident.DueStillFiring}}
	})
	add("reminder-to-an-audience", incident.KindReminder, func(m *incident.Message, it *incident.Item) {
		it.Audiences = nil
		it.Reasons = []incident.Owed{{Reason: incident.DueUnfed, DueAt: at("14:00")}}
	})
	for _, reason := range []incident.Reason{
		incident.DueActionOverdue, incident.DueAllUnknown, incident.DueStillFiring, incident.DueMailRefused, incident.DueUndelivered, incident.DueJoined,
	} {
		add("reminder-of-"+strings.ReplaceAll(string(reason), "_", "-"), incident.KindReminder, func(m *incident.Message, it *incident.Item) {
			onCall(m)
			it.Reasons = []incident.Owed{{Reason: reason, At: at("13:00"), Action: "hotfix", Address: "gone@example.org"}}
		})
	}
	add("digest-of-all-kinds", incident.KindDigest, func(m *incident.Message, it *incident.Item) {
		first := *it
		m.Items = nil
		for i := range int64(10) {
			it := first
			it.Incident.Number, it.Incident.AcknowledgedAt, it.OnCall = 42+i, time.Time{}, true
			it.Kind = incident.KindUpdate
			switch i {
			case 0:
				it.Kind, it.First = incident.KindOpened, true
				it.Alerts, it.Incident.Drill = incidenttest.Listed(2, incident.ListedAlert{Name: "QueueFull"}, incident.ListedAlert{Name: "QueueSlow"}), true
			case 1:
				it.Incident.Priority.Name, it.LateSince = "P2", at("13:00")
				it.Alerts = incidenttest.Listed(7, incident.ListedAlert{Name: "QueueFull"}, incident.ListedAlert{Name: "QueueSlow"})
			case 2:
				it.Incident.Priority.Name, it.Incident.State, it.Incident.ClosedAt = "P3", incident.StateClosed, at("13:50")
				it.Kind, it.NextBy = incident.KindResolved, time.Time{}
			case 3:
				it.Incident.Priority.Name, it.Incident.State, it.Incident.MergedInto = "P4", incident.StateClosed, 41
				it.Kind = incident.KindLeft
			case 4:
				it.NewWord, it.Word = true, &incident.Word{Text: "We look into it.", At: at("13:58")}
			case 5:
				it.NewWord, it.Word = true, &incident.Word{Text: "We look into it.", At: at("13:58"), By: "ada"}
			case 6:
				it.Kind, it.Reasons = incident.KindReminder, []incident.Owed{{Reason: incident.DueUnfed, DueAt: at("14:00")}}
			case 7:
				it.Kind, it.NextBy = incident.KindReopened, time.Time{}
			case 8:
				it.NextBy, it.Paused = time.Time{}, true
				it.Incident.Breaches = incident.Counts{Unknown: 1, Total: 1}
			case 9:
				it.Incident.Drill = true
				it.Alerts = incidenttest.Listed(1, incident.ListedAlert{Name: "QueueFull"})
				it.Breaches = incident.Tally{Started: 1, Ended: 2}
			}
			m.Items = append(m.Items, it)
		}
	})
	all["watchdog-never-heard"] = &incident.Message{
		Kind: incident.KindWatchdog, At: at("13:59"), Location: all["opened"].Location, BaseURL: "https://sitrep.example.org", Group: "sre",
		Watchdog: &incident.WatchdogNews{Pulse: "x", Labels: map[string]string{"cluster": ""}, Away: true, Within: time.Hour},
	}
	return all
}

// whole is all that a message says: the subject, what stands beside it in a list of mails, and
// the text.
func whole(t *testing.T, m *incident.Message) string {
	t.Helper()
	r := Compose(m)
	text, err := r.Text()
	if err != nil {
		t.Fatal(err)
	}
	return Subject(m) + "\n" + r.Preview + "\n\n" + text
}

// TestWordingGolden: what each message says in each language, to be read by somebody who speaks
// it.
func TestWordingGolden(t *testing.T) {
	for _, tag := range Languages() {
		dir := filepath.Join("testdata", tag)
		if golden.Update() {
			os.RemoveAll(dir)
		}
		for name, m := range telling() {
			m.Language = tag
			golden.Compare(t, filepath.Join(dir, name+".txt"), []byte(whole(t, m)))
		}
	}
}

// marked is a language whose texts are their keys, in brackets.
func marked() *Language {
	en := In(english)
	l := *en
	l.tag, l.texts = language.English, map[string]*text{}
	mark := func(s string) string { return "⟦" + s + "⟧" }
	for key, forms := range en.texts {
		l.texts[key] = &text{}
		for form, pattern := range forms {
			if pattern == nil {
				continue
			}
			out := []piece{{literal: mark(key)}}
			for _, p := range pattern {
				if p.name != "" {
					out = append(out, piece{literal: " "}, p)
				}
			}
			l.texts[key][form] = out
		}
	}
	l.weekdays, l.months = slices.Clone(en.weekdays), slices.Clone(en.months)
	for i := range l.weekdays {
		l.weekdays[i] = mark("weekday")
	}
	for i := range l.months {
		l.months[i] = mark("month")
	}
	return &l
}

var (
	marks = regexp.MustCompile(`⟦[^⟧]*(⟧|…|$)`)
	// What is the same in all languages: commands, addresses, names of zones and of sitrep.
	international = regexp.MustCompile(`sitrep incident [a-z]+ INC-\d+( "…"| PRIORITY)?( --reason "…")?( [a-z]+ done)?|https?://\S+|INC-\d+|\b(sitrep|Europe/Berlin|America/New_York|CES?T|E[SD]T|UTC)\b`)
	latin         = regexp.MustCompile(`[A-Za-z]{2,}`)
)

// TestNoTextBypassesTheCatalog renders each message in a language where every text is marked, and
// looks for words that are not, and that nobody wrote; and it makes sure that each text is shown
// by one of the messages, so that it is in the golden files.
func TestNoTextBypassesTheCatalog(t *testing.T) {
	const tag = "marked"
	l := marked()
	languages[tag] = func() *Language { return l }
	defer delete(languages, tag)
	shown := map[string]bool{}
	look := func(name, said string, people map[string]bool) {
		for _, m := range marks.FindAllString(said, -1) {
			shown[strings.Trim(m, "⟦⟧…")] = true
		}
		said = international.ReplaceAllString(marks.ReplaceAllString(said, " "), " ")
		for _, word := range latin.FindAllString(said, -1) {
			if !people[word] {
				t.Errorf("%s: %q does not come from the texts:\n%s", name, word, said)
			}
		}
	}
	for name, m := range telling() {
		m.Language = tag
		people := map[string]bool{}
		wordsIn(reflect.ValueOf(m), people)
		look(name, whole(t, m), people)
	}
	// What only a message that is too long says.
	long := incidenttest.Longest(incident.KindUpdate, "x")
	long.Language = tag
	digest := incidenttest.Longest(incident.KindDigest, "x")
	digest.Language = tag
	for _, m := range []*incident.Message{long, digest} {
		r := ComposeWhole(m)
		for _, room := range []Room{{3000, 1}, {900, 1}} {
			text, err := r.Within(room).Text()
			if err != nil {
				t.Fatal(err)
			}
			for _, mark := range marks.FindAllString(text, -1) {
				shown[strings.Trim(mark, "⟦⟧…")] = true
			}
		}
	}
	subject, test := l.TestMail()
	look("test mail", subject+test+Compose(long).LinkTooLong(), nil)
	for _, d := range []time.Duration{0, time.Second, 2 * time.Minute, 3 * time.Hour, 50 * time.Hour} {
		look("duration", l.Duration(d)+l.every(d), nil)
	}
	for key := range In(english).texts {
		if !shown[key] && !notTold[key] {
			t.Errorf("no message says %s", key)
		}
	}
}

// notTold are texts for the reasons of what is no part of messages.
var notTold = map[string]bool{
	"why.quiet": true, "why.watchdog_away": true, "why.unseen": true, "why.listed": true, "why.mapped": true, "why.breach_started": true,
	"why.not_configured": true, "why.outcome_unknown": true, "why.told_with_another": true, "why.told_or_over": true,
}

// wordsIn collects the words in what people wrote: in strings that are no codes of the domain.
func wordsIn(v reflect.Value, into map[string]bool) {
	switch v.Kind() {
	case reflect.String:
		code := v.Type().PkgPath() != "" && v.Type() != reflect.TypeFor[incident.Actor]()
		known := []string{"done", "waived", "due", "escalation", "investigation", "initial-diagnosis", "recovery"}
		if s := v.String(); !code && !slices.Contains(known, s) {
			for _, word := range latin.FindAllString(s, -1) {
				into[word] = true
			}
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*time.Location]() {
			wordsIn(v.Elem(), into)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			wordsIn(v.Field(i), into)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			wordsIn(v.Index(i), into)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			wordsIn(k, into)
			wordsIn(v.MapIndex(k), into)
		}
	}
}

// TestDatesAndPlurals: the forms of a language.
func TestDatesAndPlurals(t *testing.T) {
	de := In("de")
	berlin := telling()["opened"].Location
	now := time.Date(2026, 11, 29, 15, 5, 0, 0, time.UTC)
	clock := Clock{now, berlin, de}
	for got, want := range map[string]string{
		clock.Full(now):                       "16:05 MEZ",
		clock.Full(now.AddDate(0, 0, 1)):      "Mo. 30.11.2026, 16:05 MEZ",
		clock.Full(now.AddDate(0, 3, 4)):      "Fr. 05.03.2027, 16:05 MEZ",
		clock.Time(now.AddDate(0, -5, 0)):     "Mo. 29.06.2026, 17:05 MESZ",
		clock.Zones(now.AddDate(0, -5, 0)):    "Europe/Berlin (MEZ ist UTC+1, MESZ ist UTC+2)",
		de.Duration(time.Hour):                "1 Stunde",
		de.Duration(2 * time.Hour):            "2 Stunden",
		de.Duration(25 * time.Hour):           "1 Tag 1 Stunde",
		de.Duration(2 * time.Minute):          "2 Minuten",
		de.Duration(time.Second):              "1 Sekunde",
		de.every(time.Hour):                   "jede Stunde",
		de.every(2 * time.Hour):               "alle 2 Stunden",
		de.every(90 * time.Minute):            "alle 1 Stunde 30 Minuten",
		de.every(24 * time.Hour):              "jeden Tag",
		de.list([]string{"a", "b", "c"}):      "a, b und c",
		de.quote("er sagte „so“"):             "„er sagte ‚so‘“",
		de.count("incidents", 1):              "1 Störung",
		de.count("incidents", 0):              "0 Störungen",
		In("").Duration(26 * time.Hour):       "1 day 2 hours",
		In("no-such-language").say("never"):   "never",
		(&Language{tag: de.tag}).say("never"): "never", // a text that is missing is English
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if form := de.plural(1); form != plural.One || de.plural(0) != plural.Other || de.plural(21) != plural.Other {
		t.Errorf("1 takes %v", form)
	}
}
