package router

import (
	"context"
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
// mail at a time finds that out, and says nothing of the others.
func (d *Dispatcher) tellTeams(ctx context.Context, at time.Time) error {
	if since := time.Since(d.toldTeams); since < tellTeamsEvery && !d.toldTeams.IsZero() || !d.mailFails() {
		return nil
	}
	concerned, servers, err := d.concerned(ctx, at)
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
				nudge := incident.Owed{Kind: incident.KindReminder, Reason: incident.DueMailRefused, At: at}
				if err := ch.Note(s, incident.News{Nudges: []incident.Owed{nudge}}); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			for _, number := range piece {
				servers[number].tell(number)
			}
		}
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

// concerned returns the incidents whose mail has been due for a while to a server that cannot
// be used, and whose teams do not know, those that have waited longest first, and which server.
func (d *Dispatcher) concerned(ctx context.Context, at time.Time) (numbers []int64, servers map[int64]*server, err error) {
	err = d.Repo.Store.Read(ctx, func(r storage.Snapshot) error {
		numbers, servers = nil, map[int64]*server{}
		for cursor := ""; ; {
			page, next, err := r.DueReaders(ctx, at.Add(-refusesAfter), batch, cursor)
			if err != nil {
				return err
			}
			for _, due := range page {
				s := d.server(due.Recipient)
				if servers[due.Incident] != nil || s.channel != incident.ChannelEmail || !s.unusable(due.Recipient) || s.knows(due.Incident) {
					continue
				}
				numbers, servers[due.Incident] = append(numbers, due.Incident), s
			}
			if cursor = next; cursor == "" {
				return nil
			}
		}
	})
	return numbers, servers, err
}
