package incident

import (
	"slices"
	"time"
)

const (
	// CanaryPulse is the name of the pulse that keeps how the canary fares. A name of the
	// watchdog's is empty, or has an equals sign.
	CanaryPulse = "canary"
	// CanaryLabel is the label by which the canary's alert is known when it comes back; its
	// value is the id of the run. An alert that has it never belongs to an incident.
	CanaryLabel = "sitrep_canary"
	// CanaryAlert is the canary's alertname.
	CanaryAlert = "SitrepCanary"
)

const (
	// canaryAgain is how often the alert of a run is posted, until it is back: like Prometheus's,
	// it is to be there again after Alertmanager restarts.
	canaryAgain = time.Minute
	// canaryRetry is how soon after a run that failed the next begins at the latest.
	canaryRetry = time.Hour
)

// A Canary is an alert of sitrep's own that is posted now and then, to come back by
// Alertmanager's route and to end as a mail.
type Canary struct {
	Every  time.Duration // zero: no canary configured
	Within time.Duration // from the post to the mail's hand-over
	Groups []string      // who get the mail, and are told if it fails
	// Prometheus is whether a run finds out as well how each Prometheus fares, where the alert is
	// no proof of it.
	Prometheus bool
}

// A CanaryStage is how far a run came that failed.
type CanaryStage string

// The stages, in the order in which a run comes to them.
const (
	CanaryPrometheus CanaryStage = "prometheus" // one evaluates no rules, or has nowhere to send alerts

	CanaryPost  CanaryStage = "post"  // no Alertmanager took the alert
	CanaryRoute CanaryStage = "route" // it did not come back
	CanaryMail  CanaryStage = "mail"  // the mail was not handed over
)

// A CanaryRun is the latest run of the canary, and what is known of those before.
type CanaryRun struct {
	ID       string    `json:"id"`
	PostedAt time.Time `json:"posted_at"` // first
	// PostAt is when it is posted again, unless it is back by then, and Prometheus asked again,
	// unless it was found sound.
	PostAt    time.Time   `json:"post_at,omitzero"`
	HeardAt   time.Time   `json:"heard_at,omitzero"`   // when the alert came back; of one that failed, too late
	ArrivedAt time.Time   `json:"arrived_at,omitzero"` // when the last of its mails was handed over
	FailedAt  time.Time   `json:"failed_at,omitzero"`
	Stage     CanaryStage `json:"stage,omitempty"` // of one that failed
	// Error is what was said last when it could not be posted, or its mail not be handed over; of
	// one that failed for Prometheus what was wrong there, before that.
	Error string `json:"error,omitempty"`
	// AsksPrometheus is set if the run arrives only once each Prometheus was found sound, at
	// PrometheusAt; PrometheusError is what was wrong the last time one was asked before.
	AsksPrometheus  bool      `json:"asks_prometheus,omitempty"`
	PrometheusAt    time.Time `json:"prometheus_at,omitzero"`
	PrometheusError string    `json:"prometheus_error,omitempty"`
	// Recipients are those whose mail is to be handed over, and Waiting those of them to whom
	// it was not.
	Recipients []string `json:"recipients,omitempty"`
	Waiting    []string `json:"waiting,omitempty"`
	// Took is from the post to the hand-over, of the last run that arrived.
	Took time.Duration `json:"took,omitempty"`
	// InARow is how many failed one after the other, up to this one.
	InARow int `json:"in_a_row,omitempty"`
	// Arrived and Failed count the runs by how they ended.
	Arrived int64 `json:"arrived"`
	Failed  int64 `json:"failed"`
}

// Over reports whether the run has ended, well or not.
func (r *CanaryRun) Over() bool { return !r.ArrivedAt.IsZero() || !r.FailedAt.IsZero() }

// unproven reports whether it is not known yet that each Prometheus is sound.
func (r *CanaryRun) unproven() bool { return r.AsksPrometheus && r.PrometheusAt.IsZero() }

// Canary returns the pulse of the canary; false if there is no canary, or it has not flown yet.
func (ps Pulses) Canary(p *Policy) (Pulse, bool) {
	i := slices.IndexFunc(ps, func(q Pulse) bool { return q.Name == CanaryPulse && q.Run != nil })
	if i < 0 || p.Canary.Every == 0 {
		return Pulse{}, false
	}
	return ps[i], true
}

// CanaryReaders returns who get the canary's mail, or hear that it failed.
func CanaryReaders(p *Policy) []Reader { return readersIn(p, p.Canary.Groups) }

// mailed returns those whose mail a run waits for: whoever has a mailbox, or all if nobody has,
// but for those who are quiet at that time. Until is when the first of these is not, if all are.
func (c *Canary) mailed(p *Policy, at time.Time) (recipients []string, until time.Time) {
	readers := CanaryReaders(p)
	byMail := func(r Reader) bool { return r.Recipient.Channel == ChannelEmail }
	if slices.ContainsFunc(readers, byMail) {
		readers = slices.DeleteFunc(readers, func(r Reader) bool { return !byMail(r) })
	}
	for i := range readers {
		switch free := readers[i].quietUntil(at); {
		case !free.After(at):
			recipients = append(recipients, readers[i].Recipient.ID)
		case until.IsZero() || free.Before(until):
			until = free
		}
	}
	return recipients, until
}

// NextCanary returns when the next run begins, if nobody is quiet then; zero if there is no
// canary. The first begins at since.
func (p Pulse) NextCanary(policy *Policy, since time.Time) time.Time {
	c := &policy.Canary
	switch run := p.Run; {
	case c.Every == 0:
		return time.Time{}
	case run == nil:
		return since
	case !run.FailedAt.IsZero():
		return latest(run.FailedAt, run.PostedAt.Add(min(c.Every, canaryRetry)))
	default:
		return run.PostedAt.Add(c.Every)
	}
}

// A CanaryStep is what time brings to the canary.
type CanaryStep struct {
	Pulse Pulse
	// Changed is set if the pulse is another.
	Changed bool
	// Began is set if a run began, and Failed if it failed.
	Began, Failed bool
	// Post is set if its alert is to be posted, and Ask if each Prometheus is to be asked.
	Post, Ask bool
	// Why is what its readers are owed; empty: nothing new.
	Why Reason
}

// PassCanary returns what is to be done for the canary at that time. A run that begins has that
// id. Since is when this process began: what could not be heard before is given the time anew.
func (p Pulse) PassCanary(policy *Policy, id string, since, at time.Time) CanaryStep {
	c := &policy.Canary
	step := CanaryStep{Pulse: p, Why: p.Untold, Changed: p.Untold != ""}
	if c.Every == 0 || p.Untold != "" {
		return step
	}
	if p.Run == nil || p.Run.Over() {
		if p.NextCanary(policy, since).After(at) {
			return step
		}
		recipients, _ := c.mailed(policy, at)
		if len(recipients) == 0 {
			return step
		}
		run := CanaryRun{ID: id, PostedAt: at, PostAt: at.Add(canaryAgain), Recipients: recipients, Waiting: recipients, AsksPrometheus: c.Prometheus}
		if p.Run != nil {
			run.Took, run.InARow, run.Arrived, run.Failed = p.Run.Took, p.Run.InARow, p.Run.Arrived, p.Run.Failed
		}
		step.Pulse.Run, step.Changed, step.Began, step.Post, step.Ask = &run, true, true, true, c.Prometheus
		return step
	}
	run := *p.Run
	switch {
	case at.Sub(latest(run.PostedAt, since)) > c.Within:
		run.FailedAt, run.Failed, run.InARow = at, run.Failed+1, run.InARow+1
		switch {
		case run.unproven():
			run.Stage = CanaryPrometheus
			if said := run.PrometheusError; run.Error == "" {
				run.Error = said
			} else if said != "" {
				run.Error = said + "\n" + run.Error
			}
		case !run.HeardAt.IsZero():
			run.Stage = CanaryMail
		case run.Error != "":
			run.Stage = CanaryPost
		default:
			run.Stage = CanaryRoute
		}
		if step.Pulse.AwaySince.IsZero() {
			step.Pulse.AwaySince = run.PostedAt
			step.Pulse.Sequence++
		}
		step.Failed, step.Why = true, DueCanaryFailed
	case (run.HeardAt.IsZero() || run.unproven()) && !at.Before(run.PostAt):
		run.PostAt, step.Post, step.Ask = at.Add(canaryAgain), run.HeardAt.IsZero(), run.unproven()
	default:
		return step
	}
	step.Pulse.Run, step.Changed = &run, true
	return step
}

// PostedCanary returns the pulse once the alert of a run was posted, or could not be, and
// whether that is news.
func (p Pulse) PostedCanary(id, failure string) (Pulse, bool) {
	if p.Run == nil || p.Run.ID != id || p.Run.Over() || !p.Run.HeardAt.IsZero() || p.Run.Error == failure {
		return p, false
	}
	run := *p.Run
	run.Error = failure
	p.Run = &run
	return p, true
}

// AwaitsCanary reports whether it is news that the alert of a run came back.
func (p Pulse) AwaitsCanary(id string) bool {
	return p.Run != nil && p.Run.ID == id && p.Run.HeardAt.IsZero()
}

// ProvedCanary returns the pulse once each Prometheus was asked for a run, and what the readers are
// owed by that. An empty failure is that all are sound.
func (p Pulse) ProvedCanary(id, failure string, at time.Time) (_ Pulse, why Reason, changed bool) {
	if p.Run == nil || p.Run.ID != id || p.Run.Over() || !p.Run.unproven() || failure != "" && p.Run.PrometheusError == failure {
		return p, "", false
	}
	run := *p.Run
	p.Run = &run
	if run.PrometheusError = failure; failure != "" {
		return p, "", true
	}
	if run.PrometheusAt = at; !run.HeardAt.IsZero() {
		why = DueCanary
	}
	return p, why, true
}

// HearCanary returns the pulse once the alert of a run came back, and what the readers are
// owed by that: nothing yet while Prometheus is not found sound. One that is too late is noted
// alone.
func (p Pulse) HearCanary(id string, at time.Time) (Pulse, Reason) {
	if !p.AwaitsCanary(id) {
		return p, ""
	}
	run := *p.Run
	run.HeardAt = at
	p.Run = &run
	if run.Over() {
		return p, ""
	}
	run.Error = ""
	if run.unproven() {
		return p, ""
	}
	return p, DueCanary
}

// MailedCanary returns the pulse once it is known what became of a mail of a run, or another
// try of it, and what the others are owed by that.
func (p Pulse) MailedCanary(d *Delivery, c *Cover, at time.Time) (_ Pulse, why Reason, changed bool) {
	if p.Run == nil || c.Canary == nil || p.Run.ID != c.Canary.Run || p.Run.Over() || len(c.Owed) == 0 || c.Owed[0].Reason != DueCanary {
		return p, "", false
	}
	run := *p.Run
	p.Run = &run
	if d.State != DeliveryDelivered {
		run.Error = d.Error
		return p, "", d.Error != ""
	}
	run.Waiting = slices.DeleteFunc(slices.Clone(run.Waiting), func(id string) bool { return id == d.Recipient })
	if len(run.Waiting) > 0 {
		return p, "", true
	}
	run.ArrivedAt, run.Took, run.Arrived, run.InARow, run.Error = at, at.Sub(run.PostedAt), run.Arrived+1, 0, ""
	p.HeardAt = at
	if !p.AwaySince.IsZero() {
		p.AwaySince, p.BackAt = time.Time{}, at
		p.Sequence++
		why = DueCanaryBack
	}
	return p, why, true
}

// CanaryNews are what a message about the canary tells.
type CanaryNews struct {
	Run       string      `json:"run"`
	PostedAt  time.Time   `json:"posted_at"`
	HeardAt   time.Time   `json:"heard_at,omitzero"`
	ArrivedAt time.Time   `json:"arrived_at,omitzero"`
	FailedAt  time.Time   `json:"failed_at,omitzero"`
	Stage     CanaryStage `json:"stage,omitempty"`
	// PrometheusAt is when each Prometheus was found sound; zero if that is not known, or none was
	// asked.
	PrometheusAt time.Time `json:"prometheus_at,omitzero"`
	// FailingSince is when the first of the runs was posted that failed one after the other, up
	// to this one; zero if the one before arrived.
	FailingSince time.Time `json:"failing_since,omitzero"`
	InARow       int       `json:"in_a_row,omitempty"` // how many those are
	// LastArrivedAt is when a run arrived before this; zero if none did.
	LastArrivedAt time.Time `json:"last_arrived_at,omitzero"`
	// Within is how long it may take, and Error what was said when it failed, as it is not
	// recorded.
	Within time.Duration `json:"-"`
	Error  string        `json:"-"`
}

// canaryNews returns what there is to tell of the canary.
func (p Pulse) canaryNews(policy *Policy) *CanaryNews {
	if p.Run == nil {
		return nil
	}
	r := p.Run
	n := &CanaryNews{
		Run: r.ID, PostedAt: r.PostedAt, HeardAt: r.HeardAt, ArrivedAt: r.ArrivedAt, FailedAt: r.FailedAt, Stage: r.Stage, PrometheusAt: r.PrometheusAt,
		FailingSince: p.AwaySince, InARow: r.InARow, Within: policy.Canary.Within, Error: r.Error,
	}
	if !p.HeardAt.Equal(r.ArrivedAt) {
		n.LastArrivedAt = p.HeardAt
	}
	return n
}
