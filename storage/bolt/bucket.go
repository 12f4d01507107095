package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	// As encoding/json, in half the time.
	"github.com/go-json-experiment/json/v1"
	"go.etcd.io/bbolt"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// A bucketID is a bucket of the file.
type bucketID int

// The buckets: what is in them, by which key. Numbers and times are 8 bytes in
// order; a text before something else has its length before it.
const (
	bMeta  bucketID = iota // name → various
	bFresh                 // what goes to the other buckets later

	bIncidents      // number → JSON
	bIncidentTexts  // number, sequence → what people wrote then; of sequence 0, line and text
	bIncidentIndex  // by what, that, state, priority, number → nothing
	bIncidentCounts // state, drill, priority, team → how many there are
	bIncidentKeys   // key → number of the latest that is no drill
	bClosed         // what is over, since, number → how far it is forgotten

	bEvents // number, sequence → record

	bBreaches       // number, arrival → breach
	bBreachRecent   // what was noted last of where latest breaches are, and the list of runs
	bBreachRuns     // run, part → where latest breaches are
	bBreachLatest   // of an older form: fingerprint → ordinal and place of its latest breach
	bBreachesSilent // quiet since, number, arrival → nothing
	bBreachesToAsk  // ask at, number, arrival → nothing

	bAgendas    // number → JSON
	bAgendasDue // next at, number → nothing

	bSubscriptions // number, recipient → JSON
	bDue           // due at, number, recipient → nothing
	bRecipientDue  // of an older form: recipient, due at, number → urgency
	bUrgent        // recipient, urgency, due at, number → nothing
	bRecipients    // recipient → JSON
	bQueue         // next at, recipient → nothing

	bPulses           // name → JSON
	bNotices          // pulse, recipient → JSON
	bNoticesDue       // due at, pulse, recipient → nothing
	bRecipientNotices // recipient, due at, pulse → nothing

	bDeliveries        // arrival → JSON
	bDeliveryIDs       // id → arrival
	bDeliveryIncidents // number, arrival → nothing
	bDeliveryStates    // state, arrival → nothing
	bDeliveryIndex     // by what, that, due at, arrival → nothing
	bDeliveriesPending // recipient, created at, arrival → what it holds back until when
	bDeliveryRecords   // arrival, count → record
	bMessages          // arrival → bytes as sent
	bUnmapped          // fingerprint → JSON
	bConfigs           // hash → body
	bLoadings          // at, count → record
	bRefusals          // count → JSON
	bAmbiguities       // count → JSON
	bOutages           // from → JSON
	bAnswers           // key → JSON
	bAnswerTimes       // at, key → nothing
	bLeaves            // index in the log → kind, key of the record, hashes
	bCheckpoints       // size of the log → signed head
	bucketCount
)

var bucketNames = [bucketCount]string{
	bMeta: "meta", bFresh: "fresh", bIncidents: "incidents",
	bIncidentTexts: "incident_texts", bIncidentIndex: "incident_index", bIncidentCounts: "incident_counts",
	bIncidentKeys: "incident_keys", bClosed: "closed", bEvents: "events", bBreaches: "breaches",
	bBreachRecent: "breach_recent", bBreachRuns: "breach_runs", bBreachLatest: "breach_latest", bBreachesSilent: "breaches_silent", bBreachesToAsk: "breaches_doubted",
	bAgendas: "agendas", bAgendasDue: "agendas_due",
	bSubscriptions: "subscriptions", bDue: "due", bRecipientDue: "recipient_due", bUrgent: "recipient_urgent", bRecipients: "recipients", bQueue: "queue",
	bPulses: "pulses", bNotices: "notices", bNoticesDue: "notices_due", bRecipientNotices: "recipient_notices",
	bDeliveries: "deliveries", bDeliveryIDs: "delivery_ids", bDeliveryIncidents: "delivery_incidents",
	bDeliveryStates: "delivery_states", bDeliveryIndex: "delivery_index", bDeliveriesPending: "deliveries_pending", bDeliveryRecords: "delivery_records",
	bMessages: "messages", bUnmapped: "unmapped", bConfigs: "configs", bLoadings: "loadings", bRefusals: "refusals",
	bAmbiguities: "ambiguities", bOutages: "outages", bAnswers: "answers", bAnswerTimes: "answer_times",
	bLeaves: "leaves", bCheckpoints: "checkpoints",
}

// addedIn is the version of the form that brought a bucket, of those that the first did
// not have.
var addedIn = [bucketCount]uint32{
	bPulses: 3, bNotices: 3, bNoticesDue: 3, bRecipientNotices: 3,
	bIncidentTexts: 4, bIncidentIndex: 4, bIncidentCounts: 4,
	bBreachRecent: 5, bBreachRuns: 5,
	bDeliveryIndex: 6,
	bUrgent:        7,
	bFresh:         9,
}

// droppedIn is the version of the form that no longer has a bucket, of those that it once had.
var droppedIn = [bucketCount]uint32{bBreachLatest: 5, bRecipientDue: 7}

// in reports whether stores of a version of the form have a bucket.
func (id bucketID) in(version uint32) bool {
	return version >= addedIn[id] && (droppedIn[id] == 0 || version < droppedIn[id])
}

// appended are the buckets whose keys come in order, so that their pages can be
// filled up.
var appended = [bucketCount]bool{
	bEvents: true, bBreaches: true, bBreachesSilent: true, bDeliveries: true, bDeliveryIncidents: true,
	bDeliveryRecords: true, bMessages: true, bIncidents: true, bIncidentTexts: true,
	bLeaves: true, bBreachRuns: true,
}

// rare are the buckets that are looked into with each post, and in which most have nothing.
var rare = [bucketCount]bool{
	bUnmapped: true, bPulses: true, bNotices: true, bBreachesToAsk: true, bAnswers: true, bAnswerTimes: true,
}

// A reader reads in one transaction. Of an older store that is only read, buckets that
// it does not have yet are empty.
type reader struct {
	tx      *bbolt.Tx
	version uint32 // of the stored form
	buckets [bucketCount]*bbolt.Bucket
	empty   [bucketCount]tristate      // of those that are rare
	filters *filters                   // what other readers of the file read, too; may be nil
	decoded *decoded                   // the same; may be nil
	known   *latestIndex               // see index
	cursors [bucketCount]*bbolt.Cursor // of get
	spare   [bucketCount]*bbolt.Cursor // of ascend and descend, which may be within each other
	pending map[string]latest          // what the transaction noted, by the keys of fingerprints
	fresh   *fresh                     // what is to go to the buckets; nil if nothing is
	// incidents and agendas are what a write has of them in its file, decoded: the functions of
	// one group mostly change the same few. It is nil where nothing is written. Those who get a
	// copy write to no map and no slice in it.
	incidents map[int64]incident.Incident
	agendas   map[int64]incident.Agenda
	digests   *digests // once there was one
	// recipients are those that the transaction changed, and did not store yet, by id.
	recipients map[string]*changed
}

var _ storage.Snapshot = (*reader)(nil)

func newReader(btx *bbolt.Tx, version uint32) *reader { return &reader{tx: btx, version: version} }

// A tristate is false or true, or not known.
type tristate byte

const (
	unknown tristate = iota
	no
	yes
)

// nothing reports whether there is surely nothing in a bucket. It is asked of those that are
// rare alone, as of the others it would only cost.
func (r *reader) nothing(id bucketID) bool {
	if !rare[id] {
		return false
	}
	if r.empty[id] == unknown {
		r.empty[id] = yes
		if r.bucket(id) != nil {
			c := r.cursor(id)
			if k, _ := c.First(); k != nil {
				r.empty[id] = no
			}
		}
	}
	return r.empty[id] == yes
}

func (r *reader) bucket(id bucketID) *bbolt.Bucket {
	b := r.buckets[id]
	if b == nil {
		if addedIn[id] > r.version { // it may be there, and not be whole
			return nil
		}
		if b = r.tx.Bucket([]byte(bucketNames[id])); b == nil {
			return nil
		}
		if appended[id] {
			b.FillPercent = 0.95
		}
		r.buckets[id] = b
	}
	return b
}

// A tx reads and writes in one transaction.
type tx struct {
	reader
	writes int // how many values were put or deleted
	bytes  int // how many bytes of them
	slab   []byte
	slabs  *slabs
	scrap  []byte            // for encoding
	tree   *ledger.Tree      // of the log; nil until a leaf is added
	given  int64             // the latest number that NextNumber gave to the function that runs
	keeps  bool              // what changes is fresh
	dirty  bool              // what is fresh changed
	owns   [bucketCount]bool // of what is fresh, what is no longer that of the commit before
}

var _ storage.Tx = (*tx)(nil)

func newTx(btx *bbolt.Tx) *tx {
	return &tx{reader: reader{tx: btx, version: formVersion, incidents: map[int64]incident.Incident{}, agendas: map[int64]incident.Agenda{}}}
}

// slabSize is how many bytes are allocated at once for what is put, and slabsKept how many
// times that is kept for the next transaction.
const (
	slabSize  = 64 << 10
	slabsKept = 16
)

// slabs are those of one writer, whose transactions come one after the other.
type slabs struct {
	all  [][]byte
	used int
}

// next returns one that the transaction does not use.
func (s *slabs) next() []byte {
	if s == nil {
		return make([]byte, slabSize)
	}
	if s.used == len(s.all) {
		b := make([]byte, slabSize)
		if len(s.all) == slabsKept {
			return b
		}
		s.all = append(s.all, b)
	}
	s.used++
	return s.all[s.used-1]
}

// castagnoli is the polynomial that processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumSize is how long the checksum before each value is.
const sumSize = 4

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, value)
}

// checked returns the value in what is stored, after a look at its checksum.
func checked(id bucketID, key, stored []byte) ([]byte, error) {
	if len(stored) < sumSize || binary.BigEndian.Uint32(stored) != checksum(key, stored[sumSize:]) {
		return nil, fmt.Errorf("read %s %x: wrong checksum: %w", bucketNames[id], key, storage.ErrDamaged)
	}
	return stored[sumSize:], nil
}

// get returns a value, nil if there is none. It is valid until the transaction ends
// and must not be changed.
func (r *reader) get(id bucketID, key []byte) ([]byte, error) {
	if r.nothing(id) {
		return nil, nil
	}
	if all := r.changes(id); len(all) > 0 {
		if i, found := find(all, key); found {
			if all[i].stored == nil {
				return nil, nil
			}
			return checked(id, key, all[i].stored)
		}
	}
	b := r.bucket(id)
	if b == nil {
		return nil, nil
	}
	c := r.cursors[id] // one for all, as Bucket.Get makes a new one each time
	if c == nil {
		c = b.Cursor()
		r.cursors[id] = c
	}
	k, stored := c.Seek(key)
	if !bytes.Equal(k, key) {
		return nil, nil
	}
	return checked(id, key, stored)
}

// getJSON reads a value into v and reports whether there is one.
func (r *reader) getJSON(id bucketID, key []byte, v any) (bool, error) {
	b, err := r.get(id, key)
	if b == nil || err != nil {
		return false, err
	}
	return true, decode(id, key, b, v)
}

func decode(id bucketID, key, value []byte, v any) error {
	if err := json.Unmarshal(value, v); err != nil {
		return fmt.Errorf("read %s %x: %w: %w", bucketNames[id], key, err, storage.ErrDamaged)
	}
	return nil
}

// needJSON is getJSON of a value that has to be there.
func (r *reader) needJSON(id bucketID, key []byte, v any) error {
	found, err := r.getJSON(id, key, v)
	if err == nil && !found {
		err = fmt.Errorf("read %s %x: missing: %w", bucketNames[id], key, storage.ErrDamaged)
	}
	return err
}

// keys returns the first keys of a bucket, up to limit, while take returns true for them.
func (r *reader) keys(id bucketID, limit int, take func(k, v []byte) (bool, error)) (keys []key, err error) {
	err = r.ascend(id, nil, nil, func(k, v []byte) (bool, error) {
		if len(keys) >= limit {
			return false, nil
		}
		taken, err := take(k, v)
		if taken {
			keys = append(keys, bytes.Clone(k))
		}
		return taken, err
	})
	return keys, err
}

// alloc returns n bytes that stay as they are until the transaction ends.
func (t *tx) alloc(n int) []byte {
	if n > len(t.slab) {
		if n > 16<<10 {
			return make([]byte, n)
		}
		t.slab = t.slabs.next()
	}
	b := t.slab[:n:n]
	t.slab = t.slab[n:]
	return b
}

// put stores a value under a checksum. Neither key nor value is kept.
func (t *tx) put(id bucketID, key, value []byte) error {
	size := sumSize + len(value)
	t.forget(id, key)
	t.empty[id] = no
	t.writes++
	t.bytes += len(key) + size
	if t.isFresh(id, len(key)+size) {
		both := append(make([]byte, 0, len(key)+size), key...)
		t.keep(id, change{key: both[:len(key):len(key)], stored: seal(both[len(key):len(key)+size], key, value)})
		return nil
	}
	t.leave(id, key)
	if err := t.bucket(id).Put(key, seal(t.alloc(size), key, value)); err != nil {
		return fmt.Errorf("put %s: %w", bucketNames[id], err)
	}
	return nil
}

// seal makes a value, under its checksum, of as many bytes as that takes.
func seal(stored, key, value []byte) []byte {
	binary.BigEndian.PutUint32(stored, checksum(key, value))
	copy(stored[sumSize:], value)
	return stored
}

// putJSON stores v as JSON.
func (t *tx) putJSON(id bucketID, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("put %s: %w", bucketNames[id], err)
	}
	return t.put(id, key, b)
}

// delete removes a value; it is no error if there is none.
func (t *tx) delete(id bucketID, key []byte) error {
	if t.nothing(id) {
		return nil
	}
	t.forget(id, key)
	t.writes++
	t.bytes += len(key)
	if t.isFresh(id, len(key)) {
		t.keep(id, change{key: bytes.Clone(key)})
		return nil
	}
	t.leave(id, key)
	if err := t.bucket(id).Delete(key); err != nil {
		return fmt.Errorf("delete from %s: %w", bucketNames[id], err)
	}
	return nil
}

// forget drops what is kept decoded of a value that changes.
func (t *tx) forget(id bucketID, key []byte) {
	switch id {
	case bIncidents:
		delete(t.incidents, intAt(key, 0))
	case bAgendas:
		delete(t.agendas, intAt(key, 0))
	}
}

// move keeps what is found by a time that may change: in an index under what key returns, if
// it is not zero. The same time with the same value, as nil always is, is no change.
func (t *tx) move(id bucketID, was, is time.Time, key func(time.Time) key, value []byte) error {
	if was.Equal(is) && value == nil {
		return nil
	}
	if !was.IsZero() {
		if err := t.delete(id, key(was)); err != nil {
			return err
		}
	}
	if is.IsZero() {
		return nil
	}
	return t.put(id, key(is), value)
}

// next returns the next number of a bucket's own count, from 1.
func (t *tx) next(id bucketID) (int64, error) {
	n := t.count(id) + 1
	return n, t.setCount(id, n)
}

// ascend calls fn for each key that begins with prefix, in order, from the key from
// on if that is later, while fn returns true. fn must not write to the bucket.
func (r *reader) ascend(id bucketID, prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	if r.nothing(id) {
		return nil
	}
	if r.bucket(id) == nil {
		return nil
	}
	c := r.cursor(id)
	defer r.done(id, &c)
	start := prefix
	if bytes.Compare(from, start) > 0 {
		start = from
	}
	for k, v := c.Seek(start); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		value, err := checked(id, k, v)
		if err != nil {
			return err
		}
		if more, err := fn(k, value); err != nil || !more {
			return err
		}
	}
	return nil
}

// descend calls fn for each key that begins with prefix, from the last back, only for
// keys below the key below if that is not nil, while fn returns true.
func (r *reader) descend(id bucketID, prefix, below []byte, fn func(key, value []byte) (bool, error)) error {
	if r.bucket(id) == nil {
		return nil
	}
	c := r.cursor(id)
	defer r.done(id, &c)
	if below == nil {
		below = after(prefix)
	}
	var k, v []byte
	if below == nil {
		k, v = c.Last()
	} else if k, _ = c.Seek(below); k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	for ; k != nil && bytes.HasPrefix(k, prefix); k, v = c.Prev() {
		value, err := checked(id, k, v)
		if err != nil {
			return err
		}
		if more, err := fn(k, value); err != nil || !more {
			return err
		}
	}
	return nil
}

// after returns the first key after all that begin with prefix, nil if there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			b := bytes.Clone(prefix[:i+1])
			b[i]++
			return b
		}
	}
	return nil
}

// A key is made piece by piece.
type key []byte

func (k key) int(n int64) key { return binary.BigEndian.AppendUint64(k.room(), uint64(n)) }

// room gives a key that has nothing yet the room that most need.
func (k key) room() key {
	if k == nil {
		return make(key, 0, 64)
	}
	return k
}

// time appends a time in whole microseconds, so that earlier times come first.
func (k key) time(t time.Time) key {
	return binary.BigEndian.AppendUint64(k.room(), uint64(t.UnixMicro())^1<<63)
}

func (k key) byte(b byte) key { return append(k.room(), b) }

// text appends a text with its length, so that something can follow. A long one is
// replaced by its hash.
func (k key) text(s string) key {
	if len(s) > longText {
		sum := sha256.Sum256([]byte(s))
		k = binary.BigEndian.AppendUint16(k, hashedText)
		return append(k, sum[:]...)
	}
	k = binary.BigEndian.AppendUint16(k.room(), uint16(len(s)))
	return append(k, s...)
}

// rest appends a text as it is; nothing may follow.
func (k key) rest(s string) key { return append(k, s...) }

const (
	// longText is how long a text may be to stand in a key.
	longText = 1024
	// hashedText stands in the place of the length of a longer one.
	hashedText = 0xffff
)

func intAt(k []byte, at int) int64 { return int64(binary.BigEndian.Uint64(k[at:])) }

func timeAt(k []byte, at int) time.Time {
	return time.UnixMicro(int64(binary.BigEndian.Uint64(k[at:]) ^ 1<<63)).UTC()
}

// checkLimit returns an error for a page that has no room.
func checkLimit(limit int) error {
	if limit < 1 {
		return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("the limit is %d; it is at least 1", limit)}
	}
	return nil
}

// badCursor is the error for a cursor that did not come from a page before.
func badCursor(cursor string) error {
	return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("the cursor %q is not one that a page named as next", cursor)}
}
