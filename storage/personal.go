package storage

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// CheckPersonal makes sure that the personal values beside the leaf are those whose
// hashes stand in it. The error is ErrDamaged and names the first that is not.
func (r *Record) CheckPersonal() error {
	if len(r.Personal) == 0 {
		return nil
	}
	var leaf any
	if err := json.Unmarshal(r.Leaf, &leaf); err != nil {
		return fmt.Errorf("the leaf is no JSON (%w): %w", err, ErrDamaged)
	}
	for _, path := range slices.Sorted(maps.Keys(r.Personal)) {
		if have, _ := valueAt(leaf, path).(string); have != HashPersonal(r.Salt, r.Personal[path]) {
			return fmt.Errorf("what is kept as %s is not what its hash in the leaf is of: %w", path, ErrDamaged)
		}
	}
	return nil
}

// valueAt returns what a document has at a path such as "covers.0.owed", nil if nothing.
func valueAt(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}
