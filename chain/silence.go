package chain

import (
	"fmt"
	"strings"
	"time"
)

// maxSilences is how many silences are looked at.
const maxSilences = 1000

// silenced reports silences that mute alerts of SLOs.
func (c *checking) silenced() {
	silences := c.am.Silences[:min(maxSilences, len(c.am.Silences))]
	if len(silences) == 0 {
		return
	}
	for _, r := range c.rules.Alerts {
		slo, ok := c.mine[r]
		if !ok {
			continue
		}
		for i := range silences {
			c.silence(r, &c.promise.SLOs[slo], &silences[i])
		}
	}
}

// silence reports if a silence mutes the alert of an SLO.
func (c *checking) silence(r *Rule, s *SLO, by *Silence) {
	until := by.Until.UTC().Format(time.DateTime) + " UTC"
	f := Finding{
		Kind: KindSilenced, Severity: Warning, Place: by.Place, SLO: s.ID,
		Text: fmt.Sprintf("a silence mutes the alert %s of SLO %s until %s, and sitrep hears neither that it fires nor that it ends", quote(r.Name), quote(s.ID), until),
		Fix:  "end the silence once it is not needed", Sides: []Side{side(r), sideOfSLO(s)},
	}
	switch r.Labels.Holds(by.Matchers) {
	case Never:
		return
	case Maybe:
		if !r.Labels.evident(by.Matchers) {
			return
		}
		f.Severity, f.SLO = Note, ""
		f.Text = fmt.Sprintf("a silence until %s mutes some alerts of SLOs, such as %s, depending on %s", until, quote(r.Name), strings.Join(r.Labels.unsure(by.Matchers), ", "))
	}
	c.add(f)
}
