package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sitrep/ledger"
)

var (
	// ErrUnfinished is a store that is a copy of another and not whole yet.
	ErrUnfinished = errors.New("not a whole copy")
	// ErrOccupied is a store that something is in, where a copy needs an empty one.
	ErrOccupied = errors.New("not empty")
	// ErrInUse is a store that processes have while it would be copied.
	ErrInUse = errors.New("in use")
)

// goneAfter is how long a process that has a store did not say so until it is taken to be gone.
const goneAfter = 2 * time.Minute

const (
	// DumpItems is how many items a page of a dump has at most.
	DumpItems = 1000
	// DumpBytes is how many bytes of items, as they are stored, end a page.
	DumpBytes = 4 << 20
)

// A Copyable is a store of which all that is in it can be copied, item by item. No process may
// use the one that is read, or the one that is written, for anything else meanwhile.
type Copyable interface {
	Store
	// Dump runs fn on a consistent snapshot.
	Dump(ctx context.Context, fn func(Dumper) error) error
	// Load runs fn in a transaction of its own, as Write does.
	Load(ctx context.Context, fn func(Loader) error) error
}

// A Dumper gives what is in a store.
type Dumper interface {
	LogReader
	// Dump returns a page of the items of a kind, in their order, up to [DumpItems] of them and
	// fewer if they have many bytes.
	Dump(ctx context.Context, kind ItemKind, cursor string) (page []Item, next string, err error)
	// CountItems returns about how many items of each kind there are.
	CountItems(ctx context.Context) (map[ItemKind]int64, error)
	// Unfinished returns how far the copy is that the store is; nil if it is none, or a whole one.
	Unfinished(ctx context.Context) (*CopyState, error)
}

// A Loader puts into a store what another has.
type Loader interface {
	Dumper
	// Load stores items of one kind as they are, and makes anew what they are found by. Kinds come in
	// the order of [ItemKinds], and items of each in theirs.
	Load(ctx context.Context, page []Item) error
	// PutUnfinished notes how far the copy is, or with nil that it is whole.
	PutUnfinished(ctx context.Context, s *CopyState) error
}

// A CopyState is how far a copy is. Engines keep it as JSON beside what was copied, and open no store
// that has one for anything but to go on.
type CopyState struct {
	// From and To are what people call the stores, and Source is what the first held when the copy
	// began, as a hash.
	From   string `json:"from"`
	To     string `json:"to"`
	Source string `json:"source"`
	// Kind is what is copied next, from a cursor on; Done is how many items were.
	Kind   ItemKind `json:"kind"`
	Cursor string   `json:"cursor"`
	Done   int64    `json:"done"`
}

// Error returns the error for a store, called to, that is such a copy and is opened.
func (s *CopyState) Error(to string) error {
	return fmt.Errorf("it is a copy of %q that was begun and is not whole: run sitrep storage copy %q %q again, which goes on with it, or delete it: %w", s.From, s.From, to, ErrUnfinished)
}

// CopyOptions are how stores are copied.
type CopyOptions struct {
	// From and To are what people call the stores.
	From, To string
	// Progress is told of each page; nil is fine.
	Progress func(CopyProgress)
}

// CopyProgress is how far a copy is.
type CopyProgress struct {
	// Comparing is set once all was copied and both stores are compared.
	Comparing bool
	Kind      ItemKind
	// Done is how many items were copied, or compared, of about Total.
	Done, Total int64
}

// Copied is what a copy came to.
type Copied struct {
	Items map[ItemKind]int64
	// Resumed is how many items an earlier try had copied.
	Resumed int64
}

// Copy copies all that is in one store to another, which is empty or a copy of the same one that
// was begun, and goes on where that ended. Then it compares both, item by item, and the log with
// each checkpoint: until that is done the other is ErrUnfinished for who opens it. It is
// ErrOccupied if something else is in it, and ErrInUse if a process has the first, or had until
// just now. Both are used by nobody else meanwhile.
func Copy(ctx context.Context, from, to Copyable, o CopyOptions) (Copied, error) {
	if o.Progress == nil {
		o.Progress = func(CopyProgress) {}
	}
	c := &copying{from: from, to: to, CopyOptions: o}
	err := c.unused(ctx)
	if err == nil {
		err = c.begin(ctx)
	}
	if err == nil {
		err = c.copy(ctx)
	}
	if err == nil {
		err = c.compare(ctx)
	}
	if err == nil {
		err = c.save(ctx, nil, nil)
	}
	return c.Copied, err
}

// A copying is a copy that is being made.
type copying struct {
	CopyOptions
	Copied
	from, to Copyable
	state    CopyState // as it is stored
	total    int64
}

// unused makes sure that no process has the store that is copied. Of one that can be opened once
// only, that is so.
func (c *copying) unused(ctx context.Context) error {
	info, err := c.from.Info(ctx)
	if err != nil || !info.Shared {
		return err
	}
	now, err := c.from.Clock(ctx)
	if err != nil {
		return err
	}
	return c.from.Read(ctx, func(r Snapshot) error {
		all, err := r.Replicas(ctx)
		for i := range all {
			if r := &all[i]; now.Sub(r.SeenAt) < goneAfter {
				return fmt.Errorf("copy %q: a sitrep, %s, had it open at %s: stop each that has, and run this two minutes later: %w",
					c.From, r.Instance, r.SeenAt.Format(time.RFC3339), ErrInUse)
			}
		}
		return err
	})
}

// begin finds out where to go on.
func (c *copying) begin(ctx context.Context) error {
	fresh := CopyState{From: c.From, To: c.To, Kind: ItemKinds()[0]}
	err := c.from.Dump(ctx, func(d Dumper) (err error) {
		switch s, err := d.Unfinished(ctx); {
		case err != nil:
			return err
		case s != nil:
			return s.Error(c.From)
		}
		counts, err := d.CountItems(ctx)
		for _, n := range counts {
			c.total += n
		}
		if err == nil {
			fresh.Source, err = sourceOf(ctx, d)
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.to.Load(ctx, func(l Loader) error {
		s, err := l.Unfinished(ctx)
		if err != nil {
			return err
		}
		if s == nil {
			if err := empty(ctx, l); err != nil {
				return fmt.Errorf("copy to %q: %w", c.To, err)
			}
			c.state = fresh
			return l.PutUnfinished(ctx, &fresh)
		}
		if s.Source != fresh.Source {
			return fmt.Errorf("copy to %q: it is a copy that was begun of %q as that was then, and %q is not that, or has changed since: delete the copy, and begin anew: %w", c.To, s.From, c.From, ErrOccupied)
		}
		if !slices.Contains(ItemKinds(), s.Kind) {
			return fmt.Errorf("copy to %q: it was begun: %w", c.To, ErrNewer)
		}
		c.state, c.Resumed = *s, s.Done
		return nil
	})
}

// sourceOf returns a hash of what changes whenever a store is used: its log, when it was last
// known to be in use, and which configuration is in force.
func sourceOf(ctx context.Context, d Dumper) (string, error) {
	head, err := d.LogHead(ctx)
	if err != nil {
		return "", err
	}
	root, err := ledger.RootAt(head.Size, Hashes(ctx, d))
	if err != nil {
		return "", err
	}
	marks, _, err := d.Dump(ctx, ItemMarks, "")
	if err != nil {
		return "", err
	}
	b, err := json.Marshal([]any{head, root, marks})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}

// empty returns an error unless nothing is in a store.
func empty(ctx context.Context, d Dumper) error {
	for _, kind := range ItemKinds() {
		page, _, err := d.Dump(ctx, kind, "")
		if err != nil {
			return err
		}
		if len(page) > 0 {
			return fmt.Errorf("it has %s: name a store that is empty, or not there: %w", kind, ErrOccupied)
		}
	}
	return nil
}

// copy copies what is not copied yet, a page in each transaction.
func (c *copying) copy(ctx context.Context) error {
	kinds := ItemKinds()
	for i := slices.Index(kinds, c.state.Kind); i < len(kinds); i++ {
		for more := true; more; {
			kind := kinds[i]
			page, next, err := dump(ctx, c.from, kind, c.cursor(kind))
			if err != nil {
				return fmt.Errorf("copy %s of %q: %w", kind, c.From, err)
			}
			more = next != ""
			state := c.state
			state.Kind, state.Cursor, state.Done = kind, next, state.Done+int64(len(page))
			if !more && i+1 < len(kinds) {
				state.Kind = kinds[i+1]
			}
			last := !more && i+1 == len(kinds)
			if last {
				state.Cursor = copiedAll
			}
			if err := c.save(ctx, page, &state); err != nil {
				return fmt.Errorf("copy %s to %q: %w", kind, c.To, err)
			}
			c.Progress(CopyProgress{Kind: kind, Done: state.Done, Total: max(c.total, state.Done)})
		}
	}
	return nil
}

// copiedAll is the cursor once nothing of the last kind is left. No engine gives it.
const copiedAll = "end"

// cursor returns from where on a kind is copied.
func (c *copying) cursor(kind ItemKind) string {
	if c.state.Kind == kind {
		return c.state.Cursor
	}
	return ""
}

// save stores a page, and with it how far the copy is then.
func (c *copying) save(ctx context.Context, page []Item, next *CopyState) error {
	err := c.to.Load(ctx, func(l Loader) error {
		s, err := l.Unfinished(ctx)
		if err != nil {
			return err
		}
		if s == nil || *s != c.state {
			return fmt.Errorf("another process copies to it: %w", ErrLost)
		}
		if len(page) > 0 {
			if err := l.Load(ctx, page); err != nil {
				return err
			}
		}
		return l.PutUnfinished(ctx, next)
	})
	if err == nil && next != nil {
		c.state = *next
	}
	return err
}

// dump returns a page of a store, each in a snapshot of its own, as one that is held for long
// may cost an engine much.
func dump(ctx context.Context, s Copyable, kind ItemKind, cursor string) (page []Item, next string, err error) {
	if cursor == copiedAll {
		return nil, "", nil
	}
	err = s.Dump(ctx, func(d Dumper) error {
		page, next, err = d.Dump(ctx, kind, cursor)
		return err
	})
	return page, next, err
}

// compare makes sure that both stores have the same, and that the log is what was signed.
func (c *copying) compare(ctx context.Context) error {
	c.Items = map[ItemKind]int64{}
	done := int64(0)
	for _, kind := range ItemKinds() {
		a, b := &walk{store: c.from, kind: kind}, &walk{store: c.to, kind: kind}
		for {
			x, err := a.next(ctx)
			if err != nil {
				return fmt.Errorf("compare %s of %q: %w", kind, c.From, err)
			}
			y, err := b.next(ctx)
			if err != nil {
				return fmt.Errorf("compare %s of %q: %w", kind, c.To, err)
			}
			if x == nil && y == nil {
				break
			}
			done++
			c.Items[kind]++
			if x == nil || y == nil || !sameItem(x, y) {
				return fmt.Errorf("%s: number %d in %q is not what it is in %q: did something use one of them meanwhile, or is a disk or the memory of this machine not sound? delete the copy, and begin anew: %w",
					kind, c.Items[kind], c.To, c.From, ErrDamaged)
			}
			if len(a.page) == 0 {
				c.Progress(CopyProgress{Comparing: true, Kind: kind, Done: done, Total: c.state.Done})
			}
		}
	}
	return c.to.Dump(ctx, func(d Dumper) error {
		if err := checkSigned(ctx, d); err != nil {
			return fmt.Errorf("the ledger of %q: %w", c.To, err)
		}
		return nil
	})
}

// checkSigned makes sure that the log begins with what each checkpoint says.
func checkSigned(ctx context.Context, r LogReader) error {
	head, err := r.LogHead(ctx)
	if err != nil {
		return err
	}
	for after := int64(-1); ; {
		page, err := r.Checkpoints(ctx, after, DumpItems)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, signed := range page {
			c, err := checkHead(ctx, r, LogHead{Size: head.Size, Signed: signed})
			if err != nil {
				return err
			}
			after = c.Size
		}
	}
}

// A walk goes through the items of a kind.
type walk struct {
	store   Copyable
	kind    ItemKind
	page    []Item
	cursor  string
	started bool
}

// next returns the next item, nil if there is none.
func (w *walk) next(ctx context.Context) (Item, error) {
	for len(w.page) == 0 {
		if w.started && w.cursor == "" {
			return nil, nil
		}
		var err error
		if w.page, w.cursor, err = dump(ctx, w.store, w.kind, w.cursor); err != nil {
			return nil, err
		}
		w.started = true
	}
	item := w.page[0]
	w.page = w.page[1:]
	return item, nil
}
