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
// The store is read in one snapshot, so w should not wait for a slow reader.
func Export(ctx context.Context, s storage.Store, w io.Writer, o ExportOptions) (ExportSummary, error) {
	var sum ExportSummary
	began := false
	err := s.Read(storage.Long(ctx), func(r storage.Snapshot) error {
		if began {
			return errors.New("the snapshot was lost on the way; try again")
		}
		numbers, err := o.find(ctx, r)
		if err != nil {
			return err
		}
		began = true
		if o.Location == nil {
			o.Location = time.UTC
		}
		x := &exporter{r: r, o: o, numbers: numbers, archive: newArchive(w, o.Now), seen: map[string]bool{}, hashes: map[string]bool{}}
		if o.Pseudonyms {
			x.pseudonyms = &pseudonymiser{}
		}
		err = x.write(ctx)
		sum = x.sum
		return err
	})
	if err != nil {
		return ExportSummary{}, fmt.Errorf("export evidence: %w", err)
	}
	return sum, nil
}

type exporter struct {
	r          storage.Snapshot
	o          ExportOptions
	numbers    []int64
	archive    *archive
	pseudonyms *pseudonymiser // nil: names as they are
	sum        ExportSummary

	checkpoint []byte
	proven     []ledger.Exported
	seen       map[string]bool // deliveries
	hashes     map[string]bool // of configurations that events cite
	// first and last bound the time of the events.
	first, last time.Time
	messages    []sentMessage
	loadings    []loading
	digests     []recordedDigest // the last ones
	unread      error            // what of a timeline could not be read while its page was written
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

func (x *exporter) write(ctx context.Context) error {
	if err := x.sign(ctx); err != nil {
		return err
	}
	x.sum.Incidents = len(x.numbers)
	for _, step := range []func(context.Context) error{
		x.writeEvents, x.writeDeliveries, x.writeConfigs, x.writeMessages, x.writeProofs, x.writePages, x.writeManifest,
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
func (x *exporter) sign(ctx context.Context) error {
	head, err := x.r.LogHead(ctx)
	if err != nil {
		return err
	}
	if x.o.Key != nil {
		root, err := ledger.RootAt(head.Size, storage.Hashes(ctx, x.r))
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

// eachEvent calls fn for each event of an incident.
func (x *exporter) eachEvent(ctx context.Context, number int64, fn func(storage.Record, incident.Event) error) error {
	for after := int64(0); ; {
		records, err := storage.EventRecords(ctx, x.r, number, after, eventsPage)
		if err != nil {
			return err
		}
		for i := range records {
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
	}
}

func (x *exporter) writeEvents(ctx context.Context) error {
	w, err := x.archive.file("events.jsonl")
	if err != nil {
		return err
	}
	for i, number := range x.numbers {
		x.o.Progress.tell("incidents, their events", int64(i), int64(len(x.numbers)))
		err := x.eachEvent(ctx, number, func(r storage.Record, e incident.Event) error {
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
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *exporter) writeDeliveries(ctx context.Context) error {
	w, err := x.archive.file("deliveries.jsonl")
	if err != nil {
		return err
	}
	for i, number := range x.numbers {
		x.o.Progress.tell("incidents, their deliveries", int64(i), int64(len(x.numbers)))
		deliveries, err := deliveriesOf(ctx, x.r, number)
		if err != nil {
			return err
		}
		for i := range deliveries {
			d := &deliveries[i]
			if x.seen[d.ID] {
				continue // a digest
			}
			x.seen[d.ID] = true
			records, err := storage.DeliveryRecords(ctx, x.r, d.ID)
			if err != nil {
				return err
			}
			for k := range records {
				if err := x.line(w, ledger.Delivery, &records[k], d.ID); err != nil {
					return err
				}
			}
			x.sum.Deliveries++
			if len(records) > 0 && x.pseudonyms == nil {
				x.messages = append(x.messages, sentMessage{d.ID, messageName(d.ID, string(d.Channel))})
			}
		}
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
	records, err := storage.LoadingRecords(ctx, x.r) // the latest first
	if err != nil {
		return err
	}
	for i := range records {
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
	switch {
	case x.pseudonyms == nil:
		c, _, err := storage.ConfigOf(ctx, x.r, l)
		return c, err
	case l.Public != "":
		return x.r.Config(ctx, l.Public)
	}
	return storage.Config{}, nil
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
	for i, m := range x.messages {
		x.o.Progress.tell("messages", int64(i), int64(len(x.messages)))
		body, err := x.r.Message(ctx, m.id)
		if errors.Is(err, incident.ErrNotFound) {
			continue // its time is over; the hash stays
		}
		if err != nil {
			return err
		}
		if err := x.archive.put(m.name, body); err != nil {
			return err
		}
		kept = append(kept, m)
	}
	x.messages, x.sum.Messages = kept, len(kept)
	return nil
}
