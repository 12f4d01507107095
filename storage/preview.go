package storage

import (
	"context"
	"time"

	"sitrep/incident"
)

// A preview lets a function that changes incidents run on a snapshot: what it
// writes goes nowhere.
type preview struct {
	Snapshot
	RetentionWriter // none: nobody prunes or forgets in it
}

var _ Tx = preview{}

func (preview) PutIncidents(context.Context, []*incident.Incident) error { return nil }

func (preview) AppendEvents(context.Context, []incident.Event) error { return nil }

func (preview) PutBreaches(context.Context, []*incident.Breach) error { return nil }

func (preview) PutAgendas(context.Context, []incident.Agenda) error { return nil }

func (preview) PutSubscriptions(context.Context, []incident.Subscription, []incident.Subscription) error {
	return nil
}

func (preview) PutDelivery(context.Context, *incident.Delivery, []byte) error { return nil }

func (preview) ExtendLease(context.Context, *Lease, time.Time, time.Duration) error { return nil }

func (preview) ReleaseLease(context.Context, *Lease, time.Time, time.Time, string, incident.Urgency) error {
	return nil
}

func (preview) Settle(context.Context, *Lease, time.Time, *Settling) error { return nil }

func (preview) PutUnmapped(context.Context, []*incident.UnmappedAlert, []string) error { return nil }

func (preview) PutPulses(context.Context, []incident.Pulse, []string) error { return nil }

func (preview) PutNotices(context.Context, []incident.Notice, []incident.Notice) error { return nil }

func (preview) PutConfig(context.Context, Loading, ...Config) error { return nil }

func (preview) PutJournal(context.Context, Journal, []Entry) error { return nil }

func (preview) PutAlive(context.Context, Replica) error { return nil }

func (preview) CountLogins(context.Context, map[string]int, []string, time.Time) error {
	return nil
}

func (preview) PutAnswer(context.Context, Answer) error { return nil }

func (preview) PutCheckpoint(context.Context, int64, []byte) error { return nil }

func (preview) Lock(context.Context, Needs) error { return nil }

func (preview) TakeJob(context.Context, Job, time.Time) (bool, error) { return false, nil }

func (preview) EndJob(context.Context, Job, time.Time) error { return nil }

func (preview) EndWaits(context.Context, time.Time) (int, error) { return 0, nil }

func (preview) TakeLeases(context.Context, time.Time, string, time.Duration, []string) ([]Lease, error) {
	return nil, nil
}

// NextNumber returns the number that a new incident would get now.
func (p preview) NextNumber(ctx context.Context) (int64, error) {
	page, _, err := p.Incidents(ctx, IncidentQuery{Limit: 1})
	if err != nil || len(page) == 0 {
		return 1, err
	}
	return page[0].Number + 1, nil
}
