package storage

import "context"

// Needs name what a write is going to read and change of incidents and the watchdog.
type Needs struct {
	Keys         []string // of SLOs
	Fingerprints []string // of alerts
	Fresh        []string // of alerts of which no breach was known just now
	Incidents    []int64
	Pulses       []string // of the watchdog, by name
	Leases       []string // recipients whose leases are extended or given back
	Readers      []Reader // of the incidents that are named, whose subscriptions are read
}

// A Reader is one of an incident, by recipient.
type Reader struct {
	Incident  int64
	Recipient string
}

// A Locker locks what a write needs, so that it waits for others once, before it reads.
type Locker interface {
	// Lock locks until the end of the transaction, in this order: the leases, by their
	// recipients; the keys, by their names; then, by their numbers, the incidents that are named, the latest ones of the keys, those
	// to which the latest breaches of the fingerprints belong, and what any of them was merged
	// into. A fresh alert has its breach looked for after that alone: if one began meanwhile, its incident
	// is as a rule that of a key; then the pulses, by their names. Incidents that are not there are left out; a key
	// without one, and a pulse that is not there, are locked too. What the function reads of
	// them afterwards is as no other writer changes it.
	//
	// A function calls it once, first. What it asks for later that is not locked is locked
	// then, out of order: an engine that finds two writers that wait for each other for that
	// ends one of them and runs it again.
	Lock(ctx context.Context, n Needs) error
}
