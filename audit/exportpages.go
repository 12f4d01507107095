package audit

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"html/template"
	"iter"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
	"sitrep/wording"
)

// An incidentRow is an incident in the list of index.html.
type incidentRow struct {
	In     *incident.Incident
	Href   string
	Tally  Tally // openings and updates
	OnCall Tally
}

// An incidentPage is all of an incident.
type incidentPage struct {
	incidentRow
	Root  string // where files are, seen from the page
	Whole bool   // it is a page of its own
	Steps []Step
	// Timeline reads the events again, some at a time, as there may be many.
	Timeline iter.Seq[timelineRow]
	Messages []messageRow
	Export   *exportPage
}

type timelineRow struct {
	*incident.Event
	Words string
	Leaf  string
}

type messageRow struct {
	*incident.Delivery
	Cover    *incident.Cover
	Audience incident.Audience
	Promised time.Time
	Outcome  Outcome
	Why      string
	File     string
	Leaf     string
}

// An exportPage is index.html.
type exportPage struct {
	Selection  string
	Zone       string
	Version    string
	MadeAt     time.Time
	Pseudonyms bool
	Summary    ExportSummary
	Checkpoint ledger.Checkpoint
	Signed     bool // the list of files
	Loadings   []loading
	Rows       []incidentRow
	Pages      []*incidentPage // those that stand whole in it
	WaitingFor string
}

// A history is what an incident is told by: its first events as stored, and all deliveries.
type history struct {
	events     []storage.Record
	deliveries []incident.Delivery
}

func (x *exporter) writePages(ctx context.Context) error {
	templates, err := pageTemplates(x.o.Location, "")
	if err != nil {
		return err
	}
	c, err := ledger.ReadCheckpoint(x.checkpoint)
	if err != nil {
		return err
	}
	index := &exportPage{
		Selection: x.o.Selection.String(), Zone: x.o.Location.String(), Version: x.o.Version, MadeAt: x.o.Now, Pseudonyms: x.pseudonyms != nil,
		Summary: x.sum, Checkpoint: c, Signed: x.o.Key != nil, Loadings: x.loadings,
	}
	files := map[string]string{}
	for _, m := range x.messages {
		files[m.id] = m.name
	}
	whole := len(x.numbers) <= maxWhole
	done := x.counting("incidents, their pages", len(x.numbers))
	err = each(ctx, x.Store, x.numbers, func(r storage.Snapshot, number int64) (history, int, error) {
		events, size, err := x.firstEvents(ctx, r, number)
		if err != nil {
			return history{}, 0, err
		}
		deliveries, more, err := x.deliveriesOf(ctx, r, number)
		return history{events, deliveries}, size + more, err
	}, func(number int64, h history) error {
		done()
		p, err := x.page(ctx, number, h, files)
		if err != nil {
			return err
		}
		p.Export = index
		if whole {
			p.Href = "#" + incident.ID(number)
			index.Pages = append(index.Pages, p)
		} else {
			p.Href = "incidents/" + incident.ID(number) + ".html"
			p.Root, p.Whole = "../", true
			if err := x.writePage(templates, p.Href, "incidentfile", p); err != nil {
				return err
			}
		}
		index.Rows = append(index.Rows, p.incidentRow)
		return nil
	})
	if err != nil {
		return err
	}
	if err := x.writePage(templates, "index.html", "export", index); err != nil {
		return err
	}
	text, err := howToVerify(x, c)
	if err != nil {
		return err
	}
	return x.archive.put("VERIFY.txt", text)
}

func (x *exporter) writePage(t *template.Template, name, template string, data any) error {
	w, err := x.archive.file(name)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if err := errors.Join(t.ExecuteTemplate(wording.Shown(out), template, data), x.unread); err != nil {
		return err
	}
	return out.Flush()
}

// page puts together what the records say of an incident, so that it shows nothing
// that is not proven, and no name that was replaced.
func (x *exporter) page(ctx context.Context, number int64, h history, files map[string]string) (*incidentPage, error) {
	p := &incidentPage{}
	var in incident.Incident
	steps := NewStepper(&in)
	err := x.eachEvent(ctx, number, h.events, func(_ storage.Record, e incident.Event) error {
		if err := apply(&in, e); err != nil {
			return impossible(e, err)
		}
		steps.Add([]incident.Event{e})
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.Timeline = func(yield func(timelineRow) bool) {
		err := x.eachEvent(ctx, number, h.events, func(r storage.Record, e incident.Event) error {
			if !yield(timelineRow{Event: &e, Words: eventWords(&e, x.o.Location), Leaf: indexText(&r)}) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			x.unread = errors.Join(x.unread, err)
		}
	}
	p.In, p.Steps = &in, steps.Steps()
	promises := Promises{}
	return p, each(ctx, x.Store, h.deliveries, func(r storage.Snapshot, d incident.Delivery) (recordedDelivery, int, error) {
		return x.recorded(ctx, r, d)
	}, func(_ incident.Delivery, d recordedDelivery) error {
		x.keepDigest(d)
		p.tell(&d, number, promises, files, x.o)
		return nil
	})
}

// tell adds a message to the page of an incident.
func (p *incidentPage) tell(r *recordedDelivery, number int64, promises Promises, files map[string]string, o ExportOptions) {
	d := &r.Delivery
	c := coverOf(d, number)
	if c == nil {
		return
	}
	d.Address = c.ReaderName(d.Address)
	row := messageRow{Delivery: d, Cover: c, Audience: audienceOf(d, c), Promised: promises.For(d, c), File: files[d.ID], Leaf: r.leaf}
	promises.Note(d, c)
	row.Outcome = Judge(d, c, row.Promised, o.Now)
	row.Why = cmp.Or(inZone(d.Cause, o.Location), wording.Failure(d))
	if row.Outcome == Late && row.Why == "" {
		row.Why = string(NoneFound)
	}
	tally := &p.Tally
	if row.Audience == incident.AudienceOnCall {
		tally = &p.OnCall
	}
	tally.add(row.Outcome, 1, NoneFound)
	p.Messages = append(p.Messages, row)
}

// recorded returns a delivery as its record has it.
func (x *exporter) recorded(ctx context.Context, r storage.Snapshot, d incident.Delivery) (recordedDelivery, int, error) {
	for i := range x.digests {
		if x.digests[i].ID == d.ID {
			return x.digests[i], 0, nil
		}
	}
	records, err := x.outcomes(ctx, r, d.ID)
	if err != nil {
		return recordedDelivery{}, 0, err
	}
	leaf := "not yet"
	if n := len(records); n > 0 && d.State != incident.DeliveryPending {
		leaf = indexText(&records[n-1])
		d, _, err = storage.DecodeDelivery(x.show(records[n-1]))
	} else if x.pseudonyms != nil {
		d.Recipient, d.Address = x.pseudonyms.name("recipient", d.Address), x.pseudonyms.name("recipient", d.Address)
		d.Error, d.Cause = "", incident.Cause{}
	}
	return recordedDelivery{d, leaf}, sizeOf(records), err
}

// keepDigest remembers a digest for the pages of others that it covers.
func (x *exporter) keepDigest(d recordedDelivery) {
	if len(d.Covers) > 1 && !slices.ContainsFunc(x.digests, func(kept recordedDelivery) bool { return kept.ID == d.ID }) {
		x.digests = append(x.digests[max(0, len(x.digests)+1-digestsKept):], d)
	}
}

// digestsKept is how many digests are remembered, as each is part of the page of each
// incident that it covers: those of neighbours are mostly the same.
const digestsKept = 8

// A recordedDelivery is a delivery as its record has it.
type recordedDelivery struct {
	incident.Delivery
	leaf string
}
