package app

import (
	"runtime"
	"runtime/debug"
)

const (
	// gcAtLeast is GCPercent while a configuration is loaded, as two live then, and however much lives.
	gcAtLeast = 100
	// garbageAtMost is how much garbage may lie, unless that is less than gcAtLeast.
	garbageAtMost = 192 << 20
)

// collectSooner is called before a configuration is loaded. Its files are much that dies at once, and
// where it is that of a large organisation, a multiple of what lives would be most of the memory that
// the process ever takes.
func (o *Options) collectSooner() {
	if o.GCPercent > 0 {
		debug.SetGCPercent(min(gcAtLeast, o.GCPercent))
	}
}

// settleGarbage is called once a configuration is loaded: how much garbage may lie depends on how much
// lives.
func (o *Options) settleGarbage() {
	if o.GCPercent == 0 {
		return
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(gcPercent(o.GCPercent, m.HeapAlloc))
}

// gcPercent returns GCPercent where so many bytes live.
func gcPercent(most int, live uint64) int {
	return min(most, max(gcAtLeast, int(100*garbageAtMost/max(live, 1))))
}
