package audit

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sitrep/storage"
)

// An archive is the zip of an export. It is written in one pass, and each of its bytes
// is checked when it is read: those of the files by the hash in the zip's comment, and
// those of the zip itself because the same files have the same zip.
type archive struct {
	zip   *zip.Writer
	out   *countingHash
	at    time.Time
	files []fileSum
	open  hash.Hash
}

// A fileSum is a file of the export and its SHA-256.
type fileSum struct {
	name string
	sum  []byte
}

// countingHash hashes what goes through it.
type countingHash struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (c *countingHash) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.sum.Write(b[:n])
	c.n += int64(n)
	return n, err
}

func newArchive(w io.Writer, at time.Time) *archive {
	out := &countingHash{w: w, sum: sha256.New()}
	return &archive{zip: zip.NewWriter(out), out: out, at: at}
}

// manifestName is the list of files. It is the last one.
const manifestName = "manifest"

// fileHeader is the header of all files: nothing in it depends on the machine.
func fileHeader(name string, at time.Time) *zip.FileHeader {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at.UTC().Truncate(2 * time.Second)}
	if name == manifestName {
		h.Method = zip.Store // so that nothing of it is still in the compressor at the end
	}
	return h
}

// file begins a file, and ends the one before.
func (a *archive) file(name string) (io.Writer, error) {
	a.endFile()
	w, err := a.zip.CreateHeader(fileHeader(name, a.at))
	if err != nil {
		return nil, err
	}
	a.open = sha256.New()
	a.files = append(a.files, fileSum{name: name})
	return io.MultiWriter(w, a.open), nil
}

func (a *archive) endFile() {
	if a.open != nil {
		a.files[len(a.files)-1].sum, a.open = a.open.Sum(nil), nil
	}
}

// put writes a whole file.
func (a *archive) put(name string, content []byte) error {
	w, err := a.file(name)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// close ends the archive.
func (a *archive) close() error {
	a.endFile()
	if err := a.zip.Flush(); err != nil {
		return err
	}
	// What follows, the end of the last file and the list of all, has only one form.
	if err := a.zip.SetComment(comment(a.out.sum, a.out.n)); err != nil {
		return err
	}
	return a.zip.Close()
}

const commentForm = "sha256:%s of the first %d bytes"

func comment(sum hash.Hash, n int64) string {
	return fmt.Sprintf(commentForm, hex.EncodeToString(sum.Sum(nil)), n)
}

// errArchive is a zip that is not as it was exported.
var errArchive = errors.New("the zip is not as it was exported")

// openArchive opens an export. The error wraps errArchive if one byte of it is not as
// it was written, and is that of reading otherwise.
func openArchive(r io.ReaderAt, size int64) (*zip.Reader, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		if errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrAlgorithm) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: %w", errArchive, err)
		}
		return nil, err
	}
	wrong := func(format string, args ...any) (*zip.Reader, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{errArchive}, args...)...)
	}
	var n int64
	var sum string
	if _, err := fmt.Sscanf(z.Comment, commentForm, &sum, &n); err != nil {
		return wrong("its comment is not that of an export")
	}
	if n < 0 || n > size {
		return wrong("it has %d bytes, and should have more than %d", size, n)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, n)); err != nil {
		return nil, err
	}
	if comment(h, n) != z.Comment {
		return wrong("its first %d bytes do not have the SHA-256 that its comment names", n)
	}
	seen := map[string]bool{}
	for _, f := range z.File {
		switch {
		case !filepath.IsLocal(f.Name) || strings.ContainsAny(f.Name, "\\:") || strings.HasSuffix(f.Name, "/"):
			return wrong("the name %q leads out of it", f.Name)
		case seen[f.Name]:
			return wrong("%q is there twice", f.Name)
		case !plainHeader(f):
			return wrong("the entry of %q is not as it was written", f.Name)
		}
		seen[f.Name] = true
	}
	if err := sameArchive(z, r, size, n); err != nil {
		return nil, err
	}
	return z, nil
}

// plainHeader reports whether an entry has nothing but what fileHeader gives it.
func plainHeader(f *zip.File) bool {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if _, err := w.CreateHeader(fileHeader(f.Name, f.Modified)); err != nil || w.Close() != nil {
		return false
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(z.File) != 1 {
		return false
	}
	// Sizes and the sum depend on the content; zip.Reader compares them with it.
	want, got := z.File[0].FileHeader, f.FileHeader
	return want.Name == got.Name && want.Comment == got.Comment && want.NonUTF8 == got.NonUTF8 && want.CreatorVersion == got.CreatorVersion &&
		want.Flags == got.Flags && want.Method == got.Method && want.Modified.Equal(got.Modified) && bytes.Equal(want.Extra, got.Extra) && want.ExternalAttrs == got.ExternalAttrs
}

// sameArchive writes the zip once more, of the same compressed files, and compares.
func sameArchive(z *zip.Reader, r io.ReaderAt, size, hashed int64) error {
	c := &comparer{want: io.NewSectionReader(r, 0, size)}
	w := zip.NewWriter(c)
	for _, f := range z.File {
		if err := w.Copy(f); err != nil {
			return errors.Join(c.err, fmt.Errorf("%w: %w", errArchive, err))
		}
	}
	if err := w.Flush(); err != nil {
		return errors.Join(c.err, err)
	}
	// The hash ends where the last file does: only its sum and sizes follow.
	if end := c.n; hashed != end {
		return fmt.Errorf("%w: its comment speaks of %d bytes, and the files have %d", errArchive, hashed, end)
	}
	if err := w.SetComment(z.Comment); err != nil {
		return fmt.Errorf("%w: %w", errArchive, err)
	}
	if err := w.Close(); err != nil {
		return errors.Join(c.err, fmt.Errorf("%w: %w", errArchive, err))
	}
	if c.n != size {
		return fmt.Errorf("%w: it has %d bytes, and should have %d", errArchive, size, c.n)
	}
	return nil
}

// A comparer fails at the first byte that differs.
type comparer struct {
	want io.Reader
	n    int64
	err  error
	buf  []byte
}

func (c *comparer) Write(b []byte) (int, error) {
	c.buf = slices.Grow(c.buf[:0], len(b))[:len(b)]
	if _, err := io.ReadFull(c.want, c.buf); err != nil {
		c.err = fmt.Errorf("%w: it ends too early", errArchive)
		return 0, c.err
	}
	if !bytes.Equal(c.buf, b) {
		c.err = fmt.Errorf("%w: the bytes from %d on are not those of its files", errArchive, c.n)
		return 0, c.err
	}
	c.n += int64(len(b))
	return len(b), nil
}

// messageName is the file of a message as sent.
func messageName(id, channel string) string {
	ext := ".eml"
	if channel == "webhook" {
		ext = ".json"
	}
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, id)
	return "messages/" + clean + ext
}

func configName(hash string) string { return "configs/" + hash + ".json" }

// indexText writes where a record is in the log.
func indexText(r *storage.Record) string {
	if r.Index < 0 {
		return "not yet"
	}
	return strconv.FormatInt(r.Index, 10)
}
