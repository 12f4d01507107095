package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"sitrep/e2e/rig"
)

// starts measures how long it takes from the start of sitrep until it is ready, where much is kept.
func (p programs) starts(ctx context.Context, o options, s *sheet) ([]figure, error) {
	n := o.sized(keptBreaches)
	path, err := p.kept(n, s)
	if err != nil {
		return nil, err
	}
	opener, err := rig.Build(ctx, p.dir, "./e2e/load/opener")
	if err != nil {
		return nil, err
	}
	open := func(args ...string) (time.Duration, error) {
		began := time.Now()
		out, err := exec.CommandContext(ctx, opener, append(args, path)...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("open %s: %w\n%s", path, err, out)
		}
		return time.Since(began), err
	}
	start := func(end func(*rig.Sitrep) error) (time.Duration, error) {
		f, ready, err := p.startTimed(path)
		if err != nil {
			return 0, err
		}
		defer f.kill()
		return ready, end(f[0])
	}
	stop, crash := (*rig.Sitrep).Stop, func(s *rig.Sitrep) error {
		err := fire(s, sloID(0), 1) // with the first commit the list of free pages is gone
		s.Kill()
		return err
	}
	if _, err := start(stop); err != nil { // what others left of the store is cleared up, and all of it was read once
		return nil, err
	}
	of := func(turns int, end func(*rig.Sitrep) error, args ...string) (opened, ready time.Duration, err error) {
		var opens, readies []time.Duration
		for range turns {
			one, err := open(args...)
			if err != nil {
				return 0, 0, err
			}
			other, err := start(end)
			if err != nil {
				return 0, 0, err
			}
			opens, readies = append(opens, one), append(readies, other)
		}
		return quantile(opens, 50), quantile(readies, 50), nil
	}
	many := thousands(float64(n)) + " breaches that ended"
	opened, ready, err := of(7, stop)
	if err != nil {
		return nil, err
	}
	s.say("from the start of the program until it is ready, with %s: %s; a program that opens the file to read it, and ends: %s", many, fine(ready), fine(opened))
	if _, err := start(crash); err != nil {
		return nil, err
	}
	openedCrashed, readyCrashed, err := of(3, crash, "-write")
	if err != nil {
		return nil, err
	}
	s.say("after a crash, when the free pages have to be found: %s; a program that opens the file to write to it, and ends: %s", fine(readyCrashed), fine(openedCrashed))
	return []figure{
		atMost(fmt.Sprintf("from the start until ready, with %s ÷ a program that opens the same file", many), ratio(ready, opened), 2.5, ""),
		atMost(fmt.Sprintf("from the start until ready after a crash, with %s ÷ a program that opens the same file", many), ratio(readyCrashed, openedCrashed), 2.5, ""),
	}, nil
}

// startTimed starts a sitrep on a store, and returns how long it took until it was ready.
func (p programs) startTimed(path string) (fleet, time.Duration, error) {
	s, err := p.prepare(path, keptConfig, intakeFiles(options{slos: keptSLOs}), "warn")
	if err != nil {
		return nil, 0, err
	}
	s.Look = time.Millisecond
	began := time.Now()
	if err := s.Start(); err != nil {
		return nil, 0, err
	}
	return fleet{s}, time.Since(began), nil
}
