package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// VerifyOptions say what a store is verified with.
type VerifyOptions struct {
	// Keys are the public keys that may have signed checkpoints, as ledger.Key.Public
	// gives them. Without any, nobody's signature is checked: then all may be consistent in
	// itself, and anybody can have made it.
	Keys []string
	// Checkpoints are signed ones that were kept elsewhere, such as by a witness. They
	// show what nothing inside the store can: that all of it was replaced by another
	// store, or by an older copy.
	Checkpoints [][]byte
	// Limit is after how many findings it stops; 100 if zero.
	Limit int
	// Progress is told how far it is; nil is fine.
	Progress Progress
}

func (o *VerifyOptions) limit() int {
	if o.Limit <= 0 {
		return 100
	}
	return o.Limit
}

// A Finding is one thing that is not as it was written.
type Finding struct {
	Place string `json:"place"` // such as "leaf 12, event INC-42/3" or "INC-42"
	What  string `json:"what"`
}

func (f Finding) String() string { return f.Place + ": " + f.What }

// A Verification is what came out.
type Verification struct {
	// Leaves are all that have an index, and Signed those that a checkpoint covers.
	Leaves int64 `json:"leaves"`
	Signed int64 `json:"signed"`
	// Waiting are records without an index; they get one within a second.
	Waiting int `json:"waiting,omitempty"`
	// Root is that of the whole log, in base64.
	Root string `json:"root"`
	// SignedAt and SignedRoot are of the checkpoint that covers most; zero if there is
	// none.
	SignedAt    time.Time `json:"signed_at,omitzero"`
	SignedRoot  string    `json:"signed_root,omitempty"`
	Checkpoints int       `json:"checkpoints"`
	// Signers are the keys that signed the checkpoints in the store, in turn.
	Signers    []Signer `json:"signers,omitempty"`
	Incidents  int      `json:"incidents"`
	Events     int      `json:"events"`
	Deliveries int      `json:"deliveries"`
	// Messages are those that are still there, and MessagesGone those that were deleted
	// after their incidents had closed.
	Messages     int `json:"messages"`
	MessagesGone int `json:"messages_gone,omitempty"`
	// Configs are forms of configurations.
	Configs int `json:"configs"`
	// Forgotten are records whose names and addresses were forgotten.
	Forgotten int `json:"forgotten,omitempty"`
	// Findings are what is wrong, the first first; none if all is as it was written.
	Findings []Finding `json:"findings"`
}

// A Signer is a key that signed a part of the log.
type Signer struct {
	// Key is its name and hash, as ledger.KeyID writes them: as the checkpoint says, unless
	// it is Known.
	Key string `json:"key"`
	// To is how many leaves, from the first on, its last checkpoint signed, and At when.
	To int64     `json:"to"`
	At time.Time `json:"at,omitzero"`
	// Known says that its public key was given, and its signatures hold.
	Known bool `json:"known"`
}

// OK reports whether nothing is wrong.
func (v *Verification) OK() bool { return len(v.Findings) == 0 }

func (v *Verification) find(limit int, f Finding) error {
	if v.Findings = append(v.Findings, f); len(v.Findings) >= limit {
		return errEnough
	}
	return nil
}

// errEnough is that there is as much as was wanted.
var errEnough = errors.New("enough was found")

// Verify checks that a store holds what was written, all of it:
//
//   - each leaf of the log is the one whose hash is stored, each stored hash fits, and
//     the roots are those that the checkpoints signed;
//   - no record of an event, a configuration or a delivery is outside the log, and
//     names and addresses beside the leaves are those whose hashes stand in them;
//   - the sequences of an incident's events have no gap, and its state is what its
//     events make of it;
//   - each delivery says what its record says, and is found by its incidents; the message
//     as sent is the one in the record, and there until all its incidents are closed;
//   - each configuration that was in force is there; of one that another followed, the
//     public form is enough.
//
// A store that is in use can be verified too: what comes after the start is left out.
// The error is for what kept it from looking, never for what it found.
func Verify(ctx context.Context, s storage.Store, o VerifyOptions) (Verification, error) {
	v := &verifier{store: s, limit: o.limit(), progress: o.Progress, configs: map[string]string{}, covered: map[int64]int{}, pending: map[int64][]string{}}
	if err := v.verify(ctx, o); err != nil && !errors.Is(err, errEnough) {
		return v.out, fmt.Errorf("verify the store: %w", err)
	}
	return v.out, nil
}

type verifier struct {
	store    storage.Store
	limit    int
	progress Progress
	tally

	// size is how many leaves there were at the start, and most how many a known key
	// signed at once; -1 if none did.
	size, most int64
	logged     [ledger.Delivery + 1]int64 // how many leaves are below size, by kind
	configs    map[string]string          // the hashes that the log names, and those of the public forms
	latest     string                     // of configs, the one in force
	covered    map[int64]int              // how many deliveries are about an incident
	pending    map[int64][]string         // those of them that were pending
}

// A tally is what was counted and found.
type tally struct {
	out      Verification
	seen     [ledger.Delivery + 1]int64 // records of the leaves below size, by kind
	covering []covering                 // of one page
}

// A covering says which incidents a delivery is about.
type covering struct {
	id        string
	pending   bool
	incidents []int64
}

func (v *verifier) verify(ctx context.Context, o VerifyOptions) error {
	checkpoints, err := v.begin(ctx, o)
	if err != nil {
		return err
	}
	if err := v.verifyLog(ctx, checkpoints); err != nil {
		return err
	}
	for _, verify := range []func(context.Context) error{v.verifyIncidents, v.verifyDeliveries, v.verifyConfigs} {
		if err := verify(ctx); err != nil {
			return err
		}
	}
	// What is missing is named by these if nothing else was found.
	for _, look := range []func(context.Context) error{v.findOrphans, v.verifyIndex} {
		if !v.out.OK() {
			return nil
		}
		if err := look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// find notes a finding. The error is errEnough.
func (v *verifier) find(place, format string, args ...any) error {
	return v.out.find(v.limit, Finding{place, fmt.Sprintf(format, args...)})
}

// damage makes a finding of an error that says that the store is damaged, and returns
// other errors as they are.
func (v *verifier) damage(place string, err error) error {
	if errors.Is(err, storage.ErrDamaged) || errors.Is(err, storage.ErrNewer) {
		return v.find(place, "%v", err)
	}
	return err
}

// begin notes how far the log goes, and returns the checkpoints that it has to fit.
func (v *verifier) begin(ctx context.Context, o VerifyOptions) ([]ledger.Checkpoint, error) {
	var checkpoints []ledger.Checkpoint
	v.most = -1
	open := func(place string, signed []byte, own bool) error {
		c, known, err := openCheckpoint(signed, o.Keys)
		if errors.Is(err, ledger.ErrBadKey) {
			return err
		}
		if err != nil || !known && !own && len(o.Keys) > 0 {
			return v.find(place, "%v", cmp.Or(err, ledger.ErrNotSigned))
		}
		if own {
			v.signed(signed, c, known)
		}
		if (known || len(o.Keys) == 0) && c.Size >= v.most {
			v.most, v.out.SignedAt, v.out.SignedRoot = c.Size, c.At, c.Root.String()
		}
		checkpoints = append(checkpoints, c)
		return nil
	}
	for i, signed := range o.Checkpoints {
		if err := open(fmt.Sprintf("given checkpoint %d", i+1), signed, false); err != nil {
			return nil, err
		}
	}
	const page = 1000
	after := int64(-1)
	for first := true; ; first = false {
		list, err := read(ctx, v.store, func(r storage.Snapshot) ([][]byte, error) {
			if first {
				head, err := r.LogHead(ctx)
				if v.size = head.Size; err != nil {
					return nil, err
				}
			}
			return r.Checkpoints(ctx, after, page)
		})
		if err != nil {
			return checkpoints, v.damage("checkpoints", err)
		}
		for _, signed := range list {
			c, err := ledger.ReadCheckpoint(signed)
			if err != nil {
				return checkpoints, v.find("checkpoints", "%v", err)
			}
			after = c.Size
			if c.Size > v.size && !first {
				return checkpoints, nil // signed since the start
			}
			if err := open(fmt.Sprintf("checkpoint of %d leaves", c.Size), signed, true); err != nil {
				return checkpoints, err
			}
		}
		if len(list) < page {
			break
		}
	}
	v.out.Checkpoints = len(checkpoints)
	if len(checkpoints) == 0 && v.out.OK() {
		return nil, v.find("checkpoints", "there is none, so nothing shows that the log is the one that was written")
	}
	return checkpoints, v.findUnknownSigner(o)
}

// openCheckpoint returns a checkpoint, and whether one of the keys signed it. One that
// says that it was signed by another is returned too; one that says that it was by one of
// them, and was not as it stands, is an error.
func openCheckpoint(signed []byte, keys []string) (c ledger.Checkpoint, known bool, err error) {
	c, err = ledger.OpenCheckpoint(signed, keys...)
	if err == nil || !errors.Is(err, ledger.ErrNotSigned) {
		return c, err == nil, err
	}
	signers := ledger.Signers(signed)
	for _, key := range keys {
		if len(signers) == 0 || slices.Contains(signers, ledger.KeyID(key)) {
			return c, false, err
		}
	}
	c, err = ledger.ReadCheckpoint(signed)
	return c, false, err
}

// signed notes who signed a checkpoint of the store.
func (v *verifier) signed(signed []byte, c ledger.Checkpoint, known bool) {
	key := strings.Join(ledger.Signers(signed), ", ")
	if n := len(v.out.Signers); n > 0 && v.out.Signers[n-1].Key == key && v.out.Signers[n-1].Known == known {
		v.out.Signers = v.out.Signers[:n-1]
	}
	v.out.Signers = append(v.out.Signers, Signer{key, c.Size, c.At, known})
}

// findUnknownSigner finds that the end of the log is signed by a key that was not given.
// What one signed that came before a key that was given, that one signed too.
func (v *verifier) findUnknownSigner(o VerifyOptions) error {
	n := len(v.out.Signers)
	if len(o.Keys) == 0 || n == 0 || v.out.Signers[n-1].Known {
		return nil
	}
	last, from := v.out.Signers[n-1], max(v.most, 0)
	return v.find("checkpoints", "leaves %d to %d are signed by the key %s, whose public key was not given", from, last.To-1, last.Key)
}

// verifyLog checks the leaves, the hashes and the roots.
func (v *verifier) verifyLog(ctx context.Context, checkpoints []ledger.Checkpoint) error {
	verified, err := ledger.VerifyLog(ledger.Log{Size: v.size, Leaves: v.leaves(ctx), Hashes: hashesOf(ctx, v.store)}, checkpoints)
	// What another key signed counts for nothing.
	v.out.Leaves, v.out.Signed, v.out.Root = verified.Size, max(min(verified.Signed, v.most), 0), verified.Root.String()
	var m *ledger.Mismatch
	if errors.As(err, &m) {
		place := fmt.Sprintf("leaf %d", m.Index)
		if m.Kind.Valid() {
			if name := v.nameLeaf(ctx, m.Index); name != "" {
				place += ", " + name
			} else {
				place += ", " + m.Kind.String()
			}
		}
		return v.find(place, "%s", m.What)
	}
	return v.damage("log", err)
}

// leavesPage is how many leaves are read at a time.
const leavesPage = 1000

// leaves are those of the log at the start. On the way it looks at what belongs to
// each alone.
func (v *verifier) leaves(ctx context.Context) iter.Seq2[ledger.Leaf, error] {
	return func(yield func(ledger.Leaf, error) bool) {
		for from := int64(0); from < v.size; {
			page, err := read(ctx, v.store, func(r storage.Snapshot) ([]storage.Leaf, error) {
				return r.Leaves(ctx, from, int(min(leavesPage, v.size-from)))
			})
			// What was read before an error counts, so that the first thing wrong is found.
			for i := range page {
				l := &page[i]
				if err := v.leaf(from+int64(i), l); err != nil {
					yield(ledger.Leaf{}, err)
					return
				}
				if !yield(ledger.Leaf{Kind: l.Kind, Bytes: l.Record.Leaf}, nil) {
					return
				}
			}
			if err != nil {
				yield(ledger.Leaf{}, err)
				return
			}
			if len(page) == 0 {
				return
			}
			from += int64(len(page))
			v.progress.tell("leaves", from, v.size)
		}
	}
}

func (v *verifier) leaf(index int64, l *storage.Leaf) error {
	if l.Kind.Valid() {
		v.logged[l.Kind]++
	}
	if l.Record.Index != index {
		return v.find(fmt.Sprintf("leaf %d, %s", index, describe(*l)), "its record says that it is leaf %d", l.Record.Index)
	}
	if l.Kind != ledger.Config {
		return nil
	}
	loading, err := storage.DecodeLoading(l.Record)
	if err != nil {
		return v.find(fmt.Sprintf("leaf %d, config", index), "%v", err)
	}
	v.configs[loading.Hash], v.latest = loading.Public, loading.Hash
	return nil
}

// nameLeaf says which event or delivery a leaf is, as far as it can be read.
func (v *verifier) nameLeaf(ctx context.Context, index int64) string {
	// Without a name the index has to do.
	leaves, err := read(ctx, v.store, func(r storage.Snapshot) ([]storage.Leaf, error) { return r.Leaves(ctx, index, 1) })
	if err != nil || len(leaves) == 0 {
		return ""
	}
	return describe(leaves[0])
}

func describe(l storage.Leaf) string {
	switch l.Kind {
	case ledger.Event:
		if e, err := storage.DecodeEvent(l.Record); err == nil {
			return fmt.Sprintf("event %s/%d", incident.ID(e.Incident), e.Sequence)
		}
	case ledger.Delivery:
		if d, _, err := storage.DecodeDelivery(l.Record); err == nil {
			return fmt.Sprintf("delivery %q", d.ID)
		}
	case ledger.Config:
		if g, err := storage.DecodeLoading(l.Record); err == nil {
			return fmt.Sprintf("config %q", g.Hash)
		}
	}
	return l.Kind.String()
}

// inLog checks that records are the leaves whose indexes they have.
func (v *verifier) inLog(ctx context.Context, r storage.Snapshot, kind ledger.Kind, records []storage.Record, place func(i int) string) error {
	var numbers []int64
	var which []int
	for i := range records {
		if err := records[i].CheckPersonal(); err != nil {
			if err := v.find(place(i), "%v", err); err != nil {
				return err
			}
		}
		if records[i].Forgotten() {
			v.out.Forgotten++
		}
		if records[i].Index < 0 {
			v.out.Waiting++
			continue
		}
		if records[i].Index < v.size {
			v.seen[kind]++
		}
		numbers, which = append(numbers, tlog.StoredHashIndex(0, records[i].Index)), append(which, i)
	}
	if len(numbers) == 0 {
		return nil
	}
	hashes, err := r.ReadHashes(ctx, numbers)
	if err != nil {
		return v.damage(place(which[0]), err)
	}
	for n, i := range which {
		if hashes[n] != (ledger.Leaf{Kind: kind, Bytes: records[i].Leaf}).Hash() {
			if err := v.find(place(i), "it is not leaf %d of the log, as it says", records[i].Index); err != nil {
				return err
			}
		}
	}
	return nil
}

// findOrphans looks for leaves whose record no longer belongs to anything. They are
// there if there are more leaves than records were seen.
func (v *verifier) findOrphans(ctx context.Context) error {
	if v.logged == v.seen {
		return nil
	}
	for from := int64(0); from < v.size; {
		n, err := count(ctx, v, func(r storage.Snapshot) (int, error) {
			leaves, err := r.Leaves(ctx, from, int(min(leavesPage, v.size-from)))
			for i := range leaves {
				if err := orphan(ctx, r, leaves[i]); err != nil {
					return 0, errors.Join(v.find(fmt.Sprintf("leaf %d, %s", from+int64(i), describe(leaves[i])), "%v", err), errEnough)
				}
			}
			return len(leaves), err
		})
		if err != nil {
			return err
		}
		from += max(int64(n), 1)
	}
	return v.find("log", "it has %d events, %d configurations and %d deliveries, and %d, %d and %d are stored",
		v.logged[ledger.Event], v.logged[ledger.Config], v.logged[ledger.Delivery], v.seen[ledger.Event], v.seen[ledger.Config], v.seen[ledger.Delivery])
}

// orphan returns an error if what the leaf is about is not there.
func orphan(ctx context.Context, r storage.Snapshot, l storage.Leaf) error {
	switch l.Kind {
	case ledger.Event:
		e, err := storage.DecodeEvent(l.Record)
		if err != nil {
			return err
		}
		_, err = storage.IncidentOf(ctx, r, e.Incident)
		return err
	case ledger.Delivery:
		d, _, err := storage.DecodeDelivery(l.Record)
		if err != nil {
			return err
		}
		_, err = storage.DeliveryOf(ctx, r, d.ID)
		return err
	}
	return nil
}
