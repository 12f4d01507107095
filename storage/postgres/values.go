package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	jsonv1 "github.com/go-json-experiment/json/v1" // reads as encoding/json does, in a third of the time

	"sitrep/incident"
	"sitrep/storage"
)

// longText is from how many bytes on a text by which something is found is stored as its hash.
const longText = 1024

// hashedMark begins the hash of a text, and no text that stands for itself.
const hashedMark = "\x01"

// name returns a text as something is found by it: itself, or its hash where it is long or no
// text to PostgreSQL.
func name(s string) string {
	if len(s) <= longText && !strings.HasPrefix(s, hashedMark) && strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return hashedMark + hex.EncodeToString(sum[:])
}

// names returns those of texts, and the texts by their names.
func names(texts []string) (all []string, of map[string]string) {
	of = make(map[string]string, len(texts))
	for _, s := range texts {
		n := name(s)
		if _, twice := of[n]; !twice {
			all = append(all, n)
			of[n] = s
		}
	}
	return all, of
}

// text returns a text to be searched as PostgreSQL takes it.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// moment is a time as it is stored: nil if it is zero.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

// timeOf is a time as it was stored.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func encode(what string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("put %s: %w", what, err)
	}
	return b, nil
}

func decode(what string, body []byte, v any) error {
	if err := jsonv1.Unmarshal(body, v); err != nil {
		return fmt.Errorf("read %s: %w: %w", what, err, storage.ErrDamaged)
	}
	return nil
}

func checkLimit(limit int) error {
	if limit < 1 {
		return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("the limit is %d; it is at least 1", limit)}
	}
	return nil
}

// badCursor is the error for a cursor that did not come from a page before.
func badCursor(cursor string) error {
	return &incident.Problem{Kind: incident.ErrInvalid, Text: fmt.Sprintf("the cursor %q is not one that a page named as next", cursor)}
}

func parseCursor(cursor string) (int64, error) {
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 0 {
		return 0, badCursor(cursor)
	}
	return n, nil
}
