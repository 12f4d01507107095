package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sitrep/incident"
	"sitrep/incident/incidentjson"
	"sitrep/internal/access"
	"sitrep/storage"
)

// The forms of pages. Next is empty on the last one.
type (
	// An IncidentPage is a page of incidents, the latest first.
	IncidentPage struct {
		Incidents []incidentjson.Incident `json:"incidents"`
		Next      string                  `json:"next"`
	}
	// An EventPage is a page of an incident's events, the oldest first.
	EventPage struct {
		Events []incidentjson.Event `json:"events"`
		Next   string               `json:"next"`
	}
	// A BreachPage is a page of an incident's breaches, in order of arrival.
	BreachPage struct {
		Breaches []incidentjson.Breach `json:"breaches"`
		Next     string                `json:"next"`
	}
	// A DeliveryPage is a page of deliveries, the latest first.
	DeliveryPage struct {
		Deliveries []incidentjson.Delivery `json:"deliveries"`
		Next       string                  `json:"next"`
	}
)

func (h *Handler) reading() []Route {
	const one = "/api/v1/incidents/{id}"
	deliveryFilters := []Parameter{
		{Name: "state", Summary: "how far they got", Values: enums[reflect.TypeFor[incident.DeliveryState]()]},
		{Name: "recipient", Summary: "the recipient, as it is shown: an email address, or scheme and host of a webhook"},
		{Name: "group", Summary: "the name of the group; of those on call, of the team"},
		{Name: "kind", Summary: "what they are for", Values: enums[reflect.TypeFor[incident.Kind]()]},
		{Name: "channel", Summary: "how they are sent", Values: enums[reflect.TypeFor[incident.Channel]()]},
		{Name: "from", Summary: "those with due_at then or later: a day, as 2026-07-01, or a time as in RFC 3339"},
		{Name: "to", Summary: "those with due_at before: a day, or a time"},
	}
	return append([]Route{
		{
			Method: http.MethodGet, Path: "/api/v1/incidents", Role: access.Viewer,
			Summary: "Incidents, the latest first.",
			Query: append([]Parameter{
				{Name: "state", Summary: "where they stand", Values: enums[reflect.TypeFor[incident.State]()]},
				{Name: "priority", Summary: "the name of the priority that they have now"},
				{Name: "team", Summary: "the name of the team"},
				{Name: "slo", Summary: "the id of the SLO"},
				{Name: "q", Summary: "words that all stand in id, use case, service, team, SLO, label values or what people wrote, without regard to case"},
			}, paging...),
			Answer: IncidentPage{}, Handler: h.listIncidents,
		},
		{
			Method: http.MethodGet, Path: one, Role: access.Viewer,
			Summary: "One incident. Its ETag is for If-Match of commands.",
			Answer:  incidentjson.Incident{}, Handler: h.getIncident,
		},
		{
			Method: http.MethodGet, Path: one + "/events", Role: access.Viewer,
			Summary: "What happened to an incident, the oldest first.",
			Query:   paging, Answer: EventPage{}, Handler: h.listEvents,
		},
		{
			Method: http.MethodGet, Path: one + "/breaches", Role: access.Viewer,
			Summary: "The breaches of an incident and of those merged into it.",
			Query:   paging, Answer: BreachPage{}, Handler: h.listBreaches,
		},
		{
			Method: http.MethodGet, Path: one + "/deliveries", Role: access.Viewer,
			Summary: "Who was told of an incident when, the latest first.",
			Query:   slices.Concat(deliveryFilters, paging), Answer: DeliveryPage{}, Handler: h.listDeliveries,
		},
		{
			Method: http.MethodGet, Path: "/api/v1/deliveries", Role: access.Viewer,
			Summary: "All messages, the latest first: by due_at where a recipient, a group or a time is asked for. A page may have less than limit, or nothing, and a next.",
			Query:   slices.Concat([]Parameter{{Name: "incident", Summary: "the id of an incident, such as INC-42"}}, deliveryFilters, paging),
			Answer:  DeliveryPage{}, Handler: h.listDeliveries,
		},
	}, h.catalog()...)
}

func (h *Handler) listIncidents(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	query := storage.IncidentQuery{
		State: incident.State(q.Get("state")), Priority: q.Get("priority"), Team: q.Get("team"), SLO: q.Get("slo"), Text: q.Get("q"),
	}
	policy := h.Repo.Policy()
	// The names of what is gone from the configuration still find old incidents. Where
	// they find nothing, they are misspelt.
	empty := func() error { return misspelt(&query, policy) }
	return h.answerPage(w, r, "incidents", empty, func(tx storage.Snapshot, s *sheet, cursor string) (string, error) {
		tries := h.Repo.Tries(tx, h.Now())
		return fill(s, cursor, func(limit int, cursor string) ([]incidentjson.Incident, string, error) {
			query.Limit, query.Cursor = limit, cursor
			found, next, err := tx.Incidents(r.Context(), query)
			if err != nil {
				return nil, "", err
			}
			list, err := formsOf(r.Context(), tx, tries, found, policy)
			return list, next, err
		})
	})
}

// misspelt says which name of a query that found nothing the configuration does not
// have.
func misspelt(q *storage.IncidentQuery, p *incident.Policy) error {
	if _, ok := p.Priority(q.Priority); !ok && q.Priority != "" {
		return invalid("priority %q: use %s", q.Priority, or(p.PriorityNames()))
	}
	if _, ok := p.Team(q.Team); !ok && q.Team != "" {
		return invalid("team %q: use %s", q.Team, or(p.TeamNames()))
	}
	if _, ok := p.SLO(q.SLO); !ok && q.SLO != "" {
		return invalid("there is no SLO %q; /api/v1/slos lists them", q.SLO)
	}
	return nil
}

// formsOf returns the JSON forms of incidents, with what is known from their readers.
func formsOf(ctx context.Context, tx storage.Snapshot, tries *storage.Tries, list []incident.Incident, p *incident.Policy) ([]incidentjson.Incident, error) {
	situations, err := storage.SituationsOf(ctx, tx, list)
	if err != nil {
		return nil, err
	}
	if err := tries.Note(ctx, situations...); err != nil {
		return nil, err
	}
	return forms(situations, func(s **incident.Situation) incidentjson.Incident { return formOf(*s, p) }), nil
}

func formOf(s *incident.Situation, p *incident.Policy) incidentjson.Incident {
	next, late := s.NextUpdate(p)
	return incidentjson.FromIncident(&s.Incident, incidentjson.Extras{
		LastHeardAt:     s.LastHeardAt(),
		LastUpdateAt:    s.LastUpdateAt(),
		NextUpdateAt:    next,
		UpdateLateSince: late,
		BaseURL:         p.ExternalURL,
	})
}

func (h *Handler) getIncident(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	var form incidentjson.Incident
	err = h.read(r.Context(), func(tx storage.Snapshot) error {
		in, err := theIncident(r.Context(), tx, n)
		if err != nil {
			return err
		}
		list, err := formsOf(r.Context(), tx, h.Repo.Tries(tx, h.Now()), []incident.Incident{in}, h.Repo.Policy())
		if err == nil {
			form = list[0]
		}
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(form.Sequence))
	return answer(w, http.StatusOK, form)
}

func (h *Handler) listEvents(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	return h.answerPage(w, r, "events", nil, func(tx storage.Snapshot, s *sheet, cursor string) (string, error) {
		in, err := theIncident(r.Context(), tx, n)
		if err != nil {
			return "", err
		}
		return fill(s, cursor, func(limit int, cursor string) ([]incidentjson.Event, string, error) {
			var after int64
			if cursor != "" {
				if after, err = strconv.ParseInt(cursor, 10, 64); err != nil || after < 0 {
					return nil, "", badCursor(cursor)
				}
			}
			events, err := storage.EventsOf(r.Context(), tx, n, after, limit)
			if err != nil {
				return nil, "", err
			}
			next := ""
			if len(events) > 0 && events[len(events)-1].Sequence < in.Sequence {
				next = strconv.FormatInt(events[len(events)-1].Sequence, 10)
			}
			list := incidentjson.FromEvents(events)
			for i := range list {
				if stranger(r) {
					list[i].Data.Cause = "" // it may name whom a message was to go to
				}
			}
			return list, next, nil
		})
	})
}

// listBreaches answers with the breaches of the incident, then with those of each
// incident merged into it. The cursor is the number of one of them and its own cursor.
func (h *Handler) listBreaches(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	return h.answerPage(w, r, "breaches", nil, func(tx storage.Snapshot, s *sheet, cursor string) (string, error) {
		in, err := theIncident(r.Context(), tx, n)
		if err != nil {
			return "", err
		}
		all := append([]int64{n}, in.MergedFrom...)
		return fill(s, cursor, func(limit int, cursor string) ([]incidentjson.Breach, string, error) {
			at, inner := 0, ""
			if cursor != "" {
				name, rest, ok := strings.Cut(cursor, ".")
				from, err := strconv.ParseInt(name, 10, 64)
				if at = slices.Index(all, from); !ok || err != nil || at < 0 {
					return nil, "", badCursor(cursor)
				}
				inner = rest
			}
			breaches, next, err := tx.Breaches(r.Context(), all[at], limit, inner)
			if err != nil {
				return nil, "", err
			}
			switch {
			case next != "":
				next = strconv.FormatInt(all[at], 10) + "." + next
			case at+1 < len(all):
				next = strconv.FormatInt(all[at+1], 10) + "."
			}
			return forms(breaches, incidentjson.FromBreach), next, nil
		})
	})
}

// listDeliveries answers with the deliveries of the incident in the path or the
// query, or else with all.
func (h *Handler) listDeliveries(w http.ResponseWriter, r *http.Request) error {
	query, err := deliveryQuery(r, h.Repo.Policy())
	if err != nil {
		return err
	}
	empty := func() error { return noSuchGroup(&query, h.Repo.Policy()) }
	inVain := 0
	return h.answerPage(w, r, "deliveries", empty, func(tx storage.Snapshot, s *sheet, cursor string) (string, error) {
		if query.Incident != 0 {
			if _, err := theIncident(r.Context(), tx, query.Incident); err != nil {
				return "", err
			}
		}
		return fill(s, cursor, func(limit int, cursor string) ([]incidentjson.Delivery, string, error) {
			query.Limit, query.Cursor = limit, cursor
			deliveries, next, err := tx.Deliveries(r.Context(), query)
			list := forms(deliveries, incidentjson.FromDelivery)
			for i := range list {
				if stranger(r) {
					list[i].Recipient, list[i].Error = "", ""
				}
			}
			if len(list) == 0 {
				if inVain++; inVain == maxInVain {
					s.stop()
				}
			}
			return list, next, err
		})
	})
}

// maxInVain is how often one request has the store look for deliveries and finds none: then it
// says where to go on.
const maxInVain = 10

// deliveryQuery returns which deliveries are asked for.
func deliveryQuery(r *http.Request, p *incident.Policy) (query storage.DeliveryQuery, err error) {
	q := r.URL.Query()
	query = storage.DeliveryQuery{
		State: incident.DeliveryState(q.Get("state")), Address: q.Get("recipient"), Group: q.Get("group"),
		Kind: incident.Kind(q.Get("kind")), Channel: incident.Channel(q.Get("channel")),
	}
	if variable(r, "id") != "" {
		query.Incident, err = number(r)
	} else if id := q.Get("incident"); id != "" {
		query.Incident, err = incident.ParseID(id)
	}
	if err != nil {
		return query, err
	}
	if query.Address != "" && stranger(r) {
		return query, invalid("recipient: addresses are for those who log in; ask for a group")
	}
	query.From, query.To, err = ParseSpan(q.Get("from"), q.Get("to"), p.Location)
	return query, err
}

// noSuchGroup says that the configuration does not have the group of a query that found nothing.
func noSuchGroup(q *storage.DeliveryQuery, p *incident.Policy) error {
	_, isGroup := p.Group(q.Group)
	_, isTeam := p.Team(q.Group)
	if q.Group == "" || isGroup || isTeam {
		return nil
	}
	names := p.TeamNames()
	for i := range p.Groups {
		names = append(names, p.Groups[i].Name)
	}
	return invalid("group %q: use %s", q.Group, or(names))
}

func badCursor(cursor string) error {
	return invalid("cursor %q is not from here; take next of the page before, or leave it out to start", cursor)
}
