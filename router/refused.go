package router

import (
	"context"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

const (
	// tellTeamsEvery is how often it is looked for teams who do not know that the mail server
	// cannot be used, and tellTeamsAtOnce how many incidents are noted in one transaction.
	tellTeamsEvery  = 5 * time.Second
	tellTeamsAtOnce = 100
)

// tellTeams lets the teams of all incidents know, by their webhooks, whose mail has been due
// for a while to a server that cannot be used or refuses all alike. While it is held back one
// mail at a time finds that out, and says nothing of the others. Each replica finds it out for
// itself, and the agenda of an incident says whether its team knows: until mail about it goes
// out again it is told once.
func (d *Dispatcher) tellTeams(ctx context.Context, at time.Time) error {
	if since := time.Since(d.toldTeams); since < tellTeamsEvery && !d.toldTeams.IsZero() || !d.mailFails() {
		return nil
	}
	concerned, found, err := d.concerned(ctx, at)
	for len(concerned) > 0 && err == nil {
		piece := concerned[:min(len(concerned), tellTeamsAtOnce)]
		concerned = concerned[len(piece):]
		err = d.Repo.Change(ctx, at, func(ch *storage.Change) error {
			if err := ch.Lock(storage.Needs{Incidents: piece}); err != nil {
				return err
			}
			for _, number := range piece {
				s, err := ch.Situation(number)
				if err != nil {
					return err
				}
				if !d.mailWaits(s, found[number], at) {
					continue
				}
				s.Agenda.MailWaits = true
				nudge := incident.Owed{Kind: incident.KindReminder, Reason: incident.DueMailRefused, At: at}
				if err := ch.Note(s, incident.News{Nudges: []incident.Owed{nudge}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		d.toldTeams = time.Now()
	}
	return err
}

// mailFails reports whether a mail server cannot be used, or refuses all alike.
func (d *Dispatcher) mailFails() bool {
	for _, s := range d.Servers() {
		if s.Channel == incident.ChannelEmail {
			return true
		}
	}
	return false
}

// mailWaits reports whether mail about an incident has been due for a while, its team does not
// know, and none went out since the server was found not to be usable: another replica may
// have told the team, or found that it can be used again.
func (d *Dispatcher) mailWaits(s *incident.Situation, found, at time.Time) (waits bool) {
	long := at.Add(-refusesAfter)
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if d.server(sub.Recipient).channel != incident.ChannelEmail {
			continue
		}
		if sub.ToldAt.After(found) || sub.ToldAt.After(long) {
			return false
		}
		waits = waits || !sub.DueAt.IsZero() && !sub.DueAt.After(long)
	}
	return waits && !s.Agenda.MailWaits
}

// concerned returns the incidents whose mail has been due for a while to a server that cannot
// be used, and whose teams do not know, those that have waited longest first, and when that
// was found out of the server.
func (d *Dispatcher) concerned(ctx context.Context, at time.Time) (numbers []int64, found map[int64]time.Time, err error) {
	err = d.Repo.Store.Read(ctx, func(r storage.Snapshot) error {
		numbers, found = nil, map[int64]time.Time{}
		for cursor := ""; ; {
			page, next, err := r.DueReaders(ctx, at.Add(-refusesAfter), batch, cursor)
			if err != nil {
				return err
			}
			for _, due := range page {
				s := d.server(due.Recipient)
				if _, looked := found[due.Incident]; looked || s.channel != incident.ChannelEmail {
					continue
				}
				if last, is := s.unusable(due.Recipient); is {
					numbers, found[due.Incident] = append(numbers, due.Incident), last
				}
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		agendas, err := r.Agendas(ctx, numbers)
		numbers = slices.DeleteFunc(numbers, func(n int64) bool { return agendas[n].MailWaits })
		return err
	})
	return numbers, found, err
}
