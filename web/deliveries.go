package web

import (
	"context"
	"net/http"
	"slices"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/wording"
)

// deliveriesShown is how many messages a list shows.
const deliveriesShown = 50

type deliveriesPage struct {
	layout
	State   string // the one that was asked for; empty: all
	States  []string
	Failed  []deliveryRow
	Pending []deliveryRow
	// Waiting are the readers who have waited the longest beyond the promise, whether or not
	// a message to them was made yet.
	Waiting     []waitingRow
	WaitingMore bool
	All         []deliveryRow
	Next        string
}

// A waitingRow is a reader who waits for a message about an incident.
type waitingRow struct {
	Recipient, Incident string
	Since               *moment
	Waits               string
}

// readWaiting finds the readers who wait beyond the promise.
func (p *deliveriesPage) readWaiting(ctx context.Context, tx storage.Snapshot) error {
	found, next, err := tx.DueReaders(ctx, p.clock.Now.Add(-incident.Promise), deliveriesShown, "")
	p.Waiting, p.WaitingMore = nil, next != ""
	for _, d := range found {
		if rcpt, known := p.policy.Recipient(d.Recipient); known {
			if p.Stranger {
				rcpt.Address = ""
			}
			p.Waiting = append(p.Waiting, waitingRow{rcpt.Address, incident.ID(d.Incident), p.at(d.Since), wording.Duration(p.clock.Now.Sub(d.Since))})
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
}

func (h *Handler) deliveries(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p := deliveriesPage{layout: h.layout(r, "Deliveries"), State: q.Get("state")}
	for _, s := range []incident.DeliveryState{incident.DeliveryFailed, incident.DeliveryPending, incident.DeliveryDelivered, incident.DeliverySuperseded} {
		p.States = append(p.States, string(s))
	}
	if !slices.Contains(p.States, p.State) {
		p.State = ""
	}
	cursor := q.Get("cursor")
	p.Refresh = cursor == ""
	return h.show(w, r, "deliveries", &p, func(tx storage.Snapshot) error {
		p.Failed, p.Pending, p.Waiting, p.Next = nil, nil, nil, ""
		if p.State == "" && cursor == "" {
			if err := p.readWaiting(r.Context(), tx); err != nil {
				return err
			}
			for _, of := range []struct {
				state incident.DeliveryState
				rows  *[]deliveryRow
			}{{incident.DeliveryFailed, &p.Failed}, {incident.DeliveryPending, &p.Pending}} {
				found, _, err := tx.Deliveries(r.Context(), storage.DeliveryQuery{State: of.state, Limit: 20})
				if err != nil {
					return err
				}
				*of.rows = p.rows(found, 0)
			}
		}
		found, next, err := tx.Deliveries(r.Context(), storage.DeliveryQuery{State: incident.DeliveryState(p.State), Limit: deliveriesShown, Cursor: cursor})
		if err != nil {
			return err
		}
		p.All = p.rows(found, 0)
		if next != "" {
			q.Set("cursor", next)
			p.Next = "?" + q.Encode()
		}
		return nil
	})
}

// rows are deliveries as a page lists them; of is the incident whose page it is, or 0.
func (l *layout) rows(found []incident.Delivery, of int64) []deliveryRow {
	rows := make([]deliveryRow, 0, len(found))
	for i := range found {
		rows = append(rows, l.deliveryRow(&found[i], of))
	}
	return rows
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
	if !d.Watchdog() {
		line.Link = "incidents/" + incident.ID(of) + "/messages/" + d.ID
	}
	for _, c := range d.Covers {
		if c.Incident == of {
			line.Recipient = c.ReaderName(d.Address)
		}
		if !c.Watchdog() {
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
		line.Late = wording.Duration(handed.Sub(d.Promised))
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
