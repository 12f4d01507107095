package receiver

import (
	"fmt"
	"unicode/utf8"
)

// A pair is a name and its value, cleaned.
type pair struct{ name, value string }

// labels reads an alert's labels, and cuts off what is beyond bounds. Those with an
// empty value count as absent. If wrong is not empty it says why they cannot be taken.
func (d *decoder) labels() (labels map[string]string, wrong string, err error) {
	if _, err := d.json.ReadToken(); err != nil {
		return nil, "", err
	}
	start := d.json.InputOffset() - 1
	note := func(format string, args ...any) {
		if wrong == "" {
			wrong = fmt.Sprintf(format, args...)
		}
	}
	d.pairs = d.pairs[:0]
	size, kept, keptBytes := 0, 0, 0
	empty, replaced, cut := false, false, false
	for d.json.PeekKind() != '}' {
		raw, err := d.text()
		if err != nil {
			return nil, "", err
		}
		if len(raw) == 0 {
			note("a label has no name")
		}
		var p pair
		var changed bool
		bytes := len(raw)
		if bytes <= MaxLabel {
			p.name, changed = d.clean(raw, false)
			replaced = replaced || changed
		}
		if d.json.PeekKind() != '"' {
			note("label %.64q is not a string", p.name)
			if err := d.json.SkipValue(); err != nil {
				return nil, "", err
			}
			continue
		}
		if raw, err = d.text(); err != nil {
			return nil, "", err
		}
		bytes += len(raw)
		switch {
		case p.name != "" && len(raw) <= MaxLabel && len(d.pairs) < MaxLabels && size+bytes <= MaxLabelBytes:
			p.value, _ = d.clean(raw, false)
			empty = empty || p.value == ""
			size += bytes
		case len(raw) == 0:
			continue
		case p.name != "" && kept < MaxKeptLabels && d.keep(p.name):
			kept++
			if keptBytes+bytes <= MaxKeptBytes {
				p.value, _ = d.clean(raw, false)
				keptBytes += bytes
				break
			}
			p.value, changed = d.cut(raw, MaxKeptValue, false)
			cut = cut || changed
		default:
			cut = true
			bytes -= max(0, len(raw)-MaxLabel)
			if p.name == "" || len(d.pairs) >= MaxLabels || size+bytes > MaxLabelBytes {
				continue
			}
			p.value, _ = d.cut(raw, MaxLabel, false)
			size += bytes
		}
		d.pairs = append(d.pairs, p)
	}
	if _, err := d.json.ReadToken(); err != nil || wrong != "" {
		return nil, wrong, err
	}
	if cut {
		d.uncut = d.body[start:d.json.InputOffset()]
	}
	labels, twice := fold(d.pairs)
	// Two names can become one by cleaning. That is no reason to lose an alert.
	if twice != "" && !replaced {
		return nil, fmt.Sprintf("label %.64q stands twice", twice), nil
	}
	if empty {
		for name, value := range labels {
			if value == "" {
				delete(labels, name)
			}
		}
	}
	return labels, "", nil
}

// annotations reads an alert's annotations, and cuts off what is beyond bounds. If
// wrong is not empty it says why they cannot be taken.
func (d *decoder) annotations() (annotations map[string]string, wrong string, err error) {
	if _, err := d.json.ReadToken(); err != nil {
		return nil, "", err
	}
	d.pairs = d.pairs[:0]
	size, replaced := 0, false
	for d.json.PeekKind() != '}' {
		raw, err := d.text()
		if err != nil {
			return nil, "", err
		}
		keep := len(d.pairs) < MaxAnnotations && size+len(raw) < MaxAnnotationBytes && len(raw) <= MaxAnnotation && len(raw) > 0
		var p pair
		var changed bool
		if keep {
			p.name, changed = d.clean(raw, false)
			replaced = replaced || changed
			size += len(p.name)
		}
		if d.json.PeekKind() != '"' {
			if wrong == "" {
				wrong = fmt.Sprintf("annotation %.64q is not a string", p.name)
			}
			if err := d.json.SkipValue(); err != nil {
				return nil, "", err
			}
			continue
		}
		if raw, err = d.text(); err != nil {
			return nil, "", err
		}
		if keep {
			p.value, _ = d.cut(raw, max(0, min(MaxAnnotation, MaxAnnotationBytes-size)), true)
			size += len(p.value)
			d.pairs = append(d.pairs, p)
		}
	}
	if _, err := d.json.ReadToken(); err != nil || wrong != "" {
		return nil, wrong, err
	}
	annotations, twice := fold(d.pairs)
	if twice != "" && !replaced {
		return nil, fmt.Sprintf("annotation %.64q stands twice", twice), nil
	}
	return annotations, "", nil
}

// cut returns s cleaned, with its lines or without, and cut to limit bytes, and
// reports whether it had to be. An ellipsis says so, if there is room for one.
func (d *decoder) cut(s []byte, limit int, lines bool) (string, bool) {
	if len(s) <= limit {
		if clean, _ := d.clean(s, lines); len(clean) <= limit {
			return clean, false
		}
	}
	const ellipsis = "…"
	if limit < len(ellipsis) {
		return "", true
	}
	limit -= len(ellipsis)
	clean, _ := d.clean(s[:boundary(s, limit)], lines)
	return clean[:boundary([]byte(clean), limit)] + ellipsis, true
}

// boundary returns the length of the longest start of s, valid UTF-8, that has at
// most limit bytes and ends no character halfway.
func boundary(s []byte, limit int) int {
	if len(s) <= limit {
		return len(s)
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return limit
}

// fold makes a map of pairs, nil if there are none. The first of a name wins; twice
// is a name that came again.
func fold(pairs []pair) (m map[string]string, twice string) {
	if len(pairs) == 0 {
		return nil, ""
	}
	m = make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[p.name] = p.value
	}
	if len(m) == len(pairs) {
		return m, ""
	}
	clear(m)
	for _, p := range pairs {
		if _, ok := m[p.name]; ok {
			twice = p.name
			continue
		}
		m[p.name] = p.value
	}
	return m, twice
}
