package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// maxOutages is how many outages a report looks at.
const maxOutages = 10_000

// firstRecord finds since when there are records.
func (m *measuring) firstRecord(ctx context.Context) error {
	configs, err := m.loaded(ctx)
	if err != nil {
		return err
	}
	k := &m.rep.CannotKnow
	if len(configs) > 0 {
		k.FirstRecordAt = configs[len(configs)-1].At
	}
	first, err := read(ctx, m.Store, func(r storage.Snapshot) ([]incident.Event, error) { return storage.EventsOf(ctx, r, 1, 0, 1) })
	if err != nil && !errors.Is(err, incident.ErrNotFound) {
		return err
	}
	if len(first) > 0 && (k.FirstRecordAt.IsZero() || first[0].Time.Before(k.FirstRecordAt)) {
		k.FirstRecordAt = first[0].Time
	}
	return nil
}

// loaded returns all loadings of configurations, the latest first.
func (m *measuring) loaded(ctx context.Context) ([]storage.Loading, error) {
	return read(ctx, m.Store, func(r storage.Snapshot) ([]storage.Loading, error) { return storage.Loadings(ctx, r) })
}

// LastWritten returns when something was last written to a store as far as it tells; zero
// if nothing was.
func LastWritten(ctx context.Context, s storage.Store) (time.Time, error) {
	last, err := read(ctx, s, func(r storage.Snapshot) (time.Time, error) { return storage.LastAlive(ctx, r, time.Time{}) })
	if err != nil {
		return last, fmt.Errorf("find when the store was last written: %w", err)
	}
	return last, nil
}

// unmapped counts the alerts that no SLO claims now.
func (m *measuring) unmapped(ctx context.Context) error {
	for cursor := ""; ; {
		var next string
		page, err := read(ctx, m.Store, func(r storage.Snapshot) (page []incident.UnmappedAlert, err error) {
			page, next, err = r.UnmappedAlerts(ctx, 1000, cursor)
			return page, err
		})
		if err != nil {
			return err
		}
		m.rep.Unmapped.Now += len(page)
		if cursor = next; next == "" {
			return nil
		}
	}
}

// cannotKnow says where the report is blind.
func (m *measuring) cannotKnow(ctx context.Context) error {
	k := &m.rep.CannotKnow
	outages, err := read(ctx, m.Store, func(r storage.Snapshot) ([]storage.Outage, error) { return storage.Outages(ctx, r, maxOutages) })
	if err != nil {
		return err
	}
	var down time.Duration
	for _, o := range outages {
		if o.Kind == storage.ClockSet {
			if m.within(o.From) || m.within(o.To) {
				k.ClockSets = append([]storage.Outage{o}, k.ClockSets...)
			}
			continue
		}
		if o.To.After(m.rep.From) && o.From.Before(m.rep.To) {
			k.Outages = append([]storage.Outage{o}, k.Outages...)
			down += o.To.Sub(o.From)
		}
	}
	refusals, err := read(ctx, m.Store, func(r storage.Snapshot) ([]storage.Refusal, error) { return storage.Refusals(ctx, r) })
	if err != nil {
		return err
	}
	for _, f := range refusals {
		if m.within(f.At) {
			k.RefusedPosts++
		}
	}
	k.UnknownOutcomes = len(m.unsure)

	note := func(format string, args ...any) { k.Notes = append(k.Notes, fmt.Sprintf(format, args...)) }
	if k.FirstRecordAt.After(m.rep.From) || k.FirstRecordAt.IsZero() {
		note("What was before the first record. The time span begins earlier than the records do.")
	} else {
		note("What was before the first record.")
	}
	if len(k.Outages) > 0 {
		note("What Alertmanager reported and took back while no sitrep ran: %s, %s in all. What still fired afterwards was heard then.", plural(len(k.Outages), "outage", "outages"), words(down))
	} else {
		note("What Alertmanager would have reported while no sitrep ran. No such time is on record in this span; a gap of less than three minutes is not recorded.")
	}
	if len(k.ClockSets) > 0 {
		note("How much time passed between records before and after the clock of the machine was set: that happened %s. What was on time by one clock may be late by the other.", plural(len(k.ClockSets), "time", "times"))
	}
	if k.UnknownOutcomes > 0 {
		note("Whether %s reached the other side: the connection broke before the answer. They were repeated with the same id, or a later message carried the news.", plural(k.UnknownOutcomes, "message", "messages"))
	}
	note("Whether anybody read a message. Handed over means that the recipient's mail server, or the webhook, has taken it.")
	if k.UnknownEnds > 0 {
		note("When the trouble of %s ended: for a while nobody could say whether a breach still fired.", plural(k.UnknownEnds, "incident", "incidents"))
	}
	if k.RefusedPosts > 0 {
		note("What was in %s of alerts that sitrep refused. Of older ones the count is not kept.", plural(k.RefusedPosts, "post", "posts"))
	}
	note("Which alerts had no SLO in the past: they are listed while they fire, and leave nothing behind where they open no incident.")
	note("Messages about the watchdog and the canary. They belong to no incident, and are not among the messages that are counted.")
	note("Whether the records themselves are whole. For that there is \"sitrep audit verify\".")
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// words writes a duration for people, in its two biggest units.
func words(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= 10*time.Minute {
		d = d.Round(time.Minute)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 10*time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		if d%time.Hour == 0 {
			return fmt.Sprintf("%d h", d/time.Hour)
		}
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	d = d.Round(time.Hour)
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
