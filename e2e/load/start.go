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
	start := func(end func(*rig.Sitrep) error) (time.Duration, error) {
		f, ready, err := p.startTimed(path)
		if err != nil {
			return 0, err
		}
		defer f.kill()
		return ready, end(f[0])
	}
	clean := func() (time.Duration, error) { return start((*rig.Sitrep).Stop) }
	if _, err := clean(); err != nil { // what others left of the store is cleared up, and all of it was read once
		return nil, err
	}
	const turns = 7
	var opens, readies []time.Duration
	for range turns {
		began := time.Now()
		if out, err := exec.CommandContext(ctx, opener, path).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("open %s: %w\n%s", path, err, out)
		}
		opens = append(opens, time.Since(began))
		ready, err := clean()
		if err != nil {
			return nil, err
		}
		readies = append(readies, ready)
	}
	open, ready := quantile(opens, 50), quantile(readies, 50)
	s.say("from the start of the program until it is ready, with %s breaches that ended: %s; a program that opens the file and ends: %s", thousands(float64(n)), fine(ready), fine(open))
	if _, err := start(func(s *rig.Sitrep) error { s.Kill(); return nil }); err != nil {
		return nil, err
	}
	crashed, err := clean()
	if err != nil {
		return nil, err
	}
	s.say("after a crash, when the free pages of the file have to be found: %s", fine(crashed))
	return []figure{
		atMost(fmt.Sprintf("from the start until ready, with %s breaches that ended ÷ a program that opens the same file", thousands(float64(n))), ratio(ready, open), 2.5, ""),
	}, nil
}

// startTimed starts a sitrep on a store, and returns how long it took until it was ready.
func (p programs) startTimed(path string) (fleet, time.Duration, error) {
	s, err := p.prepare(path, intakeConfig, intakeFiles(options{slos: keptSLOs}), "warn")
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
