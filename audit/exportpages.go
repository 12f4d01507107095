package audit

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"iter"
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

func (x *exporter) writePages(ctx context.Context) error {
	t, err := pageTemplates(x.o.Location, "")
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
	for i, number := range x.numbers {
		x.o.Progress.tell("incidents, their pages", int64(i), int64(len(x.numbers)))
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := x.page(ctx, number, files)
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
			if err := x.writePage(t, p.Href, "incidentfile", p); err != nil {
				return err
			}
		}
		index.Rows = append(index.Rows, p.incidentRow)
	}
	if err := x.writePage(t, "index.html", "export", index); err != nil {
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
func (x *exporter) page(ctx context.Context, number int64, files map[string]string) (*incidentPage, error) {
	p := &incidentPage{}
	var in incident.Incident
	steps := NewStepper(&in)
	err := x.eachEvent(ctx, number, func(_ storage.Record, e incident.Event) error {
		if err := apply(&in, e); err != nil {
			return fmt.Errorf("%s/%d: %w: %w", incident.ID(number), e.Sequence, err, storage.ErrDamaged)
		}
		steps.Add([]incident.Event{e})
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.Timeline = func(yield func(timelineRow) bool) {
		err := x.eachEvent(ctx, number, func(r storage.Record, e incident.Event) error {
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
	return p, x.messagesOf(ctx, p, number, files)
}

func (x *exporter) messagesOf(ctx context.Context, p *incidentPage, number int64, files map[string]string) error {
	deliveries, err := deliveriesOf(ctx, x.r, number)
	if err != nil {
		return err
	}
	promises := Promises{}
	for i := range deliveries {
		d := &deliveries[i]
		row := messageRow{File: files[d.ID]}
		if row.Leaf, err = x.recorded(ctx, d); err != nil {
			return err
		}
		c := coverOf(d, number)
		if c == nil {
			continue
		}
		d.Address = c.ReaderName(d.Address)
		row.Delivery, row.Cover, row.Audience, row.Promised = d, c, audienceOf(d, c), promises.For(d, c)
		promises.Note(d, c)
		row.Outcome = Judge(d, c, row.Promised, x.o.Now)
		row.Why = cmp.Or(inZone(d.Cause, x.o.Location), wording.Failure(d))
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
	return nil
}

// recorded makes of a delivery what its record says of it, and returns which leaf that is.
func (x *exporter) recorded(ctx context.Context, d *incident.Delivery) (leaf string, err error) {
	for i := range x.digests {
		if x.digests[i].ID == d.ID {
			*d = x.digests[i].Delivery
			return x.digests[i].leaf, nil
		}
	}
	leaf = "not yet"
	records, err := storage.DeliveryRecords(ctx, x.r, d.ID)
	if err != nil {
		return "", err
	}
	if n := len(records); n > 0 && d.State != incident.DeliveryPending {
		leaf = indexText(&records[n-1])
		if *d, _, err = storage.DecodeDelivery(x.show(records[n-1])); err != nil {
			return "", err
		}
	} else if x.pseudonyms != nil {
		d.Recipient, d.Address = x.pseudonyms.name("recipient", d.Address), x.pseudonyms.name("recipient", d.Address)
		d.Error, d.Cause = "", incident.Cause{}
	}
	if len(d.Covers) > 1 {
		x.digests = append(x.digests[max(0, len(x.digests)+1-digestsKept):], recordedDigest{*d, leaf})
	}
	return leaf, nil
}

// digestsKept is how many digests are remembered, as each is part of the page of each
// incident that it covers: those of neighbours are mostly the same.
const digestsKept = 8

// A recordedDigest is a digest as its record has it.
type recordedDigest struct {
	incident.Delivery
	leaf string
}
