package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"sitrep/api"
	"sitrep/incident/incidentjson"
)

// pageSize is how many items are asked for at once.
const pageSize = 1000

// A List is what came of a list: the items as they came, and whether there are more.
type List[T any] struct {
	Items []T
	Raw   []json.RawMessage
	Next  string // the cursor of what was not asked for; empty: that was all
}

// Incidents returns up to limit incidents, the latest first; 0 is all. The query has
// the parameters of GET /api/v1/incidents.
func (c *Client) Incidents(ctx context.Context, query url.Values, limit int) (List[incidentjson.Incident], error) {
	return list[incidentjson.Incident](ctx, c, "/incidents", "incidents", query, limit)
}

// Events returns up to limit events of an incident, the oldest first; 0 is all.
func (c *Client) Events(ctx context.Context, id string, limit int) (List[incidentjson.Event], error) {
	return list[incidentjson.Event](ctx, c, one(id)+"/events", "events", nil, limit)
}

// Breaches returns up to limit breaches of an incident in order of arrival; 0 is all.
func (c *Client) Breaches(ctx context.Context, id string, limit int) (List[incidentjson.Breach], error) {
	return list[incidentjson.Breach](ctx, c, one(id)+"/breaches", "breaches", nil, limit)
}

// Deliveries returns up to limit deliveries, the latest first; 0 is all. An empty id is
// those of all incidents.
func (c *Client) Deliveries(ctx context.Context, id string, query url.Values, limit int) (List[incidentjson.Delivery], error) {
	path := "/deliveries"
	if id != "" {
		path = one(id) + path
	}
	return list[incidentjson.Delivery](ctx, c, path, "deliveries", query, limit)
}

// list reads page after page.
func list[T any](ctx context.Context, c *Client, path, key string, query url.Values, limit int) (List[T], error) {
	var all List[T]
	q := url.Values{}
	for name, values := range query {
		q[name] = values
	}
	for {
		n := pageSize
		if limit > 0 {
			n = min(n, limit-len(all.Items))
		}
		q.Set("limit", strconv.Itoa(n))
		if all.Next != "" {
			q.Set("cursor", all.Next)
		}
		raw, err := c.Get(ctx, path, q)
		if err != nil {
			return all, err
		}
		var page map[string]json.RawMessage
		var items []json.RawMessage
		if err := errors.Join(json.Unmarshal(raw, &page), json.Unmarshal(page[key], &items), json.Unmarshal(page["next"], &all.Next)); err != nil {
			return all, fmt.Errorf("decode the answer of GET %s: %w", path, err)
		}
		for _, item := range items {
			var one T
			if err := json.Unmarshal(item, &one); err != nil {
				return all, fmt.Errorf("decode the answer of GET %s: %w", path, err)
			}
			all.Items, all.Raw = append(all.Items, one), append(all.Raw, item)
		}
		if all.Next == "" || limit > 0 && len(all.Items) >= limit {
			return all, nil
		}
	}
}

// Incident returns one incident, and its JSON as it came.
func (c *Client) Incident(ctx context.Context, id string) (incidentjson.Incident, json.RawMessage, error) {
	return decode[incidentjson.Incident](c.Get(ctx, one(id), nil))
}

// A Command is what is to be done to an incident.
type Command struct {
	// Incident is the id of the one that it is about; empty to declare one.
	Incident string
	// Name is the last part of the path, such as "priority" or "actions/hotfix"; empty
	// to declare an incident.
	Name string
	// Body is encoded as JSON.
	Body any
	// IfMatch is the sequence that the incident had when the person decided; 0 if that
	// does not matter.
	IfMatch int64
	// Key tells a repetition of this command from a second one; empty: a new one.
	Key string
}

// Do carries the command out, and returns the incident as it is then. If no answer
// comes it is sent again, with the same key, so that it is carried out once. The
// error is an [UnknownError] if it stays unknown whether it was.
func (c *Client) Do(ctx context.Context, cmd Command) (incidentjson.Incident, json.RawMessage, error) {
	if cmd.Key == "" {
		cmd.Key = rand.Text()
	}
	raw, err := c.post(ctx, cmd, nil)
	if errors.Is(err, errNoAnswer) {
		err = &UnknownError{cmd.Key, err}
	}
	return decode[incidentjson.Incident](raw, err)
}

// Preview returns what the command would bring about, and does nothing.
func (c *Client) Preview(ctx context.Context, cmd Command) (api.Preview, json.RawMessage, error) {
	cmd.Key = ""
	return decode[api.Preview](c.post(ctx, cmd, url.Values{"preview": {"true"}}))
}

func (c *Client) post(ctx context.Context, cmd Command, query url.Values) (json.RawMessage, error) {
	body, err := json.Marshal(cmd.Body)
	if err != nil {
		return nil, fmt.Errorf("encode the command: %w", err)
	}
	r := request{method: http.MethodPost, path: "/incidents", query: query, body: body, header: http.Header{}}
	if cmd.Incident != "" {
		r.path = one(cmd.Incident) + "/" + cmd.Name
	}
	if cmd.Key != "" {
		r.header.Set("Idempotency-Key", cmd.Key)
	}
	if cmd.IfMatch != 0 {
		r.header.Set("If-Match", `"`+strconv.FormatInt(cmd.IfMatch, 10)+`"`)
	}
	return c.try(ctx, r)
}

// one is the path of an incident.
func one(id string) string { return "/incidents/" + id }

func decode[T any](raw json.RawMessage, err error) (T, json.RawMessage, error) {
	var v T
	if err != nil {
		return v, nil, err
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, nil, fmt.Errorf("decode the answer: %w", err)
	}
	return v, raw, nil
}
