package incident

import (
	"slices"
	"time"
)

// A Readership says who reads what a person writes in a command.
type Readership string

// The readerships.
const (
	// ReadByAudiences is for words to all who are informed. Those on call read them, too.
	ReadByAudiences Readership = "audiences"
	// ReadInside is for words that stay inside: they stand on the pages and in the API, in
	// what those on call are told, and in the evidence. No audience is told them.
	ReadInside Readership = "inside"
)

// A Text is something that a person can write.
type Text struct {
	// Command and Field are where it is written, as the API names them: the last part of the
	// path without a name, declare for opening an incident, and the field of the body.
	Command, Field string
	Readers        Readership
	// Type is that of the event that keeps it, and place where in there.
	Type  EventType
	place place
}

// texts are all of them. What is not here is chosen among names that the configuration has.
var texts = []Text{
	{"declare", "use_case", ReadByAudiences, EventOpened, inUseCase},
	{"declare", "reason", ReadByAudiences, EventOpened, inReason},
	{"notes", "text", ReadInside, EventNoteWritten, inReason},
	{"updates", "message", ReadByAudiences, EventUpdateWritten, inMessage},
	{"priority", "reason", ReadByAudiences, EventPriorityChanged, inReason},
	{"phase", "note", ReadInside, EventPhaseChanged, inReason},
	{"phase", "escalated_to", ReadInside, EventPhaseChanged, inEscalatedTo},
	{"actions", "link", ReadByAudiences, EventActionChanged, inLink}, // of one that is done, see Event.ForAudiences
	{"actions", "reason", ReadInside, EventActionChanged, inReason},
	{"resolve", "note", ReadInside, EventResolved, inReason},
	{"resolve", "message", ReadByAudiences, EventResolved, inMessage},
	{"close", "note", ReadInside, EventClosed, inReason},
	{"reopen", "reason", ReadByAudiences, EventReopened, inReason},
	{"merge", "reason", ReadByAudiences, EventMerged, inReason},
}

// Texts returns all that people can write, in the order of commands.
func Texts() []Text { return slices.Clone(texts) }

// ReadersOf returns who reads what is written in a field of a command; false if that is no
// text of a person.
func ReadersOf(command, field string) (Readership, bool) {
	i := slices.IndexFunc(texts, func(t Text) bool { return t.Command == command && t.Field == field })
	if i < 0 {
		return "", false
	}
	return texts[i].Readers, true
}

// A place is where an event keeps a text of a person.
type place int

const (
	inReason place = iota
	inMessage
	inEscalatedTo
	inLink
	inUseCase
)

// of returns the text in an event; nil if it has no such place.
func (p place) of(e *Event) *string {
	switch p {
	case inReason:
		return &e.Reason
	case inMessage:
		return &e.Data.Message
	case inEscalatedTo:
		return &e.Data.EscalatedTo
	case inLink:
		return &e.Data.Link
	}
	return nil // the use case, which is the headline
}

// ForReader returns the event as one may read it who reads by those audiences: all of it on
// call, else what the audiences may. It reports false if there is nothing to tell.
func (e *Event) ForReader(audiences []Audience) (Event, bool) {
	if slices.Contains(audiences, AudienceOnCall) {
		return *e, true
	}
	addressed := slices.ContainsFunc(e.Data.Audiences, func(a Audience) bool { return slices.Contains(audiences, a) })
	switch e.Type {
	case EventUpdateWritten:
		if !addressed {
			return Event{}, false
		}
	case EventUpdateMissed:
		// Why it was missed is for those who missed it, and for the team.
		if !slices.Contains(audiences, e.Data.Audience) {
			return Event{}, false
		}
	}
	out, told := e.ForAudiences()
	if !addressed {
		out.Data.Message = ""
	}
	return out, told
}

// ForAudiences returns the event as the audiences may read it, whatever build wrote it: of
// what people wrote only what is for them. It reports false if nothing is left to tell.
//
// The link of an action leads them to what was done; of one that was not, it is part of the
// reason, and stays inside as that does. Who acknowledged an incident is not said, and that
// another took it over or gave it back is no news to them.
func (e *Event) ForAudiences() (Event, bool) {
	out := *e
	d := &out.Data
	switch {
	case e.Type == EventNoteWritten, e.Type == EventAcknowledged && (d.TakenOver || d.Released),
		e.Type == EventPhaseChanged && d.From == d.To: // it was escalated to somebody else
		return Event{}, false
	case e.Type == EventAcknowledged:
		out.Actor = ""
	case e.Type == EventActionChanged && ActionState(d.To) != ActionDone:
		d.Link = ""
	}
	for _, p := range []place{inReason, inMessage, inEscalatedTo, inLink} {
		if p == inReason && !e.Actor.Person() {
			continue // what sitrep gave as reason, in an earlier build
		}
		if !slices.ContainsFunc(texts, func(t Text) bool { return t.Type == e.Type && t.place == p && t.Readers == ReadByAudiences }) {
			*p.of(&out) = ""
		}
	}
	d.Actions = actionsForAudiences(d.Actions)
	return out, true
}

// ForAudiences returns the incident as the audiences may know it: without who is on it, to
// whom it was escalated, why actions are as they are, and what was written to others than
// those given.
func (in *Incident) ForAudiences(audiences ...Audience) Incident {
	out := *in
	out.AcknowledgedBy, out.TakenOverAt, out.EscalatedTo = "", time.Time{}, ""
	out.Actions = actionsForAudiences(in.Actions)
	out.Words = nil
	for _, a := range audiences {
		if w, ok := in.Words[a]; ok {
			if out.Words == nil {
				out.Words = map[Audience]Word{}
			}
			out.Words[a] = w
		}
	}
	return out
}

// actionsForAudiences returns actions without their reasons, and with the links of those
// that are done.
func actionsForAudiences(actions []Action) []Action {
	actions = slices.Clone(actions)
	for i := range actions {
		a := &actions[i]
		if a.Reason = ""; a.State != ActionDone {
			a.Link = ""
		}
	}
	return actions
}
