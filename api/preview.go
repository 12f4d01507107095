package api

import (
	"time"

	"sitrep/incident"
	"sitrep/internal/command"
)

// A Preview is what a command would bring about.
type Preview struct {
	Joins    []PreviewReader  `json:"joins"`
	Leaves   []PreviewReader  `json:"leaves"`
	Messages []PreviewMessage `json:"messages"`
	// NextUpdateAt is the earliest time by which a reader is told, as promised or, where that
	// cannot be kept, as it is tried next; null if none is.
	NextUpdateAt *time.Time `json:"next_update_at"`
	// Later is what those read of it with their next message who get none by it.
	Later []PreviewLater `json:"later"`
}

// A PreviewReader is one who would join or leave. Recipient is the address; of a
// webhook, only scheme and host.
type PreviewReader struct {
	Recipient string            `json:"recipient"`
	Group     string            `json:"group"`
	Audience  incident.Audience `json:"audience"`
}

// A PreviewMessage is one that would be sent.
type PreviewMessage struct {
	Recipient string        `json:"recipient"`
	Kind      incident.Kind `json:"kind"`
	DueAt     *time.Time    `json:"due_at"`
	// Rendered is what it says; null if that is not known.
	Rendered *PreviewRendered `json:"rendered"`
}

// A PreviewRendered is a message as it goes out. Where some differ only in the name of a
// group or in the channel, one stands for all of them.
type PreviewRendered struct {
	Audiences []incident.Audience `json:"audiences"` // those by which the recipient reads
	Subject   string              `json:"subject"`   // of a mail
	Text      string              `json:"text"`      // in plain text
	Body      string              `json:"body"`      // the JSON that is posted, if no mail says the same
}

// A PreviewLater is what readers are told with the next message that they get.
type PreviewLater struct {
	Audiences []incident.Audience `json:"audiences"`
	Lines     []string            `json:"lines"` // none if nothing of it is for them
}

func previewOf(p *command.Preview) Preview {
	rendered := forms(p.Rendered, func(r *command.Rendered) *PreviewRendered {
		return &PreviewRendered{notNil(r.Audiences), r.Subject, r.Text, string(r.JSON)}
	})
	messages := forms(p.Messages, func(m *incident.PlannedReader) PreviewMessage {
		return PreviewMessage{Recipient: m.Recipient.Address, Kind: m.Kind, DueAt: when(m.NextAt())}
	})
	for i, n := range p.Shown {
		if n >= 0 {
			messages[i].Rendered = rendered[n]
		}
	}
	later := forms(p.Later, func(l *command.Later) PreviewLater { return PreviewLater{l.Audiences, notNil(l.Lines)} })
	return Preview{forms(p.Joins, previewReader), forms(p.Leaves, previewReader), messages, when(p.NextUpdateAt), later}
}

func previewReader(r *incident.PlannedReader) PreviewReader {
	return PreviewReader{Recipient: r.Recipient.Address, Group: r.Group, Audience: r.Audience}
}
