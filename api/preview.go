package api

import (
	"time"

	"sitrep/incident"
)

// A Preview is what a command would bring about.
type Preview struct {
	Joins    []PreviewReader  `json:"joins"`
	Leaves   []PreviewReader  `json:"leaves"`
	Messages []PreviewMessage `json:"messages"`
	// NextUpdateAt is the earliest time by which a reader is told, as promised or, where that
	// cannot be kept, as it is tried next; null if none is.
	NextUpdateAt *time.Time `json:"next_update_at"`
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
}

func previewOf(p *incident.Preview) Preview {
	message := func(m *incident.PlannedReader) PreviewMessage {
		return PreviewMessage{Recipient: m.Recipient.Address, Kind: m.Kind, DueAt: when(m.NextAt())}
	}
	return Preview{forms(p.Joins, previewReader), forms(p.Leaves, previewReader), forms(p.Messages, message), when(p.NextUpdateAt)}
}

func previewReader(r *incident.PlannedReader) PreviewReader {
	return PreviewReader{Recipient: r.Recipient.Address, Group: r.Group, Audience: r.Audience}
}
