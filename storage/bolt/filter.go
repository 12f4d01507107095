package bolt

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// A filter says of a run which keys are surely not in it (a Bloom filter). All that it says
// of one key is in one line, as long as what a processor fetches at once. The lines are in
// the order of the hashes, so that what adds keys in order fills one after the other.
type filter []byte

const (
	lineSize = 64
	// keysPerLine makes one key in some hundreds that is not there seem to be.
	keysPerLine = 32
	// keyBits is how many bits are set for each key.
	keyBits = 6
	// chunkLines is how many lines are stored in one value, two of which fit a page.
	chunkLines = 28
)

// linesFor returns how many lines a filter of so many keys has.
func linesFor(keys int) int { return max(1, (keys+keysPerLine-1)/keysPerLine) }

// filterLine returns which of so many lines a hash belongs to.
func filterLine(hash uint64, lines int) int {
	line, _ := bits.Mul64(hash, uint64(lines))
	return int(line)
}

// setBits sets the bits of a hash in its line.
func setBits(line []byte, hash uint64) {
	for g, i := scatter(hash), 0; i < keyBits; g, i = g>>9, i+1 {
		line[g>>3&63] |= 1 << (g & 7)
	}
}

// has reports whether a key may be there. Of a filter that could not be read it is true.
func (f filter) has(hash uint64) bool {
	if f == nil {
		return true
	}
	at := filterLine(hash, len(f)/lineSize) * lineSize
	line := f[at : at+lineSize]
	for g, i := scatter(hash), 0; i < keyBits; g, i = g>>9, i+1 {
		if line[g>>3&63]&(1<<(g&7)) == 0 {
			return false
		}
	}
	return true
}

// scatter returns bits that have little to do with those that chose the line.
func scatter(hash uint64) uint64 {
	g := hash * 0x9e3779b97f4a7c15
	return g ^ g>>32
}

// mix is a permutation in which each bit depends on all.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// filters keeps the filters of runs that were read. A run does not change once it is
// committed, and its number is given to no other, so neither does its filter.
type filters struct {
	mu sync.Mutex
	of map[uint64]filter
}

// read returns the filters of runs, as they are read by load if they are not known.
func (f *filters) read(runs []run, load func(run) (filter, error)) ([]filter, error) {
	all := make([]filter, len(runs))
	if f != nil {
		f.mu.Lock()
		for i := range runs {
			all[i] = f.of[runs[i].id]
		}
		f.mu.Unlock()
	}
	var loaded []int
	for i := range runs {
		if all[i] != nil {
			continue
		}
		var err error
		if all[i], err = load(runs[i]); err != nil {
			return nil, err
		}
		loaded = append(loaded, i)
	}
	if f == nil || loaded == nil {
		return all, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil || len(f.of) > 2*len(runs) { // of runs that are no longer there
		f.of = make(map[uint64]filter, len(runs))
		for i := range runs {
			if all[i] != nil {
				f.of[runs[i].id] = all[i]
			}
		}
	}
	for _, i := range loaded {
		if all[i] != nil {
			f.of[runs[i].id] = all[i]
		}
	}
	return all, nil
}

// chunkKey is where a part of the filter of a run is.
func chunkKey(id uint64, chunk int) key {
	return binary.BigEndian.AppendUint32(key(make([]byte, 0, 13)).int(int64(id)).byte(runFilter), uint32(chunk))
}
