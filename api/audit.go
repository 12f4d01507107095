package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/internal/access"
	"sitrep/ledger"
)

// The types of a report, by the name of its format.
var reportTypes = map[string]string{"json": "application/json", "csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8"}

// span are the parameters of a stretch of time.
var span = []Parameter{
	{Name: "from", Summary: "the first day, as 2026-07-01, or a time as in RFC 3339; default is the first record"},
	{Name: "to", Summary: "the day after the last, or a time; default is now"},
}

// auditing are the routes of what an auditor asks for.
func (h *Handler) auditing() []Route {
	return []Route{
		{
			Method: http.MethodGet, Path: "/api/v1/audit/report", Role: access.Viewer,
			Summary: "How the promises of a stretch of time were kept.",
			Query:   append([]Parameter{{Name: "format", Summary: "default json", Values: []string{"json", "csv", "html"}}}, span...),
			Answer:  audit.Report{},
			Media:   []string{"text/csv", "text/html"},
			Handler: h.report,
		},
		{
			Method: http.MethodGet, Path: "/api/v1/audit/export", Role: access.Auditor,
			Summary: "The evidence on incidents as one zip, which verifies itself.",
			Query: append([]Parameter{
				{Name: "incident", Summary: "one incident, as INC-42"},
				{Name: "team", Summary: "those of a team"},
				{Name: "priority", Summary: "those that had the priority at some time"},
				{Name: "pseudonyms", Summary: "true: names and addresses are replaced, and messages left out", Values: []string{"true", "false"}},
				{Name: "checkpoint", Summary: "signed checkpoints that were kept, as they are: the export proves that the ledger only grew since"},
			}, span...),
			Media:   []string{"application/zip"},
			Handler: h.export,
		},
	}
}

// alone runs what reads much of the store: one at a time, so that many who ask take no
// time from what has to be on time.
func (h *Handler) alone(ctx context.Context, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.auditor <- struct{}{}:
		defer func() { <-h.auditor }()
		return fn()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// NothingFound says that an export would be empty.
func NothingFound(s audit.Selection) string {
	if s == (audit.Selection{}) {
		return "nothing found: there is no incident yet"
	}
	if s.Incident != 0 {
		return "nothing found: there is no " + s.String()
	}
	return "nothing found: there are no " + s.String()
}

// send answers with what fn writes, once all of it is made: only then is it known that nothing
// failed, and one is made at a time, which must not wait for a slow client.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, media string, head http.Header, fn func(io.Writer) error) error {
	var made spool
	defer made.close()
	if err := h.alone(r.Context(), func() error { return fn(&made) }); err != nil {
		return err
	}
	all, err := made.reader()
	if err != nil {
		return err
	}
	begin(w, media, made.size)
	maps.Copy(w.Header(), head)
	w.WriteHeader(http.StatusOK)
	_, _ = io.Copy(w, all) // the client may be gone
	return nil
}

func (h *Handler) export(w http.ResponseWriter, r *http.Request) error {
	o, err := h.exportOptions(r.URL.Query())
	if err != nil {
		return err
	}
	head := http.Header{"Content-Disposition": {`attachment; filename="evidence.zip"`}}
	err = h.send(w, r, "application/zip", head, func(to io.Writer) error {
		_, err := h.Export(r.Context(), to, o)
		return err
	})
	if errors.Is(err, audit.ErrNothing) {
		return &incident.Problem{Kind: incident.ErrNotFound, Text: NothingFound(o.Selection)}
	}
	return err
}

// exportOptions are what a request asks for.
func (h *Handler) exportOptions(q url.Values) (o audit.ExportOptions, err error) {
	policy := h.Repo.Policy()
	o = audit.ExportOptions{
		Selection: audit.Selection{Team: q.Get("team"), Priority: q.Get("priority")},
		Now:       h.Now(), Location: policy.Location, Version: h.Service().Version, Pseudonyms: q.Get("pseudonyms") == "true",
	}
	if id := q.Get("incident"); id != "" {
		if o.Incident, err = incident.ParseID(id); err != nil {
			return o, err
		}
	}
	if kept := q.Get("checkpoint"); kept != "" {
		if o.Earlier = ledger.FindCheckpoints([]byte(kept)); o.Earlier == nil {
			return o, invalid("checkpoint: there is none in it; give the lines of one as they were signed, the last of which begins with a dash")
		}
	}
	o.From, o.To, err = ParseSpan(q.Get("from"), q.Get("to"), policy.Location)
	return o, err
}

func (h *Handler) report(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	policy := h.Repo.Policy()
	from, to, err := ParseSpan(q.Get("from"), q.Get("to"), policy.Location)
	if err != nil {
		return err
	}
	format := cmp.Or(q.Get("format"), "json")
	head := http.Header{}
	switch format {
	case "html":
		// The report is one file with its own style; nothing else may come in.
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	case "csv":
		head.Set("Content-Disposition", `attachment; filename="sitrep-report.csv"`)
	}
	return h.send(w, r, reportTypes[format], head, func(made io.Writer) error {
		rep, err := audit.MakeReport(r.Context(), h.Repo.Store, audit.ReportOptions{
			From: from, To: to, Now: h.Now(), Location: policy.Location, Version: h.Service().Version, URL: policy.ExternalURL,
		})
		if err != nil {
			return err
		}
		if stranger(r) {
			rep.HidePeople()
		}
		return rep.Write(made, format)
	})
}

// begin sets the headers of an answer that is no JSON of the API's own.
func begin(w http.ResponseWriter, media string, size int64) {
	header := w.Header()
	header.Set("Content-Type", media)
	header.Set("Content-Length", strconv.FormatInt(size, 10))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
}

// ParseSpan returns the bounds of a stretch of time, each a day in the location or a
// time as in RFC 3339; empty is zero. The error is incident.ErrInvalid.
func ParseSpan(from, to string, loc *time.Location) (time.Time, time.Time, error) {
	a, err := parseBound("from", from, loc)
	if err != nil {
		return a, a, err
	}
	b, err := parseBound("to", to, loc)
	if err != nil {
		return a, b, err
	}
	if !a.IsZero() && !b.IsZero() && !a.Before(b) {
		return a, b, invalid("from %s is not before to %s", from, to)
	}
	return a, b, nil
}

func parseBound(name, s string, loc *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, loc); err == nil {
		return t.UTC(), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, invalid("%s %q: write a day as 2026-07-01, or a time as 2026-07-01T08:00:00Z", name, s)
	}
	return t.UTC(), nil
}
