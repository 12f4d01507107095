package bolt

import (
	"bytes"
	"context"
	"time"

	"sitrep/storage"
)

// answerKept is how long an answer is kept, and answerSweep how many that are older are deleted
// with each new one.
const (
	answerKept  = 24 * time.Hour
	answerSweep = 16
)

// journals are the buckets of the journals.
var journals = map[storage.Journal]bucketID{
	storage.JournalRefusals: bRefusals, storage.JournalAmbiguities: bAmbiguities, storage.JournalOutages: bOutages,
}

func (r *reader) Journal(_ context.Context, j storage.Journal, limit int) (all [][]byte, err error) {
	err = r.descend(journals[j], nil, nil, func(_, v []byte) (bool, error) {
		if len(all) == limit {
			return false, nil
		}
		all = append(all, bytes.Clone(v))
		return true, nil
	})
	return all, err
}

func (t *tx) PutJournal(_ context.Context, j storage.Journal, entries []storage.Entry) error {
	id := journals[j]
	if j == storage.JournalOutages {
		for _, e := range entries {
			if err := t.put(id, key(nil).time(e.At), e.Body); err != nil {
				return err
			}
		}
		return nil
	}
	for _, e := range entries[max(0, len(entries)-storage.JournalKept):] {
		count, err := t.next(id)
		if err != nil {
			return err
		}
		if count > storage.JournalKept {
			if err := t.delete(id, key(nil).int(count-storage.JournalKept)); err != nil {
				return err
			}
		}
		if err := t.put(id, key(nil).int(count), e.Body); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) Answer(_ context.Context, name string) (storage.Answer, error) {
	var a storage.Answer
	found, err := r.getJSON(bAnswers, key(nil).text(name), &a)
	if err == nil && !found {
		err = storage.NotFound("answer to", name)
	}
	return a, err
}

func (t *tx) PutAnswer(_ context.Context, a storage.Answer) error {
	k := key(nil).text(a.Key)
	var old storage.Answer
	found, err := t.getJSON(bAnswers, k, &old)
	if err != nil {
		return err
	}
	if found {
		if err := t.delete(bAnswerTimes, append(key(nil).time(old.At), k...)); err != nil {
			return err
		}
	}
	if _, err := t.sweepAnswers(a.At.Add(-answerKept), answerSweep); err != nil {
		return err
	}
	return t.keepAnswer(&a)
}

// keepAnswer stores an answer to a key that has none.
func (t *tx) keepAnswer(a *storage.Answer) error {
	k := key(nil).text(a.Key)
	if err := t.putJSON(bAnswers, k, a); err != nil {
		return err
	}
	return t.put(bAnswerTimes, append(key(nil).time(a.At), k...), nil)
}

// sweepAnswers deletes up to limit answers from before a time, and returns how many.
func (t *tx) sweepAnswers(before time.Time, limit int) (int, error) {
	old, err := t.keys(bAnswerTimes, limit, func(k, _ []byte) (bool, error) { return timeAt(k, 0).Before(before), nil })
	if err != nil {
		return 0, err
	}
	for _, k := range old {
		if err := t.delete(bAnswerTimes, k); err != nil {
			return 0, err
		}
		if err := t.delete(bAnswers, k[8:]); err != nil {
			return 0, err
		}
	}
	return len(old), nil
}
