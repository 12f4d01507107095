package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// post measures what one post of one alert takes, beside what it cannot do without: to decode it, and
// to sync twice.
func (p programs) post(_ context.Context, o options, s *sheet) ([]figure, error) {
	o.clients, o.alerts = 1, 1
	f, err := p.start(intakeConfig, intakeFiles(o), "warn")
	if err != nil {
		return nil, err
	}
	defer f.kill()
	file, err := newSynced(filepath.Join(f[0].Dir, "data", "synced"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	const turns = 5
	o.duration /= 2
	decoded := decodeOnly(o).p50
	var posts, syncs []time.Duration
	var bytes, n int64
	for range turns {
		before := f.written()
		r, err := f.drive(o)
		if err != nil {
			return nil, err
		}
		posts, bytes, n = append(posts, r.p50), bytes+f.written()-before, n+int64(r.posts)
		sync, err := timeSyncs(file, 100)
		if err != nil {
			return nil, err
		}
		syncs = append(syncs, sync)
	}
	post, sync := quantile(posts, 50), quantile(syncs, 50)
	each := float64(bytes) / float64(n) / 1024
	s.say("a post of one new alert, one client: p50 %s; to decode it %s, to write and sync a page %s", fine(post), fine(decoded), fine(sync))
	s.say("%.1f KiB written to the disk for each of %d posts", each, n)
	return []figure{
		atMost("p50 of a post of one alert, one client ÷ (to decode it + 2 fdatasync)", ratio(post, decoded+2*sync), 2.1, ""),
		atMost("written to the disk for a post of one new alert, one client", each, 60, "KiB"),
	}, nil
}

const (
	// syncedSize is how large the file is that is synced beside a store, and pageSize what is
	// written to it each time.
	syncedSize, pageSize = 16 << 20, 4 << 10
)

// newSynced makes a file whose every page is on the disk, as those of a store that has grown are.
func newSynced(path string) (*os.File, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(make([]byte, syncedSize)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
	}
	return f, err
}

// timeSyncs writes a page and syncs it so many times, and returns what that takes in the middle.
func timeSyncs(f *os.File, n int) (time.Duration, error) {
	page := make([]byte, pageSize)
	var all []time.Duration
	for i := range n {
		page[0]++
		began := time.Now()
		if _, err := f.WriteAt(page, int64(i)*7919%(syncedSize/pageSize)*pageSize); err != nil {
			return 0, err
		}
		if err := syncData(f); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}
