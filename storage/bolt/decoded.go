package bolt

import (
	"bytes"
	"slices"
	"sync/atomic"

	"sitrep/incident"
)

// decodedSlots is how many incidents are kept decoded at most.
const decodedSlots = 4096

// decodedBytes is how long what is stored of an incident may be that is kept: few are longer than 2 KiB.
const decodedBytes = 8 << 10

// decoded are incidents as they were decoded last, by what was stored of them. One is told to many
// readers, and a digest is planned, recorded and settled on the same: decoding is most of what
// reading one costs. An incident is never changed in place, so its parts may be shared.
type decoded struct {
	slots [decodedSlots]atomic.Pointer[decodedIncident]
}

type decodedIncident struct {
	stored   []byte
	incident incident.Incident
}

// find returns the incident that is stored so; nil if it is not kept.
func (d *decoded) find(number int64, stored []byte) *incident.Incident {
	if d == nil {
		return nil
	}
	e := d.slots[uint64(number)%decodedSlots].Load()
	if e == nil || e.incident.Number != number || !bytes.Equal(e.stored, stored) {
		return nil
	}
	in := e.incident
	return &in
}

func (d *decoded) keep(stored []byte, in incident.Incident) {
	if d == nil || len(stored) > decodedBytes {
		return
	}
	in.Stakeholders, in.Actions, in.MergedFrom = slices.Clip(in.Stakeholders), slices.Clip(in.Actions), slices.Clip(in.MergedFrom)
	d.slots[uint64(in.Number)%decodedSlots].Store(&decodedIncident{bytes.Clone(stored), in})
}
