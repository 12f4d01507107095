package audit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"sitrep/ledger"
	"sitrep/storage"
)

func (x *exporter) writeProofs(ctx context.Context) error {
	if err := x.archive.put("checkpoint", x.checkpoint); err != nil {
		return err
	}
	w, err := x.archive.file("proofs.jsonl")
	if err != nil {
		return err
	}
	slices.SortFunc(x.proven, func(a, b ledger.Exported) int { return int(max(min(a.Index-b.Index, 1), -1)) })
	x.sum.Proven = len(x.proven)
	leaves := iter.Seq2[ledger.Exported, error](func(yield func(ledger.Exported, error) bool) {
		for _, l := range x.proven {
			if !yield(l, nil) {
				return
			}
		}
	})
	if err := ledger.WriteProofs(w, x.sum.Size, leaves, hashesOf(ctx, x.Store)); err != nil {
		return err
	}
	return x.writeGrowth(ctx)
}

// A growthLine is a line of growth.jsonl: the proof that the log of the export's
// checkpoint begins with the one of an earlier.
type growthLine struct {
	Size  int64         `json:"size"` // of the earlier
	Proof []ledger.Hash `json:"proof"`
}

// maxGrowth is for how many of the latest checkpoints in the store growth is proven,
// besides the last of each day.
const maxGrowth = 100

func (x *exporter) writeGrowth(ctx context.Context) error {
	w, err := x.archive.file("growth.jsonl")
	if err != nil {
		return err
	}
	sizes, err := x.earlier(ctx)
	if err != nil {
		return err
	}
	for _, size := range sizes {
		proof, err := ledger.ProveGrowth(x.sum.Size, size, hashesOf(ctx, x.Store))
		if err != nil {
			return err
		}
		b, err := json.Marshal(growthLine{size, proof})
		if err != nil {
			return err
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// earlier returns the sizes of the checkpoints for which growth is proven, in order.
func (x *exporter) earlier(ctx context.Context) ([]int64, error) {
	var sizes, recent []int64
	var day string
	var last int64
	for after := int64(-1); ; {
		page, err := read(ctx, x.Store, func(r storage.Snapshot) ([][]byte, error) { return r.Checkpoints(ctx, after, 1000) })
		if err != nil {
			return nil, err
		}
		for _, signed := range page {
			c, err := ledger.ReadCheckpoint(signed)
			if err != nil {
				return nil, err
			}
			after = c.Size
			if c.Size == 0 || c.Size > x.sum.Size {
				continue
			}
			if of := c.At.Format(time.DateOnly); of != day && day != "" {
				sizes = append(sizes, last)
			}
			day, last = c.At.Format(time.DateOnly), c.Size
			if recent = append(recent, c.Size); len(recent) > maxGrowth {
				recent = recent[1:]
			}
		}
		if len(page) < 1000 {
			break
		}
	}
	sizes = append(sizes, recent...)
	for _, signed := range x.o.Earlier {
		c, err := ledger.ReadCheckpoint(signed)
		if err != nil {
			return nil, err
		}
		if c.Size > 0 && c.Size <= x.sum.Size {
			sizes = append(sizes, c.Size)
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes), nil
}

// manifestHead is the first line of the list of files. No log has it as its origin, so
// a signed list is never taken for a checkpoint.
const manifestHead = "sitrep evidence: the files of this export and their SHA-256"

// writeManifest lists all files before it, signed if there is a key.
func (x *exporter) writeManifest(context.Context) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\nmade %s\n", manifestHead, oneLine(x.o.Selection.String()), x.o.Now.UTC().Format(time.RFC3339))
	x.archive.endFile()
	for _, f := range x.archive.files {
		fmt.Fprintf(&b, "%s  %s\n", hex.EncodeToString(f.sum), f.name)
	}
	text := b.String()
	if x.o.Key == nil {
		return x.archive.put(manifestName, []byte(text))
	}
	signer, err := note.NewSigner(strings.TrimSpace(x.o.Key.Secret()))
	if err != nil {
		return errors.New("sign the list of files: the key is no key of a note")
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return fmt.Errorf("sign the list of files: %w", err)
	}
	return x.archive.put(manifestName, signed)
}

// oneLine keeps a text from adding lines.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
