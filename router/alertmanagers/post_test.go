package alertmanagers_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/router/alertmanagers"
)

func TestTheCanaryIsPostedToAll(t *testing.T) {
	var bodies []string
	takes := peer{handler: func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+string(b))
	}}
	refuses := peer{handler: func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no alerts today "+strings.Repeat("x", 1<<20), http.StatusForbidden)
	}}
	dead := alertmanagers.Endpoint{URL: "http://ada:secret@127.0.0.1:1/prefix"}
	began := day(t, "13:00:00")
	for _, c := range []struct {
		name  string
		to    []alertmanagers.Endpoint
		taken int
		says  string
	}{
		{"one takes it", []alertmanagers.Endpoint{serve(t, takes)}, 1, ""},
		{"one of three takes it", []alertmanagers.Endpoint{serve(t, refuses), serve(t, takes), dead}, 1, "answered 403 Forbidden: no alerts today"},
		{"none takes it", []alertmanagers.Endpoint{dead}, 0, `post the canary to Alertmanager "http://127.0.0.1:1"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bodies = nil
			p := alertmanagers.NewPoster(c.to, map[string]string{"sloth_id": "canary"}, "https://sitrep.example.org")
			taken, err := p.Post(t.Context(), "RUN", began, began.Add(10*time.Minute))
			if taken != c.taken || (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") || len(err.Error()) > 2500) {
				t.Errorf("taken by %d, %v", taken, err)
			}
			if c.taken == 0 {
				return
			}
			text, found := strings.CutPrefix(bodies[0], "POST /am/api/v2/alerts application/json ")
			var alerts []struct {
				Labels           map[string]string
				StartsAt, EndsAt time.Time
				GeneratorURL     string
			}
			if err := json.Unmarshal([]byte(text), &alerts); !found || err != nil || len(alerts) != 1 {
				t.Fatalf("posted %s, %v", bodies[0], err)
			}
			a := alerts[0]
			if len(a.Labels) != 3 || a.Labels["alertname"] != incident.CanaryAlert || a.Labels[incident.CanaryLabel] != "RUN" || a.Labels["sloth_id"] != "canary" ||
				!a.StartsAt.Equal(began) || !a.EndsAt.Equal(began.Add(10*time.Minute)) || a.GeneratorURL != "https://sitrep.example.org" {
				t.Errorf("posted %+v", a)
			}
		})
	}
}
