package storage

import (
	"time"

	"sitrep/incident"
)

// A preview lets a function that changes incidents run on a snapshot: what it
// writes goes nowhere.
type preview struct{ Reader }

var _ Tx = preview{}

func (preview) PutIncidents([]*incident.Incident) error            { return nil }
func (preview) AppendEvents([]incident.Event) error                { return nil }
func (preview) PutBreaches([]*incident.Breach) error               { return nil }
func (preview) PutAgendas([]incident.Agenda) error                 { return nil }
func (preview) PutSubscriptions([]incident.Subscription) error     { return nil }
func (preview) PutDelivery(*incident.Delivery, []byte) error       { return nil }
func (preview) Hold(*Claim, time.Time, time.Time) error            { return nil }
func (preview) Release(*Claim, time.Time, time.Time, string) error { return nil }
func (preview) PutUnmapped([]*incident.UnmappedAlert) error        { return nil }
func (preview) DeleteUnmapped([]string) error                      { return nil }
func (preview) PutPulse(incident.Pulse) error                      { return nil }
func (preview) DeletePulse(string) error                           { return nil }
func (preview) PutNotices([]incident.Notice) error                 { return nil }
func (preview) PutConfig(Loading, ...Config) error                 { return nil }
func (preview) PutRefusal(Refusal) error                           { return nil }
func (preview) PutAmbiguities([]Ambiguity) error                   { return nil }
func (preview) PutAlive(time.Time) error                           { return nil }
func (preview) PutOutage(Outage) error                             { return nil }
func (preview) PutAnswer(Answer) error                             { return nil }
func (preview) PutCheckpoint(int64, []byte) error                  { return nil }
func (preview) Prune(time.Time, time.Time, int) (int, error)       { return 0, nil }
func (preview) Forget(time.Time, int) (bool, error)                { return false, nil }
func (preview) EndWaits(time.Time) (int, error)                    { return 0, nil }
func (preview) ClaimDue(time.Time, string, time.Duration, []string) ([]Claim, error) {
	return nil, nil
}

// NextNumber returns the number that a new incident would get now.
func (p preview) NextNumber() (int64, error) {
	page, _, err := p.Incidents(IncidentQuery{Limit: 1})
	if err != nil || len(page) == 0 {
		return 1, err
	}
	return page[0].Number + 1, nil
}
