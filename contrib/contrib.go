// Package contrib holds what people start from: sample configurations, and what
// they put beside sitrep. The program needs none of it but to show itself.
package contrib

import "embed"

// Sample is a configuration that runs as it is: sitrep.yml and the files of slos,
// with their paths as they stand here.
//
//go:embed sitrep.yml slos/*.yml
var Sample embed.FS

// Alert is what an Alertmanager posted for a breach of one of the sample's SLOs: two
// alerts as Sloth's rules make them, a page and a ticket.
//
//go:embed alert.json
var Alert []byte
