package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sitrep/incident"
)

// Bounds of a payload. What Alertmanagers send stays far below.
const (
	// MaxBody is the size of a body in bytes; beyond it is 413.
	MaxBody = 32 << 20
	// MaxAlerts bounds the alerts of one payload; beyond it is 413.
	MaxAlerts = 50_000
	// MaxLabels, MaxLabel and MaxLabelBytes bound the labels of one alert: how many, the
	// bytes of one name or value, and the bytes over all of both. What is beyond is cut
	// off and the alert kept.
	MaxLabels     = 256
	MaxLabel      = 16 << 10
	MaxLabelBytes = 64 << 10
	// MaxKeptLabels and MaxKeptBytes bound the labels of one alert that are kept beyond
	// those, because its SLO may be found by them. Of more than MaxKeptBytes each still
	// keeps the first MaxKeptValue bytes of its value, which no id exceeds.
	MaxKeptLabels = 1024
	MaxKeptBytes  = 64 << 10
	MaxKeptValue  = 1 << 10
	// MaxAnnotations, MaxAnnotation and MaxAnnotationBytes bound the annotations of one
	// alert: how many, the bytes of one, and the bytes of all. They are only told, so
	// what is beyond them is cut off and the alert kept.
	MaxAnnotations     = 128
	MaxAnnotation      = 16 << 10
	MaxAnnotationBytes = 64 << 10
	// MaxURL is the length of a generatorURL in bytes; a longer one is dropped.
	MaxURL = 8 << 10
)

// A payload is a decoded body.
type payload struct {
	alerts []incident.Alert // those that are valid, in order
	faults []fault          // the others, in order
	// truncated is how many alerts Alertmanager left out of it.
	truncated int64
	// cut is how many of alerts lost labels, or the ends of some, and firstCut the
	// first of those.
	cut, firstCut int
}

// A fault is an alert that is invalid.
type fault struct {
	index       int    // among all alerts of the payload
	fingerprint string // empty if it is not known
	text        string // what is wrong
}

// A decoder decodes bodies, one after another. Beyond decoding it keeps only the
// strings that it met lately.
//
// The decoding is strict where a lenient one could read something else than was
// meant: names count with their case, and a name that stands twice, or differs
// from a known one by its case alone, is a fault. Unknown fields are passed over,
// as Alertmanager adds some between releases, and Grafana its own.
type decoder struct {
	json    *jsontext.Decoder
	body    []byte
	source  bytes.Buffer
	scratch []byte
	plain   bool // text read last needs no cleaning
	pairs   []pair
	uncut   []byte // the alert's labels in the body, if some of them were cut
	keep    func(label string) bool
	seed    maphash.Seed
	recent  [1024]string
}

// newDecoder returns a decoder that keeps the labels that keep reports. It may be nil.
func newDecoder(keep func(label string) bool) *decoder {
	if keep == nil {
		keep = func(string) bool { return false }
	}
	d := &decoder{seed: maphash.MakeSeed(), keep: keep}
	d.json = jsontext.NewDecoder(&d.source)
	return d
}

// open makes body what is read next.
func (d *decoder) open(body []byte) {
	d.body, d.source = body, *bytes.NewBuffer(body)
	// Duplicates are looked for where they matter, so that one in a single alert does
	// not spoil the others.
	d.json.Reset(&d.source, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// close lets go of the body.
func (d *decoder) close() {
	d.body, d.uncut, d.source = nil, nil, bytes.Buffer{}
	d.json.Reset(&d.source)
}

// decode reads a whole body that arrived at at. Nothing of what it returns points
// into the body. The error is a *refusal.
func (d *decoder) decode(body []byte, at time.Time) (payload, error) {
	d.open(body)
	defer d.close()
	p, err := d.payload(at)
	if err != nil {
		return payload{}, asRefusal(err)
	}
	return p, nil
}

// asRefusal says in a person's words what is wrong with a body.
func asRefusal(err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	text := "the body is empty; post what Alertmanager's webhook sends"
	switch {
	case ok && errors.Is(err, io.ErrUnexpectedEOF):
		text = fmt.Sprintf("the body is not JSON: it ends after %d bytes in the middle", syntax.ByteOffset)
	case ok:
		text = fmt.Sprintf("the body is not JSON: %v after %d bytes", syntax.Err, syntax.ByteOffset)
	}
	return &refusal{http.StatusBadRequest, refusedSyntax, text}
}

func notPayload(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, refusedPayload, fmt.Sprintf(format, args...)}
}

// payloadFields are the fields of a payload that are read.
var payloadFields = []string{"alerts", "version", "truncatedAlerts"}

// payload reads the body's only value.
func (d *decoder) payload(at time.Time) (payload, error) {
	var p payload
	if kind := d.json.PeekKind(); kind != '{' && kind != jsontext.KindInvalid {
		return p, notPayload("the body is not a JSON object; post what Alertmanager's webhook sends")
	}
	if _, err := d.json.ReadToken(); err != nil {
		return p, err
	}
	seen := map[string]bool{}
	var grafana, marked bool // by its version, and by what Grafana alone sends
	for d.json.PeekKind() != '}' {
		name, err := d.text()
		if err != nil {
			return p, err
		}
		if slices.Contains(payloadFields, string(name)) {
			if seen[string(name)] {
				return p, notPayload("%q stands twice in the body", name)
			}
			seen[string(name)] = true
		}
		switch string(name) {
		case "alerts":
			if err := d.alerts(&p, at); err != nil {
				return p, err
			}
		case "version":
			if grafana, err = d.version(); err != nil {
				return p, err
			}
		case "truncatedAlerts":
			if p.truncated, err = d.count(); err != nil {
				return p, err
			}
		case "orgId", "title", "state", "message":
			marked = true
			if err := d.json.SkipValue(); err != nil {
				return p, err
			}
		default:
			if known := sameButCase(name, payloadFields...); known != "" {
				return p, notPayload("the body has a field %q; the name is %q", name, known)
			}
			if err := d.json.SkipValue(); err != nil {
				return p, err
			}
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return p, err
	}
	if _, err := d.json.ReadToken(); !errors.Is(err, io.EOF) {
		if err != nil {
			return p, err
		}
		return p, notPayload("something follows after the payload")
	}
	switch {
	case !seen["version"]:
		return p, notPayload(`the body has no "version"; post what Alertmanager's webhook sends, without a "payload" of one's own`)
	case !seen["alerts"]:
		return p, notPayload(`the body has no "alerts"; post what Alertmanager's webhook sends`)
	case grafana && !marked:
		return p, notPayload(`version "1" of the payload is Grafana's, and the body has no "orgId", "title", "state" or "message"; post what Grafana's webhook sends, or version "4" as Alertmanager does`)
	}
	if grafana {
		for i := range p.alerts {
			p.alerts[i].Grafana = true
		}
	}
	return p, nil
}

// version reads the payload's version and checks it, and reports whether it is
// Grafana's.
func (d *decoder) version() (grafana bool, err error) {
	if d.json.PeekKind() != '"' {
		if err := d.json.SkipValue(); err != nil {
			return false, err
		}
		return false, notPayload(`"version" is not a string; Alertmanager sends "4"`)
	}
	v, err := d.text()
	if err != nil {
		return false, err
	}
	switch string(v) {
	case "4":
		return false, nil
	case "1":
		return true, nil
	}
	return false, notPayload(`version %.20q of the payload is not known; Alertmanager sends "4", and Grafana "1"`, v)
}

// count reads a number; what is none counts as 0.
func (d *decoder) count() (int64, error) {
	if d.json.PeekKind() != '0' {
		return 0, d.json.SkipValue()
	}
	t, err := d.json.ReadToken()
	if err != nil {
		return 0, err
	}
	n, err := t.Int()
	if err != nil || n < 0 {
		return 0, nil
	}
	return n, nil
}

// alerts reads the list of alerts.
func (d *decoder) alerts(p *payload, at time.Time) error {
	if kind := d.json.PeekKind(); kind != '[' && kind != jsontext.KindInvalid {
		return notPayload(`"alerts" is not a list`)
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	index := 0
	for ; d.json.PeekKind() != ']'; index++ {
		if index == MaxAlerts {
			return &refusal{http.StatusRequestEntityTooLarge, refusedAlerts, fmt.Sprintf("more than %d alerts in one post; set max_alerts or group by more labels", MaxAlerts)}
		}
		a, wrong, err := d.alert(at)
		if err != nil {
			return err
		}
		if wrong != "" {
			p.faults = append(p.faults, fault{index, a.Fingerprint, wrong})
			continue
		}
		if d.uncut != nil {
			if p.cut == 0 {
				p.firstCut = len(p.alerts)
			}
			p.cut++
		}
		p.alerts = append(p.alerts, a)
	}
	_, err := d.json.ReadToken()
	return err
}

// alert reads one alert. If wrong is not empty it says why the alert is invalid.
func (d *decoder) alert(at time.Time) (a incident.Alert, wrong string, err error) {
	d.uncut = nil
	if kind := d.json.PeekKind(); kind != '{' && kind != jsontext.KindInvalid {
		return a, "the alert is not an object", d.json.SkipValue()
	}
	if _, err := d.json.ReadToken(); err != nil {
		return a, "", err
	}
	note := func(w string) {
		if wrong == "" {
			wrong = w
		}
	}
	var status, startsAt, endsAt string
	var seen [len(alertFields)]bool
	for d.json.PeekKind() != '}' {
		name, err := d.text()
		if err != nil {
			return a, "", err
		}
		field := alertField(name)
		if field < 0 {
			if known := sameButCase(name, alertFields[:]...); known != "" {
				note(fmt.Sprintf("the alert has a field %q; the name is %q", name, known))
			}
			if err := d.json.SkipValue(); err != nil {
				return a, "", err
			}
			continue
		}
		if seen[field] {
			note(alertFields[field] + " stands twice")
			if err := d.json.SkipValue(); err != nil {
				return a, "", err
			}
			continue
		}
		seen[field] = true
		kind := d.json.PeekKind()
		wanted := jsontext.KindString
		if field == fieldLabels || field == fieldAnnotations {
			wanted = jsontext.KindBeginObject
		}
		if kind != wanted {
			// To Alertmanager's own decoder null is the same as nothing.
			if kind != jsontext.KindNull {
				note(alertFields[field] + " is of the wrong type")
			}
			if err := d.json.SkipValue(); err != nil {
				return a, "", err
			}
			continue
		}
		var w string
		switch field {
		case fieldLabels:
			a.Labels, w, err = d.labels()
		case fieldAnnotations:
			a.Annotations, w, err = d.annotations()
		default:
			var text []byte
			if text, err = d.text(); err != nil {
				break
			}
			switch field {
			case fieldStatus:
				status = d.intern(text)
			case fieldStartsAt:
				startsAt = d.intern(text)
			case fieldEndsAt:
				endsAt = d.intern(text)
			case fieldGeneratorURL:
				a.GeneratorURL = d.link(text)
			case fieldFingerprint:
				a.Fingerprint = fingerprint(text)
			}
		}
		if err != nil {
			return a, "", err
		}
		note(w)
	}
	if _, err := d.json.ReadToken(); err != nil {
		return a, "", err
	}
	if wrong == "" {
		wrong = d.finish(&a, status, startsAt, endsAt, at)
	}
	return a, wrong, nil
}
