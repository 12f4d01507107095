package bolt

import (
	"bytes"
	"context"
	"fmt"

	"sitrep/ledger"
	"sitrep/storage"
)

// recordKeySize is how long the keys of all records are that are leaves of the log.
const recordKeySize = 16

// leafHead is how long the kind and the key of the record are, before the hashes.
const leafHead = 1 + recordKeySize

// recordBuckets are where the records of each kind of leaf are.
var recordBuckets = [...]bucketID{ledger.Event: bEvents, ledger.Config: bLoadings, ledger.Delivery: bDeliveryRecords}

func (r *reader) Records(_ context.Context, q storage.RecordQuery) (records []storage.Record, err error) {
	var prefix, from key
	switch q.Kind {
	case ledger.Event:
		prefix = prefix.int(q.Incident)
		from = key(nil).int(q.Incident).int(max(q.After, 0) + 1)
	case ledger.Delivery:
		arrival, err := r.arrival(q.Delivery)
		if err != nil {
			return nil, err
		}
		if arrival == 0 {
			return nil, storage.NotFound("delivery", q.Delivery)
		}
		prefix = prefix.int(arrival)
	}
	err = r.ascend(recordBuckets[q.Kind], prefix, from, func(_, v []byte) (bool, error) {
		record, err := storage.ParseRecord(v)
		records = append(records, record)
		return len(records) != q.Limit, err
	})
	return records, err
}

func (r *reader) RecordsSince(ctx context.Context, after map[int64]int64, limit int) (map[int64][]storage.Record, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	all := make(map[int64][]storage.Record, len(after))
	for number, sequence := range after {
		some, err := r.Records(ctx, storage.RecordQuery{Kind: ledger.Event, Incident: number, After: sequence, Limit: limit})
		if err != nil {
			return nil, err
		}
		if len(some) > 0 {
			all[number] = some
		}
	}
	return all, nil
}

func (r *reader) LogHead(context.Context) (head storage.LogHead, err error) {
	if head.Size, err = r.logSize(); err != nil {
		return head, err
	}
	err = r.descend(bCheckpoints, nil, nil, func(_, v []byte) (bool, error) {
		head.Signed = bytes.Clone(v)
		return false, nil
	})
	return head, err
}

func (r *reader) logSize() (size int64, err error) {
	err = r.descend(bLeaves, nil, nil, func(k, _ []byte) (bool, error) {
		size = intAt(k, 0) + 1
		return false, nil
	})
	return size, err
}

// cutLeaf returns what is stored of a leaf.
func cutLeaf(k, v []byte) (kind ledger.Kind, record, hashes []byte, err error) {
	if len(v) < leafHead || (len(v)-leafHead)%len(ledger.Hash{}) != 0 || !ledger.Kind(v[0]).Valid() {
		return 0, nil, nil, wrong(bLeaves, k, "malformed")
	}
	return ledger.Kind(v[0]), v[1:leafHead], v[leafHead:], nil
}

func (r *reader) Leaves(_ context.Context, from int64, limit int) ([]storage.Leaf, error) {
	var leaves []storage.Leaf
	if limit <= 0 {
		return nil, nil
	}
	err := r.ascend(bLeaves, nil, key(nil).int(max(from, 0)), func(k, v []byte) (bool, error) {
		kind, recordKey, _, err := cutLeaf(k, v)
		if err != nil {
			return false, err
		}
		if intAt(k, 0) != max(from, 0)+int64(len(leaves)) {
			return false, wrong(bLeaves, k, "one before it is missing")
		}
		b, err := r.get(recordBuckets[kind], recordKey)
		if err == nil && b == nil {
			err = wrong(bLeaves, k, "its record is missing")
		}
		if err != nil {
			return false, err
		}
		record, err := storage.ParseRecord(b)
		if err != nil {
			return false, wrong(recordBuckets[kind], recordKey, err.Error())
		}
		leaves = append(leaves, storage.Leaf{Kind: kind, Record: record})
		return len(leaves) < limit, nil
	})
	return leaves, err
}

func (r *reader) ReadHashes(_ context.Context, numbers []int64) ([]ledger.Hash, error) {
	hashes := make([]ledger.Hash, len(numbers))
	for i, number := range numbers {
		index, place := ledger.StoredAt(number)
		k := key(nil).int(index)
		v, err := r.get(bLeaves, k)
		if err == nil && v == nil {
			err = wrong(bLeaves, k, "missing")
		}
		if err != nil {
			return nil, err
		}
		_, _, stored, err := cutLeaf(k, v)
		if err != nil {
			return nil, err
		}
		if at := place * len(hashes[i]); copy(hashes[i][:], stored[min(at, len(stored)):]) != len(hashes[i]) {
			return nil, wrong(bLeaves, k, fmt.Sprintf("hash %d is missing", place))
		}
	}
	return hashes, nil
}

func (r *reader) Checkpoints(_ context.Context, after int64, limit int) ([][]byte, error) {
	var list [][]byte
	if limit <= 0 {
		return nil, nil
	}
	err := r.ascend(bCheckpoints, nil, key(nil).int(max(after, -1)+1), func(_, v []byte) (bool, error) {
		list = append(list, bytes.Clone(v))
		return len(list) < limit, nil
	})
	return list, err
}

func (t *tx) PutCheckpoint(_ context.Context, size int64, signed []byte) error {
	return t.put(bCheckpoints, key(nil).int(size), signed)
}

// putRecord stores a record and makes it the next leaf of the log.
func (t *tx) putRecord(ctx context.Context, kind ledger.Kind, k key, record storage.Record) error {
	if t.tree == nil {
		size, err := t.logSize()
		if err != nil {
			return err
		}
		if t.tree, err = ledger.LoadTree(size, storage.Hashes(ctx, t)); err != nil {
			return err
		}
	}
	record.Index = t.tree.Size()
	t.scrap = storage.AppendRecord(t.scrap[:0], record)
	if err := t.put(recordBuckets[kind], k, t.scrap); err != nil {
		return err
	}
	t.scrap = append(append(t.scrap[:0], byte(kind)), k...)
	for _, h := range t.tree.Append(ledger.Leaf{Kind: kind, Bytes: record.Leaf}) {
		t.scrap = append(t.scrap, h[:]...)
	}
	return t.put(bLeaves, key(make([]byte, 0, 8)).int(record.Index), t.scrap)
}
