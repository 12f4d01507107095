package web

import (
	"context"
	"strconv"

	"sitrep/audit"
	"sitrep/incident"
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
	Pending bool // the gap may still be filled
}

type entryInfo struct {
	At       *moment
	By, What string
	Evidence []evidence
	More     int64 // the sequence of the last, if there are more
}

// An evidence is an event; Here is set if the timeline on the page has it.
type evidence struct {
	Sequence int64
	Here     bool
}

// readSteps tells the incident in the steps of ITIL, and which configuration it opened
// under.
func (p *incidentPage) readSteps(ctx context.Context, tx storage.Snapshot, in *incident.Incident) error {
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
	shown := map[int64]bool{}
	for i := range p.Events {
		shown[p.Events[i].Sequence] = true
	}
	p.Steps = nil
	for _, s := range steps.Steps() {
		left := room{left: textShown / 4}
		info := stepInfo{Name: string(s.Name), Gap: s.Gap, Pending: s.Pending}
		for i, e := range s.Entries {
			if i == entriesShown || !left.take(len(e.What)) {
				info.More = len(s.Entries) - i
				break
			}
			entry := entryInfo{At: p.on(e.At), By: wording.Line(string(e.By), 80)}
			entry.What, _ = wording.Block(e.What, incident.MaxText)
			for _, n := range e.Evidence[:min(len(e.Evidence), evidenceShown)] {
				entry.Evidence = append(entry.Evidence, evidence{n, shown[n]})
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
func (p *incidentPage) readOpenedUnder(ctx context.Context, tx storage.Snapshot, opened *incident.Event) error {
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

// Anchor is where an event stands on the page.
func (e evidence) Anchor() string { return "event-" + strconv.FormatInt(e.Sequence, 10) }
