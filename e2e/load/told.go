package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/e2e/rig"
)

// A mailing is a configuration of a sitrep whose mail server takes all at once. Of most SLOs each value
// of instance is an incident: "wide", whose readers are the many, "ten-000" and so on, each with ten
// readers of its own, and "storm-00" and so on, each of a team of its own, with two readers each. Of the first priority are
// "fresh-00" and so on, with the second of those, and "own-0000" and so on, each with a reader of its own.
// "big" has one incident, and no more.
type mailing struct {
	readers     int  // the many
	tens        int  // how many SLOs there are with ten readers each
	digestAbove int  // zero: as it is unless a configuration says so
	apart       bool // each team has two readers of its own, and not all the same two
}

// startMailing starts a sitrep that sends to a mail server.
func (p programs) startMailing(m mailing, s *sink) (fleet, error) {
	var groups, slos strings.Builder
	files := map[string]string{}
	for i := range stormTeams {
		onCall, stakeholders := "oncall", "storm"
		if m.apart {
			onCall, stakeholders = fmt.Sprintf("oncall-%02d", i), fmt.Sprintf("storm-%02d", i)
		}
		if m.apart || i == 0 {
			fmt.Fprintf(&groups, "  - {name: %s, email: [%s@example.org]}\n", stakeholders, stakeholders)
		}
		files[fmt.Sprintf("slos/storm-%02d.yml", i)] = fmt.Sprintf(`
team: team-%02d
on_call: {email: [%s@example.org]}
slos:
  - {id: storm-%02d, use_case: All of team %d is broken, sli: availability, priority: P2, stakeholders: [%s], incident_per: [instance]}
`, i, onCall, i, i, stakeholders)
		fmt.Fprintf(&slos, "  - {id: fresh-%02d, use_case: In the storm, sli: availability, priority: P1, stakeholders: [%s], incident_per: [instance]}\n", i, stakeholders)
	}
	for i := range probes {
		fmt.Fprintf(&groups, "  - {name: own-%04d, email: [own-%04d@example.org]}\n", i, i)
		fmt.Fprintf(&slos, "  - {id: own-%04d, use_case: Own, sli: availability, priority: P1, stakeholders: [own-%04d]}\n", i, i)
	}
	for i := range m.tens {
		fmt.Fprintf(&groups, "  - {name: ten-%03d, email: [%s]}\n", i, addresses(fmt.Sprintf("tenth-%03d", i), 10))
		fmt.Fprintf(&slos, "  - {id: ten-%03d, use_case: Some read along, sli: availability, priority: P1, stakeholders: [ten-%03d], incident_per: [instance]}\n", i, i)
	}
	files["slos/load.yml"] = `
team: load
slos:
  - {id: wide, use_case: Many read along, sli: availability, priority: P1, stakeholders: [many], incident_per: [instance]}
  - {id: big, use_case: Much of it is broken, sli: availability, priority: P2, stakeholders: [many]}
` + slos.String()
	return p.start(fmt.Sprintf(`
mail: {smarthost: '%s', from: incidents@example.org, tls: none, connections: 16}
priorities:
  - {name: P1, summary: Severe, criteria: [A core use case is broken], inform: [stakeholders], update_every: 2h}
  - {name: P2, summary: Less, criteria: [Something else is], inform: [stakeholders], update_every: 4h}
incidents: {digest_above: %d}
groups:
  - {name: many, email: [%s]}
%sslo_files: [slos/*.yml]
`, s.address(), cmp.Or(m.digestAbove, digestAbove), addresses("reader", max(m.readers, 1)), &groups), files, "error")
}

// addresses are so many.
func addresses(name string, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%05d@example.org", name, i)
	}
	return strings.Join(all, ", ")
}

// digestAbove is what it is unless a configuration says otherwise.
const digestAbove = 5

// alertsBody is a post of alerts of an SLO from one number on, each with an instance and a
// fingerprint of its own, which follow from its number.
func alertsBody(slo string, from uint64, n int, status string) []byte {
	p := payload{Version: "4", GroupKey: `{}:{}`, Status: status, Receiver: "sitrep"}
	for i := range uint64(n) {
		id := fmt.Sprintf("%016x", (from+i)*0x9E3779B97F4A7C15)
		a := alert{
			Status: status, StartsAt: time.Now().UTC(), Fingerprint: id,
			Labels: map[string]string{"alertname": "Load", "sitrep_slo": slo, "instance": id},
		}
		if status == "resolved" {
			a.EndsAt = a.StartsAt
		}
		p.Alerts = append(p.Alerts, a)
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return body
}

// postAlerts posts alerts of an SLO from one number on.
func postAlerts(s *rig.Sitrep, slo string, from uint64, n int, status string) error {
	_, err := s.Alerts(alertsBody(slo, from, n, status))
	return err
}

// fire posts new alerts of an SLO, each with an instance of its own.
func fire(s *rig.Sitrep, slo string, n int) error {
	return postAlerts(s, slo, identity.Add(uint64(n))-uint64(n), n, "firing")
}

// A spread is how fast one incident is told to many readers, beside raw SMTP.
type spread struct {
	readers             int
	rate, kept, dialled float64 // mails a second
}

// fanOut measures how fast one incident is told to many readers.
func (p programs) fanOut(_ context.Context, o options, s *sheet) ([]figure, error) {
	f, err := p.spread(o, s)
	return []figure{
		atLeast(fmt.Sprintf("mails/s of an incident to %s readers ÷ raw SMTP on 16 kept connections", thousands(float64(f.readers))), f.rate/f.kept, 0.3, ""),
		atLeast(fmt.Sprintf("mails/s of an incident to %s readers ÷ raw SMTP that dials for each mail", thousands(float64(f.readers))), f.rate/f.dialled, 0.6, ""),
	}, err
}

// spread tells incidents to many readers, one after the other.
func (p programs) spread(o options, s *sheet) (f spread, err error) {
	readers := o.sized(1500)
	to, err := newSink()
	if err != nil {
		return f, err
	}
	defer to.listener.Close()
	all, err := p.startMailing(mailing{readers: readers}, to)
	if err != nil {
		return f, err
	}
	defer all.kill()
	const turns = 3
	var rates, kept, dialled []float64
	var used time.Duration
	var wrote int64
	for range turns {
		one, err := rawSMTP(to, 16, o.sized(15_000), true)
		if err != nil {
			return f, err
		}
		other, err := rawSMTP(to, 16, o.sized(5000), false)
		if err != nil {
			return f, err
		}
		usedBefore, wroteBefore := all.used(), all.written()
		began := time.Now()
		if err := to.after(readers, func() error { return fire(all[0], "wide", 1) }); err != nil {
			return f, fmt.Errorf("%w\n%s", err, all.log())
		}
		rates, kept, dialled = append(rates, float64(readers)/to.latest().Sub(began).Seconds()), append(kept, one), append(dialled, other)
		used, wrote = used+all.used()-usedBefore, wrote+all.written()-wroteBefore
	}
	f = spread{readers, middle(rates), middle(kept), middle(dialled)}
	s.say("one incident, %d readers: %.0f mails/s; raw SMTP on 16 kept connections %.0f, dialled each %.0f", readers, f.rate, f.kept, f.dialled)
	s.say("each mail took %s of a processor, and %.1f KiB written to the disk", fine(used/time.Duration(turns*readers)), float64(wrote)/float64(turns*readers)/1024)
	return f, nil
}

// readers measures that a mail costs no more where an incident has many readers.
func (p programs) readers(_ context.Context, o options, s *sheet) ([]figure, error) {
	to, err := newSink()
	if err != nil {
		return nil, err
	}
	defer to.listener.Close()
	// There are so many groups of ten that each reader hears of no more incidents than go by themselves.
	const turns, groups = 3, 50
	many := max(10, o.sized(10_000))
	f, err := p.startMailing(mailing{readers: many, tens: turns * groups}, to)
	if err != nil {
		return nil, err
	}
	defer f.kill()
	tell := func(incidents, readers int, slo func(i int) string) (time.Duration, error) {
		before := f.used()
		for i := range incidents {
			if err := to.after(readers, func() error { return fire(f[0], slo(i), 1) }); err != nil {
				return 0, fmt.Errorf("%w\n%s", err, f.log())
			}
		}
		return (f.used() - before) / time.Duration(incidents*readers), nil
	}
	var ofTen, ofMany []time.Duration
	for turn := range turns {
		ten, err := tell(groups*digestAbove, 10, func(i int) string { return fmt.Sprintf("ten-%03d", turn*groups+i%groups) })
		if err != nil {
			return nil, err
		}
		wide, err := tell(1, many, func(int) string { return "wide" })
		if err != nil {
			return nil, err
		}
		ofTen, ofMany = append(ofTen, ten), append(ofMany, wide)
	}
	few, all := quantile(ofTen, 50), quantile(ofMany, 50)
	s.say("CPU of a mail: %s of an incident with 10 readers, %s of one with %s", fine(few), fine(all), thousands(float64(many)))
	return []figure{
		atMost(fmt.Sprintf("CPU of a mail at %s readers ÷ at 10", thousands(float64(many))), ratio(all, few), 1.5, ""),
	}, nil
}

// tellWithin is how long a message is waited for.
const tellWithin = 90 * time.Second

// quantile returns that of times: so many of a hundred took no longer.
func quantile(all []time.Duration, percent int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max((len(sorted)*percent+99)/100-1, 0)]
}

// middle returns the one in the middle.
func middle(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// fine is a time as it is written: with about three digits.
func fine(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(100 * time.Nanosecond)
	case d < time.Second:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}
