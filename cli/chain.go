package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sitrep/chain"
	"sitrep/chain/live"
	"sitrep/config"
	"sitrep/config/importer"
	"sitrep/internal/yamlfile"
)

// chainFlags say what chains are followed.
type chainFlags struct {
	rules, alertmanagers []string
	receiver             string
	external             map[string]string
	live                 liveFlags
}

// followed reports whether chains are to be followed at all.
func (f *chainFlags) followed() bool {
	return len(f.rules)+len(f.alertmanagers) > 0 || f.live.asked()
}

// follow checks the chains of a configuration, by files and by what runs. With several
// Alertmanagers an alert must find its way through each.
func (f *chainFlags) follow(ctx context.Context, c *config.Config, p *chain.Promise) (*chain.Report, error) {
	files, err := f.read()
	if err != nil {
		return nil, err
	}
	prometheis, alertmanagers, err := f.live.endpoints(c, f.receiver)
	if err != nil {
		return nil, err
	}
	if len(f.rules)+len(prometheis) == 0 {
		return nil, &usageError{"Alertmanager's configuration needs the rules whose alerts are followed; name them with --rules, or who evaluates them with --prometheus"}
	}
	return live.New(prometheis, alertmanagers, files, config.Nearest).Look(ctx, p, time.Now().UTC()).Report, nil
}

// read reads the files.
func (f *chainFlags) read() (files live.Files, err error) {
	if len(f.rules) > 0 {
		files.Rules = &chain.Rules{}
		err = eachFile(f.rules, "--rules", func(name string, text []byte) {
			made, findings, specs := importer.AlertsOf(name, text)
			if !specs {
				files.Rules.Parse(name, text)
			}
			for _, r := range made {
				files.Rules.Add(r)
			}
			files.Rules.Findings = append(files.Rules.Findings, findings...)
		})
		if err != nil {
			return files, err
		}
		files.Rules.Infer(f.external)
	}
	err = eachFile(f.alertmanagers, "--alertmanager.config", func(name string, text []byte) {
		files.Alertmanagers = append(files.Alertmanagers, chain.ParseAlertmanager(name, text, f.receiver))
	})
	return files, err
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

// kindConfiguration is what findings of sitrep's own configuration are.
const kindConfiguration chain.Kind = "configuration"

// findingOf returns a problem of the configuration as a finding.
func findingOf(p config.Problem) chain.Finding {
	f := chain.Finding{Kind: kindConfiguration, Severity: chain.Error, Place: chain.Place{File: p.File, Line: p.Line, Column: p.Column}, Text: p.Text}
	if p.Warning {
		f.Severity = chain.Warning
	}
	if p.Path != "" {
		f.Text = p.Path + ": " + p.Text
	}
	return f
}
