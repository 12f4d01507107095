package router

import (
	"context"
	"errors"
	"time"

	"sitrep/incident"
)

// What the error of a sender speaks of, and so what is tried again and what waits. An
// error wraps one of these at most. One that wraps none speaks of the message: it was
// surely not taken for now, is planned anew and tried again, and nothing else waits for
// it.
var (
	// ErrPermanent is final for this message: trying it again is pointless.
	ErrPermanent = errors.New("refused for good")
	// ErrDoubtful is a refusal that is final if the server takes what goes to others, and
	// the fault of the set-up if it refuses all alike.
	ErrDoubtful = errors.New("refused, maybe for good")
	// ErrSetup is a refusal that blames neither the address nor the moment: relaying is
	// denied, the sender is refused. It is tried again soon, as somebody may mend it.
	ErrSetup = errors.New("refused as things are set up")
	// ErrUnknown is an attempt of which nobody knows whether the message was taken. It
	// is repeated with the same id and the same bytes.
	ErrUnknown = errors.New("outcome unknown")
	// ErrReader speaks of the recipient: no message to this one is taken for now. The
	// others of the server do not wait.
	ErrReader = errors.New("the recipient takes nothing for now")
	// ErrServer speaks of the server: there is no connection, no log-in, or it ends all
	// of them. All its recipients wait, and one finds out when it is back.
	ErrServer = errors.New("the server takes nothing for now")
	// ErrRate is a server that asks to be given less. All its recipients wait, and fewer
	// are served at once from then on.
	ErrRate = errors.New("the server asks for less")
)

// LongestRetryAfter bounds what a server may ask for, see Later.
const LongestRetryAfter = time.Hour

// A Later is an error with the time that the other side asked to wait.
type Later struct {
	Wait time.Duration // from the answer on; up to LongestRetryAfter counts
	Err  error
}

func (e *Later) Error() string { return e.Err.Error() }

func (e *Later) Unwrap() error { return e.Err }

// asked returns how long the other side asked to wait, in whole microseconds; 0 if it did not.
func asked(err error) time.Duration {
	var l *Later
	if errors.As(err, &l) {
		return min(max(l.Wait, 0), LongestRetryAfter).Truncate(time.Microsecond)
	}
	return 0
}

// An Envelope is a message ready to go to one recipient.
type Envelope struct {
	// ID is that of the delivery, the same for each attempt.
	ID        string
	Recipient incident.Recipient
	// Body are the bytes that Render made, the same for each attempt.
	Body []byte
	// Urgency orders the envelopes that wait for one server; the lower goes first.
	Urgency incident.Urgency
}

// A Sender carries messages to the recipients of one channel. It keeps nothing, and
// tries again only what its server was too busy for. It is used by several goroutines at
// once.
type Sender interface {
	// Render puts a message into the form of the channel. The same message gives the
	// same bytes.
	Render(m *incident.Message) ([]byte, error)
	// Send makes one attempt, within its own time limits. It calls leased while it waits for
	// its turn and right before a step that cannot be taken back, and gives up if that returns
	// an error, as another replica may have taken over. Errors wrap what they speak of,
	// ErrPermanent and those beside it, and may be a Later; they never name a secret.
	Send(ctx context.Context, e Envelope, leased func(context.Context) error) error
}
