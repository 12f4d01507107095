package postgres

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Slices go to the server as pgx sends them by itself.
func TestArraysAreSentAsPgxSendsThem(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 29, 20, 43, 0, 123_456_000, time.UTC)
	before := time.Date(1969, 7, 20, 20, 17, 40, 999_999_999, time.UTC)
	long := bytes.Repeat([]byte("long "), 1000)
	plain, ours := pgtype.NewMap(), pgtype.NewMap()
	useArrays(ours)
	for _, c := range []struct {
		oid    uint32
		values []any
	}{
		{pgtype.Int2ArrayOID, []any{[]int16(nil), []int16{}, []int16{1, -1, math.MaxInt16, math.MinInt16}}},
		{pgtype.Int4ArrayOID, []any{[]int32(nil), []int32{}, []int32{1, -1, math.MaxInt32, math.MinInt32}}},
		{pgtype.Int8ArrayOID, []any{[]int64(nil), []int64{}, []int64{1, -1, math.MaxInt64, math.MinInt64}, []int32{1, 2}, []int64{7}}},
		{pgtype.TextArrayOID, []any{[]string(nil), []string{}, []string{"", "a", "Größe", string(long)}}},
		{pgtype.ByteaArrayOID, []any{[][]byte(nil), [][]byte{}, [][]byte{nil, {}, {0}, long}, [][]byte{[]byte("a")}}},
		{pgtype.TimestamptzArrayOID, []any{[]*time.Time(nil), []*time.Time{}, []*time.Time{&at, nil, &before}, []*time.Time{nil}, []time.Time{at}}},
	} {
		for _, v := range c.values {
			t.Run(fmt.Sprintf("%d/%.20v", c.oid, v), func(t *testing.T) {
				want, err := plain.Encode(c.oid, pgtype.BinaryFormatCode, v, []byte("before"))
				if err != nil {
					t.Fatal(err)
				}
				got, err := ours.Encode(c.oid, pgtype.BinaryFormatCode, v, []byte("before"))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
					t.Errorf("%v is sent as\n%x, and not as\n%x", v, got, want)
				}
			})
		}
	}
	for _, oid := range []uint32{pgtype.Int2ArrayOID, pgtype.ByteaArrayOID, pgtype.TimestamptzArrayOID} {
		if dt, _ := ours.TypeForOID(oid); fmt.Sprintf("%T", dt.Codec) != "*postgres.arrayCodec" {
			t.Errorf("arrays of type %d are encoded by a %T", oid, dt.Codec)
		}
	}
}
