package incident

// An Urgency orders the messages that wait to go out where not all can go at once: the
// lower goes first. It is from MostUrgent to LeastUrgent.
type Urgency uint8

// The ends of the scale.
const (
	MostUrgent  Urgency = 0
	LeastUrgent Urgency = 255
)

// reminders is where the urgency of reminders to the team begins.
const reminders Urgency = 128

// UrgencyOf returns how urgent a message is about an incident of a priority: the higher
// the priority the more urgent, of one priority what tells that something began or is
// worse before all else, and reminders last.
func UrgencyOf(k Kind, p Priority) Urgency {
	rank := Urgency(min(max(p.Rank, 0), 31))
	switch k {
	case KindReminder:
		return reminders + rank
	case KindOpened, KindReopened, KindPriority:
		return 2 * rank
	}
	return 2*rank + 1
}

// urgency returns how urgent the reader's next message is.
func (s *Situation) urgency(sub *Subscription, p *Policy) Urgency {
	if sub.DueAt.IsZero() {
		return MostUrgent
	}
	return UrgencyOf(sub.kind(sub.Owed, len(sub.Owed) == 0), s.Incident.priority(p))
}

// IsOpening reports whether the reader's next message is an opening.
func (s *Subscription) IsOpening() bool { return s.kind(s.Owed, len(s.Owed) == 0) == KindOpened }
