package incident

import "time"

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
	// DeferredUntil is when a change let go what a quiet time held back; zero if none did.
	DeferredUntil time.Time `json:"held_until,omitzero"`
	// DueAt is when the next message is due: news or scheduled; zero if none is.
	DueAt time.Time `json:"due_at,omitzero"`
	// Urgency orders what is due where not all can go at once.
	Urgency Urgency `json:"urgency,omitempty"`
	// CadenceAt is when the next scheduled update is due; zero if none is.
	CadenceAt time.Time `json:"cadence_at,omitzero"`
	// CadenceDeferred is set if CadenceAt is the end of a quiet time that moved it.
	CadenceDeferred bool `json:"cadence_held,omitempty"`
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
	// AnsweredAt is when the Alertmanagers were last asked about all of its breaches, and
	// Unanswered is set if none of them could tell of one that had ended.
	AnsweredAt time.Time `json:"answered_at,omitzero"`
	Unanswered bool      `json:"unanswered,omitempty"`
	// EndsDoubtedAt is set while breaches are unknown as their ends were not believed.
	EndsDoubtedAt time.Time `json:"ends_doubted_at,omitzero"`
	// MailWaits is set once the team was told that mail about the incident does not go out,
	// until some does.
	MailWaits bool `json:"mail_waits,omitempty"`
	// Generation is that of the configuration by which its readers were reconciled last; 0 if
	// none was loaded. Behind is set if the incident changed since under another one, so that
	// who reads along is still to be reconciled.
	Generation int64 `json:"generation,omitempty"`
	Behind     bool  `json:"behind,omitempty"`
}
