package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/prometheus/alertmanager/pkg/labels"

	"sitrep/chain"
	"sitrep/config"
	"sitrep/config/importer"
	"sitrep/incident"
	"sitrep/internal/yamlfile"
)

// chainFlags say what chains are followed.
type chainFlags struct {
	rules, alertmanagers []string
	receiver             string
	external             map[string]string
}

// followed reports whether chains are to be followed at all.
func (f *chainFlags) followed() bool { return len(f.rules)+len(f.alertmanagers) > 0 }

// follow checks the chains of a configuration. With several Alertmanagers an alert must find its
// way through each.
func (f *chainFlags) follow(p *chain.Promise) (*chain.Report, error) {
	rules := &chain.Rules{}
	if len(f.rules) == 0 {
		return nil, &usageError{"--alertmanager.config needs the rules whose alerts are followed; name them with --rules"}
	}
	err := eachFile(f.rules, "--rules", func(name string, text []byte) {
		specs, ok := importer.AlertsOf(name, text)
		if !ok {
			rules.Parse(name, text)
		}
		for _, r := range specs {
			rules.Add(r)
		}
	})
	if err != nil {
		return nil, err
	}
	rules.Infer(f.external)
	if len(f.alertmanagers) == 0 {
		return chain.Check(p, rules, nil, config.Nearest), nil
	}
	var reports []*chain.Report
	err = eachFile(f.alertmanagers, "--alertmanager.config", func(name string, text []byte) {
		reports = append(reports, chain.Check(p, rules, chain.ParseAlertmanager(name, text, f.receiver), config.Nearest))
	})
	if err != nil {
		return nil, err
	}
	return chain.Merge(reports), nil
}

// eachFile reads the files that patterns match, each once.
func eachFile(patterns []string, flag string, do func(name string, text []byte)) error {
	seen := map[string]bool{}
	for _, p := range patterns {
		names, err := filepath.Glob(p)
		if err != nil {
			return &usageError{fmt.Sprintf("%s=%q is no pattern: %v", flag, p, err)}
		}
		if len(names) == 0 {
			return fmt.Errorf("no file matches %s=%q; look at the path, and at the quotes around the pattern", flag, p)
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			text, err := readBounded(name)
			if err != nil {
				return err
			}
			do(name, text)
		}
	}
	return nil
}

// readBounded reads a regular file that is not larger than what is looked at.
func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("it is no regular file")}
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// One byte more than is looked at, so that what is too long is seen to be.
	return io.ReadAll(io.LimitReader(file, yamlfile.MaxSize+1))
}

// promiseOf returns what the chain needs to know of a configuration.
func promiseOf(c *config.Config, at *config.Positions) *chain.Promise {
	policy := c.Policy()
	p := &chain.Promise{
		IDLabels: c.IDLabels(), Ignore: conditions(c.Ignore, "ignore", at.Main), Unmapped: c.Unmapped != nil && c.Unmapped.Priority != "",
		UnknownAfter: policy.UnknownAfter, ResolveAfter: policy.ResolveAfter, Asks: policy.Asks,
	}
	if w := c.Watchdog; w != nil {
		p.Watchdog = &chain.Watchdog{Place: placed(at.Main("watchdog")), Match: conditions(w.Match, "watchdog.match", at.Main), Within: w.Within}
	}
	if w := c.Canary; w != nil {
		labels := map[string]string{"alertname": incident.CanaryAlert, incident.CanaryLabel: "RUN"}
		maps.Copy(labels, w.Labels)
		p.Canary = &chain.Canary{Place: placed(at.Main("canary")), Labels: chain.Exactly(labels), Within: w.Within}
	}
	groups := map[string]chain.Group{}
	for i := range policy.Groups {
		g := &policy.Groups[i]
		groups[g.Name] = chain.Group{Place: placed(at.Main(fmt.Sprintf("groups[%d].name", i))), Name: g.Name, Recipients: len(g.Recipients)}
	}
	for i, t := range c.Teams {
		where := func(path string) (string, int, int) { return at.Team(i, path) }
		for j, o := range t.SLOs {
			path := fmt.Sprintf("slos[%d]", j)
			p.SLOs = append(p.SLOs, chain.SLO{
				Place: placed(where(path + ".id")), ID: o.ID, Team: t.Team, Priority: o.Priority,
				Match:     conditions(o.Match, path+".match", where),
				Ignore:    conditions(o.Ignore, path+".ignore", where),
				Audiences: audiences(policy, &o, groups),
			})
		}
	}
	return p
}

// audiences returns who hears of an SLO at its priority.
func audiences(policy *incident.Policy, o *config.SLO, groups map[string]chain.Group) []chain.Audience {
	i := slices.IndexFunc(policy.Priorities, func(q incident.Priority) bool { return q.Name == o.Priority })
	if i < 0 {
		return nil
	}
	var out []chain.Audience
	for _, a := range policy.Priorities[i].Inform {
		names := o.Stakeholders
		if a == incident.AudienceManagement {
			names = policy.Management
		}
		audience := chain.Audience{Name: string(a)}
		for _, name := range names {
			g := groups[name]
			for j := range policy.Groups {
				if policy.Groups[j].Name == name {
					g.Hears = policy.Groups[j].Hears(o.Priority)
				}
			}
			audience.Groups = append(audience.Groups, g)
		}
		out = append(out, audience)
	}
	return out
}

func placed(file string, line, column int) chain.Place {
	return chain.Place{File: file, Line: line, Column: column}
}

// conditions returns matchers with where they stand.
func conditions(list []config.Matchers, path string, where func(string) (string, int, int)) []chain.Condition {
	out := make([]chain.Condition, len(list))
	for i, ms := range list {
		out[i] = chain.Condition{Place: placed(where(fmt.Sprintf("%s[%d]", path, i))), Matchers: labels.Matchers(ms)}
	}
	return out
}

// findingOf returns a problem of the configuration as a finding.
func findingOf(p config.Problem) chain.Finding {
	f := chain.Finding{Kind: "configuration", Severity: chain.Error, Place: chain.Place{File: p.File, Line: p.Line, Column: p.Column}, Text: p.Text}
	if p.Warning {
		f.Severity = chain.Warning
	}
	if p.Path != "" {
		f.Text = p.Path + ": " + p.Text
	}
	return f
}
