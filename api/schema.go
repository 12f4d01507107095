package api

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/incident"
	"sitrep/wording"
)

// enums are the values that a type of text may have.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[incident.State]():         texts(incident.StateOpen, incident.StateResolved, incident.StateClosed),
	reflect.TypeFor[incident.Phase]():         texts(incident.PhaseInitialDiagnosis, incident.PhaseEscalation, incident.PhaseInvestigation, incident.PhaseRecovery, incident.PhaseClosure),
	reflect.TypeFor[incident.Audience]():      texts(incident.AudienceManagement, incident.AudienceStakeholders, incident.AudienceOnCall),
	reflect.TypeFor[incident.ActionState]():   texts(incident.ActionDue, incident.ActionDone, incident.ActionWaived),
	reflect.TypeFor[incident.BreachState]():   texts(incident.BreachFiring, incident.BreachEnded, incident.BreachUnknown),
	reflect.TypeFor[incident.DeliveryState](): texts(incident.DeliveryPending, incident.DeliveryDelivered, incident.DeliveryFailed, incident.DeliverySuperseded),
	reflect.TypeFor[incident.Channel]():       texts(incident.ChannelEmail, incident.ChannelWebhook),
	reflect.TypeFor[incident.Kind]():          texts(incident.Kinds()...),
	reflect.TypeFor[incident.EventType]():     texts(incident.EventTypes()...),
	reflect.TypeFor[chain.Stage]():            texts(chain.Stages()...),
	reflect.TypeFor[chain.Severity]():         texts(chain.Error, chain.Warning, chain.Note),
	reflect.TypeFor[chain.Kind]():             texts(chain.Kinds()...),
	reflect.TypeFor[live.State]():             texts(live.States()...),
	reflect.TypeFor[incident.CauseKind]():     texts(incident.CauseNoneFound, incident.CauseDown, incident.CauseClock, incident.CauseSaid),
}

func texts[S ~string](values ...S) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// about describes fields whose name does not say it all, by the name of the schema
// and of the field.
var about = map[string]string{
	"Incident.slo":               "Empty for unmapped alerts, and where a person declared it without one.",
	"Incident.labels":            "Those of incident_per, with their values.",
	"Incident.audiences":         "Those that its priority informs.",
	"Incident.slo_priority":      "The SLO priority that held at its latest breach.",
	"Incident.started_at":        "The first startsAt of its breaches: since when the trouble lasts.",
	"Incident.ended_at":          "The last endsAt; null while a breach fires or is unknown.",
	"Incident.opened_at":         "When sitrep knew of it; promises count from here.",
	"Incident.drill":             "Every message of a drill says so, and reports count it apart.",
	"Incident.declared":          "By a person: it resolves by hand only.",
	"Incident.previous":          "The earlier incident of the same SLO.",
	"Incident.last_update_at":    "When a message about it last went out.",
	"Incident.next_update_at":    "The earliest time by which a reader is told: as promised or, where that cannot be kept, as it is tried next.",
	"Incident.update_late_since": "The earliest promise to a reader that was broken and is still to be kept. Left out if none was.",
	"Incident.acknowledged_at":   "When somebody was on it for the first time.",
	"Incident.acknowledged_by":   "Who is on it; empty if nobody is.",
	"Incident.released_at":       "Since when nobody is on it any more; null if somebody is, or nobody was yet.",
	"Incident.sequence":          "Of its latest event; it is the ETag, for If-Match.",
	"Action.due_at":              "Null until it resolved, or without limit.",
	"Breach.priority":            "The SLO priority that held when it occurred.",
	"Breach.labels":              "Strangers' text.",
	"Breach.annotations":         "Strangers' text.",
	"Delivery.incident":          "Of a digest, the one of the highest priority; null of a watchdog's.",
	"Delivery.incidents":         "All that it tells of.",
	"Delivery.group":             "Of on_call's, the team.",
	"Delivery.recipient":         "The email address; of a webhook, only scheme and host.",
	"Delivery.promised_at":       "On time means sent by then.",
	"Delivery.held":              "By a quiet time: held, not late.",
	"Delivery.error":             "Why it was not handed over, or not at first.",
	"Delivery.why":               "Of a superseded one, why sitrep gave it up, in a code that error has in words: not_configured, outcome_unknown, told_with_another or told_or_over. There may be more one day.",
	"Event.reason":               "What a person wrote, such as a note; else data.why in words.",
	"EventData.taken_over":       "Of acknowledged: from another who was on it.",
	"EventData.released":         "Of acknowledged: it was given back, and nobody is on it.",
	"EventData.why":              "Why it happened that no person did, in a code that reason has in words: quiet, watchdog_away, unseen, not_listed, listed, mapped, nobody_asked, breach_started, slo_priority, no_action_due or merged. There may be more one day.",
	"EventData.cause":            "Why updates were missed, in words.",
	"EventData.cause_kind":       "The same in a code: nothing explains it, sitrep was down, or cause is what was said when attempts failed.",
	"EventData.down_from":        "Of cause_kind down, since when; of clock_set, what the clock showed before.",
	"EventData.down_to":          "Of cause_kind down, until when.",
	"Event.config":               "The hash of the configuration in force.",
	"Event.data":                 "Just the fields that its type brings.",
	"Priority.rank":              "0 is the highest.",
	"Priority.update_every":      "The cadence, written as in the configuration, such as 2h.",
	"Priority.inform_after":      "How long an incident lasts before its audiences hear of it; empty is at once.",
	"ActionRule.within":          "After resolving, such as 5d; empty is without limit.",
	"CoveragePage.checked_at":    "When they were last looked at; null if they were not yet.",
	"CoveragePage.states":        "How many chains are in each state, as they were found then.",
	"CoveragePage.sources":       "Who was asked.",
	"CoveragePage.findings":      "What is about no SLO alone.",
	"ChainSource.answered_at":    "Null if nothing that it said counts.",
	"ChainSource.error":          "Why it did not answer when it was last asked; empty if it did.",
	"Chain.state":                "That of its worst link.",
	"Chain.links":                "In the order of the way.",
	"Chain.alerts":               "The names of the rules that feed it.",
	"Chain.recipients":           "How many would be told.",
	"Chain.last_incident":        "The latest that an alert of it opened or fired in; null if there is none.",
	"Chain.last_claimed_at":      "When that opened.",
	"Chain.last_told_at":         "When one of the recipients was last handed a message, of whatever incident.",
	"ChainFinding.place":         "Where it can be mended.",
	"UnmappedAlert.incident":     "Null where unmapped alerts open none.",
	"PreviewReader.recipient":    "The email address; of a webhook, only scheme and host.",
	"Preview.later":              "What those read of it with their next message, if they get one, who get none by it.",
	"PreviewMessage.rendered":    "What it says; null if that is not known.",
	"PreviewRendered.audiences":  "Those by which its recipient reads.",
	"PreviewRendered.subject":    "Of a mail.",
	"PreviewRendered.body":       "The JSON that is posted, if no mail says the same; else empty.",
	"PreviewLater.lines":         "None if nothing of it is for them.",
	"Pulse.name":                 "Made of the labels, such as cluster=\"eu\"; empty if there is one pulse.",
	"Pulse.labels":               "Those in watchdog.by.",
	"Canary.posted_at":           "Of the latest run; null if there was none.",
	"Canary.arrived_at":          "When a run last arrived; null if none did.",
	"Canary.took_seconds":        "From the post to the hand-over, of that run.",
	"Canary.failing_since":       "When the first of the runs was posted that failed since; null if the latest did not.",
	"Canary.stage":               "How far the latest run came, if it failed: prometheus, post, route or mail.",
	"Pulse.heard_at":             "Null if it was never heard.",
	"Report.by_month":            "Such as 2026-11.",
	"Report.as_of":               "Of a store that does not run, when it was last written: nothing later is known.",
	"Report.late":                "All messages that were late or missed, by when they were due.",
	"Report.held_priority":       "How long incidents stayed at a priority.",
	"Report.actions":             "Those that are not done.",
	"Report.drills":              "What was left out of all else.",
	"Lateness.recipient":         "The email address; of a webhook, only scheme and host; empty of missed intervals, in which at least one reader of the audience got no message; each counts once for the audience.",
	"Lateness.intervals":         "How many were missed in the time span, due_at being the first.",
	"Lateness.sent_at":           "Null if it was never handed over, or not yet.",
	"Lateness.why":               "One of a few words; cause is what was recorded.",
	"Spread.without":             "How many have no such duration, as it has not come to that.",
	"Tally.held":                 "By a quiet time: held, not late.",
	"Problem.detail":             "What is wrong, and what would be right.",
	"Problem.instance":           "The request, as the log of sitrep names it.",
	"AcknowledgeCommand.release": "Give it back: nobody is on it then. Only who is on it can.",
	"PhaseCommand.escalated_to":  "With phase escalation: to whom.",
	"UpdateCommand.audiences":    "None: all of the incident's.",
	"ActionCommand.link":         "Where to read what was done; that of an action that is not done stays inside.",
	"ActionCommand.reason":       "Needed to waive it.",
	"ResolveCommand.note":        "Needed while breaches fire.",
	"ResolveCommand.message":     "With the message that it is over.",
	"MergeCommand.into":          "Such as INC-41.",
	"DeclareCommand.slo":         "Its id; else use_case, team and priority are needed.",
	"DeclareCommand.priority":    "With an SLO, its own if empty.",
}

// nulls are fields of types that write null themselves.
var nulls = map[string]bool{"Lateness.sent_at": true}

// needed are the fields without which a command is refused, whatever the incident.
var needed = map[string][]string{
	"PriorityCommand": {"priority", "reason"},
	"PhaseCommand":    {"phase"},
	"UpdateCommand":   {"message"},
	"ActionCommand":   {"state"},
	"NoteCommand":     {"text"},
	"ReopenCommand":   {"reason"},
	"MergeCommand":    {"into", "reason"},
	"DeclareCommand":  {"reason"},
	"MailTestCommand": {"to"},
}

// schemas makes JSON Schemas of Go types, those that have a name once.
type schemas struct {
	named map[string]any
	types map[string]reflect.Type
	// suffix is added to the names of types, so that a command and what it changes can
	// have the same.
	suffix string
}

func newSchemas() *schemas {
	return &schemas{named: map[string]any{}, types: map[string]reflect.Type{}}
}

// of returns the schema of values of type t, or a reference to it.
func (s *schemas) of(t reflect.Type) any {
	if t == reflect.TypeFor[time.Time]() {
		return map[string]any{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nullable(s.of(t.Elem()))
	case reflect.String:
		schema := map[string]any{"type": "string"}
		if values := enums[t]; values != nil {
			schema["enum"] = values
		}
		return schema
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return map[string]any{"type": "number", "format": "double"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Interface:
		return map[string]any{}
	case reflect.Struct:
		if t.Name() == "" {
			return s.object("", t)
		}
		name := t.Name() + s.suffix
		if before, ok := s.types[name]; !ok {
			s.types[name] = t
			s.named[name] = s.object(name, t)
		} else if before != t {
			panic(fmt.Sprintf("api: %v and %v would both be the schema %s", before, t, name))
		}
		return reference("schemas", name)
	}
	panic(fmt.Sprintf("api: no schema for %v", t))
}

// object returns the schema of a struct. What is always there is required; an answer
// may grow further fields.
func (s *schemas) object(name string, t reflect.Type) any {
	properties, required := map[string]any{}, []string{}
	for _, f := range fieldsOf(t) {
		key := jsonName(f)
		property := s.of(f.Type)
		if nulls[name+"."+key] {
			property = nullable(property)
		}
		if text := strings.TrimSpace(about[name+"."+key] + " " + readBy(name, key)); text != "" {
			property = described(property, text)
		}
		properties[key] = property
		if !strings.Contains(f.Tag.Get("json"), ",omit") || nulls[name+"."+key] {
			required = append(required, key)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	if s.suffix != "" {
		// Unknown fields of a command are refused, and most may be left out.
		schema["additionalProperties"] = false
		required = needed[name]
	}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// readBy says who reads what is written in a field of a command; empty of all other fields.
func readBy(schema, field string) string {
	name, isCommand := strings.CutSuffix(schema, "Command")
	slug := strings.ToLower(name)
	switch name {
	case "Note", "Update", "Action":
		slug += "s"
	}
	readers, ok := incident.ReadersOf(slug, field)
	if !isCommand || !ok {
		return ""
	}
	return wording.ReadBy(readers)
}

func reference(kind, name string) map[string]any {
	return map[string]any{"$ref": "#/components/" + kind + "/" + name}
}

// nullable returns the schema with null beside it.
func nullable(schema any) any {
	m := schema.(map[string]any)
	if kind, ok := m["type"]; ok {
		m["type"] = []any{kind, "null"}
		return m
	}
	return map[string]any{"oneOf": []any{m, map[string]any{"type": "null"}}}
}

func described(schema any, text string) any {
	schema.(map[string]any)["description"] = text
	return schema
}
