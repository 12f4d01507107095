package bolt

import (
	"context"
	"maps"
	"slices"
	"time"

	"sitrep/storage"
)

const (
	// loginPrefix is what the keys of meta begin with that hold failed log-ins, as JSON.
	loginPrefix = "login:"
	// loginSweep is at how many others each failure that is counted looks, whether they still
	// count. They are found by a hash, so those are any, and few stay that no longer count.
	loginSweep = 16
)

func counts(f storage.LoginFailures, now time.Time) bool {
	return now.Sub(f.LastAt) <= storage.LoginFailuresKept
}

func (r *reader) LoginFailures(_ context.Context, who []string, now time.Time) (map[string]storage.LoginFailures, error) {
	all := map[string]storage.LoginFailures{}
	for _, name := range who {
		var f storage.LoginFailures
		found, err := r.getJSON(bMeta, key(loginPrefix).rest(name), &f)
		if err != nil {
			return nil, err
		}
		if found && counts(f, now) {
			all[name] = f
		}
	}
	return all, nil
}

func (t *tx) CountLogins(_ context.Context, failed map[string]int, succeeded []string, at time.Time) error {
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		k := key(loginPrefix).rest(name)
		if err := t.sweepLogins(k, at); err != nil {
			return err
		}
		var f storage.LoginFailures
		if _, err := t.getJSON(bMeta, k, &f); err != nil {
			return err
		}
		if !counts(f, at) {
			f.Count = 0
		}
		f.Count += failed[name]
		f.LastAt = at
		if err := t.putJSON(bMeta, k, f); err != nil {
			return err
		}
	}
	for _, name := range succeeded {
		if err := t.delete(bMeta, key(loginPrefix).rest(name)); err != nil {
			return err
		}
	}
	return nil
}

// sweepLogins deletes, of some that follow on a key, those that no longer count.
func (t *tx) sweepLogins(from key, now time.Time) error {
	var old []key
	n := 0
	err := t.ascend(bMeta, []byte(loginPrefix), from, func(k, v []byte) (bool, error) {
		var f storage.LoginFailures
		if err := decode(bMeta, k, v, &f); err != nil {
			return false, err
		}
		if !counts(f, now) {
			old = append(old, slices.Clone(k))
		}
		n++
		return n < loginSweep, nil
	})
	for i := 0; i < len(old) && err == nil; i++ {
		err = t.delete(bMeta, old[i])
	}
	return err
}
