package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"sitrep/incident"
	"sitrep/storage"
)

// stateBytes are the states of an incident in keys.
var stateBytes = map[incident.State]byte{incident.StateOpen: 1, incident.StateResolved: 2, incident.StateClosed: 3}

// incidentHead is what stands before the JSON of an incident, so that its indexes can
// be kept without reading all of it.
type incidentHead struct {
	state    byte
	drill    bool
	priority string
}

func (h incidentHead) counted() bool { return h.state == stateBytes[incident.StateOpen] && !h.drill }

func appendIncident(b []byte, h incidentHead, in *incident.Incident) ([]byte, error) {
	drill := byte(0)
	if h.drill {
		drill = 1
	}
	b = append(b, h.state, drill)
	b = key(b).text(h.priority)
	j, err := json.Marshal(in)
	return append(b, j...), err
}

// cutIncident returns the head of a stored incident and its JSON.
func cutIncident(k, b []byte) (h incidentHead, rest []byte, err error) {
	if len(b) >= 4 {
		if n := 4 + int(binary.BigEndian.Uint16(b[2:])); n <= len(b) {
			return incidentHead{b[0], b[1] == 1, string(b[4:n])}, b[n:], nil
		}
	}
	return h, nil, fmt.Errorf("read incidents %x: malformed: %w", k, storage.ErrDamaged)
}

func decodeIncident(k, b []byte) (incident.Incident, error) {
	var in incident.Incident
	_, rest, err := cutIncident(k, b)
	if err == nil {
		err = decode(bIncidents, k, rest, &in)
	}
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
		k := key(nil).int(number)
		b, err := r.get(bIncidents, k)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		in, err := decodeIncident(k, b)
		if err != nil {
			return nil, err
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

func (r *reader) Incidents(ctx context.Context, q storage.IncidentQuery) (page []incident.Incident, next string, err error) {
	if err := checkLimit(q.Limit); err != nil {
		return nil, "", err
	}
	var prefix key
	id := bIncidents
	if q.State != "" {
		state, ok := stateBytes[q.State]
		if !ok {
			return nil, "", nil
		}
		id, prefix = bIncidentStates, key(nil).byte(state)
	}
	var below key
	if q.Cursor != "" {
		n, err := parseCursor(q.Cursor)
		if err != nil {
			return nil, "", err
		}
		below = append(below, prefix...).int(n)
	}
	text := strings.ToLower(q.Text)
	err = r.descend(id, prefix, below, func(k, v []byte) (bool, error) {
		var in incident.Incident
		var err error
		if id == bIncidents {
			in, err = decodeIncident(k, v)
		} else {
			in, err = storage.IncidentOf(ctx, r, intAt(k, len(prefix)))
		}
		if err != nil || !matches(&in, &q, text) {
			return true, err
		}
		if len(page) == q.Limit {
			next = strconv.FormatInt(page[len(page)-1].Number, 10)
			return false, nil
		}
		page = append(page, in)
		return true, nil
	})
	return page, next, err
}

func matches(in *incident.Incident, q *storage.IncidentQuery, text string) bool {
	return (q.Priority == "" || in.Priority.Name == q.Priority) &&
		(q.Team == "" || in.Team == q.Team) &&
		(q.SLO == "" || in.SLO == q.SLO) &&
		(text == "" || strings.Contains(strings.ToLower(in.ID()), text) || strings.Contains(strings.ToLower(in.UseCase), text) ||
			strings.Contains(strings.ToLower(in.Service), text) || strings.Contains(strings.ToLower(in.Team), text))
}

func parseCursor(cursor string) (int64, error) {
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 0 {
		return 0, badCursor(cursor)
	}
	return n, nil
}

func (r *reader) OpenIncidents(_ context.Context) (map[string]int, error) {
	open := make(map[string]int)
	err := r.ascend(bOpenCounts, nil, nil, func(k, v []byte) (bool, error) {
		open[string(k[2:])] = int(intAt(v, 0))
		return true, nil
	})
	return open, err
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
	state, ok := stateBytes[in.State]
	if !ok || in.Number < 1 {
		return fmt.Errorf("put incident %d: state %q", in.Number, in.State)
	}
	h := incidentHead{state, in.Drill, in.Priority.Name}
	k := key(nil).int(in.Number)
	var old incidentHead
	b, err := t.get(bIncidents, k)
	if err != nil {
		return err
	}
	if b != nil {
		if old, _, err = cutIncident(k, b); err != nil {
			return err
		}
	}
	if t.scrap, err = appendIncident(t.scrap[:0], h, in); err != nil {
		return fmt.Errorf("put incident %s: %w", in.ID(), err)
	}
	if err := t.put(bIncidents, k, t.scrap); err != nil {
		return err
	}

	if old != h {
		if err := t.indexIncident(in, old, h); err != nil {
			return err
		}
	}
	if in.Drill || b != nil {
		return nil
	}
	latest, err := t.latestOf(in.Key)
	if err != nil || latest >= in.Number {
		return err
	}
	return t.put(bIncidentKeys, key(nil).text(in.Key), key(nil).int(in.Number))
}

// indexIncident keeps what is found by the head of an incident.
func (t *tx) indexIncident(in *incident.Incident, old, h incidentHead) error {
	if old.state != h.state {
		if old.state != 0 {
			if err := t.delete(bIncidentStates, key(nil).byte(old.state).int(in.Number)); err != nil {
				return err
			}
		}
		if err := t.put(bIncidentStates, key(nil).byte(h.state).int(in.Number), nil); err != nil {
			return err
		}
		if in.State == incident.StateClosed {
			if err := t.expire(in.ClosedAt, in.Number, storage.ExpiryMessages, storage.ExpiryPeople); err != nil {
				return err
			}
			if in.MergedInto == 0 { // else its breaches go on in another
				for _, number := range append([]int64{in.Number}, in.MergedFrom...) {
					if err := t.expire(in.ClosedAt, number, storage.ExpiryBreaches); err != nil {
						return err
					}
				}
			}
		}
	}
	if old.counted() {
		if err := t.countOpen(old.priority, -1); err != nil {
			return err
		}
	}
	if h.counted() {
		return t.countOpen(h.priority, 1)
	}
	return nil
}

func (t *tx) countOpen(priority string, by int64) error {
	k := key(nil).text(priority)
	b, err := t.get(bOpenCounts, k)
	if err != nil {
		return err
	}
	n := by
	if b != nil {
		n += intAt(b, 0)
	}
	if n == 0 {
		return t.delete(bOpenCounts, k)
	}
	return t.put(bOpenCounts, k, key(nil).int(n))
}
