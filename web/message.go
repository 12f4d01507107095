package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"

	"github.com/gorilla/mux"

	"sitrep/incident"
	"sitrep/internal/eml"
	"sitrep/internal/httperr"
	"sitrep/storage"
)

type messagePage struct {
	layout
	Delivery deliveryRow
	GroupOf  groupLink
	Of       string // the incident whose page it is; empty: none
	Kept     bool   // the bytes are there
	Headers  []label
	Text     string
	HTML     bool
	Here     string // the address of the page, relative to itself
}

func (h *Handler) message(w http.ResponseWriter, r *http.Request) error {
	d, body, err := h.find(r)
	if err != nil {
		return err
	}
	p := messagePage{layout: h.layout(r, ""), Of: mux.Vars(r)["id"], Kept: body != nil, Here: d.ID}
	var of int64
	if p.Of != "" {
		if of, err = number(r); err != nil {
			return err
		}
	}
	p.Refresh = d.State == incident.DeliveryPending
	p.Delivery = p.deliveryRow(&d, of)
	p.GroupOf = p.groupLink(d.Group, d.Audience == incident.AudienceOnCall && !d.OfPulse())
	p.Title = "Message to " + p.Delivery.Recipient
	switch {
	case body == nil:
	case d.Channel == incident.ChannelWebhook:
		p.Text = pretty(body)
	default:
		m := eml.Parse(body)
		for _, h := range m.Headers {
			p.Headers = append(p.Headers, label{h.Name, h.Value})
		}
		p.Text, p.HTML = m.Text, m.HTML != ""
	}
	return h.render(w, http.StatusOK, "message", &p)
}

// framePolicy confines the HTML of a mail: it has its own style, and nothing else. The
// sandbox holds where it is opened outside its frame, too.
const framePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox"

func (h *Handler) messageHTML(w http.ResponseWriter, r *http.Request) error {
	d, body, err := h.find(r)
	if err != nil {
		return err
	}
	m := eml.Mail{}
	if d.Channel == incident.ChannelEmail && body != nil {
		m = eml.Parse(body)
	}
	if m.HTML == "" {
		return httperr.Status(http.StatusNotFound, "this message has no HTML, or it is no longer kept")
	}
	framed(w, m.HTML)
	return nil
}

// framed answers with the HTML of a mail, for a frame of a page of ours.
func framed(w http.ResponseWriter, html string) {
	w.Header().Set("Content-Security-Policy", framePolicy)
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	answer(w, http.StatusOK, "text/html; charset=utf-8", []byte(html))
}

func (h *Handler) messageRaw(w http.ResponseWriter, r *http.Request) error {
	d, body, err := h.find(r)
	if err != nil {
		return err
	}
	if body == nil {
		return httperr.Status(http.StatusNotFound, "the bytes of this message are not there: it was never made, or they are no longer kept")
	}
	kind, ext := "message/rfc822", ".eml"
	if d.Channel == incident.ChannelWebhook {
		kind, ext = "application/json", ".json"
	}
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.ID + ext}))
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	answer(w, http.StatusOK, kind, body)
	return nil
}

// find returns the delivery in the path and its bytes, nil if they are not there.
// Under the address of an incident it is one that tells of it.
func (h *Handler) find(r *http.Request) (incident.Delivery, []byte, error) {
	vars := mux.Vars(r)
	var of int64
	if vars["id"] != "" {
		var err error
		if of, err = number(r); err != nil {
			return incident.Delivery{}, nil, httperr.Wrap(http.StatusNotFound, err.Error(), err)
		}
	}
	missing := httperr.Statusf(http.StatusNotFound, "there is no message %q", vars["delivery"])
	var d incident.Delivery
	var body []byte
	err := h.Repo.Store.Read(r.Context(), func(tx storage.Snapshot) error {
		var err error
		body = nil
		if d, err = storage.DeliveryOf(r.Context(), tx, vars["delivery"]); errors.Is(err, incident.ErrNotFound) {
			return missing
		} else if err != nil {
			return err
		}
		if of != 0 && !slices.Contains(d.Incidents(), of) {
			return missing
		}
		if body, err = tx.Message(r.Context(), d.ID); err != nil && !errors.Is(err, incident.ErrNotFound) {
			return err
		}
		return nil
	})
	return d, body, err
}

// pretty returns JSON with line breaks, or the text as it is.
func pretty(body []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		return string(body)
	}
	return b.String()
}
