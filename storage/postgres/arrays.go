package postgres

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// useArrays lets slices be sent as arrays at once. What pgx does by itself is to look at
// each element by reflection, and to let the buffer grow with them.
func useArrays(m *pgtype.Map) {
	for _, oid := range []uint32{pgtype.Int2ArrayOID, pgtype.Int4ArrayOID, pgtype.Int8ArrayOID, pgtype.TextArrayOID, pgtype.ByteaArrayOID, pgtype.TimestamptzArrayOID} {
		t, _ := m.TypeForOID(oid)
		m.RegisterType(&pgtype.Type{Name: t.Name, OID: oid, Codec: &arrayCodec{t.Codec.(*pgtype.ArrayCodec)}})
	}
}

// An arrayCodec is one of pgx that encodes slices of the types that fit best by itself.
type arrayCodec struct{ *pgtype.ArrayCodec }

// PlanEncode implements pgtype.Codec.
func (c *arrayCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format != pgtype.BinaryFormatCode {
		return c.ArrayCodec.PlanEncode(m, oid, format, value)
	}
	var plan pgtype.EncodePlan
	switch element := c.ElementType.OID; value.(type) {
	case []int16:
		if element == pgtype.Int2OID {
			plan = encodeArray[int16]{element, func(int16) int { return 2 }, func(b []byte, n int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(n)) }}
		}
	case []int32:
		if element == pgtype.Int4OID {
			plan = encodeArray[int32]{element, func(int32) int { return 4 }, func(b []byte, n int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }}
		}
	case []int64:
		if element == pgtype.Int8OID {
			plan = encodeArray[int64]{element, func(int64) int { return 8 }, func(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }}
		}
	case []string:
		if element == pgtype.TextOID {
			plan = encodeArray[string]{element, func(s string) int { return len(s) }, func(b []byte, s string) []byte { return append(b, s...) }}
		}
	case [][]byte:
		if element == pgtype.ByteaOID {
			plan = encodeArray[[]byte]{element, func(s []byte) int {
				if s == nil {
					return null
				}
				return len(s)
			}, func(b, s []byte) []byte { return append(b, s...) }}
		}
	case []*time.Time:
		if element == pgtype.TimestamptzOID {
			plan = encodeArray[*time.Time]{element, func(t *time.Time) int {
				if t == nil {
					return null
				}
				return 8
			}, func(b []byte, t *time.Time) []byte {
				return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()-year2000))
			}}
		}
	}
	if plan == nil {
		return c.ArrayCodec.PlanEncode(m, oid, format, value)
	}
	return plan
}

const (
	// null is the size of an element that is null.
	null = -1
	// year2000 is from when on the server counts time, in microseconds.
	year2000 = 946_684_800_000_000
)

// An encodeArray encodes slices of T.
type encodeArray[T any] struct {
	element uint32
	size    func(T) int
	append  func([]byte, T) []byte
}

// Encode implements pgtype.EncodePlan.
func (p encodeArray[T]) Encode(value any, b []byte) ([]byte, error) {
	all := value.([]T)
	if all == nil {
		return nil, nil
	}
	total, nulls := 5*4, uint32(0)
	for _, x := range all {
		n := p.size(x)
		if n == null {
			n, nulls = 0, 1
		}
		total += 4 + n
	}
	b = slices.Grow(b, total)
	number := func(n uint32) { b = binary.BigEndian.AppendUint32(b, n) }
	number(1) // dimension
	number(nulls)
	number(p.element)
	number(uint32(len(all)))
	number(1) // is the index of the first
	for _, x := range all {
		n := p.size(x)
		if number(uint32(int32(n))); n != null {
			b = p.append(b, x)
		}
	}
	return b, nil
}
