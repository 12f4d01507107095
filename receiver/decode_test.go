package receiver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"sitrep/incident"
	"sitrep/intake"
)

var arrival = time.Date(2026, 11, 23, 14, 0, 0, 123456000, time.UTC)

// good is a firing alert as JSON with more fields. Those of its own that with names
// again, or names after a dash, are left out.
func good(with string) string {
	own := [][2]string{
		{"status", `"firing"`},
		{"labels", `{"alertname":"A","sloth_id":"s"}`},
		{"startsAt", `"2026-11-23T13:46:27.002Z"`},
		{"fingerprint", `"42298cea74f37eb2"`},
	}
	var fields []string
	for _, f := range own {
		without := strings.Replace(with, "-"+f[0], "", 1)
		if without == with && !strings.Contains(with, `"`+f[0]+`":`) {
			fields = append(fields, fmt.Sprintf("%q:%s", f[0], f[1]))
		}
		with = without
	}
	if with != "" {
		fields = append(fields, with)
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// many is a list of n in that format.
func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func body(alerts ...string) []byte {
	return []byte(`{"version":"4","alerts":[` + strings.Join(alerts, ",") + `]}`)
}

// keep keeps the labels by which the SLOs of these tests are found.
func keep(label string) bool { return label == "sloth_id" || label == "env" || label == "region" }

func mustDecode(t *testing.T, data []byte) payload {
	t.Helper()
	p, err := newDecoder(keep).decode(data, arrival)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return p
}

// webhook is Alertmanager's body as its own code declares it.
type webhook struct {
	Version         string `json:"version"`
	TruncatedAlerts int64  `json:"truncatedAlerts"`
	Alerts          []struct {
		Status       string            `json:"status"`
		Labels       map[string]string `json:"labels"`
		Annotations  map[string]string `json:"annotations"`
		StartsAt     time.Time         `json:"startsAt"`
		EndsAt       time.Time         `json:"endsAt"`
		GeneratorURL string            `json:"generatorURL"`
		Fingerprint  string            `json:"fingerprint"`
	} `json:"alerts"`
}

func realPayloads(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/0.*/*.json")
	if err != nil || len(names) < 40 {
		t.Fatalf("%d payloads, %v", len(names), err)
	}
	return names
}

func TestRealPayloadsAreReadAsAlertmanagerMeantThem(t *testing.T) {
	d := newDecoder(keep) // one for all, as in the service
	for _, name := range realPayloads(t) {
		if strings.Contains(name, "custom-payload") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var want webhook
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			p, err := d.decode(data, arrival)
			if err != nil || len(p.faults) > 0 {
				t.Fatalf("decode: %v, faults %v", err, p.faults)
			}
			if len(p.alerts) != len(want.Alerts) || p.truncated != want.TruncatedAlerts {
				t.Fatalf("%d alerts, %d truncated; want %d, %d", len(p.alerts), p.truncated, len(want.Alerts), want.TruncatedAlerts)
			}
			for i, got := range p.alerts {
				want := want.Alerts[i]
				set := model.LabelSet{}
				for k, v := range want.Labels {
					set[model.LabelName(k)] = model.LabelValue(v)
				}
				if got.Fingerprint != want.Fingerprint || got.Fingerprint != set.Fingerprint().String() {
					t.Errorf("fingerprint %s, want %s", got.Fingerprint, want.Fingerprint)
				}
				if got.Resolved != (want.Status == "resolved") || !got.StartsAt.Equal(want.StartsAt.Truncate(time.Microsecond)) || !got.EndsAt.Equal(want.EndsAt.Truncate(time.Microsecond)) {
					t.Errorf("times or status: got %+v, want %+v", got, want)
				}
				if got.GeneratorURL != want.GeneratorURL {
					t.Errorf("generatorURL %q, want %q", got.GeneratorURL, want.GeneratorURL)
				}
				if w := replaced(want.Labels, false); !maps.Equal(got.Labels, w) {
					t.Errorf("labels %q, want %q", got.Labels, w)
				}
				if w := replaced(want.Annotations, true); !maps.Equal(got.Annotations, w) {
					t.Errorf("annotations %q, want %q", got.Annotations, w)
				}
				checkClean(t, got)
			}
		})
	}
}

// replaced returns m with what is replaced in it, the slow and plain way.
func replaced(m map[string]string, lines bool) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if lines {
			v = strings.ReplaceAll(v, "\r\n", "\n")
		}
		out[k] = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) && (!lines || r != '\n' && r != '\t') {
				return utf8.RuneError
			}
			return r
		}, v)
	}
	return out
}

// checkClean checks what is promised of every alert.
func checkClean(t *testing.T, a incident.Alert) {
	t.Helper()
	bad := func(s string, lines bool) bool {
		return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
			return unicode.IsControl(r) && (!lines || r != '\n' && r != '\t')
		})
	}
	size := 0
	for k, v := range a.Labels {
		size += len(k) + len(v)
		if k == "" || v == "" || bad(k, false) || bad(v, false) {
			t.Errorf("label %q=%q", k, v)
		}
	}
	// Each byte that is replaced becomes three.
	if len(a.Labels) == 0 || len(a.Labels) > MaxLabels+3 || size > 3*(MaxLabelBytes+MaxKeptBytes) {
		t.Errorf("%d labels, %d bytes", len(a.Labels), size)
	}
	size = 0
	for k, v := range a.Annotations {
		size += len(k) + len(v)
		if k == "" || bad(k, false) || bad(v, true) || len(v) > MaxAnnotation {
			t.Errorf("annotation %q=%.200q", k, v)
		}
	}
	if len(a.Annotations) > MaxAnnotations || size > MaxAnnotationBytes+3*MaxAnnotation {
		t.Errorf("%d annotations, %d bytes", len(a.Annotations), size)
	}
	if len(a.Fingerprint) != 16 || strings.Trim(a.Fingerprint, "0123456789abcdef") != "" {
		t.Errorf("fingerprint %q", a.Fingerprint)
	}
	for _, at := range []time.Time{a.StartsAt, a.EndsAt} {
		if at.Location() != time.UTC || at.Nanosecond()%1000 != 0 || at.Year() > 9999 {
			t.Errorf("time %v", at)
		}
	}
	if !a.StartsAt.IsZero() && a.StartsAt.Year() < 1970 || a.Resolved == a.EndsAt.IsZero() || a.Resolved && a.EndsAt.Before(a.StartsAt) {
		t.Errorf("from %v to %v, resolved %v", a.StartsAt, a.EndsAt, a.Resolved)
	}
	if bad(a.GeneratorURL, false) || len(a.GeneratorURL) > MaxURL || a.GeneratorURL != "" && !strings.HasPrefix(strings.ToLower(a.GeneratorURL), "http") {
		t.Errorf("generatorURL %q", a.GeneratorURL)
	}
}

func TestOneInvalidAlertLeavesTheOthers(t *testing.T) {
	tests := []struct{ name, alert, want string }{
		{"not an object", `"x"`, "the alert is not an object"},
		{"null", `null`, "the alert is not an object"},
		{"a list", `[{}]`, "the alert is not an object"},
		{"no status", good("-status"), "status is missing"},
		{"null as status", good(`"status":null`), "status is missing"},
		{"an unknown status", good(`"status":"pending"`), `status "pending" is neither firing nor resolved`},
		{"a status in capitals", good(`"status":"FIRING"`), `status "FIRING" is neither firing nor resolved`},
		{"a number as status", good(`"status":1`), "status is of the wrong type"},
		{"no labels", good("-labels"), "labels are missing"},
		{"empty labels", good(`"labels":{}`), "labels are missing"},
		{"labels with empty values only", good(`"labels":{"a":""}`), "labels are missing"},
		{"null as labels", good(`"labels":null`), "labels are missing"},
		{"labels with too long names only", good(`"labels":{"` + strings.Repeat("x", MaxLabel+1) + `":"a","b":""}`), "no label has a name of at most 16384 bytes"},
		{"a list as labels", good(`"labels":["a"]`), "labels is of the wrong type"},
		{"a number as a label", good(`"labels":{"a":1}`), `label "a" is not a string`},
		{"an object as a label", good(`"labels":{"a":{"b":"c"},"d":"e"}`), `label "a" is not a string`},
		{"null as a label", good(`"labels":{"a":null}`), `label "a" is not a string`},
		{"a label without a name", good(`"labels":{"":"x"}`), "a label has no name"},
		{"a label twice", good(`"labels":{"a":"x","a":"y"}`), `label "a" stands twice`},
		{"a label twice, once escaped", good(`"labels":{"a":"x","\u0061":"y"}`), `label "a" stands twice`},
		{"a label twice, beyond bounds", good(`"labels":{` + many(MaxLabels, `"l%d":"x"`) + `,"env":"a","env":"b"}`), `label "env" stands twice`},
		{"no string beyond bounds", good(`"labels":{` + many(MaxLabels, `"l%d":"x"`) + `,"z":1}`), `label "z" is not a string`},
		{"a label twice, once empty", good(`"labels":{"a":"","a":"y"}`), `label "a" stands twice`},
		{"startsAt is no time", good(`"startsAt":"yesterday"`), `startsAt "yesterday" is not a time`},
		{"startsAt without a zone", good(`"startsAt":"2026-11-23T13:46:27"`), `startsAt "2026-11-23T13:46:27" is not a time`},
		{"a number as startsAt", good(`"startsAt":1700000000`), "startsAt is of the wrong type"},
		{"endsAt is no time", good(`"status":"resolved","endsAt":"now"`), `endsAt "now" is not a time`},
		{"a number as endsAt", good(`"endsAt":0`), "endsAt is of the wrong type"},
		{"annotations are a string", good(`"annotations":"x"`), "annotations is of the wrong type"},
		{"a number as an annotation", good(`"annotations":{"a":1,"b":"x"}`), `annotation "a" is not a string`},
		{"an annotation twice", good(`"annotations":{"a":"x","a":"y"}`), `annotation "a" stands twice`},
		{"a number as generatorURL", good(`"generatorURL":1`), "generatorURL is of the wrong type"},
		{"a number as fingerprint", good(`"fingerprint":1`), "fingerprint is of the wrong type"},
		{"status twice", good(`"status":"firing","status":"resolved"`), "status stands twice"},
		{"status once more in capitals", good(`"Status":"resolved"`), `the alert has a field "Status"; the name is "status"`},
		{"status once more with a long s", good(`"ſtatus":"resolved"`), `the alert has a field "ſtatus"; the name is "status"`},
		{"labels in capitals", good(`"LABELS":{"a":"b"}`), `the alert has a field "LABELS"; the name is "labels"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustDecode(t, body(good(""), tt.alert, good(`"status":"resolved"`)))
			if len(p.faults) != 1 || p.faults[0].index != 1 || p.faults[0].text != tt.want {
				t.Errorf("faults\n got %+v\nwant %q", p.faults, tt.want)
			}
			if len(p.alerts) != 2 || p.alerts[0].Resolved || !p.alerts[1].Resolved {
				t.Errorf("the others are %+v", p.alerts)
			}
		})
	}
}

func TestAFaultNamesTheFingerprintIfItCan(t *testing.T) {
	p := mustDecode(t, body(good("-status"), good(`-status"fingerprint":"?"`)))
	if len(p.faults) != 2 || p.faults[0].fingerprint != "42298cea74f37eb2" || p.faults[1].fingerprint != "" {
		t.Errorf("faults %+v", p.faults)
	}
}

func TestWhatIsCleaned(t *testing.T) {
	long := strings.Repeat("é", MaxAnnotation)
	tests := []struct {
		name, alert string
		want        func(a *incident.Alert)
	}{
		{"unknown fields are passed over", good(`"new":{"a":[1,{"a":2,"a":3}]},"x":null`), func(*incident.Alert) {}},
		{"null is nothing", good(`"annotations":null,"endsAt":null,"generatorURL":null`), func(*incident.Alert) {}},
		{"empty labels are dropped", good(`"labels":{"alertname":"A","e":"","sloth_id":"s"}`), func(*incident.Alert) {}},
		{"escaped names count", good(`-status"st\u0061tus":"resol\u0076ed"`), func(a *incident.Alert) { a.Resolved, a.EndsAt = true, arrival }},
		{"control characters in labels", good(`"labels":{"a\u0000b":"x\u0007\n\t\r\u007f\u0085y","b":"\u2028"}`), func(a *incident.Alert) {
			a.Labels = map[string]string{"a\ufffdb": "x\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdy", "b": "\u2028"}
		}},
		{"raw DEL and C1", good("\"labels\":{\"a\":\"\x7f\u0085\"}"), func(a *incident.Alert) { a.Labels = map[string]string{"a": "\ufffd\ufffd"} }},
		{"invalid UTF-8", good("\"labels\":{\"a\":\"x\xff\xc3y\",\"b\xfe\":\"z\"}"), func(a *incident.Alert) {
			a.Labels = map[string]string{"a": "x\ufffd\ufffdy", "b\ufffd": "z"}
		}},
		{"half a surrogate pair", good(`"labels":{"a":"\ud800x","b":"\ud83d\ude00"}`), func(a *incident.Alert) {
			a.Labels = map[string]string{"a": "\ufffdx", "b": "😀"}
		}},
		{"names that become one", good(`"labels":{"a\u0000":"first","a\u0001":"second"}`), func(a *incident.Alert) {
			a.Labels = map[string]string{"a\ufffd": "first"}
		}},
		{"lines in annotations", good(`"annotations":{"a":"x\ny\r\nz\tq\r\u0000","e":""}`), func(a *incident.Alert) {
			a.Annotations = map[string]string{"a": "x\ny\nz\tq\ufffd\ufffd", "e": ""}
		}},
		{"a long annotation is cut", good(`"annotations":{"a":"` + long + `"}`), func(a *incident.Alert) {
			a.Annotations = map[string]string{"a": long[:MaxAnnotation-4] + "…"}
		}},
		{"times become UTC and microseconds", good(`"status":"resolved","startsAt":"2026-11-23T14:46:27.123456789+01:00","endsAt":"2026-11-23T13:50:00.9999999Z"`), func(a *incident.Alert) {
			a.Resolved = true
			a.StartsAt = time.Date(2026, 11, 23, 13, 46, 27, 123456000, time.UTC)
			a.EndsAt = time.Date(2026, 11, 23, 13, 50, 0, 999999000, time.UTC)
		}},
		{"a firing alert has no end", good(`"endsAt":"2026-11-23T13:50:00Z"`), func(*incident.Alert) {}},
		{"nor is it read", good(`"endsAt":"?"`), func(*incident.Alert) {}},
		{"no startsAt", good("-startsAt"), func(a *incident.Alert) { a.StartsAt = time.Time{} }},
		{"null as startsAt", good(`"startsAt":null`), func(a *incident.Alert) { a.StartsAt = time.Time{} }},
		{"an empty startsAt", good(`"startsAt":""`), func(a *incident.Alert) { a.StartsAt = time.Time{} }},
		{"a zero startsAt", good(`"startsAt":"0001-01-01T00:00:00Z"`), func(a *incident.Alert) { a.StartsAt = time.Time{} }},
		{"startsAt before all clocks", good(`"startsAt":"1969-12-31T23:59:59Z"`), func(a *incident.Alert) { a.StartsAt = time.Time{} }},
		{"startsAt in the year 0", good(`"startsAt":"0000-01-01T00:00:00Z"`), func(a *incident.Alert) { a.StartsAt = time.Time{} }},
		{"startsAt beyond year 9999", good(`"startsAt":"9999-12-31T23:59:59-01:00"`), func(a *incident.Alert) { a.StartsAt = time.Time{} }},
		{"the first startsAt that can be stored", good(`"startsAt":"1970-01-01T00:00:00Z"`), func(a *incident.Alert) {
			a.StartsAt = time.Unix(0, 0).UTC()
		}},
		{"a startsAt to come stays", good(`"startsAt":"2026-11-23T14:40:00Z"`), func(a *incident.Alert) { a.StartsAt = arrival.Truncate(time.Hour).Add(40 * time.Minute) }},
		{"resolved with an end before all clocks", good(`"status":"resolved","endsAt":"1969-12-31T23:59:59Z"`), func(a *incident.Alert) {
			a.Resolved, a.EndsAt = true, arrival
		}},
		{"resolved with an end beyond year 9999", good(`"status":"resolved","endsAt":"9999-12-31T23:59:59-01:00"`), func(a *incident.Alert) {
			a.Resolved, a.EndsAt = true, arrival
		}},
		{"resolved with an end to come", good(`"status":"resolved","endsAt":"2026-11-23T14:00:00.123457Z"`), func(a *incident.Alert) {
			a.Resolved, a.EndsAt = true, arrival.Add(time.Microsecond)
		}},
		{"resolved with a start and an end to come", good(`"status":"resolved","startsAt":"2026-11-23T14:40:00Z","endsAt":"2026-11-23T14:50:00Z"`), func(a *incident.Alert) {
			a.Resolved, a.StartsAt, a.EndsAt = true, arrival.Truncate(time.Hour).Add(40*time.Minute), arrival.Truncate(time.Hour).Add(50*time.Minute)
		}},
		{"resolved without a start", good(`-startsAt"status":"resolved","endsAt":"2026-11-23T13:50:00Z"`), func(a *incident.Alert) {
			a.Resolved, a.EndsAt = true, time.Date(2026, 11, 23, 13, 50, 0, 0, time.UTC)
			a.StartsAt = a.EndsAt
		}},
		{"resolved with neither", good(`-startsAt"status":"resolved"`), func(a *incident.Alert) {
			a.Resolved, a.StartsAt, a.EndsAt = true, arrival, arrival
		}},
		{"resolved without an end ends at arrival", good(`"status":"resolved","endsAt":"0001-01-01T00:00:00Z"`), func(a *incident.Alert) {
			a.Resolved, a.EndsAt = true, arrival
		}},
		{"no end before the start", good(`"status":"resolved","endsAt":"2026-11-23T13:00:00Z"`), func(a *incident.Alert) {
			a.Resolved, a.EndsAt = true, a.StartsAt
		}},
		{"a fingerprint in capitals", good(`"fingerprint":"42298CEA74F37EB2"`), func(*incident.Alert) {}},
		{"a link", good(`"generatorURL":"https://p.example/graph?g0.expr=a%3E1\u0026g0.tab=1#ü"`), func(a *incident.Alert) {
			a.GeneratorURL = "https://p.example/graph?g0.expr=a%3E1&g0.tab=1#ü"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := incident.Alert{
				Fingerprint: "42298cea74f37eb2", StartsAt: time.Date(2026, 11, 23, 13, 46, 27, 2000000, time.UTC),
				Labels: map[string]string{"alertname": "A", "sloth_id": "s"},
			}
			tt.want(&want)
			p := mustDecode(t, body(tt.alert))
			if len(p.alerts) != 1 {
				t.Fatalf("faults %+v", p.faults)
			}
			got := p.alerts[0]
			checkClean(t, got)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("alert\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestAMissingFingerprintIsMadeOfTheLabels(t *testing.T) {
	want := model.LabelSet{"alertname": "A", "sloth_id": "s"}.Fingerprint().String()
	for _, with := range []string{"-fingerprint", `"fingerprint":null`, `"fingerprint":""`, `"fingerprint":"42298cea74f37eb"`, `"fingerprint":"42298cea74f37ebg"`, `"fingerprint":"42298cea74f37eb22"`} {
		if p := mustDecode(t, body(good(with))); len(p.alerts) != 1 || p.alerts[0].Fingerprint != want {
			t.Errorf("%s: %+v", with, p)
		}
	}
}

func TestLinksThatAreDropped(t *testing.T) {
	for _, url := range []string{
		"", "javascript:alert(1)", "ftp://x/", "//x/", "/graph", "http://", "http:///x", "https://?x", "http:x",
		`http://x/\"onclick=`, `http://x/<b>`, "http://x/ y", `http://x/\n`, `http://x/\u0000`, `http://x/\u0085`, "http://user:secret@x/", "http://x@y", `http://x\\y`, "http://x/\xff",
		"http://x/" + strings.Repeat("y", MaxURL),
	} {
		if p := mustDecode(t, body(good(`"generatorURL":"`+url+`"`))); len(p.alerts) != 1 || p.alerts[0].GeneratorURL != "" {
			t.Errorf("%q: %+v", url, p)
		}
	}
	for _, url := range []string{"http://x", "HTTPS://x:9090/@y", "http://[::1]:9090/graph"} {
		if p := mustDecode(t, body(good(`"generatorURL":"`+url+`"`))); len(p.alerts) != 1 || p.alerts[0].GeneratorURL != url {
			t.Errorf("%q: %+v", url, p)
		}
	}
}

func TestAnnotationsBeyondBoundsAreCutOff(t *testing.T) {
	var many, large []string
	for i := range 3 * MaxAnnotations {
		many = append(many, fmt.Sprintf(`"a%d":"x"`, i))
		large = append(large, fmt.Sprintf(`"a%d":"%s"`, i, strings.Repeat(`\u0001`, 10_000)))
	}
	p := mustDecode(t, body(
		good(`"annotations":{`+strings.Join(many, ",")+`}`),
		good(`"annotations":{`+strings.Join(large, ",")+`}`),
		good(`"annotations":{"`+strings.Repeat("n", MaxAnnotation+1)+`":"x","b":"y","":"z"}`)))
	if len(p.alerts) != 3 || len(p.alerts[0].Annotations) != MaxAnnotations || len(p.alerts[2].Annotations) != 1 {
		t.Fatalf("%d alerts, faults %v", len(p.alerts), p.faults)
	}
	for _, a := range p.alerts {
		checkClean(t, a)
	}
}

func TestBodiesThatAreNoPayload(t *testing.T) {
	custom, err := os.ReadFile("testdata/0.34.2/custom-payload.json")
	if err != nil {
		t.Fatal(err)
	}
	api, err := os.ReadFile("testdata/prometheus-alerts.json")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, body string
		status     int
		reason     string
		text       string // a part of it
	}{
		{"nothing", "", 400, refusedSyntax, "the body is empty"},
		{"only blanks", " \n", 400, refusedSyntax, "the body is empty"},
		{"a template's own payload", string(custom), 400, refusedPayload, `no "version"`},
		{"what Prometheus posts to Alertmanager", string(api), 400, refusedPayload, "not a JSON object"},
		{"a string", `"x"`, 400, refusedPayload, "not a JSON object"},
		{"text", `hello`, 400, refusedSyntax, "the body is not JSON: "},
		{"a form", `payload=%7B%7D`, 400, refusedSyntax, "the body is not JSON: "},
		{"half a body", `{"version":"4","alerts":[{"status":"fir`, 400, refusedSyntax, "ends after 39 bytes in the middle"},
		{"no version", `{"alerts":[]}`, 400, refusedPayload, `no "version"`},
		{"version 3", `{"version":"3","alerts":[]}`, 400, refusedPayload, `version "3" of the payload is not known; Alertmanager sends "4", and Grafana "1"`},
		{"version 1 that is not Grafana's", `{"version":"1","alerts":[]}`, 400, refusedPayload, `version "1" of the payload is Grafana's, and the body has no "orgId"`},
		{"version as a number", `{"version":4,"alerts":[]}`, 400, refusedPayload, `"version" is not a string`},
		{"no alerts", `{"version":"4"}`, 400, refusedPayload, `no "alerts"`},
		{"null as alerts", `{"version":"4","alerts":null}`, 400, refusedPayload, `"alerts" is not a list`},
		{"an object as alerts", `{"version":"4","alerts":{}}`, 400, refusedPayload, `"alerts" is not a list`},
		{"alerts twice", `{"version":"4","alerts":[],"alerts":[]}`, 400, refusedPayload, `"alerts" stands twice`},
		{"version twice", `{"version":"4","version":"4","alerts":[]}`, 400, refusedPayload, `"version" stands twice`},
		{"another count", `{"version":"4","truncatedAlerts":1,"truncatedAlerts":0,"alerts":[]}`, 400, refusedPayload, `"truncatedAlerts" stands twice`},
		{"alerts in capitals", `{"version":"4","Alerts":[]}`, 400, refusedPayload, `the name is "alerts"`},
		{"something behind it", `{"version":"4","alerts":[]} {}`, 400, refusedPayload, "follows after"},
		{"rubbish behind it", `{"version":"4","alerts":[]}]`, 400, refusedSyntax, "the body is not JSON"},
		{"a comma too many", `{"version":"4","alerts":[],}`, 400, refusedSyntax, "the body is not JSON"},
		{"a raw line break in a string", "{\"version\":\"4\",\"a\":\"\n\"}", 400, refusedSyntax, "the body is not JSON"},
		{"a byte order mark", "\ufeff" + `{"version":"4","alerts":[]}`, 400, refusedSyntax, "the body is not JSON"},
		{"nested for ever", `{"version":"4","alerts":[],"x":` + strings.Repeat("[", 1<<20), 400, refusedSyntax, "exceeded max depth"},
		{"an alert nested for ever", `{"version":"4","alerts":[` + strings.Repeat(`{"a":`, 1<<20), 400, refusedSyntax, "exceeded max depth"},
		{"too many alerts", string(body(strings.TrimSuffix(strings.Repeat("{},", MaxAlerts+1), ","))), 413, refusedAlerts, "more than 50000 alerts"},
		{"a long name cannot fill the log", `{"version":"4","` + strings.Repeat("x", 1<<20) + `":tru}`, 400, refusedSyntax, "the body is not JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newDecoder(keep).decode([]byte(tt.body), arrival)
			why, ok := errors.AsType[*refusal](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if why.status != tt.status || why.reason != tt.reason || !strings.Contains(why.text, tt.text) || len(why.text) > 1000 {
				t.Errorf("got %d %s %.500q\nwant %d %s …%q…", why.status, why.reason, why.text, tt.status, tt.reason, tt.text)
			}
		})
	}
}

func TestADecoderIsAsNewAfterAnError(t *testing.T) {
	d := newDecoder(keep)
	first, err := d.decode(body(good("")), arrival)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{`{"version":"4","alerts":[{"labels":{"a":"b`, `[[[`, ``} {
		if _, err := d.decode([]byte(broken), arrival); err == nil {
			t.Fatal("no error")
		}
		again, err := d.decode(body(good("")), arrival)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(first) {
			t.Errorf("after %q: %v %v", broken, again, err)
		}
	}
}

func TestNothingPointsIntoTheBody(t *testing.T) {
	data := body(good(`"annotations":{"a":"text"},"generatorURL":"http://p.example/"`))
	p := mustDecode(t, data)
	before := fmt.Sprint(p)
	clear(data)
	if after := fmt.Sprint(p); after != before {
		t.Errorf("it changed with the body: %s", after)
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range realPayloads(f) {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, name := range []string{"grafana/unified-firing.json", "thousand-labels.json"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(body(good(`-startsAt"status":"resolved","endsAt":"9999-12-31T23:59:59-01:00"`), good(`-fingerprint"labels":{`+many(MaxLabels+1, `"l%d":"x"`)+`,"env":"a"}`)))
	f.Add(body(good(`"Status":"resolved"`), good(`"labels":{"a":"x","a":"y"}`), good(`"labels":{"a\u0000":"\ud800"}`), "null"))
	d := newDecoder(keep)
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		p, err := d.decode(data, arrival)
		if !bytes.Equal(data, before) {
			t.Fatal("the body was changed")
		}
		fresh, errFresh := newDecoder(keep).decode(data, arrival)
		if fmt.Sprint(p, err) != fmt.Sprint(fresh, errFresh) {
			t.Fatalf("a used decoder reads\n%v %v\na fresh one\n%v %v", p, err, fresh, errFresh)
		}
		if err != nil {
			if why, ok := errors.AsType[*refusal](err); !ok || why.status < 400 || why.status > 499 || len(why.text) > 1000 {
				t.Fatalf("error %v", err)
			}
			return
		}
		index := -1
		for _, f := range p.faults {
			if f.index <= index || f.index >= len(p.alerts)+len(p.faults) || f.text == "" || len(f.text) > 1000 {
				t.Fatalf("faults %+v", p.faults)
			}
			index = f.index
		}
		for _, a := range p.alerts {
			checkClean(t, a)
		}
		// What is taken, the lenient decoder takes as well, with as many alerts.
		var lenient struct{ Alerts []json.RawMessage }
		if err := json.Unmarshal(data, &lenient); err != nil || len(lenient.Alerts) != len(p.alerts)+len(p.faults) {
			t.Fatalf("encoding/json reads %d alerts, %v; here %d and %d", len(lenient.Alerts), err, len(p.alerts), len(p.faults))
		}
		results := make([]intake.Result, len(p.alerts))
		for i := range results {
			results[i] = intake.Result{SLO: p.alerts[i].Labels["sloth_id"], Incident: int64(i), Result: intake.OutcomeOpened}
		}
		var answer struct {
			Alerts []struct{ Fingerprint, Result string }
		}
		if err := json.Unmarshal(appendAnswer(nil, p, results), &answer); err != nil || len(answer.Alerts) != len(p.alerts)+len(p.faults) {
			t.Fatalf("answer: %v, %d alerts", err, len(answer.Alerts))
		}
	})
}
