package router

import (
	"context"
	"errors"

	"sitrep/incident"
)

// What a sender's error means for the message. Every other error is an attempt
// that surely failed: the message is planned anew, and tried again.
var (
	// ErrPermanent is final for this message: trying it again is pointless.
	ErrPermanent = errors.New("refused for good")
	// ErrUnknown is an attempt of which nobody knows whether the message was taken. It
	// is repeated with the same id and the same bytes.
	ErrUnknown = errors.New("outcome unknown")
)

// An Envelope is a message ready to go to one recipient.
type Envelope struct {
	// ID is that of the delivery, the same for each attempt.
	ID        string
	Recipient incident.Recipient
	// Rank is that of the priority which the message is about, 0 the highest: where
	// messages wait for one server, the lower goes first.
	Rank int
	// Body are the bytes that Render made, the same for each attempt.
	Body []byte
}

// A Sender carries messages to the recipients of one channel. It keeps nothing, and
// tries again only what its server was too busy for. It is used by several goroutines at
// once.
type Sender interface {
	// Render puts a message into the form of the channel. The same message gives the
	// same bytes.
	Render(m *incident.Message) ([]byte, error)
	// Send makes one attempt, within its own time limits. It calls hold while it waits for
	// its turn and right before a step that cannot be taken back, and gives up if that returns
	// an error, as another replica may have taken over. Errors wrap ErrPermanent or ErrUnknown, or
	// mean that the message was surely not taken; they never name a secret.
	Send(ctx context.Context, e Envelope, hold func(context.Context) error) error
}
