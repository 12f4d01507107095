package storage

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"sitrep/incident"
)

// filledBreach returns a breach all of whose fields have a value.
func filledBreach(t *testing.T) incident.Breach {
	t.Helper()
	var b incident.Breach
	v := reflect.ValueOf(&b).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch field := v.Field(i).Addr().Interface().(type) {
		case *string:
			*field = "the \"" + name + "\" of a breach <&>"
		case *incident.BreachState:
			*field = incident.BreachUnknown
		case *int64:
			*field = int64(i) + 1<<40
		case *bool:
			*field = true
		case *time.Time:
			*field = time.Date(2026, 11, 29, 20, i, 0, i*1000, time.UTC)
		case *map[string]string:
			*field = map[string]string{name: "Größe \\ \n \x00", "": "", "x": "y\u2028", "bytes\xff": "\xfe"}
		default:
			t.Fatalf("Breach.%s is a %T, which AppendBreach has to learn", name, field)
		}
	}
	return b
}

// What is written by hand reads as what encoding/json writes.
func TestAppendBreachWritesAllOfIt(t *testing.T) {
	t.Parallel()
	full := filledBreach(t)
	for name, b := range map[string]incident.Breach{"full": full, "empty": {}, "without texts": {Fingerprint: "a", Labels: map[string]string{}, Ordinal: -1}} {
		want, err := json.Marshal(&b)
		if err != nil {
			t.Fatal(err)
		}
		got := AppendBreach(nil, &b)
		var x, y any
		if err := json.Unmarshal(want, &x); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got, &y); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, got)
		}
		if !reflect.DeepEqual(x, y) {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
	var again incident.Breach
	if err := json.Unmarshal(AppendBreach([]byte(nil), &full), &again); err != nil {
		t.Fatal(err)
	}
	for _, m := range []map[string]string{full.Labels, full.Annotations} { // what is no UTF-8 is replaced
		delete(m, "bytes\xff")
		m["bytes\uFFFD"] = "\uFFFD"
	}
	if !reflect.DeepEqual(again, full) {
		t.Errorf("it reads as %+v\nand is %+v", again, full)
	}
}
