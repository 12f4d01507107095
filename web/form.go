package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sitrep/incident"
	"sitrep/internal/command"
	"sitrep/internal/httperr"
	"sitrep/wording"
)

// A commandInfo is something that a person can do to an incident by a form.
type commandInfo struct {
	Slug   string // the last part of its address
	Title  string
	Button string // of the form; it leads to the preview
	Do     string // of the preview; it does it
	Done   string // what is said then
	parse  func(url.Values) command.Command
	// fits says whether the form makes sense for the incident and the person who sees it.
	fits func(*incident.Incident, incident.Actor) bool
	// path is the last part of the address in the API, if it is another than Slug.
	path string
	// direct is set if it is done without a preview, as the form itself says all.
	direct bool
}

// command returns the last part of its address in the API.
func (c *commandInfo) command() string { return cmp.Or(c.path, c.Slug) }

// commands are all of them, in the order in which a page offers them.
var commands = []commandInfo{
	{
		Slug: "acknowledge", Title: "Acknowledge", Button: "I am on it", Do: "I am on it", Done: "You are on it.", direct: true,
		parse: func(url.Values) command.Command { return command.Acknowledge{} },
		fits: func(in *incident.Incident, who incident.Actor) bool {
			return in.State == incident.StateOpen && !isOnIt(in, who)
		},
	},
	{
		Slug: "release", Title: "Give it back", Button: "I am no longer on it", Do: "I am no longer on it", Done: "You gave it back: nobody is on it.", direct: true,
		parse: func(url.Values) command.Command { return command.Acknowledge{Release: true} },
		fits: func(in *incident.Incident, who incident.Actor) bool {
			return in.State == incident.StateOpen && isOnIt(in, who)
		},
		path: "acknowledge",
	},
	{
		Slug: "updates", Title: "Write an update", Button: "Preview the update", Do: "Send the update", Done: "The update is written. Who has it stands under Messages.",
		parse: func(v url.Values) command.Command {
			u := command.Update{Message: v.Get("message")}
			for _, a := range v["audience"] {
				u.Audiences = append(u.Audiences, incident.Audience(a))
			}
			return u
		},
		fits: notClosed,
	},
	{
		Slug: "notes", Title: "Write a note", Button: "Keep the note", Do: "Keep the note", Done: "The note is kept.", direct: true,
		parse: func(v url.Values) command.Command { return command.Note{Text: v.Get("text")} },
		fits:  notClosed,
	},
	{
		Slug: "priority", Title: "Change the priority", Button: "Preview the change", Do: "Change the priority", Done: "The priority was changed.",
		parse: func(v url.Values) command.Command {
			return command.Priority{Priority: v.Get("priority"), Reason: v.Get("reason")}
		},
		fits: notClosed,
	},
	{
		Slug: "phase", Title: "Set the phase", Button: "Preview the phase", Do: "Set the phase", Done: "The phase was set.",
		parse: func(v url.Values) command.Command {
			return command.Phase{Phase: incident.Phase(v.Get("phase")), Note: v.Get("note"), EscalatedTo: v.Get("escalated_to")}
		},
		fits: isOpen,
	},
	{
		Slug: "actions", Title: "Complete or waive an action", Button: "Preview the action", Do: "Set the action", Done: "The action was set.",
		parse: func(v url.Values) command.Command {
			return command.Action{Name: v.Get("action"), State: incident.ActionState(v.Get("state")), Link: v.Get("link"), Reason: v.Get("reason")}
		},
		fits: func(in *incident.Incident, who incident.Actor) bool { return notClosed(in, who) && len(in.Actions) > 0 },
	},
	{
		Slug: "resolve", Title: "Resolve", Button: "Preview resolving", Do: "Resolve the incident", Done: "The incident is resolved.",
		parse: func(v url.Values) command.Command {
			return command.Resolve{Note: v.Get("note"), Message: v.Get("message")}
		},
		fits: isOpen,
	},
	{
		Slug: "reopen", Title: "Reopen", Button: "Preview reopening", Do: "Reopen the incident", Done: "The incident is open again.",
		parse: func(v url.Values) command.Command { return command.Reopen{Reason: v.Get("reason")} },
		fits:  isResolved,
	},
	{
		Slug: "close", Title: "Close", Button: "Preview closing", Do: "Close for good", Done: "The incident is closed.",
		parse: func(v url.Values) command.Command { return command.Close{Note: v.Get("note")} },
		fits:  isResolved,
	},
	{
		Slug: "merge", Title: "Merge into another", Button: "Preview the merge", Do: "Merge", Done: "The incident was merged.",
		parse: func(v url.Values) command.Command {
			return command.Merge{Into: strings.TrimSpace(v.Get("into")), Reason: v.Get("reason")}
		},
		fits: notClosed,
	},
}

// isOnIt reports whether the person is on it.
func isOnIt(in *incident.Incident, who incident.Actor) bool {
	return in.OnIt() && in.AcknowledgedBy == string(who)
}

func isOpen(in *incident.Incident, _ incident.Actor) bool { return in.State == incident.StateOpen }

func isResolved(in *incident.Incident, _ incident.Actor) bool {
	return in.State == incident.StateResolved
}

func notClosed(in *incident.Incident, _ incident.Actor) bool {
	return in.State != incident.StateClosed
}

// doneText is what a page says after a command.
func doneText(slug string) string {
	for _, c := range commands {
		if c.Slug == slug {
			return c.Done
		}
	}
	if slug == "declare" {
		return "The incident is open."
	}
	return ""
}

// A form is the form of a command, as it is filled in.
type form struct {
	Slug, Title, Button string
	Action              string // where it goes, below sitrep's own address
	ID                  string // of the incident
	Seen                int64
	Root                string
	Error               string
	values              url.Values
	command             string              // the last part of its address in the API
	informs             []incident.Audience // by the priority that the incident has
	Direct              bool                // it is done without a preview
	OnIt                string              // who is, if it is another

	Priorities []priorityInfo
	Now        string // the priority that it has
	Audiences  []option
	Phases     []option
	Actions    []string
	States     []option
	Firing     int
	Declared   bool
	Others     []option // incidents to merge into
	Written    bool     // somebody wrote an update before
}

// An option is a value to choose.
type option struct {
	Value, Text string
	Chosen      bool
}

// Get returns what a field is filled with.
func (f *form) Get(name string) string { return f.values.Get(name) }

// Reads says who reads what is written in a field.
func (f *form) Reads(name string) string {
	readers, _ := incident.ReadersOf(f.command, name)
	if name != "message" {
		return wording.ReadBy(readers) // who joins or leaves by it reads it, too
	}
	return wording.ReadBy(readers, f.informs...)
}

// Informs reports whether the incident's priority informs anybody.
func (f *form) Informs() bool { return len(f.informs) > 0 }

// Field returns the id of a field, unique on the page.
func (f *form) Field(name string) string { return f.Slug + "-" + name }

// Hidden are all fields as they are filled in, for the preview's form.
func (f *form) Hidden() []label {
	var all []label
	for name, values := range f.values {
		if slices.Contains([]string{"confirm", "back", "show", "key", "seen"}, name) {
			continue
		}
		for _, v := range values {
			all = append(all, label{name, v})
		}
	}
	slices.SortStableFunc(all, func(a, b label) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// newForm returns the form of a command, filled with values.
func newForm(c commandInfo, l *layout, in *incident.Incident, values url.Values) *form {
	f := &form{
		Slug: c.Slug, Title: c.Title, Button: c.Button, Action: "incidents/" + in.ID() + "/" + c.Slug,
		ID: in.ID(), Seen: in.Sequence, Root: l.Root, values: values, Now: in.Priority.Name,
		Firing: in.Breaches.Firing, Declared: in.Declared, Written: len(in.Words) > 0,
		command: c.command(), Direct: c.direct, informs: in.Priority.Inform,
	}
	if now, ok := l.policy.Priority(in.Priority.Name); ok {
		f.informs = now.Inform
	}
	choose := func(name, value, text string, byDefault bool) option {
		chosen := slices.Contains(values[name], value)
		if len(values) == 0 {
			chosen = byDefault
		}
		return option{value, text, chosen}
	}
	switch c.Slug {
	case "acknowledge":
		if in.OnIt() {
			f.OnIt, f.Title, f.Button = wording.OnIt(in, l.clock), "Take it over", "I am on it now"
		}
	case "priority":
		for i := range l.policy.Priorities {
			f.Priorities = append(f.Priorities, infoOf(&l.policy.Priorities[i], l.policy))
		}
	case "updates":
		for _, a := range f.informs {
			f.Audiences = append(f.Audiences, choose("audience", string(a), wording.AudienceName(a), true))
		}
	case "phase":
		for _, p := range []incident.Phase{incident.PhaseInitialDiagnosis, incident.PhaseEscalation, incident.PhaseInvestigation, incident.PhaseRecovery} {
			f.Phases = append(f.Phases, choose("phase", string(p), wording.PhaseName(p), p == in.Phase))
		}
	case "actions":
		for _, a := range in.Actions {
			f.Actions = append(f.Actions, a.Name)
		}
		f.States = []option{choose("state", "done", "done", true), choose("state", "waived", "waived, with a reason", false), choose("state", "due", "still due", false)}
	}
	return f
}

// forms are those that fit the incident. That of an update stands apart, and so does that which
// says who is on it.
func forms(l *layout, in *incident.Incident) (all []form, update, onIt *form) {
	for _, c := range commands {
		if !c.fits(in, l.actor) {
			continue
		}
		f := newForm(c, l, in, nil)
		switch {
		case c.command() == "acknowledge":
			onIt = f
		case c.Slug == "updates" && len(f.Audiences) == 0: // it informs nobody
		case c.Slug == "updates":
			update = f
		default:
			all = append(all, *f)
		}
	}
	return all, update, onIt
}

// maxForm is the size of a form in bytes: a text, each character escaped.
const maxForm = 128 << 10

// readForm returns the fields of a form, and the sequence that the person saw, 0 if
// the form does not say.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, int64, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	var tooLarge *http.MaxBytesError
	if err := r.ParseForm(); errors.As(err, &tooLarge) {
		return nil, 0, err
	} else if err != nil {
		return nil, 0, httperr.Wrap(http.StatusBadRequest, "the form cannot be read; open its page again and send it from there", err)
	}
	seen, err := strconv.ParseInt(r.PostForm.Get("seen"), 10, 64)
	if err != nil || seen < 1 {
		seen = 0
	}
	return r.PostForm, seen, nil
}
