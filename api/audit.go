package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/internal/access"
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
			Media:   []string{"application/json", "text/csv", "text/html"},
			Handler: h.report,
		},
		{
			Method: http.MethodGet, Path: "/api/v1/audit/export", Role: access.Admin,
			Summary: "The evidence on incidents as one zip, which verifies itself.",
			Query: append([]Parameter{
				{Name: "incident", Summary: "one incident, as INC-42"},
				{Name: "team", Summary: "those of a team"},
				{Name: "priority", Summary: "those that had the priority at some time"},
				{Name: "pseudonyms", Summary: "true: names and addresses are replaced, and messages left out", Values: []string{"true", "false"}},
			}, span...),
			Media:   []string{"application/zip"},
			Handler: h.export,
		},
	}
}

// export makes the zip in a file first: it is read from one snapshot, which must not
// wait for a slow client.
func (h *Handler) export(w http.ResponseWriter, r *http.Request) (err error) {
	q := r.URL.Query()
	policy := h.Policy()
	o := audit.ExportOptions{
		Selection: audit.Selection{Team: q.Get("team"), Priority: q.Get("priority")},
		Now:       h.Now(), Location: policy.Location, Version: h.Service().Version, Pseudonyms: q.Get("pseudonyms") == "true",
	}
	if id := q.Get("incident"); id != "" {
		if o.Incident, err = incident.ParseID(id); err != nil {
			return err
		}
	}
	if o.From, o.To, err = ParseSpan(q.Get("from"), q.Get("to"), policy.Location); err != nil {
		return err
	}
	f, err := os.CreateTemp("", "sitrep-export-*.zip")
	if err != nil {
		return fmt.Errorf("make a file for the export: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := h.Export(r.Context(), f, o); err != nil {
		if errors.Is(err, audit.ErrNothing) {
			return &incident.Problem{Kind: incident.ErrNotFound, Text: "nothing found: there is no incident of " + o.Selection.String()}
		}
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read the export: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the export: %w", err)
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.Header().Set("Content-Disposition", `attachment; filename="evidence.zip"`)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = io.Copy(w, f) // the client may be gone
	return nil
}

func (h *Handler) report(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	policy := h.Policy()
	from, to, err := ParseSpan(q.Get("from"), q.Get("to"), policy.Location)
	if err != nil {
		return err
	}
	rep, err := audit.MakeReport(r.Context(), h.Store, audit.ReportOptions{
		From: from, To: to, Now: h.Now(), Location: policy.Location, Version: h.Service().Version,
	})
	if err != nil {
		return err
	}
	format := q.Get("format")
	if format == "" {
		format = "json"
	}
	var body bytes.Buffer
	if err := rep.Write(&body, format); err != nil {
		return err
	}
	w.Header().Set("Content-Type", reportTypes[format])
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if format == "html" {
		// The report is one file with its own style; nothing else may come in.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'")
	}
	if format == "csv" {
		w.Header().Set("Content-Disposition", `attachment; filename="sitrep-report.csv"`)
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body.Bytes()) // the client may be gone
	return nil
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
