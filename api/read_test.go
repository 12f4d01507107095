package api_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/api"
	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/internal/access"
	"sitrep/storage"
)

func TestEachRouteAsksForItsRole(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")
	roles := map[string]access.Role{"": "", "receiver": access.Receiver, "viewer": access.Viewer, "responder": access.Responder, "admin": access.Admin}
	for _, route := range f.api.Routes() {
		if route.Summary == "" || route.Answer == nil && len(route.Media) == 0 || route.Method == "POST" && route.Body == nil {
			t.Errorf("%s %s is not described", route.Method, route.Path)
		}
		path := strings.NewReplacer("{id}", "INC-1", "{name}", "hotfix").Replace(route.Path)
		for token, role := range roles {
			w := f.send(token, route.Method, path, "")
			var want bool
			switch {
			case token == "":
				want = w.Code == 401
			case !role.May(route.Role):
				want = w.Code == 403
			default:
				want = w.Code != 401 && w.Code != 403 && w.Code < 500
			}
			if !want {
				t.Errorf("%s %s as %q: %d %s", route.Method, path, token, w.Code, w.Body)
			}
		}
	}
}

func TestWhatIsNoRoute(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/api", "/api/", "/api/v1", "/api/v2/incidents", "/api/v1/incidents/", "/api/v1//incidents", "/api/v1/incidents/INC-1/nothing", "/api/v1/incidents/../status"} {
		f.refused(f.send("viewer", "GET", path, ""), 404, "the API has no")
	}
	w := f.send("viewer", "DELETE", "/api/v1/incidents", "")
	f.refused(w, 405, "DELETE is not possible here; use GET or HEAD or POST")
	if allow := w.Header().Get("Allow"); allow != "GET, HEAD, POST" {
		t.Errorf("Allow = %q", allow)
	}
	if w := f.send("viewer", "HEAD", "/api/v1/incidents", ""); w.Code != 200 {
		t.Errorf("HEAD: %d", w.Code)
	}
}

func TestWrongQueriesSayWhatWouldBeRight(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")
	for _, tt := range []struct {
		path   string
		status int
		words  string
	}{
		{"/api/v1/incidents?stat=open", 400, `unknown parameter "stat"; use state, priority, team, slo, q, limit or cursor`},
		{"/api/v1/incidents?state=broken", 400, `state "broken": use open, resolved or closed`},
		{"/api/v1/incidents?state=open&state=closed", 400, `parameter "state" is there 2 times`},
		{"/api/v1/incidents?priority=P0", 400, `priority "P0": use P1, P2 or P3`},
		{"/api/v1/incidents?team=nobody", 400, `team "nobody": use mail or web`},
		{"/api/v1/incidents?slo=none", 400, `there is no SLO "none"`},
		{"/api/v1/incidents?limit=0", 400, `limit "0": use a number from 1 to 1000`},
		{"/api/v1/incidents?limit=1001", 400, "1 to 1000"},
		{"/api/v1/incidents?cursor=nonsense", 400, "cursor"},
		{"/api/v1/incidents?q=%zz", 400, "the query cannot be read"},
		{"/api/v1/incidents/42", 400, `"42" is not an incident; write it as INC-42`},
		{"/api/v1/incidents/INC-42", 404, "there is no incident INC-42"},
		{"/api/v1/incidents/INC-1?x=1", 400, `unknown parameter "x"; this takes none`},
		{"/api/v1/incidents/INC-42/events", 404, "there is no incident INC-42"},
		{"/api/v1/incidents/INC-1/events?cursor=x", 400, `cursor "x" is not from here`},
		{"/api/v1/incidents/INC-42/breaches", 404, "there is no incident INC-42"},
		{"/api/v1/incidents/INC-1/breaches?cursor=7.", 400, `cursor "7." is not from here`},
		{"/api/v1/incidents/INC-42/deliveries", 404, "there is no incident INC-42"},
		{"/api/v1/deliveries?state=lost", 400, "use pending, delivered, failed or superseded"},
		{"/api/v1/deliveries?kind=lost", 400, "use left, resolved"},
		{"/api/v1/deliveries?channel=pigeon", 400, "use email or webhook"},
		{"/api/v1/deliveries?group=suport", 400, "group \"suport\": use "},
		{"/api/v1/deliveries?from=yesterday", 400, "write a day"},
		{"/api/v1/deliveries?from=2026-03-03&to=2026-03-02", 400, "is not before"},
		{"/api/v1/deliveries?incident=INC-42", 404, "there is no incident INC-42"},
		{"/api/v1/slos?team=nobody", 400, `team "nobody"`},
	} {
		t.Run(tt.path, func(t *testing.T) {
			f.t = t
			f.refused(f.send("viewer", "GET", tt.path, ""), tt.status, tt.words)
		})
	}
}

func TestIncidentsAreListedAndFound(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")
	f.clock.Pass(time.Minute)
	f.breach("log on", "b")
	f.clock.Pass(time.Minute)
	f.breach("search", "c")
	if w := f.send("ada", "POST", path(3, "/resolve"), `{"note":"x"}`); w.Code != 401 {
		t.Fatalf("a wrong token: %d", w.Code)
	}
	if w := f.send("responder", "POST", path(3, "/resolve"), `{"note":"a typo in the rule"}`); w.Code != 200 {
		t.Fatalf("resolve: %d %s", w.Code, w.Body)
	}
	for query, want := range map[string]string{
		"":                       "INC-3 INC-2 INC-1",
		"?state=open":            "INC-2 INC-1",
		"?state=resolved":        "INC-3",
		"?state=closed":          "",
		"?priority=P1":           "INC-2",
		"?team=web":              "INC-3 INC-2",
		"?team=web&state=open":   "INC-2",
		"?slo=send":              "INC-1",
		"?q=LOG+ON":              "INC-2",
		"?q=inc-1":               "INC-1",
		"?q=TYPO+rule":           "INC-3", // what people wrote
		"?q=typo&state=open":     "",
		"?state=&priority=&q=":   "INC-3 INC-2 INC-1",
		"?q=nothing+of+the+kind": "",
	} {
		var page api.IncidentPage
		f.get("/api/v1/incidents"+query, &page)
		var got []string
		for _, in := range page.Incidents {
			got = append(got, in.ID)
		}
		if strings.Join(got, " ") != want || page.Next != "" {
			t.Errorf("%q: %v and next %q, want %s", query, got, page.Next, want)
		}
	}

	// Page by page it is the same.
	var got []string
	cursor := ""
	for range 4 {
		var page api.IncidentPage
		f.get("/api/v1/incidents?limit=1&cursor="+cursor, &page)
		for _, in := range page.Incidents {
			got = append(got, in.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if strings.Join(got, " ") != "INC-3 INC-2 INC-1" {
		t.Errorf("page by page: %v", got)
	}
}

func TestOneIncident(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	var in incidentjson.Incident
	header := f.get("/api/v1/incidents/inc-1", &in)
	if got := header.Get("ETag"); got != fmt.Sprintf("%q", fmt.Sprint(in.Sequence)) || in.Sequence != 2 {
		t.Errorf("ETag %s at sequence %d", got, in.Sequence)
	}
	// The opening is not handed over yet, so what it will promise counts.
	if in.NextUpdateAt == nil || in.NextUpdateAt.Sub(start) < 2*time.Hour || in.NextUpdateAt.Sub(start) > 2*time.Hour+2*time.Minute {
		t.Errorf("next update at %v", in.NextUpdateAt)
	}
	if in.State != "open" || in.Priority != "P1" || in.Breaches.Firing != 1 || len(in.Actions) != 2 || len(in.Audiences) != 2 ||
		in.Links[0].URL != "https://sitrep.example.org/incidents/INC-1" || in.Breaches.LastHeardAt == nil {
		t.Errorf("incident = %+v", in)
	}
	w := f.send("viewer", "GET", "/api/v1/incidents/INC-1", "")
	for _, want := range []string{`"ended_at":null`, `"merged_into":null`, `"labels":{}`, `"opened_at":"2026-03-02T09:00:00Z"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in %s", want, w.Body)
		}
	}
}

func TestEventsComeInPages(t *testing.T) {
	f := newFixture(t)
	for i := range 5 {
		f.breach("send", fmt.Sprint(i))
	}
	var all api.EventPage
	f.get(path(1, "/events"), &all)
	if len(all.Events) != 6 || all.Next != "" || all.Events[0].Type != incident.EventOpened || all.Events[5].Type != incident.EventBreachStarted {
		t.Fatalf("events = %+v", all)
	}
	var got []int64
	cursor := ""
	for range 4 {
		var page api.EventPage
		f.get(path(1, "/events?limit=2&cursor="+cursor), &page)
		for _, e := range page.Events {
			got = append(got, e.Sequence)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if !slices.Equal(got, []int64{1, 2, 3, 4, 5, 6}) {
		t.Errorf("sequences = %v", got)
	}
}

func TestBreachesOfMergedIncidentsAreAmongThem(t *testing.T) {
	f := newFixture(t)
	for i := range 3 {
		f.breach("send", fmt.Sprint("send", i))
		f.breach("search", fmt.Sprint("search", i))
		f.breach("log on", fmt.Sprint("log on", i))
	}
	for from, into := range map[int64]string{2: "INC-1", 3: "INC-1"} {
		if w := f.send("responder", "POST", path(from, "/merge"), fmt.Sprintf(`{"into":%q,"reason":"the same disk"}`, into)); w.Code != 200 {
			t.Fatalf("merge: %d %s", w.Code, w.Body)
		}
	}
	for limit := 1; limit <= 10; limit++ {
		var got []string
		cursor, pages := "", 0
		for {
			var page api.BreachPage
			f.get(path(1, fmt.Sprintf("/breaches?limit=%d&cursor=%s", limit, cursor)), &page)
			for _, b := range page.Breaches {
				got = append(got, b.Fingerprint)
			}
			pages++
			if cursor = page.Next; cursor == "" {
				break
			}
			if len(page.Breaches) != limit {
				t.Fatalf("a page of %d in the middle, want %d", len(page.Breaches), limit)
			}
		}
		slices.Sort(got)
		if want := "log on0 log on1 log on2 search0 search1 search2 send0 send1 send2"; strings.Join(got, " ") != want || pages > 10/limit+1 {
			t.Errorf("limit %d: %v in %d pages", limit, got, pages)
		}
	}
}

func TestDeliveries(t *testing.T) {
	f := newFixture(t)
	f.breach("send", "a")
	f.breach("search", "b")
	f.write(func(tx storage.Tx) error {
		for i, d := range []incident.Delivery{
			{ID: "d1", Incident: 1, State: incident.DeliveryDelivered, SentAt: start},
			{ID: "d2", Incident: 1, State: incident.DeliveryFailed, Error: "550 no such user"},
			{ID: "d3", Incident: 2, State: incident.DeliveryPending},
		} {
			d.Kind, d.Sequence, d.Audience, d.Group, d.Channel = incident.KindOpened, 2, incident.AudienceStakeholders, "support", incident.ChannelEmail
			d.Recipient, d.Address = "email:support@example.org", "support@example.org"
			d.DueAt, d.CreatedAt = start.Add(time.Duration(i)*time.Hour), start.Add(time.Duration(i)*time.Second)
			if i == 2 {
				d.Kind, d.Group, d.Channel = incident.KindUpdate, "notifications", incident.ChannelWebhook
			}
			d.Covers = []incident.Cover{{Incident: d.Incident, Kind: d.Kind, Sequence: 2}}
			if err := tx.PutDelivery(t.Context(), &d, nil); err != nil {
				return err
			}
		}
		return nil
	})
	for path, want := range map[string]string{
		"/api/v1/deliveries":                                  "d3 d2 d1",
		"/api/v1/deliveries?state=failed":                     "d2",
		"/api/v1/deliveries?incident=INC-1":                   "d2 d1",
		"/api/v1/incidents/INC-1/deliveries":                  "d2 d1",
		"/api/v1/incidents/INC-1/deliveries?limit=1":          "d2 +",
		"/api/v1/incidents/INC-2/deliveries?state=pending":    "d3",
		"/api/v1/incidents/INC-2/deliveries?state=superseded": "",
		"/api/v1/deliveries?recipient=support@example.org":    "d3 d2 d1",
		"/api/v1/deliveries?recipient=nobody@example.org":     "",
		"/api/v1/deliveries?group=support":                    "d2 d1",
		"/api/v1/deliveries?group=support&limit=1":            "d2 +",
		"/api/v1/deliveries?group=leadership":                 "",
		"/api/v1/deliveries?kind=update":                      "d3",
		"/api/v1/deliveries?channel=email&state=delivered":    "d1",
		"/api/v1/deliveries?from=2026-03-02T10:00:00Z":        "d3 d2",
		"/api/v1/deliveries?to=2026-03-02T10:00:00Z":          "d1",
		"/api/v1/deliveries?from=2026-03-02&to=2026-03-03":    "d3 d2 d1",
		"/api/v1/incidents/INC-1/deliveries?kind=update":      "",
		"/api/v1/incidents/INC-1/deliveries?group=support":    "d2 d1",
	} {
		var page api.DeliveryPage
		f.get(path, &page)
		var got []string
		for _, d := range page.Deliveries {
			got = append(got, d.ID)
			if d.Recipient != "support@example.org" {
				t.Errorf("recipient = %q", d.Recipient)
			}
		}
		if page.Next != "" {
			got = append(got, "+")
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", path, got, want)
		}
	}
}

// What is looked for in vain is looked for so long; then the page says where to go on.
func TestAPageOfDeliveriesEndsWhereNoneFit(t *testing.T) {
	f := newFixture(t)
	for i := range 12 {
		f.write(func(tx storage.Tx) error {
			for k := range storage.DeliveriesLooked {
				id := fmt.Sprint(i, ".", k)
				d := incident.Delivery{
					ID: id, Kind: incident.KindWatchdog, Recipient: "email:" + id, Audience: incident.AudienceStakeholders, Group: "support",
					Channel: incident.ChannelEmail, State: incident.DeliveryPending, DueAt: start, CreatedAt: start,
				}
				if i+k == 0 {
					d.Kind = incident.KindLeft
				}
				if err := tx.PutDelivery(t.Context(), &d, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	found, pages := 0, 0
	for cursor := ""; pages == 0 || cursor != ""; pages++ {
		var page api.DeliveryPage
		f.get("/api/v1/deliveries?kind=left&cursor="+cursor, &page)
		found += len(page.Deliveries)
		cursor = page.Next
	}
	if found != 1 || pages != 2 {
		t.Errorf("found %d on %d pages", found, pages)
	}
}

func TestTheCatalog(t *testing.T) {
	f := newFixture(t)
	var priorities api.Priorities
	f.get("/api/v1/priorities", &priorities)
	if len(priorities.Priorities) != 3 || priorities.Priorities[0].UpdateEvery != "2h" || priorities.Priorities[0].Actions[1].Within != "5d" || priorities.Priorities[2].Criteria == nil {
		t.Errorf("priorities = %+v", priorities)
	}
	var slos api.SLOs
	f.get("/api/v1/slos", &slos)
	if len(slos.SLOs) != 3 || slos.SLOs[1].ID != "log on" || slos.SLOs[1].LastClaimedAt != nil || slos.SLOs[1].LastIncident != nil {
		t.Errorf("slos = %+v", slos)
	}
	n := incident.ID(f.breach("log on", "claimed"))
	f.get("/api/v1/slos", &slos)
	if s := slos.SLOs[1]; s.LastClaimedAt == nil || !s.LastClaimedAt.Equal(f.clock.Now()) || s.LastIncident == nil || *s.LastIncident != n || slos.SLOs[0].LastClaimedAt != nil {
		t.Errorf("slos = %+v", slos)
	}
	f.get("/api/v1/slos?team=web", &slos)
	if len(slos.SLOs) != 2 {
		t.Errorf("slos of web = %+v", slos)
	}
	f.write(func(tx storage.Tx) error {
		return tx.PutUnmapped(t.Context(), []*incident.UnmappedAlert{
			{Fingerprint: "1", StartsAt: start, FirstSeenAt: start, HeardAt: start, Labels: map[string]string{"alertname": "DiskFull", "sitrep_slo": "serch"}},
			{Fingerprint: "2", StartsAt: start, FirstSeenAt: start, HeardAt: start, Incident: 4},
		}, nil)
	})
	var unmapped api.UnmappedPage
	f.get("/api/v1/unmapped", &unmapped)
	if len(unmapped.Alerts) != 2 || unmapped.Alerts[0].Labels["alertname"] != "DiskFull" || unmapped.Alerts[0].Incident != nil || unmapped.Alerts[0].DidYouMean != "search" || unmapped.Alerts[1].DidYouMean != "" || *unmapped.Alerts[1].Incident != "INC-4" {
		t.Errorf("unmapped = %+v", unmapped)
	}
}

func TestStatus(t *testing.T) {
	f := newFixture(t)
	f.breach("log on", "a")
	f.policy.Watchdog = incident.Watchdog{Within: time.Hour, By: []string{"cluster"}}
	eu := map[string]string{"cluster": "eu"}
	f.write(func(tx storage.Tx) error {
		return errors.Join(
			tx.PutPulses(t.Context(), []incident.Pulse{{HeardAt: start}}, nil), // of a configuration before
			tx.PutPulses(t.Context(), []incident.Pulse{{Name: `cluster="eu"`, Labels: eu, HeardAt: start}}, nil),
			storage.PutRefusal(t.Context(), tx, storage.Refusal{At: start, Status: 413, Client: "alertmanager", Reason: "too large"}),
			storage.PutOutage(t.Context(), tx, storage.Outage{From: start.Add(-time.Hour), To: start}),
			tx.PutAlive(t.Context(), storage.Replica{Owner: "b", Instance: "b:9098", Skew: 2500 * time.Millisecond, Uncertainty: time.Millisecond, SeenAt: start}),
			tx.PutAlive(t.Context(), storage.Replica{Owner: "a", Instance: "a:9098", Version: "1.2.3", StartedAt: start, Config: "c0ffee", ConfigSince: start, Skew: -time.Second, SeenAt: start}),
		)
	})
	f.clock.Pass(time.Minute)
	var s api.Status
	f.get("/api/v1/status", &s)
	if s.Versions.Sitrep != "1.2.3" || s.Storage.Engine != "bbolt" || s.Config.State != "ok" || s.Open["P1"] != 1 || s.Open["P3"] != 0 || len(s.Open) != 3 ||
		s.Backlog.Due != 3 || !s.Backlog.OldestDueAt.Equal(start) || !s.Watchdog.Expected || len(s.Watchdog.Pulses) != 1 ||
		len(s.Refusals) != 1 || len(s.Outages) != 1 || s.Ambiguities == nil {
		t.Errorf("status = %+v", s)
	}
	if len(s.Replicas) != 2 || s.Replicas[0].Instance != "a:9098" || s.Replicas[0].Clock.SkewSeconds != -1 || s.Replicas[0].Clock.Wrong || !s.Replicas[0].ConfigSince.Equal(start) ||
		!s.Replicas[1].Clock.Wrong || s.Replicas[1].StartedAt != nil || !s.Replicas[1].SeenAt.Equal(start) {
		t.Errorf("replicas = %+v", s.Replicas)
	}
	if p := s.Watchdog.Pulses[0]; p.Name != `cluster="eu"` || !maps.Equal(p.Labels, eu) || !p.HeardAt.Equal(start) || p.AwaySince != nil {
		t.Errorf("pulse = %+v", p)
	}
}

// deaf is a store that does not answer, or not as it should.
type deaf struct {
	storage.Store
	err  error
	slow time.Time
	full error
	hang bool
}

func (d *deaf) Read(ctx context.Context, fn func(storage.Snapshot) error) error {
	if d.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if d.err != nil {
		return d.err
	}
	return d.Store.Read(ctx, fn)
}

func (d *deaf) Info(ctx context.Context) (storage.Info, error) {
	info, err := d.Store.Info(ctx)
	info.Slow, info.Trouble = d.slow, d.full
	return info, err
}

func TestAStoreThatIsUnavailableIs503(t *testing.T) {
	f := newFixture(t)
	f.api.Repo.Store = &deaf{Store: f.store, err: fmt.Errorf("read: %w", storage.ErrUnavailable)}
	f.refused(f.send("viewer", "GET", "/api/v1/incidents", ""), 503, "try again: read: storage unavailable")
	f.api.Repo.Store = &deaf{Store: f.store, err: errors.New("page 3 is torn")}
	f.refused(f.send("viewer", "GET", "/api/v1/incidents", ""), 500, "internal error")
}
