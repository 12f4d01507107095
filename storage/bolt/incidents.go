package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"sitrep/incident"
	"sitrep/storage"
)

// stateBytes are the states of an incident in keys.
var stateBytes = map[incident.State]byte{incident.StateOpen: 1, incident.StateResolved: 2, incident.StateClosed: 3}

// states are the states by their bytes.
var states = [...]incident.State{1: incident.StateOpen, 2: incident.StateResolved, 3: incident.StateClosed}

// decodeIncident returns a stored incident. Up to version 3 a head of three fields stood
// before its JSON: the state, whether it is a drill, and the priority with its length.
func decodeIncident(k, b []byte) (incident.Incident, error) {
	var in incident.Incident
	if len(b) >= 4 && b[0] != '{' {
		if n := 4 + int(binary.BigEndian.Uint16(b[2:])); n <= len(b) {
			b = b[n:]
		}
	}
	err := decode(bIncidents, k, b, &in)
	if err == nil && in.Number != intAt(k, 0) {
		err = wrong(bIncidents, k, "it is that of "+in.ID())
	}
	return in, err
}

func (r *reader) IncidentsByNumber(_ context.Context, numbers []int64) (map[int64]*incident.Incident, error) {
	all := make(map[int64]*incident.Incident, len(numbers))
	for _, number := range numbers {
		if all[number] != nil {
			continue
		}
		if in, ok := r.incidents[number]; ok {
			all[number] = &in
			continue
		}
		k := key(nil).int(number)
		b, err := r.get(bIncidents, k)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		in, err := r.decoded.incident(k, b)
		if err != nil {
			return nil, err
		}
		if r.incidents != nil {
			r.incidents[number] = in
		}
		all[number] = &in
	}
	return all, nil
}

// latestOf returns the number of the latest incident of a key, 0 if there is none.
func (r *reader) latestOf(name string) (int64, error) {
	b, err := r.get(bIncidentKeys, key(nil).text(name))
	if b == nil || err != nil {
		return 0, err
	}
	return intAt(b, 0), nil
}

func (r *reader) LatestOf(_ context.Context, keys []string) (map[string]int64, error) {
	all := make(map[string]int64, len(keys))
	for _, name := range keys {
		number, err := r.latestOf(name)
		if err != nil {
			return nil, err
		}
		if number != 0 {
			all[name] = number
		}
	}
	return all, nil
}

func (r *reader) LatestUnder(_ context.Context, prefix string) (latest int64, err error) {
	// The length of a key stands before it, so each length has a place of its own.
	for length := len(prefix); length <= longText; {
		from := append(binary.BigEndian.AppendUint16(nil, uint16(length)), prefix...)
		next := longText + 1
		err = r.ascend(bIncidentKeys, nil, from, func(k, v []byte) (bool, error) {
			if !bytes.HasPrefix(k, from) {
				next = int(binary.BigEndian.Uint16(k))
				return false, nil
			}
			latest = max(latest, intAt(v, 0))
			return true, nil
		})
		if err != nil {
			return 0, err
		}
		length = max(next, length+1)
	}
	return latest, nil
}

func parseCursor(cursor string) (int64, error) {
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 0 {
		return 0, badCursor(cursor)
	}
	return n, nil
}

func (t *tx) NextNumber(_ context.Context) (int64, error) {
	err := t.descend(bIncidents, nil, nil, func(k, _ []byte) (bool, error) {
		t.given = max(t.given, intAt(k, 0))
		return false, nil
	})
	t.given++
	return t.given, err
}

func (t *tx) PutIncidents(_ context.Context, all []*incident.Incident) error {
	for _, in := range all {
		if err := t.putIncident(in); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putIncident(in *incident.Incident) error {
	was, err := t.keepIncident(in)
	if err != nil || in.State != incident.StateClosed || was == in.State {
		return err
	}
	return t.expireIncident(in)
}

// keepIncident stores an incident and what it is found by, and returns its state before: "" if it
// is new.
func (t *tx) keepIncident(in *incident.Incident) (was incident.State, err error) {
	if stateBytes[in.State] == 0 || in.Number < 1 {
		return "", fmt.Errorf("put incident %d: state %q", in.Number, in.State)
	}
	if err := t.putJSON(bIncidents, key(nil).int(in.Number), in); err != nil {
		return "", err
	}
	t.incidents[in.Number] = *in
	if was, err = t.listIncident(in); err != nil || in.Drill || was != "" {
		return was, err
	}
	latest, err := t.latestOf(in.Key)
	if err != nil || latest >= in.Number {
		return was, err
	}
	return was, t.put(bIncidentKeys, key(nil).text(in.Key), key(nil).int(in.Number))
}

// expireIncident notes that an incident is over.
func (t *tx) expireIncident(in *incident.Incident) error {
	if err := t.expire(in.ClosedAt, in.Number, storage.ExpiryMessages, storage.ExpiryPeople); err != nil {
		return err
	}
	if in.MergedInto != 0 { // its breaches go on in another
		return nil
	}
	for _, number := range append([]int64{in.Number}, in.MergedFrom...) {
		if err := t.expire(in.ClosedAt, number, storage.ExpiryBreaches); err != nil {
			return err
		}
	}
	return nil
}
