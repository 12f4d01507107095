package bolt

import (
	"context"
	"time"

	"sitrep/storage"
)

const (
	// journalKept is how many refusals and ambiguities are kept.
	journalKept = 100
	// answerKept is how long an answer is kept, and answerSweep how many that are older
	// are deleted with each new one.
	answerKept  = 24 * time.Hour
	answerSweep = 16
)

var aliveKey = []byte("alive")

func (r *reader) Refusals(_ context.Context) ([]storage.Refusal, error) {
	return journal[storage.Refusal](r, bRefusals)
}

func (t *tx) PutRefusal(_ context.Context, f storage.Refusal) error {
	return t.putJournal(bRefusals, f)
}

func (r *reader) Ambiguities(_ context.Context) ([]storage.Ambiguity, error) {
	return journal[storage.Ambiguity](r, bAmbiguities)
}

func (t *tx) PutAmbiguities(_ context.Context, all []storage.Ambiguity) error {
	for _, a := range all[max(0, len(all)-journalKept):] {
		if err := t.putJournal(bAmbiguities, a); err != nil {
			return err
		}
	}
	return nil
}

// journal returns all that a bucket with a count has, the latest first.
func journal[T any](r *reader, id bucketID) ([]T, error) {
	var all []T
	err := r.descend(id, nil, nil, func(k, v []byte) (bool, error) {
		var one T
		err := decode(id, k, v, &one)
		all = append(all, one)
		return true, err
	})
	return all, err
}

func (t *tx) putJournal(id bucketID, v any) error {
	count, err := t.next(id)
	if err != nil {
		return err
	}
	if count > journalKept {
		if err := t.delete(id, key(nil).int(count-journalKept)); err != nil {
			return err
		}
	}
	return t.putJSON(id, key(nil).int(count), v)
}

func (r *reader) Alive(_ context.Context) (time.Time, error) {
	b, err := r.get(bMeta, aliveKey)
	if b == nil || err != nil {
		return time.Time{}, err
	}
	return timeAt(b, 0), nil
}

func (t *tx) PutAlive(_ context.Context, at time.Time) error {
	return t.put(bMeta, aliveKey, key(nil).time(at))
}

func (r *reader) Outages(_ context.Context, limit int) ([]storage.Outage, error) {
	var all []storage.Outage
	err := r.descend(bOutages, nil, nil, func(k, v []byte) (bool, error) {
		if len(all) == limit {
			return false, nil
		}
		var o storage.Outage
		err := decode(bOutages, k, v, &o)
		all = append(all, o)
		return true, err
	})
	return all, err
}

func (t *tx) PutOutage(_ context.Context, o storage.Outage) error {
	return t.putJSON(bOutages, key(nil).time(o.From), o)
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
	if err := t.putJSON(bAnswers, k, a); err != nil {
		return err
	}
	return t.put(bAnswerTimes, append(key(nil).time(a.At), k...), nil)
}

// sweepAnswers deletes up to limit answers from before a time, and returns how many.
func (t *tx) sweepAnswers(before time.Time, limit int) (int, error) {
	var old []key
	err := t.ascend(bAnswerTimes, nil, nil, func(k, _ []byte) (bool, error) {
		if len(old) == limit || !timeAt(k, 0).Before(before) {
			return false, nil
		}
		old = append(old, append(key(nil), k...))
		return true, nil
	})
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
