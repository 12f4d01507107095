package incident

import "time"

// A Reason is why a message is owed.
type Reason string

// The reasons.
const (
	DueOpened        Reason = "opened"           // it opened, and the reader is told from the start
	DueJoined        Reason = "joined"           // the reader joins an incident that others know
	DueCadence       Reason = "cadence"          // the priority's interval is over
	DueWritten       Reason = "written"          // a person wrote an update
	DuePriority      Reason = "priority_changed" // it was raised or lowered
	DueLeft          Reason = "left"             // the reader no longer belongs to an audience
	DueMerged        Reason = "merged"           // the reader is told of the incident that goes on instead
	DueResolved      Reason = "resolved"         // it is over
	DueReopened      Reason = "reopened"         // it is back
	DueUnfed         Reason = "unfed"            // a scheduled update is near, and no person has written (on_call)
	DueActionOverdue Reason = "action_overdue"   // (on_call)
	DueAllUnknown    Reason = "all_unknown"      // nobody knows whether it still fires (on_call)
	DueStillFiring   Reason = "still_firing"     // resolved by hand, and breaches fire (on_call)
	DueUndeliverable Reason = "undeliverable"    // an opening failed for good (on_call)
	DuePaused        Reason = "paused"           // scheduled updates pause; the last one says so
	DueMoved         Reason = "moved"            // the promised update comes later, as a quiet time is new
	DueWatchdogAway  Reason = "watchdog_away"
	DueWatchdogBack  Reason = "watchdog_back"
	DueHeard         Reason = "heard" // a breach was heard while all were unknown
)

// Owed is one thing that a reader is to be told.
type Owed struct {
	Kind   Kind   `json:"kind"`
	Reason Reason `json:"reason"`
	// At is when it became owed.
	At time.Time `json:"at"`
	// Detail is for DueUnfed the due time, for DueActionOverdue the action, for
	// DueUndeliverable the address, of an opening whether it was refused before, else empty.
	Detail string `json:"detail,omitempty"`
}

// A Subscription is a reader of an incident: a recipient who is, or was, owed
// messages about it.
type Subscription struct {
	Incident  int64  `json:"incident"`
	Recipient string `json:"recipient"`
	// Reader numbers the readers of an incident, from 1, in the order in which they became
	// that.
	Reader int `json:"reader,omitempty"`
	// Audiences and Groups are those by which it reads: in the order of the constants,
	// and in file order. On_call's group is the team. Kept when the reader leaves.
	Audiences []Audience `json:"audiences"`
	Groups    []string   `json:"groups"`
	// Active is set while the reader belongs to an audience of the incident.
	Active bool `json:"active"`
	// Told is set from the first message that was handed over until a farewell.
	Told         bool      `json:"told"`
	ToldSequence int64     `json:"told_sequence"`
	ToldPriority string    `json:"told_priority,omitempty"`
	ToldAt       time.Time `json:"told_at,omitzero"`
	// Owed are the news; a scheduled update is owed by DueAt alone.
	Owed []Owed `json:"owed,omitempty"`
	// WaitUntil is when inform_after is over; zero when it is, or does not apply.
	WaitUntil time.Time `json:"wait_until,omitzero"`
	// HeldUntil is when a change let go what a quiet time held back; zero if none did.
	HeldUntil time.Time `json:"held_until,omitzero"`
	// DueAt is when the next message is due: news or scheduled; zero if none is.
	DueAt time.Time `json:"due_at,omitzero"`
	// CadenceAt is when the next scheduled update is due; zero if none is.
	CadenceAt time.Time `json:"cadence_at,omitzero"`
	// CadenceHeld is set if CadenceAt is the end of a quiet time that moved it.
	CadenceHeld bool `json:"cadence_held,omitempty"`
	// NextBy is the promise that the last message made; zero if it made none.
	NextBy time.Time `json:"next_by,omitzero"`
}

// Forget drops who the reader was; their number stands for them.
func (s *Subscription) Forget() { s.Recipient, s.Owed = forgottenReader(s.Reader), nil }

// Forgotten reports whether it was forgotten who the reader was.
func (s *Subscription) Forgotten() bool { return s.Recipient == forgottenReader(s.Reader) }

// An Agenda is what the scheduler keeps about an incident beside its history:
// when to look at it next, and what it did already. Losing it costs a reminder
// twice, never an update.
type Agenda struct {
	Incident int64 `json:"incident"`
	// NextAt is when the rules have something to decide without news; zero for never.
	NextAt time.Time `json:"next_at,omitzero"`
	// RemindedFor is the latest scheduled update that on_call was reminded of.
	RemindedFor time.Time `json:"reminded_for,omitzero"`
	// RemindedActions are the overdue actions that on_call was reminded of.
	RemindedActions []string `json:"reminded_actions,omitempty"`
	// RemindedUnknown is the UnknownSince that on_call was reminded of.
	RemindedUnknown time.Time `json:"reminded_unknown,omitzero"`
	// PausedFor is the UnknownSince for which scheduled updates pause.
	PausedFor time.Time `json:"paused_for,omitzero"`
	// RemindedFiringAt is when on_call was last reminded that a resolved incident's
	// breaches still fire.
	RemindedFiringAt time.Time `json:"reminded_firing_at,omitzero"`
	// MissedFor is, for each audience, the due time of the last missed update that
	// became an event.
	MissedFor map[Audience]time.Time `json:"missed_for,omitempty"`
	// LastHeardAt is when a breach of the incident was last repeated, up to a quarter
	// of unknown_after ago.
	LastHeardAt time.Time `json:"last_heard_at,omitzero"`
}
