package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint says what a log held at a time: the first Size leaves have that root.
//
// As a note its text is the origin, the size in decimal and the root in base64, each
// on a line of its own, then "time " and the time in RFC 3339. Further lines are
// passed over.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   Hash
	// At is when it was signed, as the signer said, in whole seconds; zero if it did not.
	At time.Time
}

// ErrNotSigned is a checkpoint that none of the keys signed as it stands.
var ErrNotSigned = errors.New("not signed by the key")

// ErrBadKey is a text that is no public key.
var ErrBadKey = errors.New("not a public key")

// maxNote is how long a signed checkpoint may be in bytes.
const maxNote = 64 << 10

func (c *Checkpoint) text() string {
	text := fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
	if !c.At.IsZero() {
		text += timeLine + c.At.UTC().Format(time.RFC3339) + "\n"
	}
	return text
}

const timeLine = "time "

// OpenCheckpoint returns the checkpoint in a signed note. One of the public keys,
// as Key.Public gives them, must have signed it, and under its own origin: the error
// is ErrNotSigned otherwise, or ErrBadKey if a key is none.
func OpenCheckpoint(signed []byte, publics ...string) (Checkpoint, error) {
	if len(signed) > maxNote {
		return Checkpoint{}, fmt.Errorf("open checkpoint: it has %d bytes, and at most %d are allowed", len(signed), maxNote)
	}
	var verifiers []note.Verifier
	for _, public := range publics {
		v, err := note.NewVerifier(strings.TrimSpace(public))
		if err != nil {
			return Checkpoint{}, fmt.Errorf("open checkpoint: %q: %w", public, ErrBadKey)
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w: %w", ErrNotSigned, err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	for _, sig := range n.Sigs {
		if sig.Name == c.Origin {
			return c, nil
		}
	}
	return Checkpoint{}, fmt.Errorf("open checkpoint: it is of the log %q, and %q signed it: %w", c.Origin, n.Sigs[0].Name, ErrNotSigned)
}

// ReadCheckpoint returns the checkpoint in a signed note without a look at the
// signature: it says what the note claims.
func ReadCheckpoint(signed []byte) (Checkpoint, error) {
	if len(signed) > maxNote {
		return Checkpoint{}, fmt.Errorf("read checkpoint: it has %d bytes, and at most %d are allowed", len(signed), maxNote)
	}
	text, _, ok := strings.Cut(string(signed), "\n\n")
	if !ok {
		return Checkpoint{}, errors.New("read checkpoint: it is no signed note")
	}
	return parseCheckpoint(text + "\n")
}

// Signers returns who signed a note as it says, without a look at the signatures: the
// name and the hash of each key, as KeyID writes them; none if it is no signed note.
func Signers(signed []byte) []string {
	if len(signed) > maxNote {
		return nil
	}
	_, err := note.Open(signed, note.VerifierList())
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return nil
	}
	var ids []string
	for _, sig := range unverified.Note.UnverifiedSigs {
		ids = append(ids, fmt.Sprintf("%s+%08x", sig.Name, sig.Hash))
	}
	return ids
}

func parseCheckpoint(text string) (Checkpoint, error) {
	malformed := func(what string) (Checkpoint, error) {
		return Checkpoint{}, fmt.Errorf("read checkpoint: malformed: %s", what)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] == "" {
		return malformed("it has not three lines: origin, size and root")
	}
	c := Checkpoint{Origin: lines[0]}
	var err error
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 || lines[1] != strconv.FormatInt(c.Size, 10) {
		return malformed("the size is " + strconv.Quote(lines[1]))
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return malformed("the root is " + strconv.Quote(lines[2]))
	}
	if c.Size == 0 && c.Root != emptyRoot() {
		return malformed("the root is not that of an empty log")
	}
	for _, line := range lines[3:] {
		value, ok := strings.CutPrefix(line, timeLine)
		if !ok || !c.At.IsZero() {
			continue
		}
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return malformed("the time is " + strconv.Quote(value))
		}
		c.At = at.UTC()
	}
	return c, nil
}
