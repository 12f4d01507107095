// Package ledger is a tamper-evident log: a Merkle tree over leaves that are only
// ever appended, and signed heads of it. Who holds one signed head can later prove
// that nothing before it was changed, removed, doubled or moved.
//
// The tree is that of golang.org/x/mod/sumdb/tlog, which is that of RFC 6962:
//
//	leaf hash  = SHA-256(0x00, kind, "\n", bytes)   kind is "event", "config" or "delivery"
//	inner hash = SHA-256(0x01, left, right)
//
// The bytes of a leaf are whatever its owner stored, and are never encoded again. A
// kind holds no line feed, so no two leaves of different kinds hash the same.
//
// A [Checkpoint] is a head, signed as a note of golang.org/x/mod/sumdb/note, in the
// text form that transparency logs share (C2SP tlog-checkpoint). Any tool that reads
// those can verify it with the public key alone.
//
// # Where the hashes are
//
// The engine that stores the leaves stores the hashes too. A [Tree] needs but the
// right edge of what is stored, at most 63 hashes, and says what to store with each
// leaf: its own hash, then those of the subtrees that it completes. In tlog's order
// of stored hashes they follow on each other, so an engine can keep them under the
// leaf's index or under numbers of their own.
//
// # How leaves get their index
//
// An engine with one writer appends to the tree in the transaction that stores the
// leaf. There is no moment in which one is there without the other.
//
// With many writers that would be one lock for all of them. There a writer stores
// its leaf without an index and is done: the leaf is as durable as all else in the
// transaction. A sequencer, of which each replica may run one, calls [Integrate] at
// least once a second, in a transaction that holds the tree's row. It takes leaves
// that have no index, the oldest first, and gives them the next ones. It can lose
// nothing, because it does not remember how far it got: a leaf waits as long as it
// has no index, however late its transaction commits. It gives no index twice, as the
// index, the hashes and the new size are committed together or not at all. If it dies,
// the next one finds the same leaves. Only who wants to be second at the tree's row
// waits; no writer of leaves ever does.
package ledger

import "golang.org/x/mod/sumdb/tlog"

// A Hash is that of a leaf, of a subtree or of the whole tree.
type Hash = tlog.Hash

// Hashes reads stored hashes by their number in tlog's order.
type Hashes = tlog.HashReader

// A HashesFunc is a function that is Hashes.
type HashesFunc = tlog.HashReaderFunc

// A Kind says what a leaf is.
type Kind byte

// The kinds. Their numbers may be stored.
const (
	Event    Kind = 1 // something happened to an incident
	Config   Kind = 2 // a configuration came into force
	Delivery Kind = 3 // a message to a recipient has an outcome
)

var kindNames = [...]string{Event: "event", Config: "config", Delivery: "delivery"}

// String returns the kind's name, which is part of what is hashed.
func (k Kind) String() string {
	if !k.Valid() {
		return "unknown"
	}
	return kindNames[k]
}

// Valid reports whether it is one of the kinds.
func (k Kind) Valid() bool { return k >= Event && k <= Delivery }

// ParseKind returns the kind of that name, and whether there is one.
func ParseKind(name string) (Kind, bool) {
	for k := Event; k <= Delivery; k++ {
		if kindNames[k] == name {
			return k, true
		}
	}
	return 0, false
}

// A Leaf is an entry of the log.
type Leaf struct {
	Kind  Kind
	Bytes []byte
}

// Hash returns the leaf's hash.
func (l Leaf) Hash() Hash { h, _ := l.hash(nil); return h }

// hash is Hash with a buffer to be used again.
func (l Leaf) hash(buffer []byte) (Hash, []byte) {
	buffer = append(buffer[:0], l.Kind.String()...)
	buffer = append(buffer, '\n')
	buffer = append(buffer, l.Bytes...)
	return tlog.RecordHash(buffer), buffer
}
