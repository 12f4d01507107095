package wording

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sitrep/incident"
)

// changesLimit is how many changes a message lists one by one.
const changesLimit = 12

// A story is what of the changes is told where, so that nothing is told twice.
type story struct {
	// cause is the event that made the message necessary, nil if none did.
	cause *incident.Event
	// lines are the other changes, the latest first.
	lines []Entry
	// words are what the team wrote before its latest words, unknown to the reader.
	words []incident.Event
	// noNews is set if the message says that the team has written nothing.
	noNews bool
}

// newStory sorts the changes of an item.
func newStory(m *incident.Message, it *incident.Item, clock Clock) *story {
	s := &story{}
	changes := slices.Clone(it.Changes)
	for i := len(changes) - 1; i >= 0 && s.cause == nil; i-- {
		if causes(&changes[i], it) {
			s.cause = &changes[i]
		}
	}
	var rest []incident.Event
	for i := range changes {
		e := &changes[i]
		if spoken := e.Type == incident.EventUpdateWritten || e.Type == incident.EventResolved && e.Data.Message != ""; spoken && it.NewWord && it.Word != nil {
			if e.Data.Message != it.Word.Text || !e.Time.Equal(it.Word.At) {
				s.words = append(s.words, *e)
			}
			if e.Type == incident.EventUpdateWritten {
				continue
			}
			e.Data.Message = "" // it stands with what the team says
		}
		switch {
		case e == s.cause:
		case plain(it) && e.Type == incident.EventOpened, ofBreach(e.Type), e.Type == incident.EventClosed && it.Incident.MergedInto > 0:
			// Since says it, or the tally of breaches, or the lead.
		case e.Type == incident.EventUpdateMissed && !m.ToOnCall() &&
			slices.ContainsFunc(rest, func(o incident.Event) bool { return o.Type == e.Type && o.Data.DueAt.Equal(e.Data.DueAt) }):
			// Who is in two audiences missed it once.
		case e.Type == incident.EventAcknowledged && it.Incident.State == incident.StateOpen && e.Time.Equal(lastOnIt(&it.Incident)):
			// State says it.
		default:
			rest = append(rest, *e)
		}
	}
	s.lines = entries(rest, it, describer(m, clock), clock)
	return s
}

// lastOnIt is when it last changed whether somebody is on it, or who.
func lastOnIt(in *incident.Incident) time.Time {
	last := in.AcknowledgedAt
	for _, at := range []time.Time{in.OnItAt, in.TakenOverAt, in.ReleasedAt} {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// plain reports whether the item is an opening told to all from the start.
func plain(it *incident.Item) bool {
	return it.First && it.Kind == incident.KindOpened && !joins(it)
}

// joins reports whether others were told of the incident before the reader.
func joins(it *incident.Item) bool { return has(it, incident.DueJoined, incident.DueMerged) }

func has(it *incident.Item, reasons ...incident.Reason) bool {
	return slices.ContainsFunc(it.Reasons, func(o incident.Owed) bool { return slices.Contains(reasons, o.Reason) })
}

// broughtIn reports whether the event is why the reader joins. One who joins because the
// configuration changed does so by none.
func broughtIn(e *incident.Event, it *incident.Item) bool {
	return slices.ContainsFunc(it.Reasons, func(o incident.Owed) bool {
		return (o.Reason == incident.DueJoined || o.Reason == incident.DueMerged) && o.At.Equal(e.Time)
	})
}

// causes reports whether the event is why a message of the item's kind is sent.
func causes(e *incident.Event, it *incident.Item) bool {
	moved := e.Type == incident.EventPriorityChanged || e.Type == incident.EventAudienceChanged || e.Type == incident.EventMerged
	switch it.Kind {
	case incident.KindLeft:
		return moved
	case incident.KindOpened:
		return moved && broughtIn(e, it) || it.Incident.Declared && e.Type == incident.EventOpened
	case incident.KindPriority:
		return e.Type == incident.EventPriorityChanged
	case incident.KindResolved:
		return e.Type == incident.EventResolved
	case incident.KindReopened:
		return e.Type == incident.EventReopened
	}
	return false
}

// describer puts events into words for the readers of a message.
func describer(m *incident.Message, clock Clock) Describer {
	d := Describer{Depth: ForReaders, Time: clock.Time, Language: clock.Language}
	if onCall(m) {
		d.Depth = ForTeam
	}
	return d
}

// entries are events in words, the latest first, and what happened to breaches.
func entries(events []incident.Event, it *incident.Item, d Describer, clock Clock) []Entry {
	var out []Entry
	more := max(len(events)-changesLimit, 0)
	for i := range events[more:] {
		e := &events[more+i]
		out = append(out, Entry{When: clock.Time(e.Time), Text: d.event(e, &it.Incident)})
	}
	slices.Reverse(out)
	if more > 0 {
		out = append(out, Entry{Text: clock.Language.count("changes.more", more)})
	}
	if text := clock.Language.breaches(it); text != "" {
		out = append(out, Entry{Text: text})
	}
	return out
}

// lead says why the message comes now.
func lead(m *incident.Message, it *incident.Item, s *story, clock Clock) []string {
	in, l := &it.Incident, clock.Language
	var out []string
	cause := ""
	if s.cause != nil {
		cause = describer(m, clock).event(s.cause, in)
	}
	switch it.Kind {
	case incident.KindLeft:
		out = append(out, l.farewell(m, it, cause)...)
	case incident.KindResolved:
		if s.cause != nil && s.cause.Actor.Person() {
			out = append(out, cause)
		} else {
			over := l.say("over.now")
			if in.Breaches.Total > 0 {
				over = l.say("over.alerts", "said", l.afterColon(Breaches(it, clock)))
			}
			out = append(out, over)
			if s.cause != nil && s.cause.Data.Why != "" {
				out = append(out, l.sentence(capital(l.why(&s.cause.Data))))
			}
		}
		if in.Breaches.Firing > 0 && m.ToOnCall() {
			out = append(out, l.say("over.firing"))
		}
	case incident.KindOpened:
		if joins(it) {
			joined := l.say("lead.joins")
			if it.Again {
				joined = l.say("lead.again")
			}
			cause = strings.TrimSpace(joined + " " + cause)
		}
		if cause != "" {
			out = append(out, cause)
		}
		if in.Previous > 0 {
			out = append(out, l.say("lead.before", "incident", incident.ID(in.Previous)))
		}
	default:
		if known := knownPriority(it); it.Kind == incident.KindPriority && known == in.Priority.Name {
			out = append(out, l.say("lead.to_and_fro", "priority", priorityName(in)))
		}
		if cause != "" {
			out = append(out, cause)
		}
	}
	if it.Paused && in.State == incident.StateOpen {
		out = append(out, l.say("lead.paused"))
	}
	if has(it, incident.DueMoved) {
		out = append(out, l.say("lead.moved"))
	}
	for _, reason := range []incident.Reason{incident.DueUndeliverable, incident.DueUndelivered} {
		if has(it, reason) {
			out = append(out, l.undelivered(it, reason))
		}
	}
	if !it.LateSince.IsZero() {
		out = append(out, l.say("lead.late", "time", clock.Time(it.LateSince)))
	}
	return out
}

// knownPriority is the one that the reader was told last, "" if it has not changed since.
func knownPriority(it *incident.Item) string {
	for i := range it.Changes {
		if e := &it.Changes[i]; e.Type == incident.EventPriorityChanged {
			return e.Data.From
		}
	}
	return ""
}

// farewell says that a reader is told no more, and why.
func (l *Language) farewell(m *incident.Message, it *incident.Item, cause string) []string {
	in := &it.Incident
	out := []string{}
	if cause != "" {
		out = append(out, cause)
	}
	why := ""
	switch {
	case in.MergedInto > 0:
		why = l.say("left.merged", "incident", incident.ID(in.MergedInto))
	case len(it.Audiences) == 0:
		why = l.say("left.informs_nobody", "priority", priorityName(in))
	case !informed(m.Audiences, it.Audiences) && len(it.Audiences) == 1:
		why = l.say("left.informs_only", "priority", priorityName(in), "audience", l.audience(it.Audiences[0]))
	case !informed(m.Audiences, it.Audiences):
		why = l.say("left.informs", "priority", priorityName(in), "audiences", l.audiences(it.Audiences))
	case len(it.Hears) > 0 && !slices.Contains(it.Hears, in.Priority.Name):
		why = l.say("left.hears", "priorities", l.list(cleanNames(it.Hears)))
	default:
		why = l.say("left.informed")
	}
	return append(out, why)
}

func cleanNames(priorities []string) []string {
	out := make([]string, len(priorities))
	for i, name := range priorities {
		out[i] = Line(name, 20)
	}
	return out
}

func informed(mine, all []incident.Audience) bool {
	return slices.ContainsFunc(mine, func(a incident.Audience) bool { return slices.Contains(all, a) })
}

// teamSection is what the team says, or honestly that it says nothing.
func teamSection(m *incident.Message, it *incident.Item, s *story, clock Clock) Section {
	l := clock.Language
	section := Section{Heading: l.say("heading.says")}
	word := it.Word
	if word != nil && it.NewWord {
		section.Lines = append(section.Lines, l.words(word.Text, word.By, clock.Time(word.At)))
		for _, e := range slices.Backward(s.words) {
			section.Lines = append(section.Lines, l.words(e.Data.Message, describer(m, clock).person(e.Actor), clock.Time(e.Time)))
		}
		return section
	}
	in := &it.Incident
	if onCall(m) || in.State != incident.StateOpen || it.Kind == incident.KindLeft {
		return section
	}
	var last string
	if it.Kind != incident.KindUpdate || spoke(it) {
		// Something is news: that they wrote nothing is not.
		if word != nil {
			last = l.say("says.last_at", "time", clock.Time(word.At))
		}
	} else {
		s.noNews, last = true, l.say("says.last")
		section.Lines = append(section.Lines, Entry{Text: strings.TrimSpace(NoNews(it, clock) + " " + Breaches(it, clock))})
	}
	if word != nil {
		text, _ := Block(word.Text, reasonLimit)
		section.Lines = append(section.Lines, Entry{Text: last, Quote: text})
	}
	return section
}

// spoke reports whether a person did anything since the reader's last message.
func spoke(it *incident.Item) bool {
	return slices.ContainsFunc(it.Changes, func(e incident.Event) bool {
		return e.Actor.Person() || e.Type == incident.EventAcknowledged // an audience is not told by whom
	})
}

// words are what a person wrote, and when.
func (l *Language) words(text, by, when string) Entry {
	e := Entry{Text: l.by("says.wrote", Line(by, nameLimit), "time", when)}
	var cut bool
	if e.Quote, cut = Block(text, wordsLimit); cut {
		e.Quote += "\n" + l.say("says.shortened")
	}
	return e
}

// planSection says who will be told when inform_after is over.
func planSection(it *incident.Item, clock Clock) Section {
	type key struct {
		at       string
		audience incident.Audience
		group    string
	}
	var keys []key
	names := map[key][]string{}
	plan := slices.Clone(it.Plan)
	slices.SortStableFunc(plan, func(a, b incident.PlannedReader) int { return a.At.Compare(b.At) })
	for _, p := range plan {
		k := key{clock.Full(p.At), p.Audience, p.Group}
		if _, ok := names[k]; !ok {
			keys = append(keys, k)
		}
		names[k] = append(names[k], recipientName(p.Recipient))
	}
	l := clock.Language
	section := Section{Heading: l.say("heading.plan")}
	for _, k := range keys {
		who := names[k]
		if more := len(who) - 4; more > 0 {
			who = append(who[:4:4], l.count("plan.more", more))
		}
		section.Lines = append(section.Lines, Entry{
			When: l.say("plan.at", "time", k.at),
			Text: fmt.Sprintf("%s (%s): %s", l.audience(k.audience), Line(k.group, nameLimit), l.list(who)),
		})
	}
	if len(section.Lines) > 0 {
		section.Lines = append(section.Lines, Entry{
			Text:    l.say("plan.lower"),
			Command: fmt.Sprintf("sitrep incident priority %s PRIORITY --reason \"…\"", it.Incident.ID()),
		})
	}
	return section
}

func recipientName(r incident.Recipient) string {
	return cmp.Or(Line(r.Name, nameLimit), Line(r.Address, nameLimit))
}

// todoSection says what the people on call are to do first.
func (l *Language) todoSection(m *incident.Message, it *incident.Item) Section {
	section := Section{Heading: l.say("heading.todo")}
	if !looksInto(m, it) {
		return section
	}
	if e, ok := l.ackEntry(m, it); ok {
		section.Lines = append(section.Lines, e)
	}
	if url := Link(it.Runbook); url != "" {
		section.Lines = append(section.Lines, Entry{Text: l.say("runbook"), URL: url})
	}
	return section
}

// looksInto reports whether the reader is to look into the trouble.
func looksInto(m *incident.Message, it *incident.Item) bool {
	return m.ToOnCall() && it.Incident.State == incident.StateOpen && it.Kind != incident.KindLeft
}

func actionSection(it *incident.Item, clock Clock) Section {
	in := &it.Incident
	if it.Kind == incident.KindLeft {
		return Section{}
	}
	l := clock.Language
	section := Section{Heading: l.say("heading.actions")}
	if in.State == incident.StateResolved {
		section.Heading = l.say("heading.follows")
	}
	for i := range in.Actions {
		a := &in.Actions[i]
		e := Entry{Text: Action(a, clock), URL: Link(a.Link)}
		if e.URL == "" && a.Link != "" {
			e.Text += ", " + Line(a.Link, reasonLimit)
		}
		section.Lines = append(section.Lines, e)
	}
	if in.State == incident.StateResolved && len(in.Actions) == 0 {
		section.Lines = append(section.Lines, Entry{Text: l.say("actions.none")})
	}
	return section
}

// linkSection says where to look.
func (l *Language) linkSection(m *incident.Message, it *incident.Item) Section {
	in := &it.Incident
	section := Section{Heading: l.say("heading.look"), stays: true}
	add := func(text, url string) {
		if url = Link(url); url != "" {
			section.Lines = append(section.Lines, Entry{Text: text, URL: url})
		}
	}
	if in.MergedInto > 0 {
		add(l.say("look.goes_on", "incident", incident.ID(in.MergedInto)), page(m, in.MergedInto))
	}
	add(l.say("look.incident", "incident", in.ID()), page(m, in.Number))
	if m.ToOnCall() && !looksInto(m, it) {
		add(l.say("runbook"), it.Runbook)
	}
	if in.Previous > 0 {
		add(l.say("look.before", "incident", incident.ID(in.Previous)), page(m, in.Previous))
	}
	return section
}

// page is the address of an incident's page.
func page(m *incident.Message, number int64) string {
	return m.BaseURL + "/incidents/" + incident.ID(number)
}

// lower returns s with its first letter in lower case.
func lower(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToLower(r)) + s[n:]
}
