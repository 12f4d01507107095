package bolt

import (
	"context"
	"fmt"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// lastSequence returns the sequence of an incident's latest event, 0 if there is
// none.
func (r *reader) lastSequence(number int64) (int64, error) {
	var last int64
	err := r.descend(bEvents, key(nil).int(number), nil, func(k, _ []byte) (bool, error) {
		last = intAt(k, 8)
		return false, nil
	})
	return last, err
}

func (t *tx) AppendEvents(ctx context.Context, events []incident.Event) error {
	var number, last int64
	for _, e := range events {
		if e.Incident != number {
			var err error
			number = e.Incident
			if last, err = t.lastSequence(number); err != nil {
				return err
			}
		}
		if e.Incident < 1 || e.Sequence != last+1 {
			return fmt.Errorf("append event %s/%d: the latest is %d", incident.ID(number), e.Sequence, last)
		}
		last = e.Sequence
		record, err := storage.EncodeEvent(e)
		if err != nil {
			return err
		}
		if err := t.putRecord(ctx, ledger.Event, key(make([]byte, 0, recordKeySize)).int(number).int(last), record); err != nil {
			return err
		}
		if err := t.putText(&e); err != nil {
			return err
		}
	}
	return nil
}
