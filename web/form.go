package web

import (
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
	// fits says whether the form makes sense for the incident.
	fits func(*incident.Incident) bool
}

// commands are all of them, in the order in which a page offers them.
var commands = []commandInfo{
	{
		"acknowledge", "Acknowledge", "I am on it", "I am on it", "You acknowledged it.",
		func(url.Values) command.Command { return command.Acknowledge{} },
		func(in *incident.Incident) bool { return in.State == incident.StateOpen && in.AcknowledgedAt.IsZero() },
	},
	{
		"updates", "Write an update", "Preview the update", "Send the update", "The update is written. Who has it stands under Messages.",
		func(v url.Values) command.Command {
			u := command.Update{Message: v.Get("message")}
			for _, a := range v["audience"] {
				u.Audiences = append(u.Audiences, incident.Audience(a))
			}
			return u
		},
		notClosed,
	},
	{
		"priority", "Change the priority", "Preview the change", "Change the priority", "The priority was changed.",
		func(v url.Values) command.Command {
			return command.Priority{Priority: v.Get("priority"), Reason: v.Get("reason")}
		},
		notClosed,
	},
	{
		"phase", "Set the phase", "Preview the phase", "Set the phase", "The phase was set.",
		func(v url.Values) command.Command {
			return command.Phase{Phase: incident.Phase(v.Get("phase")), Note: v.Get("note"), EscalatedTo: v.Get("escalated_to")}
		},
		isOpen,
	},
	{
		"actions", "Complete or waive an action", "Preview the action", "Set the action", "The action was set.",
		func(v url.Values) command.Command {
			return command.Action{Name: v.Get("action"), State: incident.ActionState(v.Get("state")), Link: v.Get("link"), Reason: v.Get("reason")}
		},
		func(in *incident.Incident) bool { return notClosed(in) && len(in.Actions) > 0 },
	},
	{
		"resolve", "Resolve", "Preview resolving", "Resolve the incident", "The incident is resolved.",
		func(v url.Values) command.Command { return command.Resolve{Note: v.Get("note")} },
		isOpen,
	},
	{
		"reopen", "Reopen", "Preview reopening", "Reopen the incident", "The incident is open again.",
		func(v url.Values) command.Command { return command.Reopen{Reason: v.Get("reason")} },
		isResolved,
	},
	{
		"close", "Close", "Preview closing", "Close for good", "The incident is closed.",
		func(v url.Values) command.Command { return command.Close{Note: v.Get("note")} },
		isResolved,
	},
	{
		"merge", "Merge into another", "Preview the merge", "Merge", "The incident was merged.",
		func(v url.Values) command.Command {
			return command.Merge{Into: strings.TrimSpace(v.Get("into")), Reason: v.Get("reason")}
		},
		notClosed,
	},
}

func isOpen(in *incident.Incident) bool     { return in.State == incident.StateOpen }
func isResolved(in *incident.Incident) bool { return in.State == incident.StateResolved }
func notClosed(in *incident.Incident) bool  { return in.State != incident.StateClosed }

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

// Field returns the id of a field, unique on the page.
func (f *form) Field(name string) string { return f.Slug + "-" + name }

// Hidden are all fields as they are filled in, for the preview's form.
func (f *form) Hidden() []label {
	var all []label
	for name, values := range f.values {
		if slices.Contains([]string{"confirm", "back", "key", "seen"}, name) {
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
	}
	choose := func(name, value, text string, byDefault bool) option {
		chosen := slices.Contains(values[name], value)
		if len(values) == 0 {
			chosen = byDefault
		}
		return option{value, text, chosen}
	}
	switch c.Slug {
	case "priority":
		for i := range l.policy.Priorities {
			f.Priorities = append(f.Priorities, infoOf(&l.policy.Priorities[i], l.policy))
		}
	case "updates":
		now := in.Priority
		if q, ok := l.policy.Priority(now.Name); ok {
			now = q
		}
		for _, a := range now.Inform {
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

// forms are those that fit the incident. That of an update stands apart.
func forms(l *layout, in *incident.Incident) (all []form, update *form) {
	for _, c := range commands {
		if !c.fits(in) {
			continue
		}
		f := newForm(c, l, in, nil)
		switch {
		case c.Slug == "updates" && len(f.Audiences) == 0: // it informs nobody
		case c.Slug == "updates":
			update = f
		default:
			all = append(all, *f)
		}
	}
	return all, update
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
