// Package test checks the chart of sitrep by Helm's own library, by the types of Kubernetes, and against what
// Kustomize makes of contrib/kubernetes. It is a module of its own so that sitrep's go.mod stays light.
package test
