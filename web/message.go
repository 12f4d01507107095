package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"sitrep/incident"
	"sitrep/internal/httperr"
	"sitrep/storage"
)

type messagePage struct {
	layout
	Delivery deliveryRow
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
	p.Title = "Message to " + p.Delivery.Recipient
	switch {
	case body == nil:
	case d.Channel == incident.ChannelWebhook:
		p.Text = pretty(body)
	default:
		m := parseMail(body)
		p.Headers, p.Text, p.HTML = m.headers, m.text, m.html != ""
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
	m := parsedMail{}
	if d.Channel == incident.ChannelEmail && body != nil {
		m = parseMail(body)
	}
	if m.html == "" {
		return httperr.Status(http.StatusNotFound, "this message has no HTML, or it is no longer kept")
	}
	w.Header().Set("Content-Security-Policy", framePolicy)
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	answer(w, http.StatusOK, "text/html; charset=utf-8", []byte(m.html))
	return nil
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

// parsedMail is what of a mail people read.
type parsedMail struct {
	headers []label
	text    string
	html    string
}

// shownHeaders are those worth showing, in order.
var shownHeaders = []string{"From", "To", "Reply-To", "Subject", "Date", "Message-ID", "References", "Auto-Submitted", "X-Sitrep-Kind", "X-Sitrep-Priority", "X-Sitrep-Incident", "X-Sitrep-Sequence"}

// parseMail reads a mail as far as it can be read: it is shown as evidence, so a part
// that is broken is left out and the rest stays.
func parseMail(body []byte) parsedMail {
	m, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		return parsedMail{text: string(body)}
	}
	var out parsedMail
	var words mime.WordDecoder
	for _, name := range shownHeaders {
		value := m.Header.Get(name)
		if decoded, err := words.DecodeHeader(value); err == nil {
			value = decoded
		}
		if value != "" {
			out.headers = append(out.headers, label{name, value})
		}
	}
	out.part(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body, 0)
	return out
}

// part reads a part of a mail, and those in it.
func (m *parsedMail) part(contentType, encoding string, body io.Reader, depth int) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && depth < 5 {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err != nil {
				return
			}
			m.part(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p, depth+1)
		}
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		content = fmt.Appendf(content, "\n(the rest cannot be read: %v)", err)
	}
	switch {
	case kind == "text/plain" && m.text == "":
		m.text = string(content)
	case kind == "text/html" && m.html == "":
		m.html = string(content)
	}
}
