// Package intake takes in what is heard of alerts, whoever says it: a post of
// Alertmanager, an Alertmanager that was asked, the watchdog, or a configuration that
// changed. It loads what is known, lets the rules of package incident decide about each
// alert, and stores what came of it, in one transaction.
package intake

import (
	"context"
	"log/slog"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// An Outcome is what became of one alert.
type Outcome string

// The outcomes.
const (
	OutcomeOpened   Outcome = "opened"   // a breach began and opened an incident
	OutcomeJoined   Outcome = "joined"   // a breach began and belongs to an open incident
	OutcomeReopened Outcome = "reopened" // a breach began and opened its incident again
	OutcomeRepeated Outcome = "repeated" // known already, nothing new
	OutcomeResolved Outcome = "resolved" // its breach ended
	OutcomeStale    Outcome = "stale"    // an old copy that says nothing of now
	OutcomeIgnored  Outcome = "ignored"  // configured to be none of an SLO's
	OutcomeUnmapped Outcome = "unmapped" // no SLO claims it
	OutcomeInvalid  Outcome = "invalid"  // not to be understood; never reaches the intake
)

// Outcomes returns all outcomes, in the order of the constants.
func Outcomes() []Outcome {
	return []Outcome{OutcomeOpened, OutcomeJoined, OutcomeReopened, OutcomeRepeated, OutcomeResolved, OutcomeStale, OutcomeIgnored, OutcomeUnmapped, OutcomeInvalid}
}

// A Post is what one request brings in. Its alerts are valid, in the order of the
// payload; two of them may be the same alert.
type Post struct {
	Alerts []incident.Alert
	// At is when the request arrived, in UTC and whole microseconds.
	At time.Time
	// Source is who posted: the name of a token, or an address.
	Source string
}

// A Result is what became of one alert.
type Result struct {
	// SLO is the id of the SLO that claims the alert; empty if none does.
	SLO string
	// Incident is the number of its incident, 0 if it has none.
	Incident int64
	Result   Outcome
	// Ambiguous are the ids of further SLOs that claim the alert.
	Ambiguous []string
}

// An Intake turns what is heard of alerts into breaches, and breaches into incidents.
type Intake struct {
	Repo    *storage.Repository
	Catalog func() Catalog // in force
	Log     *slog.Logger
}

// Take commits what the post changes, all of it or nothing, and returns once that is
// durable, with one result for each alert in the same order. It commits nothing once
// ctx is done. After an error the post is to come again: what an earlier try left is
// found. A post without news is no transaction.
func (i *Intake) Take(ctx context.Context, p Post) ([]Result, error) {
	at := p.At.UTC().Truncate(time.Microsecond)
	results := make([]Result, len(p.Alerts))
	var news []int
	var breaches map[string]*incident.Breach
	err := i.Repo.Store.Read(ctx, func(r storage.Snapshot) error {
		t, err := newTriage(ctx, r, i.Catalog(), i.Repo.Policy(), at, p.Alerts)
		if err != nil {
			return err
		}
		news, breaches = news[:0], t.breaches
		for k := range p.Alerts {
			result, known, err := t.sort(&p.Alerts[k])
			if err != nil {
				return err
			}
			if known {
				results[k] = result
			} else {
				news = append(news, k)
			}
		}
		return nil
	})
	if err != nil {
		return results, err
	}
	if len(news) == 0 {
		// That all is there already is acknowledged once it lasts, as what is stored is.
		return results, i.Repo.Store.Present(ctx)
	}
	err = i.change(ctx, at, func(t *batch) error {
		isFresh := func(a *incident.Alert) bool { return breaches[a.Fingerprint] == nil }
		if err := t.prepare(p.Alerts, news, isFresh); err != nil {
			return err
		}
		for _, k := range news {
			result, err := t.take(&p.Alerts[k])
			if err != nil {
				return err
			}
			results[k] = result
		}
		return t.watchdogGone()
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// change runs fn in a transaction, and logs afterwards what it left to be logged.
func (i *Intake) change(ctx context.Context, at time.Time, fn func(*batch) error) error {
	var logs []func()
	err := i.Repo.Change(storage.Together(ctx), at.UTC().Truncate(time.Microsecond), func(c *storage.Change) error {
		logs = logs[:0]
		return fn(&batch{Change: c, catalog: i.Catalog(), log: i.Log, logs: &logs})
	})
	if err != nil {
		return err
	}
	for _, log := range logs {
		log()
	}
	return nil
}

// sloOf returns the id of the SLO that an alert of the incident belongs to: the
// incident's, unless others were merged into it.
func sloOf(in *incident.Incident, c Catalog, labels map[string]string) string {
	if len(in.MergedFrom) > 0 {
		if claim := c.Lookup(labels); claim.SLO != nil {
			return claim.SLO.ID
		}
	}
	return in.SLO
}
