package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/storage"
	"sitrep/storage/bolt"
)

// deleted measures that a small commit writes no more after much was deleted.
func (p programs) deleted(ctx context.Context, o options, s *sheet) (all []figure, err error) {
	db, err := bolt.Open(ctx, filepath.Join(p.dir, "deleted.db"), bolt.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	n := o.sized(300_000)
	const number, each = 1, 2000
	at := time.Now().UTC().Truncate(time.Microsecond)
	for from := 0; from < n; from += each {
		some := make([]*incident.Breach, min(each, n-from))
		for i := range some {
			b := incident.NewBreach(&incident.Alert{
				Fingerprint: fmt.Sprintf("%016x", from+i), StartsAt: at, Labels: map[string]string{"alertname": "Load", "instance": strings.Repeat("x", 300)},
			}, nil, at)
			b.Incident = number
			some[i] = &b
		}
		if err := db.Write(ctx, func(tx storage.Tx) error { return tx.PutBreaches(ctx, some) }); err != nil {
			return nil, err
		}
	}
	before, err := writtenBySmall(ctx, db)
	if err != nil {
		return nil, err
	}
	for left := n; left > 0; {
		gone := 0
		if err := db.Write(ctx, func(tx storage.Tx) (err error) {
			gone, err = tx.DeleteBreaches(ctx, []int64{number}, time.Time{}, each)
			return err
		}); err != nil {
			return nil, err
		}
		if left -= gone; gone == 0 {
			return nil, fmt.Errorf("%d of %d breaches cannot be deleted", left, n)
		}
	}
	after, err := writtenBySmall(ctx, db)
	if err != nil {
		return nil, err
	}
	s.say("a small commit: %.1f KiB, after %s breaches were deleted %.1f KiB", before/1024, thousands(float64(n)), after/1024)
	return []figure{atMost(fmt.Sprintf("bytes of a small commit after %s breaches were deleted ÷ before", thousands(float64(n))), after/before, 2, "")}, nil
}

// writtenBySmall returns how many bytes this process writes for a small commit, in the mean of some
// after one that does not count.
func writtenBySmall(ctx context.Context, db *bolt.DB) (float64, error) {
	const times = 20
	small := func() error {
		return db.Write(ctx, func(tx storage.Tx) error {
			return tx.PutAlive(ctx, storage.Replica{Owner: "load", SeenAt: time.Now().UTC()})
		})
	}
	if err := small(); err != nil {
		return 0, err
	}
	before := written(os.Getpid())
	for range times {
		if err := small(); err != nil {
			return 0, err
		}
	}
	return float64(written(os.Getpid())-before) / times, nil
}
