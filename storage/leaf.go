package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"sitrep/incident"
	"sitrep/ledger"
)

// A Leaf is an entry of the log: the record of an event, of a configuration that came
// into force, or of the outcome of a delivery.
type Leaf struct {
	Kind   ledger.Kind
	Record Record
}

// leafVersion is the version of all leaves.
const leafVersion = 1

// eventLeaf is the leaf of an event.
type eventLeaf struct {
	V        int                `json:"v"`
	Incident string             `json:"incident"`
	Sequence int64              `json:"sequence"`
	Time     time.Time          `json:"time"`
	Type     incident.EventType `json:"type"`
	Actor    string             `json:"actor,omitempty"`
	Reason   string             `json:"reason,omitempty"`
	Config   string             `json:"config,omitempty"`
	Data     incident.Data      `json:"data"`
}

// EncodeEvent returns the record of an event. Two calls give different salts, so a
// record is made once and kept.
func EncodeEvent(e incident.Event) (Record, error) {
	r := Record{Index: -1}
	actor := string(e.Actor)
	if e.Actor.Person() {
		actor = r.hide("actor", actor)
	}
	data := e.Data
	if data.EscalatedTo != "" {
		data.EscalatedTo = r.hide("data.escalated_to", data.EscalatedTo)
	}
	if data.Cause.Said != "" {
		// Mail servers repeat the address in what they answer.
		data.Cause.Said = r.hide("data.cause.said", data.Cause.Said)
	}

	b := make([]byte, 0, 512)
	b = append(b, `{"v":1,"incident":"INC-`...)
	b = strconv.AppendInt(b, e.Incident, 10)
	b = append(b, `","sequence":`...)
	b = strconv.AppendInt(b, e.Sequence, 10)
	b = appendTimeField(b, `,"time":`, e.Time)
	b = appendField(b, `,"type":`, string(e.Type))
	if actor != "" {
		b = appendField(b, `,"actor":`, actor)
	}
	if e.Reason != "" {
		b = appendField(b, `,"reason":`, e.Reason)
	}
	if e.Config != "" {
		b = appendField(b, `,"config":`, e.Config)
	}
	b = append(b, `,"data":`...)
	b, err := appendData(b, &data)
	if err != nil {
		return Record{}, fmt.Errorf("encode event %s/%d: %w", incident.ID(e.Incident), e.Sequence, err)
	}
	r.Leaf = append(b, '}')
	return r, nil
}

// DecodeEvent returns the event of a record. Personal values that were forgotten
// read as incident.Forgotten.
func DecodeEvent(r Record) (incident.Event, error) {
	var l eventLeaf
	if err := json.Unmarshal(r.Leaf, &l); err != nil {
		return incident.Event{}, fmt.Errorf("decode event: %w", err)
	}
	if l.V != leafVersion {
		return incident.Event{}, fmt.Errorf("decode event: version %d: %w", l.V, ErrNewer)
	}
	number, err := incident.ParseID(l.Incident)
	if err != nil {
		return incident.Event{}, fmt.Errorf("decode event: %w", err)
	}
	if hidden(l.Actor) {
		l.Actor = r.reveal("actor")
	}
	if l.Data.EscalatedTo != "" {
		l.Data.EscalatedTo = r.reveal("data.escalated_to")
	}
	if hidden(l.Data.Cause.Said) {
		l.Data.Cause.Said = r.reveal("data.cause.said", "data.cause")
	}
	e := incident.Event{
		Incident: number, Sequence: l.Sequence, Time: l.Time, Type: l.Type,
		Actor: incident.Actor(l.Actor), Reason: l.Reason, Config: l.Config, Data: l.Data,
	}
	e.ReadSentences()
	return e, nil
}

// appendData appends the particulars of an event. Those of breaches, by far the most,
// are written by hand, in the form that encoding/json gives the others.
func appendData(b []byte, d *incident.Data) ([]byte, error) {
	if !plain(d) {
		others := *d // what is written by hand stays off the heap
		j, err := marshal(&others)
		return append(b, j...), err
	}
	b = append(b, '{')
	start := len(b)
	comma := func(key string) string {
		if len(b) == start {
			return key[1:]
		}
		return key
	}
	text := func(key, value string) {
		if value != "" {
			b = appendField(b, comma(key), value)
		}
	}
	at := func(key string, t time.Time) {
		if !t.IsZero() {
			b = appendTimeField(b, comma(key), t)
		}
	}
	text(`,"fingerprint":`, d.Fingerprint)
	at(`,"starts_at":`, d.StartsAt)
	at(`,"ends_at":`, d.EndsAt)
	at(`,"heard_at":`, d.HeardAt)
	text(`,"priority":`, d.Priority)
	text(`,"from":`, d.From)
	text(`,"to":`, d.To)
	text(`,"escalated_to":`, d.EscalatedTo)
	text(`,"why":`, string(d.Why))
	return append(b, '}'), nil
}

// plain reports whether only those fields are set that appendData writes by hand.
func plain(d *incident.Data) bool {
	return d.Opening == nil && d.Definition == nil && !d.Raised && d.Highest == "" && !d.ByPerson && !d.TakenOver && !d.Released &&
		d.Message == "" && d.Audiences == nil && d.Audience == "" && d.DueAt.IsZero() && d.Missed == 0 && d.Cause == (incident.Cause{}) &&
		d.Action == "" && d.Link == "" && d.Actions == nil && d.Stakeholders == nil && d.ResolveAfter == 0 && d.Into == 0 &&
		d.Sources == nil && d.Breaches == nil && d.StartedAt.IsZero() && d.EndedAt.IsZero()
}

// deliveryLeaf is the leaf of a delivery that has an outcome.
type deliveryLeaf struct {
	V         int                    `json:"v"`
	Delivery  string                 `json:"delivery"`
	Incident  string                 `json:"incident,omitempty"` // none: the watchdog
	Kind      incident.Kind          `json:"kind"`
	Sequence  int64                  `json:"sequence"`
	Priority  string                 `json:"priority,omitempty"`
	Audience  incident.Audience      `json:"audience"`
	Group     string                 `json:"group"`
	Channel   incident.Channel       `json:"channel"`
	Recipient string                 `json:"recipient"`
	Address   string                 `json:"address"`
	Drill     bool                   `json:"drill,omitempty"`
	DueAt     time.Time              `json:"due_at,omitzero"`
	Promised  time.Time              `json:"promised,omitzero"`
	Held      bool                   `json:"held,omitempty"`
	CreatedAt time.Time              `json:"created_at"`
	SentAt    time.Time              `json:"sent_at,omitzero"`
	Attempts  int                    `json:"attempts"`
	State     incident.DeliveryState `json:"state"`
	Error     string                 `json:"error,omitempty"`
	Why       incident.Why           `json:"why,omitempty"`
	Cause     incident.Cause         `json:"cause,omitzero"`
	SettledAt time.Time              `json:"settled_at,omitzero"`
	Covers    []incident.Cover       `json:"covers,omitempty"`
	// Message is the SHA-256 of the message as sent, in hexadecimal; empty if no
	// message was made.
	Message string `json:"message,omitempty"`
}

// EncodeDelivery returns the record of a delivery that has an outcome, and of the
// message as it was sent (nil if none was made). Beside the address, the error and what was
// said of the cause are personal too, as mail servers repeat the address in what they
// answer.
func EncodeDelivery(d incident.Delivery, message []byte) (Record, error) {
	r := Record{Index: -1}
	l := deliveryLeaf{
		V: leafVersion, Delivery: d.ID, Kind: d.Kind, Sequence: d.Sequence, Priority: d.Priority, Audience: d.Audience,
		Group: d.Group, Channel: d.Channel, Drill: d.Drill, DueAt: d.DueAt, Promised: d.Promised, Held: d.Deferred,
		CreatedAt: d.CreatedAt, SentAt: d.SentAt, Attempts: d.Attempts, State: d.State, Why: d.Why, Cause: d.Cause, SettledAt: d.FinishedAt,
	}
	if !d.OfPulse() {
		l.Incident = incident.ID(d.Incident)
	}
	l.Recipient = r.hide("recipient", d.Recipient)
	l.Address = r.hide("address", d.Address)
	if d.Error != "" {
		l.Error = r.hide("error", d.Error)
	}
	if d.Cause.Said != "" {
		l.Cause.Said = r.hide("cause.said", d.Cause.Said)
	}
	for i, c := range d.Covers {
		var owed []incident.Owed
		for k, o := range c.Owed {
			if o.Address != "" {
				o.Address = r.hide(owedPath(i, k, "address"), o.Address)
			}
			owed = append(owed, o)
		}
		c.Owed = owed
		l.Covers = append(l.Covers, c)
	}
	if message != nil {
		sum := sha256.Sum256(message)
		l.Message = hex.EncodeToString(sum[:])
	}
	var err error
	if r.Leaf, err = marshal(&l); err != nil {
		return Record{}, fmt.Errorf("encode delivery %q: %w", d.ID, err)
	}
	return r, nil
}

// DecodeDelivery returns the delivery of a record and the SHA-256 of its message in
// hexadecimal, empty if none was made. Personal values that were forgotten read as
// incident.Forgotten.
func DecodeDelivery(r Record) (d incident.Delivery, message string, err error) {
	var l deliveryLeaf
	if err := json.Unmarshal(r.Leaf, &l); err != nil {
		return d, "", fmt.Errorf("decode delivery: %w", err)
	}
	if l.V != leafVersion {
		return d, "", fmt.Errorf("decode delivery: version %d: %w", l.V, ErrNewer)
	}
	d = incident.Delivery{
		ID: l.Delivery, Kind: l.Kind, Sequence: l.Sequence, Priority: l.Priority, Audience: l.Audience, Group: l.Group,
		Channel: l.Channel, Recipient: r.reveal("recipient"), Address: r.reveal("address"), Drill: l.Drill,
		DueAt: l.DueAt, Promised: l.Promised, Deferred: l.Held, CreatedAt: l.CreatedAt, SentAt: l.SentAt,
		Attempts: l.Attempts, State: l.State, Why: l.Why, Cause: l.Cause, FinishedAt: l.SettledAt, Covers: l.Covers,
	}
	if l.Incident != "" {
		if d.Incident, err = incident.ParseID(l.Incident); err != nil {
			return d, "", fmt.Errorf("decode delivery: %w", err)
		}
	}
	if d.Error = l.Error; hidden(l.Error) {
		d.Error = r.reveal("error")
	}
	if hidden(l.Cause.Said) {
		d.Cause.Said = r.reveal("cause.said", "cause")
	}
	for i := range d.Covers {
		for k := range d.Covers[i].Owed {
			if o := &d.Covers[i].Owed[k]; o.Address != "" {
				o.Address = r.reveal(owedPath(i, k, "address"), owedPath(i, k, "detail"))
			}
		}
	}
	d.ReadSentences()
	return d, l.Message, nil
}

// ForgetDelivery makes what is personal in a delivery read as in its record, once that
// was forgotten.
func ForgetDelivery(d *incident.Delivery, r Record) error {
	recorded, _, err := DecodeDelivery(r)
	if err != nil {
		return err
	}
	d.Recipient, d.Address, d.Error, d.Why, d.Cause = recorded.Recipient, recorded.Address, recorded.Error, recorded.Why, recorded.Cause
	d.Covers = slices.Clone(d.Covers)
	for i := range min(len(d.Covers), len(recorded.Covers)) {
		d.Covers[i].Owed = recorded.Covers[i].Owed
	}
	return nil
}

func owedPath(cover, owed int, field string) string {
	return fmt.Sprintf("covers.%d.owed.%d.%s", cover, owed, field)
}

// loadingLeaf is the leaf of a configuration that came into force.
type loadingLeaf struct {
	V      int       `json:"v"`
	Config string    `json:"config"`
	Time   time.Time `json:"time"`
	Actor  string    `json:"actor,omitempty"`
	// Public is the SHA-256 of its public form, in hexadecimal.
	Public string `json:"public,omitempty"`
}

// EncodeLoading returns the record of a configuration that came into force.
func EncodeLoading(g Loading) (Record, error) {
	r := Record{Index: -1}
	l := loadingLeaf{V: leafVersion, Config: g.Hash, Time: g.At, Actor: string(g.Actor), Public: g.Public}
	if g.Actor.Person() {
		l.Actor = r.hide("actor", l.Actor)
	}
	var err error
	if r.Leaf, err = marshal(&l); err != nil {
		return Record{}, fmt.Errorf("encode loading of %q: %w", g.Hash, err)
	}
	return r, nil
}

// DecodeLoading returns what EncodeLoading was given.
func DecodeLoading(r Record) (Loading, error) {
	var l loadingLeaf
	if err := json.Unmarshal(r.Leaf, &l); err != nil {
		return Loading{}, fmt.Errorf("decode loading: %w", err)
	}
	if l.V != leafVersion {
		return Loading{}, fmt.Errorf("decode loading: version %d: %w", l.V, ErrNewer)
	}
	if hidden(l.Actor) {
		l.Actor = r.reveal("actor")
	}
	return Loading{Hash: l.Config, At: l.Time, Actor: incident.Actor(l.Actor), Public: l.Public}, nil
}

// leafOptions are those of encoding/json without the escapes for HTML; what is used does as that, in half the time.
var leafOptions = jsonv2.JoinOptions(jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false))

func marshal(v any) ([]byte, error) { return jsonv2.Marshal(v, leafOptions) }

func appendTimeField(b []byte, key string, t time.Time) []byte {
	b = append(b, key...)
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func appendField(b []byte, key, value string) []byte {
	b = append(b, key...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			j, _ := marshal(value) // a string never fails
			return append(b, j...)
		}
	}
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}
