// Package config reads what an organisation decided: its priorities, who is
// informed of what, and which SLO has which priority.
//
// It is one strict YAML file and the files of the teams. [Load] reads them all,
// and the secrets that they name, and reports every problem in one go, each with
// its place and a way out. What it returns is complete and is never changed
// again: [Config.Policy] gives the plain values that the rules work with,
// [Config.Lookup] finds the SLO of an alert, and [Config.Canonical] is the
// version that an auditor may see. A [Reloader] holds the config in force and
// replaces it as a whole or not at all.
//
// The structs here are the file format: their tags hold each key's name, whether
// it is required, and what it is for. The loader, the canonical form and the JSON
// schema in contrib all follow from them.
package config
