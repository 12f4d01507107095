package config

import (
	"context"
	"slices"
)

// Positions say where what a configuration says stands in its files.
type Positions struct {
	main  *source
	teams []*source
}

// LoadWithPositions is Load for those who tell people of places in the files.
func LoadWithPositions(path string) (*Config, *Positions, error) {
	return load(newDisk().visit(context.Background()), path)
}

// Main returns where the value of a path of the main file stands, such as groups[0].name; what
// the file does not say stands where the nearest around it does.
func (p *Positions) Main(path string) (file string, line, column int) { return p.main.whereIs(path) }

// Team returns the same of the i-th of the teams' files.
func (p *Positions) Team(i int, path string) (file string, line, column int) {
	return p.teams[i].whereIs(path)
}

func (s *source) whereIs(path string) (file string, line, column int) {
	at := s.place(path)
	return oneLineOf(s.name), int(at.line), int(at.column)
}

// IDLabels returns the labels whose value is the id of an SLO, in the order in which they
// are tried.
func (c *Config) IDLabels() []string { return slices.Concat(idLabels[:], c.SLOLabels) }

// Nearest returns the known word that a mistyped one was probably meant to be.
func Nearest(word string, known []string) (string, bool) { return nearest(word, known) }
