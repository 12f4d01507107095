package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sitrep/incident"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func TestEventLeaf(t *testing.T) {
	for name, c := range map[string]struct {
		event incident.Event
		leaf  string // of one without personal values
	}{
		"a breach": {
			incident.Event{
				Incident: 42, Sequence: 3, Time: noon, Type: incident.EventBreachStarted, Actor: incident.ActorAlertmanager, Config: "c0ffee",
				Data: incident.Data{Fingerprint: "00ff", StartsAt: noon, Priority: "P1", From: "ended"},
			},
			`{"v":1,"incident":"INC-42","sequence":3,"time":"2026-03-01T12:00:00.123456Z","type":"breach_started","actor":"alertmanager","config":"c0ffee",` +
				`"data":{"fingerprint":"00ff","starts_at":"2026-03-01T12:00:00.123456Z","priority":"P1","from":"ended"}}`,
		},
		"one without particulars": {
			incident.Event{Incident: 1, Sequence: 1, Time: noon, Type: incident.EventClosed, Actor: incident.ActorScheduler, Reason: "<done> & \"dusted\"\n"},
			`{"v":1,"incident":"INC-1","sequence":1,"time":"2026-03-01T12:00:00.123456Z","type":"closed","actor":"scheduler","reason":"<done> & \"dusted\"\n","data":{}}`,
		},
		"one written by the library": {
			incident.Event{Incident: 1, Sequence: 2, Time: noon, Type: incident.EventUpdateMissed, Actor: incident.ActorScheduler, Data: incident.Data{Missed: 2, Message: "a < b"}},
			`{"v":1,"incident":"INC-1","sequence":2,"time":"2026-03-01T12:00:00.123456Z","type":"update_missed","actor":"scheduler","data":{"message":"a < b","missed":2}}`,
		},
		"a person who escalates": {
			event: incident.Event{Incident: 1, Sequence: 2, Time: noon, Type: incident.EventPhaseChanged, Actor: "ada", Reason: "we are stuck", Data: incident.Data{To: "escalation", EscalatedTo: "bob"}},
		},
		"a person whose name is a hash": {
			event: incident.Event{Incident: 1, Sequence: 2, Time: noon, Type: incident.EventAcknowledged, Actor: incident.Actor(HashPersonal(nil, "x"))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := EncodeEvent(c.event)
			if err != nil {
				t.Fatal(err)
			}
			if c.leaf != "" && string(r.Leaf) != c.leaf {
				t.Errorf("leaf\n got %s\nwant %s", r.Leaf, c.leaf)
			}
			if c.leaf != "" && (r.Salt != nil || r.Personal != nil) {
				t.Errorf("something personal: %v", r.Personal)
			}
			stored, err := ParseRecord(AppendRecord(nil, r))
			if err != nil || !reflect.DeepEqual(stored, r) {
				t.Errorf("stored %+v, %v; want %+v", stored, err, r)
			}
			e, err := DecodeEvent(stored)
			if err != nil || !reflect.DeepEqual(e, c.event) {
				t.Errorf("decoded\n got %+v, %v\nwant %+v", e, err, c.event)
			}
		})
	}
}

func TestForgottenPeopleLeaveTheLeafAsItIs(t *testing.T) {
	event := incident.Event{
		Incident: 1, Sequence: 2, Time: noon, Type: incident.EventPhaseChanged, Actor: "ada", Data: incident.Data{To: "escalation", EscalatedTo: "bob"},
	}
	r, err := EncodeEvent(event)
	if err != nil {
		t.Fatal(err)
	}
	for path, value := range map[string]string{"actor": "ada", "data.escalated_to": "bob"} {
		if r.Personal[path] != value || !bytes.Contains(r.Leaf, []byte(HashPersonal(r.Salt, value))) {
			t.Errorf("%s: beside %q, leaf %s", path, r.Personal[path], r.Leaf)
		}
	}
	leaf := bytes.Clone(r.Leaf)
	r.Forget()
	stored, err := ParseRecord(AppendRecord(nil, r))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored.Leaf, leaf) || stored.Salt != nil || stored.Personal != nil {
		t.Errorf("stored %+v", stored)
	}
	e, err := DecodeEvent(stored)
	event.Actor, event.Data.EscalatedTo = incident.Forgotten, incident.Forgotten
	if err != nil || !reflect.DeepEqual(e, event) {
		t.Errorf("decoded %+v, %v", e, err)
	}
}

func TestDeliveryLeaf(t *testing.T) {
	d := incident.Delivery{
		ID: "one", Incident: 42, Kind: incident.KindReminder, Sequence: 3, Priority: "P1", Audience: incident.AudienceOnCall, Group: "blue",
		Channel: incident.ChannelEmail, Recipient: "email:zoe@example.org", Address: "zoe@example.org", Drill: true, DueAt: noon, Promised: noon,
		Deferred: true, CreatedAt: noon, SentAt: noon, Attempts: 2, State: incident.DeliveryFailed, Error: `RCPT "zoe@example.org": 550`,
		Covers: []incident.Cover{
			{Incident: 42, Kind: incident.KindReminder, DueAt: noon, Owed: []incident.Owed{
				{Kind: incident.KindReminder, Reason: incident.DueActionOverdue, At: noon, Action: "hotfix"},
				{Kind: incident.KindReminder, Reason: incident.DueUndeliverable, At: noon, Address: "yan@example.org"},
			}},
			{Incident: 43, Kind: incident.KindUpdate, DueAt: noon},
		},
	}
	before, _ := json.Marshal(d)
	r, err := EncodeDelivery(d, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := json.Marshal(d); !bytes.Equal(before, after) {
		t.Errorf("encoding changed the delivery: %s", after)
	}
	for _, name := range []string{"zoe", "yan"} {
		if bytes.Contains(r.Leaf, []byte(name)) {
			t.Errorf("the leaf names %q: %s", name, r.Leaf)
		}
	}
	got, message, err := DecodeDelivery(r)
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("decoded\n got %+v, %v\nwant %+v", got, err, d)
	}
	if message != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("message %q", message)
	}
	r.Forget()
	got, _, err = DecodeDelivery(r)
	if err != nil || got.Address != incident.Forgotten || got.Error != incident.Forgotten || got.Covers[0].Owed[1].Address != incident.Forgotten || got.Covers[0].Owed[0].Action != "hotfix" {
		t.Errorf("forgotten %+v, %v", got, err)
	}

	same := d
	if err := ForgetDelivery(&same, r); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(same, got) {
		t.Errorf("forgotten beside its record\n got %+v\nwant %+v", same, got)
	}
	if again, _ := json.Marshal(d); !bytes.Equal(before, again) {
		t.Errorf("forgetting changed what is shared: %s", again)
	}

	watchdog := incident.Delivery{ID: "w", Kind: incident.KindWatchdog, Recipient: "a", Address: "a", CreatedAt: noon, State: incident.DeliveryDelivered}
	if r, err = EncodeDelivery(watchdog, nil); err != nil {
		t.Fatal(err)
	}
	if got, message, err = DecodeDelivery(r); err != nil || message != "" || !reflect.DeepEqual(got, watchdog) {
		t.Errorf("watchdog %+v, %q, %v", got, message, err)
	}
	// What was signed about the watchdog before it had names is what is signed still.
	watchdog.Covers = []incident.Cover{{Kind: incident.KindWatchdog, Sequence: 3, DueAt: noon}}
	if r, err = EncodeDelivery(watchdog, nil); err != nil {
		t.Fatal(err)
	}
	const covers = `"covers":[{"incident":0,"kind":"watchdog","sequence":3,"due_at":"2026-03-01T12:00:00.123456Z","state":""}]}`
	if leaf := string(r.Leaf); !strings.HasSuffix(leaf, covers) || !strings.HasPrefix(leaf, `{"v":1,"delivery":"w","kind":"watchdog"`) {
		t.Errorf("leaf %s", leaf)
	}
	watchdog.Covers[0].Pulse = `cluster="eu"`
	if r, err = EncodeDelivery(watchdog, nil); err != nil {
		t.Fatal(err)
	}
	if got, _, err = DecodeDelivery(r); err != nil || !reflect.DeepEqual(got, watchdog) {
		t.Errorf("with a name %+v, %v", got, err)
	}
}

// Whether it was late because of sitrep or of the other side is not personal; what the other
// side said is.
func TestWhatOthersSaidIsForgotten(t *testing.T) {
	down := incident.Cause{Kind: incident.CauseDown, From: noon, To: noon.Add(time.Hour)}
	said := func(words string) incident.Cause { return incident.Cause{Kind: incident.CauseSaid, Said: words} }
	none := incident.Cause{Kind: incident.CauseNoneFound}
	// What the other side says is never taken for sitrep's.
	const like = "sitrep was down from 2026-07-01T12:00:00Z to 2026-07-01T13:00:00Z"
	for _, c := range []struct {
		d     incident.Delivery
		error string
		cause incident.Cause
	}{
		{incident.Delivery{Incident: 1, State: incident.DeliveryDelivered, Cause: down}, "", down},
		{incident.Delivery{Incident: 1, State: incident.DeliveryDelivered, Cause: none}, "", none},
		{incident.Delivery{Incident: 1, State: incident.DeliveryDelivered, Cause: said("RCPT ada@example.org: 451")}, "", said(incident.Forgotten)},
		{incident.Delivery{Incident: 1, State: incident.DeliveryDelivered, Cause: said(like)}, "", said(incident.Forgotten)},
		{incident.Delivery{Incident: 1, State: incident.DeliverySuperseded, Why: incident.WhyOutcomeUnknown}, "", incident.Cause{}},
		{incident.Delivery{Incident: 1, State: incident.DeliveryFailed, Error: "RCPT ada@example.org: 550"}, incident.Forgotten, incident.Cause{}},
	} {
		r, err := EncodeDelivery(c.d, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.CheckPersonal(); err != nil {
			t.Error(err)
		}
		got, _, err := DecodeDelivery(r)
		if err != nil || got.Error != c.d.Error || got.Cause != c.d.Cause || got.Why != c.d.Why {
			t.Errorf("decoded %+v, %v; want %+v", got, err, c.d)
		}
		personal := r.Personal != nil
		r.Forget()
		got, _, err = DecodeDelivery(r)
		err = errors.Join(err, ForgetDelivery(&c.d, r))
		if err != nil || got.Error != c.error || got.Cause != c.cause || c.d.Error != c.error || c.d.Cause != c.cause || got.Why != c.d.Why {
			t.Errorf("forgotten %+v, beside it %+v, %v; want %q, %+v", got, c.d, err, c.error, c.cause)
		}
		if r.Forgotten() != personal {
			t.Errorf("%s: forgotten %t, want %t", r.Leaf, r.Forgotten(), personal)
		}

		e := incident.Event{Incident: 1, Sequence: 1, Type: incident.EventUpdateMissed, Actor: incident.ActorScheduler, Data: incident.Data{Missed: 1, Cause: c.d.Cause}}
		if r, err = EncodeEvent(e); err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeEvent(r); err != nil || got.Data.Cause != c.cause || (r.Salt == nil) != (c.cause.Said == "") || r.CheckPersonal() != nil {
			t.Errorf("event %+v, %v, salt %x", got, err, r.Salt)
		}
	}
}

func TestLoadingLeaf(t *testing.T) {
	for _, l := range []Loading{{Hash: "c0ffee", At: noon, Actor: "ada"}, {Hash: "c0ffee", At: noon, Actor: incident.ActorScheduler}, {Hash: "x", At: noon, Public: "y"}} {
		r, err := EncodeLoading(l)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeLoading(r); err != nil || got != l {
			t.Errorf("decoded %+v, %v; want %+v", got, err, l)
		}
	}
}

// What sitrep loads by itself names nobody. Older leaves hide it as if it were a person,
// and are read all the same.
func TestLoadingsByNoPerson(t *testing.T) {
	for _, actor := range []incident.Actor{incident.ActorStart, incident.ActorSignal} {
		l := Loading{Hash: "c0ffee", At: noon, Actor: actor, Public: "y"}
		r, err := EncodeLoading(l)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Personal) != 0 || len(r.Salt) != 0 || !strings.Contains(string(r.Leaf), `"actor":"`+string(actor)+`"`) {
			t.Errorf("%s is hidden: %s", actor, r.Leaf)
		}
		old := Record{Index: -1}
		if old.Leaf, err = marshal(&loadingLeaf{V: leafVersion, Config: l.Hash, Time: l.At, Actor: old.hide("actor", string(actor)), Public: l.Public}); err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeLoading(old); err != nil || got != l {
			t.Errorf("an older leaf: %+v, %v; want %+v", got, err, l)
		}
	}
}

func TestLeavesOfANewerVersionAreRefused(t *testing.T) {
	r := Record{Leaf: []byte(`{"v":2,"incident":"INC-1"}`)}
	if _, err := DecodeEvent(r); !errors.Is(err, ErrNewer) {
		t.Errorf("event: %v", err)
	}
	if _, _, err := DecodeDelivery(r); !errors.Is(err, ErrNewer) {
		t.Errorf("delivery: %v", err)
	}
	if _, err := DecodeLoading(r); !errors.Is(err, ErrNewer) {
		t.Errorf("loading: %v", err)
	}
}

// What is written by hand is what the library would write.
func TestDataByHandIsAsByTheLibrary(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "\"", "\\", "<&>", "\u2028", "\x7f", "ü"}))
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "µs")).UTC()
	})
	rapid.Check(t, func(t *rapid.T) {
		d := incident.Data{
			Fingerprint: text.Draw(t, "fingerprint"), StartsAt: at.Draw(t, "starts"), Priority: text.Draw(t, "priority"),
			From: text.Draw(t, "from"), To: text.Draw(t, "to"), EscalatedTo: text.Draw(t, "escalated"), Why: incident.Why(text.Draw(t, "why")),
		}
		if rapid.Bool().Draw(t, "ended") {
			d.EndsAt, d.HeardAt = at.Draw(t, "ends"), at.Draw(t, "heard")
		}
		got, err := appendData(nil, &d)
		if err != nil {
			t.Fatal(err)
		}
		want, err := marshal(&d)
		if err != nil || string(got) != string(want) {
			t.Fatalf("\n got %s\nwant %s, %v", got, want, err)
		}
	})
}

// Each field of Data is either written by hand or makes it not plain: one that is
// added and forgotten would be lost.
func TestNoFieldOfDataIsLost(t *testing.T) {
	fields := reflect.TypeFor[incident.Data]()
	for i := range fields.NumField() {
		var d incident.Data
		v := reflect.ValueOf(&d).Elem().Field(i)
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Int, reflect.Int64:
			v.SetInt(7)
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		case reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem())
		case reflect.Struct:
			if _, ok := v.Interface().(time.Time); ok {
				v.Set(reflect.ValueOf(noon))
			} else {
				v.Set(reflect.ValueOf(incident.Cause{Kind: incident.CauseNoneFound}))
			}
		default:
			t.Fatalf("%s: teach this test its kind", fields.Field(i).Name)
		}
		got, err := appendData(nil, &d)
		want, _ := marshal(&d)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: got %s, want %s, %v", fields.Field(i).Name, got, want, err)
		}
	}
}

func TestMalformedRecordsAreErrors(t *testing.T) {
	whole := AppendRecord(nil, Record{Leaf: []byte("{}"), Salt: make([]byte, 16), Personal: map[string]string{"actor": "ada"}})
	for n := range len(whole) - len("{}") {
		if _, err := ParseRecord(whole[:n]); err == nil {
			t.Errorf("%d bytes of %d: no error", n, len(whole))
		}
	}
	for _, leaf := range []string{"", "x", `{"v":1,"incident":"x"}`, `{"v":"1"}`} {
		if _, err := DecodeEvent(Record{Leaf: []byte(leaf)}); err == nil {
			t.Errorf("leaf %q: no error", leaf)
		}
	}
	if _, err := ParseRecord([]byte(strings.Repeat("\xff", 40))); err == nil {
		t.Error("no error")
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(AppendRecord(nil, Record{Leaf: []byte("{}"), Salt: make([]byte, 16), Personal: map[string]string{"actor": "ada"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			return
		}
		again, err := ParseRecord(AppendRecord(nil, r))
		if err != nil || !bytes.Equal(again.Leaf, r.Leaf) || !reflect.DeepEqual(again.Personal, r.Personal) && len(r.Personal) > 0 {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

// What the library writes of a leaf is what encoding/json writes, but for the escapes for HTML.
func TestLeavesAreAsOfEncodingJSON(t *testing.T) {
	d := deliveryLeaf{
		V: 1, Delivery: "a<b>&\u2028\ufffd\x01\"\\", Kind: incident.KindOpened, DueAt: noon, CreatedAt: noon.Add(time.Nanosecond), Cause: incident.Cause{Kind: incident.CauseSaid, Said: "é"},
		Covers: []incident.Cover{{Incident: 1, Owed: []incident.Owed{{Kind: incident.KindOpened, At: noon}}, DueAt: noon, NextBy: noon}, {Pulse: "p", Canary: &incident.CanaryNews{}}},
	}
	for _, v := range []any{&d, &deliveryLeaf{}, &loadingLeaf{V: 1, Config: "<&>", Time: noon}, &incident.Data{Message: "\u2029<", Audiences: []incident.Audience{"a"}, Missed: 3, EndedAt: noon}} {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		if got, err := marshal(v); err != nil || string(got)+"\n" != want.String() {
			t.Errorf("%s, %v, want %s", got, err, &want)
		}
	}
}
