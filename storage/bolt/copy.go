package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

var (
	_ storage.Copyable = (*DB)(nil)
	_ storage.Loader   = (*tx)(nil)
)

// unfinishedKey is the key of meta under which stands how far a copy is, as JSON.
var unfinishedKey = []byte("unfinished_copy")

// errOlder is a store that would be copied and is only read.
var errOlder = errors.New("it is of an earlier build: start sitrep on it once, which brings it up")

// Dump runs fn on a snapshot. The store has to be of the latest form.
func (db *DB) Dump(ctx context.Context, fn func(storage.Dumper) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := db.failure(); err != nil {
		return err
	}
	if db.version < formVersion {
		return fmt.Errorf("read store %q: %w", db.path, errOlder)
	}
	return db.view(func(r *reader) error { return fn(r) })
}

// Load runs fn as Write does.
func (db *DB) Load(ctx context.Context, fn func(storage.Loader) error) error {
	return db.Write(ctx, func(x storage.Tx) error { return fn(x.(*tx)) })
}

// itemBuckets are the buckets that have the items of each kind, in their order; all others are
// made anew of those, but for meta.
var itemBuckets = map[storage.ItemKind]bucketID{
	storage.ItemConfigs: bConfigs, storage.ItemIncidents: bIncidents, storage.ItemAgendas: bAgendas, storage.ItemRecords: bLeaves,
	storage.ItemBreaches: bBreaches, storage.ItemSubscriptions: bSubscriptions, storage.ItemPulses: bPulses, storage.ItemNotices: bNotices,
	storage.ItemDeliveries: bDeliveries, storage.ItemRecipients: bRecipients, storage.ItemUnmapped: bUnmapped, storage.ItemRefusals: bRefusals,
	storage.ItemAmbiguities: bAmbiguities, storage.ItemOutages: bOutages, storage.ItemAnswers: bAnswerTimes, storage.ItemExpired: bClosed,
	storage.ItemCheckpoints: bCheckpoints,
}

func (r *reader) CountItems(context.Context) (map[storage.ItemKind]int64, error) {
	counts := map[storage.ItemKind]int64{}
	for kind, id := range itemBuckets {
		counts[kind] = int64(r.bucket(id).Stats().KeyN)
	}
	return counts, nil
}

func (r *reader) Unfinished(context.Context) (*storage.CopyState, error) {
	var s storage.CopyState
	if found, err := r.getJSON(bMeta, unfinishedKey, &s); err != nil || !found {
		return nil, err
	}
	return &s, nil
}

func (t *tx) PutUnfinished(_ context.Context, s *storage.CopyState) error {
	if s == nil {
		return t.delete(bMeta, unfinishedKey)
	}
	return t.putJSON(bMeta, unfinishedKey, s)
}

func (r *reader) Dump(ctx context.Context, kind storage.ItemKind, cursor string) (page []storage.Item, next string, err error) {
	switch kind {
	case storage.ItemMarks:
		marks, err := r.marks(ctx)
		if marks != nil {
			page = append(page, marks)
		}
		return page, "", err
	case storage.ItemPulses: // few, and in no order in their bucket
		all, err := r.Pulses(ctx)
		for i := range all {
			page = append(page, &storage.PulseItem{Pulse: all[i]})
		}
		return page, "", err
	case storage.ItemNotices:
		all, err := r.Notices(ctx)
		slices.SortFunc(all, func(a, b incident.Notice) int {
			return cmp.Or(cmp.Compare(a.Pulse, b.Pulse), cmp.Compare(a.Recipient, b.Recipient))
		})
		for i := range all {
			page = append(page, &storage.NoticeItem{Notice: all[i]})
		}
		return page, "", err
	}
	id, ok := itemBuckets[kind]
	if !ok {
		return nil, "", fmt.Errorf("dump %q: %w", kind, storage.ErrNewer)
	}
	var from, last key
	if cursor != "" {
		if from, err = hex.DecodeString(cursor); err != nil {
			return nil, "", badCursor(cursor)
		}
		from = from.byte(0) // the first key after it
	}
	size := 0
	err = r.ascend(id, nil, from, func(k, v []byte) (bool, error) {
		full := len(page) >= storage.DumpItems || size >= storage.DumpBytes
		if kind == storage.ItemAnswers && full {
			full = !bytes.Equal(last[:8], k[:8]) // those of one time are ordered below
		}
		if full {
			next = hex.EncodeToString(last)
			return false, nil
		}
		item, n, err := r.item(kind, k, v)
		page, last, size = append(page, item), append(last[:0], k...), size+len(k)+len(v)+n
		return true, err
	})
	if kind == storage.ItemAnswers {
		slices.SortFunc(page, func(a, b storage.Item) int {
			x, y := &a.(*storage.AnswerItem).Answer, &b.(*storage.AnswerItem).Answer
			return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Key, y.Key))
		})
	}
	return page, next, err
}

// item returns what stands under a key of the bucket of a kind, and how many bytes of it stand
// elsewhere.
func (r *reader) item(kind storage.ItemKind, k, v []byte) (item storage.Item, elsewhere int, err error) {
	switch kind {
	case storage.ItemConfigs:
		body, err := unpacked(k, v)
		return &storage.ConfigItem{Config: storage.Config{Hash: string(k[2:]), Body: body}}, len(body) - len(v), err
	case storage.ItemIncidents:
		in, err := decodeIncident(k, v)
		return &storage.IncidentItem{Incident: in}, 0, err
	case storage.ItemAgendas:
		x := new(storage.AgendaItem)
		return x, 0, decode(bAgendas, k, v, &x.Agenda)
	case storage.ItemRecords:
		return r.recordItem(k, v)
	case storage.ItemBreaches:
		b, err := decodeBreach(k, v)
		if err == nil && b.Incident != intAt(k, 0) {
			err = wrong(bBreaches, k, "it is that of "+incident.ID(b.Incident))
		}
		if err != nil {
			return nil, 0, err
		}
		l, found, err := r.latest(b.Fingerprint)
		return &storage.BreachItem{Arrival: intAt(k, 8), Latest: found && bytes.Equal(l.key(), k), Breach: b}, 0, err
	case storage.ItemSubscriptions:
		x := new(storage.SubscriptionItem)
		return x, 0, decode(bSubscriptions, k, v, &x.Subscription)
	case storage.ItemDeliveries:
		x := &storage.DeliveryItem{Arrival: intAt(k, 0)}
		message, err := r.get(bMessages, k)
		if err != nil {
			return nil, 0, err
		}
		x.Message = bytes.Clone(message)
		return x, len(message), decode(bDeliveries, k, v, &x.Delivery)
	case storage.ItemRecipients:
		var p recipient
		err := decode(bRecipients, k, v, &p)
		return &storage.RecipientItem{
			Recipient: string(k), Attempt: p.Attempt, RetryAt: p.RetryAt, ReleasedAt: p.ReleasedAt, Yields: p.Yields, Failures: p.Failures,
			FailingSince: p.FailingSince, LastError: p.LastError, Sent: p.Sent, Openings: p.Openings, Settling: p.Settling,
		}, 0, err
	case storage.ItemUnmapped:
		x := new(storage.UnmappedItem)
		return x, 0, decode(bUnmapped, k, v, &x.Alert)
	case storage.ItemRefusals, storage.ItemAmbiguities:
		var of struct {
			At time.Time `json:"at"`
		}
		err := decode(itemBuckets[kind], k, v, &of)
		return &storage.EntryItem{Journal: kind.JournalOf(), Entry: storage.Entry{At: of.At, Body: bytes.Clone(v)}}, 0, err
	case storage.ItemOutages:
		return &storage.EntryItem{Journal: kind.JournalOf(), Entry: storage.Entry{At: timeAt(k, 0), Body: bytes.Clone(v)}}, 0, nil
	case storage.ItemAnswers:
		x := new(storage.AnswerItem)
		err := r.needJSON(bAnswers, k[8:], &x.Answer)
		return x, len(x.Answer.Body), err
	case storage.ItemExpired:
		return &storage.ExpiredItem{Expired: storage.Expired{What: storage.Expiry(k[0]), Since: timeAt(k, 1), Number: intAt(k, 9), Stage: cutStage(v)}}, 0, nil
	default: // storage.ItemCheckpoints
		return &storage.CheckpointItem{Size: intAt(k, 0), Signed: bytes.Clone(v)}, 0, nil
	}
}

// recordItem returns the record of a leaf.
func (r *reader) recordItem(k, v []byte) (storage.Item, int, error) {
	kind, recordKey, _, err := cutLeaf(k, v)
	if err != nil {
		return nil, 0, err
	}
	b, err := r.get(recordBuckets[kind], recordKey)
	if err == nil && b == nil {
		err = wrong(bLeaves, k, "its record is missing")
	}
	if err != nil {
		return nil, 0, err
	}
	x := &storage.RecordItem{Kind: kind, Of: intAt(recordKey, 0), Count: intAt(recordKey, 8)}
	if kind == ledger.Config {
		x.Of = 0 // its time, which the leaf has
	}
	x.Record, err = storage.ParseRecord(b)
	if err == nil && x.Record.Index != intAt(k, 0) {
		err = wrong(bLeaves, k, fmt.Sprintf("its record says that it is leaf %d", x.Record.Index))
	}
	return x, len(b), err
}

// marks returns what is kept once; nil if all of it is zero.
func (r *reader) marks(ctx context.Context) (*storage.MarksItem, error) {
	m := new(storage.MarksItem)
	var err error
	if m.Alive, err = r.Alive(ctx); err != nil {
		return nil, err
	}
	if m.Generation, err = r.Generation(ctx); err != nil {
		return nil, err
	}
	last, err := r.get(bMeta, forgottenKey)
	if err == nil && last != nil {
		err = r.ascend(bLoadings, nil, nil, func(k, _ []byte) (bool, error) {
			if bytes.Compare(k, last) > 0 {
				return false, nil
			}
			m.Forgotten++
			return true, nil
		})
	}
	if err != nil || *m == (storage.MarksItem{}) {
		return nil, err
	}
	return m, nil
}

func (t *tx) Load(ctx context.Context, page []storage.Item) error {
	for _, item := range page {
		if err := t.loadItem(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) loadItem(ctx context.Context, item storage.Item) error {
	switch x := item.(type) {
	case *storage.ConfigItem:
		return t.put(bConfigs, key(nil).text(x.Config.Hash), packed(x.Config.Body))
	case *storage.IncidentItem:
		_, err := t.keepIncident(&x.Incident)
		return err
	case *storage.AgendaItem:
		return t.PutAgendas(ctx, []incident.Agenda{x.Agenda})
	case *storage.RecordItem:
		return t.loadRecord(ctx, x)
	case *storage.BreachItem:
		return t.loadBreach(x)
	case *storage.SubscriptionItem:
		_, err := t.keepSubscription(&x.Subscription)
		return err
	case *storage.PulseItem:
		return t.PutPulses(ctx, []incident.Pulse{x.Pulse}, nil)
	case *storage.NoticeItem:
		if err := t.putJSON(bNotices, noticeKey(&x.Notice), &x.Notice); err != nil {
			return err
		}
		return t.indexNotice(&x.Notice, time.Time{}, x.Notice.DueAt)
	case *storage.DeliveryItem:
		return t.loadDelivery(x)
	case *storage.RecipientItem:
		return t.changeRecipient(x.Recipient, func(p *recipient) {
			*p = recipient{
				Attempt: x.Attempt, RetryAt: x.RetryAt, ReleasedAt: x.ReleasedAt, Yields: x.Yields, Failures: x.Failures,
				FailingSince: x.FailingSince, LastError: x.LastError, Sent: x.Sent, Openings: x.Openings, Settling: x.Settling,
			}
		})
	case *storage.UnmappedItem:
		return t.PutUnmapped(ctx, []*incident.UnmappedAlert{&x.Alert}, nil)
	case *storage.EntryItem:
		return t.PutJournal(ctx, x.Journal, []storage.Entry{x.Entry})
	case *storage.AnswerItem:
		return t.keepAnswer(&x.Answer)
	case *storage.ExpiredItem:
		return t.NoteExpired(ctx, nil, []storage.Expired{x.Expired})
	case *storage.CheckpointItem:
		return t.PutCheckpoint(ctx, x.Size, x.Signed)
	case *storage.MarksItem:
		return t.loadMarks(x)
	}
	return fmt.Errorf("load a %T: %w", item, storage.ErrNewer)
}

// loadRecord stores the next leaf of the log, and what it is of.
func (t *tx) loadRecord(ctx context.Context, x *storage.RecordItem) error {
	k := key(make([]byte, 0, recordKeySize)).int(x.Of).int(x.Count)
	switch x.Kind {
	case ledger.Event:
		if err := t.loadText(&x.Record); err != nil {
			return err
		}
	case ledger.Config:
		l, err := storage.DecodeLoading(x.Record)
		if err != nil {
			return err
		}
		k = k[:0].time(l.At).int(x.Count)
		if x.Count > t.count(bLoadings) {
			if err := t.setCount(bLoadings, x.Count); err != nil {
				return err
			}
			if err := t.put(bMeta, generationKey, key(nil).int(x.Count).time(l.At).rest(l.Hash)); err != nil {
				return err
			}
		}
	}
	index := x.Record.Index
	if err := t.putRecord(ctx, x.Kind, k, x.Record); err != nil {
		return err
	}
	if is := t.tree.Size() - 1; is != index {
		return fmt.Errorf("load leaf %d: it would be leaf %d: %w", index, is, storage.ErrDamaged)
	}
	return nil
}

// loadText keeps what people wrote in an event for the search.
func (t *tx) loadText(r *storage.Record) error {
	if !mayHaveText(r.Leaf) {
		return nil
	}
	e, err := storage.DecodeEvent(*r)
	if err != nil {
		return err
	}
	return t.putText(&e)
}

// loadBreach stores a breach at its place.
func (t *tx) loadBreach(x *storage.BreachItem) error {
	b := &x.Breach
	p, h := place{b.Incident, x.Arrival}, headOf(b)
	if err := t.putBreachAt(p, h, b); err != nil {
		return err
	}
	if err := t.indexBreach(p, p, breachHead{}, h); err != nil {
		return err
	}
	if x.Arrival > t.count(bBreaches) {
		if err := t.setCount(bBreaches, x.Arrival); err != nil {
			return err
		}
	}
	if x.Latest {
		t.noteLatest(b.Fingerprint, latest{place: p, ordinal: b.Ordinal})
	}
	return nil
}

// loadDelivery stores a delivery at its place.
func (t *tx) loadDelivery(x *storage.DeliveryItem) error {
	d := &x.Delivery
	state, ok := deliveryStates[d.State]
	if !ok {
		return fmt.Errorf("load delivery %q: state %q", d.ID, d.State)
	}
	k := key(nil).int(x.Arrival)
	if err := t.put(bDeliveryIDs, key(nil).text(d.ID), k); err != nil {
		return err
	}
	if err := t.putJSON(bDeliveries, k, d); err != nil {
		return err
	}
	if x.Message != nil {
		if err := t.put(bMessages, k, x.Message); err != nil {
			return err
		}
	}
	if x.Arrival > t.count(bDeliveries) {
		if err := t.setCount(bDeliveries, x.Arrival); err != nil {
			return err
		}
	}
	if err := t.reindexDelivery(x.Arrival, nil, d); err != nil {
		return err
	}
	return t.indexDelivery(x.Arrival, new(incident.Delivery), d, state, false)
}

// loadMarks stores what is kept once. The generation came with the loadings.
func (t *tx) loadMarks(x *storage.MarksItem) error {
	if !x.Alive.IsZero() {
		if err := t.put(bMeta, aliveKey, key(nil).time(x.Alive)); err != nil {
			return err
		}
	}
	if x.Forgotten == 0 {
		return nil
	}
	n, last := int64(0), key(nil)
	err := t.ascend(bLoadings, nil, nil, func(k, _ []byte) (bool, error) {
		n, last = n+1, append(last[:0], k...)
		return n < x.Forgotten, nil
	})
	if err != nil {
		return err
	}
	return t.put(bMeta, forgottenKey, last)
}
