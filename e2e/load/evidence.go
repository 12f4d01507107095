package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// evidence measures how long it takes to report, to export and to verify what digests told.
func (p programs) evidence(ctx context.Context, o options, s *sheet) (all []figure, err error) {
	to, err := newSink()
	if err != nil {
		return nil, err
	}
	defer to.listener.Close()
	f, err := p.startMailing(mailing{}, to)
	if err != nil {
		return nil, err
	}
	defer f.kill()
	incidents := o.sized(10_000)
	if err := f.openMany(incidents); err != nil {
		return nil, err
	}
	if err := untilNothingIsDue(f[0], tellWithin); err != nil {
		return nil, err
	}
	looks, err := (&meter{p: p, fleet: f}).looksOf(1, []look{{"report", "/api/v1/audit/report"}, {"export", "/api/v1/audit/export"}})
	if err != nil {
		return nil, err
	}
	if err := f[0].Stop(); err != nil {
		return nil, err
	}
	verify := looked{look: look{name: "verify"}}
	if verify.spent, _, err = p.command(ctx, "audit", "verify", "--no-key", "--storage", filepath.Join(f[0].Dir, "data", "sitrep.db")); err != nil {
		return nil, err
	}
	for _, l := range append(looks, verify) {
		s.say("%s of %d incidents: %s, CPU %s, %.1f MiB", l.name, incidents, fine(l.wall), fine(l.cpu), float64(l.bytes)/(1<<20))
		all = append(all, atMost(fmt.Sprintf("%s of %s incidents that digests told", l.name, thousands(float64(incidents))), l.wall.Seconds(), 10, "s"))
	}
	return all, nil
}
