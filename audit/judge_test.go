package audit_test

import (
	"testing"
	"time"

	"sitrep/audit"
	"sitrep/incident"
)

func TestJudge(t *testing.T) {
	promised := noon.Add(time.Minute)
	refused := []incident.Owed{{Kind: incident.KindOpened, Reason: incident.DueJoined, At: noon, Refused: 1}}
	for name, c := range map[string]struct {
		delivery incident.Delivery
		cover    incident.Cover
		now      time.Time
		want     audit.Outcome
	}{
		"handed over at the last moment is on time":                     {incident.Delivery{State: incident.DeliveryDelivered, SentAt: promised}, incident.Cover{Kind: incident.KindUpdate}, noon, audit.OnTime},
		"a moment later is late":                                        {incident.Delivery{State: incident.DeliveryDelivered, SentAt: promised.Add(1)}, incident.Cover{Kind: incident.KindUpdate}, noon, audit.Late},
		"after a quiet time it was held":                                {incident.Delivery{State: incident.DeliveryDelivered, SentAt: noon}, incident.Cover{Kind: incident.KindUpdate, Deferred: true}, noon, audit.Held},
		"held and then late is late":                                    {incident.Delivery{State: incident.DeliveryDelivered, SentAt: promised.Add(1)}, incident.Cover{Kind: incident.KindUpdate, Deferred: true}, noon, audit.Late},
		"refused for good is missed":                                    {incident.Delivery{State: incident.DeliveryFailed}, incident.Cover{Kind: incident.KindOpened}, noon, audit.Missed},
		"a late first message that says it is over is missed":           {incident.Delivery{State: incident.DeliveryDelivered, SentAt: promised.Add(1)}, incident.Cover{Kind: incident.KindResolved, First: true}, noon, audit.Missed},
		"a first message that says it is over in time is on time":       {incident.Delivery{State: incident.DeliveryDelivered, SentAt: noon}, incident.Cover{Kind: incident.KindResolved, First: true}, noon, audit.OnTime},
		"a farewell to somebody who was never told is missed":           {incident.Delivery{State: incident.DeliveryDelivered, SentAt: noon}, incident.Cover{Kind: incident.KindLeft, First: true}, noon, audit.Missed},
		"a farewell to somebody whose opening was refused is an update": {incident.Delivery{State: incident.DeliveryDelivered, SentAt: noon}, incident.Cover{Kind: incident.KindLeft, First: true, Owed: refused}, noon, audit.OnTime},
		"a late end to somebody whose opening was refused is late":      {incident.Delivery{State: incident.DeliveryDelivered, SentAt: promised.Add(1)}, incident.Cover{Kind: incident.KindResolved, First: true, Owed: refused}, noon, audit.Late},
		"a late first message that says it opened is late":              {incident.Delivery{State: incident.DeliveryDelivered, SentAt: promised.Add(1)}, incident.Cover{Kind: incident.KindOpened, First: true}, noon, audit.Late},
		"on its way it says nothing":                                    {incident.Delivery{State: incident.DeliveryPending}, incident.Cover{Kind: incident.KindOpened}, promised, ""},
		"on its way for too long is late":                               {incident.Delivery{State: incident.DeliveryPending}, incident.Cover{Kind: incident.KindOpened}, promised.Add(1), audit.Late},
		"given up it does not count":                                    {incident.Delivery{State: incident.DeliverySuperseded}, incident.Cover{Kind: incident.KindOpened}, promised.Add(1), ""},
	} {
		if got := audit.Judge(&c.delivery, &c.cover, promised, c.now); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestThePromiseOfTheMessageBeforeBinds(t *testing.T) {
	p := audit.Promises{}
	first := &incident.Delivery{Recipient: "a", State: incident.DeliveryDelivered}
	p.Note(first, &incident.Cover{Kind: incident.KindOpened, NextDueAt: noon, NextBy: noon.Add(time.Minute)})
	p.Note(first, &incident.Cover{Kind: incident.KindReminder}) // a reminder promises nothing
	later := noon.Add(time.Hour)
	for name, c := range map[string]struct {
		recipient string
		kind      incident.Kind
		want      time.Time
	}{
		"an update that became due later": {"a", incident.KindUpdate, noon.Add(time.Minute)},
		"a farewell":                      {"a", incident.KindLeft, noon.Add(time.Minute)},
		"the end is news of its own":      {"a", incident.KindResolved, later},
		"a reminder is no update":         {"a", incident.KindReminder, later},
		"another reader":                  {"b", incident.KindUpdate, later},
	} {
		if got := p.For(&incident.Delivery{Recipient: c.recipient}, &incident.Cover{Kind: c.kind, Promised: later}); !got.Equal(c.want) {
			t.Errorf("%s: by %v, want %v", name, got, c.want)
		}
	}
	// Readers whose addresses were forgotten are told apart by their numbers.
	one := &incident.Delivery{Recipient: incident.Forgotten, State: incident.DeliveryDelivered}
	p.Note(one, &incident.Cover{Reader: 1, Kind: incident.KindOpened, NextDueAt: noon, NextBy: noon.Add(time.Minute)})
	for reader, want := range map[int]time.Time{1: noon.Add(time.Minute), 2: later} {
		if got := p.For(one, &incident.Cover{Reader: reader, Kind: incident.KindUpdate, Promised: later}); !got.Equal(want) {
			t.Errorf("reader %d: by %v, want %v", reader, got, want)
		}
	}
	p.Note(&incident.Delivery{Recipient: "a", State: incident.DeliveryFailed}, &incident.Cover{Kind: incident.KindUpdate})
	if got := p.For(first, &incident.Cover{Kind: incident.KindUpdate, Promised: later}); !got.Equal(later) {
		t.Errorf("after one that was refused: by %v, want %v", got, later)
	}
}
