package storage

import (
	"context"
	"time"
)

// A RetentionWriter drops what is over and old.
type RetentionWriter interface {
	// Prune deletes the breaches of incidents that closed before breaches, and the
	// messages of those that closed before messages; a zero time keeps all. The breaches of
	// one that was merged go with those of the one in which it goes on. The message
	// of a digest goes when all its incidents closed before. Breaches without an
	// incident go once nothing was heard of them since breaches. Events and the records of
	// deliveries stay. It deletes up to limit things and returns how many: call it
	// again while that is limit.
	Prune(ctx context.Context, breaches, messages time.Time, limit int) (int, error)
	// Forget drops the names of people and addresses of the incidents that closed before:
	// from their state and their events, from the deliveries about them and no other, with
	// the messages, and from their subscriptions. The same of what was sent about the
	// watchdog before, of configurations that another followed before, of which only the
	// public form is kept, and of refusals and answers from before. What something is
	// still owed to stays for another day. Leaves stay as they are. A zero time forgets
	// nothing. It looks at about limit things; if there are more, call it again.
	Forget(ctx context.Context, before time.Time, limit int) (more bool, err error)
}
