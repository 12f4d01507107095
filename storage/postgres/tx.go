package postgres

import (
	"context"
	"errors"

	"sitrep/incident"
	"sitrep/storage"
)

// A reader reads in one transaction.
type reader struct {
	*session
	// unmapped are the bodies of alerts that no SLO claims, by fingerprint, as they were read, and
	// in a write locked; nil if there is none.
	unmapped map[string][]byte
}

var (
	_ storage.Snapshot = (*reader)(nil)
	_ storage.Tx       = (*tx)(nil)
)

func newReader(s *session) *reader { return &reader{session: s, unmapped: map[string][]byte{}} }

// A tx reads and writes in one transaction. What it has locked it remembers as it is now, so
// that it asks for it once: nobody else changes it meanwhile.
type tx struct {
	reader
	alone bool // it holds the generation for itself

	keys       map[string]int64 // latest incidents, by key; 0 if there is none
	incidents  map[int64]*heldIncident
	agendas    map[int64][]byte       // bodies; nil if there is none
	sequences  map[int64]int64        // of the latest events
	breaches   map[string]*heldBreach // the latest, by fingerprint; nil if there is none
	generation *storage.Generation    // in force; nil while it was not asked for
	// last is the latest number, as it is once firstGiven was given, the first of the transaction; given
	// is the latest that NextNumber gave to the function that runs. Zero if it gave none.
	last, firstGiven, given int64

	claims map[string]*heldClaim // by recipients as they are stored
	// subscriptions are bodies of those that are known, by incident and recipient as it is stored;
	// nil of who is no reader.
	subscriptions map[dueKey][]byte

	places
	together *together // that the transaction is shared by; nil if it is not
	// What is to be stored, with all else that is.
	puts        []deliveryPut
	putSubs     map[dueKey]putSub
	putBreaches breachRows
	putTexts    map[int64]string // of incidents, by what they are searched; the rest is in incidents
	putAgendas  map[int64]putAgenda
	putKeys     map[string]int64 // their latest incidents, by name
	counts      map[kind]int64
	highest     int64 // number of an incident that is new; 0 if none is
	flushing    bool
	records     []record // not queued yet
	leaves      bool     // there are, or were, some
}

// A heldIncident is one as the transaction knows it.
type heldIncident struct {
	line
	body []byte
}

// A heldBreach is the latest breach of a fingerprint as the transaction knows it.
type heldBreach struct {
	ordinal, incident int64
	body              []byte
}

// errAlone ends a write that changes the configuration in force, which it has to hold alone from
// the beginning: it is run again so.
var errAlone = errors.New("it is to be run again, alone")

// newTx returns a tx whose first round trip takes the lock of the configuration in force, first
// of all locks: shared by all writes but those that change it.
func newTx(s *session, alone bool) *tx {
	lock := "select pg_advisory_xact_lock_shared($1)"
	if alone {
		lock = "select pg_advisory_xact_lock($1)"
	}
	s.opening = append(s.opening, statement{sql: lock, args: []any{int64(generationLock)}})
	t := &tx{
		reader: reader{session: s, unmapped: map[string][]byte{}}, alone: alone,
		keys: map[string]int64{}, incidents: map[int64]*heldIncident{}, agendas: map[int64][]byte{}, sequences: map[int64]int64{},
		breaches: map[string]*heldBreach{}, claims: map[string]*heldClaim{}, subscriptions: map[dueKey][]byte{},
	}
	s.before = t.flush
	return t
}

// missing returns those of the names, each once, that are not among those known.
func missing[K comparable, V any](asked []K, known map[K]V) []K {
	var all []K
	seen := make(map[K]bool, len(asked))
	for _, k := range asked {
		if _, ok := known[k]; !ok && !seen[k] {
			seen[k] = true
			all = append(all, k)
		}
	}
	return all
}

// flush queues what was put, so that what is asked after it sees that.
func (t *tx) flush(ctx context.Context) error {
	if t.flushing {
		return nil
	}
	t.flushing = true
	defer func() { t.flushing = false }()
	if len(t.puts) > 0 {
		if err := t.putDeliveries(ctx); err != nil {
			return err
		}
		t.putRecords()
	}
	t.queueBreachRows()
	t.queueIncidents()
	t.queueAgendas()
	t.putClaims()
	t.flushSubscriptions()
	return nil
}

// aheadFrom is from how many breaches on those that were put are sent while others are made.
const aheadFrom = 50

// sendAhead sends the most of what was put, if it is much, so that the server stores that while the next
// write of a shared transaction is made.
func (t *tx) sendAhead() {
	if len(t.putBreaches.fingerprints) < aheadFrom {
		return
	}
	t.queueBreachRows()
	t.putRecords()
	t.ahead()
}

// finish queues what is written at the end.
func (t *tx) finish() error {
	if err := t.flush(t.ctx); err != nil {
		return err
	}
	t.putRecords()
	t.moveAll()
	return nil
}

// decodeIncident returns a stored incident.
func decodeIncident(number int64, body []byte) (*incident.Incident, error) {
	in := new(incident.Incident)
	return in, decode(incident.ID(number), body, in)
}
