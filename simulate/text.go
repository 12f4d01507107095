package simulate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"sitrep/incident"
	"sitrep/intake"
	"sitrep/wording"
)

// Text tells the simulation to people. It holds the words of others as they are.
func (sim *Simulation) Text() string {
	var b strings.Builder
	clock := wording.Clock{Now: sim.At, Location: time.UTC}
	fmt.Fprintf(&b, "%s, as if received on %s:\n\n", wording.Count(len(sim.Alerts), "alert"), sim.At.Format("Mon 2 Jan 2006, 15:04 UTC"))
	for i := range sim.Alerts {
		a := &sim.Alerts[i]
		fmt.Fprintf(&b, "%3d  %s\n     %s\n", i+1, a.title(clock), a.verdict())
	}
	for i := range sim.Incidents {
		b.WriteString("\n")
		sim.Incidents[i].write(&b, sim.At)
	}
	for _, c := range sim.crowded {
		fmt.Fprintf(&b, "\n%s gets %d messages in one minute: %d by themselves, the rest as one digest (digest_above).\n", c.recipient, c.messages, c.alone)
	}
	if len(sim.Incidents) == 0 {
		b.WriteString("\nNo incident opens, and nobody is told.\n")
	}
	return b.String()
}

// title names an alert.
func (a *Alert) title(clock wording.Clock) string {
	name := cmp.Or(a.Labels["alertname"], "an alert without a name")
	if a.Fingerprint != "" {
		name = wording.Line(name, 80) + " (" + a.Fingerprint + ")"
	}
	if a.Status == "" {
		return name
	}
	return fmt.Sprintf("%s, %s, began %s", name, a.Status, clock.Full(a.StartsAt))
}

// verdict says what became of an alert, and why.
func (a *Alert) verdict() string {
	switch a.Result {
	case intake.OutcomeInvalid:
		return "invalid: " + a.Reason
	case intake.OutcomeIgnored:
		switch {
		case a.Canary:
			return "the canary of a sitrep: it shows whether alerts arrive, and opens nothing"
		case a.Watchdog:
			return "the watchdog: it is only listened for"
		case a.SLO != "":
			return fmt.Sprintf("ignored by SLO %s: it matches %s", a.SLO, a.IgnoredBy)
		}
		return "ignored: it matches " + a.IgnoredBy
	case intake.OutcomeUnmapped:
		text := "no SLO claims it; it is recorded and shown, and nobody is told"
		if a.Incident != 0 {
			text = fmt.Sprintf("no SLO claims it; as an unmapped alert it is part of incident %d", a.Incident)
		}
		if a.DidYouMean != "" {
			text += fmt.Sprintf("; %s is %q: did you mean %q?", a.NearLabel, wording.Line(a.Labels[a.NearLabel], 120), a.DidYouMean)
		}
		return text
	case intake.OutcomeResolved:
		if a.Incident == 0 {
			return fmt.Sprintf("%s; its firing was never seen, so it opens nothing", a.claim())
		}
		return fmt.Sprintf("%s; it ends its breach in incident %d", a.claim(), a.Incident)
	case intake.OutcomeRepeated, intake.OutcomeStale:
		return fmt.Sprintf("%s; %s, it changes nothing in incident %d", a.claim(), a.Result, a.Incident)
	}
	verb := "joins"
	if a.Result == intake.OutcomeOpened {
		verb = "opens"
	}
	return fmt.Sprintf("%s; it %s incident %d", a.claim(), verb, a.Incident)
}

// claim says which SLO claims an alert, by what, and which others would.
func (a *Alert) claim() string {
	by := "by its matchers"
	if a.Label != "" {
		by = "by the label " + a.Label
	}
	text := fmt.Sprintf("SLO %s claims it %s", a.SLO, by)
	if len(a.Ambiguous) > 0 {
		text += ", and comes before " + strings.Join(a.Ambiguous, ", ") + ", which could too"
	}
	return text
}

// write writes an incident, and who is told of it.
func (in *Incident) write(b *strings.Builder, at time.Time) {
	fmt.Fprintf(b, "Incident %d: %s\n", in.Number, wording.Headline(&incident.Incident{UseCase: in.UseCase, Labels: in.Labels, Number: in.Number}))
	about := "alerts without an SLO"
	if in.SLO != "" {
		about = fmt.Sprintf("SLO %s of team %s", in.SLO, in.Team)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Labels)) {
		about += fmt.Sprintf(", %s=%q", name, in.Labels[name])
	}
	fmt.Fprintf(b, "  About       %s\n", about)
	fmt.Fprintf(b, "  Priority    %s\n", strings.TrimSuffix(in.Priority+": "+in.priority.Summary, ": "))
	fmt.Fprintf(b, "  Breaches    %d; resolved once all have ended for %s\n", in.Breaches, model.Duration(in.resolves))
	if len(in.priority.Actions) > 0 {
		var actions []string
		for _, a := range in.priority.Actions {
			if a.Within > 0 {
				a.Name += " (within " + model.Duration(a.Within).String() + " of resolving)"
			}
			actions = append(actions, a.Name)
		}
		fmt.Fprintf(b, "  To be done  %s\n", strings.Join(actions, ", "))
	}
	for _, n := range in.NotTold {
		fmt.Fprintf(b, "  Not told    %s, which hears of %s only\n", n.Group, wording.List(n.Hears))
	}
	if len(in.Readers) == 0 {
		b.WriteString("  Nobody is told.\n")
		return
	}
	b.WriteString("  Told, while it goes on and nobody writes an update:\n")
	for _, block := range blocks(in.Readers, at) {
		fmt.Fprintf(b, "    %s\n", block.who)
		for _, r := range block.readers {
			fmt.Fprintf(b, "      %s\n", r)
		}
		b.WriteString(block.messages)
	}
}

// A block is readers who are told the same at the same times.
type block struct {
	who      string
	readers  []string
	messages string
}

// blocks gathers the readers who read by the same groups and are told at the same
// times.
func blocks(readers []Reader, at time.Time) []block {
	var out []block
	for i := range readers {
		r := &readers[i]
		who, messages := r.who(), r.schedule(at)
		address := r.Recipient
		if r.Name != "" {
			address = r.Name + " <" + r.Recipient + ">"
		}
		address = fmt.Sprintf("%-8s%s", r.Channel, address)
		j := slices.IndexFunc(out, func(b block) bool { return b.who == who && b.messages == messages })
		if j < 0 {
			out = append(out, block{who: who, messages: messages})
			j = len(out) - 1
		}
		out[j].readers = append(out[j].readers, address)
	}
	return out
}

// who says by what a reader reads.
func (r *Reader) who() string {
	var audiences []string
	for _, a := range r.Audiences {
		audiences = append(audiences, string(a))
	}
	group := "group "
	switch {
	case len(r.Audiences) == 1 && r.Audiences[0] == incident.AudienceOnCall:
		group = "team "
	case len(r.Groups) != 1:
		group = "groups "
	}
	return fmt.Sprintf("%s (%s%s), times in %s", strings.Join(audiences, " and "), group, strings.Join(r.Groups, ", "), r.Timezone)
}

// schedule writes the messages of a reader.
func (r *Reader) schedule(at time.Time) string {
	var b strings.Builder
	clock := wording.Clock{Now: at, Location: r.location}
	for _, m := range r.Messages {
		promise := ""
		if !m.NextBy.IsZero() && m.Kind != incident.KindReminder {
			promise = "; promises the next by " + clock.Time(m.NextBy)
		}
		fmt.Fprintf(&b, "        %-22s %-9s %s%s\n", clock.Full(m.At), m.Kind, m.Why, promise)
	}
	return b.String()
}
