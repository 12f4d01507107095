package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// ExportOptions say what is handed on, and how.
type ExportOptions struct {
	Selection
	// Now is when the export is made.
	Now time.Time
	// Location is for times in the pages; UTC if nil.
	Location *time.Location
	// Version is that of the program, for people.
	Version string
	// Key signs the head of the log as it is now, and the list of the export's files. If
	// nil, the latest checkpoint in the store is used: what is newer is not proven, and
	// the pages are not signed.
	Key *ledger.Key
	// Earlier are signed checkpoints that were kept elsewhere. The export proves to who
	// has one of them that the log only grew since; that it does for many of those in
	// the store anyway.
	Earlier [][]byte
	// Pseudonyms says that names and addresses are replaced. Messages are left out then, as
	// they are full of them; their hashes are there. Of configurations the public form is.
	Pseudonyms bool
	// Progress is told how far it is; nil is fine.
	Progress Progress
}

// An ExportSummary says what was handed on.
type ExportSummary struct {
	Incidents  int
	Events     int
	Deliveries int
	Messages   int
	Configs    int
	// Proven is how many leaves of the log the proofs are for, and Size how many the
	// checkpoint covers. Waiting are records that it does not cover.
	Proven  int
	Size    int64
	Waiting int
}

// maxWhole is how many incidents stand whole in index.html. Of more, each has a page of
// its own.
const maxWhole = 25

// Export writes the evidence on the selected incidents as one zip: events and
// deliveries as they were stored, messages as they were sent, the configurations in
// force, the proof that all of that is in the log, and pages to read it without a
// server. The same store gives the same files in the same order. The error is
// ErrNothing if the selection selects nothing; then nothing was written.
//
// All of it is as it was when the export began, whatever happens until it ends: no snapshot
// is held for long, and none while something is written to w.
func Export(ctx context.Context, s storage.Store, w io.Writer, o ExportOptions) (ExportSummary, error) {
	if o.Location == nil {
		o.Location = time.UTC
	}
	x := &exporter{o: o, archive: newArchive(w, o.Now), seen: map[string]bool{}, hashes: map[string]bool{}, forgotten: map[int64]bool{}}
	if o.Pseudonyms {
		x.pseudonyms = &pseudonymiser{}
	}
	if err := x.export(ctx, s); err != nil {
		return ExportSummary{}, fmt.Errorf("export evidence: %w", err)
	}
	return x.sum, nil
}

type exporter struct {
	past
	o          ExportOptions
	numbers    []int64
	archive    *archive
	pseudonyms *pseudonymiser // nil: names as they are
	sum        ExportSummary

	checkpoint []byte
	proven     []ledger.Exported
	seen       map[string]bool // deliveries
	hashes     map[string]bool // of configurations that events cite
	// forgotten are incidents of which names were. They are shown up to their end, even if that is newer
	// than all else here: only of what is closed names may be forgotten.
	forgotten map[int64]bool
	// first and last bound the time of the events.
	first, last time.Time
	messages    []sentMessage
	loadings    []loading
	digests     []recordedDelivery // the last ones
	unread      error              // what of a timeline could not be read while its page was written
	buffer      []byte
}

// A sentMessage is a message that is to be exported.
type sentMessage struct{ id, name string }

// A loading is a configuration that came into force.
type loading struct {
	storage.Loading
	Index  string // in the log
	File   string // empty if it is left out
	record storage.Record
}

func (x *exporter) export(ctx context.Context, s storage.Store) (err error) {
	var head storage.LogHead
	if x.past, head, err = pastOf(ctx, s, x.o.Now); err != nil {
		return err
	}
	if x.numbers, err = x.o.find(ctx, &x.past); err != nil {
		return err
	}
	if err := x.sign(ctx, head); err != nil {
		return err
	}
	x.sum.Incidents = len(x.numbers)
	// Deliveries come before events, so that what was forgotten of an incident is known.
	for _, step := range []func(context.Context) error{
		x.writeDeliveries, x.writeEvents, x.writeConfigs, x.writeMessages, x.writeProofs, x.writePages, x.writeManifest,
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return x.archive.close()
}

// sign decides on the checkpoint to which all proofs lead.
func (x *exporter) sign(ctx context.Context, head storage.LogHead) error {
	if x.o.Key != nil {
		root, err := ledger.RootAt(head.Size, hashesOf(ctx, x.Store))
		if err != nil {
			return err
		}
		x.checkpoint, err = x.o.Key.Sign(ledger.Checkpoint{Size: head.Size, Root: root, At: x.o.Now.UTC().Truncate(time.Second)})
		x.sum.Size = head.Size
		return err
	}
	if x.checkpoint = head.Signed; x.checkpoint == nil {
		return errors.New("the log was never signed, and no key is given to sign it")
	}
	c, err := ledger.ReadCheckpoint(x.checkpoint)
	if err != nil {
		return err
	}
	if c.Size > head.Size {
		return fmt.Errorf("the log has %d leaves, and its latest checkpoint signed %d: %w", head.Size, c.Size, storage.ErrDamaged)
	}
	x.sum.Size = c.Size
	return nil
}

// line writes a record, and notes the leaf that is to be proven.
func (x *exporter) line(w io.Writer, kind ledger.Kind, r *storage.Record, name string) error {
	var pseudonyms map[string]string
	if x.pseudonyms != nil {
		pseudonyms = x.pseudonyms.of(r)
	}
	var err error
	if x.buffer, err = appendLine(x.buffer[:0], r, pseudonyms); err != nil {
		return err
	}
	if r.Index < 0 || r.Index >= x.sum.Size {
		x.sum.Waiting++
	} else {
		x.proven = append(x.proven, ledger.Exported{Index: r.Index, Kind: kind, Name: name})
	}
	_, err = w.Write(x.buffer)
	return err
}

// show returns the record with pseudonyms in place of what they stand for.
func (x *exporter) show(r storage.Record) storage.Record {
	if x.pseudonyms != nil {
		r.Personal, r.Salt = x.pseudonyms.of(&r), nil
	}
	return r
}

// firstEvents reads the first events of an incident.
func (x *exporter) firstEvents(ctx context.Context, r storage.Snapshot, number int64) (records []storage.Record, size int, err error) {
	records, err = storage.EventRecords(ctx, r, number, 0, eventsPage)
	return records, sizeOf(records), err
}

// sizeOf returns about how many bytes records are.
func sizeOf(records []storage.Record) (n int) {
	for i := range records {
		n += len(records[i].Leaf)
	}
	return n
}

// eachEvent calls fn for each event of an incident. The first of them were read.
func (x *exporter) eachEvent(ctx context.Context, number int64, records []storage.Record, fn func(storage.Record, incident.Event) error) error {
	for after := int64(0); ; {
		for i := range records {
			if !x.has(&records[i]) && !x.forgotten[number] {
				return nil
			}
			e, err := storage.DecodeEvent(x.show(records[i]))
			if err != nil {
				return err
			}
			after = e.Sequence
			if err := fn(records[i], e); err != nil {
				return err
			}
		}
		if len(records) < eventsPage {
			return nil
		}
		var err error
		if records, err = read(ctx, x.Store, func(r storage.Snapshot) ([]storage.Record, error) {
			return storage.EventRecords(ctx, r, number, after, eventsPage)
		}); err != nil {
			return err
		}
	}
}

func (x *exporter) writeEvents(ctx context.Context) error {
	w, err := x.archive.file("events.jsonl")
	if err != nil {
		return err
	}
	done := x.counting("incidents, their events", len(x.numbers))
	return each(ctx, x.Store, x.numbers, func(r storage.Snapshot, number int64) ([]storage.Record, int, error) {
		return x.firstEvents(ctx, r, number)
	}, func(number int64, first []storage.Record) error {
		done()
		return x.eachEvent(ctx, number, first, func(r storage.Record, e incident.Event) error {
			if r.Forgotten() {
				x.forgotten[number] = true
			}
			x.sum.Events++
			if e.Config != "" {
				x.hashes[e.Config] = true
			}
			if x.first.IsZero() || e.Time.Before(x.first) {
				x.first = e.Time
			}
			if e.Time.After(x.last) {
				x.last = e.Time
			}
			return x.line(w, ledger.Event, &r, fmt.Sprintf("%s/%d", incident.ID(number), e.Sequence))
		})
	})
}

// counting returns what is called for each of so many items.
func (x *exporter) counting(kind string, total int) func() {
	n := -1
	return func() {
		n++
		x.o.Progress.tell(kind, int64(n), int64(total))
	}
}

// deliveriesOf reads the deliveries that cover an incident, without those that were made since.
func (x *exporter) deliveriesOf(ctx context.Context, r storage.Snapshot, number int64) (all []incident.Delivery, size int, err error) {
	all, err = x.deliveries(ctx, r, number)
	all = slices.DeleteFunc(all, func(d incident.Delivery) bool {
		return d.State == incident.DeliveryPending && d.CreatedAt.After(x.at)
	})
	return all, len(all) * deliverySize, err
}

// deliverySize is about how many bytes a delivery is in brief.
const deliverySize = 1 << 10

func (x *exporter) writeDeliveries(ctx context.Context) error {
	w, err := x.archive.file("deliveries.jsonl")
	if err != nil {
		return err
	}
	done := x.counting("incidents, their deliveries", len(x.numbers))
	return each(ctx, x.Store, x.numbers, func(r storage.Snapshot, number int64) ([]incident.Delivery, int, error) {
		return x.deliveriesOf(ctx, r, number)
	}, func(_ int64, all []incident.Delivery) error {
		done()
		all = slices.DeleteFunc(all, func(d incident.Delivery) bool { return x.seen[d.ID] }) // a digest
		return each(ctx, x.Store, all, func(r storage.Snapshot, d incident.Delivery) ([]storage.Record, int, error) {
			records, err := x.outcomes(ctx, r, d.ID)
			return records, sizeOf(records), err
		}, func(d incident.Delivery, records []storage.Record) error { return x.writeDelivery(w, &d, records) })
	})
}

func (x *exporter) writeDelivery(w io.Writer, d *incident.Delivery, records []storage.Record) error {
	x.seen[d.ID] = true
	for i := range records {
		if err := x.line(w, ledger.Delivery, &records[i], d.ID); err != nil {
			return err
		}
		if !records[i].Forgotten() {
			continue
		}
		about, _, err := storage.DecodeDelivery(records[i])
		if err != nil {
			return err
		}
		for _, number := range about.Incidents() {
			x.forgotten[number] = true
		}
	}
	x.sum.Deliveries++
	if len(records) > 0 && x.pseudonyms == nil {
		x.messages = append(x.messages, sentMessage{d.ID, messageName(d.ID, string(d.Channel))})
	}
	return nil
}

// writeConfigs writes the configurations that were in force from the first event to
// the last, and when each came into force.
func (x *exporter) writeConfigs(ctx context.Context) error {
	w, err := x.archive.file("configs.jsonl")
	if err != nil {
		return err
	}
	records, err := read(ctx, x.Store, func(r storage.Snapshot) ([]storage.Record, error) { return storage.LoadingRecords(ctx, r) })
	if err != nil {
		return err
	}
	records = slices.DeleteFunc(records, func(r storage.Record) bool { return !x.has(&r) })
	for i := range records { // the latest first
		l, err := storage.DecodeLoading(records[i])
		if err != nil {
			return err
		}
		if l.At.After(x.last) && !x.hashes[l.Hash] {
			continue
		}
		x.loadings = append(x.loadings, loading{Loading: l, record: records[i]})
		if !l.At.After(x.first) && !x.stillCited(records[i+1:]) {
			break // it was in force at the first event, and no event cites one before
		}
	}
	slices.Reverse(x.loadings)
	for i := range x.loadings {
		l := &x.loadings[i]
		l.Index = indexText(&l.record)
		if err := x.line(w, ledger.Config, &l.record, l.Hash); err != nil {
			return err
		}
	}
	there := map[string]bool{}
	for i := range x.loadings {
		l := &x.loadings[i]
		c, err := x.form(ctx, l.Loading)
		if err != nil {
			return err
		}
		if l.Loading, err = storage.DecodeLoading(x.show(l.record)); err != nil {
			return err
		}
		if c.Hash == "" {
			continue
		}
		l.File = configName(c.Hash)
		if there[c.Hash] {
			continue
		}
		there[c.Hash] = true
		x.sum.Configs++
		if err := x.archive.put(l.File, c.Body); err != nil {
			return err
		}
	}
	return nil
}

// form returns the form of a configuration that is exported; an empty one if there is
// none that may be.
func (x *exporter) form(ctx context.Context, l storage.Loading) (storage.Config, error) {
	return read(ctx, x.Store, func(r storage.Snapshot) (c storage.Config, err error) {
		switch {
		case x.pseudonyms == nil:
			c, _, err = storage.ConfigOf(ctx, r, l)
		case l.Public != "":
			c, err = r.Config(ctx, l.Public)
		}
		return c, err
	})
}

// stillCited reports whether an event cites a configuration that came into force
// earlier, and not again since.
func (x *exporter) stillCited(earlier []storage.Record) bool {
	have := map[string]bool{}
	for _, l := range x.loadings {
		have[l.Hash] = true
	}
	for hash := range x.hashes {
		if !have[hash] {
			return len(earlier) > 0
		}
	}
	return false
}

func (x *exporter) writeMessages(ctx context.Context) error {
	kept := x.messages[:0]
	done := x.counting("messages", len(x.messages))
	err := each(ctx, x.Store, x.messages, func(r storage.Snapshot, m sentMessage) ([]byte, int, error) {
		body, err := r.Message(ctx, m.id)
		if errors.Is(err, incident.ErrNotFound) {
			return nil, 0, nil // its time is over; the hash stays
		}
		if err == nil && body == nil {
			body = []byte{}
		}
		return body, len(body), err
	}, func(m sentMessage, body []byte) error {
		done()
		if body == nil {
			return nil
		}
		kept = append(kept, m)
		return x.archive.put(m.name, body)
	})
	x.messages, x.sum.Messages = kept, len(kept)
	return err
}
