package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"sitrep/e2e/rig"
)

const (
	// stormTeams is how many teams the incidents of a storm are of, and freshEach how many fresh ones a
	// reader of each is told of by themselves in a minute.
	stormTeams, freshEach = 10, 10
	// probes is how many incidents with a reader of its own there can be, and probesAlone how many
	// there are while there is nothing else to do.
	probes, probesAlone = 1000, 100
	// pause is between two of them.
	pause = 100 * time.Millisecond
)

// storms measures a storm on a file, and what people who look wait for then.
func (p programs) storms(_ context.Context, o options, s *sheet) ([]figure, error) {
	to, err := newSink()
	if err != nil {
		return nil, err
	}
	defer to.listener.Close()
	n := o.sized(100_000)
	f, all, err := p.storm(n, to, s)
	defer f.kill()
	if err != nil {
		return nil, err
	}
	looks, err := p.looksAtMany(f, n, o.sized(50_000), s)
	if err != nil {
		return nil, err
	}
	f.kill()
	fresh, err := p.inStorm(n/2, to, s)
	return slices.Concat(all, fresh, looks), err
}

// storm lets so many incidents with the same two readers open at once, and probes with readers of their
// own meanwhile. The fleet it is that has them then, which is to be killed.
func (p programs) storm(incidents int, to *sink, s *sheet) (f fleet, all []figure, err error) {
	if f, err = p.startMailing(mailing{}, to); err != nil {
		return nil, nil, err
	}
	own, alone, err := f.aloneFirst(to)
	if err != nil {
		return f, nil, err
	}
	var taken, told time.Duration
	began := time.Now()
	err = own.probeDuring(func() error {
		if err := f.openMany(incidents); err != nil {
			return err
		}
		taken = time.Since(began)
		err := untilNothingIsDue(f[0], 10*time.Minute)
		told = time.Since(began)
		return err
	})
	if err != nil {
		return f, nil, fmt.Errorf("%w\n%s", err, f.log())
	}
	s.say("%d incidents, each with the same two readers: taken in %s, all told after %s", incidents, taken.Round(100*time.Millisecond), told.Round(100*time.Millisecond))
	return f, append([]figure{atMost(fmt.Sprintf("%s incidents × 2 readers: all told after", thousands(float64(incidents))), told.Seconds(), 45, "s")},
		freshFigures("a reader of its own", alone, own.times, 2, 10, s)...), nil
}

// inStorm lets so many incidents open at once, of teams that have two readers each, and probes with
// these meanwhile, as often as digest_above lets that go by itself: it is higher than usual, and not so
// high that what of the storm goes by itself would take long.
func (p programs) inStorm(incidents int, to *sink, s *sheet) ([]figure, error) {
	f, err := p.startMailing(mailing{apart: true, digestAbove: freshEach}, to)
	if err != nil {
		return nil, err
	}
	defer f.kill()
	_, alone, err := f.aloneFirst(to)
	if err != nil {
		return nil, err
	}
	fresh := &prober{told: to.watch("storm", "P1"), most: stormTeams * freshEach, fire: func(n int) error {
		return fire(f[0], fmt.Sprintf("fresh-%02d", n%stormTeams), 1)
	}}
	if err := fresh.probeDuring(func() error {
		if err := f.openMany(incidents); err != nil {
			return err
		}
		return untilNothingIsDue(f[0], 10*time.Minute)
	}); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, f.log())
	}
	return freshFigures("a reader of the storm", alone, fresh.times, 3, 15, s), nil
}

// aloneFirst probes while there is nothing else to do. The prober can go on.
func (f fleet) aloneFirst(to *sink) (own *prober, alone []time.Duration, err error) {
	own = &prober{told: to.watch("own", "P1"), most: probes, fire: func(n int) error { return fire(f[0], fmt.Sprintf("own-%04d", n), 1) }}
	for range probesAlone {
		if err := own.probe(); err != nil {
			return nil, nil, fmt.Errorf("%w\n%s", err, f.log())
		}
		time.Sleep(20 * time.Millisecond)
	}
	alone, own.times = own.times, nil
	return own, alone, nil
}

// freshFigures are those of fresh incidents of the first priority.
func freshFigures(to string, alone, meanwhile []time.Duration, p50, p99 float64, s *sheet) []figure {
	s.say("a fresh one of the first priority, from the post to the mail: alone p50 %s p99 %s; meanwhile, %d times to %s, p50 %s p99 %s",
		fine(quantile(alone, 50)), fine(quantile(alone, 99)), len(meanwhile), to, fine(quantile(meanwhile, 50)), fine(quantile(meanwhile, 99)))
	of := func(percent int, goal float64) figure {
		return atMost(fmt.Sprintf("a fresh incident of the first priority in a storm ÷ alone, to %s, p%d", to, percent), ratio(quantile(meanwhile, percent), quantile(alone, percent)), goal, "")
	}
	return []figure{of(50, p50), of(99, p99)}
}

// openMany lets incidents open, by posts of a hundred, each of another team.
func (f fleet) openMany(n int) error {
	for i, left := 0, n; left > 0; i, left = i+1, left-100 {
		if err := fire(f[0], fmt.Sprintf("storm-%02d", i%stormTeams), min(left, 100)); err != nil {
			return err
		}
	}
	return nil
}

// untilNothingIsDue waits until everybody has been told what is due.
func untilNothingIsDue(s *rig.Sitrep, within time.Duration) error {
	return until(s, within, "nothing is due", func() (bool, error) {
		var st struct {
			Backlog struct {
				Due int `json:"due"`
			} `json:"backlog"`
		}
		err := s.Get("/api/v1/status", &st)
		return st.Backlog.Due == 0, err
	})
}

// until asks a sitrep ten times a second whether something is so, and waits for that.
func until(s *rig.Sitrep, within time.Duration, what string, isSo func() (bool, error)) error {
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		if is, err := isSo(); err != nil || is {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not so within %s: %s\n%s", within, what, s.Log())
		}
	}
}

// A prober lets one incident after the other open, and notes how long it takes until it is told.
type prober struct {
	fire    func(n int) error
	told    <-chan time.Time
	n, most int // how many there were, and how many there can be
	times   []time.Duration
}

func (p *prober) probe() error {
	began := time.Now()
	if err := p.fire(p.n); err != nil {
		return err
	}
	p.n++
	select {
	case at := <-p.told:
		p.times = append(p.times, at.Sub(began))
		return nil
	case <-time.After(tellWithin):
		return fmt.Errorf("incident %d of a prober was not told within %s", p.n, tellWithin)
	}
}

// probeDuring does something, and probes until it is done, or no more can be.
func (p *prober) probeDuring(do func() error) error {
	done, probed := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for over := false; err == nil && !over && p.n < p.most; {
			err = p.probe()
			select {
			case <-done:
				over = true
			case <-time.After(pause):
			}
		}
		probed <- err
	}()
	err := do()
	close(done)
	return errors.Join(err, <-probed)
}

// looksAtMany measures how long people wait who look at many open incidents, and at one with many
// breaches.
func (p programs) looksAtMany(f fleet, incidents, breaches int, s *sheet) (all []figure, err error) {
	const each = 1000
	for left := breaches; left > 0; left -= each {
		if err := fire(f[0], "big", min(left, each)); err != nil {
			return nil, err
		}
	}
	if err := untilNothingIsDue(f[0], tellWithin); err != nil {
		return nil, err
	}
	var big struct {
		Incidents []struct {
			ID string `json:"id"`
		} `json:"incidents"`
	}
	if err := f[0].Get("/api/v1/incidents?slo=big", &big); err != nil || len(big.Incidents) != 1 {
		return nil, fmt.Errorf("%d incidents of one SLO: %w", len(big.Incidents), err)
	}
	many := thousands(float64(incidents)) + " open incidents: "
	looks, err := (&meter{p: p, fleet: f}).looksOf(15, []look{
		{many + "those of a priority", "/?priority=P2"},
		{many + "a search", "/?q=" + url.QueryEscape("team 3 is broken")},
		{many + "those of a team", "/?team=team-03"},
		{many + "the messages", "/deliveries"},
		{fmt.Sprintf("the page of an incident with %s breaches", thousands(float64(breaches))), "/incidents/" + big.Incidents[0].ID},
	})
	for _, l := range looks {
		s.say("%s: %s, %.0f KiB, CPU %s", l.name, fine(l.wall), float64(l.bytes)/1024, fine(l.cpu))
		all = append(all, atMost(l.name, float64(l.wall.Microseconds())/1000, 100, "ms"))
	}
	return all, err
}
