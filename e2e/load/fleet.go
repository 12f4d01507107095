package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sitrep/e2e/rig"
	"sitrep/ledger"
	"sitrep/storage/postgres/postgrestest"
)

// A fleet are the sitreps that are measured together: one with a file of its own, or as many as
// are wanted on one database.
type fleet []*rig.Sitrep

// start starts a fleet. The config gets the access of the rig.
func (p programs) start(config string, files map[string]string, level string) (f fleet, err error) {
	storage := ""
	if p.cluster != nil {
		if storage, err = p.cluster.Create(); err != nil {
			return nil, err
		}
	}
	return p.startOn(storage, config, files, level)
}

// startOn is start with a store that is there: a database or a file; empty: a new file. All that
// have one sign with one key.
func (p programs) startOn(storage, config string, files map[string]string, level string) (f fleet, err error) {
	n := 1
	if storage != "" {
		n = max(p.replicas, 1)
	}
	for range n {
		s, err := p.prepare(storage, config, files, level)
		if err == nil {
			err = s.Start()
		}
		if err != nil {
			f.kill()
			return nil, err
		}
		f = append(f, s)
	}
	return f, nil
}

// prepare prepares a sitrep as startOn starts them.
func (p programs) prepare(storage, config string, files map[string]string, level string) (*rig.Sitrep, error) {
	home, err := os.MkdirTemp(p.dir, "sitrep")
	if err != nil {
		return nil, err
	}
	if storage != "" {
		path, err := p.key()
		if err != nil {
			return nil, err
		}
		config += fmt.Sprintf("evidence: {key_file: '%s'}\n", path)
	}
	s, err := rig.NewSitrep(p.sitrep, home, config+rig.Access)
	if err != nil {
		return nil, err
	}
	s.Storage, s.LogLevel, s.Patience = storage, level, 3*time.Minute
	for name, text := range files {
		err = errors.Join(err, s.Write(name, text))
	}
	return s, err
}

// key returns the file of the key that all sign with.
func (p programs) key() (string, error) {
	path := filepath.Join(p.dir, "ledger.key")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	key, err := ledger.GenerateKey("load.example")
	if err == nil {
		err = key.Save(path)
	}
	return path, err
}

func (f fleet) kill() {
	for _, s := range f {
		s.Kill()
	}
}

// url is where the client with that number posts to.
func (f fleet) url(n int) string { return f[n%len(f)].URL() + "/alertmanager" }

func (f fleet) pids() (all []int) {
	for _, s := range f {
		all = append(all, s.PID())
	}
	return all
}

// used returns the time of processors that they have used, and written how many bytes they caused
// to be written to disks; 0 if it cannot be told.
func (f fleet) used() (all time.Duration) {
	for _, pid := range f.pids() {
		all += postgrestest.UsedBy(pid)
	}
	return all
}

func (f fleet) written() (all int64) {
	for _, pid := range f.pids() {
		all += written(pid)
	}
	return all
}

// log is what they logged at last.
func (f fleet) log() string {
	var b strings.Builder
	for _, s := range f {
		b.WriteString(s.Log())
	}
	return b.String()
}

// usedByDatabase returns the time of processors that the database has used; 0 if there is none.
func (p programs) usedByDatabase() time.Duration {
	if p.cluster == nil {
		return 0
	}
	return p.cluster.Used()
}
