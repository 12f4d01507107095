package bolt

import (
	"encoding/binary"
	"fmt"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// A breach is stored as a head of fixed length, for its indexes, and fields: a tag,
// the length, the bytes. Tags that are not known are passed over, so that fields
// can be added. There are more breaches than anything else; this takes a tenth of the
// time that JSON takes.
const (
	tagFingerprint byte = iota + 1
	tagStartsAt
	tagEndsAt
	tagState
	tagIncident
	tagPriority
	tagLabel // once for each: the name with its length, and the value
	tagAnnotation
	tagGeneratorURL
	tagHeardAt
	tagAskAt
	tagAskedAt
	tagEndHeardAt
	tagGrafana
	tagOrdinal
	tagSaidStartsAt
	tagSaidEndsAt
	tagEndedBefore
	tagLaterEnd
	tagListedSince
)

// breachHeadSize is the length of a head.
const breachHeadSize = 17

// breachHead is what the indexes of a breach depend on.
type breachHead struct {
	silent, asks bool
	quiet, askAt time.Time
}

func headOf(b *incident.Breach) breachHead {
	return breachHead{
		silent: b.Incident != 0 && (b.State == incident.BreachFiring || b.State == incident.BreachUnknown),
		asks:   !b.AskAt.IsZero(),
		quiet:  b.QuietSince(),
		askAt:  b.AskAt,
	}
}

func cutBreachHead(k, b []byte) (breachHead, error) {
	if len(b) < breachHeadSize {
		return breachHead{}, malformedBreach(k)
	}
	return breachHead{silent: b[0]&1 != 0, asks: b[0]&2 != 0, quiet: timeAt(b, 1), askAt: timeAt(b, 9)}, nil
}

func malformedBreach(k []byte) error {
	return fmt.Errorf("read breaches %x: malformed: %w", k, storage.ErrDamaged)
}

func appendBreach(dst []byte, h breachHead, b *incident.Breach) []byte {
	flags := byte(0)
	if h.silent {
		flags |= 1
	}
	if h.asks {
		flags |= 2
	}
	dst = key(dst).byte(flags).time(h.quiet).time(h.askAt)
	text := func(tag byte, s string) {
		if s != "" {
			dst = append(dst, tag)
			dst = binary.AppendUvarint(dst, uint64(len(s)))
			dst = append(dst, s...)
		}
	}
	at := func(tag byte, t time.Time) {
		if !t.IsZero() {
			dst = key(append(dst, tag, 8)).time(t)
		}
	}
	pairs := func(tag byte, m map[string]string) {
		for name, value := range m {
			dst = append(dst, tag)
			dst = binary.AppendUvarint(dst, uint64(uvarintSize(len(name))+len(name)+len(value)))
			dst = binary.AppendUvarint(dst, uint64(len(name)))
			dst = append(dst, name...)
			dst = append(dst, value...)
		}
	}
	text(tagFingerprint, b.Fingerprint)
	at(tagStartsAt, b.StartsAt)
	at(tagEndsAt, b.EndsAt)
	text(tagState, string(b.State))
	number := func(tag byte, n int64) {
		if n != 0 {
			dst = key(append(dst, tag, 8)).int(n)
		}
	}
	number(tagIncident, b.Incident)
	number(tagOrdinal, b.Ordinal)
	text(tagPriority, b.Priority)
	pairs(tagLabel, b.Labels)
	pairs(tagAnnotation, b.Annotations)
	text(tagGeneratorURL, b.GeneratorURL)
	at(tagHeardAt, b.HeardAt)
	at(tagAskAt, b.AskAt)
	at(tagAskedAt, b.AskedAt)
	at(tagEndHeardAt, b.EndHeardAt)
	at(tagSaidStartsAt, b.SaidStartsAt)
	at(tagSaidEndsAt, b.SaidEndsAt)
	at(tagEndedBefore, b.EndedBefore)
	at(tagLaterEnd, b.LaterEnd)
	at(tagListedSince, b.ListedSince)
	if b.Grafana {
		dst = append(dst, tagGrafana, 0)
	}
	return dst
}

func uvarintSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

func decodeBreach(k, v []byte) (incident.Breach, error) {
	var b incident.Breach
	if len(v) < breachHeadSize {
		return b, malformedBreach(k)
	}
	// One copy for all texts.
	all := string(v[breachHeadSize:])
	v = v[breachHeadSize:]
	for i := 0; i < len(v); {
		tag := v[i]
		i++
		n, size := binary.Uvarint(v[i:])
		if size <= 0 || n > uint64(len(v)-i-size) {
			return b, malformedBreach(k)
		}
		i += size
		field, text := v[i:i+int(n)], all[i:i+int(n)]
		i += int(n)

		switch tag {
		case tagStartsAt, tagEndsAt, tagIncident, tagHeardAt, tagAskAt, tagAskedAt, tagEndHeardAt, tagOrdinal,
			tagSaidStartsAt, tagSaidEndsAt, tagEndedBefore, tagLaterEnd, tagListedSince:
			if n != 8 {
				return b, malformedBreach(k)
			}
		}
		switch tag {
		case tagFingerprint:
			b.Fingerprint = text
		case tagStartsAt:
			b.StartsAt = timeAt(field, 0)
		case tagEndsAt:
			b.EndsAt = timeAt(field, 0)
		case tagState:
			b.State = incident.BreachState(text)
		case tagIncident:
			b.Incident = intAt(field, 0)
		case tagPriority:
			b.Priority = text
		case tagLabel, tagAnnotation:
			m := &b.Labels
			if tag == tagAnnotation {
				m = &b.Annotations
			}
			name, size := binary.Uvarint(field)
			if size <= 0 || name > uint64(len(field)-size) {
				return b, malformedBreach(k)
			}
			if *m == nil {
				*m = make(map[string]string, 8)
			}
			(*m)[text[size:size+int(name)]] = text[size+int(name):]
		case tagGeneratorURL:
			b.GeneratorURL = text
		case tagHeardAt:
			b.HeardAt = timeAt(field, 0)
		case tagAskAt:
			b.AskAt = timeAt(field, 0)
		case tagAskedAt:
			b.AskedAt = timeAt(field, 0)
		case tagEndHeardAt:
			b.EndHeardAt = timeAt(field, 0)
		case tagOrdinal:
			b.Ordinal = intAt(field, 0)
		case tagSaidStartsAt:
			b.SaidStartsAt = timeAt(field, 0)
		case tagSaidEndsAt:
			b.SaidEndsAt = timeAt(field, 0)
		case tagEndedBefore:
			b.EndedBefore = timeAt(field, 0)
		case tagLaterEnd:
			b.LaterEnd = timeAt(field, 0)
		case tagListedSince:
			b.ListedSince = timeAt(field, 0)
		case tagGrafana:
			b.Grafana = true
		}
	}
	return b, nil
}
