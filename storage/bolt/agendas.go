package bolt

import (
	"context"
	"time"

	"sitrep/incident"
)

func (r *reader) agenda(number int64) (incident.Agenda, error) {
	if a, ok := r.agendas[number]; ok {
		return a, nil
	}
	a := incident.Agenda{Incident: number}
	_, err := r.getJSON(bAgendas, key(nil).int(number), &a)
	if r.agendas != nil && err == nil {
		r.agendas[number] = a
	}
	return a, err
}

func (r *reader) Agendas(_ context.Context, numbers []int64) (map[int64]incident.Agenda, error) {
	all := make(map[int64]incident.Agenda, len(numbers))
	for _, number := range numbers {
		a, err := r.agenda(number)
		if err != nil {
			return nil, err
		}
		all[number] = a
	}
	return all, nil
}

func (r *reader) DueAgendas(_ context.Context, now time.Time, limit int) ([]int64, error) {
	var due []int64
	err := r.ascend(bAgendasDue, nil, nil, func(k, _ []byte) (bool, error) {
		if len(due) == limit || timeAt(k, 0).After(now) {
			return false, nil
		}
		due = append(due, intAt(k, 8))
		return true, nil
	})
	return due, err
}

func (t *tx) PutAgendas(_ context.Context, all []incident.Agenda) error {
	for i := range all {
		a := &all[i]
		old, err := t.agenda(a.Incident)
		if err != nil {
			return err
		}
		if err := t.putJSON(bAgendas, key(nil).int(a.Incident), a); err != nil {
			return err
		}
		t.agendas[a.Incident] = *a
		due := func(at time.Time) key { return key(nil).time(at).int(a.Incident) }
		if err := t.move(bAgendasDue, old.NextAt, a.NextAt, due, nil); err != nil {
			return err
		}
	}
	return nil
}
