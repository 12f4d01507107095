package router

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sitrep/incident"
	"sitrep/storage"
)

// drillsEvery is how often it is looked whether a team is to have a drill.
const drillsEvery = 10 * time.Minute

// drills declares the drills that the clock brings. One replica does it for all, of those that
// have the configuration in force.
func (s *Scheduler) drills(ctx context.Context, at time.Time) error {
	policy := s.Repo.Policy()
	if len(policy.Drills) == 0 || s.outdated || !again(at, s.drilledAt, drillsEvery) {
		return nil
	}
	s.drilledAt = at
	_, err := s.job(ctx, at, storage.Job{Name: "drills", Every: drillsEvery, For: policy.Hash}, func() (more bool, err error) {
		for i := range policy.Drills {
			err = errors.Join(err, s.drill(ctx, at, &policy.Drills[i]))
		}
		return false, err
	})
	return err
}

// drill declares a drill if it is due.
func (s *Scheduler) drill(ctx context.Context, at time.Time, d *incident.Drill) error {
	policy := s.Repo.Policy()
	declaration, known := d.Declaration(policy)
	if !known || !d.Due(policy, nil, at) {
		return nil
	}
	last, err := s.lastDrill(ctx, at, d)
	if err != nil || !d.Due(policy, last, at) {
		return err
	}
	id := ""
	err = s.Repo.Change(ctx, at, func(c *storage.Change) error {
		sit, err := c.New()
		if err != nil {
			return err
		}
		id = sit.Incident.ID()
		events, err := incident.Declare(c.Stamp(incident.ActorScheduler), c.Policy, declaration, sit.Incident.Number, 0)
		if err != nil {
			return err
		}
		return c.Record(sit, events...)
	})
	if err == nil {
		s.Log.Info("a drill began", slog.String("component", "scheduler"), slog.String("incident", id), slog.String("team", d.Team), slog.String("slo", d.SLO))
	}
	return err
}

// lastDrill returns the latest drill of that kind, of those that opened since the one before may
// be no more than every ago or that are open; nil if there is none.
func (s *Scheduler) lastDrill(ctx context.Context, at time.Time, d *incident.Drill) (last *incident.Incident, err error) {
	err = s.Repo.Store.Read(ctx, func(r storage.Snapshot) error {
		last = nil
		for _, state := range []incident.State{incident.StateOpen, ""} {
			q := storage.IncidentQuery{State: state, Team: d.Team, SLO: d.SLO, Limit: batch}
			for {
				page, next, err := r.Incidents(ctx, q)
				if err != nil {
					return err
				}
				for i := range page {
					if d.Fits(&page[i]) {
						last = &page[i]
						return nil
					}
				}
				q.Cursor = next
				if next == "" || state == "" && len(page) > 0 && at.Sub(page[len(page)-1].OpenedAt) > d.Every {
					break
				}
			}
		}
		return nil
	})
	return last, err
}
