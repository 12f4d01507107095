package routertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/router"
)

// A Mail is one attempt to bring a message to a reader.
type Mail struct {
	incident.Message        // as it was rendered last
	To               string // the reader's name, as in incidenttest.Mail, or the URL of a webhook
	Body             string
	Began            time.Time
	Taken            time.Time // zero if it was not
}

// A Behaviour says what becomes of an attempt: nil is that the message is taken. It may
// sleep, and is called by several goroutines at once.
type Behaviour func(m *Mail) error

var (
	// ErrDown is what a mail server that is away leads to.
	ErrDown = fmt.Errorf("dial: the mail server is down: %w", router.ErrServer)
	// ErrTaken is returned by a Behaviour for a message that is taken, while the answer is
	// lost, so that sitrep does not know.
	ErrTaken = errors.New("taken, and the answer is lost")
)

// Refuse refuses with that error what goes to those readers, or to all if none is named.
func Refuse(err error, readers ...string) Behaviour {
	return func(m *Mail) error {
		if len(readers) == 0 || slices.Contains(readers, m.To) {
			return err
		}
		return nil
	}
}

// Stall takes all, but needs so long for what goes to those readers, or to all if
// none is named.
func Stall(d time.Duration, readers ...string) Behaviour {
	return func(m *Mail) error {
		if len(readers) == 0 || slices.Contains(readers, m.To) {
			time.Sleep(d)
		}
		return nil
	}
}

// Lie takes what goes to those readers, or to all if none is named, and lets sitrep believe that
// it may be lost.
func Lie(readers ...string) Behaviour { return Refuse(ErrTaken, readers...) }

// mailboxes are the far ends of all channels. They remember.
type mailboxes struct {
	mu       sync.Mutex
	behave   Behaviour
	rendered map[string]incident.Message // last, by id
	begun    []*Mail
	taken    []Mail
}

func (b *mailboxes) Render(m *incident.Message) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rendered[m.ID] = *m
	type item struct {
		Kind     incident.Kind
		Incident string
		Sequence int64
		NextBy   time.Time
	}
	var items []item
	for _, i := range m.Items {
		items = append(items, item{i.Kind, i.Incident.ID(), i.Incident.Sequence, i.NextBy})
	}
	return json.Marshal(map[string]any{"id": m.ID, "kind": m.Kind, "at": m.At, "items": items})
}

func (b *mailboxes) Send(ctx context.Context, e router.Envelope, leased func(context.Context) error) error {
	b.mu.Lock()
	m := &Mail{Message: b.rendered[e.ID], To: strings.TrimSuffix(e.Recipient.Address, "@example.org"), Body: string(e.Body), Began: time.Now()}
	m.ID = e.ID
	b.begun = append(b.begun, m)
	behave := b.behave
	b.mu.Unlock()
	if err := leased(ctx); err != nil {
		return err
	}
	var err error
	if behave != nil {
		err = behave(m)
	}
	if err != nil && !errors.Is(err, ErrTaken) {
		return err
	}
	if err := leased(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m.Taken = time.Now()
	b.taken = append(b.taken, *m)
	if err != nil {
		return router.ErrUnknown
	}
	return nil
}

// Behave lets the mailboxes behave like that from now on; nil is to take all at once. Any goroutine may call it.
func (w *World) Behave(b Behaviour) {
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	w.mail.behave = b
}

// SendBy puts another sender in the place of the mailboxes; nil brings those back.
func (w *World) SendBy(s router.Sender) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sender = s; s == nil {
		w.sender = w.mail
	}
}

// Mails returns those that were taken since it was called last, in that order.
func (w *World) Mails() []Mail {
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	all := w.mail.taken
	w.mail.taken = nil
	return all
}

// Attempts returns those that began since it was called last, in that order, of the readers that are
// named; of all if none is.
func (w *World) Attempts(readers ...string) []Mail {
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	var all []Mail
	for _, m := range w.mail.begun {
		if len(readers) == 0 || slices.Contains(readers, m.To) {
			all = append(all, *m)
		}
	}
	w.mail.begun = nil
	return all
}

// Expect checks which mails were taken since the last time, in any order, each as
// "reader kind", and returns them.
func (w *World) Expect(want ...string) []Mail {
	w.t.Helper()
	mails := w.Mails()
	var got []string
	for _, m := range mails {
		got = append(got, fmt.Sprintf("%s %s", m.To, m.Kind))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("at %s taken %q, want %q", time.Now().UTC().Format(time.DateTime), got, want)
	}
	return mails
}

// ExpectAttempts checks that a reader was brought one message that many times since Attempts was
// called last, always with the same bytes.
func (w *World) ExpectAttempts(n int, reader string) {
	w.t.Helper()
	all := w.Attempts(reader)
	if len(all) != n || slices.ContainsFunc(all, func(m Mail) bool { return m.ID != all[0].ID || m.Body != all[0].Body }) {
		w.t.Errorf("attempts %+v, want %d of one message", all, n)
	}
}
