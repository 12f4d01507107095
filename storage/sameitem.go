package storage

import (
	"bytes"
	"reflect"
	"time"
)

// sameItem reports whether two items are the same. A list or a map that is empty is the same as
// none, as engines need not tell them apart.
func sameItem(a, b Item) bool { return same(reflect.ValueOf(a), reflect.ValueOf(b)) }

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[[]byte]()
)

func same(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return false
	}
	if !a.IsValid() {
		return true
	}
	switch a.Type() {
	case timeType:
		return a.Interface().(time.Time).Equal(b.Interface().(time.Time))
	case bytesType:
		return bytes.Equal(a.Bytes(), b.Bytes())
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		return same(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for at := a.MapRange(); at.Next(); {
			if v := b.MapIndex(at.Key()); !v.IsValid() || !same(at.Value(), v) {
				return false
			}
		}
		return true
	default:
		return a.Equal(b)
	}
}
