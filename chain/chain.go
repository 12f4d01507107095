// Package chain follows a promise before anything fires: from a rule over the labels that
// its alerts can have and Alertmanager's routes to sitrep, the SLO that claims them and those
// who are told. [Check] is a pure function of parsed files; what it finds has its place on
// each side.
//
// Labels that nobody can know from the files are no mistake: each step says never, maybe or
// always ([Verdict]), and only what is never or always is an error.
package chain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
)

// A Place is where something stands.
type Place struct {
	File         string
	Line, Column int // from 1; both 0: the file as a whole
}

// String returns file:line:column.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

func (p Place) compare(q Place) int {
	return cmp.Or(strings.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// A Promise is what sitrep's configuration says, as far as the chain needs it.
type Promise struct {
	// IDLabels are the labels whose value is the id of an SLO, in the order in which they are tried.
	IDLabels []string
	SLOs     []SLO // in file order
	Ignore   []Condition
	Watchdog *Watchdog // nil: none is configured
	Canary   *Canary   // nil: none is configured
	// Unmapped is set if an alert that no SLO claims is an incident all the same.
	Unmapped bool
	// UnknownAfter is how long nothing may be heard of a breach, ResolveAfter when an incident resolves.
	UnknownAfter, ResolveAfter time.Duration
	// Asks is set if Alertmanagers are asked about what stays quiet.
	Asks bool
}

// A Condition is matchers that must all match, and where they stand.
type Condition struct {
	Place    Place
	Matchers labels.Matchers
}

// An SLO is one of the configuration.
type SLO struct {
	Place              Place
	ID, Team, Priority string
	Match              []Condition // all of them
	Ignore             []Condition // any of them
	// Audiences are who hears of it at its priority.
	Audiences []Audience
}

// An Audience is the groups that are to hear of an SLO.
type Audience struct {
	Name   string
	Groups []Group
}

// A Group is one of an audience.
type Group struct {
	Place      Place
	Name       string
	Recipients int
	// Hears is set if it hears of the SLO's priority.
	Hears bool
}

// A Watchdog is the alert that always fires.
type Watchdog struct {
	Place  Place
	Match  []Condition // all of them
	Within time.Duration
}

// A Canary is the alert that sitrep itself posts.
type Canary struct {
	Place  Place
	Labels Labels
	Within time.Duration
}

// A Severity says what a finding means.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // a promise is broken, or will be
	Warning Severity = "warning" // it can be broken
	Note    Severity = "note"    // it cannot be known from the files
)

// A Kind is what a finding is about.
type Kind string

// The kinds of findings.
const (
	KindUnreadable   Kind = "unreadable"            // what should be followed cannot be read
	KindUnclaimed    Kind = "alert_unclaimed"       // an alert that no SLO claims
	KindClaimedTwice Kind = "alert_claimed_twice"   // by two SLOs
	KindUnfed        Kind = "slo_unfed"             // no rule raises an alert for an SLO
	KindMismatch     Kind = "match_impossible"      // a matcher wants what the rule's alerts cannot have
	KindElsewhere    Kind = "route_elsewhere"       // no route to sitrep matches
	KindSwallowed    Kind = "route_swallows"        // a route takes the alert before the one to sitrep
	KindReceiver     Kind = "receiver_not_sitrep"   // no webhook to sitrep
	KindResolved     Kind = "send_resolved_off"     // sitrep is never told of an end
	KindRepeat       Kind = "repeat_interval_long"  // breaches turn unknown while they fire
	KindInterval     Kind = "group_interval_long"   // the end is heard late
	KindTruncated    Kind = "max_alerts_cuts"       // alerts are left out of a post
	KindRedirect     Kind = "redirects_followed"    // a redirected post loses its alerts
	KindInhibited    Kind = "alert_inhibited"       // another alert can mute it
	KindMuted        Kind = "route_muted"           // it is not sent at some times
	KindNoWatchdog   Kind = "watchdog_missing"      // no rule raises it
	KindWatchdog     Kind = "watchdog_unrouted"     // it does not reach sitrep in time
	KindCanary       Kind = "canary_unrouted"       // it does not come back to sitrep in time
	KindUntold       Kind = "group_without_readers" // nobody would be told

	// Of what runs alone:
	KindUnanswered  Kind = "not_answered"       // a Prometheus or an Alertmanager did not answer
	KindFailing     Kind = "rule_failing"       // its evaluation fails
	KindStale       Kind = "rule_stale"         // it is not evaluated any more
	KindNoSeries    Kind = "series_missing"     // nothing is there that it looks at
	KindTargets     Kind = "targets_down"       // what it looks at comes from targets that are all down
	KindUnsent      Kind = "alerts_not_sent"    // Prometheus sends none to Alertmanager
	KindRelabelled  Kind = "alerts_relabelled"  // Prometheus changes their labels on the way
	KindSilenced    Kind = "alert_silenced"     // a silence mutes it
	KindHooks       Kind = "webhooks_failing"   // Alertmanager cannot hand over webhooks
	KindMember      Kind = "member_not_asked"   // of a cluster of Alertmanagers
	KindGrafana     Kind = "grafana_unfollowed" // Grafana's own Alertmanager, with rules of its own
	KindUndelivered Kind = "recipients_failing" // messages to those who are to hear of it are not handed over
)

// A Stage is a part of a chain.
type Stage string

// The stages, in the order of the way.
const (
	StageRule    Stage = "rule"    // a rule raises alerts that the SLO claims
	StageSending Stage = "sending" // Prometheus sends them to Alertmanager
	StageRoute   Stage = "route"   // Alertmanager's routes bring them to sitrep
	StageReaders Stage = "readers" // somebody would be told
)

// Stages returns all of them, in the order of the way.
func Stages() []Stage { return []Stage{StageRule, StageSending, StageRoute, StageReaders} }

// Stage returns the part of the chain that a kind of finding is about.
func (k Kind) Stage() Stage {
	switch k {
	case KindUnsent, KindRelabelled:
		return StageSending
	case KindElsewhere, KindSwallowed, KindReceiver, KindResolved, KindRepeat, KindInterval, KindTruncated, KindRedirect,
		KindInhibited, KindMuted, KindWatchdog, KindCanary, KindSilenced, KindHooks, KindMember:
		return StageRoute
	case KindUntold, KindUndelivered:
		return StageReaders
	}
	return StageRule
}

// Kinds returns all kinds of findings.
func Kinds() []Kind {
	return []Kind{
		KindUnreadable, KindUnclaimed, KindClaimedTwice, KindUnfed, KindMismatch, KindElsewhere, KindSwallowed, KindReceiver, KindResolved,
		KindRepeat, KindInterval, KindTruncated, KindRedirect, KindInhibited, KindMuted, KindNoWatchdog, KindWatchdog, KindCanary, KindUntold,
		KindUnanswered, KindFailing, KindStale, KindNoSeries, KindTargets, KindUnsent, KindRelabelled, KindSilenced, KindHooks, KindMember, KindGrafana, KindUndelivered,
	}
}

// A Finding is one thing that breaks a chain, or can.
type Finding struct {
	Kind     Kind
	Severity Severity
	// Place is where it can be mended, or the nearest to it.
	Place Place
	// Text says what is wrong, and Fix what would be right.
	Text, Fix string
	// Sides are the other ends of the chain.
	Sides []Side
	// SLO is the one whose promise it is about; empty if it is about several or none.
	SLO string
	// SLOs are those that it is about, where one place decides for several.
	SLOs []string
}

// About reports whether the finding is about an SLO.
func (f *Finding) About(id string) bool { return f.SLO == id || slices.Contains(f.SLOs, id) }

// A Side is another place that a finding speaks of.
type Side struct {
	Place Place
	Text  string
}

// String returns the finding on one line, without its sides.
func (f *Finding) String() string {
	text := fmt.Sprintf("%s: %s: %s", f.Place, f.Severity, f.Text)
	if f.Fix != "" {
		text += "; " + f.Fix
	}
	return text
}
