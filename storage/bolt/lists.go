package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strconv"

	"sitrep/incident"
	"sitrep/storage"
)

// By what an index of incidents goes, the first byte of its keys. What it goes by comes next,
// then the state, the priority and the number.
const (
	byState byte = iota // by nothing before the state
	byTeam
	bySLO
)

// A line is what incidents are listed and counted by. It stands before the text that one is
// searched by.
type line struct {
	state               byte
	drill               bool
	priority, team, slo string
}

func lineOf(in *incident.Incident) line {
	return line{stateBytes[in.State], in.Drill, in.Priority.Name, in.Team, in.SLO}
}

// appendLine appends the line of an incident and its text.
func appendLine(b []byte, in *incident.Incident) []byte {
	l := lineOf(in)
	b = append(b, l.state, 0)
	if l.drill {
		b[len(b)-1] = 1
	}
	for _, s := range []string{l.priority, l.team, l.slo} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return storage.AppendIncidentText(b, in)
}

// cutLine returns a line as it is stored.
func cutLine(k, b []byte) (l line, err error) {
	parts, _, err := partsOfLine(k, b)
	if err == nil {
		l = line{b[0], b[1] == 1, string(parts[0]), string(parts[1]), string(parts[2])}
	}
	return l, err
}

// partsOfLine returns the priority, the team and the SLO of a stored line, and the text after
// it, without a copy.
func partsOfLine(k, b []byte) (parts [3][]byte, text []byte, err error) {
	if len(b) < 2 || b[0] < 1 || int(b[0]) >= len(states) {
		return parts, nil, wrong(bIncidentTexts, k, "it is malformed")
	}
	c := cutter{b: b[2:]}
	for i := range parts {
		parts[i] = c.text()
	}
	if c.broken {
		return parts, nil, wrong(bIncidentTexts, k, "it is malformed")
	}
	return parts, c.b, nil
}

// keys calls fn for each key under which the index has an incident. It is valid for that call.
func (l *line) keys(number int64, fn func(key) error) error {
	k := make(key, 0, 128)
	if err := fn(k.byte(byState).byte(l.state).text(l.priority).int(number)); err != nil {
		return err
	}
	if err := fn(k.byte(byTeam).text(l.team).byte(l.state).text(l.priority).int(number)); err != nil {
		return err
	}
	if l.slo == "" {
		return nil
	}
	return fn(k.byte(bySLO).text(l.slo).byte(l.state).text(l.priority).int(number))
}

// counter is the key of how many there are like this one.
func (l *line) counter() key {
	drill := byte(0)
	if l.drill {
		drill = 1
	}
	return key(nil).byte(l.state).byte(drill).text(l.priority).rest(l.team)
}

// listIncident lets an incident be found as it is now, and returns the state that it was found
// by before: "" if it is new.
func (t *tx) listIncident(in *incident.Incident) (incident.State, error) {
	k := key(nil).int(in.Number).int(0)
	stored, err := t.get(bIncidentTexts, k)
	if err != nil {
		return "", err
	}
	t.scrap = appendLine(t.scrap[:0], in)
	if bytes.Equal(stored, t.scrap) {
		return in.State, nil
	}
	var was line
	if stored != nil {
		if was, err = cutLine(k, stored); err != nil {
			return "", err
		}
	}
	if err := t.put(bIncidentTexts, k, t.scrap); err != nil {
		return "", err
	}
	if is := lineOf(in); was != is {
		if stored != nil {
			if err := was.keys(in.Number, func(k key) error { return t.delete(bIncidentIndex, k) }); err != nil {
				return "", err
			}
			if err := t.countIncident(was.counter(), -1); err != nil {
				return "", err
			}
		}
		if err := is.keys(in.Number, func(k key) error { return t.put(bIncidentIndex, k, nil) }); err != nil {
			return "", err
		}
		if err := t.countIncident(is.counter(), 1); err != nil {
			return "", err
		}
	}
	return states[was.state], nil
}

func (t *tx) countIncident(k key, by int64) error {
	b, err := t.get(bIncidentCounts, k)
	if err != nil {
		return err
	}
	n := by
	if b != nil {
		n += intAt(b, 0)
	}
	if n == 0 {
		return t.delete(bIncidentCounts, k)
	}
	return t.put(bIncidentCounts, k, key(nil).int(n))
}

func (r *reader) CountIncidents(context.Context) (all []storage.IncidentCount, err error) {
	err = r.ascend(bIncidentCounts, nil, nil, func(k, v []byte) (bool, error) {
		if len(k) < 4 || int(k[0]) >= len(states) || len(v) != 8 {
			return false, wrong(bIncidentCounts, k, "it is malformed")
		}
		n := textAt(k, 2)
		if n > len(k) {
			return false, wrong(bIncidentCounts, k, "it is malformed")
		}
		all = append(all, storage.IncidentCount{
			State: states[k[0]], Drill: k[1] == 1, Priority: string(k[4:n]), Team: string(k[n:]), Count: int(intAt(v, 0)),
		})
		return true, nil
	})
	return all, err
}

// textAt returns where a text ends that begins in a key at a place.
func textAt(k []byte, at int) int {
	n := int(binary.BigEndian.Uint16(k[at:]))
	if n == hashedText {
		n = sha256.Size
	}
	return at + 2 + n
}

// putText keeps what people wrote in an event for the search.
func (t *tx) putText(e *incident.Event) error {
	if text := storage.EventText(e); text != "" {
		return t.put(bIncidentTexts, key(nil).int(e.Incident).int(e.Sequence), []byte(text))
	}
	return nil
}

// keepText keeps the text of an event that is stored already, as far as it was not forgotten.
func (t *tx) keepText(k, stored []byte) error {
	record, err := storage.ParseRecord(stored)
	if err != nil {
		return err
	}
	e, err := storage.DecodeEvent(record)
	if err != nil {
		return err
	}
	if storage.EventText(&e) == "" {
		return t.delete(bIncidentTexts, k)
	}
	return t.putText(&e)
}

// errNotListed is a question to an older store that is only read.
var errNotListed = errors.New("the store is of an earlier version, in which incidents are not found by anything but their numbers; start sitrep with it once, or ask for all")

func (r *reader) Incidents(ctx context.Context, q storage.IncidentQuery) (page []incident.Incident, next string, err error) {
	if err := checkLimit(q.Limit); err != nil {
		return nil, "", err
	}
	if q.State != "" && stateBytes[q.State] == 0 {
		return nil, "", nil
	}
	var from int64 // the last that was seen; 0 if none was
	if q.Cursor != "" {
		if from, err = parseCursor(q.Cursor); err != nil {
			return nil, "", err
		}
	}
	ofTeam, words := q.Team != "" || q.NoTeam, storage.SearchWords(q.Text)
	var walk *walker
	switch {
	case q.State == "" && q.Priority == "" && !ofTeam && q.SLO == "" && len(words) == 0:
		walk = &walker{r: r, id: bIncidents, oldest: q.OldestFirst, groups: []*group{r.group(bIncidents, []byte{}, from, q.OldestFirst)}}
	case r.bucket(bIncidentIndex) == nil:
		return nil, "", errNotListed
	default:
		walk = r.walkIncidents(&q, from)
	}
	look := &search{r: r, oldest: q.OldestFirst}
	for _, word := range words {
		look.words = append(look.words, []byte(word))
	}
	for n := 0; ; n++ {
		if n%1024 == 1023 && ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		number, err := walk.next()
		if number == 0 || err != nil {
			return page, "", err
		}
		if len(words) > 0 {
			if found, err := look.finds(number); err != nil {
				return nil, "", err
			} else if !found {
				continue
			}
		}
		if q.SLO != "" && ofTeam {
			k := key(nil).int(number).int(0)
			b, err := r.get(bIncidentTexts, k)
			if err != nil {
				return nil, "", err
			}
			if parts, _, err := partsOfLine(k, b); err != nil {
				return nil, "", err
			} else if string(parts[1]) != q.Team {
				continue
			}
		}
		if len(page) == q.Limit {
			return page, strconv.FormatInt(page[len(page)-1].Number, 10), nil
		}
		in, err := storage.IncidentOf(ctx, r, number)
		if err != nil {
			return nil, "", err
		}
		page = append(page, in)
	}
}

// A walker gives the numbers of incidents in order, out of several groups of keys that end
// with them.
type walker struct {
	r      *reader
	id     bucketID
	groups []*group
	oldest bool
}

// A group is all keys with a prefix, from where the walker is.
type group struct {
	cursor cursor
	prefix []byte
	key    []byte // the next; nil if there is none
	value  []byte
	number int64
}

// walkIncidents returns the walk through those that fit a query but for its text.
func (r *reader) walkIncidents(q *storage.IncidentQuery, from int64) *walker {
	w := &walker{r: r, id: bIncidentIndex, oldest: q.OldestFirst}
	base := key(nil).byte(byState)
	switch {
	case q.SLO != "":
		base = key(nil).byte(bySLO).text(q.SLO)
	case q.Team != "" || q.NoTeam:
		base = key(nil).byte(byTeam).text(q.Team)
	}
	for state := byte(1); int(state) < len(states); state++ {
		if q.State != "" && stateBytes[q.State] != state {
			continue
		}
		prefix := append(bytes.Clone(base), state)
		if q.Priority != "" {
			w.groups = append(w.groups, r.group(w.id, key(prefix).text(q.Priority), from, w.oldest))
			continue
		}
		// One for each priority that there is.
		c := r.cursor(w.id)
		for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); {
			of := bytes.Clone(k[:min(len(k), textAt(k, len(prefix)))])
			w.groups = append(w.groups, r.group(w.id, of, from, w.oldest))
			next := after(of)
			if next == nil {
				break
			}
			k, _ = c.Seek(next)
		}
	}
	return w
}

// group returns the keys with a prefix after a number, in the order of the walk.
func (r *reader) group(id bucketID, prefix []byte, from int64, oldest bool) *group {
	if r.bucket(id) == nil {
		return &group{}
	}
	g := &group{cursor: r.cursor(id), prefix: prefix}
	switch {
	case oldest:
		g.at(g.cursor.Seek(key(bytes.Clone(prefix)).int(from + 1)))
	default:
		below := after(prefix)
		if from > 0 {
			below = key(bytes.Clone(prefix)).int(from)
		}
		g.at(before(&g.cursor, below))
	}
	return g
}

// before leads to the last key before another, to the very last if that is nil.
func before(c *cursor, k []byte) (at, value []byte) {
	if k == nil {
		return c.Last()
	}
	if at, _ := c.Seek(k); at == nil {
		return c.Last()
	}
	return c.Prev()
}

// at notes where the group is.
func (g *group) at(k, v []byte) {
	if g.key = nil; bytes.HasPrefix(k, g.prefix) && len(k) == len(g.prefix)+8 {
		g.key, g.value, g.number = k, v, intAt(k, len(g.prefix))
	}
}

// next returns the next number, 0 if there is none.
func (w *walker) next() (int64, error) {
	var first *group
	for _, g := range w.groups {
		if g.key != nil && (first == nil || (g.number < first.number) == w.oldest) {
			first = g
		}
	}
	if first == nil {
		return 0, nil
	}
	number := first.number
	if w.id != bIncidents { // those are looked at when they are read
		if _, err := checked(w.id, first.key, first.value); err != nil {
			return 0, err
		}
	}
	if w.oldest {
		first.at(first.cursor.Next())
	} else {
		first.at(first.cursor.Prev())
	}
	return number, nil
}

// A search looks for words in the texts of incidents, asked for in the order of a walk.
type search struct {
	r      *reader
	words  [][]byte
	oldest bool
	cursor cursor
	key    []byte // the next text
	value  []byte
	sought key
}

// stepsToSeek is how many texts are passed over until looking for the next one costs less.
const stepsToSeek = 12

// finds reports whether an incident has all the words.
func (s *search) finds(number int64) (bool, error) {
	if s.cursor.under == nil {
		s.cursor = s.r.cursor(bIncidentTexts)
		s.seek(number)
	}
	for steps := 0; s.key != nil && s.passed(number); steps++ {
		if steps == stepsToSeek {
			s.seek(number)
			break
		}
		s.step()
	}
	missing := uint32(1)<<len(s.words) - 1
	for ; s.key != nil && intAt(s.key, 0) == number; s.step() {
		if missing == 0 {
			continue
		}
		text, err := checked(bIncidentTexts, s.key, s.value)
		if err == nil && intAt(s.key, 8) == 0 {
			_, text, err = partsOfLine(s.key, text)
		}
		if err != nil {
			return false, err
		}
		for i, word := range s.words {
			if missing&(1<<i) != 0 && bytes.Contains(text, word) {
				missing &^= 1 << i
			}
		}
	}
	return missing == 0, nil
}

// passed reports whether the next text comes before those of an incident.
func (s *search) passed(number int64) bool {
	if s.oldest {
		return intAt(s.key, 0) < number
	}
	return intAt(s.key, 0) > number
}

// seek goes to the texts of an incident.
func (s *search) seek(number int64) {
	if s.oldest {
		s.sought = s.sought[:0].int(number)
		s.key, s.value = s.cursor.Seek(s.sought)
	} else {
		s.sought = s.sought[:0].int(number + 1)
		s.key, s.value = before(&s.cursor, s.sought)
	}
}

func (s *search) step() {
	if s.oldest {
		s.key, s.value = s.cursor.Next()
	} else {
		s.key, s.value = s.cursor.Prev()
	}
}
