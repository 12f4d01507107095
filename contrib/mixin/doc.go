// Package mixin holds the alert rules and the dashboard of contrib as jsonnet, in the form of a
// Prometheus mixin, and the test that makes the files of both from it. It is a module of its own so
// that sitrep's go.mod stays light.
package mixin
