package audit

import (
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/storage"
)

// An ExportVerification is what came out of verifying an export.
type ExportVerification struct {
	Verification
	// Selection is what the export says that it is about, and MadeAt when it was made.
	Selection string    `json:"selection"`
	MadeAt    time.Time `json:"made_at,omitzero"`
	// Origin is the name of the log.
	Origin string `json:"origin"`
	// Notes say what could not be checked.
	Notes []string `json:"notes"`
}

// Bounds of what an export may hold, so that a forged one does no harm. In bytes.
const (
	maxSmallFile = 64 << 20
	maxLine      = 16 << 20
	// All files together have at most maxGrown and maxRatio times the size of the zip: hashes
	// and salts, which do not shrink, are in each line of an export.
	maxGrown = 16 << 20
	maxRatio = 100
)

// VerifyExport checks an export, without the store and without a network:
//
//   - the zip is, byte for byte, one that was exported;
//   - one of the keys signed its checkpoint, and the proofs lead to it;
//   - each line of events, deliveries and configurations is one that is proven, at its
//     place in the log, and each that is proven is there; names and addresses are those
//     whose hashes stand in it;
//   - the events of an incident have no gap, and can have happened;
//   - each message and each configuration is the one whose hash is in the log;
//   - each file is the one in the signed list, and there is no other;
//   - the log begins with that of each of the given checkpoints.
//
// The findings come in that order, so the first says best what is wrong. The error is
// for what kept it from looking, never for what it found.
func VerifyExport(ctx context.Context, r io.ReaderAt, size int64, o VerifyOptions) (ExportVerification, error) {
	v := &exportVerifier{ctx: ctx, o: o, files: map[string]*zip.File{}, wrong: map[string]bool{}, messages: map[string]string{}, configs: map[string]bool{}, loaded: map[string]storage.Loading{}, closed: map[int64]bool{}}
	if err := v.verify(r, size); err != nil && !errors.Is(err, errEnough) {
		return v.out, fmt.Errorf("verify the export: %w", err)
	}
	return v.out, nil
}

type exportVerifier struct {
	ctx        context.Context
	o          VerifyOptions
	out        ExportVerification
	files      map[string]*zip.File
	order      []string
	wrong      map[string]bool // files of which something was found
	checkpoint ledger.Checkpoint
	signed     bool
	proofs     *ledger.Proofs
	fold       incident.Incident
	messages   map[string]string          // the SHA-256 in the log, by the file's name
	configs    map[string]bool            // names of files that may be there
	loaded     map[string]storage.Loading // by the hash of the configuration
	forgotten  int                        // lines without the names and addresses in them
	bare       bool                       // the line that is read is one of those
	closed     map[int64]bool             // by number, of each incident
	withheld   bool                       // names and addresses are pseudonyms
	read       int64                      // bytes
	toRead     int64                      // about how many bytes in all
}

func (v *exportVerifier) find(file, place, format string, args ...any) error {
	v.wrong[file] = true
	return v.out.find(v.o.limit(), Finding{place, fmt.Sprintf(format, args...)})
}

func (v *exportVerifier) note(format string, args ...any) {
	v.out.Notes = append(v.out.Notes, fmt.Sprintf(format, args...))
}

func (v *exportVerifier) verify(r io.ReaderAt, size int64) error {
	z, err := openArchive(r, size)
	if z == nil {
		if !errors.Is(err, errArchive) {
			return err
		}
		// Of what can be read in it, the rest may say more.
		if err := v.find("", "zip", "%v", err); err != nil {
			return err
		}
		if z, err = zip.NewReader(r, size); err != nil {
			return nil
		}
	}
	// No more is read of a file than its entry says.
	most := uint64(maxGrown + maxRatio*size)
	left := most
	for _, f := range z.File {
		if f.UncompressedSize64 > left {
			return v.find("", "zip", "its %s say that they have more than %d bytes, which is more than an export of its size can have: nothing of them was read",
				plural(len(z.File), "file", "files"), most)
		}
		left -= f.UncompressedSize64
		v.toRead += int64(f.UncompressedSize64)
		if !strings.HasSuffix(f.Name, ".html") { // what is no page is read for what is in it, too
			v.toRead += int64(f.UncompressedSize64)
		}
	}
	for _, f := range z.File {
		v.files[f.Name] = f
		v.order = append(v.order, f.Name)
	}
	for _, step := range []func() error{
		v.readCheckpoint, v.readProofs, v.readEvents, v.readDeliveries, v.readLoadings, v.missing, v.readMessages, v.readConfigs, v.readManifest, v.readEarlier,
	} {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// open opens a file; nil if that is a finding.
func (v *exportVerifier) open(name string) (io.ReadCloser, error) {
	f := v.files[name]
	if f == nil {
		return nil, v.find(name, name, "missing")
	}
	rc, err := f.Open()
	if err != nil {
		return nil, v.find(name, name, "it cannot be read: %v", err)
	}
	return &toldReader{rc, v.o.Progress, &v.read, v.toRead}, nil
}

// whole reads a small file; nil if that is a finding.
func (v *exportVerifier) whole(name string) ([]byte, error) {
	rc, err := v.open(name)
	if rc == nil {
		return nil, err
	}
	defer rc.Close()
	b, err := io.ReadAll(io.LimitReader(rc, maxSmallFile+1))
	switch {
	case err != nil:
		return nil, v.find(name, name, "it cannot be read: %v", err)
	case len(b) > maxSmallFile:
		return nil, v.find(name, name, "it is longer than %d bytes", maxSmallFile)
	}
	return b, nil
}

func (v *exportVerifier) readCheckpoint() error {
	b, err := v.whole("checkpoint")
	if b == nil {
		return err
	}
	if len(v.o.Keys) > 0 {
		v.checkpoint, err = ledger.OpenCheckpoint(b, v.o.Keys...)
		if errors.Is(err, ledger.ErrBadKey) {
			return err
		}
		v.signed = err == nil
	} else {
		v.checkpoint, err = ledger.ReadCheckpoint(b)
		v.note("Nobody's signature was checked: give the public key of the log.")
	}
	if err != nil {
		if signers := ledger.Signers(b); errors.Is(err, ledger.ErrNotSigned) && len(signers) > 0 {
			err = fmt.Errorf("%w; it says that it was by %s", err, strings.Join(signers, ", "))
		}
		if err := v.find("checkpoint", "checkpoint", "%v", err); err != nil {
			return err
		}
		if v.checkpoint, err = ledger.ReadCheckpoint(b); err != nil {
			return nil
		}
	}
	c := v.checkpoint
	v.out.Checkpoints, v.out.Origin, v.out.Root, v.out.SignedAt = 1, c.Origin, c.Root.String(), c.At
	v.out.Signed = c.Size
	return nil
}

func (v *exportVerifier) readProofs() error {
	rc, err := v.open("proofs.jsonl")
	if rc == nil || v.checkpoint.Origin == "" {
		return err
	}
	defer rc.Close()
	if v.proofs, err = ledger.ReadProofs(rc, v.checkpoint); err != nil {
		v.proofs = nil
		return v.find("proofs.jsonl", "proofs.jsonl", "%v", err)
	}
	v.out.Leaves = int64(v.proofs.Len())
	return nil
}

// eachRecord calls fn for each line of a file, once it is known to be proven.
func (v *exportVerifier) eachRecord(name string, kind ledger.Kind, fn func(place string, r storage.Record) error) error {
	rc, err := v.open(name)
	if rc == nil {
		return err
	}
	defer rc.Close()
	in := bufio.NewReader(rc)
	for n := 1; ; n++ {
		place := fmt.Sprintf("%s, line %d", name, n)
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return v.find(name, place, "it cannot be read: %v", err)
		}
		r, pseudonymised, err := parseLine(line)
		if err == nil && !pseudonymised {
			err = r.CheckPersonal()
		}
		if err != nil {
			if err := v.find(name, place, "%v", err); err != nil {
				return err
			}
			continue
		}
		v.withheld = v.withheld || pseudonymised
		if v.bare = !pseudonymised && r.Forgotten(); v.bare {
			v.forgotten++
		}
		place += ", " + describe(storage.Leaf{Kind: kind, Record: r})
		if err := v.proven(name, place, kind, &r); err != nil {
			return err
		}
		if err := fn(place, r); err != nil {
			return err
		}
	}
}

// readLine returns the next line without its line feed, which must be there. The
// error is io.EOF at the end.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull) && len(line) <= maxLine:
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("it is longer than %d bytes", maxLine)
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, errors.New("the last line does not end")
		default:
			return nil, err
		}
	}
}

// proven checks that a record is in the log where it says.
func (v *exportVerifier) proven(name, place string, kind ledger.Kind, r *storage.Record) error {
	if v.proofs == nil {
		return nil
	}
	if r.Index < 0 || r.Index >= v.checkpoint.Size {
		v.out.Waiting++
		return nil
	}
	index, err := v.proofs.Take(ledger.Leaf{Kind: kind, Bytes: r.Leaf})
	if err != nil {
		return v.find(name, place, "it is not in the log as it stands here: %v", err)
	}
	if index != r.Index {
		return v.find(name, place, "it says that it is leaf %d, and it is leaf %d", r.Index, index)
	}
	return nil
}

func (v *exportVerifier) readEvents() error {
	const name = "events.jsonl"
	last := int64(0)
	early := map[int64]string{} // the first events without their names
	err := v.eachRecord(name, ledger.Event, func(place string, r storage.Record) error {
		e, err := storage.DecodeEvent(r)
		if err != nil {
			return v.find(name, place, "%v", err)
		}
		v.out.Events++
		if e.Incident != v.fold.Number {
			if e.Incident <= last {
				return v.find(name, place, "it stands after %s", incident.ID(last))
			}
			last = e.Incident
			v.fold = incident.Incident{}
			v.out.Incidents++
		}
		if want := v.fold.Sequence + 1; e.Sequence != want {
			err := v.find(name, fmt.Sprintf("event %s/%d", incident.ID(e.Incident), want), "missing; in its place is %d", e.Sequence)
			v.fold.Number, v.fold.Sequence = e.Incident, e.Sequence
			return err
		}
		if err := apply(&v.fold, e); err != nil {
			v.fold.Number, v.fold.Sequence = e.Incident, e.Sequence
			return v.find(name, place, "it cannot have happened: %v", err)
		}
		v.closed[e.Incident] = v.fold.State == incident.StateClosed
		if v.bare && early[e.Incident] == "" {
			early[e.Incident] = place
		}
		return nil
	})
	for _, number := range slices.Sorted(maps.Keys(early)) {
		if err == nil && !v.closed[number] {
			err = v.find(name, early[number], "%s", forgottenEarly)
		}
	}
	return err
}

func (v *exportVerifier) readDeliveries() error {
	const name = "deliveries.jsonl"
	before := ""
	return v.eachRecord(name, ledger.Delivery, func(place string, r storage.Record) error {
		d, sum, err := storage.DecodeDelivery(r)
		if err != nil {
			return v.find(name, place, "%v", err)
		}
		if d.ID != before {
			v.out.Deliveries++
		}
		before = d.ID
		v.messages[messageName(d.ID, string(d.Channel))] = sum // of the last outcome
		for _, c := range d.Covers {
			if closed, there := v.closed[c.Incident]; v.bare && there && !closed {
				return v.find(name, place, "%s", forgottenEarly)
			}
		}
		return nil
	})
}

func (v *exportVerifier) readLoadings() error {
	const name = "configs.jsonl"
	return v.eachRecord(name, ledger.Config, func(place string, r storage.Record) error {
		l, err := storage.DecodeLoading(r)
		if err != nil {
			return v.find(name, place, "%v", err)
		}
		v.configs[configName(l.Hash)] = true
		if l.Public != "" {
			v.configs[configName(l.Public)] = true
		}
		v.loaded[l.Hash] = l
		return nil
	})
}

// missing finds what is proven and not there.
func (v *exportVerifier) missing() error {
	if v.proofs == nil {
		return nil
	}
	m, ok := v.proofs.Missing()
	if !ok {
		return nil
	}
	file := map[ledger.Kind]string{ledger.Event: "events.jsonl", ledger.Delivery: "deliveries.jsonl", ledger.Config: "configs.jsonl"}[m.Kind]
	if v.wrong[file] {
		return nil // found before, under the name of what stands in its place
	}
	return v.find(file, fmt.Sprintf("leaf %d, %s %s", m.Index, m.Kind, m.Name), "it was exported, and is missing in %s", file)
}
