package storage

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"sitrep/incident"
)

// saltSize is the length of a salt in bytes.
const saltSize = 16

// recordForm is the first byte of a record in its marshalled form.
const recordForm = 1

// hashPrefix is what a personal value in a leaf begins with.
const hashPrefix = "sha256:"

// A Record is a thing as it is stored: the leaf that the tamper-evident log
// hashes, and what stands beside it and can be forgotten without breaking a proof.
type Record struct {
	// Index is that of the leaf in the log; -1 while it has none.
	Index int64
	// Leaf is JSON and never encoded again. Names of people and addresses stand in it
	// as "sha256:" and the hexadecimal SHA-256 of Salt and the value.
	Leaf []byte
	// Salt is random, 16 bytes; nil if nothing in the leaf is personal, or once
	// forgotten.
	Salt []byte
	// Personal holds the values behind the hashes, by the path in the leaf, such as
	// "data.escalated_to". Nil once forgotten.
	Personal map[string]string
}

// Forget drops the personal values, and the salt, as without it the hashes could be
// found again by trying names. The leaf stays as it is.
func (r *Record) Forget() { r.Salt, r.Personal = nil, nil }

// Forgotten reports whether it had personal values that were forgotten.
func (r *Record) Forgotten() bool {
	return r.Salt == nil && bytes.Contains(r.Leaf, []byte(`":"`+hashPrefix)) && personal.Match(r.Leaf)
}

// personal finds a hash where a personal value may stand; elsewhere it is a text.
var personal = regexp.MustCompile(`"(?:actor|escalated_to|said|cause|recipient|address|error|detail)":"` + hashPrefix + `[0-9a-f]{64}"`)

// hide notes a personal value under its path and returns what stands in the leaf.
func (r *Record) hide(path, value string) string {
	if r.Salt == nil {
		r.Salt = make([]byte, saltSize)
		rand.Read(r.Salt) // never fails
		r.Personal = make(map[string]string, 2)
	}
	r.Personal[path] = value
	return HashPersonal(r.Salt, value)
}

// reveal returns the value behind a hash, which earlier builds may have had at another
// path.
func (r *Record) reveal(path string, earlier ...string) string {
	for _, path := range append([]string{path}, earlier...) {
		if value, ok := r.Personal[path]; ok {
			return value
		}
	}
	return incident.Forgotten
}

// decodeAll decodes records of one kind.
func decodeAll[T any](records []Record, decode func(Record) (T, error)) (all []T, err error) {
	all = make([]T, len(records))
	for i, r := range records {
		if all[i], err = decode(r); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// HashPersonal returns what stands in a leaf for a personal value.
func HashPersonal(salt []byte, value string) string {
	h := sha256.New()
	h.Write(salt)
	h.Write([]byte(value))
	return hashPrefix + hex.EncodeToString(h.Sum(nil))
}

// hidden reports whether a value of a leaf is the hash of a personal one.
func hidden(value string) bool {
	return len(value) == len(hashPrefix)+2*sha256.Size && strings.HasPrefix(value, hashPrefix)
}

// AppendRecord appends the marshalled form of r, its index too, to dst.
func AppendRecord(dst []byte, r Record) []byte {
	dst = append(dst, recordForm, byte(len(r.Salt)))
	dst = append(dst, r.Salt...)
	dst = binary.AppendUvarint(dst, uint64(r.Index+1))
	dst = binary.AppendUvarint(dst, uint64(len(r.Personal)))
	if len(r.Personal) > 0 {
		for _, path := range slices.Sorted(maps.Keys(r.Personal)) {
			dst = appendText(dst, path)
			dst = appendText(dst, r.Personal[path])
		}
	}
	return append(dst, r.Leaf...)
}

// ParseRecord reads the marshalled form of a record. The result shares nothing with
// b.
func ParseRecord(b []byte) (Record, error) {
	broken := fmt.Errorf("record: malformed: %w", ErrDamaged)
	if len(b) < 3 || b[0] != recordForm || len(b) < 2+int(b[1]) {
		return Record{}, broken
	}
	var r Record
	salt := int(b[1])
	if salt > 0 {
		r.Salt = bytes.Clone(b[2 : 2+salt])
	}
	b = b[2+salt:]
	index, size := binary.Uvarint(b)
	if size <= 0 || index > math.MaxInt64 {
		return Record{}, broken
	}
	r.Index = int64(index) - 1
	b = b[size:]
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)) {
		return Record{}, broken
	}
	b = b[size:]
	if n > 0 {
		r.Personal = make(map[string]string, n)
	}
	for range n {
		var path, value string
		var ok bool
		if path, b, ok = cutText(b); !ok {
			return Record{}, broken
		}
		if value, b, ok = cutText(b); !ok {
			return Record{}, broken
		}
		r.Personal[path] = value
	}
	r.Leaf = bytes.Clone(b)
	return r, nil
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	b = b[size:]
	return string(b[:n]), b[n:], true
}
