package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sitrep/e2e/rig"
)

// mailing starts sitrep with a mail server that takes all at once. The SLOs are "wide", whose
// readers are the many, "storm", of which each value of instance is an incident with two
// readers, "both", with one of those, and "own-000" and so on, each with a reader of its own: of
// one reader five a minute are told by themselves.
func (p programs) mailing(readers int, s *sink) (fleet, error) {
	var groups, slos strings.Builder
	for i := range probes {
		fmt.Fprintf(&groups, "  - {name: own-%03d, email: [own-%03d@example.org]}\n", i, i)
		fmt.Fprintf(&slos, "  - {id: own-%03d, use_case: Own, sli: availability, priority: P1, stakeholders: [own-%03d]}\n", i, i)
	}
	var many []string
	for i := range readers {
		many = append(many, fmt.Sprintf("reader-%05d@example.org", i))
	}
	return p.start(fmt.Sprintf(`
mail: {smarthost: '%s', from: incidents@example.org, tls: none, connections: 16}
priorities:
  - {name: P1, summary: Severe, criteria: [A core use case is broken], inform: [stakeholders], update_every: 2h}
  - {name: P2, summary: Less, criteria: [Something else is], inform: [stakeholders], update_every: 4h}
groups:
  - {name: many, email: [%s]}
  - {name: storm, email: [storm@example.org]}
%sslo_files: [slos/*.yml]
`, s.address(), strings.Join(many, ", "), &groups), map[string]string{
		"slos/load.yml": `
team: load
on_call: {email: [oncall@example.org]}
slos:
  - {id: wide, use_case: Many read along, sli: availability, priority: P1, stakeholders: [many]}
  - {id: storm, use_case: All is broken, sli: availability, priority: P2, stakeholders: [storm], incident_per: [instance]}
`,
		"slos/first.yml": `
team: first
slos:
  - {id: both, use_case: In the storm, sli: availability, priority: P1, stakeholders: [storm], incident_per: [instance]}
` + slos.String(),
	}, "error")
}

// fire posts alerts of an SLO, each with an instance of its own.
func fire(s *rig.Sitrep, slo string, n int) error {
	p := payload{Version: "4", GroupKey: `{}:{}`, Status: "firing", Receiver: "sitrep"}
	for range n {
		id := fmt.Sprintf("%016x", identity.Add(1)*0x9E3779B97F4A7C15)
		p.Alerts = append(p.Alerts, alert{
			Status: "firing", StartsAt: time.Now().UTC(), Fingerprint: id,
			Labels: map[string]string{"alertname": "Load", "sitrep_slo": slo, "instance": id},
		})
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = s.Alerts(body)
	return err
}

// fanOut prints how fast one incident is told to many readers, beside raw SMTP.
func (p programs) fanOut(readers int, out io.Writer) error {
	s, err := newSink()
	if err != nil {
		return err
	}
	defer s.listener.Close()
	kept, err := rawSMTP(s, 16, 20_000, true)
	if err != nil {
		return err
	}
	dialled, err := rawSMTP(s, 16, 5000, false)
	if err != nil {
		return err
	}
	all, err := p.mailing(readers, s)
	if err != nil {
		return err
	}
	defer all.kill()
	sitrep := all[0]
	s.count.Store(0)
	usedBefore, wroteBefore := all.used(), all.written()
	began := time.Now()
	if err := fire(sitrep, "wide", 1); err != nil {
		return err
	}
	if !rig.Poll(5*time.Minute, func() bool { return s.count.Load() >= int64(readers) }) {
		return fmt.Errorf("only %d of %d were told\n%s", s.count.Load(), readers, all.log())
	}
	rate := float64(readers) / time.Since(began).Seconds()
	fmt.Fprintf(out, "one incident, %d readers: %.0f mails/s; raw SMTP on 16 kept connections %.0f, dialled each %.0f\n", readers, rate, kept, dialled)
	fmt.Fprintf(out, "that is %.2f of kept, %.2f of dialled\n", rate/kept, rate/dialled)
	fmt.Fprintf(out, "each mail took %s of a processor, and %.1f KiB written to the disk\n",
		((all.used() - usedBefore) / time.Duration(readers)).Round(time.Microsecond), float64(all.written()-wroteBefore)/float64(readers)/1024)
	return nil
}

// storm prints how long it takes until all of many incidents are told to two readers, and how
// long a fresh one of the first priority takes meanwhile.
func (p programs) storm(incidents int, out io.Writer) error {
	s, err := newSink()
	if err != nil {
		return err
	}
	defer s.listener.Close()
	own, both := s.watch("own"), s.watch("storm@example.org")
	fleet, err := p.mailing(1, s)
	if err != nil {
		return err
	}
	defer fleet.kill()
	sitrep := fleet[0]

	next := 0 // of those with a reader of its own
	probeOwn := func(all *[]time.Duration) error {
		if next == probes {
			return nil
		}
		next++
		return probed(sitrep, fmt.Sprintf("own-%03d", next-1), own, all)
	}
	var alone []time.Duration
	for range 30 {
		if err := probeOwn(&alone); err != nil {
			return err
		}
	}
	began := time.Now()
	posted := make(chan error, 1)
	go func() {
		for left := incidents; left > 0; left -= 100 {
			if err := fire(sitrep, "storm", min(left, 100)); err != nil {
				posted <- err
				return
			}
		}
		posted <- nil
	}()
	var meanwhile, inStorm []time.Duration
	var took time.Duration
	var lastBoth time.Time
	for all := false; ; {
		if err := probeOwn(&meanwhile); err != nil {
			return err
		}
		if time.Since(lastBoth) > 15*time.Second {
			lastBoth = time.Now()
			for len(both) > 0 {
				<-both
			}
			if err := probed(sitrep, "both", both, &inStorm); err != nil {
				return err
			}
		}
		if all {
			if took == 0 {
				took = time.Since(began)
			}
			var st struct {
				Backlog struct {
					Due int `json:"due"`
				} `json:"backlog"`
			}
			if err := sitrep.Get("/api/v1/status", &st); err != nil {
				return err
			}
			if st.Backlog.Due == 0 {
				break
			}
		}
		select {
		case err := <-posted:
			if all = true; err != nil {
				return err
			}
		case <-time.After(300 * time.Millisecond):
		}
		if time.Since(began) > 10*time.Minute {
			return fmt.Errorf("not all are told after 10 minutes\n%s", fleet.log())
		}
	}
	fmt.Fprintf(out, "%d incidents, two readers each: taken in %s, all told after %s\n", incidents, took.Round(time.Second), time.Since(began).Round(time.Second))
	fmt.Fprintf(out, "a fresh one of the first priority, from the post to the mail: alone p50 %s p99 %s; meanwhile p50 %s p99 %s (%.1f and %.1f times that); to a reader of the storm p50 %s, the longest %s\n",
		quantile(alone, 50), quantile(alone, 99), quantile(meanwhile, 50), quantile(meanwhile, 99),
		ratio(quantile(meanwhile, 50), quantile(alone, 50)), ratio(quantile(meanwhile, 99), quantile(alone, 99)), quantile(inStorm, 50), quantile(inStorm, 100))
	return nil
}

// probes is how many incidents with a reader of its own there can be.
const probes = 500

// tellWithin is how long a probe is waited for.
const tellWithin = 90 * time.Second

func probed(s *rig.Sitrep, slo string, told <-chan time.Time, all *[]time.Duration) error {
	began := time.Now()
	if err := fire(s, slo, 1); err != nil {
		return err
	}
	select {
	case at := <-told:
		*all = append(*all, at.Sub(began))
		return nil
	case <-time.After(tellWithin):
		return fmt.Errorf("an incident of %q was not told within %s\n%s", slo, tellWithin, s.Log())
	}
}

// quantile returns that of times, 100 the longest.
func quantile(all []time.Duration, percent int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)].Round(100 * time.Microsecond)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }
