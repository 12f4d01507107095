package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"sitrep/e2e/rig"
)

// keptBreaches is how many breaches have ended that a store keeps, and keptSLOs of how many SLOs they
// are.
const keptBreaches, keptSLOs = 1_000_000, 50

// keptConfig is the configuration of those that have such a store later. Nobody waits for a digest, which
// would come in the middle of something else.
const keptConfig = intakeConfig + "incidents: {digest_above: 1000000}\n"

// growth measures that an alert costs no more where much is kept.
func (p programs) growth(_ context.Context, o options, s *sheet) (all []figure, err error) {
	n := o.sized(keptBreaches)
	path, err := p.kept(n, s)
	if err != nil {
		return nil, err
	}
	o.slos = keptSLOs
	stores := make([]fleet, 2)
	for i, path := range []string{"", path} {
		if stores[i], err = p.startOn(path, keptConfig, intakeFiles(o), "warn"); err != nil {
			return nil, err
		}
		defer stores[i].kill()
	}
	for _, shape := range []struct {
		alerts, posts int
		name          string
	}{{100, 100, "100 a post"}, {1, 1000, "one a post"}} {
		o.alerts, o.posts = shape.alerts, o.sized(shape.posts)
		const turns = 4
		var each [2][]time.Duration
		for range turns {
			for i, f := range stores {
				r, err := f.drive(o)
				if err != nil {
					return nil, err
				}
				each[i] = append(each[i], r.used/time.Duration(r.alerts))
			}
		}
		empty, full := quantile(each[0], 50), quantile(each[1], 50)
		s.say("%s: CPU of an alert %s in a new store, %s in one with %s breaches that ended", shape.name, empty, full, thousands(float64(n)))
		all = append(all, atMost(fmt.Sprintf("CPU of an alert, %s, in a store with %s breaches that ended ÷ in a new one", shape.name, thousands(float64(n))), ratio(full, empty), 1.2, ""))
	}
	return all, nil
}

// kept returns the path of a store in which so many breaches have ended, and all incidents are
// closed. It is made once, so others may have written to it since.
func (p programs) kept(n int, s *sheet) (string, error) {
	path := filepath.Join(p.dir, "kept.db")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	began := time.Now()
	f, err := p.startOn(path, intakeConfig+"incidents: {resolve_after: 1s, reopen_within: 1s, digest_above: 1000000}\n", intakeFiles(options{slos: keptSLOs}), "warn")
	if err != nil {
		return "", err
	}
	defer f.kill()
	first := identity.Add(uint64(n)) - uint64(n)
	for _, status := range []string{"firing", "resolved"} {
		var g errgroup.Group
		g.SetLimit(4)
		const each = 1000
		for i := 0; i < n; i += each {
			g.Go(func() error {
				return postAlerts(f[0], sloID(i/each%keptSLOs), first+uint64(i), min(each, n-i), status)
			})
		}
		if err := g.Wait(); err != nil {
			return "", fmt.Errorf("%w\n%s", err, f.log())
		}
	}
	if err := untilNone(f[0], "open", "resolved"); err != nil {
		return "", err
	}
	if err := untilNothingIsDue(f[0], tellWithin); err != nil {
		return "", err
	}
	s.say("%s breaches began and ended, and their incidents are closed, after %s", thousands(float64(n)), time.Since(began).Round(time.Second))
	return path, f[0].Stop()
}

// untilNone waits until no incident is in one of these states.
func untilNone(s *rig.Sitrep, states ...string) error {
	for _, state := range states {
		if err := until(s, tellWithin, "no incident is "+state, func() (bool, error) {
			var found struct {
				Incidents []struct{} `json:"incidents"`
			}
			err := s.Get("/api/v1/incidents?limit=1&state="+state, &found)
			return len(found.Incidents) == 0, err
		}); err != nil {
			return err
		}
	}
	return nil
}
