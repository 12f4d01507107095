package api_test

import (
	"fmt"
	"testing"
	"time"

	"sitrep/api"
	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/storage"
)

func TestTheNextUpdateIsTheNextTryOfWhatIsRefused(t *testing.T) {
	f := newFixture(t)
	n := f.breach("log on", "a")
	// All openings were refused, and are tried again in 20 minutes.
	retry := f.clock.Now().Add(20 * time.Minute)
	f.write(func(tx storage.Tx) error {
		subs, err := storage.SubscriptionsOf(t.Context(), tx, n)
		if err != nil {
			return err
		}
		for i, sub := range subs {
			d := incident.Delivery{
				ID: fmt.Sprintf("late%d", i), Incident: n, Kind: incident.KindOpened, Audience: sub.Audiences[0], Group: sub.Groups[0],
				Channel: incident.ChannelEmail, Recipient: sub.Recipient, Address: "someone", DueAt: f.clock.Now(), CreatedAt: f.clock.Now(), Attempts: 1,
				State: incident.DeliveryPending, Replan: true, RefusedAt: f.clock.Now(), RetryAt: retry, Error: "451 later",
				Covers: []incident.Cover{{Incident: n, Kind: incident.KindOpened, Reader: sub.Reader}},
			}
			if err := tx.PutDelivery(t.Context(), &d, nil); err != nil {
				return err
			}
		}
		return nil
	})
	promised := f.clock.Now().Add(time.Minute)
	check := func(what string, in *incidentjson.Incident, late bool) {
		t.Helper()
		if at := in.NextUpdateAt; at == nil || at.Before(retry) || at.Sub(retry) > 2*time.Minute {
			t.Errorf("%s: next update at %v, and it is tried at %v", what, at, retry)
		}
		if since := in.UpdateLateSince; (since != nil) != late || late && !since.Equal(promised) {
			t.Errorf("%s: late since %v", what, since)
		}
	}
	for _, late := range []bool{false, true} {
		var one incidentjson.Incident
		f.get(path(n, ""), &one)
		check("one", &one, late)
		var list struct {
			Incidents []incidentjson.Incident `json:"incidents"`
			Next      *string                 `json:"next"`
		}
		f.get("/api/v1/incidents", &list)
		check("list", &list.Incidents[0], late)
		answer := f.post(path(n, "/acknowledge"), "")
		check("the answer to a command", &answer, late)
		var p api.Preview
		f.decode(f.send("responder", "POST", path(n, "/updates?preview=true"), `{"message":"We know.","audiences":["stakeholders"]}`), &p)
		if at := p.NextUpdateAt; at == nil || at.Before(retry) || len(p.Messages) == 0 || !p.Messages[0].DueAt.Equal(retry) {
			t.Errorf("preview: %v %+v", at, p.Messages)
		}
		f.clock.Pass(10 * time.Minute)
	}
}
