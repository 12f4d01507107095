package receiver

import (
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
)

// fingerprint returns a fingerprint in its usual form, empty if it is none.
func fingerprint(s []byte) string {
	if len(s) != 16 {
		return ""
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return ""
		}
	}
	return strings.ToLower(string(s))
}

// computed returns the fingerprint of the alert that was read last, as Alertmanager
// computes it, over all its labels: those that were cut are read again.
func (d *decoder) computed(labels map[string]string) string {
	var pairs []pair
	if d.uncut != nil {
		pairs = allPairs(d.uncut)
	} else {
		for name, value := range labels {
			pairs = append(pairs, pair{name, value})
		}
	}
	// Of a name that stands twice the first counts, as it does for the labels.
	slices.SortStableFunc(pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	sum := fnv.New64a()
	for i, p := range pairs {
		if i > 0 && p.name == pairs[i-1].name || p.value == "" {
			continue
		}
		for _, s := range [...]string{p.name, "\xff", p.value, "\xff"} {
			_, _ = io.WriteString(sum, s)
		}
	}
	return fmt.Sprintf("%016x", sum.Sum64())
}

// allPairs returns the labels in text, an object that was read without a fault, in
// their order, however many there are.
func allPairs(text []byte) []pair {
	d := newDecoder(nil)
	d.open(text)
	var pairs []pair
	_, err := d.json.ReadToken()
	for err == nil && d.json.PeekKind() != '}' {
		var raw []byte
		var p pair
		if raw, err = d.text(); err != nil {
			break
		}
		p.name, _ = d.clean(raw, false)
		if raw, err = d.text(); err != nil {
			break
		}
		p.value, _ = d.clean(raw, false)
		pairs = append(pairs, p)
	}
	return pairs
}
