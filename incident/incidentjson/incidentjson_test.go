package incidentjson_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
	"sitrep/incident/incidentjson"
)

// keys returns the names of v's JSON fields, in order.
func keys(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	var names []string
	depth, name := 0, true
	for {
		tok, err := dec.Token()
		if err != nil {
			return strings.Join(names, " ")
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
			name = depth == 1
		case json.Delim('}'), json.Delim(']'):
			depth--
			name = depth == 1
		default:
			if depth == 1 && name {
				names = append(names, tok.(string))
			}
			name = depth == 1 && !name
		}
	}
}

// TestEmptyFormsHaveAllFields: what is not set is null, "", [] or {}, never absent,
// and a list or object is never null.
func TestEmptyFormsHaveAllFields(t *testing.T) {
	tests := []struct {
		name string
		form any
		keys string
		null []string // the fields that are null
	}{
		{
			"incident", incidentjson.FromIncident(&incident.Incident{}, incidentjson.Extras{}),
			"id number slo use_case sli service team labels priority slo_priority audiences state phase escalated_to started_at ended_at " +
				"opened_at acknowledged_at acknowledged_by released_at resolved_at closed_at breaches drill declared merged_into merged_from previous " +
				"last_update_at next_update_at sequence actions links",
			[]string{"acknowledged_at", "closed_at", "ended_at", "last_update_at", "merged_into", "next_update_at", "opened_at", "previous", "released_at", "resolved_at", "started_at"},
		},
		{"event", incidentjson.FromEvent(&incident.Event{}), "incident sequence time type actor reason config data", []string{"time"}},
		{
			"breach", incidentjson.FromBreach(&incident.Breach{}),
			"fingerprint starts_at ends_at state priority labels annotations generator_url heard_at",
			[]string{"ends_at", "heard_at", "starts_at"},
		},
		{
			"unmapped alert", incidentjson.FromUnmapped(&incident.UnmappedAlert{}),
			"fingerprint starts_at labels annotations first_seen_at heard_at incident did_you_mean",
			[]string{"first_seen_at", "heard_at", "incident", "starts_at"},
		},
		{
			"delivery", incidentjson.FromDelivery(&incident.Delivery{}),
			"id incident kind sequence priority audience group channel recipient drill due_at promised_at held sent_at attempts state error why incidents",
			[]string{"due_at", "incident", "promised_at", "sent_at"},
		},
		{"action", incidentjson.Action{}, "name state due_at link reason", []string{"due_at"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := keys(t, tt.form); got != tt.keys {
				t.Errorf("got fields\n%s\nwant\n%s", got, tt.keys)
			}
			b, err := json.Marshal(tt.form)
			if err != nil {
				t.Fatal(err)
			}
			var fields map[string]any
			if err := json.Unmarshal(b, &fields); err != nil {
				t.Fatal(err)
			}
			var null []string
			for name, v := range fields {
				if v == nil {
					null = append(null, name)
				}
			}
			slices.Sort(null)
			if !slices.Equal(null, tt.null) {
				t.Errorf("null are %v, want %v", null, tt.null)
			}
		})
	}
}

func TestTimesAreInUTC(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	in := incident.Incident{Number: 42, OpenedAt: time.Date(2026, 11, 23, 14, 0, 0, 5000, berlin)}
	form := incidentjson.FromIncident(&in, incidentjson.Extras{NextUpdateAt: time.Date(2026, 11, 23, 16, 1, 0, 0, berlin)})
	b, err := json.Marshal(form)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"id":"INC-42"`, `"opened_at":"2026-11-23T13:00:00.000005Z"`, `"next_update_at":"2026-11-23T15:01:00Z"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

func TestLinksAreOfTheWebOnly(t *testing.T) {
	in := incident.Incident{Number: 42, Runbook: "javascript:alert(1)", MergedInto: 41, Previous: 7}
	form := incidentjson.FromIncident(&in, incidentjson.Extras{
		BaseURL: "https://sitrep.example.org/x/",
		Links: []incidentjson.Link{
			{Name: "graph", URL: "http://prometheus.example:9090/graph"},
			{Name: "file", URL: "file:///etc/passwd"},
			{Name: "relative", URL: "/graph"},
			{Name: "empty"},
		},
	})
	var got []string
	for _, l := range form.Links {
		got = append(got, l.Name+" "+l.URL)
	}
	want := []string{
		"incident https://sitrep.example.org/x/incidents/INC-42",
		"merged into INC-41 https://sitrep.example.org/x/incidents/INC-41",
		"previous incident INC-7 https://sitrep.example.org/x/incidents/INC-7",
		"graph http://prometheus.example:9090/graph",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEventDataHoldsWhatItsTypeBrings(t *testing.T) {
	at := time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		data incident.Data
		want string
	}{
		{"nothing", incident.Data{}, `{}`},
		{
			"a breach ended",
			incident.Data{Fingerprint: "f", StartsAt: at, EndsAt: at.Add(time.Minute)},
			`{"fingerprint":"f","starts_at":"2026-11-23T13:00:00Z","ends_at":"2026-11-23T13:01:00Z"}`,
		},
		{"reopened", incident.Data{ResolveAfter: 90 * time.Minute}, `{"resolve_after":"1h30m"}`},
		{"resolved unasked", incident.Data{Why: incident.WhyNobodyAsked}, `{"why":"nobody_asked"}`},
		{"merged", incident.Data{Into: 41}, `{"into":"INC-41"}`},
		{"a breach unknown", incident.Data{Fingerprint: "f", Why: incident.WhyQuiet}, `{"fingerprint":"f","why":"quiet"}`},
		{
			"missed while sitrep was down",
			incident.Data{DueAt: at, Missed: 1, Cause: incident.Cause{Kind: incident.CauseDown, From: at, To: at.Add(time.Hour)}},
			`{"due_at":"2026-11-23T13:00:00Z","missed":1,"cause":"sitrep was down from 2026-11-23T13:00:00Z to 2026-11-23T14:00:00Z","cause_kind":"down",` +
				`"down_from":"2026-11-23T13:00:00Z","down_to":"2026-11-23T14:00:00Z"}`,
		},
		{"missed for what was said", incident.Data{Cause: incident.Cause{Kind: incident.CauseSaid, Said: "451 later"}}, `{"cause":"451 later","cause_kind":"said"}`},
		{"missed, and nobody knows why", incident.Data{Cause: incident.Cause{Kind: incident.CauseNoneFound}}, `{"cause":"none found","cause_kind":"none_found"}`},
		{
			"opened",
			incident.Data{Opening: &incident.Opening{UseCase: "u", Priority: incident.Priority{Name: "P1", UpdateEvery: time.Hour}, ResolveAfter: 10 * time.Minute, Previous: 3}},
			`{"opening":{"slo":"","use_case":"u","sli":"","service":"","team":"","labels":{},"stakeholders":[],"priority":"P1","slo_priority":"",` +
				`"resolve_after":"10m","drill":false,"declared":false,"unmapped":false,"previous":"INC-3"}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := json.Marshal(incidentjson.FromEvent(&incident.Event{Data: tt.data}).Data)
			if err != nil {
				t.Fatal(err)
			}
			if string(b) != tt.want {
				t.Errorf("got  %s\nwant %s", b, tt.want)
			}
		})
	}
}

func TestReasonsAreInWords(t *testing.T) {
	for want, e := range map[string]incident.Event{
		"":                                     {Type: incident.EventAcknowledged},
		"only one region":                      {Type: incident.EventPriorityChanged, Actor: "ada", Reason: "only one region"},
		"the SLO's priority is P1":             {Type: incident.EventPriorityChanged, Data: incident.Data{To: "P1", Why: incident.WhySLOPriority}},
		"merged into INC-41":                   {Type: incident.EventClosed, Actor: "ada", Data: incident.Data{Into: 41, Why: incident.WhyMerged}},
		"no action is due":                     {Type: incident.EventClosed, Data: incident.Data{Why: incident.WhyNothingDue}},
		"an alert fires":                       {Type: incident.EventReopened, Data: incident.Data{Why: incident.WhyBreachStarted}},
		"nothing was heard of it for too long": {Type: incident.EventBreachUnknown, Data: incident.Data{Why: incident.WhyQuiet}},
	} {
		if got := incidentjson.FromEvent(&e); got.Reason != want || got.Data.Why != e.Data.Why {
			t.Errorf("%s: reason %q and code %q, want %q", e.Type, got.Reason, got.Data.Why, want)
		}
	}
	d := incidentjson.FromDelivery(&incident.Delivery{State: incident.DeliverySuperseded, Why: incident.WhyNotConfigured})
	if d.Error != "the recipient is no longer configured" || d.Why != incident.WhyNotConfigured {
		t.Errorf("got %+v", d)
	}
}

func TestDeliveryNamesAllThatItTells(t *testing.T) {
	d := incidentjson.FromDelivery(&incident.Delivery{
		Incident: 42, Address: "https://hooks.example.org", Recipient: "webhook:0123",
		Covers: []incident.Cover{{Incident: 42}, {Incident: 7}},
	})
	if *d.Incident != "INC-42" || d.Recipient != "https://hooks.example.org" || !slices.Equal(d.Incidents, []string{"INC-42", "INC-7"}) {
		t.Errorf("got %+v", d)
	}
}

func TestDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"": 0, "90ms": 90 * time.Millisecond, "1m30s": 90 * time.Second, "5d": 5 * 24 * time.Hour, "1d2h": 26 * time.Hour,
	} {
		if got := incidentjson.Duration(d); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
