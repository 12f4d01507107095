package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/wording"
)

// waitingShown is how many rows a list has of readers who wait, and waitingRead how many of them are
// read for it.
const (
	waitingShown = 50
	waitingRead  = 500
)

type deliveriesPage struct {
	layout
	Filter  deliveryFilter
	Failed  []toldRow
	Pending []toldRow
	// Waiting are the readers who have waited the longest beyond the promise, whether or not
	// a message to them was made yet.
	Waiting     []waitingRow
	WaitingMore bool
	All         []toldRow
	Next        string
}

// A deliveryFilter is what was asked for, and what can be.
type deliveryFilter struct {
	Set                             bool // something was asked for
	State, Kind, Channel, Group     string
	Recipient, From, To             string
	States, Kinds, Channels, Groups []option
	Problem                         string // what was asked for that cannot be
}

// A waitingRow are the readers who wait for a message about an incident that was due at one time.
type waitingRow struct {
	Incident string
	Who      []string // addresses
	Count    int
	Since    *moment
	Waits    string

	since time.Time
}

// Anchor is where those stand who wait, if there are several.
func (w *waitingRow) Anchor() string {
	return "waits-" + w.Incident + "-" + strconv.FormatInt(w.since.Unix(), 10)
}

// readWaiting finds the readers who wait beyond the promise.
func (p *deliveriesPage) readWaiting(ctx context.Context, tx storage.Snapshot) error {
	found, next, err := tx.DueReaders(ctx, p.clock.Now.Add(-incident.Promise), waitingRead, "")
	p.Waiting, p.WaitingMore = nil, next != ""
	for _, d := range found {
		rcpt, known := p.policy.Recipient(d.Recipient)
		if !known {
			continue
		}
		at := slices.IndexFunc(p.Waiting, func(w waitingRow) bool {
			return w.Incident == incident.ID(d.Incident) && d.Since.Sub(w.since).Abs() <= sameMessage
		})
		if at < 0 {
			if at = len(p.Waiting); at == waitingShown {
				p.WaitingMore = true
				break
			}
			p.Waiting = append(p.Waiting, waitingRow{
				Incident: incident.ID(d.Incident), Since: p.at(d.Since), Waits: wording.Duration(p.clock.Now.Sub(d.Since)), since: d.Since,
			})
		}
		w := &p.Waiting[at]
		if w.Count++; !p.Stranger {
			w.Who = append(w.Who, rcpt.Address)
		}
	}
	return err
}

// A deliveryRow is a message in a list.
type deliveryRow struct {
	ID, Link  string // Link is below sitrep's own address
	Kind      string
	Incidents []string
	Drill     bool
	Recipient string
	Audience  string
	Group     string
	Channel   incident.Channel
	State     incident.DeliveryState
	Due       *moment
	Sent      *moment
	Late      string // by how much it missed the promise
	Held      bool
	Attempts  int
	Error     string

	late time.Duration
}

func (h *Handler) deliveries(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p := deliveriesPage{layout: h.layout(r, "Deliveries")}
	query := p.ask(q)
	query.Cursor = q.Get("cursor")
	p.Refresh = query.Cursor == ""
	return h.show(w, r, "deliveries", &p, func(tx storage.Snapshot) error {
		p.Failed, p.Pending, p.Waiting, p.Next = nil, nil, nil, ""
		if !p.Filter.Set && query.Cursor == "" {
			if err := p.readWaiting(r.Context(), tx); err != nil {
				return err
			}
			for _, of := range []struct {
				state incident.DeliveryState
				rows  *[]toldRow
			}{{incident.DeliveryFailed, &p.Failed}, {incident.DeliveryPending, &p.Pending}} {
				var err error
				if *of.rows, _, err = p.readTold(r.Context(), tx, storage.DeliveryQuery{State: of.state}, 0); err != nil {
					return err
				}
				*of.rows = (*of.rows)[:min(len(*of.rows), troubleShown)]
			}
		}
		var next string
		var err error
		if p.All, next, err = p.readTold(r.Context(), tx, query, 0); err != nil {
			return err
		}
		if next != "" {
			q.Set("cursor", next)
			p.Next = "?" + q.Encode()
		}
		return nil
	})
}

// troubleShown is how many messages that failed, or that wait, stand above all others.
const troubleShown = 20

// ask returns which messages are asked for. What cannot be asked for is left out, and said.
func (p *deliveriesPage) ask(v url.Values) storage.DeliveryQuery {
	f := &p.Filter
	choose := func(name, all string, values, texts []string) (chosen string, options []option) {
		options = []option{{Text: all}}
		for i, value := range values {
			is := v.Get(name) == value && value != ""
			if is {
				chosen = value
			}
			options = append(options, option{value, texts[i], is})
		}
		if asked := v.Get(name); asked != "" && chosen == "" {
			f.Problem = "There is no " + name + " “" + wording.Line(asked, 80) + "”."
		}
		return chosen, options
	}
	states := []string{string(incident.DeliveryFailed), string(incident.DeliveryPending), string(incident.DeliveryDelivered), string(incident.DeliverySuperseded)}
	f.State, f.States = choose("state", "all", states, states)
	var kinds, kindNames []string
	for _, k := range incident.Kinds() {
		kinds, kindNames = append(kinds, string(k)), append(kindNames, kindName(k))
	}
	f.Kind, f.Kinds = choose("kind", "all", kinds, kindNames)
	channels := []string{string(incident.ChannelEmail), string(incident.ChannelWebhook)}
	f.Channel, f.Channels = choose("channel", "all", channels, channels)
	names := p.policy.TeamNames()
	for i := range p.policy.Groups {
		if name := p.policy.Groups[i].Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	// One that is gone from the configuration still finds what it was told.
	if name := v.Get("group"); name != "" && !slices.Contains(names, name) {
		names = append(names, name)
	}
	slices.Sort(names)
	f.Group, f.Groups = choose("group", "all", names, names)
	query := storage.DeliveryQuery{State: incident.DeliveryState(f.State), Kind: incident.Kind(f.Kind), Channel: incident.Channel(f.Channel), Group: f.Group}
	if !p.Stranger {
		f.Recipient = strings.TrimSpace(v.Get("recipient"))
		query.Address = f.Recipient
	}
	for _, bound := range []struct {
		name  string
		text  *string
		query *time.Time
	}{{"from", &f.From, &query.From}, {"to", &f.To, &query.To}} {
		*bound.text = v.Get(bound.name)
		if *bound.text == "" {
			continue
		}
		t, err := time.ParseInLocation("2006-01-02T15:04", *bound.text, p.clock.Location)
		if err != nil {
			t, err = time.ParseInLocation(time.DateOnly, *bound.text, p.clock.Location)
		}
		if err != nil {
			t, err = time.Parse(time.RFC3339, *bound.text)
		}
		if err != nil {
			f.Problem = "“" + wording.Line(*bound.text, 80) + "” is not a time; write it as 2026-07-01T08:00."
			*bound.text = ""
			continue
		}
		*bound.query, *bound.text = t.UTC(), t.In(p.clock.Location).Format("2006-01-02T15:04")
	}
	f.Set = query != storage.DeliveryQuery{} || f.Problem != ""
	return query
}

func (l *layout) deliveryRow(d *incident.Delivery, of int64) deliveryRow {
	line := deliveryRow{
		ID: d.ID, Link: "deliveries/" + d.ID, Kind: kindName(d.Kind), Drill: d.Drill,
		Recipient: d.Address, Audience: wording.AudienceName(d.Audience), Group: d.Group, Channel: d.Channel,
		State: d.State, Due: l.at(d.DueAt), Sent: l.at(d.SentAt), Held: d.Deferred, Attempts: d.Attempts,
		Error: wording.Line(wording.Failure(d), 1000),
	}
	if of == 0 {
		of = d.Incident
	}
	if !d.OfPulse() {
		line.Link = "incidents/" + incident.ID(of) + "/messages/" + d.ID
	}
	for _, c := range d.Covers {
		if c.Incident == of {
			line.Recipient = c.ReaderName(d.Address)
		}
		if !c.OfPulse() {
			line.Incidents = append(line.Incidents, incident.ID(c.Incident))
		}
	}
	if l.Stranger {
		line.Link, line.Recipient, line.Error = "", "", ""
	}
	handed := d.SentAt
	if d.State == incident.DeliveryPending {
		handed = l.clock.Now
	}
	if !d.Promised.IsZero() && handed.After(d.Promised) {
		line.late = handed.Sub(d.Promised)
		line.Late = wording.Duration(line.late)
	}
	return line
}

// kindName says what a message is for.
func kindName(k incident.Kind) string {
	switch k {
	case incident.KindOpened:
		return "opening"
	case incident.KindPriority:
		return "priority change"
	case incident.KindLeft:
		return "last message"
	case incident.KindReopened:
		return "reopening"
	}
	return string(k)
}
