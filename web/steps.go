package web

import (
	"context"
	"fmt"
	"net/http"

	"sitrep/audit"
	"sitrep/incident"
	"sitrep/internal/httperr"
	"sitrep/storage"
	"sitrep/wording"
)

// evidenceShown is how many events one entry of a step names, and entriesShown how many
// entries one step has.
const (
	evidenceShown = 8
	entriesShown  = 200
)

// A stepInfo is a step of ITIL as the page shows it.
type stepInfo struct {
	Name    string
	Entries []entryInfo
	More    int // entries that are not shown
	Gap     string
	// Pending is set if it is not yet time for it, Optional if it may not have been needed.
	Pending, Optional bool
}

type entryInfo struct {
	At       *moment
	By, What string
	Evidence []evidence
	More     int64 // the sequence of the last, if there are more
}

// An evidence is the sequence of an event, and where the timeline shows it.
type evidence struct {
	Sequence int64
	Link     string
}

type stepsPage struct {
	layout
	ID, Headline string
	Steps        []stepInfo
	OpenedUnder  *versionInfo // nil: it is not on record
}

// steps shows the whole history of an incident in steps. It reads that some at a time, and keeps
// none of it.
func (h *Handler) steps(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r)
	if err != nil {
		return httperr.Wrap(http.StatusNotFound, err.Error(), err)
	}
	p := stepsPage{layout: h.layout(r, incident.ID(n)+" step by step")}
	p.Refresh = false
	return h.show(w, r, "steps", &p, func(tx storage.Snapshot) error {
		in, err := storage.IncidentOf(r.Context(), tx, n)
		if err != nil {
			return incident.NotThere(err, n)
		}
		p.ID, p.Headline = in.ID(), wording.Headline(&in)
		return p.readSteps(r.Context(), tx, &in)
	})
}

// readSteps tells the incident in the steps of ITIL, and which configuration it opened
// under.
func (p *stepsPage) readSteps(ctx context.Context, tx storage.Snapshot, in *incident.Incident) error {
	steps := audit.NewStepper(in)
	var opened *incident.Event
	for after := int64(0); ; {
		const page = 100
		some, err := storage.EventsOf(ctx, tx, in.Number, after, page)
		if err != nil {
			return err
		}
		if opened == nil && len(some) > 0 {
			first := some[0]
			opened = &first
		}
		steps.Add(some)
		if len(some) < page {
			break
		}
		after = some[len(some)-1].Sequence
	}
	p.Steps = nil
	for _, s := range steps.Steps() {
		left := room{left: textShown / 4}
		info := stepInfo{Name: string(s.Name), Gap: s.Gap, Pending: s.Pending, Optional: s.Optional}
		for i, e := range s.Entries {
			if i == entriesShown || !left.take(len(e.What)) {
				info.More = len(s.Entries) - i
				break
			}
			entry := entryInfo{At: p.on(e.At), By: wording.Line(string(e.By), 80)}
			entry.What, _ = wording.Block(e.What, incident.MaxText)
			for _, n := range e.Evidence[:min(len(e.Evidence), evidenceShown)] {
				entry.Evidence = append(entry.Evidence, evidence{n, fmt.Sprintf("%sincidents/%s?before=%d#event-%d", p.Root, p.ID, n+1, n)})
			}
			if n := len(e.Evidence); n > evidenceShown {
				entry.More = e.Evidence[n-1]
			}
			info.Entries = append(info.Entries, entry)
		}
		p.Steps = append(p.Steps, info)
	}
	if opened == nil {
		return nil
	}
	return p.readOpenedUnder(ctx, tx, opened)
}

// readOpenedUnder finds the version of the configuration that held when the incident
// opened.
func (p *stepsPage) readOpenedUnder(ctx context.Context, tx storage.Snapshot, opened *incident.Event) error {
	p.OpenedUnder = nil
	loadings, err := storage.Loadings(ctx, tx)
	if err != nil {
		return err
	}
	for _, v := range audit.Versions(loadings) {
		// The same may have been in force before, and again.
		if v.Hash == opened.Config && (p.OpenedUnder == nil || !v.At.After(opened.Time)) {
			info := p.version(&v)
			p.OpenedUnder = &info
		}
	}
	return nil
}
