package audit

import (
	"time"

	"sitrep/incident"
	"sitrep/wording"
)

// pageTime is how pages write a time, in the zone that they name at their top.
const pageTime = "2006-01-02 15:04:05"

// inZone says what a cause is, with times as the page writes all others.
func inZone(c incident.Cause, loc *time.Location) string {
	return wording.Cause(c, func(t time.Time) string { return t.In(loc).Format(pageTime) })
}

// eventWords says in plain words what an event is, on a page with times in a location.
// Its time, its actor, and what they wrote stand beside.
func eventWords(e *incident.Event, loc *time.Location) string {
	return wording.Describer{
		Depth: wording.ForRecord, Nameless: true, Apart: true,
		Time: func(t time.Time) string { return t.In(loc).Format(pageTime) },
	}.Event(e)
}
