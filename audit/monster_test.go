package audit

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// zeros are that many bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// exported is a zip that has the form of an export, with these files.
func exported(t testing.TB, put func(*archive)) []byte {
	t.Helper()
	var out bytes.Buffer
	a := newArchive(&out, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	put(a)
	if err := a.put(manifestName, []byte("no list\n")); err != nil {
		t.Fatal(err)
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// zeros puts a file of n zeros.
func (a *archive) zeros(t testing.TB, name string, n int64) {
	t.Helper()
	w, err := a.file(name)
	if err == nil {
		_, err = io.Copy(w, zeros(n))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// zipped is a zip of entries as anybody makes it.
func zipped(t testing.TB, headers ...*zip.FileHeader) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, h := range headers {
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, "/") {
			_, err = io.WriteString(w, "../../etc/passwd")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The signatures of the parts at the end of a zip, as they stand in it.
const (
	directorySign = "PK\x01\x02"
	endSign       = "PK\x05\x06"
)

// overlapping is a zip in which n names stand for one file of size zeros.
func overlapping(t testing.TB, n int, size int64) []byte {
	t.Helper()
	b := exported(t, func(a *archive) { a.zeros(t, "messages/000000.eml", size) })
	directory, end := bytes.Index(b, []byte(directorySign)), bytes.LastIndex(b, []byte(endSign))
	entry, tail := b[directory:directory+len(directorySign)+bytes.Index(b[directory+len(directorySign):], []byte(directorySign))], bytes.Clone(b[end:])
	out := bytes.Clone(b[:directory])
	for i := range n {
		out = append(out, bytes.Replace(entry, []byte("000000"), fmt.Appendf(nil, "%06d", i), 1)...)
	}
	binary.LittleEndian.PutUint16(tail[8:], uint16(n))
	binary.LittleEndian.PutUint16(tail[10:], uint16(n))
	binary.LittleEndian.PutUint32(tail[12:], uint32(n*len(entry)))
	return append(out, tail...)
}

// lying is a zip whose end says something else than it has.
func lying(t testing.TB, lie func(end []byte) []byte) []byte {
	t.Helper()
	b := exported(t, func(a *archive) { a.zeros(t, "checkpoint", 10) })
	i := bytes.LastIndex(b, []byte(endSign))
	return append(bytes.Clone(b[:i]), lie(bytes.Clone(b[i:]))...)
}

// zip64 puts an end of the 64-bit form before one that says to look there.
func zip64(entries, size, offset uint64) func([]byte) []byte {
	return func(end []byte) []byte {
		le := binary.LittleEndian
		record := []byte("PK\x06\x06")
		record = le.AppendUint64(record, 44)
		record = append(record, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		for _, v := range []uint64{entries, entries, size, offset} {
			record = le.AppendUint64(record, v)
		}
		// The record stands where the directory ended.
		at := uint64(le.Uint32(end[12:])) + uint64(le.Uint32(end[16:]))
		record = append(record, "PK\x06\x07\x00\x00\x00\x00"...)
		record = le.AppendUint64(record, at)
		record = append(record, 1, 0, 0, 0)
		copy(end[8:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
		return append(record, end...)
	}
}

// TestMonstersAreRefusedAtOnce: whatever zip is given for an export, verifying it ends
// soon, needs little memory, and says what is wrong.
func TestMonstersAreRefusedAtOnce(t *testing.T) {
	plain := func(name string) *zip.FileHeader { return &zip.FileHeader{Name: name, Method: zip.Deflate} }
	link, folder := plain("checkpoint"), plain("messages/")
	link.SetMode(fs.ModeSymlink | 0o777)
	folder.SetMode(fs.ModeDir | 0o755)
	secret := plain("checkpoint")
	secret.Flags |= 1
	huge := func(field, size int) []byte {
		b := exported(t, func(a *archive) { a.zeros(t, "checkpoint", 10) })
		i := bytes.Index(b, []byte(directorySign))
		binary.LittleEndian.PutUint32(b[i+field:], uint32(size))
		return b
	}
	whole := exported(t, func(a *archive) {
		a.zeros(t, "checkpoint", 1<<20)
	})
	nested := func(b []byte, depth int) []byte {
		for range depth {
			inner := b
			b = exported(t, func(a *archive) {
				if err := a.put("messages/inner.zip", inner); err != nil {
					t.Fatal(err)
				}
			})
		}
		return b
	}
	for _, c := range []struct {
		name string
		zip  []byte
		says string
	}{
		{"a bomb in the form of an export", exported(t, func(a *archive) { a.zeros(t, "checkpoint", 100<<20) }), "more than an export of its size can have"},
		{"one in many files", exported(t, func(a *archive) {
			for i := range 100 {
				a.zeros(t, fmt.Sprintf("messages/%d.eml", i), 1<<20)
			}
		}), "more than an export of its size can have"},
		{"names that stand for one bomb", overlapping(t, 5000, 8<<20), "more than an export of its size can have"},
		{"names that stand for one small file", overlapping(t, 2000, 1000), "the zip is not as it was exported"},
		{"10,000 files", exported(t, func(a *archive) {
			for i := range 10_000 {
				a.zeros(t, fmt.Sprintf("messages/%d", i), 1)
			}
		}), "missing"},
		{"a name twice", zipped(t, plain("checkpoint"), plain("checkpoint")), "the zip is not as it was exported"},
		{"a way out", zipped(t, plain("../../../tmp/x")), "the zip is not as it was exported"},
		{"a way out of another system", zipped(t, plain(`..\..\x`)), "the zip is not as it was exported"},
		{"an absolute name", zipped(t, plain("/etc/passwd")), "the zip is not as it was exported"},
		{"a folder", zipped(t, folder, plain("messages/x")), "the zip is not as it was exported"},
		{"a link", zipped(t, link), "the zip is not as it was exported"},
		{"an encrypted file", zipped(t, secret), "the zip is not as it was exported"},
		{"no files", zipped(t), "the zip is not as it was exported"},
		{"a file that says it unpacks to 4 GiB", huge(24, math.MaxUint32-1), "more than an export of its size can have"},
		{"a file that says it is packed in 4 GiB", huge(20, math.MaxUint32-1), "the zip is not as it was exported"},
		{"a file that begins elsewhere", huge(42, math.MaxUint32-1), "the zip is not as it was exported"},
		{"an end of 64 bits that is not there", lying(t, func(end []byte) []byte {
			copy(end[8:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
			return end
		}), "the zip is not as it was exported"},
		{"more files than can be", lying(t, zip64(math.MaxUint64, 100, 0)), "the zip is not as it was exported"},
		{"a directory longer than all", lying(t, zip64(1, math.MaxUint64, 0)), "the zip is not as it was exported"},
		{"a directory beyond the end", lying(t, zip64(1, 100, math.MaxInt64)), "the zip is not as it was exported"},
		{"half of one", whole[:len(whole)/2], "the zip is not as it was exported"},
		{"all but its last byte", whole[:len(whole)-1], "the zip is not as it was exported"},
		{"one in one in one", nested(whole, 20), "missing"},
		{"nothing", nil, "the zip is not as it was exported"},
		{"zeros", make([]byte, 1<<20), "the zip is not as it was exported"},
		{"a file without lines", exported(t, func(a *archive) { a.zeros(t, "events.jsonl", 15<<20) }), "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			v, err := VerifyExport(context.Background(), bytes.NewReader(c.zip), int64(len(c.zip)), VerifyOptions{})
			runtime.ReadMemStats(&after)
			if err != nil || v.OK() {
				t.Fatalf("%v, findings %v", err, v.Findings)
			}
			if text := fmt.Sprint(v.Findings); !strings.Contains(text, c.says) || len(v.Findings) > 100 {
				t.Errorf("no %q in %.500s", c.says, text)
			}
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 256<<20 {
				t.Errorf("it took %d MiB", grown>>20)
			}
		})
	}
}
